package stack

import (
	"context"
	"io/fs"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/compose/v5/pkg/api"
	"github.com/moby/moby/client"
)

// Composer is the part of the Compose SDK that a stack needs; api.Compose satisfies it.
type Composer interface {
	Create(ctx context.Context, project *types.Project, options api.CreateOptions) error
	Down(ctx context.Context, projectName string, options api.DownOptions) error
	Start(ctx context.Context, projectName string, options api.StartOptions) error
	Stop(ctx context.Context, projectName string, options api.StopOptions) error
	Restart(ctx context.Context, projectName string, options api.RestartOptions) error
	Pull(ctx context.Context, project *types.Project, options api.PullOptions) error
	Logs(ctx context.Context, projectName string, consumer api.LogConsumer, options api.LogOptions) error
}

// Docker is the part of the Engine API that a stack needs beside Compose; *client.Client satisfies it.
type Docker interface {
	DiskUsage(ctx context.Context, options client.DiskUsageOptions) (client.DiskUsageResult, error)
	Ping(ctx context.Context, options client.PingOptions) (client.PingResult, error)
	Info(ctx context.Context, options client.InfoOptions) (client.SystemInfoResult, error)
	ContainerList(ctx context.Context, options client.ContainerListOptions) (client.ContainerListResult, error)
	ContainerInspect(ctx context.Context, id string, options client.ContainerInspectOptions) (client.ContainerInspectResult, error)
	ContainerLogs(ctx context.Context, id string, options client.ContainerLogsOptions) (client.ContainerLogsResult, error)
	ContainerCreate(ctx context.Context, options client.ContainerCreateOptions) (client.ContainerCreateResult, error)
	ContainerAttach(ctx context.Context, id string, options client.ContainerAttachOptions) (client.ContainerAttachResult, error)
	ContainerStart(ctx context.Context, id string, options client.ContainerStartOptions) (client.ContainerStartResult, error)
	ContainerRemove(ctx context.Context, id string, options client.ContainerRemoveOptions) (client.ContainerRemoveResult, error)
	CopyFromContainer(ctx context.Context, id string, options client.CopyFromContainerOptions) (client.CopyFromContainerResult, error)
	CopyToContainer(ctx context.Context, id string, options client.CopyToContainerOptions) (client.CopyToContainerResult, error)
	ExecCreate(ctx context.Context, id string, options client.ExecCreateOptions) (client.ExecCreateResult, error)
	ExecAttach(ctx context.Context, execID string, options client.ExecAttachOptions) (client.ExecAttachResult, error)
	ExecInspect(ctx context.Context, execID string, options client.ExecInspectOptions) (client.ExecInspectResult, error)
	ImageRemove(ctx context.Context, image string, options client.ImageRemoveOptions) (client.ImageRemoveResult, error)
	ImageInspect(ctx context.Context, image string, options ...client.ImageInspectOption) (client.ImageInspectResult, error)
	NetworkList(ctx context.Context, options client.NetworkListOptions) (client.NetworkListResult, error)
	NetworkConnect(ctx context.Context, id string, options client.NetworkConnectOptions) (client.NetworkConnectResult, error)
	NetworkDisconnect(ctx context.Context, id string, options client.NetworkDisconnectOptions) (client.NetworkDisconnectResult, error)
	NetworkRemove(ctx context.Context, id string, options client.NetworkRemoveOptions) (client.NetworkRemoveResult, error)
	VolumeCreate(ctx context.Context, options client.VolumeCreateOptions) (client.VolumeCreateResult, error)
	VolumeList(ctx context.Context, options client.VolumeListOptions) (client.VolumeListResult, error)
	Events(ctx context.Context, options client.EventsListOptions) client.EventsResult
	VolumeRemove(ctx context.Context, id string, options client.VolumeRemoveOptions) (client.VolumeRemoveResult, error)
	DaemonHost() string
	ClientVersion() string
}

// Manager runs stacks on one engine. Its fields are set once, where the program is wired.
type Manager struct {
	Compose Composer
	Docker  Docker
	Bundle  fs.FS
	// Progress hears what happens to each resource, from several goroutines at once.
	Progress func(...api.Resource)
}

func (m *Manager) report(resource api.Resource) {
	if m.Progress != nil {
		m.Progress(resource)
	}
}
