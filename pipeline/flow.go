package pipeline

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// Reading is one of the pipeline's own metrics: the rate per second of a counter, or the value of a gauge.
type Reading struct {
	Name   string
	Labels map[string]string
	Value  float64
}

// Where the figures of a flow come from.
const (
	FromStore      = "victoriametrics" // rates over the last minute
	FromComponents = "components"      // what agent and aggregators count themselves, between two looks
)

// Flow is what goes through each hop of the pipeline. Part of the contract in docs/reference/json.md.
type Flow struct {
	SchemaVersion int       `json:"schemaVersion"`
	At            time.Time `json:"at"`
	From          string    `json:"from"`  // FromStore or FromComponents
	Notes         []string  `json:"notes"` // what could not be had
	Hops          []Hop     `json:"hops"`
	Sources       []Part    `json:"sources"` // of agent and collector, the busiest first
}

// Hop is a component, or a replica of it, and what goes through it per second. A nil figure is one that is not known.
type Hop struct {
	Component string     `json:"component"`
	Replica   string     `json:"replica"` // the host name of its container where there are several, else ""
	In        *Rate      `json:"in"`
	Out       *Rate      `json:"out"`
	Requests  *float64   `json:"requestsPerSecond"` // of the balancer, which counts no events
	Errors    *float64   `json:"errorsPerSecond"`
	Lost      *float64   `json:"lostPerSecond"` // dropped although nobody asked for it
	Buffer    *Buffer    `json:"buffer"`        // the fullest
	LastSeen  *time.Time `json:"lastSeen"`      // when an event last came in
	Parts     []Part     `json:"parts"`
}

// Outputs are the parts that give events to others: sources and transforms.
func (h Hop) Outputs() []string {
	var ids []string
	for _, part := range h.Parts {
		if part.Kind != sink {
			ids = append(ids, part.ID)
		}
	}
	return ids
}

// Rate is what moves per second. Bytes are what Vector estimates an event to have as JSON; 0 where only events are counted.
type Rate struct {
	Events float64 `json:"eventsPerSecond"`
	Bytes  float64 `json:"bytesPerSecond"`
}

// Buffer is what waits before a sink, against the most that it may.
type Buffer struct {
	Fill   float64 `json:"fill"` // 0 to 1
	Events float64 `json:"events"`
	Bytes  float64 `json:"bytes"` // 0 where it is bounded by its events
}

// Part is a source, transform or sink of a component.
type Part struct {
	Hop      string     `json:"component"`
	ID       string     `json:"id"`
	Kind     string     `json:"kind"` // source, transform, sink
	Type     string     `json:"type"`
	In       *Rate      `json:"in"`
	Out      *Rate      `json:"out"`
	Errors   float64    `json:"errorsPerSecond"`
	Lost     float64    `json:"lostPerSecond"`
	Filtered float64    `json:"filteredPerSecond"` // dropped by a filter, which is its work
	Buffer   *Buffer    `json:"buffer"`
	LastSeen *time.Time `json:"lastSeen"`
}

// The jobs under which the pipeline's own metrics are stored, by the hop.
const (
	agentJob      = "vector-agent"
	aggregatorJob = "vector-aggregator"
	collectorJob  = "otel-collector"
	nginxJob      = "nginx"
)

// The kinds of a component's parts, in Vector's words.
const (
	source    = "source"
	transform = "transform"
	sink      = "sink"
)

const (
	agent      = "agent"
	aggregator = "aggregator"
	collector  = "collector"
	// counters and counters_page show what a component counts, to FlowOf among others, and are no part of the way.
	counters = "counters"
)

// lastSeenName is the name that FlowQuery gives to the time of a counter's last change.
const lastSeenName = "flow_last_seen"

// FlowQuery asks VictoriaMetrics for all readings of a flow at once, in MetricsQL. The figures are scraped every 15 s: over one
// minute a rate has four samples, and over less it would jump with each scrape.
func FlowQuery() string {
	return `union(
  rate({__name__=~"vector_component_((received|sent)_(events|event_bytes)|errors|discarded_events)_total",job=~"` + agentJob + `|` + aggregatorJob + `"}[1m]) keep_metric_names,
  last_over_time({__name__=~"vector_buffer_(max_)?size_(bytes|events)",job=~"` + agentJob + `|` + aggregatorJob + `"}[1m]),
  label_set(tlast_change_over_time(vector_component_received_events_total{component_kind="source",job=~"` + agentJob + `|` + aggregatorJob + `"}[1h]), "__name__", "` + lastSeenName + `"),
  rate(nginx_http_requests_total{job="` + nginxJob + `",instance="balancer"}[1m]) keep_metric_names,
  rate({__name__=~"otelcol_(receiver_(accepted|refused|failed)|exporter_(sent|send_failed|enqueue_failed))_(log_records|spans|metric_points)",job="` + collectorJob + `"}[1m]) keep_metric_names,
  last_over_time({__name__=~"otelcol_exporter_queue_(size|capacity)",job="` + collectorJob + `"}[1m])
)`
}

