package plugin

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

func newTargetsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "targets",
		Short: "List or bring in the containers that ask to be scraped by their labels",
		Long: `List or bring in the containers that ask to be scraped. A container with the label telemetry.scrape=true is one;
telemetry.port says on which port its metrics are, telemetry.path where (/metrics without it), telemetry.job under which
job (its Compose service or its name without it). The agent joins its network and scrapes it every 15 s; no file is
edited and nothing is restarted. up brings them in as well, and up --watch whenever one starts or ends.`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newTargetsVerb(a, "ls", "List the containers that ask to be scraped, and why one is not", (*session).targets),
		newTargetsVerb(a, "sync", "Bring them in, and take out those that went", (*session).syncTargets),
	)
	return cmd
}

func newTargetsVerb(a *app, verb, short string, get func(*session, context.Context) ([]stack.Target, error)) *cobra.Command {
	format := "table"
	cmd := &cobra.Command{
		Use:   verb,
		Short: short,
		Long:  short + ". It ends with exit code 3 when one that asks is not scraped.",
		Args:  argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.open(cmd.Context(), "targets")
			if err != nil {
				return err
			}
			defer s.close()
			targets, err := get(s, cmd.Context())
			if err != nil {
				return err
			}
			s.close()
			return printTargets(a, targets, format)
		},
	}
	addFormat(cmd, &format, "table", "json")
	return cmd
}

func (s *session) targets(ctx context.Context) ([]stack.Target, error) {
	return s.manager.Targets(ctx, s.state.Name)
}

func (s *session) syncTargets(ctx context.Context) ([]stack.Target, error) {
	unlock, err := s.lock(ctx, "targets sync")
	if err != nil {
		return nil, err
	}
	defer unlock()
	return s.manager.SyncTargets(ctx, s.state.Name)
}

// targetJSON is part of the contract in docs/reference/json.md.
type targetJSON struct {
	Container string            `json:"container"`
	Job       string            `json:"job"`
	URL       string            `json:"url"`
	Network   string            `json:"network"`
	State     stack.TargetState `json:"state"`
	Problem   string            `json:"problem"`
	Samples   int               `json:"samples"`
}

func printTargets(a *app, targets []stack.Target, format string) error {
	rows := make([]targetJSON, 0, len(targets))
	table := make([][]string, 0, len(targets))
	var silent []string
	for _, target := range targets {
		rows = append(rows, targetJSON{
			target.Container, target.Job, target.URL(), target.Network, target.State, target.Problem, target.Samples,
		})
		samples := target.Problem
		if target.State == stack.Scraped {
			samples = strconv.Itoa(target.Samples) + " samples"
		} else {
			silent = append(silent, target.Container)
		}
		table = append(table, []string{target.Container, target.Job, target.URL(), target.Network, string(target.State), samples})
	}
	if format == "json" {
		if err := render.JSON(a.deps.stdout, map[string]any{"schemaVersion": 1, "targets": rows}); err != nil {
			return err
		}
	} else {
		render.Table(a.deps.stdout, []string{"container", "job", "url", "network", "state", "what it gives"}, table)
	}
	if len(silent) == 0 {
		return nil
	}
	refusal := &stack.Error{
		Text:   fmt.Sprintf("%d of %d containers that ask to be scraped are not: %s", len(silent), len(targets), silent[0]),
		Advice: "docker telemetry targets sync brings in what is new",
	}
	return &codeError{code: exitFindings, err: refusal, silent: format == "json"}
}

// bringInTargets is the part of up: what cannot be scraped is the user's container, and no reason to fail.
func (s *session) bringInTargets(ctx context.Context) error {
	targets, err := s.manager.SyncTargets(ctx, s.state.Name)
	if err != nil {
		return err
	}
	for _, target := range targets {
		if target.Problem != "" {
			fmt.Fprintf(s.app.deps.stderr, "warning: container %s asks to be scraped and is not: %s\n",
				render.Escape(target.Container), render.Escape(target.Problem))
		}
	}
	return nil
}

const (
	// settleTarget is the time for what has just started to listen, and for several that start together.
	settleTarget = time.Second
	// askAgain is how often one that gives no metrics yet is asked, and askTimes how many times.
	askAgain = 5 * time.Second
	askTimes = 12
)

// watchTargets brings targets in as they come and go, until the context ends: Ctrl-C is its ordinary end.
func (s *session) watchTargets(ctx context.Context) error {
	fmt.Fprintln(s.app.deps.stderr, "watching for containers with the label telemetry.scrape=true; Ctrl-C ends it, the pipeline runs on")
	changed := make(chan struct{}, 1)
	ended := make(chan error, 1)
	notify := func() {
		select {
		case changed <- struct{}{}:
		default: // one is on its way
		}
	}
	go func() { ended <- s.manager.WatchTargets(ctx, s.state.Name, notify) }()
	shown := map[string]stack.TargetState{}
	left := 0
	notify() // what came between the up and the watch
	for {
		var again <-chan time.Time
		if left > 0 {
			again = time.After(askAgain)
		}
		select {
		case err := <-ended:
			if ctx.Err() != nil {
				return nil //nolint:nilerr // the user ended it
			}
			return err
		case <-changed:
			left = askTimes
			if !sleep(ctx, settleTarget) {
				return nil
			}
		case <-again:
			left--
		}
		targets, err := s.syncTargets(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the user ended it
		}
		if err != nil {
			fmt.Fprintln(s.app.deps.stderr, "warning:", render.Escape(err.Error()))
			continue // the agent may be on its way back
		}
		if s.sayTargets(targets, shown) {
			left = 0
		}
	}
}

// sayTargets prints what differs from before and reports whether every target is settled.
func (s *session) sayTargets(targets []stack.Target, shown map[string]stack.TargetState) bool {
	settled, now := true, map[string]bool{}
	for _, target := range targets {
		now[target.Container] = true
		settled = settled && target.State != stack.Unreachable
		if shown[target.Container] == target.State {
			continue
		}
		shown[target.Container] = target.State
		what := target.URL()
		if target.Problem != "" {
			what = target.Problem
		}
		fmt.Fprintf(s.app.deps.stdout, "%s %s: %s\n", target.State, render.Escape(target.Container), render.Escape(what))
	}
	for name := range shown {
		if !now[name] {
			delete(shown, name)
			fmt.Fprintf(s.app.deps.stdout, "gone %s\n", render.Escape(name))
		}
	}
	return settled
}

// sleep reports whether the context is still good after a while.
func sleep(ctx context.Context, duration time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(duration):
		return true
	}
}
