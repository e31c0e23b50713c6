package main

import (
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// number is a float that many goroutines add to or set.
type number struct{ bits atomic.Uint64 }

func (n *number) add(v float64) {
	for {
		old := n.bits.Load()
		if n.bits.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v)) {
			return
		}
	}
}

func (n *number) set(v float64)  { n.bits.Store(math.Float64bits(v)) }
func (n *number) value() float64 { return math.Float64frombits(n.bits.Load()) }

type series struct {
	name  string
	tags  map[string]string
	gauge bool
	read  func() float64
	n     *number
}

// registry holds the numbers the internal_metrics source emits. A series exists from its first use,
// as in Vector: a component that never failed has no errors_total.
type registry struct {
	mu     sync.Mutex
	series map[string]*series
	taps   taps
}

func newRegistry() *registry { return &registry{series: map[string]*series{}} }

func (r *registry) get(gauge bool, name string, tags []string) *number {
	key := name + "\x00" + strings.Join(tags, "\x00")
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.series[key]
	if s == nil {
		s = &series{name: name, tags: pairs(tags), gauge: gauge, n: &number{}}
		s.read = s.n.value
		r.series[key] = s
	}
	return s.n
}

func pairs(kv []string) map[string]string {
	m := make(map[string]string, len(kv)/2)
	for i := 0; i+1 < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return m
}

// gaugeFunc registers a gauge read at each capture.
func (r *registry) gaugeFunc(name string, read func() float64, tags ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.series[name+"\x00"+strings.Join(tags, "\x00")] = &series{name: name, tags: pairs(tags), gauge: true, read: read}
}

// capture returns every series as a metric in the namespace, ordered by name.
func (r *registry) capture(namespace string, now time.Time) []event {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := make([]event, 0, len(r.series)+1)
	for _, s := range r.series {
		m := &metric{namespace: namespace, name: s.name, time: now, kind: absolute, tags: make(map[string]string, len(s.tags)+2)}
		for k, v := range s.tags {
			m.tags[k] = v
		}
		m.value = counterValue(s.read())
		if s.gauge {
			m.value = gaugeValue(s.read())
		}
		events = append(events, event{metric: m})
	}
	slices.SortFunc(events, func(a, b event) int { return strings.Compare(a.metric.name, b.metric.name) })
	return events
}

// component names the instance that counts; every number carries its three tags.
type component struct {
	id, kind, typ string
	reg           *registry
	log           *logger
}

func (c *component) tags(extra ...string) []string {
	return append([]string{"component_id", c.id, "component_kind", c.kind, "component_type", c.typ}, extra...)
}

func (c *component) count(name string, n int, extra ...string) {
	c.reg.get(false, name, c.tags(extra...)).add(float64(n))
}

func (c *component) received(events []event) {
	c.count("component_received_events_total", len(events))
	c.count("component_received_event_bytes_total", sizeOf(events))
}

func (c *component) sent(events []event, name string) {
	var output []string
	if c.kind != "sink" {
		output = []string{"output", name}
	}
	c.count("component_sent_events_total", len(events), output...)
	c.count("component_sent_event_bytes_total", sizeOf(events), output...)
}

func (c *component) discarded(n int, intentional string) {
	c.count("component_discarded_events_total", n, "intentional", intentional)
}

// failed logs err under Vector's target for the component and counts it.
func (c *component) failed(msg string, err error, errorType, stage string, kv ...any) {
	c.count("component_errors_total", 1, "error_type", errorType, "stage", stage)
	kv = append([]any{"component_id", c.id, "error", err, "error_type", errorType, "stage", stage}, kv...)
	c.log.fail(c.target(), msg, kv...)
}

func (c *component) target() string { return c.kind + "s::" + c.typ }
