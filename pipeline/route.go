// Package pipeline proves that data arrives: routes of hops, marked events that are sent on them, and why one is not seen.
package pipeline

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Route is one way that data takes through the stack, hop by hop in the order of the data.
type Route struct {
	Name  string
	About string // what it proves, for people
	Hops  []RouteHop
}

// RouteHop is a place that an event passes.
type RouteHop struct {
	Name      string // "aggregator-2"
	Component string // "aggregator"
	// Watch returns when the marked event was seen here. When the context ends before, it returns why it was not; a
	// *DownError before that is final. It is called once.
	Watch func(ctx context.Context) (Sighting, error)
}

// Sighting is an event that was seen at a hop.
type Sighting struct {
	Latency time.Duration // since the hop before; 0 where it cannot be told
	// Held: it was taken here, and not seen to have been sent on. A later hop that is silent explains that.
	Held bool
}

// DownError is a reason that no waiting changes: the component is stopped, a certificate is wrong.
type DownError struct{ Err error }

func (e *DownError) Error() string { return e.Err.Error() }
func (e *DownError) Unwrap() error { return e.Err }

// ErrNothingCame says that a hop could not be judged, because nothing came to it.
var ErrNothingCame = errors.New("nothing came here")

// errSentNothingOn is said of a hop that took the event and is not explained by a later one.
var errSentNothingOn = errors.New("it took the marked event and sent nothing on")

// State of a hop, and of a route.
type State string

// A hop is passed, silent, or unknown because the route stops before it.
const (
	Passed  State = "passed"
	Silent  State = "silent"
	Unknown State = "unknown"
)

// HopResult is what became of the marked event at a hop.
type HopResult struct {
	Name      string
	Component string
	State     State
	Latency   time.Duration
	Err       error // why it is silent
	held      bool
}

// RouteResult is a route that was looked at.
type RouteResult struct {
	Name, About string
	Hops        []HopResult
	Took        time.Duration
	Cause       *Cause // nil where the route is proven
}

// Proven reports whether every hop passed the event.
func (r RouteResult) Proven() bool { return r.silent() < 0 }

func (r RouteResult) silent() int {
	return slices.IndexFunc(r.Hops, func(hop HopResult) bool { return hop.State == Silent })
}

// Broken returns the hop that the route stops at, nil where it is proven.
func (r RouteResult) Broken() *HopResult {
	if at := r.silent(); at >= 0 {
		return &r.Hops[at]
	}
	return nil
}

// explainIn bounds the search for a cause; grace is what the other hops have left once one is known to be down.
const (
	explainIn = 10 * time.Second
	grace     = 3 * time.Second
)

// Verify looks at all routes at once and returns when each is proven or has a silent hop, with what explain says of
// that. done hears of each route as it ends, from one goroutine at a time. The error is the context's.
func Verify(ctx context.Context, routes []Route, timeout time.Duration, explain func(context.Context, Route, HopResult) Cause, done func(RouteResult)) ([]RouteResult, error) {
	results := make([]RouteResult, len(routes))
	var (
		wait  sync.WaitGroup
		mutex sync.Mutex
	)
	for i, route := range routes {
		wait.Go(func() {
			result := verifyRoute(ctx, route, timeout)
			if broken := result.Broken(); broken != nil && ctx.Err() == nil {
				asking, cancel := context.WithTimeout(ctx, explainIn)
				cause := explain(asking, route, *broken)
				cancel()
				result.Cause = &cause
			}
			mutex.Lock()
			defer mutex.Unlock()
			results[i] = result
			if ctx.Err() == nil {
				done(result)
			}
		})
	}
	wait.Wait()
	return results, ctx.Err()
}

func verifyRoute(ctx context.Context, route Route, timeout time.Duration) RouteResult {
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errTooLate)
	defer cancel()
	look := routeLook{hops: make([]HopResult, len(route.Hops)), cancel: cancel}
	var wait sync.WaitGroup
	for i, hop := range route.Hops {
		wait.Go(func() {
			sighting, err := hop.Watch(ctx)
			result := HopResult{Name: hop.Name, Component: hop.Component, State: Passed, Latency: sighting.Latency, held: sighting.Held}
			var down *DownError
			final := errors.As(err, &down)
			switch {
			case err == nil:
			case !final && (errors.Is(err, ErrNothingCame) || ctx.Err() != nil && !errors.Is(context.Cause(ctx), errTooLate)):
				result.State = Unknown
			default:
				result.State, result.Err = Silent, err
			}
			look.end(i, result, final)
		})
	}
	wait.Wait()
	return RouteResult{Name: route.Name, About: route.About, Hops: judge(look.hops), Took: time.Since(began)}
}

