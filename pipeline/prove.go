// Package pipeline proves that data arrives: it sends marked events and looks for them where they should end.
package pipeline

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

// LogProbe is how a marked line is written at one end and looked for at the other.
type LogProbe struct {
	// Write makes a container print one line.
	Write func(ctx context.Context, line string) error
	// Find reports whether a line with the marker is in the store. Its error is kept as the reason when the proof
	// fails; it does not end the search, since a store that has no stream yet answers with one.
	Find func(ctx context.Context, marker string) (bool, error)
}

// Proof is a route that was seen to work.
type Proof struct {
	Marker string
	Took   time.Duration // from the line's writing to its being found
}

// NotArrivedError says that a marked line was written and not found in time.
type NotArrivedError struct {
	Marker string
	After  time.Duration
	Last   error // what the store said last, nil when it answered and had no such line
}

func (e *NotArrivedError) Error() string {
	if e.Last != nil {
		return fmt.Sprintf("a marked log line did not arrive in OpenObserve within %s: %v", e.After, e.Last)
	}
	return fmt.Sprintf("a marked log line did not arrive in OpenObserve within %s", e.After)
}

// Hint names the commands that show where it stopped.
func (e *NotArrivedError) Hint() string {
	return "see which component complains: docker telemetry logs agent aggregator"
}

func (e *NotArrivedError) Unwrap() error { return e.Last }

const (
	lookEvery = 100 * time.Millisecond
	// Only containers that appear after the agent has subscribed to the engine's events are sure to be read from
	// their first line, so one line that is lost proves nothing: it is written again.
	writeAgainAfter = 5 * time.Second
)

// ProveLogs writes marked lines and returns when one is found in the store, or with a *NotArrivedError.
func ProveLogs(ctx context.Context, probe LogProbe, timeout time.Duration) (Proof, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errTooLate)
	defer cancel()
	// At a level that the profile quiet-logs lets pass.
	marker := "level=warn probe-" + rand.Text()
	var last error
	for {
		written := time.Now()
		if err := probe.Write(ctx, marker); err != nil {
			if errors.Is(context.Cause(ctx), errTooLate) {
				return Proof{}, &NotArrivedError{Marker: marker, After: timeout, Last: err}
			}
			return Proof{}, fmt.Errorf("write the marked log line: %w", err)
		}
		for time.Since(written) < writeAgainAfter {
			found, err := probe.Find(ctx, marker)
			if found {
				return Proof{Marker: marker, Took: time.Since(written)}, nil
			}
			if ctx.Err() == nil {
				last = err
			}
			select {
			case <-ctx.Done():
				if errors.Is(context.Cause(ctx), errTooLate) {
					return Proof{}, &NotArrivedError{Marker: marker, After: time.Since(began).Round(time.Second), Last: last}
				}
				return Proof{}, ctx.Err()
			case <-time.After(lookEvery):
			}
		}
	}
}

var errTooLate = errors.New("too late")
