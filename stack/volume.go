package stack

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/docker/compose/v5/pkg/api"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/docker-telemetry/docker-telemetry/internal/version"
)

// holderMount is where a volume is in the container that holds it.
const holderMount = "volume"

// VolumeFile is a file or folder in a volume.
type VolumeFile struct {
	Path     string // slash-separated, from the volume's root, which is "."
	Dir      bool
	Mode     int64 // permissions
	UID, GID int
	Size     int64
	ModTime  time.Time
}

// VolumeHolder gives access to one volume's files through a container of ours that has it and never runs: an engine
// mounts the volumes of a container for a copy, so this needs no program in an image, no process and no path of any
// host, and works on every engine that can be reached.
type VolumeHolder struct {
	docker Docker
	id     string
	volume string
}

// HoldVolume makes the container. Release removes it; one that a killed process left is removed with the probes.
func (m *Manager) HoldVolume(ctx context.Context, image, stack, volume string, readOnly bool) (*VolumeHolder, error) {
	created, err := m.Docker.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config: &container.Config{
			Image: image, Entrypoint: []string{"/never-run"},
			Labels: map[string]string{StackLabel: stack, ProbeLabel: volumeProbe},
		},
		HostConfig: &container.HostConfig{
			NetworkMode: "none", CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges:true"},
			Mounts: []mount.Mount{{
				Type: mount.TypeVolume, Source: volume, Target: "/" + holderMount, ReadOnly: readOnly, VolumeOptions: &mount.VolumeOptions{NoCopy: true},
			}},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("hold volume %q: %w", volume, err)
	}
	return &VolumeHolder{docker: m.Docker, id: created.ID, volume: volume}, nil
}

// Release removes the container; the volume stays.
func (h *VolumeHolder) Release(ctx context.Context) error {
	if _, err := h.docker.ContainerRemove(ctx, h.id, client.ContainerRemoveOptions{Force: true}); err != nil {
		return fmt.Errorf("release volume %q: %w", h.volume, err)
	}
	return nil
}

// Link is a symbolic link in a volume.
type Link struct{ Path, Target string }

