package snapshot

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/internal/archive"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
)

// archived writes an archive of these files, by their names, in their order, and says that it has these volumes.
func archived(t *testing.T, volumes []string, names ...string) *os.File {
	t.Helper()
	var out bytes.Buffer
	info := archive.Info{Stack: "telemetry"}
	for _, volume := range volumes {
		info.Volumes = append(info.Volumes, archive.Volume{Name: volume})
	}
	w, err := archive.NewWriter(&out, info)
	assert.NilError(t, err)
	for _, name := range names {
		assert.NilError(t, w.Add(archive.Entry{Name: name, Size: 1, Mode: 0o600}, strings.NewReader("x")))
	}
	assert.NilError(t, w.Close())
	path := filepath.Join(t.TempDir(), "a.tar.zst")
	assert.NilError(t, os.WriteFile(path, out.Bytes(), 0o600))
	file, err := os.Open(path)
	assert.NilError(t, err)
	t.Cleanup(func() { file.Close() })
	return file
}

// An archive may be whole and still be none of a stack.
func TestVerifyRefusesWhatNoStackHas(t *testing.T) {
	for reason, file := range map[string]*os.File{
		"has no state.json":                                    archived(t, nil, "state/secrets/a"),
		"a state file that no snapshot has: \"lock\"":          archived(t, nil, "state/state.json", "state/lock"),
		"a state file that no snapshot has: \"certs/tls.key\"": archived(t, nil, "state/state.json", "state/certs/tls.key"),
		"a state file that no snapshot has: \"secrets/resto":   archived(t, nil, "state/state.json", "state/secrets/restore"),
		"an entry that no snapshot has: \"other\"":             archived(t, nil, "state/state.json", "other/x"),
		"an entry that no snapshot has: \"x\"":                 archived(t, nil, "state/state.json", "x"),
		"says it has the volumes":                              archived(t, []string{"a", "b"}, "state/state.json", "volumes/a/x"),
		"comes back to volume \"a\"":                           archived(t, []string{"a", "b"}, "state/state.json", "volumes/a/x", "volumes/b/x", "volumes/a/y"),
		"a volume by a name that none has: \"-v\"":             archived(t, []string{"-v"}, "state/state.json", "volumes/-v/x"),
	} {
		_, err := Verify(t.Context(), file, nil)
		assert.ErrorContains(t, err, reason)
		var refusal *archive.Error
		assert.Assert(t, errors.As(err, &refusal), reason)
	}
	contents, err := Verify(t.Context(), archived(t, []string{"a", "b"}, "state/state.json", "volumes/a/x", "volumes/b/x"), nil)
	assert.NilError(t, err)
	assert.DeepEqual(t, contents.Files, map[string][]byte{"state.json": []byte("x")})
	assert.Equal(t, len(contents.Sum), 64)
}

func TestAFileAppearsWhenItIsWhole(t *testing.T) {
	name := filepath.Join(t.TempDir(), "deep", "a.tar.zst")
	file, err := NewFile(name)
	assert.NilError(t, err)
	_, err = file.WriteString("half")
	assert.NilError(t, err)
	_, err = os.Stat(name)
	assert.Assert(t, errors.Is(err, fs.ErrNotExist))
	_, err = NewFile(name)
	assert.ErrorContains(t, err, "another process writes this snapshot, or one was killed")
	size, err := file.Commit()
	assert.NilError(t, err)
	assert.Equal(t, size, int64(4))
	info, err := os.Stat(name)
	assert.NilError(t, err)
	assert.Equal(t, info.Mode().Perm(), fs.FileMode(0o600))
	_, err = os.Stat(name + ".part")
	assert.Assert(t, errors.Is(err, fs.ErrNotExist))
	_, err = NewFile(name)
	assert.ErrorContains(t, err, "exists, and a snapshot never replaces a file")
}

// What somebody else puts there while it is written stays theirs.
func TestACommitReplacesNothing(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.tar.zst")
	file, err := NewFile(name)
	assert.NilError(t, err)
	assert.NilError(t, os.WriteFile(name, []byte("theirs"), 0o600))
	_, err = file.Commit()
	assert.ErrorContains(t, err, "never replaces a file")
	raw, err := os.ReadFile(name)
	assert.NilError(t, err)
	assert.Equal(t, string(raw), "theirs")
	_, err = os.Stat(name + ".part")
	assert.Assert(t, errors.Is(err, fs.ErrNotExist))
}

func TestListAndFind(t *testing.T) {
	root := state.Root{State: t.TempDir()}
	whole, parts, err := List(root)
	assert.NilError(t, err)
	assert.Equal(t, len(whole)+len(parts), 0)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, name := range []string{"one", "two"} {
		file, err := NewFile(DefaultFile(root, name, at))
		assert.NilError(t, err)
		w, err := archive.NewWriter(file, archive.Info{Stack: name, CreatedAt: at.Add(time.Duration(i) * time.Hour)})
		assert.NilError(t, err)
		assert.NilError(t, w.Close())
		_, err = file.Commit()
		assert.NilError(t, err)
	}
	half, err := NewFile(DefaultFile(root, "half", at))
	assert.NilError(t, err)
	defer half.Close()
	assert.NilError(t, os.WriteFile(filepath.Join(root.SnapshotDir(), "odd.tar.zst"), []byte("odd"), 0o600))
	whole, parts, err = List(root)
	assert.NilError(t, err)
	assert.Equal(t, len(parts), 1)
	var names []string
	for _, one := range whole {
		names = append(names, one.Name)
	}
	assert.DeepEqual(t, names, []string{"two-20260102-030405", "one-20260102-030405", "odd"})
	assert.Assert(t, whole[2].Problem != nil)
	for _, name := range []string{"one-20260102-030405", "one-20260102-030405.tar.zst", whole[1].File} {
		found, err := Find(root, name)
		assert.NilError(t, err, name)
		assert.Equal(t, found.Name(), whole[1].File)
		found.Close()
	}
	for _, name := range []string{"none", "../one-20260102-030405", root.State} {
		_, err := Find(root, name)
		assert.Assert(t, err != nil, name)
	}
}
