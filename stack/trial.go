package stack

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"
)

// TryConfigs has the programs of components read the configuration that a project gives them, in containers of their images that
// are there for that only: without a network, a volume or a capability. It is for components that do not run. One whose image is
// not on the engine says so in its Err; one that cannot check its files is left out.
func (m *Manager) TryConfigs(ctx context.Context, project *types.Project, components []string) []Validation {
	all := make([]Validation, len(components))
	var group errgroup.Group
	group.SetLimit(validatedAtOnce)
	for i, name := range components {
		group.Go(func() error {
			all[i] = m.tryConfig(ctx, project, project.Services[name])
			return nil
		})
	}
	_ = group.Wait()
	var kept []Validation
	for _, one := range all {
		if one.Program != "" || one.Err != nil {
			kept = append(kept, one)
		}
	}
	return kept
}

func (m *Manager) tryConfig(ctx context.Context, project *types.Project, service types.ServiceConfig) Validation {
	tried := Validation{Component: service.Name}
	image, err := m.Docker.ImageInspect(ctx, service.Image)
	if cerrdefs.IsNotFound(err) {
		tried.Err = fmt.Errorf("image %q is not on the engine; docker telemetry pull fetches it", service.Image)
		return tried
	}
	if err != nil {
		tried.Err = fmt.Errorf("look for image %q: %w", service.Image, err)
		return tried
	}
	entrypoint, command := []string(service.Entrypoint), []string(service.Command)
	if config := image.Config; config != nil {
		if service.Entrypoint == nil {
			entrypoint = config.Entrypoint
		}
		if service.Command == nil {
			command = config.Cmd
		}
	}
	validating := Inspection{Command: append(append([]string{}, entrypoint...), command...)}.validating()
	if validating == nil {
		return tried
	}
	tried.Program = spoken(validating)
	output, code, err := m.trial(ctx, project, service, validating)
	tried.Err, tried.Valid = err, err == nil && code == 0
	if err == nil && code != 0 {
		tried.Said = complaintIn(output)
	}
	return tried
}

// trial runs a command in a container of a service's image with the files that the service has, and removes it. It is a probe, so
// what a killed process leaves of it goes with the next up.
func (m *Manager) trial(ctx context.Context, project *types.Project, service types.ServiceConfig, command []string) (output string, code int, err error) {
	files, err := archiveOf(project, service)
	if err != nil {
		return "", 0, err
	}
	folders, err := foldersOf(service)
	if err != nil {
		return "", 0, err
	}
	environment := []string{}
	for name, value := range service.Environment {
		if value != nil {
			environment = append(environment, name+"="+*value)
		}
	}
	created, err := m.Docker.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config: &container.Config{
			Image: service.Image, Entrypoint: command, User: service.User, Env: environment,
			Labels: map[string]string{StackLabel: project.Name, ProbeLabel: "configuration", logsLabel: "exclude"},
		},
		HostConfig: &container.HostConfig{
			NetworkMode: "none", CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges:true"},
		},
	})
	if err != nil {
		return "", 0, fmt.Errorf("create a container to try the configuration of %s: %w", service.Name, err)
	}
	defer func() {
		_, removeErr := m.Docker.ContainerRemove(context.WithoutCancel(ctx), created.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		err = errors.Join(err, removeErr)
	}()
	for _, archive := range []*bytes.Buffer{folders, files} {
		if _, err := m.Docker.CopyToContainer(ctx, created.ID, client.CopyToContainerOptions{DestinationPath: "/", Content: archive}); err != nil {
			return "", 0, fmt.Errorf("copy the configuration of %s: %w", service.Name, err)
		}
	}
	if _, err := m.Docker.ContainerStart(ctx, created.ID, client.ContainerStartOptions{}); err != nil {
		return "", 0, fmt.Errorf("try the configuration of %s: %w", service.Name, err)
	}
	if code, err = m.ended(ctx, created.ID); err != nil {
		return "", 0, fmt.Errorf("try the configuration of %s: %w", service.Name, err)
	}
	output, err = m.LogTail(ctx, created.ID, triedLines)
	return output, code, err
}

// foldersOf is a tar of empty folders in the place of what a service mounts: the collector looks whether they are there, and
// nothing of the host or of a volume is for a trial.
func foldersOf(service types.ServiceConfig) (*bytes.Buffer, error) {
	var out bytes.Buffer
	archive := tar.NewWriter(&out)
	for _, mount := range service.Volumes {
		header := tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(mount.Target, "/") + "/", Mode: 0o755}
		if err := archive.WriteHeader(&header); err != nil {
			return nil, err
		}
	}
	return &out, archive.Close()
}

const (
	// logsLabel keeps a container's lines from the agent: they are answers to us.
	logsLabel  = "telemetry.logs"
	triedLines = 200
	endedEvery = 50 * time.Millisecond
)

// ended waits for the end of a container.
func (m *Manager) ended(ctx context.Context, id string) (code int, err error) {
	for {
		answer, err := m.Docker.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if err != nil {
			return 0, err
		}
		if state := answer.Container.State; state != nil && (state.Status == container.StateExited || state.Status == container.StateDead) {
			return state.ExitCode, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(endedEvery):
		}
	}
}

// NeedsCertificate reports whether a component reads the gateway's certificate, which is made at the first up.
func NeedsCertificate(service types.ServiceConfig) bool {
	for _, secret := range service.Secrets {
		if strings.HasPrefix(path.Base(secretTarget(secret)), "gateway_") {
			return true
		}
	}
	return false
}
