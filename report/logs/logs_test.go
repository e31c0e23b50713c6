package logs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/report/logs"
	"github.com/docker-telemetry/docker-telemetry/report/shape"
	"github.com/docker-telemetry/docker-telemetry/storage/openobserve"
)

func now() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

type record map[string]string

// stream is a stream in memory; its records are of now, the newest last.
type stream struct {
	openobserve.Held
	types   map[string]string // by field; Utf8 where there is none
	records []record
}

func (s *stream) fields() []openobserve.Field {
	types := map[string]string{}
	for _, one := range s.records {
		for name := range one {
			types[name] = "Utf8"
		}
	}
	for name, other := range s.types {
		types[name] = other
	}
	var fields []openobserve.Field
	for name, kind := range types {
		fields = append(fields, openobserve.Field{Name: name, Type: kind})
	}
	slices.SortFunc(fields, func(a, b openobserve.Field) int { return strings.Compare(a.Name, b.Name) })
	return fields
}

// store is a Store in memory. What fails is named by the call, or by the call and the stream.
type store struct {
	streams []*stream
	partial bool
	fail    map[string]error
	mu      sync.Mutex
	asked   map[string]int
}

func (s *store) ask(call, name string) (*stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked == nil {
		s.asked = map[string]int{}
	}
	s.asked[call]++
	if err := s.fail[call+" "+name]; err != nil {
		return nil, err
	}
	if err := s.fail[call]; err != nil {
		return nil, err
	}
	at := slices.IndexFunc(s.streams, func(one *stream) bool { return one.Name == name })
	if at < 0 {
		return nil, nil
	}
	return s.streams[at], nil
}

func (s *store) Held(_ context.Context, kind string) ([]openobserve.Held, error) {
	if _, err := s.ask("held", kind); err != nil {
		return nil, err
	}
	var held []openobserve.Held
	for _, one := range s.streams {
		if one.Kind == kind {
			held = append(held, one.Held)
		}
	}
	return held, nil
}

func (s *store) Fields(_ context.Context, _, name string) ([]openobserve.Field, error) {
	one, err := s.ask("fields", name)
	if err != nil {
		return nil, err
	}
	return one.fields(), nil
}

func (s *store) Distinct(_ context.Context, _, name string, fields []openobserve.Field, from, to time.Time) (openobserve.Distinct, error) {
	one, err := s.ask("distinct", name)
	if err != nil {
		return openobserve.Distinct{}, err
	}
	if !from.Before(to) || len(fields) > 100 {
		return openobserve.Distinct{}, fmt.Errorf("from %s to %s, %d fields", from, to, len(fields))
	}
	found := openobserve.Distinct{Records: int64(len(one.records)), Partial: s.partial}
	for _, field := range fields {
		values := map[string]bool{}
		count := openobserve.FieldCount{}
		for _, r := range one.records {
			if value, has := r[field.Name]; has {
				values[value] = true
				count.Records++
			}
		}
		count.Values = int64(len(values))
		found.Fields = append(found.Fields, count)
	}
	return found, nil
}

func (s *store) Groups(_ context.Context, _, name, by, text string, _, _ time.Time, most int) ([]openobserve.Group, bool, error) {
	one, err := s.ask("groups", name)
	if err != nil {
		return nil, false, err
	}
	groups := map[string]*openobserve.Group{}
	for _, r := range one.records {
		if groups[r[by]] == nil {
			groups[r[by]] = &openobserve.Group{Value: r[by]}
		}
		groups[r[by]].Records++
		groups[r[by]].Bytes += int64(len(r[text]))
	}
	var list []openobserve.Group
	for _, group := range groups {
		list = append(list, *group)
	}
	slices.SortFunc(list, func(a, b openobserve.Group) int { return int(b.Records - a.Records) })
	return list[:min(most, len(list))], s.partial, nil
}

func (s *store) Newest(_ context.Context, _, name, field string, _, _ time.Time, most int) (newest []map[string]openobserve.Value, partial bool, err error) {
	one, err := s.ask("newest", name)
	if err != nil {
		return nil, false, err
	}
	for _, r := range slices.Backward(one.records) {
		values := map[string]openobserve.Value{}
		for name, value := range r {
			if field == "" || field == name {
				values[name] = openobserve.Value(value)
			}
		}
		if len(values) > 0 && len(newest) < most {
			newest = append(newest, values)
		}
	}
	return newest, s.partial, nil
}

