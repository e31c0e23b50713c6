package page

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/docker-telemetry/docker-telemetry/report/logs"
	"github.com/docker-telemetry/docker-telemetry/report/shape"
	"github.com/docker-telemetry/docker-telemetry/report/sheet"
	"github.com/docker-telemetry/docker-telemetry/report/sheet/sheettest"
)

// small has one of everything.
func small() logs.Report {
	at := time.Date(2026, 3, 14, 9, 26, 0, 0, time.UTC)
	some := func(value float64) *float64 { return &value }
	count := func(value int64) *int64 { return &value }
	used := 11
	return logs.Report{
		SchemaVersion: logs.SchemaVersion, At: at, From: at.AddDate(0, 0, -1), To: at, Complete: true,
		Notes:   []string{"a sample of docker: no answer in time"},
		Summary: logs.Summary{Streams: 2, Records: 12_000, Fields: 14, OriginalBytes: 12e6, StoredBytes: 1.5e6, IndexBytes: 5e5},
		Streams: []logs.Stream{
			{
				Store: logs.Logs, Name: "docker", Complete: true, Records: count(12_000), Share: 1, KeptRecords: 40_000, OriginalBytes: 12e6,
				StoredBytes: 1.5e6, IndexBytes: 5e5, Estimate: some(3.6e6), FieldCount: 12, UsedFields: &used, Columns: 12, Sampled: 200, ServiceField: "service",
				Services: []logs.Service{{Name: "shop", Records: 11_000, Share: 0.916, TextBytes: count(387_000)}, {Name: "db", Records: 1000, Share: 0.083}},
				Fields: []logs.Field{{
					Name: "request_id", Type: "Utf8", Records: 11_000, Values: 11_000, Shape: shape.UUID, Estimate: some(396_000), Person: 3, Sampled: 200,
					Samples: []string{"05a9e431-2b6c-4f0e-9a53-0d4e6f7a8b9c"},
				}},
				Families: []logs.Family{{Name: "users_*_name", Fields: 40}},
			},
			{Store: logs.Traces, Name: "default", Records: count(0), FieldCount: 2},
		},
		Findings: []logs.Finding{
			{Code: logs.UnboundedField, Title: "request_id has no end", Store: logs.Logs, Stream: "docker", Field: "request_id", Values: 11_000, Records: 11_000, Bytes: some(396_000), Fix: "keep it"},
			{Code: logs.NoisyService, Title: "shop writes 91.7 % of all records", Store: logs.Logs, Stream: "docker", Field: "service", Records: 11_000, Fix: "raise its log level"},
			{Code: logs.NearFieldLimit, Title: "902 fields", Store: logs.Traces, Stream: "default", Fix: "log fewer fields"},
		},
	}
}

// written is the page without what is the same in each.
func written(t testing.TB, report logs.Report) string {
	t.Helper()
	var out bytes.Buffer
	assert.NilError(t, write(&out, sheet.Parts{Style: "/* style */", Library: "/* charts */", Script: "/* script */"}, report))
	return out.String()
}

func TestGolden(t *testing.T) {
	golden.Assert(t, written(t, small()), "small.golden.html")
}

func TestEmpty(t *testing.T) {
	page := written(t, logs.Report{Complete: true})
	for _, want := range []string{"None: no field, schema or service stands out.", "There is no record.", "There is none.", "the store answered all that was asked"} {
		assert.Assert(t, strings.Contains(page, want), "%q", want)
	}
	assert.Assert(t, strings.Contains(written(t, logs.Report{}), "A part of the store did not answer."))
}

func TestCharts(t *testing.T) {
	assert.DeepEqual(t, newCharts(small()), charts{Tree: []node{{
		Name: "docker", Value: 12_000, Found: true, Lines: []string{"12,000 records, 100.0 %"}, Children: []node{
			{Name: "shop", Value: 11_000, Found: true, Lines: []string{"11,000 records, 91.6 %"}}, {Name: "db", Value: 1000, Lines: []string{"1,000 records, 8.3 %"}},
		},
	}}})
}

func TestPolicyAllowsWhatIsThere(t *testing.T) {
	var out bytes.Buffer
	assert.NilError(t, Write(&out, small()))
	sheettest.AllowsWhatIsThere(t, out.String())
	sheettest.LoadsNothing(t, out.String())
	sheettest.NamesNoAddress(t, script, layout)
}

func TestWriterThatFails(t *testing.T) {
	assert.ErrorContains(t, Write(sheettest.Closed{}, small()), "closed")
}

func TestHostileValues(t *testing.T) { sheettest.WithHostile(t, assertInert) }

func FuzzPage(f *testing.F) { sheettest.FuzzHostile(f, assertInert) }

func assertInert(t *testing.T, value string) {
	t.Helper()
	var data charts
	assert.NilError(t, json.Unmarshal([]byte(sheettest.Everywhere(t, value, small, written)), &data))
}
