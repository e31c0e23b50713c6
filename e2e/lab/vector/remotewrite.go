package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/klauspost/compress/snappy"
	"google.golang.org/protobuf/encoding/protowire"
)

// remoteWriter is the prometheus_remote_write sink (protocol 0.1.0).
type remoteWriter struct {
	*httpPoster
	sums map[string]*runningSum
}

// runningSum turns incremental metrics into absolute ones; it is forgotten after expire_metrics_secs
// without an update.
type runningSum struct {
	value float64
	last  time.Time
}

func newRemoteWriter(c *component, conf *sinkConf) *remoteWriter {
	p := newHTTPPoster(c, conf, map[string]string{
		"Content-Type":                      "application/x-protobuf",
		"Content-Encoding":                  "snappy",
		"X-Prometheus-Remote-Write-Version": "0.1.0",
	})
	p.check, p.address = http.MethodGet, conf.endpoint.String()
	if conf.health.uri != nil {
		p.address = conf.health.uri.String()
	}
	return &remoteWriter{p, map[string]*runningSum{}}
}

func (w *remoteWriter) prepare(events []event) ([]byte, error) {
	now := time.Now()
	w.forget(now)
	var series []*metric
	index := map[string]int{}
	for _, e := range events {
		if e.metric == nil {
			return nil, permanentError{errors.New("the prometheus_remote_write sink takes metrics only")}
		}
		m, err := w.absolute(e.metric, now)
		if err != nil {
			return nil, permanentError{err}
		}
		key := seriesKey(m)
		// batch.aggregate: of one series only the last sample of the batch is sent.
		if i, dup := index[key]; dup && w.conf.aggregate {
			series[i] = m
			continue
		}
		index[key] = len(series)
		series = append(series, m)
	}
	return snappy.Encode(nil, encodeWriteRequest(series, w.conf.namespace)), nil
}

func (w *remoteWriter) forget(now time.Time) {
	if w.conf.expire == 0 {
		return
	}
	for k, s := range w.sums {
		if now.Sub(s.last) > w.conf.expire {
			delete(w.sums, k)
		}
	}
}

func seriesKey(m *metric) string {
	var b strings.Builder
	b.WriteString(m.fullName())
	for _, k := range m.sortedTags() {
		fmt.Fprintf(&b, "\x00%s\x00%s", k, m.tags[k])
	}
	return b.String()
}

func (w *remoteWriter) absolute(m *metric, now time.Time) (*metric, error) {
	if _, ok := m.value.(distributionValue); ok {
		return nil, fmt.Errorf("distribution %q is not supported by the stand-in", m.fullName())
	}
	if m.kind == absolute {
		return m, nil
	}
	key := seriesKey(m)
	s := w.sums[key]
	if s == nil {
		s = &runningSum{}
		w.sums[key] = s
	}
	s.last = now
	out := *m
	out.kind = absolute
	switch v := m.value.(type) {
	case counterValue:
		s.value += float64(v)
		out.value = counterValue(s.value)
	case gaugeValue:
		s.value += float64(v)
		out.value = gaugeValue(s.value)
	default:
		return nil, fmt.Errorf("incremental %T of %q is not supported by the stand-in", v, m.fullName())
	}
	return &out, nil
}

// Metric types of the remote write protocol.
const (
	promCounter   = 1
	promGauge     = 2
	promHistogram = 3
	promSummary   = 5
)

// encodeWriteRequest writes timeseries = 1 (labels = 1, samples = 2) and metadata = 3 (type = 1,
// metric_family_name = 2).
func encodeWriteRequest(metrics []*metric, namespace string) []byte {
	var b []byte
	types := map[string]uint64{}
	var families []string
	for _, m := range metrics {
		if m.namespace == "" && namespace != "" {
			c := *m
			c.namespace = namespace
			m = &c
		}
		if _, seen := types[m.fullName()]; !seen {
			families = append(families, m.fullName())
			types[m.fullName()] = promType(m.value)
		}
		b = encodeSeries(b, m)
	}
	for _, f := range families {
		b = putMessage(b, 3, putString(putVarint(nil, 1, types[f]), 2, f))
	}
	return b
}

func promType(v any) uint64 {
	switch v.(type) {
	case counterValue:
		return promCounter
	case histogramValue:
		return promHistogram
	case summaryValue:
		return promSummary
	}
	return promGauge
}

func encodeSeries(b []byte, m *metric) []byte {
	put := func(suffix string, v float64, extra ...string) {
		b = putMessage(b, 1, encodeOneSeries(m, suffix, v, extra))
	}
	switch v := m.value.(type) {
	case counterValue:
		put("", float64(v))
	case gaugeValue:
		put("", float64(v))
	case setValue:
		put("", float64(len(v)))
	case histogramValue:
		total := 0.0
		for _, k := range v.buckets {
			if k.limit-k.limit != 0 { // infinite: written below, from the count
				continue
			}
			total += float64(k.count)
			put("_bucket", total, "le", formatFloat(k.limit))
		}
		put("_bucket", float64(v.count), "le", "+Inf")
		put("_sum", v.sum)
		put("_count", float64(v.count))
	case summaryValue:
		for _, q := range v.quantiles {
			put("", q.value, "quantile", formatFloat(q.quantile))
		}
		put("_sum", v.sum)
		put("_count", float64(v.count))
	}
	return b
}

func encodeOneSeries(m *metric, suffix string, value float64, extra []string) []byte {
	labels := map[string]any{"__name__": m.fullName() + suffix}
	for k, v := range m.tags {
		labels[k] = v
	}
	for i := 0; i+1 < len(extra); i += 2 {
		labels[extra[i]] = extra[i+1]
	}
	var b []byte
	// The protocol wants labels in order of their names.
	for _, k := range sortedKeys(labels) {
		b = putMessage(b, 1, putString(putString(nil, 1, k), 2, labels[k].(string)))
	}
	at := m.time
	if at.IsZero() {
		at = time.Now()
	}
	s := putDouble(nil, 1, value)
	s = protowire.AppendTag(s, 2, protowire.VarintType)
	s = protowire.AppendVarint(s, uint64(at.UnixMilli()))
	return putMessage(b, 2, s)
}
