package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

func newRoot(t *testing.T) Root {
	t.Helper()
	dir := t.TempDir()
	return Root{Config: filepath.Join(dir, "config"), State: filepath.Join(dir, "state")}
}

func newStack(t *testing.T) *Stack {
	t.Helper()
	return mustStack(t, newRoot(t), "default", "telemetry")
}

func mustStack(t *testing.T, root Root, context, name string) *Stack {
	t.Helper()
	stack, err := root.Stack(context, name)
	assert.NilError(t, err)
	return stack
}

func hint(err error) string {
	var hinter interface{ Hint() string }
	if errors.As(err, &hinter) {
		return hinter.Hint()
	}
	return ""
}

func TestDefaultRoot(t *testing.T) {
	for _, tc := range []struct {
		name, goos string
		env        map[string]string
		want       Root
		err        string
	}{
		{
			name: "linux", goos: "linux", env: map[string]string{"HOME": "/home/ada"},
			want: Root{"/home/ada/.config/docker-telemetry", "/home/ada/.local/state/docker-telemetry"},
		},
		{
			name: "xdg", goos: "linux", env: map[string]string{"XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s"},
			want: Root{"/c/docker-telemetry", "/s/docker-telemetry"},
		},
		{
			name: "relative xdg is ignored", goos: "linux",
			env:  map[string]string{"HOME": "/h", "XDG_CONFIG_HOME": "c", "XDG_STATE_HOME": "./s"},
			want: Root{"/h/.config/docker-telemetry", "/h/.local/state/docker-telemetry"},
		},
		{
			name: "darwin", goos: "darwin", env: map[string]string{"HOME": "/Users/ada"},
			want: Root{
				"/Users/ada/Library/Application Support/docker-telemetry",
				"/Users/ada/Library/Application Support/docker-telemetry/state",
			},
		},
		{
			name: "xdg wins on darwin", goos: "darwin", env: map[string]string{"HOME": "/Users/ada", "XDG_STATE_HOME": "/s"},
			want: Root{"/Users/ada/Library/Application Support/docker-telemetry", "/s/docker-telemetry"},
		},
		{
			name: "windows", goos: "windows", env: map[string]string{"AppData": "/roaming", "LocalAppData": "/local"},
			want: Root{"/roaming/docker-telemetry", "/local/docker-telemetry/state"},
		},
		{name: "no home", goos: "linux", env: map[string]string{"XDG_STATE_HOME": "/s"}, err: "no home folder: HOME is not set"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if runtime.GOOS == "windows" {
				t.Skip("the cases are written with slashes")
			}
			got, err := defaultRoot(tc.goos, func(key string) string { return tc.env[key] })
			if tc.err != "" {
				assert.Error(t, err, tc.err)
				assert.Assert(t, is.Contains(hint(err), "XDG_STATE_HOME"))
				return
			}
			assert.NilError(t, err)
			assert.Equal(t, got, tc.want)
		})
	}
}

func TestNames(t *testing.T) {
	root := newRoot(t)
	for _, name := range []string{"", "Telemetry", "-x", "_x", "a/b", "..", "a b", "a.b", "é", "a\n", strings.Repeat("a", 129)} {
		_, err := root.Stack("default", name)
		var bad *NameError
		assert.Assert(t, errors.As(err, &bad), "%q: %v", name, err)
		assert.Assert(t, hint(err) != "")
	}
	_, err := root.Stack("", "telemetry")
	assert.Error(t, err, `docker context name "" is not valid`)
}

// Two contexts must never share a folder, on file systems that fold case too, and none may leave the root.
func TestContextFolders(t *testing.T) {
	root := newRoot(t)
	long := strings.Repeat("x", 400)
	contexts := []string{
		"default", "Default", "prod.eu", "..", ".", ".hidden", "a/b", `a\b`, "a%2fb", "a%b", "ca", "%63a", "con", "con.x",
		"tcp://10.0.0.1:2376", "ümlaut", "a b", "nul\x00", "\xff", "x.", long, long + "y", long[:399] + "X",
	}
	seen := map[string]string{}
	for _, context := range contexts {
		stack := mustStack(t, root, context, "telemetry")
		rel, err := filepath.Rel(root.State, stack.Dir)
		assert.NilError(t, err)
		parts := strings.Split(rel, string(filepath.Separator))
		assert.Equal(t, len(parts), 2, "%q -> %q", context, rel)
		assert.Assert(t, len(parts[0]) < 200, parts[0])
		assert.Assert(t, parts[0] != caFolder && parts[0] != "con", "%q -> %q", context, rel)
		folded := strings.ToLower(parts[0])
		assert.Equal(t, seen[folded], "", "%q and %q share %q", context, seen[folded], folded)
		seen[folded] = context
		assert.NilError(t, stack.Save(File{}))
		names, err := root.Stacks(context)
		assert.NilError(t, err)
		assert.DeepEqual(t, names, []string{"telemetry"})
	}
}

