package stack

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/docker/compose/v5/pkg/api"
)

// Stop stops components, all when none is named; their containers and data stay.
func (m *Manager) Stop(ctx context.Context, name string, components []string) error {
	if err := m.mustExist(ctx, name); err != nil {
		return err
	}
	return m.Compose.Stop(ctx, name, api.StopOptions{Services: components})
}

// Restart restarts components, all when none is named, and waits until they are ready.
func (m *Manager) Restart(ctx context.Context, name string, components []string, timeout time.Duration) error {
	if err := m.mustExist(ctx, name); err != nil {
		return err
	}
	if err := m.Compose.Restart(ctx, name, api.RestartOptions{Services: components, NoDeps: true}); err != nil {
		return fmt.Errorf("restart %q: %w", name, err)
	}
	return m.waitNamed(ctx, name, components, timeout)
}

// Logs follows or prints the logs of components, all when none is named.
func (m *Manager) Logs(ctx context.Context, name string, consumer api.LogConsumer, options api.LogOptions) error {
	if err := m.mustExist(ctx, name); err != nil {
		return err
	}
	return m.Compose.Logs(ctx, name, consumer, options)
}

func (m *Manager) mustExist(ctx context.Context, name string) error {
	if err := m.refuseForeign(ctx, name); err != nil {
		return err
	}
	containers, err := m.Containers(ctx, name)
	if err != nil {
		return err
	}
	if len(containers) == 0 {
		return NotRunning(name)
	}
	return nil
}

// NotRunning is the error of every command that needs a stack where there is none.
func NotRunning(name string) error {
	return &Error{Text: fmt.Sprintf("there is no stack %q on this engine", name), Advice: "start it: docker telemetry up"}
}

// Start starts stopped components, all when none is named, with the configuration they were made with, and waits
// until they are ready.
func (m *Manager) Start(ctx context.Context, name string, components []string, timeout time.Duration) error {
	if err := m.mustExist(ctx, name); err != nil {
		return err
	}
	if err := m.Compose.Start(ctx, name, api.StartOptions{AttachTo: components}); err != nil {
		return fmt.Errorf("start %q: %w", name, err)
	}
	return m.waitNamed(ctx, name, components, timeout)
}

// waitNamed waits for the replicas that components have now, those of all when none is named.
func (m *Manager) waitNamed(ctx context.Context, name string, components []string, timeout time.Duration) error {
	containers, err := m.Containers(ctx, name)
	if err != nil {
		return err
	}
	want := map[string]int{}
	for _, c := range containers {
		if len(components) == 0 || slices.Contains(components, c.Component) {
			want[c.Component]++
		}
	}
	return m.WaitReady(ctx, name, want, timeout)
}
