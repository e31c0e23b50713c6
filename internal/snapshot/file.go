package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/docker-telemetry/docker-telemetry/internal/archive"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

// Extension is that of a snapshot's file: what it is, for tar and zstd.
const Extension = ".tar.zst"

// part is what a file is called while it is written; one that stays is of a process that was killed.
const part = ".part"

// DefaultFile is where a snapshot goes that was given no file.
func DefaultFile(root state.Root, name string, now time.Time) string {
	return filepath.Join(root.SnapshotDir(), name+"-"+now.UTC().Format("20060102-150405")+Extension)
}

// File is a snapshot that is being written. It appears under its name when it is whole, and never in place of another.
type File struct {
	*os.File
	name string
}

// NewFile begins a file that only its owner can read.
func NewFile(name string) (*File, error) {
	if err := refuseExisting(name); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, unwritable(name, err)
	}
	file, err := os.OpenFile(name+part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, &stack.Error{
			Text:   fmt.Sprintf("%q is there: another process writes this snapshot, or one was killed while it did", name+part),
			Advice: "remove it when nothing writes it: rm " + name + part,
		}
	}
	if err != nil {
		return nil, unwritable(name, err)
	}
	return &File{File: file, name: name}, nil
}

func refuseExisting(name string) error {
	if _, err := os.Lstat(name); err == nil {
		return &stack.Error{Text: fmt.Sprintf("%q exists, and a snapshot never replaces a file", name), Advice: "choose another name"}
	}
	return nil
}

func unwritable(name string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return &stack.Error{Text: fmt.Sprintf("cannot write %q: %v", name, err), Advice: "choose a file that you can write: docker telemetry snapshot create FILE", Err: err}
}

// Commit brings the file to the disk and under its name. A link refuses what a rename would replace; where there are no
// links a look has to do.
func (f *File) Commit() (size int64, err error) {
	info, err := f.Stat()
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return 0, errors.Join(unwritable(f.name, err), f.remove())
	}
	err = os.Link(f.name+part, f.name)
	if err == nil {
		return info.Size(), f.remove()
	}
	if refused := refuseExisting(f.name); refused != nil {
		return 0, errors.Join(refused, f.remove())
	}
	return info.Size(), os.Rename(f.name+part, f.name)
}

// Discard removes what was written.
func (f *File) Discard() error { return errors.Join(f.Close(), f.remove()) }

func (f *File) remove() error { return os.Remove(f.name + part) }

// Find opens a snapshot: a file by its path, or one of the folder by its name, with or without its extension.
func Find(root state.Root, name string) (*os.File, error) {
	tries := []string{name}
	if filepath.Base(name) == name {
		tries = append(tries, filepath.Join(root.SnapshotDir(), name), filepath.Join(root.SnapshotDir(), name+Extension))
	}
	for _, path := range tries {
		file, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
			file.Close()
			return nil, &stack.Error{Text: fmt.Sprintf("%q is no file", path), Advice: "list the snapshots: docker telemetry snapshot ls", Usage: true}
		}
		return file, nil
	}
	return nil, &stack.Error{Text: fmt.Sprintf("there is no snapshot %q", name), Advice: "list them: docker telemetry snapshot ls", Usage: true}
}

// Listed is one file of the folder.
type Listed struct {
	Name, File string
	Size       int64
	Info       archive.Info
	Problem    error // what is wrong with its beginning; its end is looked at by a restore only
}

// List lists the snapshots in the folder, the newest first, and the parts that killed processes left.
func List(root state.Root) (whole []Listed, parts []string, err error) {
	entries, err := os.ReadDir(root.SnapshotDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for _, entry := range entries {
		path := filepath.Join(root.SnapshotDir(), entry.Name())
		info, err := entry.Info()
		switch {
		case err != nil || !info.Mode().IsRegular():
			continue
		case strings.HasSuffix(entry.Name(), Extension+part):
			parts = append(parts, path)
		case strings.HasSuffix(entry.Name(), Extension):
			whole = append(whole, describe(path, info))
		}
	}
	slices.SortStableFunc(whole, func(a, b Listed) int { return b.Info.CreatedAt.Compare(a.Info.CreatedAt) })
	return whole, parts, nil
}

// Names are those of the snapshots in the folder, without a look into them.
func Names(root state.Root) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(root.SnapshotDir(), "*"+Extension))
	if err != nil {
		return nil, err
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(filepath.Base(file), Extension)
	}
	return files, nil
}

func describe(path string, info fs.FileInfo) Listed {
	one := Listed{Name: strings.TrimSuffix(filepath.Base(path), Extension), File: path, Size: info.Size()}
	file, err := os.Open(path)
	if err != nil {
		one.Problem = err
		return one
	}
	defer file.Close()
	one.Info, one.Problem = archive.ReadInfo(file)
	return one
}
