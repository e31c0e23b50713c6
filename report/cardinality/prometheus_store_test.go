//go:build store

package cardinality_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics/storetest"
)

const manyPrometheusStores = 40

// TestStorePrometheusCounts holds what Collect counts of random stores in a real Prometheus against what was written. Its order is
// not that of metrics: it lists series as they came, or by all of their labels, and capitals sort before __name__.
func TestStorePrometheusCounts(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stores := make([][]series, manyPrometheusStores)
	var all []series
	for i := range stores {
		random := rand.New(rand.NewPCG(uint64(i), 3)) //nolint:gosec // the same stores in each run
		stores[i] = readable(oddStore(random, i, false), random)
		all = append(all, stores[i]...)
	}
	// As those of several targets come: each metric comes back many times.
	rand.New(rand.NewPCG(1, 3)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] }) //nolint:gosec // as above
	store, err := storetest.Prometheus{}.Start(ctx, t.TempDir())
	assert.NilError(t, err)
	defer func() { assert.NilError(t, store.Stop()) }()
	var labels []map[string]string
	for _, one := range all {
		labels = append(labels, one)
	}
	assert.NilError(t, store.RemoteWrite(ctx, labels, time.Now()))

	now := time.Now()
	for i, one := range stores {
		match := fmt.Sprintf(`{%s="%d"}`, storeLabel, i)
		compareWith(ctx, t, store, cardinality.Request{Match: []string{match}, Now: now, Top: 1000, Samples: 3}, one)
	}
	both := []string{fmt.Sprintf(`{%s="0",Zone!=""}`, storeLabel), fmt.Sprintf(`{%s=~"0|1"}`, storeLabel)}
	compareWith(ctx, t, store, cardinality.Request{Match: both, Now: now, Samples: 3}, slices.Concat(stores[0], stores[1]))
	compareWith(ctx, t, store, cardinality.Request{Now: now, Samples: 3}, all)
}

func compareWith(ctx context.Context, t *testing.T, store *storetest.Store, request cardinality.Request, written []series) {
	t.Helper()
	client := &victoriametrics.Client{BaseURL: store.URL, HTTP: store.HTTP, Identity: true}
	collected, err := cardinality.Collect(ctx, client, request)
	assert.NilError(t, err)
	byMetric := map[string][]series{}
	for _, one := range written {
		byMetric[one["__name__"]] = append(byMetric[one["__name__"]], one)
	}
	assert.Equal(t, collected.Stream.Series, int64(len(written)), "%v", request.Match)
	assert.Equal(t, len(collected.Metrics), len(byMetric), "%v", request.Match)
	for _, metric := range collected.Metrics {
		compareLabels(t, metric, byMetric[metric.Name])
		if request.Top > 0 {
			compareTemplates(t, metric, byMetric[metric.Name])
			comparePairs(t, metric, byMetric[metric.Name])
		}
	}
}

// readable leaves out what Prometheus does not take, and gives some series labels that sort before __name__.
func readable(all []series, random *rand.Rand) []series {
	var taken []series
	seen := map[string]bool{}
	for _, one := range all {
		maps.DeleteFunc(one, func(name, value string) bool {
			return !utf8.ValidString(name) || !utf8.ValidString(value) || strings.ContainsRune(name, 0)
		})
		if metric := one["__name__"]; metric == "" || strings.ContainsRune(metric, 0) {
			continue
		}
		if random.IntN(2) == 0 {
			one["Zone"] = "z" + strconv.Itoa(random.IntN(5))
		}
		if random.IntN(3) == 0 {
			one["A"] = strconv.Itoa(random.IntN(3))
		}
		if key := one.without(); !seen[key] {
			seen[key] = true
			taken = append(taken, one)
		}
	}
	return taken
}
