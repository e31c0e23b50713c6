package main

import (
	"context"
	"sync/atomic"
)

// item is one event handed to a sink. done must be called exactly once.
type item struct {
	event event
	size  int
	done  func(outcome)
}

// buffer stands between the graph and a sink. put takes the events over, with their
// acknowledgements; items is closed once close was called and everything was handed out.
type buffer interface {
	put(ctx context.Context, events []event) error
	items() <-chan item
	took(item)
	close() error
}

// bufferStats are Vector's buffer_* numbers of one sink.
type bufferStats struct {
	c             *component
	events, bytes atomic.Int64
}

func newBufferStats(c *component, conf bufferConf) *bufferStats {
	s := &bufferStats{c: c}
	c.reg.gaugeFunc("buffer_size_events", func() float64 { return float64(s.events.Load()) }, s.tags()...)
	c.reg.gaugeFunc("buffer_size_bytes", func() float64 { return float64(s.bytes.Load()) }, s.tags()...)
	limit, name := float64(conf.maxEvents), "buffer_max_size_events"
	if conf.disk {
		limit, name = float64(conf.maxSize), "buffer_max_size_bytes"
	}
	c.reg.gaugeFunc(name, func() float64 { return limit }, s.tags()...)
	return s
}

func (s *bufferStats) tags(extra ...string) []string {
	return s.c.tags(append([]string{"buffer_id", s.c.id, "stage", "0"}, extra...)...)
}

func (s *bufferStats) in(events, bytes int) {
	s.c.reg.get(false, "buffer_received_events_total", s.tags()).add(float64(events))
	s.c.reg.get(false, "buffer_received_bytes_total", s.tags()).add(float64(bytes))
	s.events.Add(int64(events))
	s.bytes.Add(int64(bytes))
}

func (s *bufferStats) out(events, bytes int) {
	s.c.reg.get(false, "buffer_sent_events_total", s.tags()).add(float64(events))
	s.c.reg.get(false, "buffer_sent_bytes_total", s.tags()).add(float64(bytes))
	s.events.Add(int64(-events))
	s.bytes.Add(int64(-bytes))
}

func (s *bufferStats) dropped(events, bytes int) {
	tags := s.tags("intentional", "true")
	s.c.reg.get(false, "buffer_discarded_events_total", tags).add(float64(events))
	s.c.reg.get(false, "buffer_discarded_bytes_total", tags).add(float64(bytes))
	// Vector counts a full buffer's loss twice: for the buffer and for its component.
	s.c.discarded(events, "true")
}

// memoryBuffer holds up to max_events in a channel.
type memoryBuffer struct {
	queue chan item
	drop  bool
	ack   bool
	stats *bufferStats
}

func newMemoryBuffer(conf bufferConf, ack bool, c *component) *memoryBuffer {
	return &memoryBuffer{queue: make(chan item, conf.maxEvents), drop: conf.drop, ack: ack, stats: newBufferStats(c, conf)}
}

// put blocks while the buffer is full, or drops the rest with drop_newest. A dropped event counts
// as delivered: its loss is configured, and another try would meet the same buffer.
func (b *memoryBuffer) put(ctx context.Context, events []event) error {
	for i, e := range events {
		it := item{event: e, size: e.size(), done: e.ack.settle}
		if !b.ack {
			e.ack.settle(delivered)
			it.done = func(outcome) {}
		}
		// Counted before the send: the reader may take it away at once.
		b.stats.in(1, it.size)
		select {
		case b.queue <- it:
			continue
		default:
		}
		if b.drop {
			b.stats.uncount(it)
			b.stats.dropped(1, it.size)
			it.done(delivered)
			continue
		}
		select {
		case b.queue <- it:
		case <-ctx.Done():
			b.stats.uncount(it)
			it.done(errored)
			settleAll(events[i+1:], errored)
			return ctx.Err()
		}
	}
	return nil
}

// uncount takes an event off the gauges that never entered the queue.
func (s *bufferStats) uncount(it item) {
	s.events.Add(-1)
	s.bytes.Add(int64(-it.size))
}

func (b *memoryBuffer) items() <-chan item { return b.queue }
func (b *memoryBuffer) took(it item)       { b.stats.out(1, it.size) }
func (b *memoryBuffer) close() error       { close(b.queue); return nil }
