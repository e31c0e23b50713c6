package cardinality

import (
	"cmp"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// columns hold the series of one metric as hashes. The hash of a series is the sum of those of its labels, so it does not
// depend on their order and a label is taken out by subtraction: the distinct sums without it are the series that are left.
// With 64 bits a million series have a chance of 1 in 37 million that any two of them meet.
type columns struct {
	metric  string
	samples int
	closely bool     // templates are looked for
	whole   []uint64 // by series
	labels  []*column
	index   map[string]int // of labels
	spare   []*column      // labels is its beginning
	guess   int            // of labels: where the next label of the series should be
	scratch []byte         // of a template
}

// column is one label over all series of the metric.
type column struct {
	name    string
	salt    uint64
	hashes  []uint64 // by series; 0 where it has no such label
	carried int
	last    uint64
	samples sample
	ids     templates
}

// begin makes it the column of another label, in the memory that it has.
func (c *column) begin(name string, samples int) {
	if isBucket(name) {
		samples = max(samples, mostBuckets)
	}
	*c = column{
		name: name, salt: mix(xxhash.Sum64String(name)), hashes: c.hashes[:0],
		samples: sample{most: samples, values: c.samples.values[:0]}, ids: c.ids.again(),
	}
}

func (c *column) hash(value []byte) uint64 { return mix(xxhash.Sum64(value) ^ c.salt) }

func (c *columns) begin(metric string, samples int, closely bool) {
	c.metric, c.samples, c.closely, c.whole, c.labels = metric, samples, closely, c.whole[:0], nil
	c.index = map[string]int{}
}

func (c *columns) add(labels []victoriametrics.Label) {
	row := len(c.whole)
	sum := uint64(0)
	c.guess = 0
	for _, label := range labels {
		if string(label.Name) == metricLabel {
			continue
		}
		column := c.column(label.Name)
		hash := column.hash(label.Value)
		for len(column.hashes) < row {
			column.hashes = append(column.hashes, 0)
		}
		column.hashes = append(column.hashes, hash)
		column.carried++
		sum += hash
		// Sorted series repeat most of their values.
		if hash != column.last {
			column.last = hash
			column.samples.add(hash, label.Value)
			c.template(column, label.Value)
		}
		column.ids.add(row)
	}
	c.whole = append(c.whole, sum)
}

// template notes that of a value, for the series to come.
func (c *columns) template(column *column, value []byte) {
	column.ids.last = 0
	if column.ids.never {
		return
	}
	var changed bool
	if c.scratch, changed = template(c.scratch[:0], value); changed {
		column.ids.use(column.hash(c.scratch))
	}
}

// column finds that of a label. Most series of a metric have the same labels in the same order, and to compare one name is
// cheaper than to look it up.
func (c *columns) column(name []byte) *column {
	if c.guess < len(c.labels) && c.labels[c.guess].name == string(name) {
		c.guess++
		return c.labels[c.guess-1]
	}
	if at, known := c.index[string(name)]; known {
		c.guess = at + 1
		return c.labels[at]
	}
	at := len(c.labels)
	if at == len(c.spare) {
		c.spare = append(c.spare, &column{})
	}
	c.labels = c.spare[:at+1]
	label := c.labels[at]
	label.begin(string(name), c.samples)
	label.ids.never = !c.closely || protected(label.name)
	c.index[label.name] = at
	c.guess = at + 1
	return label
}

// mix is the finalizer of MurmurHash3 (public domain): without it sums of hashes of different labels could meet.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return max(h, 1) // 0 is "no such label"
}

