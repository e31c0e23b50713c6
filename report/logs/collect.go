package logs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/docker-telemetry/docker-telemetry/storage/openobserve"
)

// Store is what a report asks, of several goroutines at a time. An *openobserve.Client is one.
type Store interface {
	Held(ctx context.Context, kind string) ([]openobserve.Held, error)
	Fields(ctx context.Context, kind, stream string) ([]openobserve.Field, error)
	Distinct(ctx context.Context, kind, stream string, fields []openobserve.Field, from, to time.Time) (openobserve.Distinct, error)
	Groups(ctx context.Context, kind, stream, by, text string, from, to time.Time, most int) ([]openobserve.Group, bool, error)
	Newest(ctx context.Context, kind, stream, field string, from, to time.Time, most int) ([]map[string]openobserve.Value, bool, error)
}

// Request says what to look at.
type Request struct {
	Now time.Time
	// From and To bound the records: a search without bounds reads everything.
	From, To time.Time
	// Top is how many services of each stream are listed.
	Top int
}

// Collected is what the store said, before anything is made of it. Notes say what it could not tell.
type Collected struct {
	Request Request
	Streams []StreamSeen
	Notes   []string
	// Incomplete: something that should have been answered was not.
	Incomplete bool
}

// StreamSeen is a stream with what was counted of it.
type StreamSeen struct {
	openobserve.Held
	Looked  bool // it was asked for its records; of the others there is what the store lists
	Partial bool // not all of it was counted
	Records int64
	Columns []FieldSeen
	Sampled int    // records
	By      string // the field of Groups, "" for none
	Text    string // the field of text whose bytes the groups have, "" for none
	Groups  []openobserve.Group
}

// FieldSeen is a field with its counts, and its values in the records that were sampled.
type FieldSeen struct {
	openobserve.Field
	openobserve.FieldCount
	Counted bool
	Samples []string
}

// StoreError is a store that gave nothing to report on.
type StoreError struct{ Err error }

func (e *StoreError) Error() string { return "the store of logs cannot be read: " + reason(e.Err) }
func (e *StoreError) Unwrap() error { return e.Err }

const (
	// looked are so many streams, the largest. The gateway lets 200 requests through at once, then 50 a second.
	looked = 20
	// atOnce are so many streams; the store shares one CPU with what it takes in.
	atOnce = 4
	// together are so many fields of one query: each is a sketch of 16 KiB.
	together = 100
	// counted are so many fields of a stream, as many as a record may have by ZO_COLS_PER_RECORD_LIMIT.
	counted = 1000
	// sampled are so many records of a stream, the newest.
	sampled = 200
	// Of a field with many values, of which the newest records have few, so many records are asked for besides; of so many fields.
	sampledAlone, fieldsAlone = 50, 3
	// enough values tell a shape.
	enough = 5
)

// Collect asks a store. An error means that it did not even list its streams.
func Collect(ctx context.Context, store Store, request Request) (Collected, error) {
	c := Collected{Request: request}
	var failed []error
	for _, kind := range []string{Logs, Traces} {
		held, err := store.Held(ctx, kind)
		if err != nil {
			failed = append(failed, err)
			c.failed("the streams of "+kind, err)
			continue
		}
		for _, one := range held {
			c.Streams = append(c.Streams, StreamSeen{Held: one})
		}
	}
	if len(failed) == 2 {
		return c, &StoreError{Err: failed[0]}
	}
	// One that is new has no size yet, but fields.
	slices.SortStableFunc(c.Streams, func(a, b StreamSeen) int {
		return cmp.Or(cmp.Compare(b.Original, a.Original), cmp.Compare(b.Fields, a.Fields), cmp.Compare(a.Name, b.Name))
	})
	if len(c.Streams) > looked {
		c.Notes = append(c.Notes, fmt.Sprintf("records and fields: looked at are the %d largest streams of %d", looked, len(c.Streams)))
	}
	c.look(ctx, store, c.Streams[:min(looked, len(c.Streams))])
	return c, ctx.Err()
}

func (c *Collected) failed(what string, err error) {
	c.Notes = append(c.Notes, what+": "+reason(err))
	c.Incomplete = true
}

// reason is an error without the address that was asked, which is the same for all.
func reason(err error) string {
	var failed *url.Error
	switch {
	case !errors.As(err, &failed):
		return err.Error()
	case failed.Timeout():
		return "no answer in time"
	default:
		return failed.Err.Error()
	}
}

func (c *Collected) look(ctx context.Context, store Store, streams []StreamSeen) {
	all := make([]looking, len(streams))
	var done sync.WaitGroup
	var slow atomic.Bool
	turn := make(chan struct{}, atOnce)
	for i := range streams {
		done.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			all[i] = looking{store: store, request: c.Request, stream: &streams[i], slow: &slow}
			all[i].look(ctx)
		})
	}
	done.Wait()
	for _, one := range all { // in the order of the streams, whoever was first
		c.Notes = append(c.Notes, one.notes...)
		c.Incomplete = c.Incomplete || one.stream.Partial
	}
}

