package cardinality

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// isBucket reports whether a label names the buckets of a histogram: those of Prometheus, which count what is below, or those
// of VictoriaMetrics, which count what is between.
func isBucket(label string) bool { return label == "le" || label == "vmrange" }

// mostBuckets are so many values of such a label that all are known. What has more is no histogram.
const mostBuckets = 1000

type bucket struct {
	hash  uint64
	bound float64
}

// halved counts the series of a histogram whose buckets are half as many. Of le every second one goes and +Inf stays; vmrange
// goes together by two, because each holds a part of what there is. 0 where not each value is known to be a bucket.
func (c *columns) halved(set *hashSet, label *column, values int) int {
	if !isBucket(label.name) || values < 2 || values > len(label.samples.values) {
		return 0
	}
	buckets, are := bucketsOf(label.samples.values)
	if !are {
		return 0
	}
	stays := map[uint64]uint64{}
	for i, one := range buckets {
		switch fromEnd := len(buckets) - 1 - i; {
		case label.name == "vmrange":
			stays[one.hash] = buckets[i/2*2].hash
		case fromEnd%2 == 0:
			stays[one.hash] = one.hash
		}
	}
	stays[0] = 0 // a series without the label
	keys := set.scratch(c.rows)[:0]
	for row := range c.rows {
		hash := label.hashes.at(row)
		if other, does := stays[hash]; does {
			keys = append(keys, c.whole.at(row)-hash+other)
		}
	}
	return set.many(keys)
}

// bucketsOf are the values by their bounds, and whether each has one.
func bucketsOf(values []sampled) ([]bucket, bool) {
	buckets := make([]bucket, 0, len(values))
	for _, one := range values {
		lower, _, _ := strings.Cut(one.value, "...")
		bound, err := strconv.ParseFloat(lower, 64)
		if err != nil || math.IsNaN(bound) {
			return nil, false
		}
		buckets = append(buckets, bucket{one.hash, bound})
	}
	slices.SortFunc(buckets, func(a, b bucket) int { return cmp.Or(cmp.Compare(a.bound, b.bound), cmp.Compare(a.hash, b.hash)) })
	return buckets, true
}