// docker is what the stack's agent writes, of which a service logs the id of each request and who asked, and another one little.
func docker(records int) *stream {
	s := &stream{
		Held: openobserve.Held{Kind: logs.Logs, Name: "docker", Records: 40_000, Original: 12e6, Stored: 1.5e6, Index: 0.5e6, Fields: 12},
		types: map[string]string{
			"_timestamp": "Int64", "status": "Int64", "seconds": "Float64", "ok": "Boolean",
		},
	}
	for i := range records {
		r := record{
			"_timestamp": strconv.Itoa(1795600000000000 + i), "service": "shop", "source": "docker", "message": fmt.Sprintf("order %d was sent to its customer", i),
			"request_id": fmt.Sprintf("%08x-2b6c-4f0e-9a53-0d4e6f7a8b9c", i*7919), "status": strconv.Itoa(200 + i%3), "seconds": fmt.Sprintf("0.%d", i),
			"ok": strconv.FormatBool(i%2 == 0), "trace_id": fmt.Sprintf("%032x", i*104729),
		}
		if i%4 == 0 {
			r["customer"] = fmt.Sprintf("ann%d@example.org", i%40)
			r["client"] = fmt.Sprintf("203.0.113.%d", i%200)
		}
		if i < records/12 { // long ago
			r = record{"_timestamp": r["_timestamp"], "service": "db", "source": "docker", "message": "checkpoint complete: wrote 3 buffers", "session": fmt.Sprintf("%016xab", i*7919)}
		}
		s.records = append(s.records, r)
	}
	return s
}

// events has records with ids as keys.
func events() *stream {
	s := &stream{Held: openobserve.Held{Kind: logs.Logs, Name: "events", Records: 60, Original: 90_000, Stored: 20_000, Fields: 845}}
	for i := range 60 {
		r := record{"_timestamp": "1", "api_token": "s3cr3t"}
		for k := range 14 {
			r[fmt.Sprintf("users_%d_name", 17+60*i+k)] = "ann"
		}
		r[fmt.Sprintf("o_6f1d9d1e_2b6c_4f0e_9a53_0d4e6f7a8b%02d_state", i)] = "new"
		s.records = append(s.records, r)
	}
	return s
}

func spans() *stream {
	s := &stream{Held: openobserve.Held{Kind: logs.Traces, Name: "default", Fields: 3}}
	for i := range 300 {
		s.records = append(s.records, record{"_timestamp": "1", "service_name": "shop", "operation_name": fmt.Sprintf("GET /orders/%d", i), "span_id": fmt.Sprintf("%016x", i)})
	}
	return s
}

func silent() *stream {
	return &stream{Held: openobserve.Held{Kind: logs.Logs, Name: "silent", Records: 10, Original: 1000, Stored: 100, Fields: 2}, types: map[string]string{"_timestamp": "Int64", "message": "Utf8"}}
}

func cluttered() *store {
	return &store{streams: []*stream{spans(), docker(12_000), events(), silent()}}
}

// little is where counts do not matter.
func little() *store { return &store{streams: []*stream{docker(600), silent()}} }

func collect(t *testing.T, s *store) logs.Collected {
	t.Helper()
	collected, err := logs.Collect(t.Context(), s, logs.Request{Now: now(), From: now().Add(-24 * time.Hour), To: now(), Top: 20})
	assert.NilError(t, err)
	return collected
}

func reportOf(t *testing.T, s *store) logs.Report {
	t.Helper()
	return logs.Analyse(collect(t, s), logs.Options{Top: 20})
}

func streamOf(t *testing.T, r logs.Report, name string) logs.Stream {
	t.Helper()
	at := slices.IndexFunc(r.Streams, func(s logs.Stream) bool { return s.Name == name })
	assert.Assert(t, at >= 0, name)
	return r.Streams[at]
}

func fieldOf(t *testing.T, s logs.Stream, name string) logs.Field {
	t.Helper()
	at := slices.IndexFunc(s.Fields, func(f logs.Field) bool { return f.Name == name })
	assert.Assert(t, at >= 0, name)
	return s.Fields[at]
}

func summaries(findings []logs.Finding) []string {
	var all []string
	for _, f := range findings {
		all = append(all, strings.TrimSpace(f.Code+" "+f.Stream+" "+f.Field))
	}
	return all
}

