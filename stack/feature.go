package stack

import (
	"context"
	"fmt"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"
)

// HasFolder reports whether the engine's host has one of the folders. The host may be another machine, so the engine is
// asked: it refuses to create a container with a bind mount whose source is not there. The container is never started
// and is removed at once.
func (m *Manager) HasFolder(ctx context.Context, name string, folders ...string) (bool, error) {
	pins, err := Images(m.Bundle)
	if err != nil {
		return false, err
	}
	for _, folder := range folders {
		made, err := m.Docker.ContainerCreate(ctx, client.ContainerCreateOptions{
			Config: &container.Config{Image: pins["NGINX_IMAGE"], Labels: map[string]string{StackLabel: name, ProbeLabel: "folder"}},
			HostConfig: &container.HostConfig{Mounts: []mount.Mount{
				{Type: mount.TypeBind, Source: folder, Target: "/probe", ReadOnly: true},
			}},
		})
		if err == nil {
			_, err = m.Docker.ContainerRemove(context.WithoutCancel(ctx), made.ID, client.ContainerRemoveOptions{Force: true})
			return true, err
		}
		if cerrdefs.IsNotFound(err) {
			return true, nil // the mount was looked at first, so only the image is missing
		}
		if !strings.Contains(err.Error(), "bind source path does not exist") {
			return false, fmt.Errorf("look for %s on the engine's host: %w", folder, err)
		}
	}
	return false, nil
}
