package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/docker-telemetry/docker-telemetry/internal/archive"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

// stateLimit bounds the stack's own files together: settings, credentials, rules, and what reports remember.
const stateLimit = 64 << 20

// Contents is what a snapshot was seen to hold, from its first byte to its last.
type Contents struct {
	Info    archive.Info
	Files   map[string][]byte // of the stack's state, by path
	Entries int
	Bytes   int64  // before compression
	Sum     string // SHA-256 of the file
}

// Verify reads a whole snapshot and touches nothing. progress hears which part of it was read, from 0 to 1.
func Verify(ctx context.Context, file *os.File, progress func(part float64)) (Contents, error) {
	contents := Contents{Files: map[string][]byte{}}
	order := &order{}
	left := int64(stateLimit)
	summary, sum, err := readAll(ctx, file, progress, func(entry archive.Entry, content io.Reader) error {
		key, rel, err := order.place(entry)
		if err != nil || key != "" || entry.Dir {
			return err
		}
		if left -= entry.Size; left < 0 {
			return &archive.Error{Reason: "has a state of more than " + size(stateLimit)}
		}
		var raw bytes.Buffer
		if _, err := raw.ReadFrom(content); err != nil {
			return err
		}
		contents.Files[rel] = raw.Bytes()
		return nil
	})
	if err != nil {
		return Contents{}, err
	}
	if err := order.check(summary.Info); err != nil {
		return Contents{}, err
	}
	if _, has := contents.Files["state.json"]; !has {
		return Contents{}, &archive.Error{Reason: "has no state.json"}
	}
	contents.Info, contents.Entries, contents.Bytes, contents.Sum = summary.Info, summary.Entries, summary.Bytes, sum
	return contents, nil
}

// order knows where in an archive an entry of a stack may be: its state, then one volume after the other.
type order struct{ volumes []string }

// place returns the volume that an entry is of, or "", and its path there or among the stack's files.
func (o *order) place(entry archive.Entry) (key, rel string, err error) {
	top, rest, below := strings.Cut(entry.Name, "/")
	switch {
	case top == archive.StateFolder && below:
		if !entry.Dir && !state.Portable(rest) {
			return "", "", &archive.Error{Reason: fmt.Sprintf("has a state file that no snapshot has: %q", rest)}
		}
		return "", rest, nil
	case top == archive.VolumesFolder && below:
		key, rel, _ := strings.Cut(rest, "/")
		if rel == "" {
			rel = "."
		}
		return key, rel, o.enter(key)
	case !below && entry.Dir && (top == archive.StateFolder || top == archive.VolumesFolder):
		return "", entry.Name, nil
	default:
		return "", "", &archive.Error{Reason: fmt.Sprintf("has an entry that no snapshot has: %q", entry.Name)}
	}
}

