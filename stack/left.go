package stack

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

const (
	// volumeProbe is the ProbeLabel of a VolumeHolder.
	volumeProbe = "volume"
	// attended is the UntilLabel of a container that ends with the process that attends it.
	attended = "attended"
	// leftAfter is for those without UntilLabel, which live for seconds.
	leftAfter = 5 * time.Minute
)

// until is the value of UntilLabel for what a process needs until then. The clock that reads it may be another machine's.
func until(at time.Time) string { return at.Add(time.Minute).UTC().Format(time.RFC3339) }

// isLeft reports whether the process that made a container of ours is gone, by what the container itself tells. A VolumeHolder
// tells nothing: it is needed as long as a volume is large, by who has the stack's lock.
func isLeft(item container.Summary, now time.Time) bool {
	if item.Labels[ProbeLabel] == volumeProbe {
		return false
	}
	value := item.Labels[UntilLabel]
	if value == attended {
		return item.State != container.StateRunning
	}
	if at, err := time.Parse(time.RFC3339, value); err == nil {
		return now.After(at)
	}
	return now.Sub(time.Unix(item.Created, 0)) > leftAfter
}

// Leftovers names the containers that proofs have left. Those that a process still needs are none.
func (m *Manager) Leftovers(ctx context.Context, name string) ([]string, error) {
	items, err := m.probes(ctx, name)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	names := []string{}
	for _, item := range items {
		if isLeft(item, now) {
			names = append(names, cmp.Or(containerName(item), item.ID))
		}
	}
	slices.Sort(names)
	return names, nil
}

// RemoveLeftovers removes what Leftovers names.
func (m *Manager) RemoveLeftovers(ctx context.Context, name string) error {
	return m.removeProbes(ctx, name, isLeft)
}

// RemoveUnlocked is for who has the stack's lock and is about to change it: a VolumeHolder is of a process that was killed, and a proof
// most likely of an up that was. Only a watch goes on, which is for seeing what a change does.
func (m *Manager) RemoveUnlocked(ctx context.Context, name string) error {
	return m.removeProbes(ctx, name, func(item container.Summary, now time.Time) bool {
		return item.Labels[UntilLabel] != attended || isLeft(item, now)
	})
}

// removeEveryProbe is for the end of a stack, whoever looks at it.
func (m *Manager) removeEveryProbe(ctx context.Context, name string) error {
	return m.removeProbes(ctx, name, func(container.Summary, time.Time) bool { return true })
}

func (m *Manager) removeProbes(ctx context.Context, name string, which func(item container.Summary, now time.Time) bool) error {
	items, err := m.probes(ctx, name)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, item := range items {
		if !which(item, now) {
			continue
		}
		if err := m.RemoveProbe(ctx, item.ID); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manager) probes(ctx context.Context, name string) ([]container.Summary, error) {
	found, err := m.Docker.ContainerList(ctx, client.ContainerListOptions{
		All: true, Filters: make(client.Filters).Add("label", StackLabel+"="+name, ProbeLabel),
	})
	if err != nil {
		return nil, fmt.Errorf("list the probes of stack %q: %w", name, err)
	}
	return found.Items, nil
}
