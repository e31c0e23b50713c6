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
			s, err := a.open(cmd.Context(), verb)
			if err != nil {
				return err
			}
			defer s.close()
			components, err := s.components(cmd.Context(), args)
			if err != nil {
				return err
			}
			unlock, err := s.lock(cmd.Context(), verb)
			if err != nil {
				return err
			}
			defer unlock()
			return run(cmd.Context(), s, components)
		},
	}
}

// components resolves words to components: those of every stack, and those that this one has.
func (s *session) components(ctx context.Context, words []string) ([]string, error) {
	names, err := stack.ResolveComponents(words)
	if err == nil {
		return names, nil
	}
	containers, listErr := s.manager.Containers(ctx, s.state.Name)
	if listErr != nil {
		return nil, listErr
	}
	var others []string
	for _, c := range containers {
		others = append(others, c.Component)
	}
	return stack.ResolveComponents(words, others...)
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
		if file, err := s.state.Load(); err == nil {
			s.restoreJoins(ctx, file)
		}
		return s.setPhase("running")
	})
}

func newStopCommand(a *app) *cobra.Command {
	return newLifecycleCommand(a, "stop", "Stop components; containers and data stay", func(ctx context.Context, s *session, components []string) error {
		// A container whose network was removed while it was stopped does not start again.
		if len(components) == 0 {
			if err := s.manager.SyncJoins(ctx, a.name, nil); err != nil {
				return err
			}
		}
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
