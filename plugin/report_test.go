package plugin

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
	"github.com/docker-telemetry/docker-telemetry/report/cardinality/page"
)

func TestCheckReport(t *testing.T) {
	for _, tc := range []struct {
		name, format, file string
		terminal, refused  bool
	}{
		{"a page to a terminal", "html", "", true, true},
		{"a page to a pipe", "html", "", false, false},
		{"a page to a file", "html", "a.html", true, false},
		{"a table to a terminal", "table", "", true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := &app{deps: deps{stdoutTerminal: func() bool { return tc.terminal }}}
			err := a.checkReport(tc.format, tc.file, "cardinality.html")
			assert.Equal(t, err != nil, tc.refused)
			if !tc.refused {
				return
			}
			var refusal *usageError
			assert.Assert(t, errors.As(err, &refusal))
			assert.Equal(t, refusal.Hint(), "add -o cardinality.html")
		})
	}
}

func TestWriteReportPage(t *testing.T) {
	var out, told bytes.Buffer
	a := &app{deps: deps{stdout: &out, stderr: &told}}
	forms := reportForms{page: func(out io.Writer) error { _, err := io.WriteString(out, "<p>"); return err }}
	assert.NilError(t, a.writeReport("html", "", forms))
	assert.Equal(t, out.String(), "<p>")

	file := filepath.Join(t.TempDir(), "a.html")
	assert.NilError(t, a.writeReport("html", file, forms))
	written, err := os.ReadFile(file)
	assert.NilError(t, err)
	assert.Equal(t, string(written), "<p>")

	forms.page = func(io.Writer) error { return errors.New("broken") }
	missing := filepath.Join(t.TempDir(), "b.html")
	assert.Error(t, a.writeReport("html", missing, forms), "broken")
	_, err = os.Stat(missing)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestPoints(t *testing.T) {
	at := time.Date(2026, 3, 14, 9, 26, 0, 0, time.UTC)
	report := cardinality.Report{At: at, Summary: cardinality.Summary{Series: 3}}
	history := cardinality.History{
		{At: at.Add(-2 * time.Hour), Series: 1},
		{At: at.Add(-time.Hour), Series: 2, Match: []string{"up"}},
	}
	assert.DeepEqual(t, points(history, report, nil, true), []page.Point{{At: at.Add(-2 * time.Hour), Series: 1}, {At: at, Series: 3}})
	assert.DeepEqual(t, points(history, report, []string{"up"}, false), []page.Point{{At: at.Add(-time.Hour), Series: 2}})
}

func TestFuseThatIsNone(t *testing.T) {
	var told bytes.Buffer
	a := &app{deps: deps{stderr: &told}}
	assert.Equal(t, len(a.rulesOf(cardinality.Report{}, cardinalityOptions{fix: "DTC004"})), 0)
	assert.Equal(t, told.String(), "")
	assert.Equal(t, len(a.rulesOf(cardinality.Report{}, cardinalityOptions{fix: "DTC004", fuse: 9, fuseSet: true})), 0)
	assert.Equal(t, told.String(), "note: none of these findings is about a label without end that comes through the agent, so there is no fuse\n")
}
