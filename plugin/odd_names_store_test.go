//go:build store

package plugin

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/internal/escape"
	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
	"github.com/docker-telemetry/docker-telemetry/report/sheet/sheettest"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics/storetest"
)

// oddNames are texts that a terminal, a spreadsheet, a page or a shell would obey, or that are easily taken for another one.
func oddNames() []string {
	names := []string{
		"\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\u202egnp.exe", "\u2066a\u2069", "line\r\nnext", "\u2028", "tab\t", "nul\x00", "\x7f", "\u009b31m",
		"=1+1", "+1", "-1", "@SUM(1)", "=cmd|' /C calc'!A0", "<script>alert(1)</script>", "</script>", `"><img src=x onerror=alert(1)>`, "<!--",
		"a|b`c`", "[a](javascript:alert(1))", "$(reboot)", "`reboot`", "; rm -rf /", "größe.total", "dots.and-dashes", "日本語", "e\u0301", "é",
		" ", " a", "a ", "null", "{}", `"`, `\`, `\n`, "%s", "--top", "__proto__", "\xff", "\xed\xa0\x80",
	}
	for _, value := range sheettest.Hostile() {
		if len(value) < 200 {
			names = append(names, value)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// oddSeries have each of them as a value, as the name of a label, and as that of a metric.
func oddSeries() []map[string]string {
	var all []map[string]string
	for i, name := range oddNames() {
		all = append(all,
			map[string]string{"__name__": "odd_values", "value": name, "number": strconv.Itoa(i % 7)},
			map[string]string{"__name__": "odd_labels", name: strconv.Itoa(i)},
			map[string]string{"__name__": name, "job": "odd", "value": name},
			map[string]string{"__name__": name, "job": "odd", "value": "other"})
	}
	return append(all,
		// A label without a value is none.
		map[string]string{"__name__": "odd_values", "value": "", "number": "8"},
		map[string]string{"__name__": "odd_values", "value": strings.Repeat("v", 4096), "number": "9"},
		map[string]string{"__name__": strings.Repeat("n", 256), "job": "odd"})
}

// refusedSeries are those that VictoriaMetrics 1.145 drops by itself: -maxLabelValueLen=4096, -maxLabelsPerTimeseries=40, and
// names of labels of more than 256 bytes.
func refusedSeries() []map[string]string {
	many := map[string]string{"__name__": "odd_values"}
	for i := range 50 {
		many[fmt.Sprintf("label_%d", i)] = "1"
	}
	return []map[string]string{
		{"__name__": "odd_values", "value": strings.Repeat("v", 4097)},
		{"__name__": "odd_values", "value": strings.Repeat("v", 100_000)},
		{"__name__": "odd_values", strings.Repeat("l", 5000): "1"},
		many,
	}
}

// bruteCounts are what is left without each label, by metric: label sets that are compared as text.
func bruteCounts(all []map[string]string) map[string]map[string]int {
	sets := map[string]map[string]map[string]bool{}
	for _, one := range all {
		name := one["__name__"]
		if sets[name] == nil {
			sets[name] = map[string]map[string]bool{}
		}
		for _, label := range labelsOf(all, name) {
			if sets[name][label] == nil {
				sets[name][label] = map[string]bool{}
			}
			rest := maps.Clone(one)
			delete(rest, label)
			maps.DeleteFunc(rest, func(_, value string) bool { return value == "" })
			var words []string
			for _, key := range slices.Sorted(maps.Keys(rest)) {
				words = append(words, fmt.Sprintf("%q=%q", key, rest[key]))
			}
			sets[name][label][strings.Join(words, ",")] = true
		}
	}
	counts := map[string]map[string]int{}
	for metric, labels := range sets {
		counts[metric] = map[string]int{}
		for label, left := range labels {
			counts[metric][label] = len(left)
		}
	}
	return counts
}

func labelsOf(all []map[string]string, metric string) []string {
	names := map[string]bool{}
	for _, one := range all {
		if one["__name__"] != metric {
			continue
		}
		for name, value := range one {
			if name != "__name__" && value != "" {
				names[name] = true
			}
		}
	}
	return slices.Collect(maps.Keys(names))
}

// TestStoreOddNames writes odd names to a real store and has the program report on them in each format: what a person sees is
// escaped, what a program reads is exact, and no name confuses the counting.
func TestStoreOddNames(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	store, err := storetest.Start(ctx, t.TempDir())
	assert.NilError(t, err)
	defer func() { assert.NilError(t, store.Stop()) }()
	var body bytes.Buffer
	for _, one := range append(oddSeries(), refusedSeries()...) {
		storetest.WriteLine(&body, one, time.Now())
	}
	assert.NilError(t, store.Import(ctx, "/api/v1/import", &body))
	assert.NilError(t, store.Flush(ctx))

	report := func(format string, args ...string) string {
		got := runReportOn(t, store.URL, victoriametrics.Limits{}, append([]string{"--format", format, "--top", "1000"}, args...)...)
		assert.Equal(t, got.code, exitDone, got.stderr)
		assertPlain(t, got.stderr)
		return got.stdout
	}
	counts := bruteCounts(oddSeries())
	t.Run("json", func(t *testing.T) { assertExact(t, report("json"), counts) })
	t.Run("csv", func(t *testing.T) { assertSheet(t, report("csv"), counts) })
	t.Run("html", func(t *testing.T) {
		page := report("html")
		sheettest.LoadsNothing(t, page)
		sheettest.Inert(t, page, page)
		assert.Equal(t, strings.Count(strings.ToLower(page), "<script"), 3)
		for _, name := range oddNames() {
			assert.Assert(t, sheettest.Says(t, page, escape.Text(name)), "%q", name)
		}
	})
	for _, format := range []string{"table", "markdown"} {
		t.Run(format, func(t *testing.T) {
			text := report(format)
			assertPlain(t, text)
			// Of Markdown only what follows a backslash is text.
			bare := regexp.MustCompile(`\\.`).ReplaceAllString(text, "")
			assert.Assert(t, format == "table" || !strings.ContainsAny(bare, "<>`[]*"), bare)
			assert.Assert(t, strings.Contains(text, "größe.total") && strings.Contains(text, "日本語"), text)
		})
	}
	t.Run("one metric", func(t *testing.T) {
		for _, name := range oddNames() {
			if strings.ContainsRune(name, 0) {
				continue // no argument of a program can have it
			}
			assertExact(t, report("json", "--metric="+name), map[string]map[string]int{name: counts[name]})
		}
	})
}

