package plugin

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/keeping"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/report/retention"
	"github.com/docker-telemetry/docker-telemetry/storage/openobserve"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

func newRetentionCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "retention",
		Short: "Set how long data is kept, and see what is in force",
		Long: `Set how long data is kept, and see what is in force. It is part of the stack from then on, as up, config and eject show it.
What is really there, what it takes and when the disk is full: docker telemetry report retention.`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRetentionSetCommand(a), newRetentionBudgetCommand(a), newRetentionLsCommand(a))
	return cmd
}

// stores are both of a stack, as its gateway serves them.
type stores struct {
	metrics *victoriametrics.Client
	logs    *openobserve.Client
}

func storesOf(result settings.Result) (stores, error) {
	logs, err := openObserve(result)
	if err != nil {
		return stores{}, err
	}
	return stores{metrics: victoriaMetrics(result, logs.HTTP), logs: logs}, nil
}

func (s stores) inForce(ctx context.Context) keeping.InForce {
	return keeping.Read(ctx, s.metrics, s.logs)
}

// retentionRow is a target in the JSON of `retention ls` and `retention set`: documented in docs/reference/json.md, only added to.
type retentionRow struct {
	Target  string `json:"target"`
	Asked   string `json:"asked"`
	Source  string `json:"source"`
	InForce string `json:"inForce"`
}

// Where a retention comes from.
const (
	fromUser    = "retention set"
	fromBudget  = "budget"
	fromDefault = "default"
	fromOverlay = "overlay"
	fromStore   = "set in the store"
	fromLogs    = "logs"
)

// retentionRows lists the stores first, then the streams. asked is what the project starts the stores with.
func retentionRows(file state.File, asked map[string]string, found keeping.InForce) []retentionRow {
	policy := keeping.Policy(file.Retention)
	rows := []retentionRow{
		{retention.Metrics, asked[retention.Metrics], sourceOf(file, retention.Metrics, asked), found.Metrics},
		{retention.Logs, asked[retention.Logs], sourceOf(file, retention.Logs, asked), globalInForce(found)},
	}
	if value := policy[retention.Traces]; value != "" {
		rows = append(rows, retentionRow{retention.Traces, value, fromUser, ""})
	}
	for _, one := range found.Streams {
		row := retentionRow{Target: one.Kind + "/" + one.Name, Source: fromLogs, InForce: globalInForce(found)}
		if wanted := policy.Stream(one.Kind, one.Name); wanted > 0 {
			row.Asked, row.Source = daysOf(wanted), fromUser
		}
		if one.Days > 0 {
			row.InForce = daysOf(one.Days)
			if row.Asked == "" {
				row.Source = fromStore
			}
		}
		rows = append(rows, row)
	}
	for _, target := range policy.Missing(found.Streams) {
		rows = append(rows, retentionRow{target, policy[target], fromUser, ""})
	}
	return rows
}

func sourceOf(file state.File, target string, asked map[string]string) string {
	value, said := file.Retention[target]
	budget := map[string]int{}
	if file.Disk != nil {
		budget[retention.Metrics], budget[retention.Logs] = file.Disk.MetricsDays, file.Disk.LogsDays
	}
	switch {
	case said && value == asked[target]:
		return fromUser
	case !said && budget[target] > 0 && asked[target] == daysOf(budget[target]):
		return fromBudget
	case !said && asked[target] == settings.DefaultRetention:
		return fromDefault
	default:
		return fromOverlay
	}
}

func globalInForce(found keeping.InForce) string {
	switch {
	case found.Logs == nil:
		return ""
	case *found.Logs <= 0:
		return "for ever"
	default:
		return daysOf(*found.Logs)
	}
}

func daysOf(days int) string { return fmt.Sprintf("%dd", days) }

// keepStreams gives the streams of OpenObserve the settings that are remembered: a store that was begun anew lacks them, and so does
// a stream of traces that came since. A stream that is not there yet is named.
func (s *session) keepStreams(ctx context.Context, result settings.Result) error {
	policy := keeping.Policy(result.File.Retention)
	if !policy.OfStreams() || !s.engine.Local() && result.File.Bind == settings.DefaultBind {
		return nil
	}
	at, err := storesOf(result)
	if err != nil {
		return err
	}
	var held []openobserve.Held
	for _, kind := range []string{retention.Logs, retention.Traces} {
		streams, err := at.logs.Held(ctx, kind)
		if err != nil {
			return fmt.Errorf("read the streams of %s: %w", kind, err)
		}
		held = append(held, streams...)
	}
	changed, err := keeping.Apply(ctx, at.logs, held, policy)
	if err != nil {
		return err
	}
	for _, target := range changed {
		fmt.Fprintf(s.app.deps.stderr, "note: %s is kept for %s again, as retention set asked\n", target, policyText(policy, target))
	}
	s.nameMissing(policy.Missing(held))
	return nil
}

func policyText(policy keeping.Policy, target string) string {
	kind, name, _ := strings.Cut(target, "/")
	return daysOf(policy.Stream(kind, name))
}

func (s *session) nameMissing(missing []string) {
	if len(missing) == 0 {
		return
	}
	slices.Sort(missing)
	fmt.Fprintf(s.app.deps.stderr, "note: there is no stream %s yet; the next up after it came sets its retention\n", strings.Join(missing, ", "))
}
