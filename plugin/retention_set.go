package plugin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/keeping"
	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/report/retention"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

type retentionSetOptions struct {
	yes     bool
	timeout time.Duration
	format  string
}

func newRetentionSetCommand(a *app) *cobra.Command {
	opts := retentionSetOptions{timeout: startTimeout, format: "table"}
	cmd := &cobra.Command{
		Use:   "set TARGET=TIME...",
		Short: "Set how long data is kept, and see that the store took it",
		Long: `Set how long data is kept, and see that the store took it. A TARGET is one of:
  metrics        VictoriaMetrics, a day at least; it deletes whole months
  logs           OpenObserve, three days at least, whole ones: all streams that
                 have no setting of their own, those of traces among them
  traces         each stream of traces
  logs/STREAM    one stream, also traces/STREAM
A TIME has a unit: 36h, 7d, 4w, 3M (of 31 days), 1y; default takes a setting back.

metrics and logs bring VictoriaMetrics or OpenObserve up anew, and nothing else; a stream's is told to the running
OpenObserve. Before a retention gets shorter the command says what that deletes and when, and asks; without a terminal it
needs --yes. It is remembered, so that a later up, config and eject have it.`,
		Example: `  docker telemetry retention set metrics=30d logs=7d
  docker telemetry retention set logs/docker=3d --yes
  docker telemetry retention set logs/docker=default`,
		Args:              argsBetween(1, -1, "TARGET=TIME, for example metrics=30d"),
		ValidArgsFunction: completeWords("metrics=", "logs=", "traces="),
		RunE:              func(cmd *cobra.Command, args []string) error { return runRetentionSet(cmd.Context(), a, args, opts) },
	}
	cmd.Flags().BoolVarP(&opts.yes, "yes", "y", false, "Do not ask")
	cmd.Flags().DurationVar(&opts.timeout, "timeout", opts.timeout, "How long to wait for health, and then for the store to say it")
	addFormat(cmd, &opts.format, "table", "json")
	return cmd
}

func runRetentionSet(ctx context.Context, a *app, words []string, opts retentionSetOptions) error {
	asked, err := keeping.Parse(words)
	if err != nil {
		return &usageError{
			err: err, advice: "VictoriaMetrics keeps a day at least; OpenObserve does not start with 1 or 2 days, and with 0 it deletes nothing at all",
		}
	}
	s, before, end, err := a.begin(ctx, "retention", "retention set")
	if err != nil {
		return err
	}
	defer end()
	containers, err := s.manager.Containers(ctx, a.name)
	if err != nil {
		return err
	}
	change, err := s.retentionChange(ctx, before, asked)
	if err != nil {
		return err
	}
	if len(containers) == 0 {
		return s.setLater(ctx, change, opts)
	}
	return s.setRetention(ctx, change, opts)
}

// retentionChange is a change of the stack in the making.
type retentionChange struct {
	keeping.Change
	file   state.File // as it is to be remembered
	stores stores
}

// retentionChange works out what would be. It refuses what would not come about because an overlay says otherwise.
func (s *session) retentionChange(ctx context.Context, before settings.Result, asked keeping.Policy) (retentionChange, error) {
	after, err := s.source.Remember(settings.Request{Retention: asked})
	if err != nil {
		return retentionChange{}, err
	}
	change := retentionChange{
		Change: keeping.Change{Asked: asked, Before: before.File.Retention, After: after.File.Retention}, file: after.File,
	}
	if change.Was, err = s.startsWith(ctx, before.Settings); err != nil {
		return change, err
	}
	if change.Will, err = s.startsWith(ctx, after.Settings); err != nil {
		return change, err
	}
	if target := change.Overruled(); target != "" {
		return change, &stack.Error{
			Text:   fmt.Sprintf("an overlay sets the retention of %s itself, to %q", target, change.Will[target]),
			Advice: "change it there, or leave it out: docker telemetry up -f none",
		}
	}
	change.stores, err = storesOf(after)
	return change, err
}

// startsWith is the retention that the project of some settings starts the stores with.
func (s *session) startsWith(ctx context.Context, of stack.Settings) (map[string]string, error) {
	project, err := stack.Load(ctx, s.manager.Bundle, of)
	if err != nil {
		return nil, err
	}
	return stack.Retention(project), nil
}

