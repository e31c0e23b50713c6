// Package cardinality tells what each metric and each label of a store costs, in series, and what would be saved.
//
// It collects (Collect), and it analyses what was collected (Analyse), which is pure. Reading does not disturb: what queries
// have read is asked for first, and no query runs over the user's metrics, because each would count as usage itself.
package cardinality

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// ErrUngrouped is for a store that does not return the series of a metric one after the other, as VictoriaMetrics does and
// victoriametrics.SeriesRequest.ByMetric has others do. Counting needs it, because only the metric that comes is held in memory.
var ErrUngrouped = errors.New("the store mixes the series of its metrics")

// MetricCount is what one metric consists of. Its series are always exact.
type MetricCount struct {
	Name   string
	Series int
	Labels []LabelCount // the most saved first
	Pairs  []PairCount  // those that save more than both of their labels, the most first
	// Error is by what part each other figure of the metric may be off: 0 where they are exact, SketchError where it has more
	// series than are counted so.
	Error float64
	// OtherLabels are there, which are not among Labels: the metric has more names of labels than are looked at.
	OtherLabels bool
}

// LabelCount is what one label does to its metric. Left is how many label sets differ when it is gone, so that
// Series - Left are saved. Its values say little of that: a label that mirrors another saves nothing.
type LabelCount struct {
	Name   string
	Series int // that have it
	Values int // distinct
	Left   int // series without it
	// Mirrors are labels that it only repeats: each of its values, or not to have it, goes with one of theirs. It must be exact,
	// so a metric with an Error has none.
	Mirrors []string
	// Samples are of its values, evenly over all of them, sorted. Long ones are cut.
	Samples []string
	// Templates are its values with {id} for each id in them, and TemplateLeft is how many label sets differ then. Both are 0
	// where no value has an id, and for a metric that is not looked at closely.
	Templates, TemplateLeft int
	// Halved is how many series are left of a histogram with every second of its buckets, exact; 0 for another label, and for a
	// metric with an Error.
	Halved int
}

// Constant reports whether the label tells nothing of so many series apart: each has it, with one value.
func (l LabelCount) Constant(series int) bool { return l.Values == 1 && l.Series == series }

// PairCount is what dropping two labels together leaves.
type PairCount struct {
	First, Second string
	Left          int
}

const (
	// exactBlocks is what the metrics that are counted at a time may take of memory, 64 MiB: eight bytes for each label of a
	// series, and as much for each that has an id in it. It is enough for a million series with seven labels.
	exactBlocks = 64 << 20 / (8 * blockRows)
	// exactSeries of a metric are counted exactly at most, whatever they consist of: counting needs memory by series too.
	exactSeries = 1 << 20
	// The parts of a metric that has more are smaller, so that the next one is filled while one is counted.
	partBlocks, partSeries = exactBlocks / 4, exactSeries / 4
)

// Counter counts series that come grouped by their metric, in memory that is bounded whatever comes. Add and Finish are for one
// goroutine; finished metrics are counted on the others.
type Counter struct {
	// Closely says for which metrics pairs and templates are looked at, which is most of the work; nil for none.
	Closely func(metric string) bool
	// Samples is how many values of each label are kept.
	Samples int

	current *columns
	sketch  *sketch // of the current metric; nil while all of it is in current
	seen    names
	work    chan *columns
	parts   chan part
	free    chan *columns
	done    sync.WaitGroup
	mu      sync.Mutex
	kept    kept
}

// part is some series of a metric that has too many.
type part struct {
	*columns
	of   *sketch
	last bool
}

// Add takes one series; its labels are not kept. It is what Client.Series yields to.
func (c *Counter) Add(labels []victoriametrics.Label) error {
	var name []byte
	for _, label := range labels {
		if string(label.Name) == metricLabel {
			name = label.Value
		}
	}
	switch {
	case c.current == nil || c.current.metric != string(name):
		if err := c.next(string(name)); err != nil {
			return err
		}
	case c.full(len(labels)):
		c.part(false)
	}
	c.current.add(labels)
	return nil
}

const metricLabel = "__name__"

// full reports whether there may be no room for another series of the current metric, with so many labels.
func (c *Counter) full(labels int) bool {
	blocks, series := exactBlocks, exactSeries
	if c.sketch != nil {
		blocks, series = partBlocks, partSeries
	}
	return c.current.rows == series || c.current.held+most(labels) > blocks
}

// part hands over what there is of the current metric, and begins to fill another part unless it is the last.
func (c *Counter) part(last bool) {
	filled := c.current
	if c.sketch == nil {
		c.sketch = newSketch(filled)
	}
	c.parts <- part{filled, c.sketch, last}
	if last {
		c.current, c.sketch = nil, nil
		return
	}
	c.current = <-c.free
	c.current.begin(filled.metric, filled.samples, filled.closely)
}

// hand gives the current metric away to be counted.
func (c *Counter) hand() {
	switch {
	case c.current == nil:
	case c.sketch != nil:
		c.part(true)
	default:
		c.work <- c.current
		c.current = nil
	}
}

// next hands the current metric over and begins another.
func (c *Counter) next(metric string) error {
	if c.work == nil {
		c.start()
	}
	c.hand()
	if !c.seen.add(metric) {
		return fmt.Errorf("%w: %q came back", ErrUngrouped, metric)
	}
	c.current = <-c.free
	c.current.begin(metric, c.Samples, c.Closely != nil && c.Closely(metric))
	return nil
}

func (c *Counter) start() {
	workers := runtime.GOMAXPROCS(0)
	c.work, c.parts = make(chan *columns), make(chan part)
	// One that is filled beside those that are counted.
	c.free = make(chan *columns, workers+2)
	room := newRoom(exactBlocks)
	for range workers + 2 {
		c.free <- &columns{room: room}
	}
	for range workers {
		c.done.Go(func() {
			var set hashSet
			for metric := range c.work {
				c.keep(metric.count(&set), metric.closely)
				metric.release()
				c.free <- metric
			}
		})
	}
	c.done.Go(c.foldParts)
}

// foldParts takes the parts one after the other, so that the same series always make the same figures.
func (c *Counter) foldParts() {
	var set hashSet
	for part := range c.parts {
		part.of.fold(part.columns, &set)
		part.release()
		c.free <- part.columns
		if part.last {
			c.keep(part.of.count(), part.of.closely)
		}
	}
}

func (c *Counter) keep(count MetricCount, closely bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept.add(count, closely)
}

// Finish returns the counts of the metrics, those with the most series first, and what there is besides, where they are more
// than fit into memory. It ends the goroutines and must be called, after an error of the stream too.
func (c *Counter) Finish() ([]MetricCount, Rest) {
	if c.work == nil {
		return nil, Rest{}
	}
	c.hand()
	close(c.work)
	close(c.parts)
	c.done.Wait()
	return c.kept.finish()
}
