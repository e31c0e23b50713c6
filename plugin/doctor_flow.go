package plugin

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/docker-telemetry/docker-telemetry/doctor"
	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// The components' own metrics, as VictoriaMetrics has them. A difference to a minute ago and not increase(): that one takes the
// first value of a series for an increase, and every start has errors until the next hop is there.
const (
	errorsNow  = `sum by (job, replica, component_id, error_type) (vector_component_errors_total - vector_component_errors_total offset 1m) > 0`
	retriesNow = `sum by (job, replica, component_id, status) (vector_http_client_responses_total{status!~"2.."} - ` +
		`vector_http_client_responses_total{status!~"2.."} offset 1m) > 0`
	// A counter of what was lost begins with the first loss, so here the first value counts.
	discardedNow = `sum by (job, replica, component_id, reason) (increase_pure({__name__=~"vector_component_discarded_events_total",intentional="false"}[1h])) > 0`
	overflowNow  = `sum by (job, replica, component_id) (increase_pure(vector_buffer_discarded_events_total[1h])) > 0`
	// Vector 0.59 gives both names of each.
	bufferSize = `max by (job, component_id) ({__name__=~"vector_buffer_size_bytes|vector_buffer_byte_size"} offset %)`
	bufferMax  = `max by (job, component_id) ({__name__=~"vector_buffer_max_size_bytes|vector_buffer_max_byte_size"})`
	// One gauge of each job that is always there; when it came last, in seconds.
	lastSeen = `max by (job) (tlast_over_time({__name__=~"vector_uptime_seconds|vector_started_total|nginx_up|node_exporter_build_info"}[30m]))`

	ignoredRows = `sum by (reason) (increase_pure(vm_rows_ignored_total[1h])) > 0`
	hourlyDrops = `sum(increase_pure(vm_hourly_series_limit_rows_dropped_total[1h])) > 0`
	dailyDrops  = `sum(increase_pure(vm_daily_series_limit_rows_dropped_total[1h])) > 0`
	isReadOnly  = `max(vm_storage_is_read_only) > 0`
)

const (
	// Metrics are scraped every 15 s.
	silentAfter = 2 * time.Minute
	// A component that started so long ago has been scraped, several times.
	scrapedWithin = 90 * time.Second
)

func (p *patient) flow(ctx context.Context) (doctor.Flow, error) {
	var flow doctor.Flow
	store, err := p.metrics()
	if err != nil {
		return flow, err
	}
	lost, overflown := []doctor.Count{}, []doctor.Count{}
	for _, ask := range []struct {
		expression string
		kind       string // the label that says of what kind
		into       *[]doctor.Count
	}{
		{errorsNow, "error_type", &flow.Errors},
		{retriesNow, "status", &flow.Retries},
		{discardedNow, "reason", &lost},
		{overflowNow, "", &overflown},
	} {
		if *ask.into, err = counts(ctx, store, ask.expression, ask.kind); err != nil {
			return flow, err
		}
	}
	for _, count := range overflown {
		count.Kind = "its buffer was full"
		lost = append(lost, count)
	}
	flow.Discarded = lost
	if flow.Buffers, err = diskBuffers(ctx, store); err != nil {
		return flow, err
	}
	flow.Silent, flow.Missing, err = p.silentJobs(ctx, store)
	return flow, err
}

func counts(ctx context.Context, store *victoriametrics.Client, expression, kind string) ([]doctor.Count, error) {
	samples, err := store.QueryLatest(ctx, expression)
	if err != nil {
		return nil, err
	}
	found := make([]doctor.Count, 0, len(samples))
	for _, sample := range samples {
		found = append(found, doctor.Count{
			Job: sample.Labels["job"], Replica: sample.Labels["replica"], Component: sample.Labels["component_id"], Kind: sample.Labels[kind], Value: sample.Value,
		})
	}
	slices.SortFunc(found, func(a, b doctor.Count) int {
		return strings.Compare(a.Job+a.Replica+a.Component+a.Kind, b.Job+b.Replica+b.Component+b.Kind)
	})
	return found, nil
}