func volumeKey() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$`) }

func (o *order) enter(key string) error {
	last := len(o.volumes) - 1
	switch {
	case last >= 0 && o.volumes[last] == key:
		return nil
	case slices.Contains(o.volumes, key):
		return &archive.Error{Reason: fmt.Sprintf("comes back to volume %q", key)}
	case !volumeKey().MatchString(key):
		return &archive.Error{Reason: fmt.Sprintf("has a volume by a name that none has: %q", key)}
	}
	o.volumes = append(o.volumes, key)
	return nil
}

func (o *order) check(info archive.Info) error {
	var said []string
	for _, volume := range info.Volumes {
		said = append(said, volume.Name)
	}
	if !slices.Equal(said, o.volumes) {
		return &archive.Error{Reason: fmt.Sprintf("says it has the volumes %q and has %q", said, o.volumes)}
	}
	return nil
}

// readAll reads a file from its beginning, stops with the context, and returns the checksum of what was read.
func readAll(
	ctx context.Context, file *os.File, progress func(float64), visit func(archive.Entry, io.Reader) error,
) (archive.Summary, string, error) {
	info, err := file.Stat()
	if err != nil {
		return archive.Summary{}, "", err
	}
	hash := sha256.New()
	whole := io.NewSectionReader(file, 0, info.Size())
	said, read := time.Now(), int64(0)
	in := readerFunc(func(into []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n, err := whole.Read(into)
		hash.Write(into[:n])
		if read += int64(n); progress != nil && time.Since(said) > time.Second {
			said = time.Now()
			progress(float64(read) / float64(max(1, info.Size())))
		}
		return n, err
	})
	summary, err := archive.Read(in, archive.DefaultLimits(), visit)
	if ctx.Err() != nil {
		return summary, "", ctx.Err()
	}
	if err != nil {
		return summary, "", err
	}
	// The archive ends where its reader stops; the checksum is that of the file.
	_, err = io.Copy(io.Discard, in)
	return summary, hex.EncodeToString(hash.Sum(nil)), err
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(into []byte) (int, error) { return f(into) }

// Target is where a snapshot goes: volumes on the engine by their keys. Those without data in the snapshot are made empty.
type Target struct {
	Manager *stack.Manager
	Stack   string
	Image   string // for the containers that hold a volume
	ID      string // of the restore
	Volumes map[string]string
}

// Fill makes the target's volumes and puts the snapshot's data into them. The file is read and checked once more: the
// volumes are good for use only if Fill returns without an error. On an error they are the caller's to remove.
func Fill(ctx context.Context, target Target, file *os.File, contents Contents) error {
	for _, key := range slices.Sorted(maps.Keys(target.Volumes)) {
		if err := target.Manager.NewVolume(ctx, target.Stack, key, target.Volumes[key], target.ID); err != nil {
			return err
		}
	}
	filler := &filler{Target: target}
	order := &order{}
	_, sum, err := readAll(ctx, file, filler.tell, func(entry archive.Entry, content io.Reader) error {
		key, rel, err := order.place(entry)
		if err != nil || key == "" {
			return err
		}
		return filler.add(ctx, key, rel, entry, content)
	})
	if err == nil && sum != contents.Sum {
		err = &archive.Error{Reason: "was changed while it was read"}
	}
	if err != nil {
		filler.abort(ctx, err)
		return err
	}
	return filler.finish(ctx)
}

// filler has one volume open at a time.
type filler struct {
	Target
	key    string
	holder *stack.VolumeHolder
	writer *stack.VolumeWriter
}

func (f *filler) add(ctx context.Context, key, rel string, entry archive.Entry, content io.Reader) error {
	if key != f.key {
		if err := f.finish(ctx); err != nil {
			return err
		}
		name, wanted := f.Volumes[key]
		if !wanted {
			return &archive.Error{Reason: fmt.Sprintf("has a volume %q, and its stack has none of that name", key)}
		}
		holder, err := f.Manager.HoldVolume(ctx, f.Image, f.Stack, name, false)
		if err != nil {
			return err
		}
		f.key, f.holder, f.writer = key, holder, holder.Write(ctx)
		f.tell(0)
	}
	return f.writer.Add(stack.VolumeFile{
		Path: rel, Dir: entry.Dir, Mode: int64(entry.Mode), UID: entry.UID, GID: entry.GID, Size: entry.Size, ModTime: entry.ModTime,
	}, content)
}

func (f *filler) tell(part float64) {
	if f.key != "" {
		f.Manager.Copied("Data "+f.key, fmt.Sprintf("Filling, %.0f %% of the snapshot", part*100), false)
	}
}

// finish ends the volume that is open, if any.
func (f *filler) finish(ctx context.Context) error {
	if f.holder == nil {
		return nil
	}
	err := errors.Join(f.writer.Close(), f.holder.Release(context.WithoutCancel(ctx)))
	if err == nil {
		f.Manager.Copied("Data "+f.key, "Filled", true)
	}
	f.holder, f.writer = nil, nil
	return err
}

func (f *filler) abort(ctx context.Context, cause error) {
	if f.holder == nil {
		return
	}
	// The cause says more than what comes of it; a container that stays is removed with the probes.
	_ = f.writer.Abort(cause)
	_ = f.holder.Release(context.WithoutCancel(ctx))
	f.holder = nil
}
