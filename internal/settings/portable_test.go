package settings_test

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/report/rules"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

func newStack(t *testing.T) *state.Stack {
	t.Helper()
	s, err := state.Root{Config: t.TempDir(), State: t.TempDir()}.Stack("default", "telemetry")
	assert.NilError(t, err)
	return s
}

// What comes from an archive decides neither what of the engine's host is mounted nor which compose file is merged.
func TestImportBelievesLittle(t *testing.T) {
	from := newStack(t)
	assert.NilError(t, from.Save(state.File{
		Port: 8099, DockerSocket: "/", EngineID: "theirs", Features: map[string]bool{"journal": true}, Volumes: map[string]string{"grafana-data": "somebodys"},
	}))
	assert.NilError(t, settings.WriteRules(from, []settings.AppliedRule{{Rule: rules.Rule{Name: "one"}}}))
	wrote, err := from.ReadFile("rules/compose.yaml")
	assert.NilError(t, err)
	assert.NilError(t, from.WriteFile("rules/compose.yaml", []byte("services: {gateway: {privileged: true}}"), 0o600))
	assert.NilError(t, from.WriteFile("rules/more.yaml", []byte("x"), 0o600))
	files, err := settings.Export(from)
	assert.NilError(t, err)

	to := newStack(t)
	assert.NilError(t, settings.Import(to, files, "ours", "/run/own.sock"))
	file, err := to.Load()
	assert.NilError(t, err)
	assert.Equal(t, file.Port, 8099)
	assert.Equal(t, file.DockerSocket, "/run/own.sock")
	assert.Equal(t, len(file.Features)+len(file.Volumes), 0)
	got, err := to.ReadFile("rules/compose.yaml")
	assert.NilError(t, err)
	assert.Equal(t, string(got), string(wrote))
	names, err := to.Files()
	assert.NilError(t, err)
	assert.Assert(t, !strings.Contains(strings.Join(names, " "), "more.yaml"), "%v", names)
}

func TestImportRefusesWhatIsNoState(t *testing.T) {
	for name, files := range map[string]map[string][]byte{
		"the snapshot has no settings":      {"secrets/a": []byte("x")},
		"is damaged":                        {"state.json": []byte("{")},
		"has schema 99":                     {"state.json": []byte(`{"schemaVersion": 99}`)},
		"state file name \"../x\" is not v": {"../x": nil},
	} {
		err := settings.Import(newStack(t), files, "ours", "")
		assert.ErrorContains(t, err, name)
	}
}

// Images that a stack had before are remembered until they are removed, and those that came back are not among them.
func TestFormerImages(t *testing.T) {
	s := newStack(t)
	locked := func(pairs ...string) {
		t.Helper()
		images := map[string]stack.Image{}
		for i := 0; i < len(pairs); i += 2 {
			images[pairs[i]] = stack.Image{ID: pairs[i+1]}
		}
		assert.NilError(t, settings.WriteImages(s, images))
	}
	former := func(want ...settings.FormerImage) {
		t.Helper()
		got, err := settings.ReadFormerImages(s)
		assert.NilError(t, err)
		assert.DeepEqual(t, got, want)
	}
	locked("a:1", "id1", "b:1", "id2")
	former()
	locked("a:2", "id3", "b:1", "id2")
	former(settings.FormerImage{Tag: "a:1", ID: "id1"})
	locked("a:2", "id4", "b:1", "id2") // the tag was moved
	former(settings.FormerImage{Tag: "a:1", ID: "id1"}, settings.FormerImage{Tag: "a:2", ID: "id3"})
	locked("a:1", "id1", "b:1", "id2") // back
	former(settings.FormerImage{Tag: "a:2", ID: "id3"}, settings.FormerImage{Tag: "a:2", ID: "id4"})
	assert.NilError(t, settings.ForgetImages(s, []settings.FormerImage{{Tag: "a:2", ID: "id3"}}))
	former(settings.FormerImage{Tag: "a:2", ID: "id4"})
	images, err := settings.ReadImages(s)
	assert.NilError(t, err)
	assert.Equal(t, images["a:1"].ID, "id1")
}
