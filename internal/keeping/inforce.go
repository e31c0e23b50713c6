package keeping

import (
	"context"
	"fmt"
	"slices"

	"github.com/docker-telemetry/docker-telemetry/report/retention"
	"github.com/docker-telemetry/docker-telemetry/storage/openobserve"
)

// LogsStore is what is asked of OpenObserve, and told to it.
type LogsStore interface {
	Keeping(ctx context.Context) (openobserve.Keeping, error)
	Held(ctx context.Context, kind string) ([]openobserve.Held, error)
	SetDays(ctx context.Context, kind, stream string, days int) error
}

// InForce is what the stores say that they do.
type InForce struct {
	Metrics string // -retentionPeriod as VictoriaMetrics runs with it, "" where it did not say
	Logs    *int   // days of streams without a setting of their own, nil where OpenObserve did not say
	Streams []openobserve.Held
	Notes   []string // what could not be told, and why
}

// Read asks both stores. What one does not answer is a note.
func Read(ctx context.Context, metrics retention.Querier, logs LogsStore) InForce {
	var found InForce
	flag, err := retention.RunningFlag(ctx, metrics)
	switch {
	case err != nil:
		found.note("VictoriaMetrics", err)
	case flag.Value == "":
		found.Notes = append(found.Notes, "VictoriaMetrics has not said yet: it writes of itself every 15 s")
	}
	found.Metrics = flag.Value
	keeping, err := logs.Keeping(ctx)
	if err != nil {
		found.note("OpenObserve", err)
		return found
	}
	found.Logs = &keeping.Days
	for _, kind := range []string{retention.Logs, retention.Traces} {
		held, err := logs.Held(ctx, kind)
		if err != nil {
			found.note("the streams of "+kind, err)
			continue
		}
		found.Streams = append(found.Streams, held...)
	}
	return found
}

func (f *InForce) note(what string, err error) {
	f.Notes = append(f.Notes, fmt.Sprintf("%s: %s", what, err))
}

// Days of a target as they are in force: of a stream its own, or else those of all. 0 where it is not known, or for ever.
func (f InForce) Days(target string) float64 {
	if target == retention.Metrics {
		days, _ := retention.FlagDays(f.Metrics)
		return days
	}
	for _, one := range f.Streams {
		if one.Kind+"/"+one.Name == target && one.Days > 0 {
			return float64(one.Days)
		}
	}
	if f.Logs == nil {
		return 0
	}
	return float64(max(0, *f.Logs))
}

// keeps reports whether the streams that a target is for have the settings that a policy asks for.
func (f InForce) keeps(policy Policy, target string) bool {
	if f.Logs == nil {
		return false
	}
	for _, one := range f.Streams {
		if concerns(target, one) && one.Days != policy.Stream(one.Kind, one.Name) {
			return false
		}
	}
	return true
}

// Differs are the targets of a policy that the stores do not keep to, as far as they said.
func (f InForce) Differs(policy Policy) []string {
	var differ []string
	for _, target := range policy.Targets() {
		switch {
		case target == retention.Metrics && f.Metrics == "", target != retention.Metrics && f.Logs == nil:
		case IsStream(target) && !f.keeps(policy, target), !IsStream(target) && f.Days(target) != policy.Days(target):
			differ = append(differ, target)
		}
	}
	return differ
}

// Apply gives the streams of OpenObserve the settings that a policy asks for, and takes those of dropped targets away. A stream that
// has its setting already is left alone. It returns the streams that it changed, as targets.
func Apply(ctx context.Context, store LogsStore, streams []openobserve.Held, policy Policy, dropped ...string) ([]string, error) {
	var changed []string
	for _, one := range streams {
		days := policy.Stream(one.Kind, one.Name)
		isDropped := slices.ContainsFunc(dropped, func(target string) bool { return concerns(target, one) })
		if days == one.Days || days == 0 && !isDropped {
			continue
		}
		target := one.Kind + "/" + one.Name
		if err := store.SetDays(ctx, one.Kind, one.Name, days); err != nil {
			return changed, fmt.Errorf("set the retention of %s: %w", target, err)
		}
		changed = append(changed, target)
	}
	return changed, nil
}
