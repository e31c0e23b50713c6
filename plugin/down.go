package plugin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/provider"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

type downOptions struct {
	volumes bool
	yes     bool
}

func newDownCommand(a *app) *cobra.Command {
	var opts downOptions
	cmd := &cobra.Command{
		Use:   "down [OPTIONS]",
		Short: "Stop and remove the pipeline; its data stays",
		Long: `Stop and remove the pipeline: its containers and networks. The volumes with its data stay, and so do its
credentials, unless --volumes says otherwise. Only what carries the stack's labels is removed.`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return runDown(cmd.Context(), a, opts) },
	}
	cmd.Flags().BoolVar(&opts.volumes, "volumes", false, "Remove the data as well: all volumes of the stack, and its credentials")
	cmd.Flags().BoolVarP(&opts.yes, "yes", "y", false, "Do not ask")
	return cmd
}

func runDown(ctx context.Context, a *app, opts downOptions) error {
	s, err := a.open(ctx, "down")
	if err != nil {
		return err
	}
	defer s.close()
	unlock, err := s.lock(ctx, "down")
	if err != nil {
		return err
	}
	defer unlock()
	volumes, err := s.manager.Volumes(ctx, a.name)
	if err != nil {
		return err
	}
	containers, err := s.manager.Containers(ctx, a.name)
	if err != nil {
		return err
	}
	if len(containers) == 0 && (len(volumes) == 0 || !opts.volumes) {
		return nothingToRemove(a, len(volumes))
	}
	if opts.volumes && len(volumes) > 0 {
		fmt.Fprintf(a.deps.stderr, "removes for good: %s\n", strings.Join(volumes, ", "))
		printHint(a.deps.stderr, a.name, "keep a copy first: docker telemetry snapshot create")
		if err := a.confirm(ctx, opts.yes, "Remove the stack and all its data?", "without --volumes the data stays"); err != nil {
			return err
		}
	}
	s.sayWhoUses()
	if err := s.manager.Down(ctx, a.name, opts.volumes); err != nil {
		return downLeft(ctx, a.name, err)
	}
	if opts.volumes {
		// New volumes take new credentials; the old ones would open nothing.
		return s.forget()
	}
	return s.setPhase("stopped")
}

// sayWhoUses names the Compose projects that lose the stack by what a person does.
func (s *session) sayWhoUses() {
	file, err := s.state.Load()
	if err != nil || len(provider.Active(file.Uses)) == 0 {
		return
	}
	fmt.Fprintf(s.app.deps.stderr, "note: Compose projects use it, and bring it back with their next docker compose up: %s\n",
		strings.Join(provider.Projects(provider.Active(file.Uses)), ", "))
}

func nothingToRemove(a *app, volumes int) error {
	if volumes == 0 {
		fmt.Fprintf(a.deps.stderr, "there is no stack %q on this engine\n", a.name)
		return nil
	}
	fmt.Fprintf(a.deps.stderr, "stack %q is down already; its data is in %d volumes\n", a.name, volumes)
	return nil
}

// confirm asks on a terminal. Elsewhere the command that asked for the removal is consent enough. otherwise is the hint
// for who says no.
func (a *app) confirm(ctx context.Context, yes bool, question, otherwise string) error {
	if yes || !a.deps.stdinTerminal() {
		return nil
	}
	agreed, err := a.ask(ctx, question)
	if err == nil && !agreed {
		return &stack.Error{Text: "nothing was removed", Advice: otherwise}
	}
	return err
}

func downLeft(ctx context.Context, name string, err error) error {
	if ctx.Err() == nil || !errors.Is(err, context.Canceled) {
		return err
	}
	return &interruptedError{
		left:   fmt.Sprintf("stack %q is half removed", name),
		advice: "docker telemetry down finishes it, docker telemetry up brings it back",
		err:    err,
	}
}

// setPhase records what the stack does now; a stack that this machine has no state of stays without.
func (s *session) setPhase(phase string) error {
	file, err := s.state.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	file.Phase = phase
	return s.state.Save(file)
}

func (s *session) forget() error { return s.state.Remove() }