func TestFindings(t *testing.T) {
	report := reportOf(t, cluttered())
	assert.DeepEqual(t, summaries(report.Findings), []string{
		"DTL002 events",
		"DTL005 docker client", "DTL005 docker customer",
		"DTL001 docker request_id", "DTL001 docker session", "DTL001 default operation_name",
		"DTL003 events users_*_name", "DTL003 events o_*_state",
		"DTL004 docker service",
	})
	id := report.Findings[3]
	assert.Equal(t, id.Values, int64(11_000))
	assert.Equal(t, id.Records, int64(11_000))
	assert.Equal(t, *id.Bytes, 36.0*11_000)
	assert.Equal(t, id.Title, "request_id has no end, about 11,000 values in 11,000 records, nearly one for each record: about 396.0 kB before compression")
	assert.Equal(t, report.Findings[8].Title, "shop writes 89.0 % of all records: 11,000 with 387.0 kB of text")
	assert.Assert(t, report.Complete)
}

func TestStreams(t *testing.T) {
	report := reportOf(t, cluttered())
	assert.Equal(t, report.Streams[0].Name, "docker", "most records first")
	assert.Equal(t, report.Summary.Records, int64(12_360))
	assert.Equal(t, report.Summary.StoredBytes, 1.5e6+20_000+100)
	d := report.Streams[0]
	assert.Equal(t, *d.Records, int64(12_000))
	assert.Equal(t, *d.Estimate, 12e6*12_000/40_000)
	assert.Equal(t, d.ServiceField, "service")
	assert.Equal(t, d.Services[0].Name+" "+d.Services[1].Name, "shop db")
	assert.Equal(t, *d.Services[1].TextBytes, int64(36_000))

	trace := streamOf(t, report, "default")
	assert.Assert(t, trace.Services[0].TextBytes == nil, "a span has no text")
	assert.Assert(t, trace.Estimate == nil, "the store tells nothing of a new stream")

	s := streamOf(t, report, "silent")
	assert.Equal(t, *s.Records, int64(0))
	assert.Equal(t, len(s.Fields), 0)
	assert.Equal(t, *s.UsedFields, 0)

	e := streamOf(t, report, "events")
	assert.DeepEqual(t, e.Families, []logs.Family{{Name: "users_*_name", Fields: 840}, {Name: "o_*_state", Fields: 60}})
	assert.Equal(t, e.FieldCount, 840+60+len([]string{"_timestamp", "api_token"}))
	assert.Equal(t, len(e.Fields), 1)
	assert.DeepEqual(t, fieldOf(t, e, "api_token").Samples, []string{})
}

// What a person does not show to others is in no report.
func TestSamples(t *testing.T) {
	report := reportOf(t, cluttered())
	d := streamOf(t, report, "docker")
	assert.DeepEqual(t, fieldOf(t, d, "customer").Samples, []string{"[e-mail]"})
	assert.DeepEqual(t, fieldOf(t, d, "client").Samples, []string{"[ip]"})
	assert.Equal(t, fieldOf(t, d, "client").Shape, shape.Address)
	assert.DeepEqual(t, fieldOf(t, d, "message").Samples, []string{})
	assert.DeepEqual(t, fieldOf(t, d, "status").Samples, []string{"202", "201", "200"})
	assert.Equal(t, fieldOf(t, d, "session").Shape, shape.Hash, "no record of the newest has it")
	raw, err := json.Marshal(report)
	assert.NilError(t, err)
	for _, hidden := range []string{"@example", "203.0.113", "s3cr3t", "customer\",\"order"} {
		assert.Assert(t, !bytes.Contains(raw, []byte(hidden)), hidden)
	}
}

func TestLongValuesAreCut(t *testing.T) {
	s := &stream{Held: openobserve.Held{Kind: logs.Logs, Name: "a"}, records: []record{{"x": strings.Repeat("é", 10_000)}}}
	samples := fieldOf(t, streamOf(t, reportOf(t, &store{streams: []*stream{s}}), "a"), "x").Samples
	assert.DeepEqual(t, samples, []string{strings.Repeat("é", 200) + "…"})
}

