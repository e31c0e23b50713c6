// Package snapshot takes a stack's data and state into one file and brings it back. It streams between the engine and
// the file, so nothing needs room for a second copy, and reaches the engine through its API alone, so the engine may be
// another machine. docs/adr/0020 says why a restore can be killed at any time.
package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/docker/go-units"

	"github.com/docker-telemetry/docker-telemetry/internal/archive"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/internal/version"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

// Source is a stack of which a snapshot is taken. The caller holds its lock.
type Source struct {
	Manager *stack.Manager
	State   *state.Stack
	Engine  string // its name
	Image   string // on the engine, for the containers that hold a volume
	Volumes []stack.KeptVolume
	// MetricsKey opens VictoriaMetrics' own snapshots.
	MetricsKey string
	Now        time.Time
	// Wait is how long a component that was stopped may take to be ready again.
	Wait time.Duration
}

// Result is what a snapshot came to.
type Result struct {
	Info    archive.Info
	Entries int
	Bytes   int64    // before compression
	Stopped []string // components that stood still for their copy
	Left    []string // what is no file: links, sockets
	Warning error    // the snapshot is whole, and this went wrong beside it
	Unready error    // the snapshot is whole, and a component that stood still is not ready again
}

// Create writes a snapshot of a stack. VictoriaMetrics makes one of its own and runs on; every other component with data
// stands still while that is copied, one after the other, and meanwhile the agent's buffer keeps what is sent.
func Create(ctx context.Context, source Source, out io.Writer) (Result, error) {
	taker := &taker{Source: source}
	running, err := taker.look(ctx)
	if err != nil {
		return Result{}, err
	}
	taker.result.Info = archive.Info{
		Stack: source.State.Name, CreatedAt: source.Now.UTC(), Version: version.Version, Engine: source.Engine, Volumes: taker.describe(running),
	}
	if taker.archive, err = archive.NewWriter(out, taker.result.Info); err != nil {
		return Result{}, err
	}
	if err := taker.take(ctx, running); err != nil {
		taker.archive.Abort()
		return Result{}, err
	}
	taker.result.Entries, taker.result.Bytes = taker.archive.Entries(), taker.archive.Bytes()
	if err := taker.archive.Close(); err != nil {
		return Result{}, err
	}
	taker.result.Unready = taker.await(ctx)
	return taker.result, nil
}

type taker struct {
	Source
	archive *archive.Writer
	result  Result
}

// look keeps to the volumes that are there and tells which components run.
func (t *taker) look(ctx context.Context) (running map[string]bool, err error) {
	present, err := t.Manager.Volumes(ctx, t.State.Name)
	if err != nil {
		return nil, err
	}
	t.Volumes = slices.DeleteFunc(slices.Clone(t.Volumes), func(v stack.KeptVolume) bool { return !slices.Contains(present, v.Name) })
	if len(t.Volumes) == 0 {
		return nil, &stack.Error{
			Text: fmt.Sprintf("stack %q has no data on this engine", t.State.Name), Advice: "start it: docker telemetry up",
		}
	}
	containers, err := t.Manager.Containers(ctx, t.State.Name)
	if err != nil {
		return nil, err
	}
	running = map[string]bool{}
	for _, c := range containers {
		if c.State == "running" || c.State == "restarting" || c.State == "paused" {
			running[c.Component] = true
		}
	}
	return running, nil
}

func (t *taker) describe(running map[string]bool) []archive.Volume {
	volumes := make([]archive.Volume, 0, len(t.Volumes))
	for _, v := range t.Volumes {
		one := archive.Volume{Name: v.Key, Component: v.Components[0], Image: v.Image, Method: archive.MethodStopped}
		if ownSnapshot(v, running) {
			one.Method = archive.MethodSnapshot
		}
		volumes = append(volumes, one)
	}
	return volumes
}

// ownSnapshot tells whether a volume is that of a running store which can make a snapshot by itself.
func ownSnapshot(v stack.KeptVolume, running map[string]bool) bool {
	return slices.Equal(v.Components, []string{stack.VictoriaMetrics}) && running[stack.VictoriaMetrics]
}

