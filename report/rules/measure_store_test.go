//go:build store

package rules_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/rules"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics/storetest"
)

// Series that began at known times are counted by VictoriaMetrics itself.
func TestStoreArrivals(t *testing.T) {
	store, err := storetest.Start(t.Context(), t.TempDir())
	assert.NilError(t, err)
	defer func() { assert.NilError(t, store.Stop()) }()
	now := time.Now()
	var body strings.Builder
	series := func(metric string, count int, ages ...time.Duration) {
		for i := range count {
			for _, age := range ages {
				fmt.Fprintf(&body, "%s{n=%q} 1 %d\n", metric, fmt.Sprint(ages[0], i), now.Add(-age).UnixMilli())
			}
		}
	}
	series("orders", 5, 100*time.Minute, 50*time.Minute, 10*time.Second) // lives as before
	series("orders", 3, 30*time.Minute, 10*time.Second)                  // came, and lives
	series("orders", 2, 20*time.Minute)                                  // came, and went
	series("orders", 4, 5*time.Hour, 10*time.Minute)                     // silent for hours: new to whoever pays for it
	series("orders", 1, 20*time.Second)                                  // is new by the minute
	series("carts", 7, 5*time.Minute, 10*time.Second)
	assert.NilError(t, store.Import(t.Context(), "/api/v1/import/prometheus", strings.NewReader(body.String())))
	assert.NilError(t, store.Flush(t.Context()))
	client := &victoriametrics.Client{BaseURL: store.URL, HTTP: store.HTTP}
	for _, tc := range []struct {
		metric string
		since  time.Duration
		want   rules.Arrivals
	}{
		{"orders", time.Hour, rules.Arrivals{Series: 10, Seconds: 3600, PerHour: 10}},
		{"orders", time.Minute, rules.Arrivals{Series: 1, Seconds: 60, PerHour: 60, Extrapolated: true}},
		{"carts", time.Hour, rules.Arrivals{Series: 7, Seconds: 3600, PerHour: 7, Young: true}},
		{"carts", time.Minute, rules.Arrivals{Seconds: 60, Extrapolated: true}},
		{"none", time.Hour, rules.Arrivals{Seconds: 3600}},
	} {
		got, err := rules.Arrived(t.Context(), client, tc.metric, tc.since)
		assert.NilError(t, err)
		assert.Equal(t, got, tc.want, "%s in %s", tc.metric, tc.since)
	}
	living, err := rules.Living(t.Context(), client, "orders")
	assert.NilError(t, err)
	assert.Equal(t, living, 9)
}
