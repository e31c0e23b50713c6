package main

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

// event is a log or a metric on its way through the graph; exactly one of the two is set.
type event struct {
	log    map[string]any // values: string, int64, float64, bool, nil, time.Time, map[string]any, []any
	metric *metric
	ack    *delivery
}

type metricKind int

const (
	incremental metricKind = iota
	absolute
)

// metric is one series with its value. The value is one of counter, gauge, set, distribution,
// histogram or summary.
type metric struct {
	namespace, name string
	time            time.Time // zero: none
	kind            metricKind
	intervalMS      uint32
	tags            map[string]string
	value           any
}

type (
	counterValue float64
	gaugeValue   float64
	setValue     []string
	sample       struct {
		value float64
		rate  uint32
	}
	distributionValue struct {
		samples []sample
		summary bool
	}
	bucket struct {
		limit float64
		count uint64 // of this bucket alone, not cumulative
	}
	histogramValue struct {
		buckets []bucket
		count   uint64
		sum     float64
	}
	quantile     struct{ quantile, value float64 }
	summaryValue struct {
		quantiles []quantile
		count     uint64
		sum       float64
	}
)

func (m *metric) fullName() string {
	if m.namespace == "" {
		return m.name
	}
	return m.namespace + "_" + m.name
}

func (m *metric) sortedTags() []string { return slices.Sorted(maps.Keys(m.tags)) }

// clone copies what transforms may change, so that two consumers of one source do not share a map.
func (e event) clone() event {
	if e.metric != nil {
		m := *e.metric
		m.tags = maps.Clone(e.metric.tags)
		return event{metric: &m, ack: e.ack}
	}
	return event{log: cloneValue(e.log).(map[string]any), ack: e.ack}
}

func cloneValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = cloneValue(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = cloneValue(e)
		}
		return out
	}
	return v
}

// size estimates the JSON length in bytes, the unit Vector uses for event bytes and batch limits.
func (e event) size() int {
	if e.metric == nil {
		return valueSize(e.log)
	}
	m := e.metric
	n := len(m.name) + len(m.namespace) + 60
	for k, v := range m.tags {
		n += len(k) + len(v) + 6
	}
	switch v := m.value.(type) {
	case histogramValue:
		n += 30 * len(v.buckets)
	case summaryValue:
		n += 30 * len(v.quantiles)
	case distributionValue:
		n += 24 * len(v.samples)
	case setValue:
		for _, s := range v {
			n += len(s) + 3
		}
	}
	return n
}

func valueSize(v any) int {
	switch v := v.(type) {
	case string:
		return len(v) + 2
	case map[string]any:
		n := 2
		for k, e := range v {
			n += len(k) + 4 + valueSize(e)
		}
		return n
	case []any:
		n := 2
		for _, e := range v {
			n += 1 + valueSize(e)
		}
		return n
	case time.Time:
		return 32
	case nil:
		return 4
	}
	return 8
}

func sizeOf(events []event) int {
	n := 0
	for _, e := range events {
		n += e.size()
	}
	return n
}

type outcome int32

const (
	delivered outcome = iota
	errored           // worth another try: the source tells its client to send again
	rejected          // never acceptable: the client must drop it
)

// delivery is the acknowledgement of one source batch: done closes once every event that carries it
// was settled, and worst then holds the worst outcome. A nil delivery accepts every call.
type delivery struct {
	open  atomic.Int64
	worst atomic.Int32
	done  chan struct{}
}

// newDelivery starts with one hold, released by the source after it sent all events: without it
// the first settled event could close the batch while others are still on their way.
func newDelivery() *delivery {
	d := &delivery{done: make(chan struct{})}
	d.open.Store(1)
	return d
}

func (d *delivery) hold(n int) {
	if d != nil {
		d.open.Add(int64(n))
	}
}

func (d *delivery) settle(o outcome) {
	if d == nil {
		return
	}
	for {
		w := d.worst.Load()
		if int32(o) <= w || d.worst.CompareAndSwap(w, int32(o)) {
			break
		}
	}
	if d.open.Add(-1) == 0 {
		close(d.done)
	}
}

func settleAll(events []event, o outcome) {
	for _, e := range events {
		e.ack.settle(o)
	}
}
