package state_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/internal/state"
)

func TestExposed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such permissions")
	}
	root := state.Root{Config: t.TempDir(), State: filepath.Join(t.TempDir(), "state")}
	stack, err := root.Stack("default", "telemetry")
	assert.NilError(t, err)
	found, err := root.Exposed(stack)
	assert.NilError(t, err)
	assert.Equal(t, len(found), 0, "of a stack that is not there")

	assert.NilError(t, stack.WriteFile("secrets/password", []byte("x"), 0o600))
	assert.NilError(t, stack.WriteFile("certs/server.crt", []byte("x"), 0o644))
	assert.NilError(t, root.CAFiles().WriteFile("ca.key", []byte("x"), 0o600))
	found, err = root.Exposed(stack)
	assert.NilError(t, err)
	assert.Equal(t, len(found), 0, "%+v", found)

	secret, key, cert := filepath.Join(stack.Dir, "secrets", "password"), filepath.Join(root.CADir(), "ca.key"), filepath.Join(stack.Dir, "certs", "server.crt")
	assert.NilError(t, os.Chmod(secret, 0o640))
	assert.NilError(t, os.Chmod(key, 0o604))
	assert.NilError(t, os.Chmod(cert, 0o664))
	assert.NilError(t, os.Chmod(stack.Dir, 0o777))
	assert.NilError(t, os.Symlink("/etc/passwd", filepath.Join(stack.Dir, "secrets", "link")))
	found, err = root.Exposed(stack)
	assert.NilError(t, err)
	assert.DeepEqual(t, found, []state.Exposed{
		{Path: stack.Dir, Mode: 0o777, Written: true}, {Path: cert, Mode: 0o664, Written: true}, {Path: secret, Mode: 0o640}, {Path: key, Mode: 0o604},
	})
	for _, one := range found {
		assert.NilError(t, root.Conceal(one.Path))
	}
	found, err = root.Exposed(stack)
	assert.NilError(t, err)
	assert.Equal(t, len(found), 0, "%+v", found)
}

func TestConcealRefusesWhatIsNotOurs(t *testing.T) {
	root := state.Root{Config: t.TempDir(), State: t.TempDir()}
	other := filepath.Join(t.TempDir(), "file")
	assert.NilError(t, os.WriteFile(other, nil, 0o644))
	assert.NilError(t, os.Symlink(other, filepath.Join(root.State, "link")))
	assert.ErrorContains(t, root.Conceal(other), "is not valid")
	assert.ErrorContains(t, root.Conceal(filepath.Join(root.State, "link")), "symbolic link")
	info, err := os.Stat(other)
	assert.NilError(t, err)
	if runtime.GOOS != "windows" {
		assert.Equal(t, info.Mode().Perm(), os.FileMode(0o644))
	}
}
