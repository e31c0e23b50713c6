package cardinality

import (
	"cmp"
	"slices"

	"github.com/axiomhq/hyperloglog"
)

// SketchError is how far the figures of a metric may be off that has more series than are counted exactly, as a part of each:
// five times the standard error of a sketch with 2^18 registers, 1.04/√2^18.
// https://algo.inria.fr/flajolet/Publications/FlFuGaMe07.pdf
const SketchError = 0.01

const (
	sketchPrecision = 18
	// sketchedLabels and sketchedPairs are fewer than are counted exactly: each has a sketch or two of 256 KiB.
	sketchedLabels = 64
	sketchedPairs  = 16
)

// sketch counts a metric in parts, in memory that does not grow with its series: HyperLogLog of the same hashes whose distinct
// ones are counted where a metric has fewer series. What a part brings that no part before had begins with what those make of
// it: series without a label are the same as with it taken away.
type sketch struct {
	metric  string
	samples int
	closely bool
	series  int
	whole   *hyperloglog.Sketch
	labels  []*sketchedLabel
	index   map[string]int
	pairs   []sketchedPair
	others  bool
}

type sketchedLabel struct {
	name    string
	carried int
	samples sample
	values  *hyperloglog.Sketch
	left    *hyperloglog.Sketch
	// nil before the first value with an id
	templates, templateLeft *hyperloglog.Sketch
}

type sketchedPair struct {
	first, second int // of labels
	left          *hyperloglog.Sketch
}

func newSketch(of *columns) *sketch {
	return &sketch{metric: of.metric, samples: of.samples, closely: of.closely, whole: newHLL(), index: map[string]int{}}
}

// newHLL begins as a list, which is exact for few and small.
func newHLL() *hyperloglog.Sketch {
	hll, err := hyperloglog.NewSketch(sketchPrecision, true)
	if err != nil {
		panic(err) // the precision is one of those that there are
	}
	return hll
}

// fold takes a part.
func (s *sketch) fold(part *columns, set *hashSet) {
	part.fill()
	s.others = s.others || part.others
	columns := s.meet(part)
	whole := part.without(set)
	insertAll(s.whole, whole)
	s.series += part.rows
	for i, label := range s.labels {
		label.fold(columns[i], part, set)
	}
	for _, pair := range s.pairs {
		insertAll(pair.left, part.without(set, columns[pair.first], columns[pair.second]))
	}
}

// meet makes room for the labels of a part, and returns the part's columns by label. One that the part does not have is empty.
func (s *sketch) meet(part *columns) []*column {
	// Those with the most values first, where not all are looked at.
	labels := slices.SortedStableFunc(slices.Values(part.labels), func(a, b *column) int {
		return cmp.Compare(len(b.samples.values), len(a.samples.values))
	})
	for _, column := range labels {
		at, known := s.index[column.name]
		if !known {
			if at = len(s.labels); at == sketchedLabels {
				s.others = true
				continue
			}
			s.begin(column)
		}
		label := s.labels[at]
		if column.changed && label.templates == nil {
			label.templates, label.templateLeft = label.values.Clone(), s.whole.Clone()
		}
	}
	columns := make([]*column, len(s.labels))
	for i, label := range s.labels {
		columns[i] = &column{}
		if at, has := part.index[label.name]; has {
			columns[i] = part.labels[at]
		}
	}
	return columns
}

func (s *sketch) begin(of *column) {
	at := len(s.labels)
	if s.closely && at < sketchedPairs && !Structural(of.name) {
		for i, other := range s.labels {
			if !Structural(other.name) {
				s.pairs = append(s.pairs, sketchedPair{i, at, other.left.Clone()})
			}
		}
	}
	s.index[of.name] = at
	s.labels = append(s.labels, &sketchedLabel{name: of.name, samples: sample{most: of.samples.most}, values: newHLL(), left: s.whole.Clone()})
}

func (l *sketchedLabel) fold(part *column, of *columns, set *hashSet) {
	l.carried += part.carried
	for _, one := range part.samples.values {
		l.samples.add(one.hash, []byte(one.value), len(one.value))
	}
	keys := set.scratch(of.rows)
	part.hashes.copyTo(keys)
	insertAll(l.values, keys)
	insertAll(l.left, of.without(set, part))
	if l.templates == nil {
		return
	}
	part.templates(keys)
	insertAll(l.templates, keys)
	part.hashes.subtractFrom(keys)
	of.whole.addTo(keys)
	insertAll(l.templateLeft, keys)
}

// insertAll takes keys of which neighbours are often alike: series come sorted. A key of 0 is a label that is missing, or the one
// label set without labels, which is not missed among a million.
func insertAll(into *hyperloglog.Sketch, keys []uint64) {
	last := uint64(0)
	for _, key := range keys {
		if key != last && key != 0 {
			last = key
			into.InsertHash(key)
		}
	}
}

func (s *sketch) count() MetricCount {
	found := MetricCount{Name: s.metric, Series: s.series, Error: SketchError, OtherLabels: s.others}
	lefts := make([]int, len(s.labels))
	for i, label := range s.labels {
		lefts[i] = s.left(label.left)
		count := LabelCount{
			Name: label.name, Series: label.carried, Values: estimated(label.values), Left: lefts[i], Samples: label.samples.sorted(s.samples),
		}
		if values, all := label.samples.few(); all {
			count.Values = values
		}
		if label.templates != nil {
			count.Templates, count.TemplateLeft = min(estimated(label.templates), count.Values), s.left(label.templateLeft)
		}
		found.Labels = append(found.Labels, count)
	}
	for _, pair := range s.pairs {
		left := s.left(pair.left)
		alone := 2*s.series - lefts[pair.first] - lefts[pair.second]
		// Three figures, and each may be off.
		if s.series-left > alone+3*s.margin() {
			found.Pairs = append(found.Pairs, newPair(s.labels[pair.first].name, s.labels[pair.second].name, left))
		}
	}
	found.Labels, found.Pairs = mostSavedFirst(found.Labels), fewestLeftFirst(found.Pairs)
	return found
}

// left is an estimate of the series that are left. Where it is as near to all of them as it may be off, nothing is saved.
func (s *sketch) left(of *hyperloglog.Sketch) int {
	left := estimated(of)
	if left > s.series-s.margin() {
		return s.series
	}
	return max(left, 1)
}

func (s *sketch) margin() int { return int(SketchError * float64(s.series)) }

func estimated(of *hyperloglog.Sketch) int { return int(of.Estimate()) } //nolint:gosec // a count
