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
	file := func(config string) string {
		t.Helper()
		result, err := source.Remember(settings.Request{})
		assert.NilError(t, err)
		project, err := stack.Load(t.Context(), bundle.FS(), result.Settings)
		assert.NilError(t, err)
		return project.Configs[config].Content
	}
	content := func() (aggregation, relabeling string) {
		t.Helper()
		return file("victoriametrics-aggregation"), file("victoriametrics-relabeling")
	}
	agent := func() string { return file("agent-rules") }
	plain := agent()
	before, _ := content()
	rule := rules.Rule{Name: "a", Kind: rules.Aggregation, Config: "- match: '{x=~\"a$|${HOME}[[b]]\"}'\n  interval: 30s\n"}
	assert.NilError(t, settings.WriteRules(kept, []settings.AppliedRule{{Rule: rule}}))
	aggregation, relabeling := content()
	assert.Assert(t, strings.Contains(aggregation, rule.Config), aggregation)
	_, bundled := content()
	assert.Equal(t, relabeling, bundled, "what has no rule stays as it is")
	assert.Equal(t, agent(), plain)
	transform := rules.Rule{Name: "b", Kind: rules.Transform, Config: "- {if: '.name == \"$x\"', type: filter, condition: 'false'}\n"}
	assert.NilError(t, settings.WriteRules(kept, []settings.AppliedRule{{Rule: transform}}))
	assert.Assert(t, strings.Contains(agent(), `.name == "$x"`), agent())
	aggregation, _ = content()
	assert.Equal(t, aggregation, before)
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
