//go:build unix

package profiles_test

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/profiles"
)

// Opening a pipe waits until somebody writes to it.
func TestLoadDoesNotWaitForAPipe(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"mine/compose.yaml": ""})
	assert.NilError(t, syscall.Mkfifo(filepath.Join(dir, "mine", "profile.yaml"), 0o600))
	_, err := profiles.Load(dir)
	assert.Error(t, err, fmt.Sprintf("cannot read %s/mine/profile.yaml: it is neither a file nor a folder", dir))
}
