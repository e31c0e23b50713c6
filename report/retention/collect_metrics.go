package retention

import (
	"context"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// MetricsHeld is what VictoriaMetrics has, and what its metrics of itself say. Nil and zero are what it could not tell.
type MetricsHeld struct {
	// Flag is -retentionPeriod as it runs, FlagSet whether somebody gave it.
	Flag    string
	FlagSet bool

	// FirstDay is the oldest UTC day that has a series on the disk. First is the oldest sample of it, by the store's own series or,
	// with Request.Exact, by all.
	FirstDay, First time.Time
	FirstOfAll      bool
	// Newest is when it last took a sample from outside, zero where it took none since Since.
	Newest time.Time
	// Since is when its own metrics begin, within the horizon.
	Since time.Time
	Clock time.Time // of the store

	Samples, DataBytes, IndexBytes *float64
	// Added are the samples taken in each window, IndexBefore the bytes of the index at its begin. A window that begins before Since
	// is not there.
	Added, IndexBefore map[string]float64
	// Ignored are the samples of the last day, or since Since, that were thrown away, by reason.
	Ignored map[string]float64
	// Refused are the records that OpenObserve threw away in the same time for their times, by stream.
	Refused map[string]float64

	Disk      Disk
	ReadOnly  bool
	Snapshots *int

	// Sizes and LogSizes are the bytes of the stores over the horizon; OpenObserve's are without its index.
	Sizes, LogSizes []victoriametrics.Point
	// Buffers are the bytes of each buffer of the agent, with the most that it takes, 0 for one in memory.
	Buffers  map[string]Buffer
	LogsWAL  *float64
	Series   uint64 // of the day
	ByMetric []victoriametrics.Count
}

// Disk is where a store writes.
type Disk struct {
	Path                 string
	Free, Total, Reserve *float64
}

// Buffer is how full a buffer is.
type Buffer struct{ Bytes, Most float64 }

const (
	// heartbeat is a metric that VictoriaMetrics writes of itself at each -selfScrapeInterval: one series.
	heartbeat = "vm_app_uptime_seconds"
	// earliest is how far back the index is looked through where the retention has no end or is not known.
	earliest = 10 * 366 * day
)

func (c *Collected) metrics(ctx context.Context, store MetricsStore, request Request) error {
	status, err := store.Status(ctx, victoriametrics.StatusRequest{Top: 20})
	if err != nil {
		return err
	}
	m := &MetricsHeld{Added: map[string]float64{}, IndexBefore: map[string]float64{}, Series: status.Series, ByMetric: status.ByMetric}
	c.Metrics = m
	if status.HeadStats != nil {
		c.Notes = append(c.Notes, "what is kept and what it takes: only VictoriaMetrics tells, and this store is another one")
		return nil
	}
	c.missed(c.present(ctx, store, m), "what the store tells of itself")
	c.missed(c.first(ctx, store, m, request), "the oldest sample")
	c.missed(c.past(ctx, store, m, request), "what the store told of itself before")
	c.snapshots(ctx, store, m)
	return nil
}

// snapshots are counted by the store's list; the stack's gateway does not serve it, and the store's own metric is what is left.
func (c *Collected) snapshots(ctx context.Context, store MetricsStore, m *MetricsHeld) {
	names, err := store.Snapshots(ctx)
	if err == nil {
		count := len(names)
		m.Snapshots = &count
		return
	}
	if m.Snapshots == nil {
		c.Notes = append(c.Notes, "snapshots: "+victoriametrics.Reason(err))
	}
}

// present reads the figures of now, in as few queries as can be: a report is read by people who wait.
func (c *Collected) present(ctx context.Context, store MetricsStore, m *MetricsHeld) error {
	clock, err := store.QueryLatest(ctx, "time()")
	if err != nil {
		return err
	}
	if len(clock) == 1 {
		m.Clock = time.Unix(int64(clock[0].Value), 0).UTC()
	}
	flag, err := RunningFlag(ctx, store)
	if err != nil {
		return err
	}
	m.Flag, m.FlagSet = flag.Value, flag.Set
	own, err := store.QueryLatest(ctx, `{__name__=~"vm_data_size_bytes|vm_rows|vm_free_disk_space_bytes|vm_free_disk_space_limit_bytes|`+
		`vm_total_disk_space_bytes|vm_snapshots|vm_storage_is_read_only"}`)
	if err != nil {
		return err
	}
	for _, sample := range own {
		m.take(sample)
	}
	if m.Samples == nil {
		c.Notes = append(c.Notes,
			"bytes and samples of metrics: the store has no metrics of its own from the last 5 minutes (-selfScrapeInterval)")
	}
	agent, err := store.QueryLatest(ctx, `{__name__=~"vector_buffer_size_bytes|vector_buffer_byte_size|vector_buffer_max_size_bytes|`+
		`vector_buffer_max_byte_size|zo_ingest_wal_used_bytes"}`)
	if err != nil {
		return err
	}
	for _, sample := range agent {
		m.takeOther(sample)
	}
	return nil
}

// Flag is -retentionPeriod of a VictoriaMetrics that runs; its Value is "" where the store did not say.
type Flag struct {
	Value string
	Set   bool // somebody gave it
}

// Querier answers a query on the store's metrics of itself.
type Querier interface {
	QueryLatest(ctx context.Context, expression string) ([]victoriametrics.Sample, error)
}

// RunningFlag reads it from the store's metrics of itself. A store that was started anew with another value has both for five
// minutes, and the one that it wrote last is its own.
func RunningFlag(ctx context.Context, store Querier) (Flag, error) {
	samples, err := store.QueryLatest(ctx, `topk(1, tlast_over_time(flag{name="retentionPeriod"}[5m]))`)
	if err != nil || len(samples) != 1 {
		return Flag{}, err
	}
	return Flag{Value: samples[0].Labels["value"], Set: samples[0].Labels["is_set"] == "true"}, nil
}

func (m *MetricsHeld) take(sample victoriametrics.Sample) {
	kind := sample.Labels["type"]
	switch sample.Labels["__name__"] {
	case "vm_data_size_bytes":
		into := &m.DataBytes
		if strings.HasPrefix(kind, "indexdb/") {
			into = &m.IndexBytes
		}
		add(into, sample.Value)
	case "vm_rows":
		if strings.HasPrefix(kind, "storage/") { // those of the index are no samples
			add(&m.Samples, sample.Value)
		}
	case "vm_free_disk_space_bytes":
		m.Disk.Path, m.Disk.Free = sample.Labels["path"], &sample.Value
	case "vm_free_disk_space_limit_bytes":
		m.Disk.Reserve = &sample.Value
	case "vm_total_disk_space_bytes":
		m.Disk.Total = &sample.Value
	case "vm_snapshots":
		count := int(sample.Value)
		m.Snapshots = &count
	case "vm_storage_is_read_only":
		m.ReadOnly = m.ReadOnly || sample.Value > 0
	}
}

func (m *MetricsHeld) takeOther(sample victoriametrics.Sample) {
	if sample.Labels["__name__"] == "zo_ingest_wal_used_bytes" {
		add(&m.LogsWAL, sample.Value)
		return
	}
	name := sample.Labels["component_id"]
	// An aggregator has buffers as well, in memory.
	if name == "" || sample.Labels["job"] != "vector-agent" {
		return
	}
	if m.Buffers == nil {
		m.Buffers = map[string]Buffer{}
	}
	buffer := m.Buffers[name]
	if strings.Contains(sample.Labels["__name__"], "_max_") {
		buffer.Most += sample.Value
	} else {
		buffer.Bytes += sample.Value
	}
	m.Buffers[name] = buffer
}

func add(into **float64, value float64) {
	if *into != nil {
		value += **into
	}
	*into = &value
}

// first finds the oldest sample. The index of each month is asked whether it has a series, first for whole months, which may have
// gaps between them, then for the first days of the oldest one, more of them or fewer: a search by halves, as the answer turns
// once. No sample is read but the store's own.
func (c *Collected) first(ctx context.Context, store MetricsStore, m *MetricsHeld, request Request) error {
	month, err := oldestMonth(ctx, store, m.searchFrom(request.Now), request.Now)
	if err != nil || month.IsZero() {
		return err
	}
	length := int(month.AddDate(0, 1, 0).Sub(month) / day)
	var failed error
	at := sort.Search(length, func(days int) bool {
		found, err := store.HasSeries(ctx, month, month.AddDate(0, 0, days+1).Add(-time.Second))
		if err != nil {
			failed = err
		}
		return found
	})
	if failed != nil {
		return failed
	}
	m.FirstDay = month.AddDate(0, 0, at)
	return m.firstSample(ctx, store, request)
}

// searchFrom is the begin of a month in which nothing can be left: what is over the retention is gone within two.
func (m *MetricsHeld) searchFrom(now time.Time) time.Time {
	back := time.Duration(earliest)
	if kept, err := days(m.Flag); err == nil && kept > 0 {
		back = min(back, time.Duration(kept*float64(day))+2*31*day)
	}
	edge := now.Add(-back).UTC()
	return time.Date(edge.Year(), edge.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// oldestMonth is the zero time for a store without series.
func oldestMonth(ctx context.Context, store MetricsStore, from, now time.Time) (time.Time, error) {
	for month := from; !month.After(now); month = month.AddDate(0, 1, 0) {
		found, err := store.HasSeries(ctx, month, month.AddDate(0, 1, 0).Add(-time.Second))
		if err != nil || found {
			return month, err
		}
	}
	return time.Time{}, nil
}

func (m *MetricsHeld) firstSample(ctx context.Context, store MetricsStore, request Request) error {
	of := heartbeat
	if request.Exact {
		of, m.FirstOfAll = victoriametrics.EverySeries, true
	}
	end := m.FirstDay.Add(day - time.Second)
	if end.After(request.Now) {
		end = request.Now
	}
	samples, err := store.QueryAt(ctx, "min(tfirst_over_time("+of+"[1d]))", end)
	if err != nil || len(samples) != 1 {
		return err
	}
	// A part of the day before is in the day that ends now.
	if at := time.UnixMilli(int64(samples[0].Value * 1000)).UTC(); !at.Before(m.FirstDay) && !at.After(end) {
		m.First = at
	}
	return nil
}

// past reads what the store wrote of itself.
func (c *Collected) past(ctx context.Context, store MetricsStore, m *MetricsHeld, request Request) error {
	now := request.Now
	back := max(request.Horizon, 8*day)
	value := func(expression string) (float64, bool, error) {
		samples, err := store.QueryLatest(ctx, expression)
		if err != nil || len(samples) != 1 {
			return 0, false, err
		}
		return samples[0].Value, true, nil
	}
	since, told, err := value("min(tfirst_over_time(" + heartbeat + "[" + span(back) + "]))")
	if err != nil || !told {
		return err
	}
	m.Since = time.UnixMilli(int64(since * 1000)).UTC()
	for _, w := range windows() {
		if m.Since.After(now.Add(-w.long)) {
			continue
		}
		added, told, err := value("sum(increase(vm_rows_added_to_storage_total[" + span(w.long) + "]))")
		if err != nil {
			return err
		}
		if told {
			m.Added[w.name] = added
		}
		before, told, err := value(`sum(last_over_time(vm_data_size_bytes{type=~"indexdb/.*"}[10m] offset ` + span(w.long) + "))")
		if err != nil {
			return err
		}
		if told {
			m.IndexBefore[w.name] = before
		}
	}
	if err := m.newest(ctx, store, value); err != nil {
		return err
	}
	from := now.Add(-request.Horizon)
	if m.Since.After(from) {
		from = m.Since
	}
	step := max(time.Minute, now.Sub(from)/60)
	if m.Sizes, err = store.QueryRange(ctx, "sum(vm_data_size_bytes)", from, now, step); err != nil {
		return err
	}
	m.LogSizes, err = store.QueryRange(ctx, "sum(zo_storage_compressed_bytes)", from, now, step)
	return err
}

// newest reads when samples last came, and what was thrown away.
func (m *MetricsHeld) newest(ctx context.Context, store MetricsStore, value func(string) (float64, bool, error)) error {
	// A counter that begins is a change as well, so one that counts nothing has no last change.
	taken, told, err := value("sum(vm_rows_inserted_total)")
	if err != nil {
		return err
	}
	if told && taken > 0 {
		last, told, err := value("max(tlast_change_over_time(vm_rows_inserted_total[1d]))")
		if err != nil {
			return err
		}
		if told {
			m.Newest = time.UnixMilli(int64(last * 1000)).UTC()
		}
	}
	ignored, err := store.QueryLatest(ctx, "sum(increase(vm_rows_ignored_total[1d])) by (reason)")
	if err != nil {
		return err
	}
	m.Ignored = byLabel(ignored, "reason")
	// The one error type that is of times: source in src/service/logs of 0.92.2.
	refused, err := store.QueryLatest(ctx, `sum(increase(zo_ingest_errors{error_type="timestamp_parsing_failed"}[1d])) by (stream)`)
	if err != nil {
		return err
	}
	m.Refused = byLabel(refused, "stream")
	return nil
}

func byLabel(samples []victoriametrics.Sample, label string) map[string]float64 {
	counts := map[string]float64{}
	for _, sample := range samples {
		if sample.Value >= 1 {
			counts[sample.Labels[label]] += sample.Value
		}
	}
	return counts
}

// span writes a time as MetricsQL reads it.
func span(long time.Duration) string { return strconv.Itoa(int(long.Seconds())) + "s" }
