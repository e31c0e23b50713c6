package retention_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/report/retention"
	"github.com/docker-telemetry/docker-telemetry/storage/openobserve"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

func now() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

// metricsStore is a MetricsStore in memory: series since a time, and answers to queries by a part of the expression, the longest
// that fits.
type metricsStore struct {
	days    map[string]bool // that have a series
	answers map[string][]victoriametrics.Sample
	sizes   map[string][]victoriametrics.Point
	names   []string
	status  victoriametrics.TSDBStatus
	fail    map[string]error // by what is asked
	mu      sync.Mutex
	asked   []string
}

func (s *metricsStore) ask(what, expression string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, expression)
	return s.fail[what]
}

func (s *metricsStore) HasSeries(_ context.Context, from, to time.Time) (bool, error) {
	for at := from; at.Before(to); at = at.AddDate(0, 0, 1) {
		if s.days[at.Format(time.DateOnly)] {
			return true, s.ask("index", "")
		}
	}
	return false, s.ask("index", "")
}

func (s *metricsStore) Status(context.Context, victoriametrics.StatusRequest) (victoriametrics.TSDBStatus, error) {
	return s.status, s.ask("status", "")
}

func (s *metricsStore) QueryLatest(_ context.Context, expression string) ([]victoriametrics.Sample, error) {
	best := ""
	for part := range s.answers {
		if strings.Contains(expression, part) && len(part) > len(best) {
			best = part
		}
	}
	return s.answers[best], s.ask("query", expression)
}

func (s *metricsStore) QueryAt(ctx context.Context, expression string, at time.Time) ([]victoriametrics.Sample, error) {
	return s.QueryLatest(ctx, at.Format(time.DateOnly)+" "+expression)
}

func (s *metricsStore) QueryRange(_ context.Context, expression string, _, _ time.Time, _ time.Duration) ([]victoriametrics.Point, error) {
	return s.sizes[expression], s.ask("range", expression)
}

func (s *metricsStore) Snapshots(context.Context) ([]string, error) {
	return s.names, s.ask("snapshots", "")
}

func value(value float64, labels ...string) victoriametrics.Sample {
	sample := victoriametrics.Sample{Value: value, Labels: map[string]string{}}
	for i := 0; i < len(labels); i += 2 {
		sample.Labels[labels[i]] = labels[i+1]
	}
	return sample
}

func one(figure float64) []victoriametrics.Sample { return []victoriametrics.Sample{value(figure)} }

func unix(at time.Time) float64 { return float64(at.UnixMilli()) / 1000 }

