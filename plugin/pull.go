package plugin

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

func newPullCommand(a *app) *cobra.Command {
	missing := false
	cmd := &cobra.Command{
		Use:   "pull",
		Short: "Pull the images of the pinned versions",
		Args:  argsBetween(0, 0, ""),
		RunE:  func(cmd *cobra.Command, _ []string) error { return runPull(cmd.Context(), a, missing) },
	}
	cmd.Flags().BoolVar(&missing, "missing", false, "Only those that the engine does not have")
	return cmd
}

func runPull(ctx context.Context, a *app, missing bool) error {
	s, err := a.open(ctx, "pull")
	if err != nil {
		return err
	}
	defer s.close()
	remembered, err := s.source.Remember(settings.Request{})
	if err != nil {
		return err
	}
	project, err := stack.Load(ctx, s.manager.Bundle, remembered.Settings)
	if err != nil {
		return err
	}
	if missing {
		return s.manager.PullMissing(ctx, project)
	}
	return s.manager.Pull(ctx, project)
}