func TestSaveLoad(t *testing.T) {
	stack := newStack(t)
	_, err := stack.Load()
	assert.Assert(t, errors.Is(err, os.ErrNotExist), err)
	assert.Error(t, err, fmt.Sprintf("cannot read %q: file does not exist", filepath.Join(stack.Dir, stateFile)))
	assert.Equal(t, hint(err), "")

	before := time.Now()
	in := File{
		Version: "1.2.3", Profiles: []string{"otel"}, Scale: map[string]int{"aggregator": 3}, Bind: "127.0.0.1", Port: 8082,
		DockerSocket: "/run/docker.sock", Host: "box", EngineID: "abc", Phase: PhaseStarting,
	}
	assert.NilError(t, stack.Save(in))
	out, err := stack.Load()
	assert.NilError(t, err)
	assert.Assert(t, !out.UpdatedAt.Before(before) && out.CreatedAt.Equal(out.UpdatedAt))
	created := out.CreatedAt
	in.SchemaVersion, in.CreatedAt, in.UpdatedAt = Schema, out.CreatedAt, out.UpdatedAt
	assert.DeepEqual(t, out, in)

	out.Phase = PhaseRunning
	assert.NilError(t, stack.Save(out))
	again, err := stack.Load()
	assert.NilError(t, err)
	assert.Assert(t, again.CreatedAt.Equal(created))
	assert.Assert(t, again.UpdatedAt.After(created))
	assert.Equal(t, again.Phase, PhaseRunning)

	data, err := os.ReadFile(filepath.Join(stack.Dir, stateFile))
	assert.NilError(t, err)
	for _, key := range []string{`"schemaVersion": 1`, `"dockerSocket"`, `"engineID"`, `"createdAt"`} {
		assert.Assert(t, is.Contains(string(data), key))
	}
}

func TestModes(t *testing.T) {
	skipWithoutModes(t)
	stack := newStack(t)
	assert.NilError(t, stack.Save(File{}))
	assert.NilError(t, stack.WriteFile("secrets/pw", []byte("x"), 0o644))
	assert.NilError(t, stack.WriteFile("certs/server.key", []byte("x"), 0o666))
	assert.NilError(t, stack.WriteFile("certs/server.crt", []byte("x"), 0o644))
	unlock, err := stack.Lock(t.Context(), "up")
	assert.NilError(t, err)
	defer unlock()
	for rel, want := range map[string]fs.FileMode{
		"": 0o700, "..": 0o700, "../..": 0o700, "secrets": 0o700, "certs": 0o700,
		"state.json": 0o600, "lock": 0o600, "secrets/pw": 0o600, "certs/server.key": 0o600, "certs/server.crt": 0o644,
	} {
		info, err := os.Lstat(filepath.Join(stack.Dir, rel))
		assert.NilError(t, err)
		assert.Equal(t, info.Mode().Perm(), want, rel)
	}
}

func TestLooseModesAreMended(t *testing.T) {
	skipWithoutModes(t)
	stack := newStack(t)
	assert.NilError(t, stack.WriteFile("secrets/pw", []byte("x"), 0o600))
	assert.NilError(t, os.Chmod(filepath.Join(stack.Dir, "secrets/pw"), 0o664))
	assert.NilError(t, os.Chmod(stack.Dir, 0o777))

	var notices []string
	stack.OnNotice = func(message string) { notices = append(notices, message) }
	data, err := stack.ReadFile("secrets/pw")
	assert.NilError(t, err)
	assert.Equal(t, string(data), "x")
	assert.DeepEqual(t, notices, []string{
		fmt.Sprintf("%q could be written by others (mode 0777); mended to 0700", stack.Dir),
		fmt.Sprintf("%q could be read by others (mode 0664); mended to 0600", filepath.Join(stack.Dir, "secrets/pw")),
	})
	info, err := os.Stat(filepath.Join(stack.Dir, "secrets/pw"))
	assert.NilError(t, err)
	assert.Equal(t, info.Mode().Perm(), fs.FileMode(0o600))

	notices = nil
	_, err = stack.ReadFile("secrets/pw")
	assert.NilError(t, err)
	assert.Equal(t, len(notices), 0, notices)
}