// laptop is a store of 20 days with a retention of 14, of 100,000,000 samples of a byte and an index of 20 MB.
func laptop() *metricsStore {
	const named = "__name__"
	s := &metricsStore{
		days: map[string]bool{}, fail: map[string]error{"snapshots": &victoriametrics.StatusError{Status: http.StatusForbidden, Path: "/snapshot/list"}},
		status: victoriametrics.TSDBStatus{Series: 1000, ByMetric: []victoriametrics.Count{
			{Name: "http_requests_total", Value: 600}, {Name: "up", Value: 100},
		}},
		answers: map[string][]victoriametrics.Sample{
			"time()": one(unix(now())),
			"flag{":  {value(1, "name", "retentionPeriod", "value", "14d", "is_set", "true")},
			"vm_data_size_bytes|": {
				value(80e6, named, "vm_data_size_bytes", "type", "storage/small"), value(20e6, named, "vm_data_size_bytes", "type", "storage/big"),
				value(20e6, named, "vm_data_size_bytes", "type", "indexdb/file"),
				value(90e6, named, "vm_rows", "type", "storage/small"), value(10e6, named, "vm_rows", "type", "storage/big"),
				value(4e6, named, "vm_rows", "type", "indexdb/file"),
				value(2.1e9, named, "vm_free_disk_space_bytes", "path", "/storage"), value(1e8, named, "vm_free_disk_space_limit_bytes", "path", "/storage"),
				value(10e9, named, "vm_total_disk_space_bytes", "path", "/storage"), value(1, named, "vm_snapshots"),
			},
			"vector_buffer": {
				value(90e6, named, "vector_buffer_size_bytes", "component_id", "agg_logs", "job", "vector-agent"),
				value(100e6, named, "vector_buffer_max_size_bytes", "component_id", "agg_logs", "job", "vector-agent"),
				value(5e6, named, "vector_buffer_size_bytes", "component_id", "openobserve", "job", "vector-aggregator"), value(3e6, named, "zo_ingest_wal_used_bytes"),
			},
			"min(tfirst_over_time(vm_app_uptime_seconds[": one(unix(now().AddDate(0, 0, -20))),
			"vm_rows_added_to_storage_total[3600s]":       one(250_000),
			"vm_rows_added_to_storage_total[86400s]":      one(5_000_000),
			"vm_rows_added_to_storage_total[604800s]":     one(35_000_000),
			"offset 86400s":               one(19e6),
			"offset 604800s":              one(13e6),
			"sum(vm_rows_inserted_total)": one(1e8),
			"tlast_change_over_time":      one(unix(now().Add(-20 * time.Minute))),
			"vm_rows_ignored_total":       {value(1200, "reason", "small_timestamp"), value(7, "reason", "big_timestamp"), value(0, "reason", "too_many_labels")},
			"zo_ingest_errors":            {value(33, "stream", "docker")},
			"2026-11-05 min(tfirst_over_time(vm_app_uptime_seconds[1d])":           one(unix(now().AddDate(0, 0, -20))),
			"2026-11-05 min(tfirst_over_time(" + victoriametrics.EverySeries + "[": one(unix(now().AddDate(0, 0, -20).Add(-time.Hour))),
		},
		sizes: map[string][]victoriametrics.Point{},
	}
	for ago := range 21 {
		at := now().AddDate(0, 0, -ago)
		s.days[at.Format(time.DateOnly)] = true
		s.sizes["sum(vm_data_size_bytes)"] = slices.Insert(s.sizes["sum(vm_data_size_bytes)"], 0, victoriametrics.Point{At: at, Value: 120e6 - float64(ago)*5e6})
		s.sizes["sum(zo_storage_compressed_bytes)"] = slices.Insert(
			s.sizes["sum(zo_storage_compressed_bytes)"], 0, victoriametrics.Point{At: at, Value: 60e6 - float64(ago)*2e6})
	}
	return s
}

// logsStore is a LogsStore in memory. A stream has as many records in each hour of its life.
type logsStore struct {
	days    int
	streams []openobserve.Held
	hourly  map[string]int64
	newest  map[string]time.Time
	partial bool
	fail    map[string]error
	mu      sync.Mutex
	asked   int
}

func (s *logsStore) Keeping(context.Context) (openobserve.Keeping, error) {
	return openobserve.Keeping{Version: "v0.92.2", Days: s.days}, s.fail["config"]
}

func (s *logsStore) Held(_ context.Context, kind string) ([]openobserve.Held, error) {
	var held []openobserve.Held
	for _, stream := range s.streams {
		if stream.Kind == kind {
			held = append(held, stream)
		}
	}
	return held, s.fail[kind]
}

func (s *logsStore) Extent(_ context.Context, _, name string, from, to time.Time) (openobserve.Extent, error) {
	s.mu.Lock()
	s.asked++
	s.mu.Unlock()
	at := slices.IndexFunc(s.streams, func(h openobserve.Held) bool { return h.Name == name })
	oldest, newest := s.streams[at].Oldest, now()
	if given, set := s.newest[name]; set {
		newest = given
	}
	extent := openobserve.Extent{Partial: s.partial}
	if oldest.IsZero() || to.Before(oldest) || from.After(newest) {
		return extent, s.fail["search"]
	}
	if from.Before(oldest) {
		from = oldest
	}
	if to.After(newest) {
		to = newest
	}
	extent.Records, extent.Oldest, extent.Newest = s.hourly[name]*int64(to.Sub(from).Hours()+0.5), from, to
	return extent, s.fail["search"]
}

