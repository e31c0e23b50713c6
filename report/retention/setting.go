package retention

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// days of a retention as VictoriaMetrics takes it: a number with h, d, w, M or y, a month without. It counts 31 days for a month
// and 365 for a year.
// https://docs.victoriametrics.com/victoriametrics/#retention
func days(text string) (float64, error) {
	unit := 31.0
	number := text
	for suffix, days := range map[string]float64{"h": 1.0 / 24, "d": 1, "w": 7, "M": 31, "y": 365} {
		if before, found := strings.CutSuffix(text, suffix); found {
			number, unit = before, days
		}
	}
	value, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(value) || math.IsInf(value, 0) || value < 0 {
		return 0, fmt.Errorf("%q is no retention such as 30d", text)
	}
	return value * unit, nil
}

// keeping is how a store deletes. Whatever the retention, data goes in wholes: what is needed of one keeps the rest of it.
type keeping struct {
	days    float64 // 0: for ever
	monthly bool
}

// cut is the time from which on a store still has its data at a time, the zero time for all of it. VictoriaMetrics drops a month
// once it is over the retention as a whole; OpenObserve deletes the UTC days before the one that its retention begins in.
// Source of the second: src/compaction/src/retention.rs of 0.92.2.
func (k keeping) cut(at time.Time) time.Time {
	if k.days <= 0 {
		return time.Time{}
	}
	edge := at.Add(-time.Duration(k.days * float64(day))).UTC()
	if k.monthly {
		return time.Date(edge.Year(), edge.Month(), 1, 0, 0, 0, 0, time.UTC)
	}
	return edge.Truncate(day)
}

// longest is for how many days data stays at most.
func (k keeping) longest() float64 {
	switch {
	case k.days <= 0:
		return 0
	case k.monthly:
		return k.days + 31
	default:
		return k.days + 1
	}
}

// FlagDays reads -retentionPeriod as VictoriaMetrics does.
func FlagDays(text string) (float64, error) { return days(text) }

// Wanted is a retention that is asked for: of a store, or of one of its streams.
type Wanted struct {
	Store, Name string
	Days        float64
}

// Target is what it is for, as ParseWanted reads it.
func (w Wanted) Target() string {
	if w.Name == "" {
		return w.Store
	}
	return w.Store + "/" + w.Name
}

// mostDays is what VictoriaMetrics takes at most: 100 years. A time of much more has no date.
const mostDays = 36500

// ParseWanted reads metrics=30d, logs=7d, traces=7d or logs/STREAM=3d. "logs" is OpenObserve's global setting, which is for its
// traces too; "traces" is one for each stream of traces. What a store would refuse is refused here: VictoriaMetrics takes a day at
// least, OpenObserve three and whole ones, and nobody more than 100 years.
func ParseWanted(text string) (Wanted, error) {
	target, value, found := strings.Cut(text, "=")
	if !found {
		return Wanted{}, fmt.Errorf("%q is no setting such as metrics=30d", text)
	}
	store, name, named := strings.Cut(target, "/")
	switch {
	case store != Metrics && store != Logs && store != Traces, named && (name == "" || store == Metrics):
		return Wanted{}, fmt.Errorf("%q is neither metrics, logs nor traces, nor a stream such as logs/docker", target)
	}
	wanted, err := ParseDays(value)
	if err != nil {
		return Wanted{}, err
	}
	least := 1.0
	if store != Metrics {
		least = 3
	}
	if wanted < least {
		return Wanted{}, fmt.Errorf("%s takes a retention of %g d at least, not %s", target, least, value)
	}
	if wanted > mostDays {
		return Wanted{}, fmt.Errorf("%s takes a retention of %d d at most", target, mostDays)
	}
	if store != Metrics && wanted != math.Trunc(wanted) {
		return Wanted{}, fmt.Errorf("%s takes whole days, not %s", target, value)
	}
	return Wanted{Store: store, Name: name, Days: wanted}, nil
}

// ParseDays reads a number of days, or another time that has a unit.
func ParseDays(text string) (float64, error) {
	if text == "" || !strings.ContainsAny(text[len(text)-1:], "hdwMy") {
		return 0, fmt.Errorf("%q has no unit, such as 30d", text)
	}
	return days(text)
}
