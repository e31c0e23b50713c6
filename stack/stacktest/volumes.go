package stacktest

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"

	"github.com/docker-telemetry/docker-telemetry/stack"
)

// volumeFile is a file, folder or link in a volume.
type volumeFile struct {
	kind     byte // as in a tar
	mode     int64
	uid, gid int
	content  string
	target   string // of a link
}

// WriteVolume puts a file into a volume, as the program in a container would, with the folders above it.
func (e *Engine) WriteVolume(name, file, content string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.writeVolume(name, file, volumeFile{kind: tar.TypeReg, mode: 0o640, uid: 472, content: content})
}

// Link puts a symbolic link into a volume.
func (e *Engine) Link(name, file, target string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.writeVolume(name, file, volumeFile{kind: tar.TypeSymlink, mode: 0o777, target: target})
}

func (e *Engine) writeVolume(name, file string, written volumeFile) {
	if e.files[name] == nil {
		e.files[name] = map[string]volumeFile{}
	}
	for folder := path.Dir(file); folder != "."; folder = path.Dir(folder) {
		if _, there := e.files[name][folder]; !there {
			e.files[name][folder] = volumeFile{kind: tar.TypeDir, mode: 0o750, uid: 472}
		}
	}
	e.files[name][file] = written
}

// VolumeFiles returns the content of a volume's files by path, with mode and owner before it.
func (e *Engine) VolumeFiles(name string) map[string]string {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := map[string]string{}
	for file, f := range e.files[name] {
		if f.kind == tar.TypeReg {
			found[file] = fmt.Sprintf("%04o %d:%d %s", f.mode, f.uid, f.gid, f.content)
		}
	}
	return found
}

// mountVolumes gives a container the volumes of its mounts; an engine makes those that are not there.
func (e *Engine) mountVolumes(c *entry, mounts []mount.Mount) {
	for _, m := range mounts {
		if m.Type != mount.TypeVolume {
			continue
		}
		if _, there := e.volumes[m.Source]; !there {
			e.volumes[m.Source] = map[string]string{}
		}
		c.volumes = append(c.volumes, m.Source)
		c.mounted = append(c.mounted, m)
	}
}

// VolumeCreate makes a volume, or answers with the one that is there.
func (e *Engine) VolumeCreate(ctx context.Context, options client.VolumeCreateOptions) (client.VolumeCreateResult, error) {
	if err := e.enter(ctx); err != nil {
		return client.VolumeCreateResult{}, err
	}
	defer e.mu.Unlock()
	if _, there := e.volumes[options.Name]; !there {
		if err := e.change(ctx, "create volume", options.Name); err != nil {
			return client.VolumeCreateResult{}, err
		}
		e.volumes[options.Name] = options.Labels
	}
	return client.VolumeCreateResult{Volume: volume.Volume{Name: options.Name, Labels: e.volumes[options.Name]}}, nil
}

// CopyFromContainer answers with the files of a volume that the container has, below a path.
func (e *Engine) CopyFromContainer(ctx context.Context, id string, options client.CopyFromContainerOptions) (client.CopyFromContainerResult, error) {
	if err := e.enter(ctx); err != nil {
		return client.CopyFromContainerResult{}, err
	}
	defer e.mu.Unlock()
	c, err := e.find(id)
	if err != nil {
		return client.CopyFromContainerResult{}, err
	}
	for _, m := range c.mounted {
		below, inside := strings.CutPrefix(options.SourcePath+"/", m.Target+"/")
		if !inside {
			continue
		}
		archive, err := e.archiveOf(m.Source, path.Clean(below), path.Base(options.SourcePath))
		return client.CopyFromContainerResult{Content: io.NopCloser(archive)}, err
	}
	return client.CopyFromContainerResult{}, notFoundError("Could not find the file " + options.SourcePath)
}

// archiveOf is a tar as an engine makes it: each name begins with the last part of the path that was asked for.
func (e *Engine) archiveOf(name, below, first string) (*bytes.Buffer, error) {
	var out bytes.Buffer
	archive := tar.NewWriter(&out)
	add := func(as string, f volumeFile) error {
		header := &tar.Header{Typeflag: f.kind, Name: as, Mode: f.mode, Uid: f.uid, Gid: f.gid, Size: int64(len(f.content)), Linkname: f.target}
		if f.kind == tar.TypeDir {
			header.Name += "/"
		}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		_, err := io.WriteString(archive, f.content)
		return err
	}
	if below == "." {
		if err := add(first, volumeFile{kind: tar.TypeDir, mode: 0o770, uid: 472}); err != nil {
			return nil, err
		}
	} else if _, there := e.files[name][below]; !there {
		return nil, notFoundError("Could not find the file " + below)
	}
	for _, file := range slices.Sorted(maps.Keys(e.files[name])) {
		rel := file
		if below != "." {
			var inside bool
			if rel, inside = strings.CutPrefix(file+"/", below+"/"); !inside {
				continue
			}
		}
		if err := add(path.Join(first, rel), e.files[name][file]); err != nil {
			return nil, err
		}
	}
	return &out, archive.Close()
}