func cluttered() *logsStore {
	stream := func(kind, name string, age int, stored float64, setting int) openobserve.Held {
		return openobserve.Held{
			Kind: kind, Name: name, Created: now().AddDate(0, 0, -age), Oldest: now().AddDate(0, 0, -age), Newest: now().Add(-10 * time.Minute),
			Records: int64(age) * 24 * 1000, Stored: stored, Index: stored / 10, Original: 10 * stored, Days: setting,
		}
	}
	return &logsStore{
		days: openobserve.DefaultDays,
		streams: []openobserve.Held{
			stream(retention.Logs, "docker", 30, 50e6, 0), stream(retention.Logs, "kept", 30, 6e6, 7), stream(retention.Traces, "default", 2, 2e6, 30),
			stream(retention.Logs, "quiet", 20, 1e6, 30),
			{Kind: retention.Logs, Name: "new", Created: now()},
		},
		hourly: map[string]int64{"docker": 1000, "kept": 1000, "default": 1000, "quiet": 1000},
		newest: map[string]time.Time{"quiet": now().Add(-26 * time.Hour), "default": now().Add(2 * time.Hour)},
		fail:   map[string]error{},
	}
}

func reportOf(t testing.TB, metrics retention.MetricsStore, logs retention.LogsStore, options retention.Options) retention.Report {
	t.Helper()
	collected, err := retention.Collect(t.Context(), metrics, logs, retention.Request{Now: now(), Horizon: 30 * 24 * time.Hour})
	assert.NilError(t, err)
	report, err := retention.Analyse(collected, options)
	assert.NilError(t, err)
	return report
}

func full(t testing.TB) retention.Report {
	t.Helper()
	collected, err := retention.Collect(t.Context(), laptop(), cluttered(), retention.Request{Now: now(), Horizon: 30 * 24 * time.Hour})
	assert.NilError(t, err)
	collected.Engine = engineHeld()
	report, err := retention.Analyse(collected, retention.Options{
		MaxDisk: 500e6, WhatIf: []retention.Wanted{{Store: retention.Logs, Name: "docker", Days: 3}, {Store: retention.Metrics, Days: 7}, {Store: retention.Logs, Days: 7}},
	})
	assert.NilError(t, err)
	return report
}

func streamOf(t testing.TB, r retention.Report, label string) retention.Stream {
	t.Helper()
	at := slices.IndexFunc(r.Streams, func(s retention.Stream) bool { return retention.Label(s.Store, s.Name) == label })
	assert.Assert(t, at >= 0, label)
	return r.Streams[at]
}

func codes(r retention.Report) string {
	var all []string
	for _, finding := range r.Findings {
		all = append(all, finding.Code+" "+retention.Label(finding.Store, finding.Name))
	}
	return strings.Join(all, "; ")
}

func TestMetricsOfAStore(t *testing.T) {
	metrics := streamOf(t, full(t), "metrics")
	assert.DeepEqual(t, *metrics.Retention, retention.Setting{Days: 14, Text: "14d", Source: "flag -retentionPeriod", KeptDays: 45})
	assert.Assert(t, metrics.Oldest.At.Equal(now().AddDate(0, 0, -20)))
	assert.Equal(t, metrics.Records.Value, 100e6)
	assert.Equal(t, metrics.Bytes.Value, 120e6)
	assert.Equal(t, metrics.BytesPerRecord.Value, 1.2)
	assert.Equal(t, metrics.Leaving, retention.LeavingYes, "%s", metrics.Leaves)
	assert.Equal(t, metrics.Leaves, "the next goes on 2026-12-15")
	// A byte a sample, and the index by its own growth: 1 MB in the last day, 7 in the week, 20 in all of its 20 days.
	var got []float64
	for _, rate := range metrics.Rates {
		got = append(got, rate.RecordsPerDay, rate.BytesPerDay)
	}
	assert.DeepEqual(t, got, []float64{6e6, 7e6, 5e6, 6e6, 5e6, 6e6, 5e6, 6e6})
	assert.Equal(t, metrics.AtRetention.Expected, 45*6e6)
	assert.Equal(t, metrics.AtRetention.High, 45*7e6)
}

