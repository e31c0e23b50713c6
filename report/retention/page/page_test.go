package page

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/docker-telemetry/docker-telemetry/report/retention"
	"github.com/docker-telemetry/docker-telemetry/report/sheet"
	"github.com/docker-telemetry/docker-telemetry/report/sheet/sheettest"
)

func testTime() time.Time { return time.Date(2026, 3, 14, 9, 26, 0, 0, time.UTC) }

// small has one of everything.
func small() retention.Report {
	at := testTime()
	figure := func(value float64) *retention.Figure {
		return &retention.Figure{Value: value, How: retention.Reported, Over: "now"}
	}
	span := func(value float64) *retention.Range {
		return &retention.Range{Low: value / 2, Expected: value, High: 2 * value, How: retention.Estimated, Over: "the last week"}
	}
	moment := func(days int) *retention.Moment {
		return &retention.Moment{At: at.AddDate(0, 0, days), Precision: "second", How: retention.Measured, Over: "a search"}
	}
	day := at.AddDate(0, 1, 0)
	limits := []retention.Limit{
		{Name: "volume", Stores: []string{"metrics"}, Bytes: 40e9, Free: 39e9, How: retention.Reported, Over: "free space", Full: &retention.Full{Earliest: &day}},
		{Name: "budget", Stores: []string{"metrics"}, Bytes: 3e9, Free: 2e9, How: retention.Measured, Over: "as asked", Full: &retention.Full{Earliest: &day, Expected: &day}},
	}
	total := retention.Total{Bytes: 1e9, BytesPerDay: span(3e7), AtHorizon: span(2e9), AtRetention: span(2.5e9)}
	return retention.Report{
		SchemaVersion: retention.SchemaVersion, At: at, HorizonDays: 30, Complete: true, Notes: []string{"snapshots: this store does not tell"},
		Streams: []retention.Stream{{
			Store: "logs", Name: "docker", Retention: &retention.Setting{Days: 14, Text: "14 d", Source: "setting of the stream", KeptDays: 15},
			Oldest: moment(-14), Newest: moment(0), Records: figure(7e6), Bytes: figure(1e9), IndexBytes: figure(1e8), BytesPerRecord: figure(142),
			Rates:   []retention.Rate{{Window: "week", From: at.AddDate(0, 0, -7), RecordsPerDay: 5e5, BytesPerDay: 3e7, How: retention.Measured}},
			Leaving: retention.LeavingYes, Leaves: "the next goes on 2026-03-15", AtRetention: span(4.5e8),
		}},
		Total: total, Limits: limits,
		Growth: []retention.Cause{{Store: "logs", Name: "docker", BytesPerDay: 3e7, Share: 1, How: retention.Measured, Over: "the last week"}},
		Others: []retention.Other{
			{Kind: retention.OfIndex, Name: "index of logs", Bytes: 1e8, How: retention.Reported, Over: "now"},
			{Kind: retention.OfLogs, Name: "container logs", Bytes: 3e8, How: retention.Bound, Over: "max-size times max-file"},
		},
		WhatIf: &retention.WhatIf{
			Changes: []retention.Change{{Store: "logs", Name: "docker", DaysBefore: 14, Days: 7, BytesBefore: span(4.5e8), Bytes: span(2.4e8), Freed: 5e8}},
			Total:   total, Limits: limits,
		},
		Curve: []retention.Size{
			{At: at.AddDate(0, 0, -1), Low: 9e8, Expected: 9e8, High: 9e8},
			{At: at, Low: 1e9, Expected: 1e9, High: 1e9, Forecast: true},
			{At: at.AddDate(0, 0, 30), Low: 1.5e9, Expected: 2e9, High: 3e9, Forecast: true},
		},
		Findings: []retention.Finding{
			{Code: retention.LongerThanDisk, Title: "the budget of 3.0 GB is full on 2026-04-14", Bytes: 3e9, Fix: "try shorter ones"},
			{Code: retention.NoData, Store: "logs", Name: "docker", Title: "nothing came for 20 min", Fix: "see which hop it does not pass"},
		},
	}
}

// written is the page without what is the same in each.
func written(t testing.TB, report retention.Report) string {
	t.Helper()
	var out bytes.Buffer
	assert.NilError(t, write(&out, sheet.Parts{Style: "/* style */", Library: "/* charts */", Script: "/* script */"}, report))
	return out.String()
}

func TestGolden(t *testing.T) {
	golden.Assert(t, written(t, small()), "small.golden.html")
}

func TestEmpty(t *testing.T) {
	page := written(t, retention.Report{Complete: true})
	for _, want := range []string{"None, as far as it can be told.", "There is no plot", "the stores answered all that was asked"} {
		assert.Assert(t, strings.Contains(page, want), "%q", want)
	}
	assert.Assert(t, strings.Contains(written(t, retention.Report{}), "A store did not answer."))
}

func TestCharts(t *testing.T) {
	c := newCharts(small())
	assert.Equal(t, len(c.Was), 1)
	assert.Equal(t, len(c.Likely), 2)
	assert.DeepEqual(t, c.Limits, []limit{{"budget", 3e9}})
	assert.DeepEqual(t, c.High[1], [2]float64{float64(testTime().AddDate(0, 0, 30).UnixMilli()), 3e9})
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
