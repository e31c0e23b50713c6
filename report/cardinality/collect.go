package cardinality

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// Store is what a report asks, of two goroutines at a time. A *victoriametrics.Client is one.
type Store interface {
	Usage(ctx context.Context) (victoriametrics.Usage, error)
	RecentQueries(ctx context.Context) (map[string]uint64, error)
	Types(ctx context.Context) (map[string]string, error)
	Status(ctx context.Context, request victoriametrics.StatusRequest) (victoriametrics.TSDBStatus, error)
	Series(ctx context.Context, request victoriametrics.SeriesRequest, yield func([]victoriametrics.Label) error) (victoriametrics.Stream, error)
	Query(ctx context.Context, expression string) ([]victoriametrics.Sample, error)
}

// Request says what to look at.
type Request struct {
	// Match are selectors; none is every series.
	Match []string
	// Date is a UTC day, zero for now: the series of the current day, and of the hour before.
	Date time.Time
	Now  time.Time
	// Top is how many metrics are looked at closely.
	Top int
	// Metrics are looked at closely besides, however few series they have.
	Metrics []string
	// Samples is how many values of each label are shown.
	Samples int
}

// Window returns the time whose series are counted. VictoriaMetrics answers with the series of whole UTC days.
func (r Request) Window() (from, to time.Time) {
	if r.Date.IsZero() {
		return r.Now.Add(-time.Hour).UTC(), r.Now.UTC()
	}
	day := r.Date.UTC().Truncate(24 * time.Hour)
	return day, day.Add(24*time.Hour - time.Second)
}

// Collected is what a store said, before anything is made of it. A nil field is what it could not tell; Notes say why.
type Collected struct {
	Request Request
	Metrics []MetricCount // the most series first
	Rest    Rest          // of the metrics that are not among them
	Stream  victoriametrics.Stream

	Usage   *victoriametrics.Usage
	Queries map[string]uint64 // text to how often it ran
	Types   map[string]string // metric to counter, gauge, ...

	Day                  *victoriametrics.TSDBStatus // the day of the request
	Yesterday, DayBefore *victoriametrics.TSDBStatus // the last two complete days before it
	// BySource are series by the value of a label that names who sends them.
	BySource map[string][]victoriametrics.Count

	Self  Self
	Notes []string

	// foreign tells a store that is no VictoriaMetrics: it has no metrics of its own, and counts hours where that counts days.
	foreign bool
}

// Self are figures that the store keeps of itself. NaN-free; nil where it keeps none.
type Self struct {
	ActiveSeries     *float64 // with a sample in this or the last hour
	NewPerHour       *float64 // over the last hour
	NewPerDay        *float64 // over the last day
	SamplesPerSecond *float64 // over the last 5 minutes
	IndexBytes       *float64
	HourlySeries     *float64
	HourlyLimit      *float64
	DailySeries      *float64
	DailyLimit       *float64
}

// SourceLabels name who sends a series, the nearest to a person first.
func SourceLabels() []string { return []string{"job", "container_name", "service_name", "instance"} }

// Collect asks a store. What queries have read is asked for first, because the figures that the store keeps of itself are
// read by a query, and no other metric is. An error is of the series alone: without them there is no report.
func Collect(ctx context.Context, store Store, request Request) (Collected, error) {
	c := Collected{Request: request, BySource: map[string][]victoriametrics.Count{}}
	usage, err := store.Usage(ctx)
	if unreachable(err) {
		return c, &SeriesError{Err: err}
	}
	if c.note(err, "what queries have read") {
		c.Usage = &usage
	}
	c.foreign = victoriametrics.Missing(err)
	if c.Queries, err = store.RecentQueries(ctx); !c.note(err, "the last queries") {
		c.Queries = nil
	}
	if c.Types, err = store.Types(ctx); !c.note(err, "the types of metrics") {
		c.Types = nil
	}
	// Only VictoriaMetrics notes what is read, and only it is known to list series by metric.
	if err := c.count(ctx, store, c.foreign); err != nil {
		return c, err
	}
	// One from before 1.113 notes nothing, but counts days, which no other store does.
	c.foreign = c.foreign && (c.Day == nil || c.Day.HeadStats != nil)
	c.self(ctx, store)
	return c, ctx.Err()
}

// unreachable tells a store that is not there, whom to ask on would only take the patience of who waits, from one that
// does not have an answer.
func unreachable(err error) bool {
	var status *victoriametrics.StatusError
	var answer *victoriametrics.AnswerError
	var slow *victoriametrics.SlowError
	switch {
	case errors.As(err, &status):
		return status.Down()
	case errors.As(err, &answer):
		return errors.As(err, &slow)
	default:
		return err != nil
	}
}

// note keeps what could not be read, and reports whether it could.
func (c *Collected) note(err error, what string) bool {
	if err == nil {
		return true
	}
	c.Notes = append(c.Notes, what+": "+victoriametrics.Reason(err))
	return false
}

// listed is as many entries as VictoriaMetrics gives at most.
const listed = 1000