func TestStreamsOfAStore(t *testing.T) {
	report := full(t)
	docker := streamOf(t, report, "logs/docker")
	assert.Equal(t, docker.Retention.Source, "default of ZO_COMPACT_DATA_RETENTION_DAYS")
	assert.Equal(t, docker.Bytes.Value, 55e6)
	assert.Equal(t, docker.Records.Value, 720_000.0)
	assert.Equal(t, docker.Records.How, retention.Measured)
	assert.Equal(t, docker.Rates[2].Window, "week")
	assert.Equal(t, docker.Rates[2].RecordsPerDay, 24_000.0)
	assert.Assert(t, strings.HasPrefix(docker.Leaves, "the first goes on 2036-"), docker.Leaves)
	assert.Equal(t, streamOf(t, report, "logs/kept").Leaving, retention.LeavingNo)
	assert.Assert(t, streamOf(t, report, "logs/kept").AtRetention == nil, "what is not deleted now is not taken to be later")
	assert.Equal(t, len(streamOf(t, report, "traces/default").Rates), 3, "no week yet")
	assert.Equal(t, len(streamOf(t, report, "logs/new").Rates), 0)
}

func TestFindings(t *testing.T) {
	report := full(t)
	assert.Equal(t, codes(report), "DTR001 ; DTR001 ; DTR002 logs/kept; DTR003 logs; DTR004 logs/docker; DTR005 metrics; DTR006 logs/docker; DTR006 metrics; "+
		"DTR007 metrics; DTR007 traces/default; DTR008 logs/quiet; DTR008 metrics; DTR009 metrics; DTR010 agg_logs; DTR012 telemetry-loud-1; DTR013 engine")
	for _, code := range retention.Codes() {
		raw, err := os.ReadFile("../../docs/findings/" + code + ".md")
		assert.NilError(t, err)
		assert.Assert(t, strings.HasPrefix(string(raw), "# "+code+": "))
	}
}

// A store as it should be has none.
func TestNoFindings(t *testing.T) {
	s, l := laptop(), cluttered()
	s.fail, s.names = nil, nil
	s.answers["tlast_change_over_time"] = one(unix(now().Add(-time.Minute)))
	for _, part := range []string{"vm_rows_ignored_total", "zo_ingest_errors", "vector_buffer"} {
		s.answers[part] = nil
	}
	s.answers["flag{"][0].Labels["value"] = "30d"
	l.days, l.streams = 14, l.streams[:1]
	l.streams[0].Oldest = now().AddDate(0, 0, -14)
	report := reportOf(t, s, l, retention.Options{})
	assert.Equal(t, codes(report), "")
	assert.Equal(t, streamOf(t, report, "logs/docker").Leaving, retention.LeavingYes)
	reason, known := report.Judge(10)
	assert.Assert(t, known && reason == "", reason)
}

func TestFindingsOne(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*metricsStore, *logsStore)
		want   string
	}{
		{"deletion is off", func(_ *metricsStore, l *logsStore) { l.days = 0 }, "OpenObserve deletes nothing: its global setting is 0"},
		{"ten years, asked for", func(_ *metricsStore, l *logsStore) { l.days = 3660 }, "OpenObserve keeps everything for 3660 d"},
		{"clocks apart", func(s *metricsStore, _ *logsStore) { s.answers["time()"] = one(unix(now().Add(-3 * time.Minute))) }, "3 min apart"},
		{"none came", func(s *metricsStore, _ *logsStore) { s.answers["sum(vm_rows_inserted_total)"] = one(0) }, "no sample came from outside"},
		{"an old month", func(s *metricsStore, _ *logsStore) { s.days["2026-10-07"] = true }, "the retention of 14d does nothing: there is data of 2026-10-07"},
		{"read only", func(s *metricsStore, _ *logsStore) {
			s.answers["vm_data_size_bytes|"] = append(s.answers["vm_data_size_bytes|"], value(1, "__name__", "vm_storage_is_read_only"))
		}, "takes nothing more"},
		{"two snapshots", func(s *metricsStore, _ *logsStore) { s.fail, s.names = nil, []string{"a", "b"} }, "2 snapshots of VictoriaMetrics"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, l := laptop(), cluttered()
			tc.change(s, l)
			report := reportOf(t, s, l, retention.Options{})
			found := slices.ContainsFunc(report.Findings, func(f retention.Finding) bool { return strings.Contains(f.Title, tc.want) })
			assert.Assert(t, found, "%+v", report.Findings)
		})
	}
}

