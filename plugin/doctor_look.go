package plugin

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/docker-telemetry/docker-telemetry/doctor"
)

const (
	// looksAtOnce bounds what is asked of an engine and of the stores at a time.
	looksAtOnce = 4
	// lookWithin ends a look: what does not answer by then is a finding of its own. Reading a configuration takes nginx
	// milliseconds and the collector a second or two on a busy machine.
	lookWithin = 20 * time.Second
)

// look is a fact that is asked for.
type look struct {
	name string // for the progress
	// find asks, and returns what it puts into the facts.
	find func(ctx context.Context) func(*doctor.Facts)
}

// lookFor is a look whose answer, or the reason why there is none, becomes a fact.
func lookFor[T any](name string, into func(*doctor.Facts) *doctor.Fact[T], ask func(ctx context.Context) (T, error)) look {
	return look{name: name, find: func(ctx context.Context) func(*doctor.Facts) {
		value, err := ask(ctx)
		switch {
		case errors.Is(err, errNotAsked):
			return func(*doctor.Facts) {}
		case err != nil:
			why := causeOf(ctx, err)
			return func(f *doctor.Facts) { *into(f) = doctor.Unknown[T](why) }
		default:
			return func(f *doctor.Facts) { *into(f) = doctor.Know(value) }
		}
	}}
}

// errNotAsked leaves a fact out: there is nothing to look at.
var errNotAsked = errors.New("not asked")

func causeOf(ctx context.Context, err error) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Sprintf("no answer within %s", lookWithin)
	}
	// The address is that of the gateway, which everybody knows.
	var asking *url.Error
	if errors.As(err, &asking) {
		if asking.Timeout() {
			return "no answer in time"
		}
		err = asking.Err
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}

// each does some things, a few at a time, each within its time. It ends early only with its own context.
func (s *session) each(ctx context.Context, count int, do func(ctx context.Context, i int)) error {
	var group errgroup.Group
	group.SetLimit(looksAtOnce)
	for i := range count {
		group.Go(func() error {
			within, cancel := context.WithTimeout(ctx, lookWithin)
			defer cancel()
			do(within, i)
			return ctx.Err()
		})
	}
	return group.Wait()
}

// lookAt takes looks, a few at a time, each within its time. It ends early only with its own context.
func (s *session) lookAt(ctx context.Context, facts *doctor.Facts, looks []look) error {
	var mu sync.Mutex
	return s.each(ctx, len(looks), func(within context.Context, i int) {
		id := "Check: " + looks[i].name
		s.progress.Waiting(id)
		put := looks[i].find(within)
		if ctx.Err() != nil {
			s.progress.Failed(id)
			return
		}
		s.progress.Found(id)
		mu.Lock()
		defer mu.Unlock()
		put(facts)
	})
}
