package pipeline

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Counter is a sample as a component shows it itself.
type Counter struct {
	Reading
	At      time.Time
	Counter bool // it only grows
}

// ReadCounters reads a page in Prometheus' text format, with a job and a replica for each sample: what a component shows of
// itself is the same in every container. Samples of other types than counter and gauge are passed over.
func ReadCounters(page io.Reader, job, replica string) ([]Counter, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(page)
	if err != nil {
		return nil, fmt.Errorf("read what %s counts: %w", job, err)
	}
	var all []Counter
	for name, family := range families {
		for _, metric := range family.GetMetric() {
			sample := Counter{Reading: Reading{Name: name, Labels: map[string]string{"job": job}}, At: time.UnixMilli(metric.GetTimestampMs())}
			for _, label := range metric.GetLabel() {
				sample.Labels[label.GetName()] = label.GetValue()
			}
			if replica != "" {
				sample.Labels["replica"] = replica
			}
			switch family.GetType() {
			case dto.MetricType_COUNTER:
				sample.Counter, sample.Value = true, metric.GetCounter().GetValue()
			case dto.MetricType_GAUGE:
				sample.Value = metric.GetGauge().GetValue()
			default:
				continue
			}
			all = append(all, sample)
		}
	}
	return all, nil
}

// measuredOver is how far back a Meter's rates reach, as those of FlowQuery do. Between two looks alone, what is scraped every
// 15 s would stand still in most of them.
const measuredOver = time.Minute

// Meter makes rates of counters that are looked at again and again. The zero value is ready.
type Meter struct {
	seen map[string]*counting
}

// counting is one counter: its values of the last minute, the oldest first, and when it last grew.
type counting struct {
	values []Counter
	grew   time.Time
}

func (m *Meter) fresh() bool { return m.seen == nil }

// Read returns the readings of a look: gauges as they are, counters per second over the last minute, or since they were first
// seen. A counter that is new, or fell because its process started again, has none yet.
func (m *Meter) Read(counters []Counter) []Reading {
	if m.seen == nil {
		m.seen = map[string]*counting{}
	}
	readings := make([]Reading, 0, len(counters))
	for _, now := range counters {
		if !now.Counter {
			readings = append(readings, now.Reading)
			continue
		}
		key := now.key()
		if m.seen[key] == nil {
			m.seen[key] = &counting{}
		}
		c := m.seen[key]
		c.add(now)
		if rate, known := c.rate(); known {
			readings = append(readings, Reading{now.Name, now.Labels, rate})
		}
		if !c.grew.IsZero() && now.Name == "vector_component_received_events_total" && now.Labels["component_kind"] == source {
			readings = append(readings, Reading{lastSeenName, now.Labels, float64(c.grew.UnixMilli()) / 1000})
		}
	}
	return readings
}

func (c *counting) add(now Counter) {
	if len(c.values) > 0 {
		last := c.values[len(c.values)-1]
		switch {
		case !now.At.After(last.At):
			return // not written anew since
		case now.Value < last.Value:
			c.values = nil
		case now.Value > last.Value:
			c.grew = now.At
		}
	}
	c.values = append(c.values, now)
	for now.At.Sub(c.values[0].At) > measuredOver {
		c.values = c.values[1:]
	}
}

func (c *counting) rate() (perSecond float64, known bool) {
	if len(c.values) < 2 {
		return 0, false
	}
	first, last := c.values[0], c.values[len(c.values)-1]
	return (last.Value - first.Value) / last.At.Sub(first.At).Seconds(), true
}

func (c Counter) key() string {
	var key strings.Builder
	key.WriteString(c.Name)
	for _, name := range slices.Sorted(maps.Keys(c.Labels)) {
		key.WriteString("\x00" + name + "\x00" + c.Labels[name])
	}
	return key.String()
}