// inJSON is a name as JSON can have it: what is no UTF-8 is replaced.
func inJSON(name string) string {
	raw, _ := json.Marshal(name)
	var read string
	_ = json.Unmarshal(raw, &read)
	return read
}

func assertExact(t *testing.T, object string, counts map[string]map[string]int) {
	t.Helper()
	var report cardinality.Report
	assert.NilError(t, json.Unmarshal([]byte(object), &report))
	want := map[string]int{}
	for metric, labels := range counts {
		for label, left := range labels {
			want[inJSON(metric)+"\n"+inJSON(label)] = left
		}
	}
	got := map[string]int{}
	for _, metric := range report.Metrics {
		for _, label := range metric.Labels {
			got[metric.Name+"\n"+label.Name] = label.Left
		}
	}
	assert.DeepEqual(t, got, want)
}

// assertSheet reads the table as a spreadsheet does.
func assertSheet(t *testing.T, text string, counts map[string]map[string]int) {
	t.Helper()
	assertPlain(t, text)
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	assert.NilError(t, err)
	metric, label, left := slices.Index(rows[0], "metric"), slices.Index(rows[0], "label"), slices.Index(rows[0], "left")
	got := map[string]string{}
	for _, row := range rows[1:] {
		for _, cell := range row {
			assert.Assert(t, cell == "" || !strings.ContainsRune("=+-@\t\r", rune(cell[0])), "%q", cell)
		}
		got[strings.TrimPrefix(row[metric], "'")+"\n"+strings.TrimPrefix(row[label], "'")] = row[left]
	}
	for metric, labels := range counts {
		for label, left := range labels {
			name := strings.TrimPrefix(escape.Text(metric), "'") + "\n" + strings.TrimPrefix(escape.Text(label), "'")
			assert.Equal(t, got[name], strconv.Itoa(left), "%q", name)
			delete(got, name)
		}
	}
	assert.Equal(t, len(got), 0, "%q", got)
}
