package page

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
	"github.com/docker-telemetry/docker-telemetry/report/sheet"
	"github.com/docker-telemetry/docker-telemetry/report/sheet/sheettest"
)

// written is the page without what is the same in each.
func written(t *testing.T, report cardinality.Report, history []Point) string {
	t.Helper()
	var out bytes.Buffer
	same := sheet.Parts{Style: "/* style */", Library: "/* charts */", Script: "/* script */"}
	assert.NilError(t, write(&out, same, report, history))
	return out.String()
}

func TestGolden(t *testing.T) {
	golden.Assert(t, written(t, small(), smallHistory()), "small.golden.html")
}

func TestEmpty(t *testing.T) {
	page := written(t, cardinality.Report{Complete: true}, nil)
	for _, want := range []string{"None: no label or metric costs more", "There is no metric.", "the store answered all that was asked"} {
		assert.Assert(t, strings.Contains(page, want), "%q", want)
	}
	assert.Assert(t, !strings.Contains(page, "chart-history"), "one point is no line")
}

func TestIncomplete(t *testing.T) {
	assert.Assert(t, strings.Contains(written(t, cardinality.Report{}, nil), "A part of the store did not answer."))
}

func TestPolicyAllowsWhatIsThere(t *testing.T) {
	var out bytes.Buffer
	assert.NilError(t, Write(&out, small(), smallHistory()))
	sheettest.AllowsWhatIsThere(t, out.String())
}

func TestLoadsNothing(t *testing.T) {
	var out bytes.Buffer
	assert.NilError(t, Write(&out, large(), largeHistory()))
	sheettest.LoadsNothing(t, out.String())
	sheettest.NamesNoAddress(t, script, layout)
}

func TestWriterThatFails(t *testing.T) {
	assert.ErrorContains(t, Write(sheettest.Closed{}, small(), nil), "closed")
}

func TestHostileValues(t *testing.T) { sheettest.WithHostile(t, assertInert) }

func FuzzPage(f *testing.F) { sheettest.FuzzHostile(f, assertInert) }

// assertInert puts a value wherever the report has a text. The page must have the elements and attributes that it has with a
// harmless one, its text must be harmless, and its data what it was.
func assertInert(t *testing.T, value string) {
	t.Helper()
	if value == "" {
		return
	}
	page := written(t, everywhere(value), smallHistory())
	sheettest.Inert(t, page, written(t, everywhere(strings.Repeat("x", len(value))), smallHistory()))
	assert.Assert(t, len(page) < 300_000, "%d bytes", len(page))
	assertData(t, sheettest.Data(t, page), value)
}

func assertData(t *testing.T, text, value string) {
	t.Helper()
	var data charts
	assert.NilError(t, json.Unmarshal([]byte(text), &data))
	label := data.Tree[0].Children[0]
	assert.DeepEqual(t, []string{data.Tree[0].Name, label.Name, label.Children[0].Name}, []string{shown(value), shown(value), shown(value)})
}

// everywhere is a report whose texts are all the same. The list has one of each kind, so a new field is among them.
func everywhere(value string) cardinality.Report {
	report := small()
	sheettest.Fill(&report, value)
	return report
}

func TestEstimatesAreMarked(t *testing.T) {
	report := small()
	assert.Assert(t, !strings.Contains(written(t, report, nil), "~998"))
	report.Metrics[0].Error, report.Findings[0].Approximate, report.Findings[0].Bound = cardinality.SketchError, true, false
	page := written(t, report, nil)
	for _, want := range []string{"<strong>~998</strong>", `<td class="figure">~500</td>`, `<td class="figure">~999</td>`, "within 1.0 %"} {
		assert.Assert(t, strings.Contains(page, want), "%s", want)
	}
	var data charts
	assert.NilError(t, json.Unmarshal([]byte(sheettest.Data(t, page)), &data))
	assert.Equal(t, data.Tree[0].Children[0].Lines[1], "~998 series saved without it, ~2 left")
}

func TestTooLongRule(t *testing.T) {
	report := small()
	report.Findings[0].Rule.YAML = strings.Repeat("a", longestRule+1)
	page := written(t, report, nil)
	assert.Assert(t, strings.Contains(page, "It is too long for a page"))
	assert.Assert(t, !strings.Contains(page, "<pre"))
}

func TestShown(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"short", "läuft", "läuft"},
		{"empty", "", "(empty)"},
		{"as long as it may be", strings.Repeat("ä", sheet.LongestValue), strings.Repeat("ä", sheet.LongestValue)},
		{"longer", strings.Repeat("ä", sheet.LongestValue+1), strings.Repeat("ä", sheet.LongestValue) + "…"},
		{"bidirectional override", "a\u202eb", `a\u202eb`},
	} {
		t.Run(tc.name, func(t *testing.T) { assert.Equal(t, shown(tc.in), tc.want) })
	}
}

func TestDays(t *testing.T) {
	report := small()
	for _, tc := range []struct {
		name              string
		at                time.Time
		before, yesterday *int
		want              []day
	}{
		{"now", testTime(), pointer(900), pointer(1000), []day{{"2026-03-12", 900}, {"2026-03-13", 1000}, {"now", 1200}}},
		{
			"a day that is over", testTime().AddDate(0, 0, 9), pointer(900), pointer(1000),
			[]day{{"2026-03-12", 900}, {"2026-03-13", 1000}, {"2026-03-14", 1200}},
		},
		{"before the store", testTime(), pointer(0), pointer(1000), []day{{"2026-03-13", 1000}, {"now", 1200}}},
		{"not told", testTime(), nil, nil, []day{{"now", 1200}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			report.At, report.Summary.SeriesDayBefore, report.Summary.SeriesYesterday = tc.at, tc.before, tc.yesterday
			assert.DeepEqual(t, days(report), tc.want)
		})
	}
}
