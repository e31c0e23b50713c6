package render

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/docker/compose/v5/pkg/api"
	"gotest.tools/v3/assert"
)

// hostile are values that a store or a container may answer with.
func hostile() []string {
	return []string{
		"", "plain", "agent-1 läuft ✓", "a\x1b[31mred\x1b[0m", "a\x1b]0;title\x07", "a\rb", "a\nb", "a\tb", "a\x00b", "a\x7fb",
		"a\u0085b", "a\u009b31m", "\u202eabc", "\u2066a\u2069", "\u061c", "\u200e\u200f", "a\u2028b\u2029c",
		"\xff\xfe", "a\xc3", "\xed\xa0\x80", "\ufffd", "\ufeffa", "e\u0301", "👩‍👩‍👧", "日本語", strings.Repeat("x", 300), "  a  ", `\x1b[31m`,
		"%s%n", "{{.}}", "<b>", "a|b", "\u00a0", "\u200b",
	}
}

// assertHarmless names the characters by their numbers and not through the package's own predicate, so that a gap in
// that one shows: C0, DEL, C1, bidirectional controls, line separators, invalid UTF-8.
func assertHarmless(t *testing.T, text string) {
	t.Helper()
	assert.Assert(t, utf8.ValidString(text), "%q", text)
	for _, char := range text {
		switch {
		case char < 0x20, char >= 0x7f && char <= 0x9f, char == 0x61c, char == 0x200e, char == 0x200f,
			char >= 0x2028 && char <= 0x202e, char >= 0x2066 && char <= 0x2069:
			t.Fatalf("%U in %q", char, text)
		}
	}
}

// FuzzEscaped: the escaped text is harmless, stays as it is when escaped again, and harmless text is not touched.
func FuzzEscaped(f *testing.F) {
	for _, seed := range hostile() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		escaped := Escape(value)
		assertHarmless(t, escaped)
		assert.Equal(t, Escape(escaped), escaped)
		// Escapes are ASCII, so everything else of the value is still there, in its order.
		if escaped != value {
			assert.Assert(t, strings.Contains(escaped, `\x`) || strings.Contains(escaped, `\u`), "%q", escaped)
		}
	})
}

// FuzzTable: a row stays one line, whatever its cells hold, and each cell is in it as Escape gives it.
func FuzzTable(f *testing.F) {
	for _, seed := range hostile() {
		f.Add(seed, "running", seed)
	}
	f.Fuzz(func(t *testing.T, first, second, third string) {
		var out bytes.Buffer
		Table(&out, []string{"NAME", "STATE", "STATUS"}, [][]string{{first, second, third}, {"last", "row", "."}})
		lines := strings.Split(out.String(), "\n")
		assert.Equal(t, len(lines), 4, "header, two rows, the end: %q", out.String())
		assert.Equal(t, lines[3], "")
		for _, line := range lines {
			assertHarmless(t, line)
		}
		assert.Assert(t, strings.HasPrefix(lines[2], "last"), "%q", lines[2])
		rest := lines[1]
		for _, cell := range []string{first, second, third} {
			_, after, found := strings.Cut(rest, strings.TrimRightFunc(Escape(cell), unicode.IsSpace))
			assert.Assert(t, found, "%q in %q", cell, lines[1])
			rest = after
		}
	})
}

// FuzzIndent: each line of a log stays behind its prefix, so none can pass for a line of ours.
func FuzzIndent(f *testing.F) {
	for _, seed := range hostile() {
		f.Add(seed + "\nerror: " + seed + "\r\n")
	}
	f.Fuzz(func(t *testing.T, text string) {
		for line := range strings.Lines(Indent(text, "  | ")) {
			line, ended := strings.CutSuffix(line, "\n")
			assert.Assert(t, ended && strings.HasPrefix(line, "  | "), "%q", line)
			assertHarmless(t, line)
		}
	})
}

// FuzzPlainProgress: an event is one line, and the same event again is none.
func FuzzPlainProgress(f *testing.F) {
	for _, seed := range hostile() {
		f.Add("Container a", seed, seed)
		f.Add(seed, "Started", "")
	}
	f.Fuzz(func(t *testing.T, id, text, details string) {
		var out bytes.Buffer
		sink := newPlain(&out)
		sink.Start(t.Context(), "up")
		sink.On(api.Resource{ID: id, Text: text, Details: details})
		once := out.String()
		sink.On(api.Resource{ID: id, Text: text, Details: details})
		assert.Assert(t, out.String() == once || text+details == "", "said twice: %q", out.String())
		line, ended := strings.CutSuffix(once, "\n")
		assert.Assert(t, ended || once == "", "%q", once)
		assertHarmless(t, line)
	})
}

// FuzzJSON: values stay exact; a byte that is no UTF-8 becomes the one character that says so.
func FuzzJSON(f *testing.F) {
	for _, seed := range hostile() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		var out bytes.Buffer
		assert.NilError(t, JSON(&out, map[string]string{"value": value}))
		var back map[string]string
		assert.NilError(t, json.Unmarshal(out.Bytes(), &back))
		assert.Equal(t, back["value"], string([]rune(value)))
	})
}
