package keeping

import (
	"fmt"
	"math"

	"github.com/docker-telemetry/docker-telemetry/internal/document"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/report/retention"
)

// Rates are what the stores get, in bytes a day by the report on retention. All are zero where none is known yet.
type Rates struct {
	Metrics float64
	Logs    float64 // of logs and traces without a setting of their own
	Own     float64 // bytes that the streams with one come to
}

// RatesOf takes the expected rates of a report: a range would make a budget depend on one loud hour.
func RatesOf(report retention.Report) Rates {
	var rates Rates
	for _, s := range report.Streams {
		perDay := s.PerDay()
		switch {
		case perDay == nil:
		case s.Store == retention.Metrics:
			rates.Metrics += perDay.Expected
		case s.Own():
			rates.Own += perDay.Expected * s.Retention.KeptDays
		default:
			rates.Logs += perDay.Expected
		}
	}
	return rates
}

func (r Rates) known() bool { return r.Metrics > 0 || r.Logs > 0 || r.Own > 0 }

// What the stores delete only as a whole stays on the disk longer: a month of metrics, a day of logs.
const monthly, daily = 31, 1

// need are the bytes that metrics, and that logs and traces, come to with so many days of each.
func (r Rates) need(metrics, logs float64) (ofMetrics, ofLogs float64) {
	return r.Metrics * (metrics + monthly), r.Logs*(logs+daily) + r.Own
}

// Asked is how long data is to be kept. A retention that somebody set is not shortened by a budget.
type Asked struct {
	Metrics, Logs           float64 // days
	MetricsFixed, LogsFixed bool
}

const (
	// LeastBudget is the smallest that leaves the stores something beside the agent's buffer.
	LeastBudget = 1_000_000_000
	// leastRest is what the stores share at least, after buffers and reserve.
	leastRest = 400_000_000
	// leastShare is what a store gets of the rest at least, whatever the rates are.
	leastShare = 0.2
	// leastMetrics and leastLogs are the shortest retentions that the stores take, in days.
	leastMetrics, leastLogs = 1, 3
)

// Plan is a budget with what it was made of.
type Plan struct {
	state.Disk
	Known bool // by measured rates; without, the stores share alike
	// Needs is what the stores come to with the retention of the plan; Fits whether that is within their parts.
	Needs float64
	Fits  bool
}

// Split divides a budget: what buffers may take, a tenth for what is written meanwhile (merges, write-ahead logs, caches, Grafana),
// and the rest for the stores, as their rates need it. A retention that does not fit becomes shorter, and none becomes longer.
func Split(budget, buffers int64, rates Rates, asked Asked) (Plan, error) {
	plan := Plan{Disk: state.Disk{Bytes: budget, Buffers: buffers, Reserve: budget / 10}, Known: rates.known()}
	rest := float64(budget - buffers - plan.Reserve)
	least := max(LeastBudget, int64(math.Ceil(float64(buffers+leastRest)*10/9/1e8)*1e8))
	if budget < least {
		return plan, fmt.Errorf("a budget of %s is too small: %s is the least, of which buffers may take %s",
			document.Size(float64(budget)), document.Size(float64(least)), document.Size(float64(buffers)))
	}
	metrics, logs := fit(rest, rates, asked)
	if metrics < asked.Metrics {
		plan.MetricsDays = int(metrics)
	}
	if logs < asked.Logs {
		plan.LogsDays = int(logs)
	}
	ofMetrics, ofLogs := rates.need(metrics, logs)
	plan.Needs = ofMetrics + ofLogs
	plan.Fits = plan.Needs <= rest
	share := 0.5
	if plan.Needs > 0 {
		share = min(1-leastShare, max(leastShare, ofMetrics/plan.Needs))
	}
	plan.Metrics = int64(rest * share)
	plan.Logs = int64(rest) - plan.Metrics
	plan.CacheMegabytes = max(1, plan.Reserve/4/1e6)
	return plan, nil
}

// fit are the most days up to those asked for that need no more than the rest, the same of both where both must become shorter. What
// has no rate stays as it is: to delete of it would free nothing that is known.
func fit(rest float64, rates Rates, asked Asked) (metrics, logs float64) {
	for days := math.Ceil(max(asked.Metrics, asked.Logs)); ; days-- {
		metrics, logs = asked.Metrics, asked.Logs
		if !asked.MetricsFixed && rates.Metrics > 0 {
			metrics = min(metrics, max(leastMetrics, days))
		}
		if !asked.LogsFixed && rates.Logs > 0 {
			logs = min(logs, max(leastLogs, days))
		}
		ofMetrics, ofLogs := rates.need(metrics, logs)
		if ofMetrics+ofLogs <= rest || days <= leastMetrics {
			return metrics, logs
		}
	}
}

