package stack

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"
)

// upload puts the configs and secrets into the containers that were just created, one archive each. The SDK sends one
// request a file, 48 for the base stack, and an engine mounts the container's file system for each: half of the time
// of a cold up. A container that has run before has its files: other ones would have made it another container.
func (m *Manager) upload(ctx context.Context, project *types.Project) error {
	found, err := m.Docker.ContainerList(ctx, client.ContainerListOptions{
		All: true, Filters: make(client.Filters).Add("label", StackLabel+"="+project.Name),
	})
	if err != nil {
		return fmt.Errorf("list the containers of the stack: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, item := range found.Items {
		service, known := project.Services[item.Labels[ComponentLabel]]
		if !known || item.State != container.StateCreated || len(service.Configs)+len(service.Secrets) == 0 {
			continue // an engine refuses a copy into a read-only file system, even of nothing
		}
		group.Go(func() error {
			archive, err := archiveOf(project, service)
			if err != nil {
				return err
			}
			if _, err := m.Docker.CopyToContainer(ctx, item.ID, client.CopyToContainerOptions{DestinationPath: "/", Content: archive}); err != nil {
				return fmt.Errorf("copy the configuration into %s: %w", containerName(item), err)
			}
			return nil
		})
	}
	return group.Wait()
}

// archiveOf is a tar of what a service mounts, from the root of its file system. All belongs to root and is readable to
// all in the container; a uid would be looked up on the engine's host by Engine 20.10, and fail.
func archiveOf(project *types.Project, service types.ServiceConfig) (*bytes.Buffer, error) {
	var out bytes.Buffer
	archive := tar.NewWriter(&out)
	add := func(target string, mount types.FileReferenceConfig, content string) error {
		if mount.UID != "" || mount.GID != "" {
			return fmt.Errorf("%s of %s: uid and gid are not supported", target, service.Name)
		}
		header := tar.Header{Name: strings.TrimPrefix(target, "/"), Mode: 0o444}
		if mount.Mode != nil {
			header.Mode = int64(*mount.Mode)
		}
		return addFile(archive, header, []byte(content))
	}
	for _, mount := range service.Configs {
		if err := add(mount.Target, types.FileReferenceConfig(mount), project.Configs[mount.Source].Content); err != nil {
			return nil, err
		}
	}
	for _, mount := range service.Secrets {
		if err := add(secretTarget(mount), types.FileReferenceConfig(mount), project.Secrets[mount.Source].Content); err != nil {
			return nil, err
		}
	}
	return &out, archive.Close()
}

// addFile writes a file to an archive; the header says all of it but the size.
func addFile(archive *tar.Writer, header tar.Header, content []byte) error {
	header.Typeflag, header.Size = tar.TypeReg, int64(len(content))
	if err := archive.WriteHeader(&header); err != nil {
		return err
	}
	_, err := archive.Write(content)
	return err
}

// secretTarget follows the Compose specification: a name is one below /run/secrets, and its own name is the default.
func secretTarget(mount types.ServiceSecretConfig) string {
	switch {
	case mount.Target == "":
		return path.Join("/run/secrets", mount.Source)
	case path.IsAbs(mount.Target):
		return mount.Target
	default:
		return path.Join("/run/secrets", mount.Target)
	}
}

// withoutFiles is the project for the SDK to start: what it would copy is there.
func withoutFiles(project *types.Project) *types.Project {
	bare := *project
	bare.Services = types.Services{}
	for name, service := range project.Services {
		service.Configs, service.Secrets = nil, nil
		bare.Services[name] = service
	}
	return &bare
}
