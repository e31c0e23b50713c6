// Package cardinality tells what each metric and each label of a store costs, in series, and what would be saved.
//
// It collects (Collect), and it analyses what was collected (Analyse), which is pure. Reading does not disturb: what queries
// have read is asked for first, and no query runs over the user's metrics, because each would count as usage itself.
package cardinality

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// ErrUngrouped is for a store that does not return the series of a metric one after the other: VictoriaMetrics, Prometheus and
// Mimir sort them. Counting needs it, because only the metric that comes is held in memory.
var ErrUngrouped = errors.New("the store mixes the series of its metrics")

// MetricCount is what one metric consists of.
type MetricCount struct {
	Name   string
	Series int
	Labels []LabelCount // the most saved first
	Pairs  []PairCount  // those that save more than both of their labels, the most first
}

// LabelCount is what one label does to its metric. Left is exact: how many label sets differ when it is gone, so that
// Series - Left are saved. Its values say little of that: a label that mirrors another saves nothing.
type LabelCount struct {
	Name    string
	Series  int      // that have it
	Values  int      // distinct
	Left    int      // series without it
	Mirrors []string // labels that it only repeats: each of its values, or not to have it, goes with one of theirs
	Samples []string // of its values, evenly over all of them, sorted
	// Templates are its values with {id} for each id in them, and TemplateLeft is how many label sets differ then, exact.
	// Both are 0 where no value has an id, where there are more than 65,535, and for a metric that is not looked at closely.
	Templates, TemplateLeft int
	// Halved is how many series are left of a histogram with every second of its buckets, exact; 0 for another label.
	Halved int
}

// Constant reports whether the label tells nothing of so many series apart: each has it, with one value.
func (l LabelCount) Constant(series int) bool { return l.Values == 1 && l.Series == series }

// PairCount is what dropping two labels together leaves.
type PairCount struct {
	First, Second string
	Left          int
}

// Counter counts series that come grouped by their metric. Add and Finish are for one goroutine; finished metrics are counted
// on the others.
type Counter struct {
	// Closely says for which metrics pairs and templates are looked at, which is most of the work; nil for none.
	Closely func(metric string) bool
	// Samples is how many values of each label are kept.
	Samples int

	current *columns
	seen    map[string]bool
	work    chan *columns
	free    chan *columns
	done    sync.WaitGroup
	mu      sync.Mutex
	counts  []MetricCount
}

// Add takes one series; its labels are not kept. It is what Client.Series yields to.
func (c *Counter) Add(labels []victoriametrics.Label) error {
	var name []byte
	for _, label := range labels {
		if string(label.Name) == metricLabel {
			name = label.Value
		}
	}
	if c.current == nil || c.current.metric != string(name) {
		if err := c.next(string(name)); err != nil {
			return err
		}
	}
	c.current.add(labels)
	return nil
}

const metricLabel = "__name__"

// next hands the current metric over and begins another.
func (c *Counter) next(metric string) error {
	if c.work == nil {
		c.start()
	}
	if c.current != nil {
		c.work <- c.current
		c.current = nil
	}
	if c.seen[metric] {
		return fmt.Errorf("%w: %q came back", ErrUngrouped, metric)
	}
	c.seen[metric] = true
	c.current = <-c.free
	c.current.begin(metric, c.Samples, c.Closely != nil && c.Closely(metric))
	return nil
}

func (c *Counter) start() {
	workers := runtime.GOMAXPROCS(0)
	c.seen = map[string]bool{}
	c.work = make(chan *columns)
	// One that is filled beside those that are counted: so much is in memory, whatever the store has.
	c.free = make(chan *columns, workers+1)
	for range workers + 1 {
		c.free <- &columns{}
	}
	for range workers {
		c.done.Go(func() {
			var set hashSet
			for metric := range c.work {
				count := metric.count(&set)
				c.mu.Lock()
				c.counts = append(c.counts, count)
				c.mu.Unlock()
				c.free <- metric
			}
		})
	}
}

// Finish returns the counts of all metrics, those with the most series first. It ends the goroutines and must be called, after
// an error of the stream too.
func (c *Counter) Finish() []MetricCount {
	if c.work == nil {
		return nil
	}
	if c.current != nil {
		c.work <- c.current
		c.current = nil
	}
	close(c.work)
	c.done.Wait()
	slices.SortFunc(c.counts, func(a, b MetricCount) int {
		return cmp.Or(cmp.Compare(b.Series, a.Series), cmp.Compare(a.Name, b.Name))
	})
	return c.counts
}
