package cardinality

import (
	"cmp"
	"fmt"
	"slices"
)

// Rest are metrics of which only this is known: they are many, and have few series each.
type Rest struct{ Metrics, Series int }

func (r Rest) notes() []string {
	if r.Metrics == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s with %s in all: those with the fewest series are counted and not listed",
		counted(r.Metrics, "metric"), number(r.Series)+" series")}
}

// kept are the counts of metrics, those with the most series, in memory that does not grow with the metrics of the store.
// What is kept depends on the metrics alone and not on their order.
type kept struct {
	counts []keptCount
	bytes  int
	rest   Rest
}

type keptCount struct {
	MetricCount
	full, slim int // bytes with and without the samples
	closely    bool
}

const (
	// sampledBytes are for the metrics with samples, about 2,500 of ten labels.
	sampledBytes = 24 << 20
	// countedBytes are for those without, about 15,000.
	countedBytes = 24 << 20
	// So much more comes together before it is looked at again: sorting is not for each metric.
	looseBytes = 16 << 20
)

func (k *kept) add(count MetricCount, closely bool) {
	one := keptCount{MetricCount: count, closely: closely}
	one.slim, one.full = sizeOf(count)
	k.counts = append(k.counts, one)
	k.bytes += one.full
	if k.bytes > sampledBytes+countedBytes+looseBytes {
		k.prune()
	}
}

// prune leaves the most important metrics, and the samples of the most important among them. What it takes away would be taken
// away of all metrics too: those before it only become more.
func (k *kept) prune() {
	slices.SortFunc(k.counts, func(a, b keptCount) int {
		switch {
		case a.closely == b.closely:
			return byMostSeries(a.MetricCount, b.MetricCount)
		case a.closely:
			return -1
		default:
			return 1
		}
	})
	full, slim := 0, 0
	k.bytes = 0
	for i := range k.counts {
		one := &k.counts[i]
		full, slim = full+one.full, slim+one.slim
		if slim > countedBytes {
			for _, other := range k.counts[i:] {
				k.rest.Metrics++
				k.rest.Series += other.Series
			}
			clear(k.counts[i:])
			k.counts = k.counts[:i]
			return
		}
		if full > sampledBytes {
			one.withoutSamples()
			k.bytes += one.slim
			continue
		}
		k.bytes += one.full
	}
}

func (k *keptCount) withoutSamples() {
	for i := range k.Labels {
		k.Labels[i].Samples = nil
	}
}

// finish returns all that is kept, the most series first.
func (k *kept) finish() ([]MetricCount, Rest) {
	k.prune()
	counts := make([]MetricCount, 0, len(k.counts))
	for _, one := range k.counts {
		counts = append(counts, one.MetricCount)
	}
	slices.SortFunc(counts, byMostSeries)
	return counts, k.rest
}

func byMostSeries(a, b MetricCount) int {
	return cmp.Or(cmp.Compare(b.Series, a.Series), cmp.Compare(a.Name, b.Name))
}

// sizeOf is about what a count takes in memory.
func sizeOf(count MetricCount) (slim, full int) {
	const metric, label, pair, text = 128, 144, 40, 16
	slim = metric + len(count.Name) + pair*len(count.Pairs)
	for _, one := range count.Labels {
		slim += label + len(one.Name) + text*len(one.Mirrors)
	}
	full = slim
	for _, one := range count.Labels {
		for _, value := range one.Samples {
			full += text + len(value)
		}
	}
	return slim, full
}
