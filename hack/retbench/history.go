//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/docker-telemetry/docker-telemetry/hack/series"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics/storetest"
)

const (
	// scrapedEach is what the bundle scrapes everything at.
	scrapedEach = 15 * time.Second
	// A line of an import has so many samples, so that none is held whole.
	lineSamples = 4000

	ownWithin = time.Minute
	ownEvery  = 500 * time.Millisecond

	selfJob, selfInstance = "victoriametrics", "victoriametrics:8428"
)

// selfScrape are the flags of the bundle by which VictoriaMetrics writes its own metrics.
func selfScrape() []string {
	return []string{"-selfScrapeInterval=" + scrapedEach.String(), "-selfScrapeJob=" + selfJob, "-selfScrapeInstance=" + selfInstance}
}

// told is a series that a store told of itself, at each scrape from one time to another.
type told struct {
	labels   map[string]string
	from, to time.Time
	value    func(part float64) float64 // by how much of the time has passed, 0 to 1
}

// write writes it as /api/v1/import takes it.
func (t told) write(out io.Writer) {
	long := t.to.Sub(t.from).Seconds()
	var values, times []byte
	flush := func() {
		if len(values) > 0 {
			storetest.WriteSamples(out, t.labels, values[1:], times[1:])
		}
		values, times = values[:0], times[:0]
	}
	count := 0
	for at := t.from; !at.After(t.to); at = at.Add(scrapedEach) {
		if count%lineSamples == 0 {
			flush()
		}
		count++
		values = strconv.AppendFloat(append(values, ','), t.value(at.Sub(t.from).Seconds()/long), 'f', 0, 64)
		times = strconv.AppendInt(append(times, ','), at.UnixMilli(), 10)
	}
	flush()
}

// fillHistory writes what the stores and the agent told of themselves since a time: of VictoriaMetrics those series that it has
// now, which a report asks for over weeks, and the rest by hand.
func fillHistory(ctx context.Context, store *storetest.Store, since, now time.Time, streams int) error {
	page, err := store.Metrics(ctx)
	if err != nil {
		return err
	}
	list := append(ofVictoriaMetrics(page, since, now), ofOthers(since, now, streams)...)
	read, write := io.Pipe()
	go func() {
		out := bufio.NewWriterSize(write, 64<<10)
		for _, one := range list {
			one.write(out)
		}
		_ = write.CloseWithError(out.Flush())
	}()
	err = store.Import(ctx, "/api/v1/import", read)
	return errors.Join(err, read.Close(), store.Flush(ctx))
}

// ofVictoriaMetrics grow from nothing to a size. What was refused does not grow.
func ofVictoriaMetrics(page map[string]*dto.MetricFamily, since, now time.Time) []told {
	grown := map[string]float64{
		"vm_app_uptime_seconds": now.Sub(since).Seconds(), "vm_rows_added_to_storage_total": 10e6, "vm_rows_inserted_total": 1e6,
		"vm_data_size_bytes": 20e6, "vm_rows_ignored_total": 0,
	}
	var list []told
	for name, most := range grown {
		for _, metric := range page[name].GetMetric() {
			labels := map[string]string{"__name__": name, "job": selfJob, "instance": selfInstance}
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			list = append(list, told{labels: labels, from: since, to: now, value: func(part float64) float64 { return most * part }})
		}
	}
	return list
}

// ahead is how long a measurement may take: nobody scrapes OpenObserve and the agent meanwhile.
const ahead = within

// ofOthers are the series of OpenObserve and of the agent that a report asks for, with a refusal of each stream two days ago.
func ofOthers(since, now time.Time, streams int) []told {
	until := now.Add(ahead)
	like := func(value float64) func(float64) float64 { return func(float64) float64 { return value } }
	made := func(name string, from time.Time, value func(float64) float64, labels ...string) told {
		one := told{labels: map[string]string{"__name__": name}, from: from, to: until, value: value}
		for i := 0; i < len(labels); i += 2 {
			one.labels[labels[i]] = labels[i+1]
		}
		return one
	}
	lately := now.Add(-2 * 24 * time.Hour)
	list := []told{
		made("zo_storage_compressed_bytes", since, func(part float64) float64 { return 10e6 * part }, "job", "openobserve", "stream_type", "logs"),
		made("zo_storage_compressed_bytes", since, like(0), "job", "openobserve", "stream_type", "traces"),
		made("zo_ingest_wal_used_bytes", lately, like(1e6), "job", "openobserve"),
	}
	for _, buffer := range []string{"logs", "metrics"} {
		list = append(list,
			made("vector_buffer_size_bytes", lately, like(1e6), "job", "vector-agent", "component_id", buffer),
			made("vector_buffer_max_size_bytes", lately, like(268435488), "job", "vector-agent", "component_id", buffer))
	}
	for number := range streams {
		list = append(list, made("zo_ingest_errors", lately, like(1), "job", "openobserve", "error_type", "timestamp_parsing_failed", "stream", streamName(number)))
	}
	return list
}

// seen waits until the store's own metrics of the moment, which it writes by itself, are in its answers.
func seen(ctx context.Context, store *storetest.Store) error {
	client := clientOf(store)
	ctx, cancel := context.WithTimeout(ctx, ownWithin)
	defer cancel()
	began := time.Now()
	for {
		found, err := client.QueryLatest(ctx, `min(timestamp(vm_rows{job="`+selfJob+`"}))`)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(found, func(s victoriametrics.Sample) bool { return s.Value >= float64(began.Unix()) }) {
			return nil
		}
		select {
		case <-time.After(ownEvery):
		case <-ctx.Done():
			return fmt.Errorf("the store's own metrics are not seen within %s", ownWithin)
		}
	}
}

// checkStore refuses a store that does not have all series. It comes after the first report, which finds nothing in a cache that
// nobody but a report would have asked for.
func checkStore(ctx context.Context, store *storetest.Store, shape series.Shape, written time.Time) error {
	status, err := clientOf(store).Status(ctx, victoriametrics.StatusRequest{Date: written, Top: 1})
	if err != nil {
		return err
	}
	if status.Series < uint64(shape.Series()) {
		return fmt.Errorf("the store counts %d series of %d", status.Series, shape.Series())
	}
	return nil
}

func clientOf(store *storetest.Store) *victoriametrics.Client {
	return &victoriametrics.Client{BaseURL: store.URL, HTTP: store.HTTP, Identity: true}
}
