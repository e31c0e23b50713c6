package stack_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/profiles"
	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/stack/bundle"
)

// inMemory is a folder on the disk whose overlay.yaml is not there but given.
type inMemory struct {
	fs.FS
	overlay []byte
}

func (f inMemory) Open(name string) (fs.File, error) {
	if name == "overlay.yaml" {
		return fstest.MapFS{name: {Data: f.overlay}}.Open(name)
	}
	return f.FS.Open(name)
}

// FuzzOverlay: whatever a user's overlay says, a load ends soon, with a project or with one line and a hint, and nothing
// of what is beside the overlay's folder gets into either.
func FuzzOverlay(f *testing.F) {
	const outside = "outside-of-the-folder"
	for _, seed := range overlaySeeds(f) {
		f.Add(seed)
	}
	dir := overlayFolder(f, "")
	for _, name := range []string{"secret.txt", "settings.env", "other.yaml", "config.txt", ".env", "mine"} {
		assert.NilError(f, os.WriteFile(filepath.Join(filepath.Dir(dir), name), []byte("services: {o: {image: "+outside+"}}\n#=\nA="+outside+"\n"), 0o600))
	}
	f.Setenv("HOME", outside)
	f.Setenv("TOKEN", outside)
	f.Fuzz(func(t *testing.T, overlay string) {
		settings := testSettings()
		settings.Layers = []stack.Layer{{Name: "overlay.yaml", File: "overlay.yaml", Files: inMemory{profiles.Folder(dir), []byte(overlay)}, Dir: dir}}
		began := time.Now()
		project, err := stack.Load(t.Context(), bundle.FS(), settings)
		assert.Assert(t, time.Since(began) < 20*time.Second, "it took %s", time.Since(began))
		if err != nil {
			var refusal *stack.Error
			assert.Assert(t, errors.As(err, &refusal), "%T: %v", err, err)
			assert.Assert(t, refusal.Advice != "" && refusal.Text != "" && refusal.Text == err.Error(), "%+v", refusal)
			assert.Assert(t, !strings.ContainsAny(refusal.Text, "\n\r"), "%q", refusal.Text)
			assert.Assert(t, !strings.Contains(refusal.Text, outside) || strings.Contains(overlay, outside), refusal.Text)
			return
		}
		text, err := project.MarshalYAML()
		assert.NilError(t, err)
		for _, config := range project.Configs {
			text = append(text, config.Content...)
		}
		for _, secret := range project.Secrets {
			text = append(text, secret.Content...)
		}
		assert.Assert(t, !strings.Contains(string(text), outside) || strings.Contains(overlay, outside), "something from outside got in")
	})
}

func overlaySeeds(f *testing.F) []string {
	f.Helper()
	table, err := txtar.ParseFile("testdata/bad-overlays.txtar")
	assert.NilError(f, err)
	var seeds []string
	for _, row := range table.Files {
		overlay, _, _ := strings.Cut("\n"+string(row.Data), "\n=> ")
		seeds = append(seeds, overlay)
	}
	compose, err := fs.ReadFile(bundle.FS(), "compose.yaml")
	assert.NilError(f, err)
	return append(seeds, string(compose), goodOverlay)
}