func (c *Collected) today(ctx context.Context, store Store) {
	if c.Day = c.status(ctx, store, 0, "the counts of the day"); c.Day != nil && c.Day.HeadStats != nil {
		c.ofHead()
	}
}

func (c *Collected) daysBefore(ctx context.Context, store Store) {
	if c.Day != nil && c.Day.HeadStats == nil {
		c.Yesterday = c.status(ctx, store, 1, "the counts of the day before")
		c.DayBefore = c.status(ctx, store, 2, "the counts of two days before")
	}
}

// status are the counts of a day so many before that of the request, nil where the store does not tell.
func (c *Collected) status(ctx context.Context, store Store, before int, what string) *victoriametrics.TSDBStatus {
	_, to := c.Request.Window()
	day := to.Truncate(24*time.Hour).AddDate(0, 0, -before)
	status, err := store.Status(ctx, victoriametrics.StatusRequest{Date: day, Top: listed, Match: c.Request.Match})
	if !c.note(err, what) {
		return nil
	}
	if status.Partial {
		c.Notes = append(c.Notes, what+": a part of the store did not answer")
	}
	return &status
}

// ofHead keeps what Prometheus counts, where it is about the series of the request: it knows no days and no selectors. A Thanos
// whose stores do not count says that there is nothing.
func (c *Collected) ofHead() {
	const others = "the days before, label values and pairs, and who sends the series: this store counts "
	switch {
	case c.Day.HeadStats.Series == 0:
		c.Notes = append(c.Notes, others+"none of its last hours")
		c.Day = nil
	case len(c.Request.Match) > 0 || !c.Request.Date.IsZero():
		c.Notes = append(c.Notes, others+"all of its last hours only")
		c.Day = nil
	default:
		c.Notes = append(c.Notes, "the days before: this store counts its last hours only")
	}
}

// sources asks who sends the series of the day.
func (c *Collected) sources(ctx context.Context, store Store) {
	switch {
	case c.Day == nil:
		return
	case c.Day.HeadStats != nil:
		c.sourcesOfPairs()
		return
	}
	_, to := c.Request.Window()
	for _, label := range SourceLabels() {
		if !c.occurs(label) {
			continue
		}
		status, err := store.Status(ctx, victoriametrics.StatusRequest{
			Date: to.Truncate(24 * time.Hour), Top: listed, Match: c.Request.Match, Focus: label,
		})
		if c.note(err, "series by "+label) && len(status.ByFocus) > 0 {
			c.BySource[label] = status.ByFocus
		}
	}
}

// sourcesOfPairs takes them from the list of pairs, which has those with the most series.
func (c *Collected) sourcesOfPairs() {
	for _, pair := range c.Day.ByPair {
		label, value, _ := strings.Cut(pair.Name, "=")
		if slices.Contains(SourceLabels(), label) {
			c.BySource[label] = append(c.BySource[label], victoriametrics.Count{Name: value, Value: pair.Value})
		}
	}
}

// occurs reports whether a series of the day may have a label: to look for one that none has costs the store as much.
func (c *Collected) occurs(label string) bool {
	has := func(count victoriametrics.Count) bool { return count.Name == label }
	return len(c.Day.ByLabel) >= listed || slices.ContainsFunc(c.Day.ByLabel, has)
}

// count asks how many series there are, because a large store is asked for them in portions, and for the rest of the store's own counts
// while it sorts the list, of which it writes none before.
func (c *Collected) count(ctx context.Context, store Store, byMetric bool) error {
	own := Collected{Request: c.Request, BySource: c.BySource}
	known := make(chan struct{})
	var asked sync.WaitGroup
	asked.Go(func() {
		own.today(ctx, store)
		close(known)
		own.daysBefore(ctx, store)
		own.sources(ctx, store)
	})
	closely := func(metric string) bool {
		<-known
		return own.Day == nil || c.Request.closely(own.Day, metric)
	}
	listing := victoriametrics.SeriesRequest{ByMetric: byMetric}
	if !byMetric {
		<-known
		// With a selector a store looks through all series that match for their names, and refuses that from a million on
		// (-search.maxLabelsAPISeries).
		if len(c.Request.Match) == 0 {
			listing.Size = sizes(own.Day)
		}
	}
	err := c.list(ctx, store, closely, listing)
	if errors.Is(err, ErrUngrouped) && !byMetric {
		err = c.list(ctx, store, closely, victoriametrics.SeriesRequest{ByMetric: true})
	}
	asked.Wait()
	c.Day, c.Yesterday, c.DayBefore = own.Day, own.Yesterday, own.DayBefore
	c.Notes = append(c.Notes, own.Notes...)
	if err != nil {
		return seriesError(err)
	}
	if c.Stream.Partial {
		c.Notes = append(c.Notes, "a part of the store did not answer: there are more series")
	}
	c.Notes = append(c.Notes, c.Stream.Warnings...)
	return nil
}

// manySeries are asked for in portions. Fewer are not worth the request for the names.
const manySeries = 2_000_000

