//go:build store

package cardinality_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
	"github.com/docker-telemetry/docker-telemetry/report/rules"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics/storetest"
)

const people = 150

// page is what a service exposes after some seconds: person i orders i times a second, holds i things, waits in three buckets,
// and does the same under a path of its own, of three kinds.
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
		path := fmt.Sprintf(`job="shop",path=%q`, pathOf(i))
		fmt.Fprintf(&out, "visits_total{%s} %f\n", path, at)
		fmt.Fprintf(&out, "open_pages{%s} %d\n", path, i)
		fmt.Fprintf(&out, "load_seconds_bucket{%s,le=\"0.1\"} %f\n", path, at)
		fmt.Fprintf(&out, "load_seconds_bucket{%s,le=\"+Inf\"} %f\n", path, 3*at)
		fmt.Fprintf(&out, "load_seconds_sum{%s} %f\nload_seconds_count{%s} %f\n", path, 5*at, path, 3*at)
		fmt.Fprintf(&out, "twin{job=\"shop\",pod=\"pod-%03d\",container=\"container-%03d\"} %d\n", i, i, i)
	}
	// A series that has no such label stays apart.
	fmt.Fprintf(&out, "visits_total{job=\"shop\"} %f\n", seconds)
	return out.String()
}

func pathOf(i int) string {
	return []string{
		fmt.Sprintf("/users/%d/%d/cart", i, 7*i), fmt.Sprintf("/orders/%08x-0000-4000-8000-%012x?at=%d", i, i, i),
		fmt.Sprintf("/v2/blobs/sha256:%032x", 0xabcdef+i),
	}[i%3]
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
		`count(last_over_time(orders_total[1m]))`:                                   1,
		`max(max_over_time(orders_total[1m]))`:                                      increase,
		`count(last_over_time(held[1m]))`:                                           1,
		`max(max_over_time(held[1m]))`:                                              everyone,
		`count(last_over_time(wait_seconds_bucket[1m]))`:                            3,
		`max(max_over_time(wait_seconds_bucket{le="0.1"}[1m]))`:                     increase,
		`max(max_over_time(wait_seconds_bucket{le="1"}[1m]))`:                       2 * increase,
		`max(max_over_time(wait_seconds_bucket{le="+Inf"}[1m]))`:                    3 * increase,
		`max(max_over_time(wait_seconds_sum[1m]))`:                                  5 * increase,
		`max(max_over_time(wait_seconds_count[1m]))`:                                3 * increase,
		`count(last_over_time(visits_total[1m]))`:                                   4,
		`max(max_over_time(visits_total{path=""}[1m]))`:                             pushes - 1,
		`max(max_over_time(visits_total{path="/users/{id}/{id}/cart"}[1m]))`:        everyoneOf(0) * (pushes - 1),
		`max(max_over_time(visits_total{path="/orders/{id}"}[1m]))`:                 everyoneOf(1) * (pushes - 1),
		`max(max_over_time(visits_total{path="/v2/blobs/sha256:{id}"}[1m]))`:        everyoneOf(2) * (pushes - 1),
		`count(last_over_time(open_pages[1m]))`:                                     3,
		`max(max_over_time(open_pages{path="/orders/{id}"}[1m]))`:                   everyoneOf(1),
		`sum(max_over_time(open_pages[1m]))`:                                        everyone,
		`count(last_over_time(load_seconds_bucket[1m]))`:                            6,
		`max(max_over_time(load_seconds_bucket{le="0.1",path="/orders/{id}"}[1m]))`: everyoneOf(1) * (pushes - 1),
		`sum(max_over_time(load_seconds_bucket{le="+Inf"}[1m]))`:                    3 * increase,
		`sum(max_over_time(load_seconds_sum[1m]))`:                                  5 * increase,
		`sum(max_over_time(load_seconds_count[1m]))`:                                3 * increase,
		`count(last_over_time({__raw!=""}[1m]))`:                                    0,
		`count(last_over_time(twin[1m]))`:                                           1,
		`max(max_over_time(twin[1m]))`:                                              everyone,
	} {
		samples, err := client.QueryLatest(ctx, query)
		assert.NilError(t, err)
		if wanted == 0 {
			assert.Equal(t, len(samples), 0, query)
			continue
		}
		assert.Equal(t, len(samples), 1, query)
		assert.Assert(t, math.Abs(samples[0].Value-wanted) <= wanted/1000, "%s is %g, not %g", query, samples[0].Value, wanted)
	}
}

// everyoneOf is the sum over those whose path is of a kind.
func everyoneOf(kind int) float64 {
	sum := 0
	for i := 1; i <= people; i++ {
		if i%3 == kind {
			sum += i
		}
	}
	return float64(sum)
}

// oddLabel is what YAML and VictoriaMetrics' own placeholders could take for something else.
const oddLabel = `pa"th\%{HOME_OF_NOBODY}`

// TestStoreTemplates has the store make templates of random values, odd ones among them, and holds them against those that the
// report counted: each value has to be in the sum of its template.
func TestStoreTemplates(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	config := filepath.Join(t.TempDir(), "aggregation.yaml")
	text := strings.ReplaceAll(cardinality.Normalize("odd", cardinality.TypeGauge, oddLabel), "30s", "2s")
	assert.NilError(t, os.WriteFile(config, []byte(text), 0o600))
	store, err := storetest.Start(ctx, t.TempDir(), "-streamAggr.config="+config)
	assert.NilError(t, err)
	defer func() { assert.NilError(t, store.Stop()) }()

	random := rand.New(rand.NewPCG(1, 4)) //nolint:gosec // the same in each run
	values := map[string]bool{}
	for _, value := range oddValues() {
		// The store takes 4 KiB.
		if len(value) < 2000 {
			values[value], values["/7/"+value], values[value+"/7?"+value] = true, true, true
		}
	}
	// -maxLabelValueLen of 4 KiB is for what comes in. An id of one digit is longer as {id}, so a template may be two and a half
	// times its value: it is stored whole all the same.
	for _, part := range []string{"/7", "/a", "日", "/é/7"} {
		values[strings.Repeat(part, 4000/len(part))] = true
		values[strings.Repeat(part, 1000/utf8.RuneCountInString(part))] = true
		values[strings.Repeat(part, 1000/utf8.RuneCountInString(part))+"x"] = true
	}
	for len(values) < 5000 {
		values[randomPath(random)] = true
	}
	want := map[string]float64{}
	var body bytes.Buffer
	for value := range values {
		want[latin1(cardinality.Template(value))]++
		jsonLine(&body, series{"__name__": "odd", oddLabel: value}, time.Now())
	}
	assert.Assert(t, len(want) < len(values)*4/5, "too few are alike: %d of %d", len(want), len(values))
	assert.NilError(t, store.Import(ctx, "/api/v1/import", &body))
	<-time.After(5 * time.Second) // two intervals and more
	assert.NilError(t, store.Flush(ctx))

	got := map[string]float64{}
	exportedLines(ctx, t, store, []string{"odd"}, func(metric series, values []float64) {
		assert.Equal(t, len(metric), 2, "%q", metric)
		for _, value := range values {
			got[metric[oddLabel]] += value
		}
	})
	for template, count := range want {
		assert.Equal(t, got[template], count, "%q", template)
	}
	assert.Equal(t, len(got), len(want))
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
	// The three parts of a histogram are one rule.
	assert.Equal(t, aggregated, 7, "%+v", proposed)
	return proposed
}
