package main

import (
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/internal/dashboards"
)

func TestRunReplacesTheFolder(t *testing.T) {
	root := filepath.Join(t.TempDir(), "new")
	assert.NilError(t, run(root))
	dir := filepath.Join(root, filepath.FromSlash(dashboards.Dir))

	stale := filepath.Join(dir, "renamed.json")
	other := filepath.Join(dir, "README.md")
	assert.NilError(t, os.WriteFile(stale, []byte("{}"), 0o600))
	assert.NilError(t, os.WriteFile(other, nil, 0o600))
	assert.NilError(t, run(root))

	_, err := os.Stat(stale)
	assert.Assert(t, os.IsNotExist(err))
	entries, err := os.ReadDir(dir)
	assert.NilError(t, err)
	made := 0
	for _, d := range dashboards.All() {
		if d.Folder() == dashboards.Dir {
			made++
		}
	}
	assert.Equal(t, len(entries), made+1)
}
