package plugin

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

func newScaleCommand(a *app) *cobra.Command {
	timeout := startTimeout
	cmd := &cobra.Command{
		Use:   "scale COMPONENT=N...",
		Short: "Set the number of replicas, and remember it",
		Long: `Set the number of replicas, and remember it for the next up. It returns when every replica is healthy and the
balancer sends to each of them and to no other, as measured; the balancer is not reloaded for it.`,
		Example:           `  docker telemetry scale aggregator=3`,
		Args:              argsBetween(1, -1, "COMPONENT=N, for example aggregator=3"),
		ValidArgsFunction: completeScale,
		RunE:              func(cmd *cobra.Command, args []string) error { return runScale(cmd.Context(), a, args, timeout) },
	}
	cmd.Flags().DurationVar(&timeout, "timeout", timeout, "How long to wait for health")
	return cmd
}

func runScale(ctx context.Context, a *app, pairs []string, timeout time.Duration) error {
	scale, err := stack.ParseScale(pairs)
	if err != nil {
		return err
	}
	s, err := a.open(ctx, "scale")
	if err != nil {
		return err
	}
	defer s.close()
	unlock, err := s.lock(ctx, "scale")
	if err != nil {
		return err
	}
	defer unlock()
	containers, err := s.manager.Containers(ctx, a.name)
	if err != nil {
		return err
	}
	if len(containers) == 0 {
		return stack.NotRunning(a.name)
	}
	if _, err := s.remembered(); err != nil {
		return err
	}
	result, project, err := s.prepare(ctx, settings.Request{Scale: scale})
	if err != nil {
		return err
	}
	// Remembered before it is done: after Ctrl-C the next `up` brings about what was asked for.
	if err := s.state.Save(result.File); err != nil {
		return err
	}
	if err := s.manager.Scale(ctx, project, timeout); err != nil {
		return leftRunning(ctx, a.name, err)
	}
	s.close()
	for name, replicas := range scale {
		if replicas == 1 {
			fmt.Fprintf(a.deps.stdout, "%s: 1 replica, the balancer sends to it\n", name)
			continue
		}
		fmt.Fprintf(a.deps.stdout, "%s: %d replicas, the balancer sends to each of them\n", name, replicas)
	}
	return nil
}
