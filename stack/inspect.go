package stack

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"
)

// Inspection is a replica with what only the engine's answer about it alone says.
type Inspection struct {
	Container
	Restarts   int       // by its restart policy
	OOMKilled  bool      // since its last start, the engine saw that a process was killed for want of memory
	ExitCode   int       // of the last run
	Problem    string    // why the engine could not start it, "" where it did
	StartedAt  time.Time // zero where it never was
	Command    []string  // what runs in it: the program and its arguments
	Volumes    []string  // where its volumes are mounted
	LogDriver  string
	LogOptions map[string]string // with the defaults of the engine
	LogPath    string            // on the engine's host; "" where the driver has none or does not tell
	Said       string            // the last line of its log; only of one that is not ready
}

// inspectedAtOnce bounds the requests that an engine gets at a time.
const inspectedAtOnce = 4

// Inspections are the replicas of a stack in the order of Containers. One that goes meanwhile is left out.
func (m *Manager) Inspections(ctx context.Context, name string) ([]Inspection, error) {
	containers, err := m.Containers(ctx, name)
	if err != nil {
		return nil, err
	}
	all := make([]Inspection, len(containers))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(inspectedAtOnce)
	for i, c := range containers {
		group.Go(func() error {
			answer, err := m.Docker.ContainerInspect(ctx, c.ID, client.ContainerInspectOptions{})
			if cerrdefs.IsNotFound(err) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("inspect %s: %w", c.Name, err)
			}
			all[i] = inspectionOf(c, answer.Container)
			if !c.Ready() {
				all[i].Said = strings.Join(strings.Fields(lastLine(m.tail(ctx, c.ID))), " ") // tabs are for columns
			}
			return nil
		})
	}
	err = group.Wait()
	return slices.DeleteFunc(all, func(one Inspection) bool { return one.ID == "" }), err
}

func inspectionOf(c Container, answer container.InspectResponse) Inspection {
	found := Inspection{Container: c, Restarts: answer.RestartCount, Command: append([]string{answer.Path}, answer.Args...), LogPath: answer.LogPath}
	if state := answer.State; state != nil {
		found.OOMKilled, found.ExitCode, found.Problem = state.OOMKilled, state.ExitCode, state.Error
		found.StartedAt, _ = time.Parse(time.RFC3339Nano, state.StartedAt)
	}
	for _, mounted := range answer.Mounts {
		if mounted.Type == mount.TypeVolume {
			found.Volumes = append(found.Volumes, mounted.Destination)
		}
	}
	slices.Sort(found.Volumes)
	if answer.HostConfig != nil {
		found.LogDriver, found.LogOptions = answer.HostConfig.LogConfig.Type, answer.HostConfig.LogConfig.Config
	}
	return found
}

// program is the component's own program in its command, without the entrypoint of its image, and what follows it.
func (i Inspection) program(names ...string) (program string, arguments []string) {
	for at, word := range i.Command {
		for _, name := range names {
			if strings.HasPrefix(path.Base(word), name) {
				return word, i.Command[at+1:]
			}
		}
	}
	return "", nil
}