// A report must not count as a use of what nobody reads: its queries name the stores' and the agent's own metrics.
func TestOnlyOwnMetricsAreRead(t *testing.T) {
	s := laptop()
	reportOf(t, s, cluttered(), retention.Options{})
	assert.Assert(t, len(s.asked) > 10)
	for _, expression := range s.asked {
		if expression == "" || strings.HasSuffix(expression, "time()") {
			continue
		}
		assert.Assert(t, strings.Contains(expression, "vm_") || strings.Contains(expression, "zo_") || strings.Contains(expression, "flag{"), expression)
		assert.Assert(t, !strings.Contains(expression, victoriametrics.EverySeries), expression)
	}
}

func TestOldestOfAll(t *testing.T) {
	collected, err := retention.Collect(t.Context(), laptop(), nil, retention.Request{Now: now(), Horizon: 24 * time.Hour, Exact: true})
	assert.NilError(t, err)
	assert.Assert(t, collected.Metrics.First.Equal(now().AddDate(0, 0, -20).Add(-time.Hour)), "%s", collected.Metrics.First)
}

// Days of other days' samples come before those of the store's own: only the day is told.
func TestOldestByDay(t *testing.T) {
	s := laptop()
	s.days["2026-11-03"] = true
	oldest := streamOf(t, reportOf(t, s, nil, retention.Options{}), "metrics").Oldest
	assert.Equal(t, oldest.Precision, "day")
	assert.Equal(t, oldest.At.Format(time.DateOnly), "2026-11-03")
}

func TestTooYoungToTell(t *testing.T) {
	s := laptop()
	young := unix(now().Add(-10 * time.Minute))
	s.days = map[string]bool{now().Format(time.DateOnly): true}
	s.answers["min(tfirst_over_time(vm_app_uptime_seconds["] = one(young)
	report := reportOf(t, s, nil, retention.Options{MaxDisk: 1e12})
	assert.Equal(t, len(report.Streams[0].Rates), 0)
	assert.Assert(t, report.Total.BytesPerDay == nil && report.Limits[0].Full == nil)
	_, known := report.Judge(1)
	assert.Assert(t, !known)
	notes := strings.Join(report.Notes, "\n")
	for _, want := range []string{"samples of the last hour: the store's own metrics do not go back so far", "samples a day of all metrics: "} {
		assert.Assert(t, strings.Contains(notes, want), notes)
	}
}

// A store of the morning whose own series do not begin yet would else be taken to be as old as its day.
func TestADayIsNoAge(t *testing.T) {
	for _, tc := range []struct {
		oldest string
		rates  int
	}{{"2026-11-25", 0}, {"2026-11-10", 0}, {"2026-11-01", 1}} {
		s := laptop()
		s.days = map[string]bool{tc.oldest: true}
		s.answers["min(tfirst_over_time(vm_app_uptime_seconds["] = nil
		metrics := streamOf(t, reportOf(t, s, nil, retention.Options{}), "metrics")
		assert.Equal(t, metrics.Oldest.Precision, "day")
		assert.Equal(t, len(metrics.Rates), tc.rates, "%+v", metrics.Rates)
	}
}

func TestJudge(t *testing.T) {
	s := laptop()
	for _, tc := range []struct {
		name    string
		days    float64
		maxDisk float64
		want    string
	}{
		{"room enough", 5, 0, ""},
		{"a budget that is used up", 0, 100e6, "the budget of 100.0 MB is full"},
		{"a budget for less than the horizon", 0, 200e6, "the stores need more than --max-disk 200.0 MB from 2026-12-09 on"},
		{"too few days", 30, 200e6, "the budget of 200.0 MB is full in 14 d, less than --min-days-left 30"},
		{"a budget that lasts", 0, 1e9, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			reason, known := reportOf(t, s, nil, retention.Options{MaxDisk: tc.maxDisk}).Judge(tc.days)
			assert.Assert(t, known)
			assert.Equal(t, reason, tc.want)
		})
	}
}

