package cardinality_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

type series map[string]string

func (s series) labels() []victoriametrics.Label {
	var labels []victoriametrics.Label
	for name, value := range s { // in any order
		labels = append(labels, victoriametrics.Label{Name: []byte(name), Value: []byte(value)})
	}
	return labels
}

func (s series) without(names ...string) string {
	rest := maps.Clone(s)
	for _, name := range names {
		delete(rest, name)
	}
	var words []string
	for name, value := range rest {
		words = append(words, fmt.Sprintf("%q=%q", name, value))
	}
	slices.Sort(words)
	return strings.Join(words, ",")
}

func count(t *testing.T, all ...series) []cardinality.MetricCount {
	t.Helper()
	counter := cardinality.Counter{Closely: func(string) bool { return true }, Samples: 3}
	for _, one := range all {
		assert.NilError(t, counter.Add(one.labels()))
	}
	found, rest := counter.Finish()
	assert.Equal(t, rest, cardinality.Rest{})
	return found
}

// The example of every complaint: container_id has most values and saves nothing, because pod goes with it.
func TestALabelThatMirrorsAnotherSavesNothingAlone(t *testing.T) {
	var all []series
	for i := range 100 {
		all = append(all, series{
			"__name__": "requests_total", "job": "api", "method": []string{"GET", "PUT"}[i%2],
			"container_id": fmt.Sprintf("id-%d", i/2), "pod": fmt.Sprintf("pod-%d", i/2),
		})
	}
	found := count(t, all...)
	assert.Equal(t, len(found), 1)
	metric := found[0]
	assert.Equal(t, metric.Series, 100)
	left := map[string]int{}
	for _, label := range metric.Labels {
		left[label.Name] = label.Left
	}
	assert.DeepEqual(t, left, map[string]int{"job": 100, "method": 50, "container_id": 100, "pod": 100})
	assert.DeepEqual(t, metric.Pairs, []cardinality.PairCount{{First: "container_id", Second: "pod", Left: 2}})
	byName := map[string]cardinality.LabelCount{}
	for _, label := range metric.Labels {
		byName[label.Name] = label
	}
	assert.DeepEqual(t, byName["pod"].Mirrors, []string{"container_id"})
	assert.DeepEqual(t, byName["container_id"].Mirrors, []string{"pod"})
	assert.Equal(t, len(byName["job"].Mirrors), 0)
	assert.Equal(t, len(byName["pod"].Samples), 3)
	assert.DeepEqual(t, byName["method"].Samples, []string{"GET", "PUT"})
}

func TestBucketsAreNoPair(t *testing.T) {
	var all []series
	for i := range 10 {
		all = append(all, series{"__name__": "x_bucket", "le": strconv.Itoa(i), "twin": strconv.Itoa(i)})
	}
	assert.Equal(t, len(count(t, all...)[0].Pairs), 0)
}

func TestMixedMetricsAreRefused(t *testing.T) {
	counter := cardinality.Counter{}
	assert.NilError(t, counter.Add(series{"__name__": "a", "x": "1"}.labels()))
	assert.NilError(t, counter.Add(series{"__name__": "b", "x": "1"}.labels()))
	err := counter.Add(series{"__name__": "a", "x": "2"}.labels())
	assert.Assert(t, errors.Is(err, cardinality.ErrUngrouped), "%v", err)
	found, _ := counter.Finish()
	assert.Equal(t, len(found), 2)
}

func TestNothingToCount(t *testing.T) {
	assert.Equal(t, len(count(t)), 0)
}

// Whatever the series, the figures are those of counting label sets as text.
func TestCountsAreThoseOfCountingText(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		all := randomStore(random)
		found := count(t, all...)
		byMetric := map[string][]series{}
		for _, one := range all {
			byMetric[one["__name__"]] = append(byMetric[one["__name__"]], one)
		}
		assert.Equal(t, len(found), len(byMetric))
		for _, metric := range found {
			compare(t, metric, byMetric[metric.Name])
		}
	}
}

