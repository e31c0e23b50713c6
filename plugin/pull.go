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
		Long: `Pull the images of the pinned versions. What each tag stands for is kept for the stack, and status says when a
component runs something else: a tag can be moved. After a pull, up brings the components to the images that were pulled.`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return runPull(cmd.Context(), a, missing) },
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
	if err := s.manager.Pull(ctx, project); err != nil || !remembered.Known {
		return err // the first up keeps what it finds
	}
	unlock, err := s.lock(ctx, "pull")
	if err != nil {
		return err
	}
	defer unlock()
	images, err := s.manager.LockImages(ctx, project, nil)
	if err != nil {
		return err
	}
	return settings.WriteImages(s.state, images)
}
