package rules_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"go.yaml.in/yaml/v4"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/docker-telemetry/docker-telemetry/report/rules"
)

func TestReadWhatEncodeWrites(t *testing.T) {
	left := 3
	written := rules.Rule{
		Name: "DTC001-orders_total", Code: "DTC001", About: "user_id has no end", Metric: "orders_total", Labels: []string{"user_id"},
		Left: &left, Kind: rules.Aggregation, Config: "- match: 'orders_total'\n  interval: 30s\n  outputs: [total]\n",
	}
	raw, err := written.Encode()
	assert.NilError(t, err)
	read, err := rules.Read(fstest.MapFS{"DTC001-orders_total.yaml": {Data: raw}, "README.md": {Data: []byte("no rule")}})
	assert.NilError(t, err)
	assert.DeepEqual(t, read, []rules.Rule{written})
}

func TestRefused(t *testing.T) {
	for _, tc := range []struct{ name, raw, want string }{
		{"a", "kind: aggregation\nconfig: '- {match: x}'\nkeep: 1\n", "field keep not found"},
		{"a", "kind: other\nconfig: '- {match: x}'\n", "its kind is one of aggregation, relabeling, transform"},
		{"a", "kind: aggregation\nconfig: 'match: x'\n", "its config is no list"},
		{"a", "kind: aggregation\nconfig: ''\n", "its config is empty"},
		{"a", "kind: relabeling\nconfig: '- {action: labeldrop, regex: x}'\n", "which series it is for"},
		{"a", "kind: transform\nconfig: ''\n", "its config is empty"},
		{"a", "kind: transform\nconfig: '- {type: filter, condition: \"true\"}'\n", "does not say with if which metrics it is for"},
		{"a", "kind: transform\nconfig: '- {if: \" \", type: filter}'\n", "does not say with if which metrics it is for"},
		{"a", "kind: transform\nconfig: '- {if: .a, condition: \"true\"}'\n", "has no type"},
		{"a", "kind: transform\nconfig: '- {if: .a, type: filter, inputs: [b]}'\n", "has inputs"},
		{"a", "kind: transform\nconfig: '- a'\n", "an entry of its config is no mapping"},
		{"a", "kind: transform\nconfig: 'a'\n", "its config is no list"},
		{"a", "kind: transform\nconfig: '- {if: .a, type: filter}'\ntests: 'a'\n", "its tests are no list"},
		{"a", "kind: transform\nconfig: '- {if: .a, type: filter}'\ntests: '- a'\n", "a test is no mapping"},
		{"a", "kind: aggregation\nconfig: '- {match: x}'\ntests: '- {name: x}'\n", "tests are for those of kind transform"},
		{"../a", "kind: aggregation\nconfig: '- {match: x}'\n", "its name takes letters"},
		{"a", "\x00", "rule \"a\""},
		{"a", "", "rule \"a\""},
	} {
		_, err := rules.Decode(tc.name, []byte(tc.raw))
		assert.ErrorContains(t, err, tc.want)
	}
	_, err := rules.Read(fstest.MapFS{"README.md": {}})
	assert.ErrorContains(t, err, "no rule in this folder")
	_, err = rules.Read(fstest.MapFS{"big.yaml": {Data: []byte(strings.Repeat("x", 2<<20))}})
	assert.ErrorContains(t, err, "more than")
}

func TestConfigHasEachRuleOfItsKind(t *testing.T) {
	all := []rules.Rule{
		{Name: "b", Kind: rules.Aggregation, Config: "- match: b\n"},
		{Name: "r", Kind: rules.Relabeling, Config: "- if: r\n"},
		{Name: "a", Kind: rules.Aggregation, Config: "- match: a"},
	}
	assert.Equal(t, rules.Config(all, rules.Aggregation), "# a\n- match: a\n# b\n- match: b\n")
	assert.Equal(t, rules.Config(all, rules.Relabeling), "# r\n- if: r\n")
	assert.Equal(t, rules.Config(nil, rules.Relabeling), "")
}

func TestAgentConfigIsAChain(t *testing.T) {
	all := []rules.Rule{
		{
			Name: "b.c", Kind: rules.Transform, Config: "- {if: '.name == \"b\"', type: remap, source: 'del(.tags.x)'}\n- {if: 'true', type: remap, source: '.y = 1'}\n",
			Tests: "- {name: n, inputs: [{type: metric}], outputs: [{expected_event_count: 1}, {extract_from: rules}]}\n",
		},
		{Name: "r", Kind: rules.Relabeling, Config: "- if: r\n"},
		{Name: "a", Kind: rules.Transform, Config: "- type: filter\n  if: |\n    x = .name\n    x == \"a\"\n  condition: 'false' # all of them\n"},
	}
	got, err := rules.AgentConfig(all)
	assert.NilError(t, err)
	golden.Assert(t, got, "chain.yaml")
	got, err = rules.AgentConfig(nil)
	assert.NilError(t, err)
	var none, bundled any
	assert.NilError(t, yaml.Unmarshal([]byte(got), &none))
	raw, err := os.ReadFile("../../stack/bundle/config/agent/rules.yaml")
	assert.NilError(t, err)
	assert.NilError(t, yaml.Unmarshal(raw, &bundled))
	assert.DeepEqual(t, none, bundled)
}

func TestAgentConfigRefusesTwoOfOneName(t *testing.T) {
	one := rules.Rule{Name: "a.b", Kind: rules.Transform, Config: "- {if: x, type: filter}\n"}
	other := one
	other.Name = "a_b"
	_, err := rules.AgentConfig([]rules.Rule{one, other})
	assert.ErrorContains(t, err, "another rule has its name for Vector, rule_a_b")
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("kind: transform\nconfig: |\n  - {if: .a, type: filter, condition: \"true\"}\ntests: |\n  - name: x\n"))
	f.Add([]byte("code: DTC001\nkind: aggregation\nconfig: |\n  - match: x\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		rule, err := rules.Decode("rule", raw)
		if err != nil {
			return
		}
		again, err := rule.Encode()
		assert.NilError(t, err)
		read, err := rules.Decode("rule", again)
		assert.NilError(t, err, "%s", again)
		assert.DeepEqual(t, read, rule)
	})
}