// FlowOf sorts readings into hops. It is pure: what the store or the components said is all that it knows.
func FlowOf(readings []Reading, from string, at time.Time) Flow {
	flow := Flow{SchemaVersion: 1, At: at.UTC(), From: from, Notes: []string{}, Hops: []Hop{}, Sources: []Part{}}
	flow.add(vectorHops(readings, agentJob, agent)...)
	flow.add(balancerHop(readings)...)
	flow.add(vectorHops(readings, aggregatorJob, aggregator)...)
	flow.add(collectorHop(readings)...)
	flow.add(storeHops(flow.Hops)...)
	for _, hop := range flow.Hops {
		if hop.Component != agent && hop.Component != collector {
			continue
		}
		for _, part := range hop.Parts {
			if part.Kind == source {
				flow.Sources = append(flow.Sources, part)
			}
		}
	}
	slices.SortStableFunc(flow.Sources, func(a, b Part) int { return cmp.Compare(events(b.In), events(a.In)) })
	return flow
}

func (f *Flow) add(hops ...Hop) { f.Hops = append(f.Hops, hops...) }

func events(rate *Rate) float64 {
	if rate == nil {
		return 0
	}
	return rate.Events
}

// counted is a part while its readings are read.
type counted struct {
	Part
	bytes, events, mostBytes, mostEvents float64 // of its buffer
}

// vectorHops are the containers of a component that runs Vector.
func vectorHops(readings []Reading, job, component string) []Hop {
	parts := map[string]map[string]*counted{} // by replica and id
	for _, r := range readings {
		// A buffer is named as its sink.
		id := cmp.Or(r.Labels["component_id"], r.Labels["buffer_id"])
		if r.Labels["job"] != job || id == "" || strings.HasPrefix(id, counters) {
			continue
		}
		// The host name of the container, which the aggregators' metrics carry.
		replica := r.Labels["replica"]
		if parts[replica] == nil {
			parts[replica] = map[string]*counted{}
		}
		if parts[replica][id] == nil {
			parts[replica][id] = &counted{Part: Part{Hop: component, ID: id}}
		}
		parts[replica][id].read(r)
	}
	var hops []Hop
	for _, replica := range slices.Sorted(maps.Keys(parts)) {
		hop := Hop{Component: component, Replica: replica, Parts: []Part{}}
		for _, id := range slices.Sorted(maps.Keys(parts[replica])) {
			hop.Parts = append(hop.Parts, parts[replica][id].part())
		}
		slices.SortStableFunc(hop.Parts, func(a, b Part) int { return cmp.Compare(place(a.Kind), place(b.Kind)) })
		hop.sum()
		hops = append(hops, hop)
	}
	return hops
}

// place is where a kind of part stands on the way through a component.
func place(kind string) int { return slices.Index([]string{source, transform, sink}, kind) }

func (c *counted) read(r Reading) {
	c.Kind = cmp.Or(c.Kind, r.Labels["component_kind"])
	c.Type = cmp.Or(c.Type, r.Labels["component_type"])
	switch r.Name {
	case "vector_component_received_events_total":
		rateOf(&c.In).Events += r.Value
	case "vector_component_received_event_bytes_total":
		rateOf(&c.In).Bytes += r.Value
	case "vector_component_sent_events_total":
		rateOf(&c.Out).Events += r.Value
	case "vector_component_sent_event_bytes_total":
		rateOf(&c.Out).Bytes += r.Value
	case "vector_component_errors_total":
		c.Errors += r.Value
	case "vector_component_discarded_events_total":
		if r.Labels["intentional"] == "true" {
			c.Filtered += r.Value
		} else {
			c.Lost += r.Value
		}
	case lastSeenName:
		at := time.UnixMilli(int64(r.Value * 1000)).UTC()
		c.LastSeen = later(c.LastSeen, &at)
	case "vector_buffer_size_bytes":
		c.bytes = r.Value
	case "vector_buffer_size_events":
		c.events = r.Value
	case "vector_buffer_max_size_bytes":
		c.mostBytes = r.Value
	case "vector_buffer_max_size_events":
		c.mostEvents = r.Value
	}
}

func rateOf(rate **Rate) *Rate {
	if *rate == nil {
		*rate = &Rate{}
	}
	return *rate
}

