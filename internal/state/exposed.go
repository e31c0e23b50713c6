package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Exposed is a file or folder that others on this machine can get at.
type Exposed struct {
	Path    string
	Mode    fs.FileMode // its permissions
	Written bool        // others can write it; else it is a secret that they can read
}

// Exposed looks for what others can read or write of a stack's state and of the authority, and changes nothing; reading a
// file by ReadFile would close it.
func (r Root) Exposed(stack *Stack) ([]Exposed, error) {
	if runtime.GOOS == "windows" {
		return nil, nil // there the permissions are made up from the read-only attribute
	}
	var found []Exposed
	for _, dir := range []string{stack.Dir, r.CADir()} {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			mode := info.Mode().Perm()
			written := mode&0o022 != 0
			read := !entry.IsDir() && secret(filepath.ToSlash(rel)) && mode&othersMask != 0
			if info.Mode()&fs.ModeSymlink == 0 && (written || read) {
				found = append(found, Exposed{Path: path, Mode: mode, Written: written})
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fail("list", dir, err)
		}
	}
	return found, nil
}

// Conceal takes every permission of others from what Exposed found. What is not of this state is refused, and a link is not
// followed.
func (r Root) Conceal(path string) error {
	rel, err := filepath.Rel(r.State, path)
	if err != nil || !filepath.IsLocal(rel) || strings.HasPrefix(rel, ".") {
		return &NameError{What: "state file", Name: path, Rule: "name one below " + r.State}
	}
	root, err := os.OpenRoot(r.State)
	if err != nil {
		return fail("open", r.State, err)
	}
	defer root.Close()
	info, err := root.Lstat(rel)
	if err != nil {
		return fail("look at", path, err)
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return fail("close", path, ErrSymlink)
	}
	if err := root.Chmod(rel, info.Mode().Perm()&^othersMask); err != nil {
		return fail("close", path, err)
	}
	return nil
}

// Secrets returns the content of every secret of the stack and, of one with several lines, its lines: what must not be said.
func (s *Stack) Secrets() ([]string, error) {
	dir, err := s.folder().open(false, secretsFolder)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	entries, err := fs.ReadDir(dir.FS(), ".")
	if err != nil {
		return nil, fail("list", filepath.Join(s.Dir, secretsFolder), err)
	}
	var all []string
	for _, entry := range entries {
		if !entry.Type().IsRegular() || strings.HasSuffix(entry.Name(), "_user") {
			continue // the name of a user is no secret, and stands in much that is to be read
		}
		content, err := s.ReadFile(secretsFolder + "/" + entry.Name())
		if err != nil {
			return nil, err
		}
		all = append(all, strings.TrimRight(string(content), "\r\n"))
	}
	return all, nil
}

const secretsFolder = "secrets"
