package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

// Whoever can plant a link in the state must not make us read, write, create or delete anything behind it.
func TestSymlinksAreRefused(t *testing.T) {
	for _, tc := range []struct {
		name  string
		plant string // path below the root that becomes a link
		to    string // below the outside folder, or inside the state if it begins with "state/"
		acts  []string
	}{
		{name: "state file", plant: "default/telemetry/state.json", to: "victim", acts: []string{"load", "save"}},
		{name: "state file, dangling", plant: "default/telemetry/state.json", to: "absent", acts: []string{"load", "save"}},
		{name: "secret", plant: "default/telemetry/secrets/pw", to: "victim", acts: []string{"read", "write"}},
		{name: "secrets folder", plant: "default/telemetry/secrets", to: "dir", acts: []string{"read", "write"}},
		{name: "secrets folder, inside", plant: "default/telemetry/secrets", to: "state/else", acts: []string{"read", "write"}},
		{name: "stack", plant: "default/telemetry", to: "dir", acts: []string{"load", "save", "read", "write", "lock", "remove"}},
		{name: "stack, inside", plant: "default/telemetry", to: "state/else", acts: []string{"load", "save", "lock", "remove"}},
		{name: "context", plant: "default", to: "dir", acts: []string{"load", "save", "lock", "remove", "list"}},
		{name: "lock", plant: "default/telemetry/lock", to: "victim", acts: []string{"lock"}},
		{name: "lock, dangling", plant: "default/telemetry/lock", to: "absent", acts: []string{"lock"}},
		{name: "authority", plant: "ca", to: "dir", acts: []string{"ca", "calock"}},
		{name: "authority key", plant: "ca/ca.key", to: "victim", acts: []string{"ca"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := newRoot(t)
			outside := filepath.Join(t.TempDir(), "outside")
			mustDir(t, filepath.Join(outside, "dir"))
			mustDir(t, filepath.Join(root.State, "else"))
			victim := filepath.Join(outside, "victim")
			assert.NilError(t, os.WriteFile(victim, []byte("precious"), 0o600))

			link := filepath.Join(root.State, filepath.FromSlash(tc.plant))
			mustDir(t, filepath.Dir(link))
			target := filepath.Join(outside, tc.to)
			if rest, ok := filepathCutState(tc.to); ok {
				target = filepath.Join(root.State, rest)
			}
			if err := os.Symlink(target, link); err != nil {
				t.Skip("no symbolic links here: ", err)
			}

			for _, act := range tc.acts {
				err := attempt(t, root, act)
				assert.Assert(t, errors.Is(err, ErrSymlink), "%s: %v", act, err)
				assert.Assert(t, is.Contains(hint(err), "symbolic link"), act)
				assert.ErrorContains(t, err, link, act)
			}
			content, err := os.ReadFile(victim)
			assert.NilError(t, err)
			assert.Equal(t, string(content), "precious")
			assertEmpty(t, filepath.Join(outside, "dir"))
			assertEmpty(t, filepath.Join(root.State, "else"))
			_, err = os.Lstat(filepath.Join(outside, "absent"))
			assert.Assert(t, errors.Is(err, fs.ErrNotExist))
		})
	}
}

func attempt(t *testing.T, root Root, act string) error {
	t.Helper()
	stack := mustStack(t, root, "default", "telemetry")
	var err error
	switch act {
	case "load":
		_, err = stack.Load()
	case "save":
		err = stack.Save(File{})
	case "read":
		_, err = stack.ReadFile("secrets/pw")
	case "write":
		err = stack.WriteFile("secrets/pw", []byte("evil"), 0o600)
	case "lock":
		_, err = stack.Lock(t.Context(), "up")
	case "remove":
		err = stack.Remove()
	case "list":
		_, err = root.Stacks("default")
	case "ca":
		err = root.CAFiles().WriteFile("ca.key", []byte("evil"), 0o400)
	case "calock":
		err = root.WithCALock(t.Context(), func() error { return errors.New("must not run") })
	default:
		t.Fatalf("unknown act %q", act)
	}
	return err
}

func TestRemoveDoesNotFollowLinks(t *testing.T) {
	stack := newStack(t)
	outside := t.TempDir()
	victim := filepath.Join(outside, "victim")
	assert.NilError(t, os.WriteFile(victim, nil, 0o600))
	assert.NilError(t, stack.Save(File{}))
	if err := os.Symlink(outside, filepath.Join(stack.Dir, "secrets")); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	assert.NilError(t, stack.Remove())
	_, err := os.Lstat(victim)
	assert.NilError(t, err)
	_, err = os.Lstat(stack.Dir)
	assert.Assert(t, errors.Is(err, fs.ErrNotExist))
}

// People move their home about: a link at or above the root is theirs, not an attack.
func TestRootMayBeALink(t *testing.T) {
	dir := t.TempDir()
	mustDir(t, filepath.Join(dir, "real"))
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "real"), link); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	stack := mustStack(t, Root{State: link}, "default", "telemetry")
	assert.NilError(t, stack.Save(File{Port: 7}))
	file, err := stack.Load()
	assert.NilError(t, err)
	assert.Equal(t, file.Port, 7)
}

func filepathCutState(to string) (string, bool) {
	const prefix = "state/"
	if len(to) > len(prefix) && to[:len(prefix)] == prefix {
		return to[len(prefix):], true
	}
	return "", false
}

func mustDir(t *testing.T, dir string) {
	t.Helper()
	assert.NilError(t, os.MkdirAll(dir, 0o700))
}

func assertEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	assert.NilError(t, err)
	assert.Equal(t, len(entries), 0, "%s: %v", dir, entries)
}
