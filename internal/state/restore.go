package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// restoreFile is among the secrets because it holds some.
const restoreFile = "secrets/restore"

// Restore is what a restore has written down before it does anything: while it is there, the stack is between two
// states. Writing it with Switched is the one step by which a stack becomes the other one. Before that all that was
// made is removed and nothing was changed; after it the rest is done, as often as it is interrupted.
type Restore struct {
	SchemaVersion int    `json:"schemaVersion"`
	ID            string `json:"id"` // on the label of each volume that it made
	From          string `json:"from"`
	Switched      bool   `json:"switched"`
	// Files are the stack's files as they are to be, by path; all others go, but for what is of this engine or this moment.
	Files map[string][]byte `json:"files"`
	// Replaced are the volumes that go when the restored stack runs.
	Replaced []string `json:"replaced"`
}

// PendingRestore returns a restore that is under way or was interrupted, nil when there is none.
func (s *Stack) PendingRestore() (*Restore, error) {
	raw, err := s.ReadFile(restoreFile)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(raw) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var restore Restore
	if err := json.Unmarshal(raw, &restore); err != nil {
		return nil, &CorruptError{Path: filepath.Join(s.Dir, filepath.FromSlash(restoreFile)), Err: err}
	}
	if restore.SchemaVersion > Schema {
		return nil, &NewerSchemaError{Path: filepath.Join(s.Dir, filepath.FromSlash(restoreFile)), Found: restore.SchemaVersion, Known: Schema}
	}
	return &restore, nil
}

// WriteRestore writes a restore down, in one step. The caller holds the lock.
func (s *Stack) WriteRestore(restore Restore) error {
	restore.SchemaVersion = Schema
	raw, err := json.Marshal(restore)
	if err != nil {
		return err
	}
	return s.WriteFile(restoreFile, raw, filePerm)
}

// EndRestore forgets a restore that is done or undone.
func (s *Stack) EndRestore() error { return s.WriteFile(restoreFile, nil, filePerm) }

// Adopt makes the stack's files those of a restore that has switched. It can be done again after it was interrupted.
func (s *Stack) Adopt(restore Restore) error {
	if !restore.Switched {
		return fmt.Errorf("the restore %s has not switched", restore.ID)
	}
	present, err := s.Files()
	if err != nil {
		return err
	}
	for _, rel := range present {
		if _, wanted := restore.Files[rel]; wanted || !Portable(rel) {
			continue
		}
		if err := s.removeFile(rel); err != nil {
			return err
		}
	}
	for rel, content := range restore.Files {
		if !Portable(rel) {
			return fmt.Errorf("the restore %s has a file %q, which no stack keeps", restore.ID, rel)
		}
		if err := s.WriteFile(rel, content, filePerm); err != nil {
			return err
		}
	}
	return nil
}

// ImagesFile is the lock file of a stack's images: what its tags stand for on this engine.
const ImagesFile = "images.json"

// Portable tells whether a file of a stack means the same on another machine: its settings and its credentials do. Its
// certificate is issued by this user's authority, and the images are those of this engine; a lock, a half-written file
// and what is under way are of the moment.
func Portable(rel string) bool {
	switch {
	case !fs.ValidPath(rel), rel == ".", rel == lockFile, rel == ImagesFile, strings.HasPrefix(rel, "certs/"):
		return false
	case rel == restoreFile, rel == "secrets/rotation", strings.HasPrefix(rel, rehearsal+"/"):
		return false
	default:
		return !strings.HasPrefix(path.Base(rel), ".tmp-")
	}
}

// Files lists the files of the stack by their slash-separated paths, sorted; none where it has no folder.
func (s *Stack) Files() ([]string, error) {
	dir, err := s.folder().open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	var files []string
	err = fs.WalkDir(dir.FS(), ".", func(rel string, entry fs.DirEntry, err error) error {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if entry != nil && entry.Type().IsRegular() {
			files = append(files, rel)
		}
		return nil
	})
	if err != nil {
		return nil, fail("list", s.Dir, err)
	}
	slices.Sort(files)
	return files, nil
}

func (s *Stack) removeFile(rel string) error {
	dir, err := s.folder().open(false)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Remove(filepath.FromSlash(rel)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail("remove", s.folder().abs(filepath.FromSlash(rel)), err)
	}
	return nil
}

// rehearsal is a folder in the stack's own for Rehearse.
const rehearsal = "rehearsal"

// Rehearse gives a stack of the same name in an empty folder of its own, to see what other files would come to before
// they are the stack's. done removes it.
func (s *Stack) Rehearse() (Root, *Stack, func() error, error) {
	root := Root{State: filepath.Join(s.Dir, rehearsal)}
	copied, err := root.Stack(s.Context, s.Name)
	if err != nil {
		return Root{}, nil, nil, err
	}
	copied.OnNotice = s.OnNotice
	done := func() error {
		dir, err := s.folder().open(true)
		if err != nil {
			return err
		}
		defer dir.Close()
		return dir.RemoveAll(rehearsal)
	}
	// What a killed process left must not take part.
	return root, copied, done, done()
}
