package plugin

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

// start, stop and restart differ in one call, so they share the shape.
func newLifecycleCommand(a *app, verb, short string, run func(context.Context, *session, []string) error) *cobra.Command {
	return &cobra.Command{
		Use:               verb + " [COMPONENT...]",
		Short:             short,
		ValidArgsFunction: completeComponents,
		RunE: func(cmd *cobra.Command, args []string) error {
			components, err := stack.ResolveComponents(args)
			if err != nil {
				return err
			}
			s, err := a.open(cmd.Context(), verb)
			if err != nil {
				return err
			}
			defer s.close()
			unlock, err := s.lock(cmd.Context(), verb)
			if err != nil {
				return err
			}
			defer unlock()
			return run(cmd.Context(), s, components)
		},
	}
}

const startTimeout = 2 * time.Minute

func newStartCommand(a *app) *cobra.Command {
	return newLifecycleCommand(a, "start", "Start stopped components, as they were", func(ctx context.Context, s *session, components []string) error {
		if err := s.placeCertificate(ctx); err != nil {
			return err
		}
		if err := s.manager.Start(ctx, a.name, components, startTimeout); err != nil {
			return err
		}
		if len(components) > 0 {
			return nil
		}
		return s.setPhase("running")
	})
}

func newStopCommand(a *app) *cobra.Command {
	return newLifecycleCommand(a, "stop", "Stop components; containers and data stay", func(ctx context.Context, s *session, components []string) error {
		if err := s.manager.Stop(ctx, a.name, components); err != nil {
			return err
		}
		if len(components) > 0 {
			return nil
		}
		return s.setPhase("stopped")
	})
}

func newRestartCommand(a *app) *cobra.Command {
	return newLifecycleCommand(a, "restart", "Restart components", func(ctx context.Context, s *session, components []string) error {
		return s.manager.Restart(ctx, a.name, components, startTimeout)
	})
}

// remembered loads the settings of a stack that `up` has run, without making anything.
func (s *session) remembered() (settings.Result, error) {
	if _, err := s.state.Load(); errors.Is(err, fs.ErrNotExist) {
		return settings.Result{}, &stack.Error{
			Text:   "this machine has no state of stack " + quoted(s.state.Name),
			Advice: "start it here: docker telemetry up",
		}
	}
	return s.source.Remember(settings.Request{})
}
