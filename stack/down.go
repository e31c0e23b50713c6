package stack

import (
	"context"
	"fmt"
	"time"

	"github.com/docker/compose/v5/pkg/api"
	"github.com/moby/moby/client"
)

// Down removes the stack's containers and networks and, when asked, its volumes. It works from labels, so it needs
// neither state nor the version that started the stack. It refuses when anything foreign has the stack's name.
func (m *Manager) Down(ctx context.Context, name string, volumes bool) error {
	if err := m.refuseForeign(ctx, name); err != nil {
		return err
	}
	if err := m.RemoveProbes(ctx, name, 0); err != nil {
		return err
	}
	if err := m.Compose.Down(ctx, name, api.DownOptions{}); err != nil {
		return fmt.Errorf("remove the stack %q: %w", name, err)
	}
	if !volumes {
		return nil
	}
	// By our label and not by Compose's `Volumes`, which goes by name.
	names, err := m.Volumes(ctx, name)
	if err != nil {
		return err
	}
	return m.RemoveVolumes(ctx, name, names)
}

// RemoveProbes removes the containers that WriteProbe and ServeProbe made, those of a killed process included. It leaves
// those that are younger, which another process may still need.
func (m *Manager) RemoveProbes(ctx context.Context, name string, younger time.Duration) error {
	found, err := m.Docker.ContainerList(ctx, client.ContainerListOptions{
		All: true, Filters: make(client.Filters).Add("label", StackLabel+"="+name, ProbeLabel),
	})
	if err != nil {
		return fmt.Errorf("list the probes of stack %q: %w", name, err)
	}
	for _, item := range found.Items {
		if time.Since(time.Unix(item.Created, 0)) < younger {
			continue
		}
		if _, err := m.Docker.ContainerRemove(ctx, item.ID, client.ContainerRemoveOptions{Force: true}); err != nil {
			return fmt.Errorf("remove probe %s: %w", containerName(item), err)
		}
	}
	return nil
}
