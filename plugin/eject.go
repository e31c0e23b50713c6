package plugin

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/keeping"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

func newEjectCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "eject DIR",
		Short: "Write compose files that run the pipeline without this plugin",
		Long: `Write the pipeline to a new folder as plain compose files: compose.yaml, config/ and secrets/. They run with
docker compose up alone and use the same volumes and credentials. Keep the folder private: secrets/ is in it.`,
		Args: argsBetween(1, 1, "a folder to write to"),
		RunE: func(cmd *cobra.Command, args []string) error { return runEject(cmd.Context(), a, args[0]) },
	}
}

func runEject(ctx context.Context, a *app, dir string) error {
	s, err := a.open(ctx, "")
	if err != nil {
		return err
	}
	unlock, err := s.lock(ctx, "eject")
	if err != nil {
		return err
	}
	defer unlock()
	remembered, err := s.source.Remember(settings.Request{})
	if err != nil {
		return err
	}
	if err := s.refuseStranger(ctx, remembered); err != nil {
		return err
	}
	result, err := s.source.Prepare(ctx, settings.Request{})
	if err != nil {
		return err
	}
	if err := s.state.Save(result.File); err != nil {
		return err
	}
	project, err := stack.Load(ctx, s.manager.Bundle, result.Settings)
	if err != nil {
		return err
	}
	if err := stack.Eject(project, dir); err != nil {
		return err
	}
	fmt.Fprintf(a.deps.stdout, "%s\n", dir)
	if keeping.Policy(result.File.Retention).OfStreams() {
		fmt.Fprintln(a.deps.stderr, "note: the retention of streams is kept in OpenObserve's volume, not in these files")
	}
	fmt.Fprintf(a.deps.stderr, "hint: docker compose --project-directory %s up --detach --wait\n", dir)
	return nil
}