// Place is a volume and the file system that it is on, in bytes. Device is the same for all on one.
type Place struct {
	Device            string
	Total, Free, Used int64
}

// Places of the components that write.
type Places struct{ Metrics, Logs, Buffer Place }

// TooSmallError is a budget that is spent already.
type TooSmallError struct{ Used, Budget int64 }

func (e *TooSmallError) Error() string {
	return fmt.Sprintf("the stack takes %s already, and its budget leaves the stores %s", document.Size(float64(e.Used)), document.Size(float64(e.Budget)))
}

// Guarded sets from when on the stores take no more, so that they, the buffers and the reserve stay within the budget on each file
// system. What else is written there meanwhile counts against the stack; what else is deleted there is for it. So it is exact on a file
// system of the volume's own, and elsewhere while nobody else writes.
func (p Plan) Guarded(places Places) (Plan, error) {
	free, err := p.mustStayFree(places, places.Metrics.Device)
	if err != nil {
		return p, err
	}
	p.MetricsFree = max(free, leastOfMetrics(places.Metrics.Total))
	if free, err = p.mustStayFree(places, places.Logs.Device); err != nil {
		return p, err
	}
	free = max(free, leastOfLogs(places.Logs.Total))
	// OpenObserve counts whole per cents. The next one above: the one below may be reached already.
	used := float64(places.Logs.Total-free) / float64(max(1, places.Logs.Total))
	p.LogsPercent = int(min(99, max(1, math.Ceil(100*used))))
	return p, nil
}

// leastOfMetrics is what stays free of any disk for VictoriaMetrics: the larger half of a small one, 256 MB of a large one. After it has
// stopped to take more it writes what it has in memory, some five seconds of samples, and it merges parts by writing them anew before
// it deletes them. It ends where there is no room: a third of 300 MB was too little at 500,000 samples a second. With less than half
// in use even a merge of everything fits.
func leastOfMetrics(total int64) int64 { return min(256_000_000, total*11/20) }

// leastOfLogs is the same for OpenObserve, which answers 503 before it writes.
func leastOfLogs(total int64) int64 { return min(256_000_000, total/3) }

// mustStayFree is what a file system has free when the parts that are on it are full.
func (p Plan) mustStayFree(places Places, device string) (int64, error) {
	parts, used, free := int64(0), int64(0), int64(0)
	for _, one := range []struct {
		Place
		part int64
	}{{places.Metrics, p.Metrics}, {places.Logs, p.Logs}} {
		if one.Device == device {
			parts, used, free = parts+one.part, used+one.Used, one.Free
		}
	}
	if used >= parts {
		return 0, &TooSmallError{Used: used, Budget: parts}
	}
	// What the buffers do not use yet must stay free for them: they fill when the stores take no more.
	room := int64(0)
	if places.Buffer.Device == device {
		room = max(0, p.Buffers-places.Buffer.Used)
	}
	return max(room, free-(parts-used)), nil
}

// Same reports whether a plan is what another comes to: the free space of a disk is never the same twice.
func (p Plan) Same(kept *state.Disk) bool {
	if kept == nil || kept.Bytes != p.Bytes || kept.Buffers != p.Buffers || kept.MetricsDays != p.MetricsDays || kept.LogsDays != p.LogsDays {
		return false
	}
	near := func(a, b int64) bool { return math.Abs(float64(a-b)) <= float64(p.Bytes)/10 }
	return near(kept.Metrics, p.Metrics) && near(kept.MetricsFree, p.MetricsFree) && max(kept.LogsPercent, p.LogsPercent)-min(kept.LogsPercent, p.LogsPercent) <= 1
}

// AskedOf is how long data is to be kept without a budget. started is what the stores are started with then.
func AskedOf(policy Policy, started map[string]string) Asked {
	_, metrics := policy[retention.Metrics]
	_, logs := policy[retention.Logs]
	return Asked{
		Metrics: inDays(started[retention.Metrics]), Logs: inDays(started[retention.Logs]), MetricsFixed: metrics, LogsFixed: logs,
	}
}