func TestWhatIf(t *testing.T) {
	report := full(t)
	changes := map[string]retention.Change{}
	for _, change := range report.WhatIf.Changes {
		changes[retention.Label(change.Store, change.Name)] = change
	}
	assert.Equal(t, changes["metrics"].Days, 7.0)
	assert.Equal(t, changes["metrics"].Bytes.Expected, 38*6e6)
	// All is of this month, which 7 days need a part of.
	assert.Equal(t, changes["metrics"].Freed, 0.0)
	assert.Equal(t, changes["logs/docker"].Days, 3.0, "one for a stream counts before one for its store")
	_, own := changes["logs/quiet"]
	assert.Assert(t, !own, "it has a setting of its own")
	// 30 days at an even rate; from the day on that is 3 days ago, 3.5 are left.
	freed := changes["logs/docker"].Freed
	assert.Assert(t, freed > 55e6*26.4/30 && freed < 55e6*26.6/30, "%g", freed)

	collected, err := retention.Collect(t.Context(), laptop(), cluttered(), retention.Request{Now: now(), Horizon: 24 * time.Hour})
	assert.NilError(t, err)
	_, err = retention.Analyse(collected, retention.Options{WhatIf: []retention.Wanted{{Store: retention.Logs, Name: "nowhere", Days: 3}}})
	assert.Error(t, err, `there is no stream "nowhere" of logs`)
}

func TestStoresThatDoNotAnswer(t *testing.T) {
	refused := errors.New("connection refused")
	metrics, logs := laptop(), cluttered()
	metrics.fail = map[string]error{"status": refused}
	report := reportOf(t, metrics, logs, retention.Options{})
	assert.Assert(t, !report.Complete)
	assert.Assert(t, slices.Contains(report.Notes, "metrics: connection refused"), "%q", report.Notes)

	logs.fail["config"] = refused
	_, err := retention.Collect(t.Context(), metrics, logs, retention.Request{Now: now(), Horizon: time.Hour})
	assert.Error(t, err, "the stores cannot be read: connection refused")

	logs = cluttered()
	logs.partial = true
	report = reportOf(t, laptop(), logs, retention.Options{})
	assert.Assert(t, !report.Complete)
	assert.Equal(t, streamOf(t, report, "logs/docker").Records.How, retention.Reported)
}

// A report said that it was complete, with a note that the gateway had refused to look for the oldest sample.
func TestWhatIsRefusedIsMissing(t *testing.T) {
	for _, asked := range []string{"index", "query", "range"} {
		metrics := laptop()
		metrics.fail[asked] = &victoriametrics.StatusError{Status: http.StatusTooManyRequests, Path: "/api/v1/labels"}
		assert.Assert(t, !reportOf(t, metrics, cluttered(), retention.Options{}).Complete, asked)

		metrics.fail[asked] = &victoriametrics.StatusError{Status: http.StatusNotFound, Path: "/api/v1/labels"}
		assert.Assert(t, reportOf(t, metrics, cluttered(), retention.Options{}).Complete, "%s: what a store has not is no failure", asked)
	}
}

// The gateway lets so many requests through at once.
func TestManyStreamsAreNotAllSearched(t *testing.T) {
	logs := cluttered()
	for range 500 {
		logs.streams = append(logs.streams, openobserve.Held{Kind: retention.Logs, Name: "small", Oldest: now().AddDate(0, 0, -3), Newest: now(), Records: 10, Stored: 1000})
	}
	report := reportOf(t, laptop(), logs, retention.Options{})
	assert.Equal(t, len(report.Streams), 506)
	assert.Equal(t, logs.asked, 80)
	assert.Assert(t, strings.Contains(strings.Join(report.Notes, "\n"), "searched are the 20 largest streams"))
}

func TestGolden(t *testing.T) {
	report := full(t)
	var text, csv, markdown bytes.Buffer
	render.Document(&text, report.Document())
	assert.NilError(t, render.CSV(&csv, report.Document().Flat))
	render.Markdown(&markdown, report.Document())
	raw, err := json.MarshalIndent(report, "", "  ")
	assert.NilError(t, err)
	golden.Assert(t, text.String(), "report.txt")
	golden.Assert(t, csv.String(), "report.csv")
	golden.Assert(t, markdown.String(), "report.md")
	golden.Assert(t, string(raw)+"\n", "report.json")

	text.Reset()
	render.Document(&text, reportOf(t, &metricsStore{}, nil, retention.Options{}).Document())
	golden.Assert(t, text.String(), "empty.txt")
}