// sizes tells how many series a metric of a large store has, at most: one that is not listed has no more than the last that is. It is
// nil for a store that is not large, or not known to be.
func sizes(day *victoriametrics.TSDBStatus) func(metric string) uint64 {
	if day == nil || day.Series < manySeries || len(day.ByMetric) == 0 {
		return nil
	}
	last, known := day.ByMetric[len(day.ByMetric)-1].Value, map[string]uint64{}
	for _, metric := range day.ByMetric {
		known[metric.Name] = metric.Value
	}
	return func(metric string) uint64 {
		if size, listed := known[metric]; listed {
			return size
		}
		return last
	}
}

// list counts the series.
func (c *Collected) list(ctx context.Context, store Store, closely func(metric string) bool, listing victoriametrics.SeriesRequest) (err error) {
	counter := Counter{Samples: c.Request.Samples, Closely: closely}
	match := c.Request.Match
	if len(match) == 0 {
		match = []string{victoriametrics.EverySeries}
	}
	listing.Match = match
	listing.From, listing.To = c.Request.Window()
	c.Stream, err = store.Series(ctx, listing, counter.Add)
	c.Metrics, c.Rest = counter.Finish()
	return err
}

// closely reports whether a metric is among those that are looked at closely.
func (r Request) closely(day *victoriametrics.TSDBStatus, metric string) bool {
	is := func(count victoriametrics.Count) bool { return count.Name == metric }
	// A list that is shorter is that of all metrics, or of a Prometheus that lists ten whatever it is asked for.
	return len(day.ByMetric) < r.Top || slices.Contains(r.Metrics, metric) || slices.ContainsFunc(day.ByMetric[:min(r.Top, len(day.ByMetric))], is)
}

// SeriesError is a store that gave no series to report on.
type SeriesError struct {
	Err    error
	advice string
}

func (e *SeriesError) Error() string { return "the metrics store cannot be read: " + e.Err.Error() }
func (e *SeriesError) Unwrap() error { return e.Err }

// Hint names the way around a limit, "" where there was none.
func (e *SeriesError) Hint() string { return e.advice }

func seriesError(err error) error {
	failed := &SeriesError{Err: err}
	var answer *victoriametrics.StatusError
	if errors.As(err, &answer) && strings.Contains(answer.Message, "the number of matching timeseries exceeds") {
		failed.advice = `look at a part of it: docker telemetry report cardinality --match '{job="..."}'`
	}
	return failed
}

// self reads the store's own metrics. They are the only ones that a report queries: it counts as a use of them.
func (c *Collected) self(ctx context.Context, store Store) {
	if c.foreign {
		if len(c.Request.Match) == 0 && c.Request.Date.IsZero() {
			c.Self.ActiveSeries = pointer(float64(c.Stream.Series))
		}
		// Metrics of a VictoriaMetrics may be there all the same, of another one.
		c.Notes = append(c.Notes, "new series, samples a second and limits: only VictoriaMetrics tells them")
		return
	}
	wanted := []struct {
		into       **float64
		expression string
	}{
		{&c.Self.ActiveSeries, `sum(last_over_time(vm_cache_entries{type="storage/hour_metric_ids"}[5m]))`},
		{&c.Self.NewPerHour, `sum(increase(vm_new_timeseries_created_total[1h]))`},
		{&c.Self.NewPerDay, `sum(increase(vm_new_timeseries_created_total[1d]))`},
		{&c.Self.SamplesPerSecond, `sum(rate(vm_rows_added_to_storage_total[5m]))`},
		{&c.Self.IndexBytes, `sum(last_over_time(vm_data_size_bytes{type=~"indexdb/.*"}[5m]))`},
		{&c.Self.HourlySeries, `sum(last_over_time(vm_hourly_series_limit_current_series[5m]))`},
		{&c.Self.HourlyLimit, `sum(last_over_time(vm_hourly_series_limit_max_series[5m]))`},
		{&c.Self.DailySeries, `sum(last_over_time(vm_daily_series_limit_current_series[5m]))`},
		{&c.Self.DailyLimit, `sum(last_over_time(vm_daily_series_limit_max_series[5m]))`},
	}
	for _, one := range wanted {
		samples, err := store.Query(ctx, one.expression)
		if err != nil {
			c.note(err, "what the store tells of itself")
			return
		}
		if len(samples) == 1 {
			*one.into = &samples[0].Value
		}
	}
	if c.Self.ActiveSeries == nil {
		c.Notes = append(c.Notes, "what the store tells of itself: it has no metrics of its own from the last 5 minutes (-selfScrapeInterval)")
	}
}

// seriesOf finds a metric in a list of the store.
func seriesOf(status *victoriametrics.TSDBStatus, metric string) (int, bool) {
	if status == nil {
		return 0, false
	}
	at := slices.IndexFunc(status.ByMetric, func(c victoriametrics.Count) bool { return c.Name == metric })
	if at < 0 {
		// Not among the first thousand: it had few, or was not there; only a list that is not full can tell.
		return 0, len(status.ByMetric) < listed
	}
	return int(status.ByMetric[at].Value), true //nolint:gosec // a count of series
}

func (c *Collected) String() string {
	return fmt.Sprintf("%d metrics, %d series", len(c.Metrics), c.Stream.Series)
}
