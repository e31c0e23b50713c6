package stack

import (
	"context"
	"fmt"

	"github.com/docker/compose/v5/pkg/api"
)

// Down removes the stack's containers and networks and, when asked, its volumes. It works from labels, so it needs
// neither state nor the version that started the stack. It refuses when anything foreign has the stack's name.
func (m *Manager) Down(ctx context.Context, name string, volumes bool) error {
	if err := m.refuseForeign(ctx, name); err != nil {
		return err
	}
	if err := m.removeEveryProbe(ctx, name); err != nil {
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
