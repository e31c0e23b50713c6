package syntax_test

import (
	"errors"
	"testing"

	"go.yaml.in/yaml/v3"
	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/internal/syntax"
)

func TestWhere(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		line       int
		cause      string
	}{
		{"an item among keys", "a:\n  b:\n    c: 1\n    - d\n", 4, "did not find expected key"},
		{"a step to the left", "a:\n  b:\n    c: 1\n   d: 2\n", 4, "did not find expected key"},
		{"a tab", "a:\n\tb: 1\n", 2, "found character that cannot start any token"},
		{"a tab after a text", "a: 1\nb: one\n\tc: 1\n", 3, "found a tab character that violates indentation"},
		{"a bracket left open", "a:\n  b: [c, d\n  e: f\n", 2, "did not find expected ',' or ']'"},
		{"a quote left open", "a: 1\nb: 'c\nd: e\n", 2, "found unexpected end of stream"},
		{"two colons", "a: 1\nb: c: d\n", 2, "mapping values are not allowed in this context"},
		{"an alias of nothing", "a: 1\nb: *c\n", 2, "unknown anchor 'c' referenced"},
		{"an unknown escape", "a: 1\nb: \"\\z\"\n", 2, "found unknown escape character"},
		{"no UTF-8", "a: 1\nb: \xff\n", 0, "invalid leading UTF-8 octet"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var node yaml.Node
			err := yaml.Unmarshal([]byte(tc.text), &node)
			assert.Assert(t, err != nil)
			line, cause := syntax.Where([]byte(tc.text), err)
			assert.Equal(t, line, tc.line)
			assert.Equal(t, cause, tc.cause)
		})
	}
}

// What v4 takes is told as v3 told it.
func TestWhereOfAnErrorThatIsNoSyntax(t *testing.T) {
	line, cause := syntax.Where([]byte("a: 1\n"), errors.New("yaml: line 7: document contains excessive aliasing\nmore"))
	assert.Equal(t, line, 7)
	assert.Equal(t, cause, "document contains excessive aliasing")
}
