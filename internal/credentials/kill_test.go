//go:build unix

package credentials

import (
	"crypto/rand"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/internal/state"
)

// childHome tells the child of TestRotationSurvivesKill where to work.
const childHome = "CREDENTIALS_TEST_HOME"

// However often a process that rotates is killed with SIGKILL: every secret is whole, and so is what is on its way in.
func TestRotationSurvivesKill(t *testing.T) {
	if home := os.Getenv(childHome); home != "" {
		rotateForEver(t, home)
	}
	home := t.TempDir()
	stored := stackIn(t, home)
	_, _, err := Ensure(stored, rand.Reader)
	assert.NilError(t, err)
	begun, ended := 0, 0
	for round := range 40 {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRotationSurvivesKill$")
		child.Env = append(os.Environ(), childHome+"="+home)
		running, err := child.StdoutPipe()
		assert.NilError(t, err)
		assert.NilError(t, child.Start())
		_, err = running.Read(make([]byte, 1))
		assert.NilError(t, err, "the child must have begun")
		// The moment differs from round to round and falls anywhere between two writes, or into one.
		<-time.After(time.Duration(round) * 331 * time.Microsecond)
		assert.NilError(t, child.Process.Kill())
		_ = child.Wait()

		set, err := Read(stored)
		assert.NilError(t, err, "round %d", round)
		next, err := Pending(stored)
		assert.NilError(t, err, "round %d", round)
		if next == nil {
			ended++
			continue
		}
		begun++
		for _, login := range next.Logins() {
			assert.Assert(t, login.Password != "" && set.Login(login.Name).Password != "", "round %d", round)
		}
	}
	t.Logf("killed %d times within a rotation, %d times outside", begun, ended)
	assert.Assert(t, begun > 0, "no kill fell into a rotation")
	assertPrivate(t, stored.Dir)
}

func rotateForEver(t *testing.T, home string) {
	t.Helper()
	stored := stackIn(t, home)
	_, err := os.Stdout.WriteString(".")
	assert.NilError(t, err)
	for {
		next, err := Begin(stored, Names(), rand.Reader)
		assert.NilError(t, err)
		assert.NilError(t, Commit(stored, next))
	}
}

func stackIn(t *testing.T, home string) *state.Stack {
	t.Helper()
	stored, err := state.Root{Config: home, State: home}.Stack("default", "telemetry")
	assert.NilError(t, err)
	return stored
}

// assertPrivate holds for what killed writers left as well: half a secret is a secret.
func assertPrivate(t *testing.T, dir string) {
	t.Helper()
	files := 0
	assert.NilError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		info, err := d.Info()
		if err == nil {
			assert.Equal(t, info.Mode().Perm(), fs.FileMode(0o600), path)
		}
		return err
	}))
	assert.Assert(t, files >= 7, "%d files", files)
}
