package settings_test

import (
	"io/fs"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/report/rules"
	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/stack/bundle"
)

// Rules are part of the project once they are applied, dollars and all, and gone once they are undone.
func TestRulesBecomePartOfTheProject(t *testing.T) {
	root := state.Root{Config: t.TempDir(), State: t.TempDir()}
	kept, err := root.Stack("default", "telemetry")
	assert.NilError(t, err)
	source := settings.Source{Root: root, Stack: kept, Engine: stack.Engine{Name: "host", API: "1.41", SocketPath: "/var/run/docker.sock"}, Now: time.Now}
	content := func() (aggregation, relabeling string) {
		t.Helper()
		result, err := source.Remember(settings.Request{})
		assert.NilError(t, err)
		project, err := stack.Load(t.Context(), bundle.FS(), result.Settings)
		assert.NilError(t, err)
		return project.Configs["victoriametrics-aggregation"].Content, project.Configs["victoriametrics-relabeling"].Content
	}
	before, _ := content()
	rule := rules.Rule{Name: "a", Kind: rules.Aggregation, Config: "- match: '{x=~\"a$|${HOME}[[b]]\"}'\n  interval: 30s\n"}
	assert.NilError(t, settings.WriteRules(kept, []settings.AppliedRule{{Rule: rule}}))
	aggregation, relabeling := content()
	assert.Assert(t, strings.Contains(aggregation, rule.Config), aggregation)
	assert.Assert(t, relabeling != "", "Compose has no config without content")
	assert.NilError(t, settings.WriteRules(kept, nil))
	after, _ := content()
	assert.Equal(t, after, before)

	assert.NilError(t, kept.WriteFile("rules/rules.json", []byte("{"), fs.FileMode(0o600)))
	_, err = source.Remember(settings.Request{})
	assert.ErrorContains(t, err, "the rules of this stack cannot be read")
	assert.NilError(t, settings.WriteRules(kept, nil))
	_, err = source.Remember(settings.Request{})
	assert.NilError(t, err)
}
