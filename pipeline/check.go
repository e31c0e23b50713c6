package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Check is one promise of the running profiles: what is sent, and how it is seen to have arrived.
type Check struct {
	Name string
	// Send sends the marked event; nil where the pipeline makes the data by itself. It is tried until it succeeds, since
	// what listens may have started a moment ago, and again when the event did not arrive.
	Send func(ctx context.Context) error
	// Find reports whether the data is in its store. Its error is kept as the reason, as that of LogProbe is.
	Find func(ctx context.Context) (bool, error)
}

// UnprovenError names the checks whose data was not seen in time.
type UnprovenError struct {
	After  time.Duration
	Failed []Failure // in the order of the checks
}

// Failure is a check that did not hold, with what was said last; Last is nil when the store answered and had nothing.
type Failure struct {
	Name string
	Last error
}

func (e *UnprovenError) Error() string {
	words := make([]string, 0, len(e.Failed))
	for _, failure := range e.Failed {
		word := failure.Name
		if failure.Last != nil {
			word += " (" + failure.Last.Error() + ")"
		}
		words = append(words, word)
	}
	return fmt.Sprintf("not proven within %s: %s", e.After, strings.Join(words, "; "))
}

// Hint names the command that shows where it stopped.
func (e *UnprovenError) Hint() string { return "see which component complains: docker telemetry logs" }

const (
	checkEvery = 250 * time.Millisecond
	// A lost event proves nothing, as with log lines; a scrape may have been under way when its target started.
	sendAgainAfter = 10 * time.Second
)

// ProveChecks runs all checks at once and calls held for each that does, with the time since the call, from one goroutine
// at a time. It ends when every check held, with an *UnprovenError at the timeout, or with the context's error.
func ProveChecks(ctx context.Context, checks []Check, timeout time.Duration, held func(Check, time.Duration)) error {
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errTooLate)
	defer cancel()
	var (
		wait   sync.WaitGroup
		mutex  sync.Mutex
		failed = make([]*Failure, len(checks))
	)
	for i, check := range checks {
		wait.Go(func() {
			err := proveCheck(ctx, check)
			mutex.Lock()
			defer mutex.Unlock()
			if err != nil {
				failed[i] = &Failure{Name: check.Name, Last: err.last}
				return
			}
			held(check, time.Since(began))
		})
	}
	wait.Wait()
	unproven := &UnprovenError{After: timeout}
	for _, failure := range failed {
		if failure != nil {
			unproven.Failed = append(unproven.Failed, *failure)
		}
	}
	switch {
	case len(unproven.Failed) == 0:
		return nil
	case errors.Is(context.Cause(ctx), errTooLate):
		return unproven
	default:
		return ctx.Err()
	}
}

// notHeld is a check that the context ended.
type notHeld struct{ last error }

func proveCheck(ctx context.Context, check Check) *notHeld {
	var last error
	for {
		err := sendCheck(ctx, check)
		for sent := time.Now(); err == nil && time.Since(sent) < sendAgainAfter; {
			found, findErr := check.Find(ctx)
			if found {
				return nil
			}
			if ctx.Err() != nil {
				return &notHeld{last}
			}
			last = findErr
			if !pause(ctx, checkEvery) {
				return &notHeld{last}
			}
		}
		if err != nil && ctx.Err() == nil {
			last = err
		}
		if !pause(ctx, checkEvery) {
			return &notHeld{last}
		}
	}
}

func sendCheck(ctx context.Context, check Check) error {
	if check.Send == nil {
		return nil
	}
	return check.Send(ctx)
}

// pause reports whether the context is still good after a while.
func pause(ctx context.Context, after time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(after):
		return true
	}
}
