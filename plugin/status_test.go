package plugin

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/pipeline"
	"github.com/docker-telemetry/docker-telemetry/report/retention"
)

func TestForecastIsRemembered(t *testing.T) {
	now := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	soon, later := now.AddDate(0, 0, 34), now.AddDate(0, 0, 90)
	full := func(at *time.Time) *retention.Full { return &retention.Full{Expected: at} }
	for _, tc := range []struct {
		name   string
		limits []retention.Limit
		want   string
	}{
		{"the first of two", []retention.Limit{{Name: "volume", Full: full(&later)}, {Name: "budget", Full: full(&soon)}}, "; 32 days until the budget is full (as of 2 days ago)"},
		{"none is reached", []retention.Limit{{Name: "volume", Full: full(nil)}, {Name: "budget"}}, "; no limit is reached (as of 2 days ago)"},
		{"none is known", []retention.Limit{{Name: "volume"}}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRotating(t)
			assert.NilError(t, r.up())
			s, err := r.app.open(t.Context(), "")
			assert.NilError(t, err)
			s.source.Now = func() time.Time { return now }
			before, err := recalled[forecastJSON](s, forecastFile)
			assert.NilError(t, err)
			assert.Equal(t, before.words(now), "")
			s.keepForecast(retention.Report{Limits: tc.limits})
			kept, err := recalled[forecastJSON](s, forecastFile)
			assert.NilError(t, err)
			assert.Equal(t, kept.words(now.AddDate(0, 0, 2)), tc.want)
			assert.NilError(t, s.state.WriteFile(forecastFile, []byte("{"), 0o600))
			broken, err := recalled[forecastJSON](s, forecastFile)
			assert.NilError(t, err)
			assert.Assert(t, broken == nil, "what cannot be read is as none")
		})
	}
}

func TestProofIsRemembered(t *testing.T) {
	r := newRotating(t)
	assert.NilError(t, r.up())
	s, err := r.app.open(t.Context(), "")
	assert.NilError(t, err)
	silent := pipeline.RouteResult{Name: "metrics", Hops: []pipeline.HopResult{{State: pipeline.Silent}}, Cause: &pipeline.Cause{}}
	s.keepProof([]pipeline.RouteResult{{Name: "logs"}, silent})
	proof, err := recalled[proofJSON](s, proofFile)
	assert.NilError(t, err)
	assert.DeepEqual(t, proof.words(proof.At.Add(3*time.Hour)), []string{"broken, 3 hours ago: metrics"})
	s.keepProof([]pipeline.RouteResult{{Name: "logs"}})
	proof, err = recalled[proofJSON](s, proofFile)
	assert.NilError(t, err)
	assert.DeepEqual(t, proof.words(proof.At.Add(3*time.Hour)), []string{"1 of 1 routes carried their marked event, 3 hours ago"})
}
