// Package scrape holds what the lab's stand-in receivers share.
package scrape

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/scraper"
	"go.opentelemetry.io/collector/scraper/scraperhelper"
	"go.uber.org/zap"
)

// Config is a receiver's configuration.
type Config interface {
	// Scrape asks the program once and adds what it says to the metrics.
	Scrape(ctx context.Context, out *Metrics) error
	// Interval is how often, from the options that all scraping receivers have.
	Interval() *scraperhelper.ControllerConfig
}

// Defaults are those of the real receivers.
func Defaults(every time.Duration) scraperhelper.ControllerConfig {
	config := scraperhelper.NewDefaultControllerConfig()
	config.CollectionInterval, config.Timeout = every, 10*time.Second
	return config
}

// Factory makes the stand-in of a receiver.
func Factory(kind string, defaults func() Config) receiver.Factory {
	typ := component.MustNewType(kind)
	create := func(_ context.Context, set receiver.Settings, raw component.Config, next consumer.Metrics) (receiver.Metrics, error) {
		config := raw.(Config)
		set.Logger.Warn("this receiver is the lab's stand-in", zap.String("receiver", kind))
		one, err := scraper.NewMetrics(func(ctx context.Context) (pmetric.Metrics, error) {
			out := newMetrics(kind)
			err := config.Scrape(ctx, out)
			return out.metrics, err
		})
		if err != nil {
			return nil, err
		}
		return scraperhelper.NewMetricsController(config.Interval(), set, next, scraperhelper.AddMetricsScraper(typ, one))
	}
	return receiver.NewFactory(typ, func() component.Config { return defaults() }, receiver.WithMetrics(create, component.StabilityLevelDevelopment))
}

// Metrics collects the points of one scrape.
type Metrics struct {
	metrics pmetric.Metrics
	scope   string
	now     pcommon.Timestamp
	current pmetric.MetricSlice
}

func newMetrics(kind string) *Metrics {
	out := &Metrics{metrics: pmetric.NewMetrics(), scope: "stand-in/" + kind, now: pcommon.NewTimestampFromTime(time.Now())}
	out.Resource()
	return out
}

// Resource begins a resource with attributes, given as names and values; what follows belongs to it.
func (m *Metrics) Resource(attributes ...string) {
	resource := m.metrics.ResourceMetrics().AppendEmpty()
	put(resource.Resource().Attributes(), attributes)
	scope := resource.ScopeMetrics().AppendEmpty()
	scope.Scope().SetName(m.scope)
	m.current = scope.Metrics()
}

// Count adds a point of a cumulative sum that only grows.
func (m *Metrics) Count(name, unit string, value float64, attributes ...string) {
	m.sum(name, unit, true, value, attributes)
}

// Level adds a point of a sum that goes up and down.
func (m *Metrics) Level(name, unit string, value float64, attributes ...string) {
	m.sum(name, unit, false, value, attributes)
}

// Gauge adds a point of a gauge.
func (m *Metrics) Gauge(name, unit string, value float64, attributes ...string) {
	m.point(m.add(name, unit).SetEmptyGauge().DataPoints(), value, attributes)
}

func (m *Metrics) sum(name, unit string, monotonic bool, value float64, attributes []string) {
	sum := m.add(name, unit).SetEmptySum()
	sum.SetIsMonotonic(monotonic)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	m.point(sum.DataPoints(), value, attributes)
}

func (m *Metrics) add(name, unit string) pmetric.Metric {
	metric := m.current.AppendEmpty()
	metric.SetName(name)
	metric.SetUnit(unit)
	return metric
}

func (m *Metrics) point(points pmetric.NumberDataPointSlice, value float64, attributes []string) {
	point := points.AppendEmpty()
	point.SetTimestamp(m.now)
	point.SetDoubleValue(value)
	put(point.Attributes(), attributes)
}

func put(into pcommon.Map, pairs []string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		into.PutStr(pairs[i], pairs[i+1])
	}
}