func (c *columns) count(set *hashSet) MetricCount {
	rows := len(c.whole)
	found := MetricCount{Name: c.metric, Series: rows}
	for _, label := range c.labels {
		for len(label.hashes) < rows {
			label.hashes = append(label.hashes, 0)
		}
	}
	counts := make([]LabelCount, len(c.labels))
	for i, label := range c.labels {
		values := set.few(label.hashes)
		if label.carried < rows {
			values-- // the missing label is not one
		}
		counts[i] = LabelCount{
			Name: label.name, Series: label.carried, Values: values, Samples: label.samples.sorted(c.samples),
			Left: c.left(set, label), Halved: c.halved(set, label, values),
		}
		c.templates(set, label, &counts[i])
	}
	c.mirrors(set, counts)
	if c.closely {
		found.Pairs = c.pairs(set, counts)
	}
	slices.SortFunc(counts, func(a, b LabelCount) int {
		return cmp.Or(cmp.Compare(a.Left, b.Left), cmp.Compare(b.Values, a.Values), cmp.Compare(a.Name, b.Name))
	})
	found.Labels = counts
	return found
}

// left counts the label sets without some labels.
func (c *columns) left(set *hashSet, without ...*column) int {
	keys := set.scratch(len(c.whole))
	copy(keys, c.whole)
	for _, label := range without {
		for row, hash := range label.hashes {
			keys[row] -= hash
		}
	}
	return set.many(keys)
}

// templates counts the values and the label sets with the ids taken out of a label.
func (c *columns) templates(set *hashSet, label *column, count *LabelCount) {
	rows, ids := len(c.whole), &label.ids
	if ids.never || len(ids.hashes) == 0 {
		return
	}
	ids.fill(rows)
	if ids.one() {
		count.Templates, count.TemplateLeft = 1, count.Left
		return
	}
	keys := set.scratch(rows)
	for row, hash := range label.hashes {
		keys[row] = ids.hash(row, hash)
	}
	count.Templates = set.few(keys)
	if label.carried < rows {
		count.Templates-- // the missing label is not one
	}
	for row, hash := range label.hashes {
		keys[row] += c.whole[row] - hash
	}
	count.TemplateLeft = set.many(keys)
}

// mirrors finds the labels that go one to one with each other. Of one value there is no such thing to say: it is constant.
func (c *columns) mirrors(set *hashSet, counts []LabelCount) {
	rows := len(c.whole)
	for i, first := range c.labels {
		for j, second := range c.labels[:i] {
			if counts[i].Values != counts[j].Values || counts[i].Series != counts[j].Series || counts[i].Values < 2 {
				continue
			}
			keys := set.scratch(rows)
			for row, hash := range first.hashes {
				keys[row] = mix(hash) + second.hashes[row]
			}
			both := set.few(keys)
			absent := 0
			if counts[i].Series < rows {
				absent = 1
			}
			if both == counts[i].Values+absent {
				counts[i].Mirrors = append(counts[i].Mirrors, second.name)
				counts[j].Mirrors = append(counts[j].Mirrors, first.name)
			}
		}
	}
	for i := range counts {
		slices.Sort(counts[i].Mirrors)
	}
}

// pairs finds the labels that save more together than one by one: where one mirrors the other, each alone saves nothing.
func (c *columns) pairs(set *hashSet, counts []LabelCount) []PairCount {
	rows := len(c.whole)
	var found []PairCount
	for i, first := range c.labels {
		for j, second := range c.labels[:i] {
			if counts[i].Constant(rows) || counts[j].Constant(rows) || Structural(first.name) || Structural(second.name) {
				continue
			}
			left := c.left(set, first, second)
			alone := rows - counts[i].Left + rows - counts[j].Left
			if rows-left <= alone {
				continue
			}
			pair := PairCount{First: second.name, Second: first.name, Left: left}
			if pair.First > pair.Second {
				pair.First, pair.Second = pair.Second, pair.First
			}
			found = append(found, pair)
		}
	}
	slices.SortFunc(found, func(a, b PairCount) int {
		return cmp.Or(cmp.Compare(a.Left, b.Left), cmp.Compare(a.First, b.First), cmp.Compare(a.Second, b.Second))
	})
	return found
}

// Structural reports whether a label is part of what its metric means, so that nobody should drop it: the buckets of a
// histogram, the quantiles of a summary.
func Structural(label string) bool {
	return label == metricLabel || label == "le" || label == "quantile" || label == "vmrange"
}
