//go:build unix

package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/retention"
)

func TestTable(t *testing.T) {
	judged := row{
		what: "report retention", series: 1_000_000, streams: 500, seconds: 1.5, median: 2.5, cpu: 0.25, budget: 2, peakMiB: 48.4, peakBudget: 64,
		asked: 112, runs: 7,
	}
	slow, large, unjudged := judged, judged, judged
	slow.seconds, large.peakMiB = 2.01, 64.1
	unjudged.budget, unjudged.peakBudget, unjudged.seconds = 0, 0, 60
	for _, tc := range []struct {
		name string
		row  row
		want string
	}{
		{"within both", judged, "1.50 2.50 0.25 2.00 48 64 pass 112 7"},
		{"too slow", slow, "2.01 2.50 0.25 2.00 48 64 FAIL 112 7"},
		{"too large", large, "1.50 2.50 0.25 2.00 64 64 FAIL 112 7"},
		{"without a budget", unjudged, "60.00 2.50 0.25 - 48 - - 112 7"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rows := table{unjudged, tc.row}
			assert.Equal(t, rows.missed(), strings.Contains(tc.want, "FAIL"))
			var out strings.Builder
			assert.NilError(t, rows.print(&out))
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			assert.Equal(t, len(lines), 3)
			assert.Equal(t, strings.Join(strings.Fields(lines[2]), " "), "report retention 1000000 500 "+tc.want)
		})
	}
}

func TestWhole(t *testing.T) {
	all := options{metrics: 40, streams: 500}
	assert.Assert(t, all.whole())
	for _, less := range []options{{metrics: 39, streams: 500}, {metrics: 40, streams: 499}} {
		assert.Assert(t, !less.whole(), "%+v", less)
	}
}

func TestCheckReport(t *testing.T) {
	since := time.Date(2026, 10, 26, 8, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name    string
		spoil   func(report *retention.Report)
		refused string
	}{
		{"whole", func(*retention.Report) {}, ""},
		{"a store that did not answer", func(r *retention.Report) { r.Complete = false }, "complete false"},
		{"a stream that is missing", func(r *retention.Report) { r.Streams = r.Streams[:2] }, "1 streams of 2"},
		{"a stream without records", func(r *retention.Report) { r.Streams[2].Records = nil }, "lacks figures of logs stream_001"},
		{"another oldest sample", func(r *retention.Report) { r.Streams[0].Oldest.At = since.Add(time.Hour) }, "oldest sample"},
		{"a rate that is missing", func(r *retention.Report) { r.Streams[0].Rates = r.Streams[0].Rates[:3] }, "3 rates"},
		{"no disk", func(r *retention.Report) { r.Limits = nil }, "no disk"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			report := retention.Report{Complete: true, Limits: []retention.Limit{{Name: "volume"}}}
			for _, name := range []string{"", streamName(0), streamName(1)} {
				store := retention.Logs
				if name == "" {
					store = retention.Metrics
				}
				report.Streams = append(report.Streams, retention.Stream{
					Store: store, Name: name, Records: &retention.Figure{}, Bytes: &retention.Figure{}, Retention: &retention.Setting{},
					Oldest: &retention.Moment{At: since}, Rates: make([]retention.Rate, allRates),
				})
			}
			tc.spoil(&report)
			raw, err := json.Marshal(report)
			assert.NilError(t, err)
			err = checkReport(raw, 2, since)
			if tc.refused == "" {
				assert.NilError(t, err)
				return
			}
			assert.ErrorContains(t, err, tc.refused)
		})
	}
}
