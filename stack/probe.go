package stack

import (
	"context"
	"fmt"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// WriteProbe runs a container of ours that prints one line and nothing else. Its image is the balancer's: it is
// on the engine already, and it has `echo`. It gets no network, no capability and no place to write.
// It stays until RemoveProbes: an engine removes the log with the container, at times before the agent has read it.
func (m *Manager) WriteProbe(ctx context.Context, project *types.Project, line string) error {
	created, err := m.Docker.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config: &container.Config{
			Image:      project.Services[Balancer].Image,
			Entrypoint: []string{"echo", line},
			User:       "65534:65534",
			Labels:     map[string]string{StackLabel: project.Name, ProbeLabel: "logs"},
		},
		HostConfig: &container.HostConfig{
			NetworkMode: "none", ReadonlyRootfs: true,
			CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges:true"},
		},
	})
	if err != nil {
		return fmt.Errorf("create the probe: %w", err)
	}
	if _, err := m.Docker.ContainerStart(ctx, created.ID, client.ContainerStartOptions{}); err != nil {
		return fmt.Errorf("start the probe: %w", err)
	}
	return nil
}