// What has many values may have an end, and what has none may be what logs are for.
func TestWhatIsNoFinding(t *testing.T) {
	s := &stream{Held: openobserve.Held{Kind: logs.Logs, Name: "quiet"}}
	for i := range 1000 {
		s.records = append(s.records, record{
			"_timestamp": strconv.Itoa(1795600000000000 + i), "message": fmt.Sprintf("%032x", i*7919), "trace_id": fmt.Sprintf("%032x", i*7919),
			"error": fmt.Sprintf("dial of attempt %d was refused", i), "port": strconv.Itoa(i % 300), "version": fmt.Sprintf("10.0.0.%d", i%20),
		})
	}
	for i := range 2 { // as the version of a program looks like
		s.records[999-i]["message"] = "started 8.0.32.1"
	}
	assert.DeepEqual(t, summaries(reportOf(t, &store{streams: []*stream{s}}).Findings), []string(nil))
}

func TestEmptyStore(t *testing.T) {
	report := reportOf(t, &store{})
	assert.Assert(t, report.Complete)
	assert.Equal(t, len(report.Findings), 0)
	var text bytes.Buffer
	render.Document(&text, report.Document())
	golden.Assert(t, text.String(), "empty.txt")
}

func TestStoreThatFails(t *testing.T) {
	refused := &openobserve.StatusError{Status: http.StatusServiceUnavailable, Message: "Memory table overflow"}
	gone := &openobserve.StatusError{Status: http.StatusBadRequest, Message: "Search stream not found: docker"}
	slow := &url.Error{Op: "Post", URL: "https://localhost/openobserve/api/default/_search", Err: context.DeadlineExceeded}
	for _, tc := range []struct {
		name string
		fail map[string]error
		want string // among the notes
	}{
		{"lists no traces", map[string]error{"held traces": refused}, "the streams of traces: OpenObserve answered 503: Memory table overflow"},
		{"no schema", map[string]error{"fields docker": refused}, "the fields of docker: OpenObserve answered 503: Memory table overflow"},
		{"a stream that is gone", map[string]error{"distinct docker": gone}, "values by field of docker: OpenObserve answered 400: Search stream not found: docker"},
		{"out of time", map[string]error{"distinct docker": slow}, "values by field of docker: no answer in time"},
		{"no sample", map[string]error{"newest": refused}, "a sample of docker: OpenObserve answered 503: Memory table overflow"},
		{"no groups", map[string]error{"groups": errors.New("broken")}, "who writes of docker: broken"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := little()
			s.fail = tc.fail
			report := reportOf(t, s)
			assert.Assert(t, !report.Complete)
			assert.Assert(t, slices.Contains(report.Notes, tc.want), "%q", report.Notes)
			assert.Assert(t, len(report.Streams) > 0)
		})
	}
	s := little()
	s.fail = map[string]error{"held": &url.Error{Op: "Get", URL: "https://localhost/", Err: errors.New("connection refused")}}
	_, err := logs.Collect(t.Context(), s, logs.Request{Now: now(), From: now().Add(-time.Hour), To: now(), Top: 20})
	assert.Error(t, err, "the store of logs cannot be read: connection refused")
	var failed *logs.StoreError
	assert.Assert(t, errors.As(err, &failed))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = logs.Collect(ctx, little(), logs.Request{Now: now(), From: now().Add(-time.Hour), To: now(), Top: 20})
	assert.ErrorIs(t, err, context.Canceled)
}

// Whoever waits for a store that is out of breath should not do so for each of its streams.
func TestSlowStoreIsLeftAlone(t *testing.T) {
	s := &store{fail: map[string]error{"distinct": &url.Error{Op: "Post", URL: "https://localhost/", Err: context.DeadlineExceeded}}}
	for i := range 20 {
		s.streams = append(s.streams, &stream{Held: openobserve.Held{Kind: logs.Logs, Name: fmt.Sprintf("s%d", i)}, records: []record{{"a": "b"}}})
	}
	report := reportOf(t, s)
	assert.Assert(t, !report.Complete)
	assert.Equal(t, len(report.Notes), 20)
	// Four are asked at a time.
	assert.Assert(t, s.asked["distinct"] <= 8, "%d", s.asked["distinct"])
	assert.Assert(t, slices.ContainsFunc(report.Notes, func(note string) bool {
		return strings.HasPrefix(note, "records and fields of s") && strings.HasSuffix(note, ": not asked: the store did not answer another question in time")
	}), "%q", report.Notes)
}

