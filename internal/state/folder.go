package state

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	dirPerm    fs.FileMode = 0o700
	filePerm   fs.FileMode = 0o600
	othersMask fs.FileMode = 0o077

	// A leftover of a killed writer is removed once nobody can still be writing it.
	leftoverAge = time.Hour
)

// Files reads and writes the files of one folder.
type Files struct{ folder }

// Notify sets who is told what was mended, such as a key that others could read.
func (f *Files) Notify(notice func(message string)) { f.notice = notice }

// ReadFile reads a file by its slash-separated path. A missing file is an fs.ErrNotExist inside a *PathError.
func (f *Files) ReadFile(rel string) ([]byte, error) { return f.readFile(rel) }

// WriteFile replaces a file in one step and creates the folders above it.
func (f *Files) WriteFile(rel string, data []byte, perm fs.FileMode) error {
	return f.writeFile(rel, data, perm)
}

// folder is base/path...; base may be, or lie behind, a symbolic link (people move their home about), nothing below may.
type folder struct {
	base   string
	path   []string
	notice func(string)
}

func (f folder) abs(elem ...string) string {
	return filepath.Join(append(append([]string{f.base}, f.path...), elem...)...)
}

// open walks down one segment at a time. os.Root already keeps every step inside its parent, whoever renames what
// meanwhile; the walk adds that links which stay inside are refused too.
func (f folder) open(create bool, sub ...string) (*os.Root, error) {
	if !filepath.IsAbs(f.base) {
		return nil, fail("open", f.base, errNotAbsolute)
	}
	if create {
		if err := os.MkdirAll(f.base, dirPerm); err != nil {
			return nil, fail("create", f.base, err)
		}
	}
	root, err := os.OpenRoot(f.base)
	if err != nil {
		return nil, fail("open", f.base, err)
	}
	at := f.base
	for _, name := range append(append([]string{}, f.path...), sub...) {
		at = filepath.Join(at, name)
		next, err := f.step(root, name, at, create)
		root.Close()
		if err != nil {
			return nil, err
		}
		root = next
	}
	return root, nil
}

func (f folder) step(parent *os.Root, name, abs string, create bool) (*os.Root, error) {
	if create {
		switch err := parent.Mkdir(name, dirPerm); {
		case err == nil:
			if err := syncDir(parent); err != nil {
				return nil, fail("create", abs, err)
			}
		case !errors.Is(err, fs.ErrExist):
			return nil, fail("create", abs, err)
		}
	}
	seen, err := parent.Lstat(name)
	if err != nil {
		return nil, fail("open", abs, err)
	}
	if seen.Mode()&fs.ModeSymlink != 0 {
		return nil, fail("open", abs, ErrSymlink)
	}
	if !seen.IsDir() {
		return nil, fail("open", abs, syscall.ENOTDIR)
	}
	dir, err := parent.OpenRoot(name)
	if err != nil {
		return nil, fail("open", abs, err)
	}
	opened, err := dir.Stat(".")
	if err != nil || !os.SameFile(seen, opened) {
		dir.Close()
		return nil, fail("open", abs, swapped(err))
	}
	f.mendDir(parent, name, abs, opened)
	return dir, nil
}

// mendDir takes write permission from others: who can write in the folder can swap the files in it.
func (f folder) mendDir(parent *os.Root, name, abs string, info fs.FileInfo) {
	mode := info.Mode().Perm()
	if runtime.GOOS == "windows" || mode&0o022 == 0 {
		return
	}
	f.report(abs, "written", mode, mode&^othersMask, parent.Chmod(name, mode&^othersMask))
}

func (f folder) readFile(rel string) ([]byte, error) {
	sub, name, err := f.split(rel)
	if err != nil {
		return nil, err
	}
	abs := f.abs(filepath.FromSlash(rel))
	dir, err := f.open(false, sub...)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fail("read", abs, fs.ErrNotExist) // the caller asked for the file, not for the folders above it
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()

	file, err := openRegular(dir, name, os.O_RDONLY)
	if err != nil {
		return nil, fail("read", abs, err)
	}
	defer file.Close()
	if secret(rel) {
		f.mendFile(file, abs)
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return nil, fail("read", abs, err)
	}
	return data, nil
}

// mendFile only reports when it cannot mend: on a read-only disk the secret must stay usable.
func (f folder) mendFile(file *os.File, abs string) {
	info, err := file.Stat()
	// Windows makes these bits up from the read-only attribute.
	if err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&othersMask == 0 {
		return
	}
	mode := info.Mode().Perm()
	f.report(abs, "read", mode, mode&^othersMask, file.Chmod(mode&^othersMask))
}

