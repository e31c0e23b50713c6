package plugin

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

func newConfigCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "Show the compose project that up runs, without its secrets",
		Args:  argsBetween(0, 0, ""),
		RunE:  func(cmd *cobra.Command, _ []string) error { return runConfig(cmd.Context(), a) },
	}
}

func runConfig(ctx context.Context, a *app) error {
	s, err := a.open(ctx, "")
	if err != nil {
		return err
	}
	remembered, err := s.source.Remember(settings.Request{})
	if err != nil {
		return err
	}
	project, err := stack.Load(ctx, s.manager.Bundle, remembered.Settings)
	if err != nil {
		return err
	}
	text, err := stack.YAML(project)
	if err != nil {
		return err
	}
	_, err = a.deps.stdout.Write(text)
	return err
}
