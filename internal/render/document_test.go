package render_test

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
	"unicode/utf8"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/internal/document"
	"github.com/docker-telemetry/docker-telemetry/internal/render"
)

// sized is a terminal of a width.
type sized struct {
	bytes.Buffer
	width uint
}

func (s *sized) GetTtySize() (height, width uint) { return 50, s.width }

// What does not fit gets narrower where that does least harm, and no line is longer than the terminal.
func TestDocumentFitsItsTerminal(t *testing.T) {
	page := document.Document{Sections: []document.Section{{Title: "Metrics", Table: document.Table{
		Header: []string{"metric", "series", "job", "what"}, Right: []int{1}, Prose: []int{3}, Optional: []int{2},
		Rows: [][]string{{"http_request_duration_seconds_bucket", "1,234,567", "a-job-with-a-name", "one sentence that goes on and on and on for a while"}},
	}}}}
	for _, tc := range []struct {
		width      uint
		has, hasNo string
	}{
		{0, "a-job-with-a-name   one sentence that goes on and on and on for a while", ""},
		{110, "a-job-with-a-name", "for a while\n\n"},
		{80, "http_request_duration_seconds_bucket", "a-job-with-a-name"},
		{50, "1,234,567", "a-job-with-a-name"},
	} {
		out := &sized{width: tc.width}
		render.Document(out, page)
		assert.Assert(t, strings.Contains(out.String(), tc.has), "%d:\n%s", tc.width, out)
		assert.Assert(t, tc.hasNo == "" || !strings.Contains(out.String(), tc.hasNo), "%d:\n%s", tc.width, out)
		for line := range strings.Lines(out.String()) {
			assert.Assert(t, tc.width == 0 || utf8.RuneCountInString(strings.TrimSpace(line)) <= int(tc.width), "%d:\n%s", tc.width, out)
		}
	}
}

func FuzzCSV(f *testing.F) {
	f.Add("a", "=1+1")
	f.Add("\t@x", "\"quoted\",\r\n\x1b[31m")
	f.Fuzz(func(t *testing.T, first, second string) {
		var out bytes.Buffer
		assert.NilError(t, render.CSV(&out, document.Table{Header: []string{"one", "two"}, Rows: [][]string{{first, second}}}))
		rows, err := csv.NewReader(&out).ReadAll()
		assert.NilError(t, err)
		assert.Equal(t, len(rows), 2)
		for _, cell := range rows[1] {
			assert.Assert(t, !strings.ContainsAny(cell, "\x1b\r\n\u202e"), "%q", cell)
			assert.Assert(t, cell == "" || !strings.ContainsRune("=+-@\t", rune(cell[0])), "%q", cell)
		}
	})
}

// A cell ends where its writer ends it, and begins nothing.
func FuzzMarkdown(f *testing.F) {
	f.Add("a|b", "<script>`x`[y](z)")
	f.Fuzz(func(t *testing.T, title, cell string) {
		var out bytes.Buffer
		render.Markdown(&out, document.Document{Sections: []document.Section{{
			Title: title, Table: document.Table{Header: []string{"one"}, Rows: [][]string{{cell}}},
		}}})
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		last := lines[len(lines)-1]
		assert.Assert(t, strings.HasPrefix(last, "| ") && strings.HasSuffix(last, " |"), "%q", last)
		inside := strings.TrimSuffix(strings.TrimPrefix(last, "| "), " |")
		for i, c := range inside {
			if strings.ContainsRune("|<>`[]*_", c) {
				assert.Assert(t, i > 0 && inside[i-1] == '\\', "%q", inside)
			}
		}
	})
}
