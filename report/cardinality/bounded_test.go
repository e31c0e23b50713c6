package cardinality_test

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// cyclic is a metric whose labels have so many values, each in turn.
type cyclic struct {
	name   string
	series int
	labels []string
	values []int
}

func (c cyclic) add(t *testing.T, counter *cardinality.Counter, memory *memory) {
	t.Helper()
	labels := []victoriametrics.Label{{Name: []byte("__name__"), Value: []byte(c.name)}}
	for _, name := range c.labels {
		labels = append(labels, victoriametrics.Label{Name: []byte(name)})
	}
	for i := range c.series {
		for at, values := range c.values {
			label := &labels[at+1]
			label.Value = strconv.AppendInt(append(label.Value[:0], 'v'), int64(i%values), 10)
		}
		assert.NilError(t, counter.Add(labels))
		if i%500_000 == 0 {
			memory.look()
		}
	}
}

// memory is the most that the heap had, garbage that is not collected yet included.
type memory struct{ most uint64 }

func (m *memory) look() {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	m.most = max(m.most, stats.HeapSys-stats.HeapReleased)
}

// One metric with more series than memory has: before, these took 700 MiB.
func TestOneMetricOfMillionsTakesBoundedMemory(t *testing.T) {
	const series = 3_000_000
	store := cyclic{
		name: "m", series: series, labels: []string{"instance", "job", "method", "path", "pod", "twin", "user"},
		values: []int{50, 10, 4, 100, 500, 500, series},
	}
	counter := cardinality.Counter{Closely: func(string) bool { return true }, Samples: 20}
	var memory memory
	store.add(t, &counter, &memory)
	found, rest := counter.Finish()
	memory.look()
	t.Logf("%d MiB", memory.most>>20)
	assert.Assert(t, memory.most < 200<<20, "%d MiB", memory.most>>20)
	assert.Equal(t, len(found), 1)
	assert.Equal(t, rest, cardinality.Rest{})
	metric := found[0]
	assert.Equal(t, metric.Series, series)
	assert.Equal(t, metric.Error, cardinality.SketchError)
	assert.Equal(t, len(metric.Labels), 7)
	for _, label := range metric.Labels {
		at := slices.Index(store.labels, label.Name)
		assertNear(t, label.Name+" values", label.Values, store.values[at])
		left := series
		if label.Name == "user" {
			left = 500 // the least number that all the others divide
		}
		assertNear(t, label.Name+" left", label.Left, left)
	}
}

// More hashes than are counted in one pass.
func TestHundredsOfThousandsAreExact(t *testing.T) {
	const series = 400_000
	store := cyclic{name: "m", series: series, labels: []string{"code", "session", "user"}, values: []int{4, 150_000, series}}
	counter := cardinality.Counter{Closely: func(string) bool { return true }, Samples: 20}
	store.add(t, &counter, &memory{})
	found, _ := counter.Finish()
	assert.Equal(t, found[0].Series, series)
	assert.Equal(t, found[0].Error, 0.0)
	left := map[string]int{"code": series, "session": series, "user": 150_000}
	for _, label := range found[0].Labels {
		assert.Equal(t, label.Left, left[label.Name], label.Name)
		assert.Equal(t, label.Values, store.values[slices.Index(store.labels, label.Name)], label.Name)
	}
	// Code has one value for each session: no pair that saves more than one of its labels but session and user.
	assert.DeepEqual(t, found[0].Pairs, []cardinality.PairCount{{First: "session", Second: "user", Left: 4}})
}

func assertNear(t *testing.T, what string, got, want int) {
	t.Helper()
	off := float64(got-want) / float64(want)
	assert.Assert(t, off <= cardinality.SketchError && off >= -cardinality.SketchError, "%s: %d instead of %d", what, got, want)
}

// counted returns what a test's series make, and fails where they take too much memory.
func counted(t *testing.T, add func(counter *cardinality.Counter, memory *memory)) ([]cardinality.MetricCount, cardinality.Rest) {
	t.Helper()
	counter := cardinality.Counter{Closely: func(metric string) bool { return metric == "m" }, Samples: 20}
	var memory memory
	add(&counter, &memory)
	found, rest := counter.Finish()
	memory.look()
	t.Logf("%d MiB", memory.most>>20)
	assert.Assert(t, memory.most < 200<<20, "%d MiB", memory.most>>20)
	return found, rest
}

func TestManyMetricsTakeBoundedMemory(t *testing.T) {
	const metrics = 150_000
	found, rest := counted(t, func(counter *cardinality.Counter, memory *memory) {
		labels := []victoriametrics.Label{
			{Name: []byte("__name__")},
			{Name: []byte("job"), Value: []byte("a")},
			{Name: []byte("le"), Value: []byte("+Inf")},
			{Name: []byte("instance"), Value: []byte("10.0.0.1:9100")},
			{Name: []byte("pod")},
		}
		for i := range metrics {
			labels[0].Value = fmt.Appendf(labels[0].Value[:0], "metric_%07d", i)
			for series := range 1 + i%3 {
				labels[4].Value = fmt.Appendf(labels[4].Value[:0], "pod-%d", series)
				assert.NilError(t, counter.Add(labels))
			}
			if i%10_000 == 0 {
				memory.look()
			}
		}
	})
	assert.Assert(t, len(found) > 10_000, "%d", len(found))
	series := rest.Series
	for _, metric := range found {
		series += metric.Series
		assert.Equal(t, metric.Series, 3) // the most come first
	}
	assert.Equal(t, series, metrics/3*6)
	assert.Equal(t, len(found)+rest.Metrics, metrics)
	assert.Equal(t, len(found[0].Labels[0].Samples), 3)
}

func TestManyNamesOfLabelsTakeBoundedMemory(t *testing.T) {
	const series, labelsEach = 20_000, 20
	found, _ := counted(t, func(counter *cardinality.Counter, memory *memory) {
		for i := range series {
			labels := []victoriametrics.Label{{Name: []byte("__name__"), Value: []byte("m")}}
			for label := range labelsEach {
				labels = append(labels, victoriametrics.Label{Name: fmt.Appendf(nil, "label_%d", labelsEach*i+label), Value: []byte("1")})
			}
			assert.NilError(t, counter.Add(labels))
			if i%1000 == 0 {
				memory.look()
			}
		}
	})
	assert.Equal(t, found[0].Series, series)
	assert.Assert(t, found[0].OtherLabels)
	t.Log(len(found[0].Labels), found[0].Error)
}

func TestGiantValuesTakeBoundedMemory(t *testing.T) {
	const series = 400
	found, _ := counted(t, func(counter *cardinality.Counter, memory *memory) {
		giant := bytes.Repeat([]byte("é"), 100_000)
		for i := range series {
			labels := []victoriametrics.Label{{Name: []byte("__name__"), Value: []byte("m")}}
			for label := range 4 {
				value := append(strconv.AppendInt(nil, int64(i), 10), giant...)
				labels = append(labels, victoriametrics.Label{Name: fmt.Appendf(nil, "label_%d", label), Value: value})
			}
			assert.NilError(t, counter.Add(labels))
			if i%50 == 0 {
				memory.look()
			}
		}
	})
	assert.Equal(t, found[0].Series, series)
	for _, label := range found[0].Labels {
		assert.Equal(t, label.Values, series)
		for _, value := range label.Samples {
			assert.Assert(t, utf8.ValidString(value) && len(value) < 5000 && strings.HasSuffix(value, "é…"), "%d bytes", len(value))
		}
	}
}