func TestDamagedState(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "half": `{"schemaVersion": 1, "ver`, "null": "null", "no version": "{}", "array": "[]",
		"wrong type": `{"schemaVersion": 1, "port": "x"}`, "negative": `{"schemaVersion": -1}`, "trailing": `{"schemaVersion":1}}`,
	} {
		t.Run(name, func(t *testing.T) {
			stack := newStack(t)
			assert.NilError(t, stack.WriteFile(stateFile, []byte(content), 0o600))
			_, err := stack.Load()
			var corrupt *CorruptError
			assert.Assert(t, errors.As(err, &corrupt), err)
			assert.Equal(t, corrupt.Path, filepath.Join(stack.Dir, stateFile))
			assert.ErrorContains(t, err, corrupt.Path)
			assert.Assert(t, is.Contains(hint(err), "docker telemetry up"))
		})
	}
}

func TestNewerSchema(t *testing.T) {
	stack := newStack(t)
	content := `{"schemaVersion": 2, "port": {"https": 8082}}`
	assert.NilError(t, stack.WriteFile(stateFile, []byte(content), 0o600))
	_, err := stack.Load()
	var newer *NewerSchemaError
	assert.Assert(t, errors.As(err, &newer), err)
	assert.Equal(t, newer.Found, 2)
	assert.Equal(t, hint(err), "upgrade docker telemetry")

	assert.Assert(t, errors.As(stack.Save(File{}), &newer))
	kept, err := stack.ReadFile(stateFile)
	assert.NilError(t, err)
	assert.Equal(t, string(kept), content)
}

func TestUnusableFolders(t *testing.T) {
	dir := t.TempDir()
	blocker := filepath.Join(dir, "file")
	assert.NilError(t, os.WriteFile(blocker, nil, 0o600))
	inside := filepath.Join(dir, "inside")
	assert.NilError(t, os.MkdirAll(filepath.Join(inside, "default"), 0o700))
	assert.NilError(t, os.WriteFile(filepath.Join(inside, "default", "telemetry"), nil, 0o600))

	cases := map[string]Root{
		"file in place of the root":     {State: blocker},
		"file above the root":           {State: filepath.Join(blocker, "deep")},
		"file in place of the stack":    {State: inside},
		"relative root":                 {State: "state"},
		"no root":                       {},
		"kernel file system, read only": {State: "/proc/docker-telemetry"},
	}
	if os.Geteuid() > 0 { // nothing is closed to root
		closed := filepath.Join(dir, "closed")
		assert.NilError(t, os.Mkdir(closed, 0o500))
		cases["folder without write permission"] = Root{State: closed}
	}
	if runtime.GOOS != "linux" {
		delete(cases, "kernel file system, read only")
	}
	for name, root := range cases {
		t.Run(name, func(t *testing.T) {
			stack := mustStack(t, root, "default", "telemetry")
			_, lockErr := stack.Lock(t.Context(), "up")
			for _, err := range []error{stack.Save(File{}), lockErr, stack.WriteFile("secrets/pw", nil, 0o600)} {
				var path *PathError
				assert.Assert(t, errors.As(err, &path), "%v", err)
				assert.Assert(t, strings.HasPrefix(path.Path, root.State), path.Path)
				assert.Assert(t, is.Contains(hint(err), "set XDG_STATE_HOME to a folder you can write"))
			}
		})
	}
}

func TestHintsByCause(t *testing.T) {
	for _, tc := range []struct {
		op   string
		err  error
		want string
	}{
		{"write", syscall.EROFS, "set XDG_STATE_HOME"},
		{"write", syscall.ENOSPC, "free some space"},
		{"write", errQuota, "free some space"},
		{"read", syscall.EACCES, "sudo"},
		{"read", ErrSymlink, "symbolic link"},
	} {
		err := fail(tc.op, "/x/state.json", &fs.PathError{Op: "openat", Path: "state.json", Err: tc.err})
		assert.Assert(t, is.Contains(hint(err), tc.want))
		assert.Error(t, err, fmt.Sprintf("cannot %s \"/x/state.json\": %v", tc.op, tc.err))
		assert.Assert(t, errors.Is(err, tc.err))
	}
}

// A writer that was killed leaves a temporary file: readers never see it, and it does not stay for ever.
func TestLeftoverOfKilledWriter(t *testing.T) {
	stack := newStack(t)
	assert.NilError(t, stack.Save(File{Port: 1}))
	old, young := filepath.Join(stack.Dir, ".tmp-state.json-OLD"), filepath.Join(stack.Dir, ".tmp-state.json-YOUNG")
	for _, leftover := range []string{old, young} {
		assert.NilError(t, os.WriteFile(leftover, []byte(`{"schemaVer`), 0o600))
	}
	assert.NilError(t, os.Chtimes(old, time.Time{}, time.Now().Add(-2*leftoverAge)))

	file, err := stack.Load()
	assert.NilError(t, err)
	assert.Equal(t, file.Port, 1)
	assert.NilError(t, stack.Save(File{Port: 2}))
	_, err = os.Lstat(old)
	assert.Assert(t, errors.Is(err, fs.ErrNotExist))
	_, err = os.Lstat(young)
	assert.NilError(t, err, "a young one may belong to a writer at work")
}

