package stack

import (
	"context"
	"errors"
	"fmt"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// Labelled is all on an engine that carries our labels, and what of it is in use.
type Labelled struct {
	Probes   []LabelledThing // containers of ours that are no part of a stack
	Networks []LabelledThing
	Volumes  []LabelledThing
	Running  map[string]bool // stacks with a container, stopped ones as well
	Images   map[string]bool // in use by any container, by ID
}

// LabelledThing is one of them.
type LabelledThing struct {
	ID, Name string
	Stack    string
	Restore  string // the restore that made it, "" for most
	Created  time.Time
	Used     bool // by a container, ours or not
}

// Labelled lists what carries our labels, of every stack.
func (m *Manager) Labelled(ctx context.Context) (Labelled, error) {
	found := Labelled{Running: map[string]bool{}, Images: map[string]bool{}}
	containers, err := m.Docker.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return found, fmt.Errorf("list the containers: %w", err)
	}
	mounted, now := map[string]bool{}, time.Now()
	for _, item := range containers.Items {
		found.Images[item.ImageID] = true
		for _, mount := range item.Mounts {
			mounted[mount.Name] = true
		}
		stack, ours := item.Labels[StackLabel]
		_, probe := item.Labels[ProbeLabel]
		switch {
		case ours && probe && item.Labels[ProbeLabel] != volumeProbe && !isLeft(item, now):
		case ours && probe:
			found.Probes = append(found.Probes, LabelledThing{
				ID: item.ID, Name: containerName(item), Stack: stack, Created: time.Unix(item.Created, 0),
			})
		case ours:
			found.Running[stack] = true
		}
	}
	label := make(client.Filters).Add("label", StackLabel)
	networks, err := m.Docker.NetworkList(ctx, client.NetworkListOptions{Filters: label})
	if err != nil {
		return found, fmt.Errorf("list the networks: %w", err)
	}
	for _, item := range networks.Items {
		found.Networks = append(found.Networks, LabelledThing{ID: item.ID, Name: item.Name, Stack: item.Labels[StackLabel], Created: item.Created})
	}
	volumes, err := m.Docker.VolumeList(ctx, client.VolumeListOptions{Filters: label})
	if err != nil {
		return found, fmt.Errorf("list the volumes: %w", err)
	}
	for _, item := range volumes.Items {
		created, _ := time.Parse(time.RFC3339, item.CreatedAt) // unreadable is long ago
		found.Volumes = append(found.Volumes, LabelledThing{
			ID: item.Name, Name: item.Name, Stack: item.Labels[StackLabel], Restore: item.Labels[RestoreLabel], Created: created, Used: mounted[item.Name],
		})
	}
	return found, nil
}

// RemoveNetwork removes a network of ours by its ID; an engine refuses where a container is on it.
func (m *Manager) RemoveNetwork(ctx context.Context, id string) error {
	return gone(m.Docker.NetworkRemove(ctx, id, client.NetworkRemoveOptions{}))
}

// gone takes what is not there any more for removed.
func gone[T any](_ T, err error) error {
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	return err
}

// RemoveImage removes an image that a stack had: by its tag while that stands for it, by its ID where it has no tag now.
// Without force, so an engine keeps what any container uses, and what has been given another name.
func (m *Manager) RemoveImage(ctx context.Context, tag, id string) error {
	reference, err := m.imageReference(ctx, tag, id)
	if err != nil || reference == "" {
		return err
	}
	return gone(m.Docker.ImageRemove(ctx, reference, client.ImageRemoveOptions{PruneChildren: true}))
}

// HasImage tells whether RemoveImage would remove anything.
func (m *Manager) HasImage(ctx context.Context, tag, id string) (bool, error) {
	reference, err := m.imageReference(ctx, tag, id)
	return reference != "", err
}

func (m *Manager) imageReference(ctx context.Context, tag, id string) (string, error) {
	found, err := m.Docker.ImageInspect(ctx, tag)
	if err == nil && found.ID == id {
		return tag, nil
	}
	if err != nil && !cerrdefs.IsNotFound(err) {
		return "", fmt.Errorf("look for image %q: %w", tag, err)
	}
	found, err = m.Docker.ImageInspect(ctx, id)
	switch {
	case cerrdefs.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("look for image %q: %w", tag, err)
	case len(found.RepoTags) > 0:
		return "", nil // somebody has given it a name of theirs
	default:
		return id, nil
	}
}

// RemoveMetricSnapshots removes snapshots of a running VictoriaMetrics.
func (m *Manager) RemoveMetricSnapshots(ctx context.Context, name, key string, snapshots []string) error {
	all, err := m.MetricSnapshots(ctx, name, key)
	if err != nil {
		return err
	}
	var failed []error
	for _, snapshot := range snapshots {
		failed = append(failed, all.Delete(ctx, snapshot))
	}
	return errors.Join(failed...)
}
