package retention

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/docker-telemetry/docker-telemetry/storage/openobserve"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// MetricsStore is what a report asks of the store of metrics. A *victoriametrics.Client is one. No metric is queried but those
// that the stores and the agent have of themselves: it counts as a use, and report cardinality looks for what nobody uses.
type MetricsStore interface {
	HasSeries(ctx context.Context, from, to time.Time) (bool, error)
	Status(ctx context.Context, request victoriametrics.StatusRequest) (victoriametrics.TSDBStatus, error)
	QueryLatest(ctx context.Context, expression string) ([]victoriametrics.Sample, error)
	QueryAt(ctx context.Context, expression string, at time.Time) ([]victoriametrics.Sample, error)
	QueryRange(ctx context.Context, expression string, from, to time.Time, step time.Duration) ([]victoriametrics.Point, error)
	Snapshots(ctx context.Context) ([]string, error)
}

// LogsStore is what a report asks of the store of logs and traces, of several goroutines at a time. An *openobserve.Client is one.
type LogsStore interface {
	Keeping(ctx context.Context) (openobserve.Keeping, error)
	Held(ctx context.Context, kind string) ([]openobserve.Held, error)
	Extent(ctx context.Context, kind, stream string, from, to time.Time) (openobserve.Extent, error)
}

// Request says what to look at.
type Request struct {
	Now time.Time
	// Horizon is how far back the plot goes, and how far ahead.
	Horizon time.Duration
	// Exact reads the first samples of the oldest day, which counts as a use of their metrics. Without it the store's own are read.
	Exact bool
}

// Collected is what the stores said, before anything is made of it. Notes say what they could not tell.
type Collected struct {
	Request Request
	Metrics *MetricsHeld // nil where the store did not answer
	Logs    *LogsHeld    // nil where there is none, or it did not answer
	Notes   []string
	// Disks are those that the stores write to, as somebody sees them who can look there; none where nobody can.
	Disks []StoreDisk
	// Engine is nil where there is none to ask; Notes say so.
	Engine *EngineHeld
	// Incomplete: a store that should have answered did not.
	Incomplete bool
}

// StoreDisk is the file system that a store writes to, in bytes. OpenObserve's is for logs and traces.
type StoreDisk struct {
	Store        string // Metrics or Logs
	Path, Device string // Device is the same for all on one
	Total, Free  float64
	// Guard is what it leaves free: with less, it takes no more.
	Guard float64
}

// LogsHeld is what OpenObserve has.
type LogsHeld struct {
	Keeping openobserve.Keeping
	Streams []StreamHeld // the largest first
}

// StreamHeld is a stream with what was counted of it.
type StreamHeld struct {
	openobserve.Held
	// All is what a search counts; nil for a stream that was not searched.
	All *openobserve.Extent
	// Came are the records of each window, by its name.
	Came map[string]int64
}

// StoreError is a store that gave nothing to report on.
type StoreError struct{ Err error }

func (e *StoreError) Error() string { return "the stores cannot be read: " + e.Err.Error() }
func (e *StoreError) Unwrap() error { return e.Err }

// Collect asks both stores at once; logs may be nil. An error means that neither answered.
func Collect(ctx context.Context, metrics MetricsStore, logs LogsStore, request Request) (Collected, error) {
	c := Collected{Request: request}
	var byMetrics, byLogs Collected
	var failedMetrics, failedLogs error
	var asked sync.WaitGroup
	asked.Go(func() { failedMetrics = byMetrics.metrics(ctx, metrics, request) })
	if logs != nil {
		asked.Go(func() { failedLogs = byLogs.logs(ctx, logs, request) })
	}
	asked.Wait()
	if err := ctx.Err(); err != nil {
		return c, err
	}
	c.Metrics, c.Logs = byMetrics.Metrics, byLogs.Logs
	c.Notes = slices.Concat(byMetrics.Notes, byLogs.Notes)
	c.Incomplete = byMetrics.Incomplete || byLogs.Incomplete || failedMetrics != nil || failedLogs != nil
	if failedMetrics != nil && (logs == nil || failedLogs != nil) {
		return c, &StoreError{Err: failedMetrics}
	}
	if failedMetrics != nil {
		c.Notes = append(c.Notes, "metrics: "+failedMetrics.Error())
	}
	if failedLogs != nil {
		c.Notes = append(c.Notes, "logs and traces: "+failedLogs.Error())
	}
	return c, nil
}

// missed keeps what could not be read, and reports whether it could not. What a store has not is no answer that is missing.
func (c *Collected) missed(err error, what string) bool {
	if err == nil {
		return false
	}
	c.Notes = append(c.Notes, what+": "+victoriametrics.Reason(err))
	c.Incomplete = c.Incomplete || !victoriametrics.Missing(err)
	return true
}

const (
	// searched are so many streams, the largest: each is four searches, and the gateway lets 200 requests through at once. Of the
	// others there is what the store says itself.
	searched = 20
	// atOnce are so many searches; the store shares one CPU with what it takes in.
	atOnce = 4
	// beyond now a stream may have records: ZO_INGEST_ALLOWED_IN_FUTURE is 24 h by default.
	beyond = 2 * day
)

func (c *Collected) logs(ctx context.Context, store LogsStore, request Request) error {
	keeping, err := store.Keeping(ctx)
	if err != nil {
		return err
	}
	c.Logs = &LogsHeld{Keeping: keeping}
	for _, kind := range []string{Logs, Traces} {
		held, err := store.Held(ctx, kind)
		if c.missed(err, "the streams of "+kind) {
			continue
		}
		for _, one := range held {
			c.Logs.Streams = append(c.Logs.Streams, StreamHeld{Held: one, Came: map[string]int64{}})
		}
	}
	streams := c.Logs.Streams
	slices.SortStableFunc(streams, func(a, b StreamHeld) int {
		return cmp.Or(cmp.Compare(b.Stored+b.Index, a.Stored+a.Index), cmp.Compare(b.Records, a.Records), cmp.Compare(a.Name, b.Name))
	})
	if len(streams) > searched {
		c.Notes = append(c.Notes, "records of the last hour, day and week: searched are the 20 largest streams, the others are told by the store's own figures")
	}
	c.search(ctx, store, streams[:min(searched, len(streams))], request)
	return nil
}

// search counts the records of streams.
func (c *Collected) search(ctx context.Context, store LogsStore, streams []StreamHeld, request Request) {
	var guard sync.Mutex
	var all sync.WaitGroup
	turn := make(chan struct{}, atOnce)
	for i := range streams {
		all.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			err := streams[i].count(ctx, store, request.Now)
			guard.Lock()
			defer guard.Unlock()
			c.missed(err, "the records of "+streams[i].Name)
		})
	}
	all.Wait()
}

// errPartial is an answer that is not of all records: no count of what is there.
var errPartial = errors.New("a part of the store did not answer")

func (s *StreamHeld) count(ctx context.Context, store LogsStore, now time.Time) error {
	extent := func(from, to time.Time) (openobserve.Extent, error) {
		found, err := store.Extent(ctx, s.Kind, s.Name, from, to)
		if err == nil && found.Partial {
			err = errPartial
		}
		return found, err
	}
	everything, err := extent(now.Add(-farthest*day), now.Add(beyond))
	if err != nil {
		return err
	}
	for _, w := range windows() {
		came, err := extent(now.Add(-w.long), now)
		if err != nil {
			return err
		}
		s.Came[w.name] = came.Records
	}
	s.All = &everything
	return nil
}
