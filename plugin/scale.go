package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

type scaleOptions struct {
	timeout time.Duration
	format  string
}

func newScaleCommand(a *app) *cobra.Command {
	opts := scaleOptions{timeout: startTimeout, format: "table"}
	cmd := &cobra.Command{
		Use:   "scale COMPONENT=N...",
		Short: "Set the number of replicas, and remember it",
		Long: `Set the number of replicas, 1 to 50, and remember it for the next up. It returns when every replica is healthy and
receives: marked batches without an event go through the balancer, and each replica must take its share of them, the
balancer sending to no other. A share more than 20 % off an even one, or a replica that takes nothing, ends with exit
code 3 and the cause. A replica that goes ends when the stores have what it holds.`,
		Example: `  docker telemetry scale aggregator=3
  docker telemetry scale aggregator=5 --format json`,
		Args:              argsBetween(1, -1, "COMPONENT=N, for example aggregator=3"),
		ValidArgsFunction: completeScale,
		RunE:              func(cmd *cobra.Command, args []string) error { return runScale(cmd.Context(), a, args, opts) },
	}
	cmd.Flags().DurationVar(&opts.timeout, "timeout", opts.timeout, "How long to wait for health, and then for the shares (20s at most)")
	addFormat(cmd, &opts.format, "table", "json")
	return cmd
}

func runScale(ctx context.Context, a *app, pairs []string, opts scaleOptions) error {
	scale, usage := stack.ParseScale(pairs)
	s, err := a.open(ctx, "scale")
	if err != nil {
		return cmp.Or(usage, err)
	}
	defer s.close()
	if usage != nil {
		return cmp.Or(s.runsOnce(ctx, pairs), usage)
	}
	unlock, err := s.lock(ctx, "scale")
	if err != nil {
		return err
	}
	defer unlock()
	containers, err := s.manager.Containers(ctx, a.name)
	if err != nil {
		return err
	}
	if len(containers) == 0 {
		return stack.NotRunning(a.name)
	}
	if _, err := s.remembered(); err != nil {
		return err
	}
	result, project, err := s.prepare(ctx, settings.Request{Scale: scale})
	if err != nil {
		return err
	}
	// Remembered before it is done: after Ctrl-C the next `up` brings about what was asked for.
	if err := s.state.Save(result.File); err != nil {
		return err
	}
	balance, err := s.manager.Scale(ctx, project, opts.timeout)
	s.close()
	var uneven *stack.UnevenError
	if err != nil && !errors.As(err, &uneven) {
		return leftRunning(ctx, a.name, err)
	}
	if printErr := printBalance(a, balance, opts.format, err == nil); printErr != nil {
		return printErr
	}
	if uneven != nil {
		return &codeError{code: exitFindings, err: err}
	}
	return nil
}

// runsOnce knows the components that profiles and overlays brought, which the command line alone does not.
func (s *session) runsOnce(ctx context.Context, pairs []string) error {
	remembered, err := s.remembered()
	if err != nil {
		return nil //nolint:nilerr // without a stack there is nothing to add to what is wrong with the words
	}
	project, err := stack.Load(ctx, s.manager.Bundle, remembered.Settings)
	if err != nil {
		return err
	}
	for _, pair := range pairs {
		name, _, _ := strings.Cut(pair, "=")
		if _, err := stack.Component(name); err == nil {
			continue // what is wrong with this pair was said
		}
		if err := stack.RunsOnce(project, name); err != nil {
			return err
		}
	}
	return nil
}

// shareRow is a replica in the JSON of `scale`: documented in docs/reference/json.md, only added to.
type shareRow struct {
	Name    string    `json:"name"`
	Address string    `json:"address"`
	Lanes   []laneRow `json:"lanes"`
}

type laneRow struct {
	Lane     string  `json:"lane"`
	Requests int     `json:"requests"`
	Share    float64 `json:"share"`
}

func printBalance(a *app, balance stack.Balance, format string, even bool) error {
	if format == "json" {
		rows := make([]shareRow, 0, len(balance.Replicas))
		for _, replica := range balance.Replicas {
			row := shareRow{Name: replica.Name, Address: replica.Address, Lanes: []laneRow{}}
			for _, lane := range replica.Lanes {
				row.Lanes = append(row.Lanes, laneRow{Lane: lane.Lane, Requests: lane.Requests, Share: lane.Share})
			}
			rows = append(rows, row)
		}
		return render.JSON(a.deps.stdout, map[string]any{
			"schemaVersion": 1, "component": stack.Aggregator, "even": even,
			"settledSeconds": math.Round(10*balance.Settled.Seconds()) / 10, "replicas": rows,
		})
	}
	header := []string{"replica", "address"}
	for _, lane := range stack.Lanes() {
		header = append(header, lane.Name)
	}
	rows := make([][]string, 0, len(balance.Replicas))
	for _, replica := range balance.Replicas {
		row := []string{replica.Name, replica.Address}
		for _, lane := range replica.Lanes {
			row = append(row, fmt.Sprintf("%.0f %% (%d)", 100*lane.Share, lane.Requests))
		}
		rows = append(rows, row)
	}
	render.Table(a.deps.stdout, header, rows)
	return nil
}