// Read streams what is below a path of the volume, each folder before what is in it; the path itself comes as ".". It
// returns the symbolic links, and the paths of what is no file at all, which a store has no use for.
func (h *VolumeHolder) Read(ctx context.Context, below string, visit func(VolumeFile, io.Reader) error) (links []Link, odd []string, err error) {
	var twice []string
	err = h.copyOut(ctx, below, func(header *tar.Header, content io.Reader) error {
		file := fileOf(header)
		switch header.Typeflag {
		case tar.TypeReg, tar.TypeDir:
			return visit(file, content)
		case tar.TypeLink:
			twice = append(twice, file.Path)
		case tar.TypeSymlink:
			links = append(links, Link{Path: file.Path, Target: header.Linkname})
		default:
			odd = append(odd, file.Path)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	// The second name of a file comes without its content; asked for by itself it is a file. Not before, because older
	// engines answer one copy of a container at a time.
	for _, name := range twice {
		err := h.copyOut(ctx, path.Join(below, name), func(header *tar.Header, content io.Reader) error {
			file := fileOf(header)
			file.Path = name
			return visit(file, content)
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return links, odd, nil
}

func (h *VolumeHolder) copyOut(ctx context.Context, below string, each func(*tar.Header, io.Reader) error) error {
	copied, err := h.docker.CopyFromContainer(ctx, h.id, client.CopyFromContainerOptions{SourcePath: path.Join("/", holderMount, below)})
	if err != nil {
		return fmt.Errorf("read volume %q: %w", h.volume, err)
	}
	defer copied.Content.Close()
	stream := tar.NewReader(copied.Content)
	for {
		header, err := stream.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read volume %q: %w", h.volume, err)
		}
		if err := each(header, stream); err != nil {
			return err
		}
	}
}

// fileOf names a file from the path that was asked for; an engine puts that path's last part before each.
func fileOf(header *tar.Header) VolumeFile {
	_, name, _ := strings.Cut(strings.TrimSuffix(header.Name, "/"), "/")
	return VolumeFile{
		Path: path.Join(".", name), Dir: header.Typeflag == tar.TypeDir, Mode: header.Mode & 0o777,
		UID: header.Uid, GID: header.Gid, Size: header.Size, ModTime: header.ModTime,
	}
}

// VolumeWriter puts files into a volume, in one stream.
type VolumeWriter struct {
	tar  *tar.Writer
	pipe *io.PipeWriter
	done chan error
}

// Write begins to fill the volume. Close the writer; its error says whether the engine took all.
func (h *VolumeHolder) Write(ctx context.Context) *VolumeWriter {
	reader, pipe := io.Pipe()
	w := &VolumeWriter{tar: tar.NewWriter(pipe), pipe: pipe, done: make(chan error, 1)}
	go func() {
		_, err := h.docker.CopyToContainer(ctx, h.id, client.CopyToContainerOptions{DestinationPath: "/", Content: reader})
		if err != nil {
			err = fmt.Errorf("fill volume %q: %w", h.volume, err)
		}
		reader.CloseWithError(err)
		w.done <- err
	}()
	return w
}

// Add puts one file or folder into the volume; "." sets the owner and the mode of its root.
func (w *VolumeWriter) Add(file VolumeFile, content io.Reader) error {
	header := &tar.Header{
		Typeflag: tar.TypeReg, Name: path.Join(holderMount, file.Path), Mode: file.Mode, Uid: file.UID, Gid: file.GID, Size: file.Size, ModTime: file.ModTime,
	}
	if file.Dir {
		header.Typeflag, header.Name, header.Size = tar.TypeDir, header.Name+"/", 0
	}
	if err := w.tar.WriteHeader(header); err != nil {
		return err
	}
	if file.Dir {
		return nil
	}
	_, err := io.Copy(w.tar, content)
	return err
}

// Close ends the stream and waits until the engine has taken it.
func (w *VolumeWriter) Close() error {
	w.pipe.CloseWithError(w.tar.Close())
	return <-w.done
}

// Abort breaks the stream off and waits until the engine has let go of the volume.
func (w *VolumeWriter) Abort(cause error) error {
	w.pipe.CloseWithError(cause)
	return <-w.done
}

// NewVolume makes a volume of a stack for a restore. An engine answers with the volume that is there when there is one
// of that name, so who made it is looked at.
func (m *Manager) NewVolume(ctx context.Context, stack, key, name, restore string) error {
	created, err := m.Docker.VolumeCreate(ctx, client.VolumeCreateOptions{Name: name, Labels: map[string]string{
		StackLabel: stack, RestoreLabel: restore,
		// As Compose would label it, but for the hash of its configuration: without that Compose leaves a volume as it is.
		api.ProjectLabel: stack, api.VolumeLabel: key, api.VersionLabel: api.ComposeVersion, VersionLabel: version.Version,
	}})
	if err != nil {
		return fmt.Errorf("create volume %q: %w", name, err)
	}
	if created.Volume.Labels[RestoreLabel] != restore {
		return &Error{Text: fmt.Sprintf("volume %q was there already", name), Advice: "see whose it is: docker volume inspect " + name}
	}
	m.report(api.Resource{ID: "Volume " + name, Status: api.Done, Text: api.StatusCreated})
	return nil
}

// RestoredVolumes lists the volumes that a restore has made, by name.
func (m *Manager) RestoredVolumes(ctx context.Context, stack, restore string) ([]string, error) {
	found, err := m.Docker.VolumeList(ctx, client.VolumeListOptions{
		Filters: make(client.Filters).Add("label", StackLabel+"="+stack, RestoreLabel+"="+restore),
	})
	if err != nil {
		return nil, fmt.Errorf("list the volumes of stack %q: %w", stack, err)
	}
	var names []string
	for _, volume := range found.Items {
		names = append(names, volume.Name)
	}
	slices.Sort(names)
	return names, nil
}

// RemoveVolumes removes volumes of a stack; what is not the stack's, by its label, or is gone already, is left alone.
func (m *Manager) RemoveVolumes(ctx context.Context, stack string, names []string) error {
	own, err := m.Volumes(ctx, stack)
	if err != nil {
		return err
	}
	var failed []error
	for _, name := range names {
		if !slices.Contains(own, name) {
			continue
		}
		failed = append(failed, m.removeVolume(ctx, name))
	}
	return errors.Join(failed...)
}

func (m *Manager) removeVolume(ctx context.Context, volume string) error {
	m.report(api.Resource{ID: "Volume " + volume, Status: api.Working, Text: api.StatusRemoving})
	if _, err := m.Docker.VolumeRemove(ctx, volume, client.VolumeRemoveOptions{}); err != nil {
		m.report(api.Resource{ID: "Volume " + volume, Status: api.Error, Text: api.StatusError})
		return fmt.Errorf("remove volume %q: %w", volume, err)
	}
	m.report(api.Resource{ID: "Volume " + volume, Status: api.Done, Text: api.StatusRemoved})
	return nil
}

// Copied tells the progress how far a copy is; copying is done when it has ended.
func (m *Manager) Copied(id, text string, done bool) {
	status := api.Working
	if done {
		status = api.Done
	}
	m.report(api.Resource{ID: id, Status: status, Text: text})
}
