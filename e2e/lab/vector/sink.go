package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// abandoned is the outcome of a batch the end of the process cut off.
const abandoned outcome = 3

// permanentError is an answer that no retry changes: the batch is dropped.
type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

// sender speaks one sink's protocol. prepare runs in the order of the events; push may run for
// several payloads at once, and again for the same one. A push error is retried unless it is a
// permanentError.
type sender interface {
	prepare(events []event) (payload []byte, err error)
	push(ctx context.Context, payload []byte) error
	health(ctx context.Context) error // nil also when there is nothing to check
	endpoint() (protocol, address string)
}

// sink takes events from its buffer, batches them and sends each batch until it is settled.
type sink struct {
	c      *component
	conf   *sinkConf
	buf    buffer
	sender sender
	takes  dataType
	held   *item // the one that did not fit the batch before
}

// run ends when the buffer is closed and empty, and all its batches are settled. The end of ctx cuts
// retries off.
func (s *sink) run(ctx context.Context) {
	slots := make(chan struct{}, s.conf.request.concurrency)
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		batch, open := s.nextBatch(ctx)
		if len(batch) > 0 {
			slots <- struct{}{}
			wg.Add(1)
			payload, err := s.prepare(batch)
			go func() {
				defer wg.Done()
				defer func() { <-slots }()
				s.deliver(ctx, batch, payload, err)
			}()
		}
		if !open {
			return
		}
	}
}

// nextBatch collects items up to the limits or the timeout, which runs from the first item.
func (s *sink) nextBatch(ctx context.Context) (batch []item, open bool) {
	limit := s.conf.batch
	var timeout <-chan time.Time
	size := int64(0)
	add := func(it item) {
		batch, size = append(batch, it), size+int64(it.size)
		if len(batch) == 1 {
			timeout = time.After(limit.timeout)
		}
	}
	if s.held != nil {
		add(*s.held)
		s.held = nil
	}
	for int64(len(batch)) < limit.events && size < limit.bytes {
		select {
		case it, ok := <-s.buf.items():
			if !ok {
				return batch, false
			}
			s.buf.took(it)
			if !s.fits(it) {
				continue
			}
			if len(batch) > 0 && size+int64(it.size) > limit.bytes {
				s.held = &it
				return batch, true
			}
			add(it)
		case <-timeout:
			return batch, true
		case <-ctx.Done():
			for _, it := range batch {
				it.done(abandoned)
			}
			return nil, false
		}
	}
	return batch, true
}

// fits settles what the sink cannot send: a record the buffer could not decode, and an event of the
// other kind, which Vector discards too.
func (s *sink) fits(it item) bool {
	switch {
	case it.event.log == nil && it.event.metric == nil:
		it.done(rejected)
	case it.event.log != nil && s.takes&logData == 0, it.event.metric != nil && s.takes&metricData == 0:
		s.c.discarded(1, "false")
		s.c.log.fail(s.c.target(), "Event of the wrong data type discarded.", "component_id", s.c.id, "takes", s.takes)
		it.done(rejected)
	default:
		return true
	}
	return false
}

func eventsOf(batch []item) []event {
	events := make([]event, len(batch))
	for i, it := range batch {
		events[i] = it.event
	}
	return events
}

func (s *sink) prepare(batch []item) ([]byte, error) {
	events := eventsOf(batch)
	s.c.received(events)
	return s.sender.prepare(events)
}

func (s *sink) deliver(ctx context.Context, batch []item, payload []byte, err error) {
	if err == nil {
		err = s.retry(ctx, payload)
	}
	result := delivered
	switch {
	case err == nil:
		s.c.sent(eventsOf(batch), "")
		protocol, address := s.sender.endpoint()
		s.c.count("component_sent_bytes_total", len(payload), "protocol", protocol, "endpoint", address)
	case ctx.Err() != nil:
		result = abandoned
	default:
		result = errored
		if errors.As(err, &permanentError{}) {
			result = rejected
		}
		s.c.failed("Service call failed. No retries or retries exhausted.", err, "request_failed", "sending")
		s.c.log.fail(s.c.target(), "Events dropped", "intentional", false, "count", len(batch), "component_id", s.c.id)
		s.c.discarded(len(batch), "false")
	}
	for _, it := range batch {
		it.done(result)
	}
}

// retry pushes until it works, the answer is final, the attempts are used up or ctx ends.
func (s *sink) retry(ctx context.Context, payload []byte) error {
	wait := newBackoff(s.conf.request)
	for attempt := int64(0); ; attempt++ {
		one, cancel := context.WithTimeout(ctx, s.conf.request.timeout)
		err := s.sender.push(one, payload)
		timedOut := one.Err() != nil && ctx.Err() == nil
		cancel()
		if err == nil || errors.As(err, &permanentError{}) || attempt >= s.conf.request.attempts {
			return err
		}
		if timedOut && s.conf.retry.mode == "none" {
			return permanentError{err}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		msg := "Retrying after error."
		if timedOut {
			msg = "Request timed out. If this happens often while the events are actually reaching their destination, try decreasing `batch.max_bytes` and/or using `compression` if applicable. Alternatively `request.timeout_secs` can be increased."
		}
		s.c.log.warn(s.c.target(), msg, "component_id", s.c.id, "error", err)
		select {
		case <-time.After(wait.next()):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// backoff is Vector's: Fibonacci from the initial wait up to the longest, and with full jitter
// anything between 1 ms and that.
type backoff struct {
	previous, current, longest time.Duration
	jitter                     bool
}

func newBackoff(r requestConf) *backoff {
	return &backoff{current: min(r.initial, r.longest), longest: r.longest, jitter: r.jitter}
}

func (b *backoff) next() time.Duration {
	d := b.current
	b.previous, b.current = b.current, min(b.previous+b.current, b.longest)
	if b.jitter {
		return time.Duration(rand.Int64N(max(d.Milliseconds(), 1))+1) * time.Millisecond
	}
	return d
}

// retryTable decides which HTTP status is worth another try.
type retryTable struct {
	mode  string // default, none, all, custom
	codes []int
}

func (t retryTable) retries(status int) bool {
	switch t.mode {
	case "none":
		return false
	case "all":
		return true
	case "custom":
		return slices.Contains(t.codes, status)
	}
	return status == 408 || status == 429 || (status >= 500 && status <= 599 && status != 501)
}
