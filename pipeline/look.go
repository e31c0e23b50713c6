package pipeline

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Looker makes the flow of now, from the store, or from the components themselves where the store is what is broken.
type Looker struct {
	// Query asks the store of metrics.
	Query func(ctx context.Context, query string) ([]Reading, error)
	// Counters are what the components show of themselves; notes are about those that do not.
	Counters func(ctx context.Context) (counters []Counter, notes []string, err error)
	Now      func() time.Time
	// Between is how long it waits for a second look at counters that it has not seen before.
	Between time.Duration

	meter Meter
}

// CountersEvery is how often a component writes what it counts (counters.yaml).
const CountersEvery = 5 * time.Second

// answersIn is the patience with the store: a screen that stands still tells nothing.
const answersIn = 5 * time.Second

// Look returns the flow of now. It fails where neither the store nor any component answers.
func (l *Looker) Look(ctx context.Context) (Flow, error) {
	readings, why := l.ask(ctx)
	if why == "" {
		return FlowOf(readings, FromStore, l.Now()), nil
	}
	counters, notes, err := l.Counters(ctx)
	if err == nil && l.meter.fresh() {
		// One look has no rates.
		l.meter.Read(counters)
		select {
		case <-ctx.Done():
			return Flow{}, ctx.Err()
		case <-time.After(l.Between):
		}
		counters, notes, err = l.Counters(ctx)
	}
	if err != nil {
		return Flow{}, err
	}
	flow := FlowOf(l.meter.Read(counters), FromComponents, l.Now())
	flow.Notes = append([]string{why}, notes...)
	return flow, nil
}

// ask returns the store's readings, or why they are of no use: without one of the agent within a minute, the way of the
// metrics is broken somewhere, and what the store has of others is half of it.
func (l *Looker) ask(ctx context.Context) (readings []Reading, why string) {
	asking, cancel := context.WithTimeoutCause(ctx, answersIn, fmt.Errorf("no answer within %s", answersIn))
	defer cancel()
	readings, err := l.Query(asking, FlowQuery())
	switch {
	case err != nil:
		return nil, "VictoriaMetrics cannot be asked, so the components are: " + err.Error()
	case !slices.ContainsFunc(readings, func(r Reading) bool { return r.Labels["job"] == agentJob }):
		return nil, "no metrics of the agent reached VictoriaMetrics within a minute, so the components are asked"
	default:
		return readings, ""
	}
}
