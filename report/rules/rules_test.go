package rules_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"gotest.tools/v3/assert"

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
		{"a", "kind: other\nconfig: '- {match: x}'\n", "its kind is aggregation or relabeling"},
		{"a", "kind: aggregation\nconfig: 'match: x'\n", "its config is no list"},
		{"a", "kind: aggregation\nconfig: ''\n", "its config is empty"},
		{"a", "kind: relabeling\nconfig: '- {action: labeldrop, regex: x}'\n", "which series it is for"},
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

func FuzzDecode(f *testing.F) {
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
