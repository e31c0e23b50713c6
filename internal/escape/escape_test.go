package escape

import (
	"testing"
	"unicode/utf8"

	"gotest.tools/v3/assert"
)

func TestText(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"plain text stays", "agent-1 läuft ✓", "agent-1 läuft ✓"},
		{"terminal escape", "a\x1b[31mred", `a\x1b[31mred`},
		{"carriage return and newline", "a\r\nb", `a\x0d\x0ab`},
		{"delete", "a\x7fb", `a\x7fb`},
		{"C1 control", "a\u009bb", `a\x9bb`},
		{"bidirectional override", "a\u202eb", `a\u202eb`},
		{"line separator", "a\u2028b", `a\u2028b`},
		{"invalid UTF-8", "a\xffb", `a\xffb`},
		{"a real replacement character stays", "a\ufffdb", "a\ufffdb"},
	} {
		t.Run(tc.name, func(t *testing.T) { assert.Equal(t, Text(tc.in), tc.want) })
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\x1b[31m\xff\u202e")
	f.Fuzz(func(t *testing.T, in string) {
		out := Text(in)
		assert.Assert(t, utf8.ValidString(out))
		for _, char := range out {
			assert.Assert(t, !hazardous(char), "%q", out)
		}
		assert.Equal(t, Text(out), out, "escaping twice changes nothing")
	})
}
