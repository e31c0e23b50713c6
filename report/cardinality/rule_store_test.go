//go:build store

package cardinality_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
	"github.com/docker-telemetry/docker-telemetry/report/rules"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics/storetest"
)

const people = 150

// page is what a service exposes after some seconds: person i orders i times a second, holds i things, waits in three buckets.
func page(seconds float64) string {
	var out strings.Builder
	for i := 1; i <= people; i++ {
		person := fmt.Sprintf(`job="shop",user_id="%08x-0000-4000-8000-%012x"`, i, i)
		at := float64(i) * seconds
		fmt.Fprintf(&out, "orders_total{%s} %f\n", person, at)
		fmt.Fprintf(&out, "held{%s} %d\n", person, i)
		fmt.Fprintf(&out, "wait_seconds_bucket{%s,le=\"0.1\"} %f\n", person, at)
		fmt.Fprintf(&out, "wait_seconds_bucket{%s,le=\"1\"} %f\n", person, 2*at)
		fmt.Fprintf(&out, "wait_seconds_bucket{%s,le=\"+Inf\"} %f\n", person, 3*at)
		fmt.Fprintf(&out, "wait_seconds_sum{%s} %f\nwait_seconds_count{%s} %f\n", person, 5*at, person, 3*at)
		fmt.Fprintf(&out, "twin{job=\"shop\",pod=\"pod-%03d\",container=\"container-%03d\"} %d\n", i, i, i)
	}
	return out.String()
}

// TestStoreRules runs what a report proposes on the store that it is for, one rule for each type of metric: there are as few
// series as promised, and they tell what the many told.
func TestStoreRules(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	proposed := proposedRules(ctx, t)
	dir := t.TempDir()
	for _, kind := range []string{rules.Aggregation, rules.Relabeling} {
		// Shorter than in the product, or the test would take minutes.
		text := strings.ReplaceAll(rules.Config(proposed, kind), "30s", "3s")
		assert.Assert(t, text != "", kind)
		assert.NilError(t, os.WriteFile(filepath.Join(dir, kind), []byte(text), 0o600))
	}
	store, err := storetest.Start(ctx, t.TempDir(),
		"-streamAggr.config="+filepath.Join(dir, rules.Aggregation), "-relabelConfig="+filepath.Join(dir, rules.Relabeling))
	assert.NilError(t, err)
	defer func() { assert.NilError(t, store.Stop()) }()

	const pushes = 10
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for second := range pushes {
		assert.NilError(t, store.Import(ctx, "/api/v1/import/prometheus", strings.NewReader(page(float64(second)))))
		<-tick.C
	}
	<-time.After(4 * time.Second) // more than an interval: what came last is written
	assert.NilError(t, store.Flush(ctx))

	client := &victoriametrics.Client{BaseURL: store.URL, HTTP: store.HTTP}
	everyone := float64(people * (people + 1) / 2)
	increase := everyone * (pushes - 1) // the first sample of a counter is where it starts
	for query, wanted := range map[string]float64{
		`count(last_over_time(orders_total[1m]))`:                1,
		`max(max_over_time(orders_total[1m]))`:                   increase,
		`count(last_over_time(held[1m]))`:                        1,
		`max(max_over_time(held[1m]))`:                           everyone,
		`count(last_over_time(wait_seconds_bucket[1m]))`:         3,
		`max(max_over_time(wait_seconds_bucket{le="0.1"}[1m]))`:  increase,
		`max(max_over_time(wait_seconds_bucket{le="1"}[1m]))`:    2 * increase,
		`max(max_over_time(wait_seconds_bucket{le="+Inf"}[1m]))`: 3 * increase,
		`max(max_over_time(wait_seconds_sum[1m]))`:               5 * increase,
		`max(max_over_time(wait_seconds_count[1m]))`:             3 * increase,
		`count(last_over_time(twin[1m]))`:                        1,
		`max(max_over_time(twin[1m]))`:                           everyone,
	} {
		samples, err := client.QueryLatest(ctx, query)
		assert.NilError(t, err)
		assert.Equal(t, len(samples), 1, query)
		assert.Assert(t, math.Abs(samples[0].Value-wanted) <= wanted/1000, "%s is %g, not %g", query, samples[0].Value, wanted)
	}
}

// proposedRules are those of a report on the same series in a store without rules.
func proposedRules(ctx context.Context, t *testing.T) []rules.Rule {
	t.Helper()
	store, err := storetest.Start(ctx, t.TempDir())
	assert.NilError(t, err)
	defer func() { assert.NilError(t, store.Stop()) }()
	assert.NilError(t, store.Import(ctx, "/api/v1/import/prometheus", strings.NewReader(page(1))))
	assert.NilError(t, store.Flush(ctx))
	client := &victoriametrics.Client{BaseURL: store.URL, HTTP: store.HTTP}
	collected, err := cardinality.Collect(ctx, client, cardinality.Request{Now: time.Now(), Top: 20, Samples: 20})
	assert.NilError(t, err)
	report := cardinality.Analyse(collected, cardinality.Options{Top: 20})
	proposed := report.Rules(cardinality.AllFindings)
	aggregated := 0
	for _, rule := range proposed {
		if rule.Kind == rules.Aggregation {
			aggregated++
		}
	}
	// The three parts of the histogram are one rule.
	assert.Equal(t, aggregated, 4, "%+v", proposed)
	return proposed
}
