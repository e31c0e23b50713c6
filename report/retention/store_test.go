//go:build store

package retention_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/retention"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics/storetest"
)

const (
	madeDays   = 40
	madeSeries = 50
	madeEach   = time.Minute
)

// TestStore holds a report against a store of 40 days of samples at a known rate, whose times, counts and bytes are known by
// other means: the import itself, the files of the store, and a count day by day.
func TestStore(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	store, err := storetest.Start(ctx, t.TempDir(), "-retentionPeriod=60d", "-inmemoryDataFlushInterval=1s")
	assert.NilError(t, err)
	defer func() { assert.NilError(t, store.Stop()) }()
	client := &victoriametrics.Client{BaseURL: store.URL, HTTP: store.HTTP, Identity: true}

	now := time.Now().UTC().Truncate(time.Minute)
	// Off the begin of a day and of an hour, so that a rounding shows.
	first := now.Add(-madeDays*24*time.Hour + 7*time.Minute)
	made := importMade(ctx, t, store, first, now)
	made += importOwn(ctx, t, store, first, now, float64(made)/now.Sub(first).Seconds())
	before := usage(ctx, t, client)
	settle(ctx, t, store, client, float64(made))

	report := reportOn(ctx, t, client, false)
	assert.Equal(t, len(report.Streams), 1)
	metrics := report.Streams[0]
	assert.Equal(t, metrics.Retention.Text, "60d")
	assert.Equal(t, metrics.Retention.Source, "flag -retentionPeriod")
	assert.Equal(t, metrics.Retention.KeptDays, 91.0)
	assert.Assert(t, metrics.Oldest.At.Sub(first).Abs() < time.Minute, "%s, written from %s", metrics.Oldest.At, first)
	assert.Equal(t, metrics.Leaving, retention.LeavingEarly)
	// More by what it wrote of itself meanwhile.
	within(t, "samples", metrics.Records.Value, float64(made), 0.02)
	held := folder(t, store.Data)
	within(t, "bytes a sample", metrics.BytesPerRecord.Value, held/metrics.Records.Value, 0.02)

	after := usage(ctx, t, client)
	assert.Equal(t, after["made"], before["made"], "a report must not count as a use")
	compareForecast(t, metrics, first, now)
	exactly(ctx, t, client, first)
}

// compareForecast counts day by day, as the store would: what came on each day is dropped with its month, once that is over the
// retention as a whole.
func compareForecast(t *testing.T, metrics retention.Stream, first, now time.Time) {
	t.Helper()
	days := float64(madeSeries) * 24 * 60
	for _, rate := range metrics.Rates {
		within(t, "samples a day of "+rate.Window, rate.RecordsPerDay, days, 0.05)
	}
	assert.Equal(t, len(metrics.Rates), 4, "%+v", metrics.Rates)
	perDay := metrics.Bytes.Value / now.Sub(first).Hours() * 24
	most := 0.0
	for ahead := range 400 {
		at := now.AddDate(0, 0, ahead)
		kept := 0.0
		for came := first; came.Before(at); came = came.AddDate(0, 0, 1) {
			monthEnds := time.Date(came.Year(), came.Month()+1, 1, 0, 0, 0, 0, time.UTC)
			if at.Before(monthEnds.AddDate(0, 0, 60)) {
				kept += perDay
			}
		}
		most = max(most, kept)
	}
	within(t, "bytes at retention", metrics.AtRetention.Expected, most, 0.05)
}

// exactly: without a heartbeat the day is told, unless the samples themselves are asked.
func exactly(ctx context.Context, t *testing.T, client *victoriametrics.Client, first time.Time) {
	t.Helper()
	exact := reportOn(ctx, t, client, true).Streams[0]
	assert.Assert(t, exact.Oldest.At.Equal(first), "%s, written from %s", exact.Oldest.At, first)
	assert.Equal(t, exact.Oldest.Precision, "second")
}

func reportOn(ctx context.Context, t *testing.T, client *victoriametrics.Client, exact bool) retention.Report {
	t.Helper()
	collected, err := retention.Collect(ctx, client, nil, retention.Request{Now: time.Now(), Horizon: 60 * 24 * time.Hour, Exact: exact})
	assert.NilError(t, err)
	report, err := retention.Analyse(collected, retention.Options{})
	assert.NilError(t, err)
	t.Logf("%v", report.Notes)
	return report
}

func within(t *testing.T, what string, got, want, part float64) {
	t.Helper()
	t.Logf("%s: %.3f, want %.3f", what, got, want)
	assert.Assert(t, math.Abs(got-want) <= part*want, "%s: %g, want %g", what, got, want)
}