// part is what was counted. A buffer is bounded by bytes or by events, and has the most of that one alone.
func (c *counted) part() Part {
	part := c.Part
	switch {
	case c.mostBytes > 0:
		part.Buffer = &Buffer{Fill: min(1, c.bytes/c.mostBytes), Events: c.events, Bytes: c.bytes}
	case c.mostEvents > 0:
		part.Buffer = &Buffer{Fill: min(1, c.events/c.mostEvents), Events: c.events}
	}
	return part
}

// sum adds up what the parts of a component say: what its sources take and its sinks give.
func (h *Hop) sum() {
	errors, lost := 0.0, 0.0
	h.Errors, h.Lost = &errors, &lost
	for _, part := range h.Parts {
		errors += part.Errors
		lost += part.Lost
		switch {
		case part.Kind == sink:
			h.Out = plus(h.Out, part.Out)
			if part.Buffer != nil && (h.Buffer == nil || part.Buffer.Fill > h.Buffer.Fill) {
				h.Buffer = part.Buffer
			}
		// What an aggregator counts of itself came over no hop.
		case part.Kind == source && (h.Component != aggregator || part.Type != "internal_metrics"):
			h.In = plus(h.In, part.In)
			h.LastSeen = later(h.LastSeen, part.LastSeen)
		}
	}
}

// plus adds rates of which either may not be known.
func plus(a, b *Rate) *Rate {
	if b == nil {
		return a
	}
	sum := *b
	if a != nil {
		sum.Events += a.Events
		sum.Bytes += a.Bytes
	}
	return &sum
}

func later(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.After(*a) {
		return b
	}
	return a
}

// balancerHop is nginx, which counts requests.
func balancerHop(readings []Reading) []Hop {
	for _, r := range readings {
		if r.Name == "nginx_http_requests_total" {
			return []Hop{{Component: "balancer", Requests: &r.Value, Parts: []Part{}}}
		}
	}
	return nil
}

// storeHops are what the aggregators' sinks bring to each store: a sink is named as its store, or begins with its name.
func storeHops(hops []Hop) []Hop {
	stores := map[string]*Hop{}
	for _, hop := range hops {
		if hop.Component != aggregator {
			continue
		}
		for _, part := range hop.Parts {
			if part.Kind != sink {
				continue
			}
			name, _, _ := strings.Cut(part.ID, "_")
			if stores[name] == nil {
				stores[name] = &Hop{Component: name, Parts: []Part{}}
			}
			// A sink counts from the first event on; before it, it sent none.
			stores[name].In = plus(stores[name].In, cmp.Or(part.Out, &Rate{}))
		}
	}
	found := make([]Hop, 0, len(stores))
	for _, name := range slices.Sorted(maps.Keys(stores)) {
		found = append(found, *stores[name])
	}
	return found
}

// collectorHop is the OpenTelemetry collector of the profile otel. It names its counters by the signal and by the receiver or
// exporter: https://opentelemetry.io/docs/collector/internal-telemetry/
func collectorHop(readings []Reading) []Hop {
	parts := map[string]*counted{}
	for _, r := range readings {
		if r.Labels["job"] != collectorJob {
			continue
		}
		id, kind := r.Labels["receiver"], source
		if id == "" {
			id, kind = r.Labels["exporter"], sink
		}
		if parts[kind+id] == nil {
			parts[kind+id] = &counted{Part: Part{Hop: collector, ID: id, Kind: kind, Type: typeOf(id)}}
		}
		parts[kind+id].readCollector(r)
	}
	if len(parts) == 0 {
		return nil
	}
	hop := Hop{Component: collector, Parts: []Part{}}
	for _, key := range slices.Backward(slices.Sorted(maps.Keys(parts))) {
		hop.Parts = append(hop.Parts, parts[key].part())
	}
	hop.sum()
	return []Hop{hop}
}

// typeOf is the type of a collector's component, whose name is "type" or "type/name".
func typeOf(id string) string {
	name, _, _ := strings.Cut(id, "/")
	return name
}

func (c *counted) readCollector(r Reading) {
	name := strings.TrimPrefix(r.Name, "otelcol_")
	switch {
	case strings.HasPrefix(name, "receiver_accepted_"):
		rateOf(&c.In).Events += r.Value
	case strings.HasPrefix(name, "exporter_sent_"):
		rateOf(&c.Out).Events += r.Value
	// The sender was told, and has it still.
	case strings.HasPrefix(name, "receiver_refused_"), strings.HasPrefix(name, "receiver_failed_"):
		c.Errors += r.Value
	case strings.HasPrefix(name, "exporter_send_failed_"), strings.HasPrefix(name, "exporter_enqueue_failed_"):
		c.Lost += r.Value
	// One queue a signal: the fullest is the one to know of.
	case name == "exporter_queue_size":
		c.events = max(c.events, r.Value)
	case name == "exporter_queue_capacity":
		c.mostEvents = max(c.mostEvents, r.Value)
	}
}