// randomStore is distinct series, grouped by metric, with labels that miss, mirror others or have one value.
func randomStore(random *rand.Rand) []series {
	var all []series
	for m := range 1 + random.IntN(4) {
		seen := map[string]bool{}
		labels := 1 + random.IntN(5)
		// Words, ids, and ids between words.
		forms := []string{"w%d%d", "%d.%d", "/a/%d/b%d", "%04d0000000%d", "{id}-%[2]d-"}
		shuffle(random, forms)
		values := make([]int, labels)
		for i := range values {
			values[i] = 1 + random.IntN(12)
		}
		for range 1 + random.IntN(150) {
			one := series{"__name__": fmt.Sprintf("m%d", m)}
			for i := range labels {
				switch value := random.IntN(values[i] + 1); {
				case value == values[i] && i%2 == 0: // misses
				case i > 0 && i%3 == 0:
					one[fmt.Sprintf("l%d", i)] = "mirror of " + one[fmt.Sprintf("l%d", i-1)]
				default:
					one[fmt.Sprintf("l%d", i)] = fmt.Sprintf(forms[i], value, value%3)
				}
			}
			if key := one.without(); !seen[key] {
				seen[key] = true
				all = append(all, one)
			}
		}
	}
	return all
}

func shuffle(random *rand.Rand, list []string) {
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

func compare(t *testing.T, metric cardinality.MetricCount, all []series) {
	t.Helper()
	compareLabels(t, metric, all)
	compareTemplates(t, metric, all)
	comparePairs(t, metric, all)
}

// left is how many label sets differ without some labels.
func left(all []series, names ...string) int {
	sets := map[string]bool{}
	for _, one := range all {
		sets[one.without(names...)] = true
	}
	return len(sets)
}

// statesOf are the values of labels over the series, "" where there is none.
func statesOf(all []series, names ...string) int {
	states := map[string]bool{}
	for _, one := range all {
		var state []string
		for _, name := range names {
			state = append(state, strconv.Quote(one[name]))
		}
		states[strings.Join(state, ",")] = true
	}
	return len(states)
}

func compareLabels(t *testing.T, metric cardinality.MetricCount, all []series) {
	t.Helper()
	assert.Equal(t, metric.Series, len(all))
	known := map[string]bool{}
	for _, one := range all {
		for name := range one {
			known[name] = name != "__name__"
		}
	}
	delete(known, "__name__")
	assert.Equal(t, len(metric.Labels), len(known))
	carried := map[string]int{}
	distinct := map[string]int{}
	for _, label := range metric.Labels {
		values := map[string]bool{}
		for _, one := range all {
			if value, has := one[label.Name]; has {
				values[value] = true
				carried[label.Name]++
			}
		}
		distinct[label.Name] = len(values)
		assert.Equal(t, label.Values, len(values), label.Name)
		assert.Equal(t, label.Series, carried[label.Name], label.Name)
		assert.Equal(t, label.Left, left(all, label.Name), label.Name)
		for _, sampled := range label.Samples {
			assert.Assert(t, values[sampled], "%s: %q", label.Name, sampled)
		}
		assert.Equal(t, len(label.Samples), min(3, len(values)))
	}
	for _, label := range metric.Labels {
		var mirrors []string
		for other := range known {
			if other != label.Name && distinct[other] > 1 && distinct[other] == distinct[label.Name] && carried[other] == carried[label.Name] &&
				statesOf(all, label.Name, other) == statesOf(all, other) {
				mirrors = append(mirrors, other)
			}
		}
		slices.Sort(mirrors)
		assert.DeepEqual(t, label.Mirrors, mirrors)
	}
}

// compareTemplates rewrites the series by the regular expressions of a rule.
func compareTemplates(t *testing.T, metric cardinality.MetricCount, all []series) {
	t.Helper()
	for _, label := range metric.Labels {
		if cardinality.Protected(label.Name) {
			assert.Equal(t, label.Templates+label.TemplateLeft, 0, label.Name)
			continue
		}
		values, sets, changed := map[string]bool{}, map[string]bool{}, false
		for _, one := range all {
			if value, has := one[label.Name]; has {
				one = maps.Clone(one)
				one[label.Name] = cardinality.TemplateBySteps(value)
				values[one[label.Name]] = true
				changed = changed || one[label.Name] != value
			}
			sets[one.without()] = true
		}
		if !changed {
			values, sets = nil, nil
		}
		assert.Equal(t, label.Templates, len(values), label.Name)
		assert.Equal(t, label.TemplateLeft, len(sets), label.Name)
	}
}

// compareBuckets takes every second bucket away by its name.
func compareBuckets(t *testing.T, metric cardinality.MetricCount, all []series, label string) {
	t.Helper()
	values := map[string]float64{}
	for _, one := range all {
		if value, has := one[label]; has {
			bound, err := strconv.ParseFloat(value, 64)
			assert.NilError(t, err)
			values[value] = bound
		}
	}
	sorted := slices.SortedFunc(maps.Keys(values), func(a, b string) int { return cmp.Compare(values[b], values[a]) })
	stays := 0
	for _, one := range all {
		if value, has := one[label]; !has || slices.Index(sorted, value)%2 == 0 {
			stays++
		}
	}
	at := slices.IndexFunc(metric.Labels, func(l cardinality.LabelCount) bool { return l.Name == label })
	assert.Equal(t, metric.Labels[at].Halved, stays)
}

// Services choose their buckets, and a client may leave out what is empty: half of the buckets are not half of the series.
func TestHalfOfTheBuckets(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 5)) //nolint:gosec // the same in each run
		bounds := []string{"+Inf", "0.1", "2.5", "10", "9", "1e3", "-1", "0", "100", "1024"}[:2+random.IntN(9)]
		var all []series
		for i := range 1 + random.IntN(40) {
			for _, bound := range bounds {
				if random.IntN(3) > 0 || i == 0 {
					all = append(all, series{"__name__": "x_bucket", "le": bound, "route": strconv.Itoa(i)})
				}
			}
		}
		all = append(all, series{"__name__": "x_bucket", "route": "0"})
		compareBuckets(t, count(t, all...)[0], all, "le")
	}
}