// importMade writes gauges that a disk cannot pack to nothing, a sample a minute each, and returns how many samples.
func importMade(ctx context.Context, t *testing.T, store *storetest.Store, first, now time.Time) int {
	t.Helper()
	made := 0
	state := uint32(1)
	for series := range madeSeries {
		var values, times bytes.Buffer
		for at := first; at.Before(now); at = at.Add(madeEach) {
			state = state*1664525 + 1013904223
			if values.Len() > 0 {
				values.WriteByte(',')
				times.WriteByte(',')
			}
			fmt.Fprintf(&values, "%d", state>>16)
			fmt.Fprintf(&times, "%d", at.UnixMilli())
			made++
		}
		line := fmt.Sprintf(`{"metric":{"__name__":"made","series":"%d"},"values":[%s],"timestamps":[%s]}`, series, values.String(), times.String())
		assert.NilError(t, store.Import(ctx, "/api/v1/import", bytes.NewBufferString(line)))
	}
	return made
}

// importOwn writes what the store's self-scrape would have over the time: the heartbeat, and the counter of its samples. A real one
// would know that all of them came a moment ago.
func importOwn(ctx context.Context, t *testing.T, store *storetest.Store, first, now time.Time, perSecond float64) (made int) {
	t.Helper()
	var uptime, added, times bytes.Buffer
	for at := first; at.Before(now); at = at.Add(madeEach) {
		if times.Len() > 0 {
			for _, list := range []*bytes.Buffer{&uptime, &added, &times} {
				list.WriteByte(',')
			}
		}
		made += 2
		since := at.Sub(first).Seconds()
		fmt.Fprintf(&uptime, "%.0f", since)
		fmt.Fprintf(&added, "%.0f", since*perSecond)
		fmt.Fprintf(&times, "%d", at.UnixMilli())
	}
	for name, values := range map[string]string{"vm_app_uptime_seconds": uptime.String(), "vm_rows_added_to_storage_total": added.String()} {
		line := fmt.Sprintf(`{"metric":{"__name__":%q,"job":"made"},"values":[%s],"timestamps":[%s]}`, name, values, times.String())
		assert.NilError(t, store.Import(ctx, "/api/v1/import", bytes.NewBufferString(line)))
	}
	return made
}

// settle waits until all samples are in files, and has the store tell so of itself, as its self-scrape does. A query is of the last
// whole second, so that is seen a moment later.
func settle(ctx context.Context, t *testing.T, store *storetest.Store, client *victoriametrics.Client, made float64) {
	t.Helper()
	assert.NilError(t, store.Flush(ctx))
	var own string
	until(ctx, t, "the samples are in files", func() bool {
		text, files := ownMetrics(ctx, t, store)
		own = text
		return files >= made
	})
	assert.NilError(t, store.Import(ctx, "/api/v1/import/prometheus?extra_label=job=own", strings.NewReader(own)))
	assert.NilError(t, store.Flush(ctx))
	until(ctx, t, "the store's own metrics are seen", func() bool {
		seen, err := client.QueryLatest(ctx, `vm_rows{job="own"}`)
		assert.NilError(t, err)
		return len(seen) > 0
	})
}

func until(ctx context.Context, t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not in time: %s", what)
		}
	}
}

// ownMetrics are those of now without the counter of samples, which importOwn has written, and how many samples are in files.
func ownMetrics(ctx context.Context, t *testing.T, store *storetest.Store) (text string, files float64) {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, store.URL+"/metrics", http.NoBody)
	assert.NilError(t, err)
	response, err := store.HTTP.Do(request)
	assert.NilError(t, err)
	defer response.Body.Close()
	var kept strings.Builder
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "vm_rows_added_to_storage_total") || strings.HasPrefix(line, "vm_app_uptime_seconds") {
			continue
		}
		kept.WriteString(line + "\n")
		if strings.HasPrefix(line, `vm_rows{type="storage/small"}`) || strings.HasPrefix(line, `vm_rows{type="storage/big"}`) {
			value, err := strconv.ParseFloat(line[strings.LastIndex(line, " ")+1:], 64)
			assert.NilError(t, err)
			files += value
		}
	}
	assert.NilError(t, lines.Err())
	return kept.String(), files
}

func usage(ctx context.Context, t *testing.T, client *victoriametrics.Client) map[string]uint64 {
	t.Helper()
	told, err := client.Usage(ctx)
	assert.NilError(t, err)
	counts := map[string]uint64{}
	for name, metric := range told.Metrics {
		counts[name] = metric.Requests
	}
	return counts
}

// folder is what the files of the data take, those of its index among them.
func folder(t *testing.T, dir string) float64 {
	t.Helper()
	total := int64(0)
	err := filepath.WalkDir(filepath.Join(dir, "data"), func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil //nolint:nilerr // a part that was merged meanwhile
		}
		if info, err := entry.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	assert.NilError(t, err)
	return float64(total)
}
