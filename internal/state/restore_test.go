package state_test

import (
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/internal/state"
)

func TestPortable(t *testing.T) {
	for rel, want := range map[string]bool{
		"state.json": true, "secrets/grafana_admin_password": true, "rules/rules.json": true, "cardinality.json.gz": true,
		"lock": false, "images.json": false, "certs/tls.key": false, "secrets/rotation": false, "secrets/restore": false,
		"rehearsal/default/x/state.json": false, ".tmp-state.json-ABC": false, "secrets/.tmp-x-ABC": false,
		"": false, ".": false, "../x": false, "/etc/x": false, "a/../b": false,
	} {
		assert.Equal(t, state.Portable(rel), want, rel)
	}
}

// The stack's files become exactly those of the restore, however often it is done, and what is of this engine stays.
func TestAdopt(t *testing.T) {
	root := state.Root{Config: t.TempDir(), State: t.TempDir()}
	s, err := root.Stack("default", "telemetry")
	assert.NilError(t, err)
	for rel, content := range map[string]string{
		"state.json": "old", "secrets/a": "old", "secrets/gone": "old", "rules/gone.yaml": "old", "certs/tls.key": "ours", "images.json": "ours",
	} {
		assert.NilError(t, s.WriteFile(rel, []byte(content), 0o600))
	}
	pending, err := s.PendingRestore()
	assert.NilError(t, err)
	assert.Assert(t, pending == nil)
	restore := state.Restore{ID: "1", Files: map[string][]byte{"state.json": []byte("new"), "secrets/a": []byte("new"), "secrets/b": []byte("new")}, Replaced: []string{"v"}}
	assert.NilError(t, s.WriteRestore(restore))
	pending, err = s.PendingRestore()
	assert.NilError(t, err)
	assert.ErrorContains(t, s.Adopt(*pending), "has not switched")

	restore.Switched = true
	assert.NilError(t, s.WriteRestore(restore))
	pending, err = s.PendingRestore()
	assert.NilError(t, err)
	for range 2 {
		assert.NilError(t, s.Adopt(*pending))
		got := map[string]string{}
		files, err := s.Files()
		assert.NilError(t, err)
		for _, rel := range files {
			raw, err := s.ReadFile(rel)
			assert.NilError(t, err)
			got[rel] = string(raw)
		}
		delete(got, "secrets/restore")
		assert.DeepEqual(t, got, map[string]string{
			"state.json": "new", "secrets/a": "new", "secrets/b": "new", "certs/tls.key": "ours", "images.json": "ours",
		})
	}
	assert.NilError(t, s.EndRestore())
	pending, err = s.PendingRestore()
	assert.NilError(t, err)
	assert.Assert(t, pending == nil)
}

func TestAdoptRefusesForeignFiles(t *testing.T) {
	root := state.Root{Config: t.TempDir(), State: t.TempDir()}
	s, err := root.Stack("default", "telemetry")
	assert.NilError(t, err)
	for _, rel := range []string{"../../evil", "certs/tls.key", "lock"} {
		err := s.Adopt(state.Restore{ID: "1", Switched: true, Files: map[string][]byte{rel: []byte("x")}})
		assert.ErrorContains(t, err, "no stack keeps", rel)
	}
	_, err = os.Stat(filepath.Join(root.State, "evil"))
	assert.Assert(t, os.IsNotExist(err))
}

func TestADamagedRestoreIsSaid(t *testing.T) {
	root := state.Root{Config: t.TempDir(), State: t.TempDir()}
	s, err := root.Stack("default", "telemetry")
	assert.NilError(t, err)
	assert.NilError(t, s.WriteFile("secrets/restore", []byte("{"), 0o600))
	_, err = s.PendingRestore()
	assert.ErrorContains(t, err, "is damaged")
	assert.NilError(t, s.WriteFile("secrets/restore", []byte(`{"schemaVersion": 9}`), 0o600))
	_, err = s.PendingRestore()
	assert.ErrorContains(t, err, "has schema 9, this version knows up to 1")
}

func TestStacksElsewhere(t *testing.T) {
	root := state.Root{Config: t.TempDir(), State: t.TempDir()}
	for _, at := range [][2]string{{"default", "one"}, {"Build Host", "two"}, {"snapshots", "three"}, {"ca", "four"}} {
		s, err := root.Stack(at[0], at[1])
		assert.NilError(t, err)
		assert.NilError(t, s.Save(state.File{}))
	}
	assert.NilError(t, os.MkdirAll(root.SnapshotDir(), 0o700))
	assert.NilError(t, os.WriteFile(filepath.Join(root.SnapshotDir(), "x.tar.zst"), nil, 0o600))
	names, err := root.StacksElsewhere("default")
	assert.NilError(t, err)
	assert.DeepEqual(t, names, []string{"two", "four", "three"})
}
