package plugin

import (
	"context"
	"io"

	"github.com/aymanbagabas/go-udiff"
	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

type configOptions struct {
	layers layerOptions
	diff   bool
}

func newConfigCommand(a *app) *cobra.Command {
	var opts configOptions
	cmd := &cobra.Command{
		Use:   "config [OPTIONS]",
		Short: "Show the compose project that up runs, without its secrets",
		Long: `Show the compose project that up runs, without its secrets. With --profile or -f it is the project that an up with
these would run; --diff shows how that one differs from the stack as it is remembered.`,
		Example: `  docker telemetry config
  docker telemetry config --profile otel --diff`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return runConfig(cmd.Context(), a, opts) },
	}
	opts.layers.addTo(a, cmd)
	cmd.Flags().BoolVar(&opts.diff, "diff", false, "Show the difference to the project without these options")
	return cmd
}

func runConfig(ctx context.Context, a *app, opts configOptions) error {
	s, err := a.open(ctx, "")
	if err != nil {
		return err
	}
	var request settings.Request
	opts.layers.into(&request)
	after, err := s.composeText(ctx, request)
	if err != nil {
		return err
	}
	if !opts.diff {
		_, err = a.deps.stdout.Write(after)
		return err
	}
	before, err := s.composeText(ctx, settings.Request{})
	if err != nil {
		return err
	}
	_, err = io.WriteString(a.deps.stdout, udiff.Unified("now", "then", string(before), string(after)))
	return err
}

// composeText is the project that an up with a request would run, as a compose file.
func (s *session) composeText(ctx context.Context, request settings.Request) ([]byte, error) {
	remembered, err := s.source.Remember(request)
	if err != nil {
		return nil, err
	}
	project, err := stack.Load(ctx, s.manager.Bundle, remembered.Settings)
	if err != nil {
		return nil, err
	}
	return stack.YAML(project)
}