// routeLook is a route that is being looked at.
type routeLook struct {
	mutex  sync.Mutex
	hops   []HopResult
	downs  []int // hops that are silent for good
	cancel context.CancelFunc
}

// end keeps what became of a hop. What comes after one that is down cannot be seen any more; what comes before may just be
// about to be, and has a while for it.
func (l *routeLook) end(at int, result HopResult, down bool) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.hops[at] = result
	if down {
		l.downs = append(l.downs, at)
		time.AfterFunc(grace, l.cancel)
	}
	if len(l.downs) == 0 {
		return
	}
	before := l.hops[:slices.Min(l.downs)]
	if !slices.ContainsFunc(before, func(hop HopResult) bool { return hop.State == "" }) {
		l.cancel()
	}
}

// judge finds the one hop that the route stops at. What was seen behind it was seen by other means than the event, and is
// left out.
func judge(hops []HopResult) []HopResult {
	at := slices.IndexFunc(hops, func(hop HopResult) bool { return hop.State == Silent })
	if at < 0 {
		at = lastHeld(hops)
	}
	if at < 0 {
		at = slices.IndexFunc(hops, func(hop HopResult) bool { return hop.State == Unknown })
	}
	if at < 0 {
		return hops
	}
	switch hops[at].State {
	case Passed:
		hops[at].State, hops[at].Err = Silent, errSentNothingOn
	case Unknown:
		hops[at].State, hops[at].Err = Silent, ErrNothingCame
	}
	for i := at + 1; i < len(hops); i++ {
		hops[i] = HopResult{Name: hops[i].Name, Component: hops[i].Component, State: Unknown}
	}
	return hops
}

// lastHeld is where the event stopped, the first of replicas that all hold theirs; -1 where it stopped nowhere.
func lastHeld(hops []HopResult) int {
	at := -1
	for i, hop := range hops {
		if hop.State == Passed && hop.held && (at < 0 || hops[at].Component != hop.Component) {
			at = i
		}
	}
	return at
}

// Outcome is something that one goroutine brings about and others wait for.
type Outcome[T any] struct {
	mutex sync.Mutex
	done  chan struct{}
	value T
	last  error
}

// NewOutcome returns one that is open.
func NewOutcome[T any]() *Outcome[T] { return &Outcome[T]{done: make(chan struct{})} }

// Settle ends the waiting; only the first counts.
func (o *Outcome[T]) Settle(value T) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	select {
	case <-o.done:
	default:
		o.value = value
		close(o.done)
	}
}

// Note keeps a reason for the case that it never comes about; nil is "no reason is known".
func (o *Outcome[T]) Note(err error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.last = err
}

// Wait returns the value, or when the context ends the last reason noted.
func (o *Outcome[T]) Wait(ctx context.Context) (T, error) {
	select {
	case <-o.done:
		return o.value, nil
	case <-ctx.Done():
	}
	o.mutex.Lock()
	defer o.mutex.Unlock()
	select {
	case <-o.done:
		return o.value, nil
	default:
	}
	if o.last != nil {
		return o.value, o.last
	}
	return o.value, ctx.Err()
}

// Settled returns the value where there is one by now.
func (o *Outcome[T]) Settled() (T, bool) {
	select {
	case <-o.done:
		return o.value, true
	default:
		var none T
		return none, false
	}
}

// Until calls try every so often until it holds, fails for good, or the context ends; then it returns the last reason.
func Until(ctx context.Context, every time.Duration, try func(context.Context) error) error {
	var last error
	for {
		err := try(ctx)
		var down *DownError
		if err == nil || errors.As(err, &down) {
			return err
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		if !pause(ctx, every) {
			return last
		}
	}
}

var errTooLate = errors.New("too late")

// pause reports whether the context is still good after a while.
func pause(ctx context.Context, after time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(after):
		return true
	}
}