func (s *session) setRetention(ctx context.Context, change retentionChange, opts retentionSetOptions) error {
	found := change.stores.inForce(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := change.refuseUnknown(found); err != nil {
		return err
	}
	if change.Idle(found) {
		s.close()
		fmt.Fprintln(s.app.deps.stderr, "it is kept so already; nothing was changed")
		return change.print(s.app, found, opts.format)
	}
	if shorter := change.Shorter(found); len(shorter) > 0 {
		if err := s.consent(ctx, change, shorter, opts.yes); err != nil {
			return err
		}
	}
	// Remembered before it is done: after Ctrl-C the next up brings about what was asked for.
	if err := s.state.Save(change.file); err != nil {
		return err
	}
	if change.Restarts() {
		if err := s.bringRemembered(ctx, opts.timeout); err != nil {
			return err
		}
	}
	found, err := s.seeTaken(ctx, change, opts.timeout)
	if err != nil {
		return err
	}
	s.close()
	return change.print(s.app, found, opts.format)
}

// bringRemembered brings the stack up as it is remembered.
func (s *session) bringRemembered(ctx context.Context, timeout time.Duration) error {
	result, project, err := s.prepare(ctx, settings.Request{})
	if err != nil {
		return err
	}
	if err := s.bringUp(ctx, result.File, project, stack.UpOptions{Wait: true, WaitTimeout: timeout}); err != nil {
		return leftRunning(ctx, s.app.name, err)
	}
	return nil
}

// setLater is for a stack that does not run: what its stores have cannot be asked.
func (s *session) setLater(ctx context.Context, change retentionChange, opts retentionSetOptions) error {
	s.close()
	if shorter := change.Shorter(keeping.InForce{}); len(shorter) > 0 {
		fmt.Fprintf(s.app.deps.stderr, "shorter: %s; what that deletes is not known, for the stack does not run\n", strings.Join(shorter, ", "))
		if err := s.app.consent(ctx, opts.yes); err != nil {
			return err
		}
	}
	if err := s.state.Save(change.file); err != nil {
		return err
	}
	printHint(s.app.deps.stderr, s.app.name, "the stack does not run, and is started with it: docker telemetry up")
	return change.print(s.app, keeping.InForce{}, opts.format)
}

func (c retentionChange) print(a *app, found keeping.InForce, format string) error {
	return printRetention(a, retentionRows(c.file, c.Will, found), format)
}

// refuseUnknown stops at a stream that is not there: a typo would be remembered and do nothing.
func (c retentionChange) refuseUnknown(found keeping.InForce) error {
	if found.Logs == nil {
		if c.Asked.OfStreams() {
			return &codeError{code: exitUnchecked, err: &stack.Error{
				Text: "OpenObserve does not answer, and keeps the settings of streams itself", Advice: "docker telemetry status",
			}}
		}
		return nil
	}
	for _, target := range c.Asked.Missing(found.Streams) {
		if c.Before[target] == "" || c.Asked[target] != keeping.Default {
			return &usageError{err: fmt.Errorf("there is no stream %s", target), advice: "the streams: docker telemetry retention ls"}
		}
	}
	return nil
}

// consent says what goes, and when, and asks.
func (s *session) consent(ctx context.Context, change retentionChange, shorter []string, yes bool) error {
	lines, err := s.whatGoes(ctx, change)
	s.close()
	if err != nil {
		return err
	}
	if len(lines) == 0 {
		lines = []string{"shorter: " + strings.Join(shorter, ", ") + "; nothing is there yet that it deletes"}
	}
	for _, line := range lines {
		fmt.Fprintln(s.app.deps.stderr, render.Escape(line))
	}
	return s.app.consent(ctx, yes)
}

// consent is for what deletes: off a terminal nobody can be asked, and the command alone is too little.
func (a *app) consent(ctx context.Context, yes bool) error {
	switch {
	case yes:
		return nil
	case !a.deps.stdinTerminal():
		return &usageError{err: errors.New("data goes sooner with it, and there is no terminal to ask at"), advice: "if that is meant, add --yes"}
	}
	printHint(a.deps.stderr, a.name, "keep a copy first: docker telemetry snapshot create")
	agreed, err := a.ask(ctx, "Go on?")
	if err == nil && !agreed {
		return &stack.Error{Text: "nothing was changed", Advice: "a longer retention deletes nothing"}
	}
	return err
}

// whatGoes words what the change deletes, by the report on retention.
func (s *session) whatGoes(ctx context.Context, change retentionChange) ([]string, error) {
	const reading = "Stores"
	s.progress.Waiting(reading)
	request := retention.Request{Now: s.app.deps.now().UTC(), Horizon: 24 * time.Hour}
	collected, err := retention.Collect(ctx, change.stores.metrics, change.stores.logs, request)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		s.progress.Failed(reading)
		return []string{"what it deletes is not known: " + err.Error()}, nil
	}
	s.progress.Found(reading)
	report, err := retention.Analyse(collected, retention.Options{WhatIf: change.Wanted()})
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, one := range report.WhatIf.Changes {
		if one.DaysBefore == 0 || one.Days < one.DaysBefore {
			lines = append(lines, one.Consequence())
		}
	}
	if !report.Complete {
		lines = append(lines, "a store did not answer: it may be more")
	}
	return lines, nil
}

// seeTaken tells OpenObserve the settings of streams, and waits until both stores say that they keep to what is asked.
func (s *session) seeTaken(ctx context.Context, change retentionChange, timeout time.Duration) (keeping.InForce, error) {
	const id = "Retention: the stores keep to it"
	s.progress.Waiting(id)
	began := time.Now()
	for {
		found := change.stores.inForce(ctx)
		changed, err := keeping.Apply(ctx, change.stores.logs, found.Streams, change.After, change.Dropped()...)
		if ctx.Err() != nil {
			return found, leftRunning(ctx, s.app.name, ctx.Err())
		}
		if err == nil && len(changed) == 0 && change.Taken(found) {
			s.progress.Found(id)
			return found, nil
		}
		if time.Since(began) > timeout {
			s.progress.Failed(id)
			return found, notTaken(found, err)
		}
		if len(changed) == 0 && !sleep(ctx, time.Second) {
			return found, leftRunning(ctx, s.app.name, ctx.Err())
		}
	}
}

func notTaken(found keeping.InForce, err error) error {
	cause := strings.Join(found.Notes, "; ")
	if err != nil {
		cause = err.Error()
	}
	if cause == "" {
		return &codeError{code: exitFindings, err: &stack.Error{
			Text: "a store does not keep to what it was told", Advice: "see which: docker telemetry retention ls",
		}}
	}
	return &codeError{code: exitUnchecked, err: &stack.Error{
		Text: "it was set, and a store does not say whether it took it: " + cause, Advice: "docker telemetry status",
	}}
}
