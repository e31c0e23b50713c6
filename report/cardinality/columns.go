package cardinality

import (
	"cmp"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// columns hold the series of one metric, or a part of them, as hashes. The hash of a series is the sum of those of its labels, so
// it does not depend on their order and a label is taken out by subtraction: the distinct sums without it are the series that are
// left. With 64 bits a million series have a chance of 1 in 37 million that any two of them meet.
type columns struct {
	metric  string
	samples int
	closely bool // templates are looked for
	room    *room
	held    int // blocks

	rows    int
	whole   cells
	labels  []*column
	index   map[string]int // of labels
	spare   []*column      // labels is its beginning
	guess   int            // of labels: where the next label of the series should be
	scratch []byte         // of a template
	sampled int            // bytes of samples
	others  bool           // there are labels that have no column
}

// column is one label over all series of the metric.
type column struct {
	name    string
	salt    uint64
	hashes  cells // 0 where a series has no such label
	carried int
	last    uint64
	samples sample

	plain    bool   // no templates are looked for
	template uint64 // hash of that of the last value, 0 where it is the value itself
	ids      cells  // templates, 0 as well where the value itself is one
	changed  bool   // there is one that is not
}

const (
	// mostLabels of a metric are looked at one by one. VictoriaMetrics takes 40 for a series, but each series may have others.
	mostLabels = 1024
	// longestName of a label is sixteen times what VictoriaMetrics takes.
	longestName = 4 << 10
	// A value that is shown for an example is cut where it is longer than this, and than the other where the examples of a
	// metric take much memory. VictoriaMetrics takes values up to the first.
	longestSample, shortSample = 4 << 10, 64
	muchSampled                = 2 << 20
)

// begin makes it the column of another label, in the memory that it has.
func (c *column) begin(name string, samples int) {
	if isBucket(name) {
		samples = max(samples, mostBuckets)
	}
	*c = column{name: name, salt: saltOf(name), hashes: c.hashes, ids: c.ids, samples: sample{most: samples, values: c.samples.values[:0]}}
}

func saltOf[T string | []byte](name T) uint64 { return mix(xxhash.Sum64String(string(name))) }

func (c *column) hash(value []byte) uint64 { return mix(xxhash.Sum64(value) ^ c.salt) }

func (c *columns) begin(metric string, samples int, closely bool) {
	c.metric, c.samples, c.closely, c.labels, c.rows, c.sampled, c.others = metric, samples, closely, nil, 0, 0, false
	c.index = map[string]int{}
}

// release gives the blocks back.
func (c *columns) release() {
	release := func(cells *cells) {
		c.room.give(cells.blocks)
		clear(cells.blocks)
		cells.blocks, cells.filled = cells.blocks[:0], 0
	}
	release(&c.whole)
	for _, label := range c.labels {
		release(&label.hashes)
		release(&label.ids)
		clear(label.samples.values)
	}
	// What one metric with a thousand labels had is not kept for all that have ten.
	if len(c.spare) > usualLabels {
		c.spare = slices.Clone(c.spare[:usualLabels])
	}
	c.held = 0
}

const usualLabels = 64

func (c *columns) take() *block {
	c.held++
	return c.room.take()
}

// most is how many blocks a series with so many labels can take.
func most(labels int) int { return 2*min(labels, mostLabels) + 1 }

func (c *columns) add(labels []victoriametrics.Label) {
	sum := uint64(0)
	c.guess = 0
	for _, label := range labels {
		if string(label.Name) == metricLabel {
			continue
		}
		column := c.column(label.Name)
		if column == nil {
			c.others = true
			sum += mix(xxhash.Sum64(label.Value) ^ saltOf(label.Name))
			continue
		}
		hash := column.hash(label.Value)
		column.hashes.add(c.rows, hash, c.take)
		column.carried++
		sum += hash
		// Sorted series repeat most of their values.
		if hash != column.last {
			column.last = hash
			c.sample(column, hash, label.Value)
			c.template(column, label.Value)
		}
		// There is nothing to pay for a label before its first value with an id.
		if column.template != 0 {
			column.ids.add(c.rows, column.template, c.take)
		}
	}
	c.whole.add(c.rows, sum, c.take)
	c.rows++
}

func (c *columns) sample(column *column, hash uint64, value []byte) {
	longest := longestSample
	if c.sampled > muchSampled {
		longest = shortSample
	}
	c.sampled += column.samples.add(hash, value, longest)
}

// template notes that of a value, for this series and those to come.
func (c *columns) template(column *column, value []byte) {
	column.template = 0
	if column.plain {
		return
	}
	var changed bool
	if c.scratch, changed = template(c.scratch[:0], value); changed {
		column.template, column.changed = column.hash(c.scratch), true
	}
}

// column finds that of a label, nil for one that is not looked at. Most series of a metric have the same labels in the same
// order, and to compare one name is cheaper than to look it up.
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
	if at == mostLabels || len(name) > longestName {
		return nil
	}
	if at == len(c.spare) {
		c.spare = append(c.spare, &column{})
	}
	c.labels = c.spare[:at+1]
	label := c.labels[at]
	label.begin(string(name), c.samples)
	label.plain = !c.closely || protected(label.name)
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

// fill makes each column as long as the metric.
func (c *columns) fill() {
	c.whole.fill(c.rows)
	for _, label := range c.labels {
		label.hashes.fill(c.rows)
		label.ids.fill(c.rows)
	}
}

func (c *columns) count(set *hashSet) MetricCount {
	c.fill()
	found := MetricCount{Name: c.metric, Series: c.rows, OtherLabels: c.others}
	counts := make([]LabelCount, len(c.labels))
	for i, label := range c.labels {
		keys := set.scratch(c.rows)
		label.hashes.copyTo(keys)
		values := set.few(keys)
		if label.carried < c.rows {
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
	found.Labels = mostSavedFirst(counts)
	return found
}

func mostSavedFirst(counts []LabelCount) []LabelCount {
	slices.SortFunc(counts, func(a, b LabelCount) int {
		return cmp.Or(cmp.Compare(a.Left, b.Left), cmp.Compare(b.Values, a.Values), cmp.Compare(a.Name, b.Name))
	})
	return counts
}

// without are the sums of the series without some labels.
func (c *columns) without(set *hashSet, labels ...*column) []uint64 {
	keys := set.scratch(c.rows)
	c.whole.copyTo(keys)
	for _, label := range labels {
		label.hashes.subtractFrom(keys)
	}
	return keys
}

// left counts the label sets without some labels.
func (c *columns) left(set *hashSet, without ...*column) int {
	return set.many(c.without(set, without...))
}

// templates counts the values and the label sets with the ids taken out of a label.
func (c *columns) templates(set *hashSet, label *column, count *LabelCount) {
	if !label.changed {
		return
	}
	keys := set.scratch(c.rows)
	label.templates(keys)
	if same(keys) { // then to take the ids out is as to drop the label
		count.Templates, count.TemplateLeft = 1, count.Left
		return
	}
	count.Templates = set.few(keys)
	if label.carried < c.rows {
		count.Templates-- // the missing label is not one
	}
	label.hashes.subtractFrom(keys)
	c.whole.addTo(keys)
	count.TemplateLeft = set.many(keys)
}

// templates writes the hash of each row's template, 0 where the series has no such label.
func (c *column) templates(keys []uint64) {
	c.hashes.copyTo(keys)
	for row, ids := range c.ids.all(len(keys)) {
		for i, id := range ids {
			if id != 0 {
				keys[row+i] = id
			}
		}
	}
}

func same(keys []uint64) bool {
	for _, key := range keys {
		if key != keys[0] {
			return false
		}
	}
	return true
}

// mirrors finds the labels that go one to one with each other. Of one value there is no such thing to say: it is constant.
func (c *columns) mirrors(set *hashSet, counts []LabelCount) {
	for i, first := range c.labels {
		for j, second := range c.labels[:i] {
			if counts[i].Values != counts[j].Values || counts[i].Series != counts[j].Series || counts[i].Values < 2 {
				continue
			}
			keys := set.scratch(c.rows)
			first.hashes.copyTo(keys)
			for row := range keys {
				keys[row] = mix(keys[row])
			}
			second.hashes.addTo(keys)
			both := set.few(keys)
			absent := 0
			if counts[i].Series < c.rows {
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

// pairedLabels of a metric are looked at two by two: those with the most values.
const pairedLabels = 32

// pairs finds the labels that save more together than one by one: where one mirrors the other, each alone saves nothing.
func (c *columns) pairs(set *hashSet, counts []LabelCount) []PairCount {
	var found []PairCount
	paired := c.paired(counts)
	for n, i := range paired {
		for _, j := range paired[:n] {
			left := c.left(set, c.labels[i], c.labels[j])
			alone := c.rows - counts[i].Left + c.rows - counts[j].Left
			if c.rows-left > alone {
				found = append(found, newPair(c.labels[i].name, c.labels[j].name, left))
			}
		}
	}
	return fewestLeftFirst(found)
}

// paired are the numbers of the labels that may be one of a pair.
func (c *columns) paired(counts []LabelCount) []int {
	var paired []int
	for i := range counts {
		if !counts[i].Constant(c.rows) && !Structural(counts[i].Name) {
			paired = append(paired, i)
		}
	}
	slices.SortStableFunc(paired, func(a, b int) int { return cmp.Compare(counts[b].Values, counts[a].Values) })
	return paired[:min(len(paired), pairedLabels)]
}

func newPair(first, second string, left int) PairCount {
	return PairCount{First: min(first, second), Second: max(first, second), Left: left}
}

func fewestLeftFirst(pairs []PairCount) []PairCount {
	slices.SortFunc(pairs, func(a, b PairCount) int {
		return cmp.Or(cmp.Compare(a.Left, b.Left), cmp.Compare(a.First, b.First), cmp.Compare(a.Second, b.Second))
	})
	return pairs
}

// Structural reports whether a label is part of what its metric means, so that nobody should drop it: the buckets of a
// histogram, the quantiles of a summary.
func Structural(label string) bool {
	return label == metricLabel || label == "le" || label == "quantile" || label == "vmrange"
}
