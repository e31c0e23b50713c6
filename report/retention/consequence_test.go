package retention_test

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/retention"
)

func TestConsequence(t *testing.T) {
	at := func(day int) *time.Time {
		moment := time.Date(2026, 11, day, 12, 30, 0, 0, time.UTC)
		return &moment
	}
	for _, tc := range []struct {
		change retention.Change
		want   string
	}{
		{
			retention.Change{Store: "logs", Name: "docker", DaysBefore: 14, Days: 7, Freed: 2e6, DeletedBefore: at(3)},
			"logs/docker: 7 d instead of 14 d; about 2.0 MB, all before 2026-11-03, are deleted within three hours",
		},
		{retention.Change{Store: "logs", Name: "docker", Days: 7}, "logs/docker: 7 d instead of for ever; nothing is there yet that is old enough to go"},
		{
			retention.Change{Store: "metrics", DaysBefore: 30, Days: 7, Freed: 1e9, HiddenBefore: at(3), DeletedBefore: at(1)},
			"metrics: 7 d instead of 30 d; samples before 2026-11-03 12:30 UTC are in no answer any more, at once; " +
				"about 1.0 GB, all before 2026-11-01, are deleted within minutes",
		},
		{
			retention.Change{Store: "metrics", DaysBefore: 30, Days: 7, HiddenBefore: at(3)},
			"metrics: 7 d instead of 30 d; samples before 2026-11-03 12:30 UTC are in no answer any more, at once; they are deleted with the rest of their month",
		},
	} {
		assert.Equal(t, tc.change.Consequence(), tc.want)
	}
}

// What is asked for a stream counts before what is for all traces, and that before what is for all of the store, in any order.
func TestWhatIfRanks(t *testing.T) {
	l := cluttered()
	report := reportOf(t, laptop(), l, retention.Options{WhatIf: []retention.Wanted{
		{Store: "traces", Name: "default", Days: 5}, {Store: "traces", Days: 4}, {Store: "logs", Days: 3},
	}})
	days := map[string]float64{}
	for _, change := range report.WhatIf.Changes {
		days[retention.Label(change.Store, change.Name)] = change.Days
	}
	assert.Equal(t, days["traces/default"], 5.0)
	assert.Equal(t, days["logs/docker"], 3.0)
}
