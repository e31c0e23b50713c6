package stack

import (
	"context"
	"fmt"
	"slices"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// An engine goes on with the requests of a client that was killed. So an up that follows at once may make what the
// engine is just making for the one before: a container's second creation is refused as a conflict, and a network is
// there twice, after which engines up to 24 refuse its name as ambiguous.

// overtaken reports whether a failed up is worth a second try, and removes the networks that are there twice.
func (m *Manager) overtaken(ctx context.Context, name string, err error) (bool, error) {
	twice, mendErr := m.removeTwins(ctx, name)
	return twice || cerrdefs.IsConflict(err), mendErr
}

// removeTwins leaves one of the stack's networks of each name, and reports whether there were more.
func (m *Manager) removeTwins(ctx context.Context, name string) (bool, error) {
	found, err := m.Docker.NetworkList(ctx, client.NetworkListOptions{
		Filters: make(client.Filters).Add("label", StackLabel+"="+name),
	})
	if err != nil {
		return false, fmt.Errorf("list the networks of stack %q: %w", name, err)
	}
	twins := map[string][]network.Summary{}
	for _, item := range found.Items {
		twins[item.Name] = append(twins[item.Name], item)
	}
	removed := false
	for _, same := range twins {
		if len(same) == 1 {
			continue
		}
		if err := m.keepOne(ctx, same); err != nil {
			return removed, err
		}
		removed = true
	}
	return removed, nil
}

// keepOne removes networks, the newest first, until one is left. One with containers on it cannot be removed.
func (m *Manager) keepOne(ctx context.Context, same []network.Summary) error {
	slices.SortFunc(same, func(a, b network.Summary) int { return b.Created.Compare(a.Created) })
	left := len(same)
	var refused error
	for _, twin := range same {
		if left == 1 {
			return nil
		}
		// By its id: the name is what has become ambiguous.
		_, err := m.Docker.NetworkRemove(ctx, twin.ID, client.NetworkRemoveOptions{})
		if err != nil && !cerrdefs.IsNotFound(err) {
			refused = err
			continue
		}
		left--
	}
	if left == 1 {
		return nil
	}
	return &Error{
		Text:   fmt.Sprintf("network %q is there %d times, and all are in use: %s", same[0].Name, left, lastCause(refused)),
		Advice: "remove the stack and start it again, its data stays: docker telemetry down",
		Err:    refused,
	}
}