// looking is at one stream.
type looking struct {
	store   Store
	request Request
	stream  *StreamSeen
	notes   []string
	// slow is of all streams: who waits for a store that is out of breath should not do so for each.
	slow *atomic.Bool
}

var (
	// errPartial is an answer that is not of all records.
	errPartial = errors.New("a part of the store did not answer")
	errSlow    = errors.New("not asked: the store did not answer another question in time")
)

// ok notes what could not be told. What a part of the store answers is of use all the same: ok is false for nothing at all.
func (l *looking) ok(what string, partial bool, err error) bool {
	told := err == nil
	if told && partial {
		err = errPartial
	}
	var late interface{ Timeout() bool }
	if errors.As(err, &late) && late.Timeout() {
		l.slow.Store(true)
	}
	if err != nil {
		l.notes = append(l.notes, what+" of "+l.stream.Name+": "+reason(err))
		l.stream.Partial = true
	}
	return told
}

func (l *looking) look(ctx context.Context) {
	s := l.stream
	if l.slow.Load() {
		l.ok("records and fields", false, errSlow)
		return
	}
	fields, err := l.store.Fields(ctx, s.Kind, s.Name)
	if !l.ok("the fields", false, err) {
		return
	}
	for _, field := range fields {
		s.Columns = append(s.Columns, FieldSeen{Field: field})
	}
	if len(fields) > counted {
		l.notes = append(l.notes, fmt.Sprintf("fields of %s: counted are %d of %d", s.Name, counted, len(fields)))
	}
	if !l.count(ctx, fields[:min(counted, len(fields))]) || s.Records == 0 {
		return
	}
	l.sample(ctx)
	l.groups(ctx)
}

// count counts records and values, and reports whether it could at all.
func (l *looking) count(ctx context.Context, fields []openobserve.Field) bool {
	s := l.stream
	for at := 0; at == 0 || at < len(fields); at += together {
		chunk := fields[at:min(at+together, len(fields))]
		found, err := l.store.Distinct(ctx, s.Kind, s.Name, chunk, l.request.From, l.request.To)
		if !l.ok("values by field", found.Partial, err) {
			break // the others would fail as well
		}
		s.Looked = true
		s.Records = max(s.Records, found.Records) // new ones come meanwhile
		for i, count := range found.Fields {
			s.Columns[at+i].FieldCount, s.Columns[at+i].Counted = count, true
		}
	}
	return s.Looked
}

// sample takes the newest records, and some with the fields that would be judged by few of those.
func (l *looking) sample(ctx context.Context) {
	s := l.stream
	records, partial, err := l.store.Newest(ctx, s.Kind, s.Name, "", l.request.From, l.request.To, sampled)
	l.ok("a sample", partial, err)
	s.Sampled = len(records)
	for i := range s.Columns {
		s.Columns[i].take(records)
	}
	rare := make([]*FieldSeen, 0, len(s.Columns))
	for i := range s.Columns {
		if field := &s.Columns[i]; len(field.Samples) < enough && field.Values >= worthValues {
			rare = append(rare, field)
		}
	}
	slices.SortStableFunc(rare, func(a, b *FieldSeen) int { return cmp.Compare(b.Values, a.Values) })
	for _, field := range rare[:min(fieldsAlone, len(rare))] {
		records, partial, err := l.store.Newest(ctx, s.Kind, s.Name, field.Name, l.request.From, l.request.To, sampledAlone)
		l.ok("a sample of "+field.Name, partial, err)
		field.take(records)
	}
}

func (f *FieldSeen) take(records []map[string]openobserve.Value) {
	for _, record := range records {
		if value := string(record[f.Name]); value != "" {
			f.Samples = append(f.Samples, value)
		}
	}
}

// groups counts who writes.
func (l *looking) groups(ctx context.Context) {
	s := l.stream
	if s.By = s.first(serviceFields(), ""); s.By == "" {
		return
	}
	if s.Kind == Logs {
		s.Text = s.first(textFields(), "Utf8")
	}
	groups, partial, err := l.store.Groups(ctx, s.Kind, s.Name, s.By, s.Text, l.request.From, l.request.To, l.request.Top)
	l.ok("who writes", partial, err)
	s.Groups = groups
}

// first is the first of some fields that records have, of a type where one is given.
func (s *StreamSeen) first(names []string, ofType string) string {
	for _, name := range names {
		has := func(f FieldSeen) bool {
			return f.Name == name && f.Records > 0 && (ofType == "" || f.Type == ofType)
		}
		if slices.ContainsFunc(s.Columns, has) {
			return name
		}
	}
	return ""
}

// serviceFields say who writes, the nearest to a person first: those of the stack's agent, and of OTLP.
func serviceFields() []string { return []string{"service", "service_name", "container_name", "host"} }

// textFields hold what is said in a log, of which most records have their own.
func textFields() []string {
	return []string{"message", "body", "log", "msg", "content", "event", "text"}
}