// Whoever writes to a store names its streams and metrics.
func TestHostileNames(t *testing.T) {
	const hostile = "=cmd()\x1b[31m\u202e|<b>\n"
	metrics, logs := laptop(), cluttered()
	metrics.status.ByMetric[0].Name = hostile
	logs.streams[0].Name = hostile
	logs.hourly[hostile] = 1000
	document := reportOf(t, metrics, logs, retention.Options{}).Document()
	var text, csv, markdown bytes.Buffer
	render.Document(&text, document)
	assert.NilError(t, render.CSV(&csv, document.Flat))
	render.Markdown(&markdown, document)
	for _, out := range []string{text.String(), csv.String(), markdown.String()} {
		assert.Assert(t, !strings.ContainsAny(out, "\x1b\u202e"), out)
	}
	assert.Assert(t, !strings.Contains(markdown.String(), "<b>"))
	assert.Assert(t, !strings.Contains(csv.String(), ",=cmd"))
}

func TestJSONHoldsToItsSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../../docs/schema/retention.json")
	assert.NilError(t, err)
	unable := errors.New("no")
	for name, report := range map[string]retention.Report{
		"full": full(t), "empty": reportOf(t, &metricsStore{}, &logsStore{}, retention.Options{}),
		"metrics alone": reportOf(t, laptop(), nil, retention.Options{}),
		"unable":        reportOf(t, &metricsStore{fail: map[string]error{"index": unable, "query": unable, "range": unable, "snapshots": unable}}, nil, retention.Options{}),
	} {
		raw, err := json.Marshal(report)
		assert.NilError(t, err)
		var value any
		assert.NilError(t, json.Unmarshal(raw, &value))
		assert.NilError(t, schema.Validate(value), name)
	}
}

// With a look at the disks there is a limit for each, and a store whose disk is as full as it may be is named: it takes no metrics that
// could tell.
func TestDisks(t *testing.T) {
	collected, err := retention.Collect(t.Context(), laptop(), cluttered(), retention.Request{Now: now(), Horizon: 30 * 24 * time.Hour})
	assert.NilError(t, err)
	analysed := func(budget float64, disks ...retention.StoreDisk) retention.Report {
		collected.Disks = disks
		report, err := retention.Analyse(collected, retention.Options{Budget: budget})
		assert.NilError(t, err)
		return report
	}
	metrics := retention.StoreDisk{Store: retention.Metrics, Path: "/storage", Device: "1", Total: 10e9, Free: 3e9, Guard: 1e9}
	logs := retention.StoreDisk{Store: retention.Logs, Path: "/data", Device: "1", Total: 10e9, Free: 3e9, Guard: 2e9}
	one := analysed(4e9, metrics, logs)
	assert.Equal(t, len(one.Limits), 2)
	assert.DeepEqual(t, one.Limits[0].Stores, []string{"metrics", "logs", "traces"})
	assert.Equal(t, one.Limits[0].Free, 1e9, "the first that stops")
	assert.Equal(t, one.Limits[1].Name, "budget")
	assert.Equal(t, one.Limits[1].Over, "the stores' parts of the stack's budget")
	assert.Assert(t, !strings.Contains(codes(one), "DTR011"))

	logs.Device, logs.Free = "2", 1.9e9
	two := analysed(0, metrics, logs)
	assert.Equal(t, len(two.Limits), 2)
	assert.DeepEqual(t, two.Limits[0].Stores, []string{"metrics"})
	assert.DeepEqual(t, two.Limits[1].Stores, []string{"logs", "traces"})
	assert.Equal(t, two.Limits[0].Free, 2e9)
	assert.Equal(t, two.Limits[1].Free, 0.0)
	var said []string
	for _, finding := range two.Findings {
		if finding.Code == retention.ReadOnly {
			said = append(said, finding.Title)
		}
	}
	assert.DeepEqual(t, said, []string{
		"OpenObserve takes nothing more, and what is sent waits in the agent's buffer: of the 10.0 GB of its disk 1.9 GB are free, and it stops below 2.0 GB (ZO_DISK_CIRCUIT_BREAKER_THRESHOLD)",
	})
	reason, known := one.Judge(0)
	assert.Assert(t, known && reason == "", "a budget of the stack is no gate of its own: %s", reason)
}
