package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/docker-telemetry/docker-telemetry/internal/screen"
	"github.com/docker-telemetry/docker-telemetry/pipeline"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

type flowOptions struct {
	format string
	every  time.Duration
	looks  int
}

func newFlowCommand(a *app) *cobra.Command {
	opts := flowOptions{format: "auto", every: 5 * time.Second}
	cmd := &cobra.Command{
		Use:   "flow [OPTIONS]",
		Short: "Watch what goes through each hop: events, errors, losses, buffers",
		Long: `Watch what goes through each hop: events and bytes per second, errors, losses, how full the buffers are and when a
source last gave something. On a terminal it is a live screen: choose a hop, look into its sources and sinks, its log,
or the events that come out of it. Elsewhere, and with --format json, it prints one JSON object a line.

The figures are the components' own, out of VictoriaMetrics; where those do not arrive, the components are asked.`,
		Example: `  docker telemetry flow
  docker telemetry flow --count 1 | jq '.hops[] | {component, in, lostPerSecond}'`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return runFlow(cmd.Context(), a, opts) },
	}
	cmd.Flags().DurationVar(&opts.every, "every", opts.every, "How often to look; the components write their figures every 15 s")
	cmd.Flags().IntVar(&opts.looks, "count", 0, "End after so many objects (default without end)")
	addFormat(cmd, &opts.format, "auto", "screen", "json")
	return cmd
}

// soonest keeps a screen from being what the pipeline is busy with.
const soonest = time.Second

func runFlow(ctx context.Context, a *app, opts flowOptions) error {
	onTerminal := a.deps.stdinTerminal() && a.deps.stdoutTerminal()
	live := opts.format == "screen" || opts.format == "auto" && onTerminal && opts.looks == 0
	switch {
	case opts.every < soonest:
		return &usageError{err: fmt.Errorf("--every takes %s or more", soonest)}
	case opts.looks < 0:
		return &usageError{err: fmt.Errorf("--count takes a number of objects, not %d", opts.looks)}
	case live && !onTerminal:
		return &usageError{err: errors.New("the screen needs a terminal"), advice: "--format json prints an object a line"}
	}
	s, err := a.open(ctx, "")
	if err != nil {
		return err
	}
	looker, err := s.looker(ctx)
	if err != nil {
		return err
	}
	if !live {
		return printFlows(ctx, a, looker, opts)
	}
	return screen.Flow(ctx, screen.FlowSource{
		Stack: a.name, Look: looker.Look,
		Logs: func(ctx context.Context, hop pipeline.Hop, line func(string)) error {
			return s.ofHop(ctx, hop, func(c stack.Container) error { return s.manager.Follow(ctx, c, screenLines, line) })
		},
		Tap: func(ctx context.Context, hop pipeline.Hop, line func(string)) error {
			return s.ofHop(ctx, hop, func(c stack.Container) error { return s.manager.Tap(ctx, c, hop.Outputs(), line) })
		},
		// The files: what the Docker CLI wraps around them is no terminal to who sets its mode and asks for its size.
	}, opts.every, os.Stdin, os.Stdout, os.Environ())
}

// screenLines are the last lines of a log that a screen begins with.
const screenLines = 100

// looker reads the store through the gateway, and the components by the engine.
func (s *session) looker(ctx context.Context) (*pipeline.Looker, error) {
	containers, err := s.manager.Containers(ctx, s.state.Name)
	if err != nil {
		return nil, err
	}
	if len(containers) == 0 {
		return nil, stack.NotRunning(s.state.Name)
	}
	looker := &pipeline.Looker{Counters: s.counters, Now: s.source.Now, Between: pipeline.CountersEvery + time.Second}
	result, err := s.remembered()
	if err != nil {
		// A stack that another machine started: its log-ins are not here.
		looker.Query = func(context.Context, string) ([]pipeline.Reading, error) { return nil, err }
		return looker, nil
	}
	client, err := gatewayClient(result, 0)
	if err != nil {
		return nil, err
	}
	store := victoriaMetrics(result, client)
	looker.Query = func(ctx context.Context, query string) ([]pipeline.Reading, error) {
		samples, err := store.QueryLatest(ctx, query)
		readings := make([]pipeline.Reading, 0, len(samples))
		for _, sample := range samples {
			readings = append(readings, pipeline.Reading{Name: sample.Labels["__name__"], Labels: sample.Labels, Value: sample.Value})
		}
		return readings, err
	}
	return looker, nil
}

// counters asks each container of agent and aggregator what it counts.
func (s *session) counters(ctx context.Context) (all []pipeline.Counter, notes []string, err error) {
	containers, err := s.manager.Containers(ctx, s.state.Name)
	if err != nil {
		return nil, nil, err
	}
	var mu sync.Mutex
	var group errgroup.Group
	for _, c := range containers {
		if c.Component != stack.Agent && c.Component != stack.Aggregator {
			continue
		}
		group.Go(func() error {
			counters, err := s.countersOf(ctx, c)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, counters...)
			if err != nil {
				notes = append(notes, c.Name+": "+err.Error())
			}
			return nil
		})
	}
	return all, notes, group.Wait()
}

func (s *session) countersOf(ctx context.Context, c stack.Container) ([]pipeline.Counter, error) {
	if !c.Ready() {
		return nil, fmt.Errorf("it does not run: %s", c.Status)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	page, err := s.manager.Counters(ctx, c)
	if err != nil {
		return nil, err
	}
	replica := ""
	if c.Component == stack.Aggregator {
		replica = c.Host()
	}
	return pipeline.ReadCounters(strings.NewReader(page), "vector-"+c.Component, replica)
}

// ofHop finds the container of a hop.
func (s *session) ofHop(ctx context.Context, hop pipeline.Hop, do func(stack.Container) error) error {
	containers, err := s.manager.Containers(ctx, s.state.Name)
	if err != nil {
		return err
	}
	for _, c := range containers {
		if c.Component == hop.Component && (hop.Replica == "" || hop.Replica == c.Host()) {
			return do(c)
		}
	}
	return fmt.Errorf("the container of %s is gone", hop.Component)
}

// printFlows prints a flow a line.
func printFlows(ctx context.Context, a *app, looker *pipeline.Looker, opts flowOptions) error {
	for printed := 1; ; printed++ {
		flow, err := looker.Look(ctx)
		switch {
		case ctx.Err() != nil:
			return ctxEnd(ctx, opts)
		case err != nil:
			return &codeError{code: exitUnchecked, err: err}
		}
		if err := json.NewEncoder(a.deps.stdout).Encode(flow); err != nil {
			return err
		}
		if printed == opts.looks {
			return nil
		}
		if !sleep(ctx, opts.every) {
			return ctxEnd(ctx, opts)
		}
	}
}

// ctxEnd tells the end that watching has from one that cut a count short.
func ctxEnd(ctx context.Context, opts flowOptions) error {
	if opts.looks == 0 {
		return nil
	}
	return ctx.Err()
}