// Counts of a part are too low, and are said to be.
func TestPartial(t *testing.T) {
	s := little()
	s.partial = true
	report := reportOf(t, s)
	assert.Assert(t, !report.Complete)
	assert.Assert(t, !streamOf(t, report, "docker").Complete)
	assert.Equal(t, *streamOf(t, report, "docker").Records, int64(600))
	assert.Assert(t, slices.Contains(report.Notes, "values by field of docker: a part of the store did not answer"), "%q", report.Notes)
}

// The gateway lets so many requests through at once.
func TestManyStreamsAndFields(t *testing.T) {
	s := &store{streams: []*stream{docker(100)}}
	for i := range 300 {
		s.streams = append(s.streams, &stream{Held: openobserve.Held{Kind: logs.Logs, Name: fmt.Sprintf("small-%d", i), Original: 10}, records: []record{{"a": "b"}}})
	}
	report := reportOf(t, s)
	assert.Equal(t, len(report.Streams), 301)
	assert.Equal(t, s.asked["fields"], 20)
	assert.Assert(t, slices.Contains(report.Notes, "records and fields: looked at are the 20 largest streams of 301"), "%q", report.Notes)
	assert.Assert(t, report.Complete, "that is as it should be")

	wide := &stream{Held: openobserve.Held{Kind: logs.Logs, Name: "wide", Fields: 1500}, records: []record{{}}}
	for i := range 1500 {
		wide.records[0][fmt.Sprintf("f%04d", i)] = "x"
	}
	s = &store{streams: []*stream{wide}}
	report = reportOf(t, s)
	assert.Equal(t, s.asked["distinct"], 10)
	assert.Assert(t, slices.Contains(report.Notes, "fields of wide: counted are 1000 of 1500"), "%q", report.Notes)
	assert.Assert(t, report.Streams[0].UsedFields == nil)
	assert.Equal(t, report.Findings[0].Code, logs.NearFieldLimit)
}

func TestWidest(t *testing.T) {
	widest, is := reportOf(t, cluttered()).Widest()
	assert.Assert(t, is)
	assert.Equal(t, widest.Name, "events")
	_, is = reportOf(t, &store{}).Widest()
	assert.Assert(t, !is)
}

func TestGolden(t *testing.T) {
	report := reportOf(t, cluttered())
	report.Notes = []string{"a sample of docker: no answer in time"}
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
}

// Whoever logs names streams, fields and services.
func TestHostileNames(t *testing.T) {
	const hostile = "=cmd()\x1b[31m\u202e|<b>\n"
	s := &stream{Held: openobserve.Held{Kind: logs.Logs, Name: hostile, Records: 1, Original: 1, Fields: 3}}
	for i := range 20_000 {
		s.records = append(s.records, record{hostile: hostile + fmt.Sprintf("%08x", i), "service": hostile, "=1+1": hostile})
	}
	document := reportOf(t, &store{streams: []*stream{s}}).Document()
	var text, csv, markdown bytes.Buffer
	render.Document(&text, document)
	assert.NilError(t, render.CSV(&csv, document.Flat))
	render.Markdown(&markdown, document)
	for _, out := range []string{text.String(), csv.String(), markdown.String()} {
		assert.Assert(t, strings.Contains(out, "DTL001") || strings.Contains(out, "values_estimate"))
		assert.Assert(t, !strings.ContainsAny(out, "\x1b\u202e"), out)
	}
	assert.Assert(t, !strings.Contains(markdown.String(), "<b>"))
	assert.Assert(t, !strings.Contains(csv.String(), ",=cmd") && !strings.Contains(csv.String(), ",=1+1"))
}

func TestJSONHoldsToItsSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../../docs/schema/logs.json")
	assert.NilError(t, err)
	partial, unable := little(), little()
	partial.partial = true
	unable.fail = map[string]error{"fields": errors.New("no")}
	for name, report := range map[string]logs.Report{
		"full": reportOf(t, cluttered()), "empty": reportOf(t, &store{}), "partial": reportOf(t, partial), "unable": reportOf(t, unable),
	} {
		raw, err := json.Marshal(report)
		assert.NilError(t, err)
		var value any
		assert.NilError(t, json.Unmarshal(raw, &value))
		assert.NilError(t, schema.Validate(value), name)
	}
}
