package rules

import (
	"context"
	"fmt"
	"time"

	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// Store answers queries as of now. Each of them counts as a read of the metric.
type Store interface {
	QueryLatest(ctx context.Context, expression string) ([]victoriametrics.Sample, error)
}

// counted is the time in which each series that lives gets a sample: scrapes are 15 s apart, aggregated ones 30 s.
const counted = "1m"

// Living counts the series of a metric that got a sample lately.
func Living(ctx context.Context, store Store, metric string) (int, error) {
	return count(ctx, store, fmt.Sprintf("last_over_time(%s[%s])", victoriametrics.Selector(metric), counted))
}

// Reached reports whether a sample of the rule's metric has lately come to a Transform, by what the agent says of itself. A
// metric may come to the store by another way, and then the rule does nothing.
func Reached(ctx context.Context, store Store, rule Rule) (bool, error) {
	samples, err := store.QueryLatest(ctx, fmt.Sprintf("sum(last_over_time(vector_component_received_events_total{job=%q,component_id=%q}[%s])) > 0",
		"vector-agent", componentID(rule.Name, 0), counted))
	return len(samples) > 0, err
}

// Arrivals are the series of a metric that were new in a time.
type Arrivals struct {
	Series  int // counted: with a first sample in that time, and none in the hour before it
	Seconds float64
	PerHour float64
	// Extrapolated says that PerHour is Series times the hours of that time, and not counted over an hour.
	Extrapolated bool
	// Young: the metric itself had no sample before that time, so that all of its series are new.
	Young bool
}

// before is how long a series must have been silent to count as new.
const before = time.Hour

// Arrived counts the series of a metric that are new since some time ago. The store's clock decides, not this machine's, and
// the store's index cannot be asked: it knows of days only.
func Arrived(ctx context.Context, store Store, metric string, since time.Duration) (Arrivals, error) {
	seconds := since.Seconds()
	first := fmt.Sprintf("tfirst_over_time(%s[%.0fs])", victoriametrics.Selector(metric), seconds+before.Seconds())
	fresh, err := count(ctx, store, fmt.Sprintf("%s > time()-%g", first, seconds))
	if err != nil {
		return Arrivals{}, err
	}
	all, err := count(ctx, store, first)
	if err != nil {
		return Arrivals{}, err
	}
	return Arrivals{
		Series: fresh, Seconds: seconds, PerHour: float64(fresh) * time.Hour.Seconds() / seconds,
		Extrapolated: since < time.Hour, Young: fresh > 0 && fresh == all,
	}, nil
}

func count(ctx context.Context, store Store, series string) (int, error) {
	samples, err := store.QueryLatest(ctx, "count("+series+")")
	if err != nil || len(samples) == 0 {
		return 0, err
	}
	return int(samples[0].Value), nil
}