func (t *taker) take(ctx context.Context, running map[string]bool) error {
	if err := t.addState(); err != nil {
		return err
	}
	for _, v := range t.Volumes {
		var err error
		if ownSnapshot(v, running) {
			err = t.addMetrics(ctx, v)
		} else {
			err = t.addStopped(ctx, v, running)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *taker) addState() error {
	files, err := settings.Export(t.State)
	if err != nil {
		return err
	}
	for _, rel := range slices.Sorted(maps.Keys(files)) {
		content := files[rel]
		if len(content) == 0 {
			continue // a marker of something that is not under way
		}
		entry := archive.Entry{Name: path.Join(archive.StateFolder, rel), Mode: 0o600, Size: int64(len(content)), ModTime: t.Now}
		if err := t.archive.Add(entry, bytes.NewReader(content)); err != nil {
			return err
		}
	}
	return nil
}

// addMetrics copies a snapshot that VictoriaMetrics makes and removes it again, because it keeps files on the disk that a
// merge or the retention would have freed.
func (t *taker) addMetrics(ctx context.Context, v stack.KeptVolume) (err error) {
	snapshots, err := t.Manager.MetricSnapshots(ctx, t.State.Name, t.MetricsKey)
	if err != nil {
		return err
	}
	name, err := snapshots.Create(ctx)
	if err != nil {
		return err
	}
	defer func() {
		// Left behind it goes by itself after three days (-snapshotsMaxAge); no reason to throw the copy away.
		if failed := snapshots.Delete(context.WithoutCancel(ctx), name); failed != nil {
			t.result.Warning = errors.Join(t.result.Warning, fmt.Errorf("the snapshot %s stays in victoriametrics: %w", name, failed))
		}
	}()
	return t.hold(ctx, v, func(holder *stack.VolumeHolder, visit visitor) ([]string, error) {
		return holder.ReadMetricSnapshot(ctx, name, visit)
	})
}

func (t *taker) addStopped(ctx context.Context, v stack.KeptVolume, running map[string]bool) error {
	components := slices.DeleteFunc(slices.Clone(v.Components), func(name string) bool { return !running[name] })
	resume := func() error { return nil }
	if len(components) > 0 {
		var err error
		if resume, err = t.Manager.Pause(ctx, t.State.Name, components); err != nil {
			return err
		}
		t.result.Stopped = append(t.result.Stopped, components...)
	}
	err := t.hold(ctx, v, func(holder *stack.VolumeHolder, visit visitor) ([]string, error) {
		links, odd, err := holder.Read(ctx, ".", visit)
		for _, link := range links {
			odd = append(odd, link.Path)
		}
		return odd, err
	})
	return errors.Join(err, resume())
}

type visitor func(stack.VolumeFile, io.Reader) error

func (t *taker) hold(ctx context.Context, v stack.KeptVolume, read func(*stack.VolumeHolder, visitor) (odd []string, err error)) error {
	holder, err := t.Manager.HoldVolume(ctx, t.Image, t.State.Name, v.Name, true)
	if err != nil {
		return err
	}
	before, said := t.archive.Bytes(), time.Now()
	id := "Data " + v.Key
	t.Manager.Copied(id, "Copying", false)
	left, err := read(holder, func(file stack.VolumeFile, content io.Reader) error {
		if time.Since(said) > time.Second {
			said = time.Now()
			t.Manager.Copied(id, "Copying "+size(t.archive.Bytes()-before), false)
		}
		return t.addFile(v.Key, file, content)
	})
	for _, name := range left {
		t.result.Left = append(t.result.Left, path.Join(v.Key, name))
	}
	err = errors.Join(err, holder.Release(context.WithoutCancel(ctx)))
	if err == nil {
		t.Manager.Copied(id, "Copied "+size(t.archive.Bytes()-before), true)
	}
	return err
}

func (t *taker) addFile(key string, file stack.VolumeFile, content io.Reader) error {
	entry := archive.Entry{
		Name: path.Join(archive.VolumesFolder, key, file.Path), Dir: file.Dir, Mode: uint32(file.Mode),
		UID: file.UID, GID: file.GID, Size: file.Size, ModTime: file.ModTime,
	}
	if !archive.ValidName(entry.Name) {
		return fmt.Errorf("volume %s has a file whose name is no text: %q", key, file.Path)
	}
	return t.archive.Add(entry, content)
}

func size(count int64) string { return units.BytesSize(float64(count)) }

// await sees the components that stood still run again.
func (t *taker) await(ctx context.Context) error {
	if len(t.result.Stopped) == 0 {
		return nil
	}
	return t.Manager.Start(ctx, t.State.Name, t.result.Stopped, t.Wait)
}