// fillVolume keeps the files of an archive in the volume that is at the first part of their names.
func (e *Engine) fillVolume(c *entry, content io.Reader) error {
	archive := tar.NewReader(content)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		raw, err := io.ReadAll(archive)
		if err != nil {
			return err
		}
		first, rel, _ := strings.Cut(strings.TrimSuffix(header.Name, "/"), "/")
		at := slices.IndexFunc(c.mounted, func(m mount.Mount) bool { return m.Target == "/"+first })
		switch {
		case at < 0:
			return fmt.Errorf("the fake engine copies into volumes only, not to %s", header.Name)
		case c.mounted[at].ReadOnly:
			return errors.New("mounted volume is marked read-only")
		case rel != "":
			e.writeVolume(c.mounted[at].Source, rel, volumeFile{kind: header.Typeflag, mode: header.Mode, uid: header.Uid, gid: header.Gid, content: string(raw)})
		}
	}
}

// snapshotExec is a connection to VictoriaMetrics, which makes, lists and deletes snapshots for who has the key among
// its container's secrets. A snapshot is laid out as it lays them out: links to folders of what there is now.
func (e *Engine) snapshotExec(command []string) (client.ExecAttachResult, bool) {
	if !slices.Equal(command, []string{stack.VictoriaMetrics, "busybox", "nc", "127.0.0.1", "8428"}) {
		return client.ExecAttachResult{}, false
	}
	return e.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		defer e.mu.Unlock()
		if r.FormValue("authKey") != e.secrets["victoriametrics_snapshot_key"].Content {
			http.Error(w, `The provided authKey doesn't match -snapshotAuthKey`, http.StatusUnauthorized)
			return
		}
		switch path.Base(r.URL.Path) {
		case "create":
			fmt.Fprintf(w, `{"status":"ok","snapshot":%q}`, e.makeSnapshot())
		case "list":
			fmt.Fprintf(w, `{"status":"ok","snapshots":[%s]}`, quotedAll(e.snapshots))
		case "delete":
			e.snapshots = slices.DeleteFunc(e.snapshots, func(name string) bool { return name == r.FormValue("snapshot") })
			e.changes = append(e.changes, "delete snapshot "+r.FormValue("snapshot"))
			fmt.Fprint(w, `{"status":"ok"}`)
		}
	})), true
}

// LeaveSnapshot makes one that nobody removes.
func (e *Engine) LeaveSnapshot() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.makeSnapshot()
}

func quotedAll(names []string) string {
	all := make([]string, 0, len(names))
	for _, name := range names {
		all = append(all, fmt.Sprintf("%q", name))
	}
	return strings.Join(all, ",")
}

func (e *Engine) makeSnapshot() string {
	e.snapshotted++
	snapshot := fmt.Sprintf("20260102030405-%016X", e.snapshotted)
	for name := range e.volumes {
		if !strings.Contains(name, "_victoriametrics-data") {
			continue
		}
		for file, f := range maps.Clone(e.files[name]) {
			part, rest, _ := strings.Cut(strings.TrimPrefix(file, "data/"), "/")
			if f.kind != tar.TypeReg || !strings.HasPrefix(file, "data/") || strings.Contains(file, "/snapshots/") {
				continue
			}
			e.writeVolume(name, path.Join("data", part, "snapshots", snapshot, rest), f)
			e.writeVolume(name, path.Join("snapshots", snapshot, "data", part), volumeFile{
				kind: tar.TypeSymlink, mode: 0o777, target: path.Join("../../../data", part, "snapshots", snapshot),
			})
		}
	}
	e.snapshots = append(e.snapshots, snapshot)
	e.changes = append(e.changes, "make snapshot "+snapshot)
	return snapshot
}

// connect answers HTTP on the other end of an exec.
func (e *Engine) connect(handler http.Handler) client.ExecAttachResult {
	ours, theirs := net.Pipe()
	server := &http.Server{Handler: handler} //nolint:gosec // the peer is a test
	go func() { _ = server.Serve(newOneConn(framed{theirs})) }()
	return client.ExecAttachResult{HijackedResponse: client.NewHijackedResponse(ours, "")}
}

// VolumesOf names the volumes that a component's containers have.
func (e *Engine) VolumesOf(component string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var names []string
	for _, c := range e.containers {
		if c.component() == component {
			names = append(names, c.volumes...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