func diskBuffers(ctx context.Context, store *victoriametrics.Client) ([]doctor.Buffer, error) {
	most, err := store.QueryLatest(ctx, bufferMax)
	if err != nil {
		return nil, err
	}
	sizes := map[string]map[string]float64{}
	for _, at := range []string{"0s", "3m"} {
		samples, err := store.QueryLatest(ctx, strings.Replace(bufferSize, "%", at, 1))
		if err != nil {
			return nil, err
		}
		sizes[at] = map[string]float64{}
		for _, sample := range samples {
			sizes[at][sample.Labels["job"]+" "+sample.Labels["component_id"]] = sample.Value
		}
	}
	var buffers []doctor.Buffer
	for _, sample := range most {
		id := sample.Labels["job"] + " " + sample.Labels["component_id"]
		buffer := doctor.Buffer{Job: sample.Labels["job"], Component: sample.Labels["component_id"], Max: sample.Value, Size: sizes["0s"][id], Before: -1}
		if before, there := sizes["3m"][id]; there {
			buffer.Before = before
		}
		buffers = append(buffers, buffer)
	}
	slices.SortFunc(buffers, func(a, b doctor.Buffer) int { return strings.Compare(a.Job+a.Component, b.Job+b.Component) })
	return buffers, nil
}

// silentJobs are those that gave metrics before, and those that should. A component that does not run is told by its state.
func (p *patient) silentJobs(ctx context.Context, store *victoriametrics.Client) (silent, missing []string, err error) {
	samples, err := store.QueryLatest(ctx, lastSeen)
	if err != nil {
		return nil, nil, err
	}
	last := map[string]time.Time{}
	for _, sample := range samples {
		last[sample.Labels["job"]] = time.Unix(int64(sample.Value), 0)
	}
	now := time.Now()
	for _, of := range []struct{ job, component string }{
		{"vector-agent", stack.Agent}, {"vector-aggregator", stack.Aggregator}, {"nginx", stack.Gateway}, {"node-exporter", stack.NodeExporter},
	} {
		// What the agent scrapes cannot be older than the agent.
		if !p.runsSince(of.component, now.Add(-scrapedWithin)) || !p.runsSince(stack.Agent, now.Add(-scrapedWithin)) {
			continue
		}
		at, seen := last[of.job]
		switch {
		case !seen:
			missing = append(missing, of.job)
		case now.Sub(at) > silentAfter:
			silent = append(silent, of.job)
		}
	}
	return silent, missing, nil
}

// runsSince reports whether a component has a replica that was started before a time and runs.
func (p *patient) runsSince(component string, before time.Time) bool {
	return slices.ContainsFunc(p.inside, func(c stack.Inspection) bool {
		return c.Component == component && c.State == "running" && !c.StartedAt.IsZero() && c.StartedAt.Before(before)
	})
}

func (p *patient) metricsStore(ctx context.Context) (doctor.MetricsStore, error) {
	var found doctor.MetricsStore
	store, err := p.metrics()
	if err != nil {
		return found, err
	}
	full, err := store.QueryLatest(ctx, isReadOnly)
	if err != nil {
		return found, err
	}
	found.ReadOnly = len(full) > 0
	if found.Ignored, err = counts(ctx, store, ignoredRows, "reason"); err != nil {
		return found, err
	}
	for _, limit := range []struct{ name, expression string }{{"hourly", hourlyDrops}, {"daily", dailyDrops}} {
		dropped, err := counts(ctx, store, limit.expression, "")
		if err != nil {
			return found, err
		}
		for _, count := range dropped {
			count.Kind = limit.name
			found.Dropped = append(found.Dropped, count)
		}
	}
	return found, nil
}