func (f folder) report(abs, what string, was, now fs.FileMode, err error) {
	if f.notice == nil {
		return
	}
	if err != nil {
		f.notice(fmt.Sprintf("%q can be %s by others (mode %04o) and could not be mended: %v", abs, what, was, cause(err)))
		return
	}
	f.notice(fmt.Sprintf("%q could be %s by others (mode %04o); mended to %04o", abs, what, was, now))
}

// writeFile: temporary file, fsync, rename, fsync of the folder. The folder's own handle is used throughout, which is
// why this is not moby's atomicwriter: that one resolves the path again at each step and does not sync the folder.
func (f folder) writeFile(rel string, data []byte, perm fs.FileMode) error {
	sub, name, err := f.split(rel)
	if err != nil {
		return err
	}
	abs := f.abs(filepath.FromSlash(rel))
	dir, err := f.open(true, sub...)
	if err != nil {
		return err
	}
	defer dir.Close()

	if err := replaceable(dir, name); err != nil {
		return fail("write", abs, err)
	}
	if secret(rel) {
		perm &^= othersMask
	}
	if err := replace(dir, name, data, perm); err != nil {
		return fail("write", abs, err)
	}
	sweep(dir, name)
	return nil
}

func (f folder) split(rel string) (dirs []string, name string, err error) {
	if !fs.ValidPath(rel) || rel == "." || !filepath.IsLocal(filepath.FromSlash(rel)) {
		return nil, "", &NameError{What: "state file", Name: rel, Rule: "use a relative path with no dots"}
	}
	parts := strings.Split(rel, "/")
	return parts[:len(parts)-1], parts[len(parts)-1], nil
}

// secret tells the files that only their owner may read.
func secret(rel string) bool {
	return strings.HasPrefix(rel, "secrets/") || path.Ext(rel) == ".key"
}

// openRegular tries again when the file changed hands between the look and the opening: a writer at work renames a new
// one into place as often as it likes.
func openRegular(dir *os.Root, name string, flag int) (*os.File, error) {
	const tries = 100
	for range tries {
		file, err := openSeen(dir, name, flag)
		if !errors.Is(err, errSwapped) {
			return file, err
		}
	}
	return nil, errSwapped
}

func openSeen(dir *os.Root, name string, flag int) (*os.File, error) {
	seen, err := dir.Lstat(name)
	if err != nil {
		return nil, err
	}
	if err := regular(seen); err != nil {
		return nil, err
	}
	file, err := dir.OpenFile(name, flag, filePerm)
	if err != nil {
		return nil, err
	}
	opened, err := file.Stat()
	if err != nil || !os.SameFile(seen, opened) {
		file.Close()
		return nil, swapped(err)
	}
	return file, nil
}

func replaceable(dir *os.Root, name string) error {
	info, err := dir.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return regular(info)
}

func regular(info fs.FileInfo) error {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return ErrSymlink
	case info.IsDir():
		return syscall.EISDIR
	case !info.Mode().IsRegular():
		return errNotRegular
	}
	return nil
}

// swapped names the reason when what was looked at is not what was opened.
func swapped(err error) error {
	if err != nil {
		return err
	}
	return errSwapped
}

func replace(dir *os.Root, name string, data []byte, perm fs.FileMode) error {
	temp := tempPrefix(name) + rand.Text()
	if err := writeTemp(dir, temp, data, perm); err != nil {
		_ = dir.Remove(temp)
		return err
	}
	if err := dir.Rename(temp, name); err != nil {
		_ = dir.Remove(temp)
		return err
	}
	return syncDir(dir)
}

func writeTemp(dir *os.Root, temp string, data []byte, perm fs.FileMode) error {
	file, err := dir.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, filePerm)
	if err != nil {
		return err
	}
	if runtime.GOOS == "windows" {
		perm |= 0o200 // there a file without it cannot be replaced, and the other bits mean nothing
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Chmod(perm)
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// syncDir makes a rename last through a power cut. Windows cannot sync a folder, some network file systems refuse to.
func syncDir(dir *os.Root) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	handle, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer handle.Close()
	err = handle.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

func tempPrefix(name string) string {
	return ".tmp-" + name + "-"
}

// sweep removes what writers of this file left when they were killed; a younger one may belong to a writer at work.
func sweep(dir *os.Root, name string) {
	entries, err := fs.ReadDir(dir.FS(), ".")
	if err != nil {
		return
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), tempPrefix(name)) {
			continue
		}
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > leftoverAge {
			_ = dir.Remove(entry.Name())
		}
	}
}

// shorten keeps a segment under the limit of a file name. "%%" never comes out of the escaping, so no other name ends
// up in the same folder.
func shorten(s string) string {
	if len(s) <= maxSegment {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return s[:maxSegment/2] + "%%" + hex.EncodeToString(sum[:])
}