func TestFailedWriteKeepsTheOldFile(t *testing.T) {
	stack := newStack(t)
	assert.NilError(t, stack.WriteFile("secrets/pw", []byte("old"), 0o600))
	// A folder in place of the file makes the rename fail, after the temporary file was written.
	dir := filepath.Join(stack.Dir, "secrets", "busy")
	assert.NilError(t, os.Mkdir(dir, 0o700))
	assert.Assert(t, stack.WriteFile("secrets/busy", []byte("new"), 0o600) != nil)
	entries, err := os.ReadDir(filepath.Join(stack.Dir, "secrets"))
	assert.NilError(t, err)
	assert.Equal(t, len(entries), 2, "no temporary file stays")
	data, err := stack.ReadFile("secrets/pw")
	assert.NilError(t, err)
	assert.Equal(t, string(data), "old")
}

// A reader beside a writer gets the old file or the new one, never an error because it changed hands.
func TestReadBesideRenames(t *testing.T) {
	stack := newStack(t)
	assert.NilError(t, stack.Save(File{}))
	path := filepath.Join(stack.Dir, stateFile)
	content, err := os.ReadFile(path)
	assert.NilError(t, err)

	done := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				_ = os.WriteFile(path+".new", content, 0o600)
				_ = os.Rename(path+".new", path)
			}
		}
	})
	for range 5000 {
		_, err = stack.Load()
		if err != nil {
			break
		}
	}
	close(done)
	writing.Wait()
	assert.NilError(t, err)
}

func TestPathsStayInside(t *testing.T) {
	stack := newStack(t)
	for _, rel := range []string{"", ".", "..", "../x", "/etc/passwd", "a/../../x", "a//b", "a/./b"} {
		var bad *NameError
		_, err := stack.ReadFile(rel)
		assert.Assert(t, errors.As(err, &bad), "read %q: %v", rel, err)
		assert.Assert(t, errors.As(stack.WriteFile(rel, nil, 0o600), &bad), "write %q", rel)
	}
}

func TestReadOnlyFileIsReplaced(t *testing.T) {
	root := newRoot(t)
	files := root.CAFiles()
	assert.NilError(t, files.WriteFile("ca.key", []byte("1"), 0o400))
	assert.NilError(t, files.WriteFile("ca.key", []byte("2"), 0o400))
	data, err := files.ReadFile("ca.key")
	assert.NilError(t, err)
	assert.Equal(t, string(data), "2")
	info, err := os.Stat(filepath.Join(root.CADir(), "ca.key"))
	assert.NilError(t, err)
	if runtime.GOOS != "windows" {
		assert.Equal(t, info.Mode().Perm(), fs.FileMode(0o400))
	}
}

func TestRemove(t *testing.T) {
	root := newRoot(t)
	stack, other := mustStack(t, root, "default", "telemetry"), mustStack(t, root, "default", "other")
	assert.NilError(t, stack.Remove(), "nothing there yet")
	for _, s := range []*Stack{stack, other} {
		assert.NilError(t, s.Save(File{}))
		assert.NilError(t, s.WriteFile("secrets/pw", nil, 0o600))
	}
	assert.NilError(t, root.CAFiles().WriteFile("ca.crt", []byte("ca"), 0o644))

	unlock, err := stack.Lock(t.Context(), "down")
	assert.NilError(t, err)
	names, err := root.Stacks("default")
	assert.NilError(t, err)
	assert.DeepEqual(t, names, []string{"other", "telemetry"})
	assert.NilError(t, stack.Remove())
	assert.NilError(t, unlock())
	names, err = root.Stacks("default")
	assert.NilError(t, err)
	assert.DeepEqual(t, names, []string{"other"})
	if runtime.GOOS != "windows" {
		_, err = os.Lstat(stack.Dir)
		assert.Assert(t, errors.Is(err, fs.ErrNotExist), err)
	}

	assert.NilError(t, other.Remove())
	_, err = os.Lstat(filepath.Dir(other.Dir))
	assert.Assert(t, errors.Is(err, fs.ErrNotExist), "an empty context folder goes too")
	_, err = os.Lstat(filepath.Join(root.CADir(), "ca.crt"))
	assert.NilError(t, err, "the shared authority stays")
}

func TestLockAloneIsNoStack(t *testing.T) {
	root := newRoot(t)
	unlock, err := mustStack(t, root, "default", "typo").Lock(t.Context(), "status")
	assert.NilError(t, err)
	assert.NilError(t, unlock())
	names, err := root.Stacks("default")
	assert.NilError(t, err)
	assert.Equal(t, len(names), 0, names)
}

func skipWithoutModes(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits")
	}
}