func TestRangesGoTogether(t *testing.T) {
	var all []series
	for _, one := range []struct{ route, vmrange string }{
		{"a", "0...1.000e-09"},
		{"a", "1.000e+00...1.136e+00"},
		{"a", "9.000e+00...1.000e+01"},
		{"b", "9.000e+00...1.000e+01"},
		{"b", "1.000e+18...+Inf"},
		{"c", "1.000e+00...1.136e+00"},
	} {
		all = append(all, series{"__name__": "x_bucket", "vmrange": one.vmrange, "route": one.route})
	}
	labels := count(t, all...)[0].Labels
	at := slices.IndexFunc(labels, func(l cardinality.LabelCount) bool { return l.Name == "vmrange" })
	// By two: the first and second, the third and fourth. Of a the third is left alone, b has both.
	assert.Equal(t, labels[at].Halved, 4)
	all = append(all, series{"__name__": "x_bucket", "vmrange": "none", "route": "c"})
	assert.Equal(t, count(t, all...)[0].Labels[at].Halved, 0)
}

func comparePairs(t *testing.T, metric cardinality.MetricCount, all []series) {
	t.Helper()
	var names []string
	alone := map[string]int{}
	for _, label := range metric.Labels {
		if cardinality.Structural(label.Name) {
			continue
		}
		names = append(names, label.Name)
		alone[label.Name] = len(all) - left(all, label.Name)
	}
	slices.Sort(names)
	var want []cardinality.PairCount
	for i, first := range names {
		for _, second := range names[i+1:] {
			both := left(all, first, second)
			if len(all)-both > alone[first]+alone[second] {
				want = append(want, cardinality.PairCount{First: first, Second: second, Left: both})
			}
		}
	}
	slices.SortStableFunc(want, func(a, b cardinality.PairCount) int { return a.Left - b.Left })
	assert.DeepEqual(t, metric.Pairs, want)
}
