package cardinality_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// largeSeries are more than are counted exactly.
const largeSeries = 1_500_000

// addLarge adds a metric whose counts can be told without counting: each label is a function of the series' number.
func addLarge(t *testing.T, counter *cardinality.Counter) {
	t.Helper()
	names := []string{"__name__", "container", "job", "method", "path", "pod", "late"}
	labels := make([]victoriametrics.Label, len(names))
	for i, name := range names {
		labels[i].Name = []byte(name)
	}
	labels[0].Value, labels[2].Value = []byte("large_total"), []byte("shop")
	number := func(at int, before string, value int) {
		labels[at].Value = strconv.AppendInt(append(labels[at].Value[:0], before...), int64(value), 10)
	}
	for i := range largeSeries {
		// Half a million containers, each in one pod; three methods.
		number(1, "c", i%500_000)
		number(3, "m", i/500_000)
		number(4, "/users/", i%250_000)
		number(5, "p", i%500_000)
		all := labels[:6]
		if i >= 1_200_000 {
			number(6, "l", i%7)
			all = labels
		}
		assert.NilError(t, counter.Add(all))
	}
}

func large(t *testing.T) cardinality.MetricCount {
	t.Helper()
	counter := cardinality.Counter{Closely: func(string) bool { return true }, Samples: 20}
	addLarge(t, &counter)
	found, _ := counter.Finish()
	assert.Equal(t, len(found), 1)
	return found[0]
}

// What is left of a metric with too many series to count is near to what there is, for labels that come in late as well.
func TestSketchesAreNear(t *testing.T) {
	metric := large(t)
	assert.Equal(t, metric.Series, largeSeries)
	assert.Equal(t, metric.Error, cardinality.SketchError)
	left := map[string]int{
		"container": largeSeries, "pod": largeSeries, "job": largeSeries, "path": largeSeries,
		// Without the method it is the container, with late or without: those of the last 300,000 have both.
		"method": 500_000 + 300_000, "late": largeSeries,
	}
	values := map[string]int{"container": 500_000, "pod": 500_000, "job": 1, "path": 250_000, "method": 3, "late": 7}
	carried := map[string]int{"container": largeSeries, "pod": largeSeries, "job": largeSeries, "path": largeSeries, "method": largeSeries, "late": 300_000}
	assert.Equal(t, len(metric.Labels), len(left))
	for _, label := range metric.Labels {
		assert.Equal(t, label.Series, carried[label.Name], label.Name)
		assertNear(t, label.Name+" left", label.Left, left[label.Name])
		assertNear(t, label.Name+" values", label.Values, values[label.Name])
		if values[label.Name] < 20 {
			assert.Equal(t, label.Values, values[label.Name], "few are exact")
		}
		if left[label.Name] == largeSeries {
			assert.Equal(t, label.Left, largeSeries, "%s: noise saves no series", label.Name)
		}
		assert.Equal(t, len(label.Mirrors), 0, label.Name)
		if label.Name == "path" {
			assert.Equal(t, label.Templates, 1)
			assert.Equal(t, label.TemplateLeft, largeSeries)
		}
	}
	// Without both late and method it is the container; without container and pod it is path, method and late, of which those of
	// method 0 and 1 come twice. Of each other pair one label alone saves what both do, so only noise could make it one.
	assert.Equal(t, len(metric.Pairs), 2, "%v", metric.Pairs)
	for i, want := range []cardinality.PairCount{{First: "late", Second: "method", Left: 500_000}, {First: "container", Second: "pod", Left: 1_000_000}} {
		assert.Equal(t, metric.Pairs[i].First+" "+metric.Pairs[i].Second, want.First+" "+want.Second)
		assertNear(t, want.First+" and "+want.Second, metric.Pairs[i].Left, want.Left)
	}
}

func collectedLarge() cardinality.Collected {
	return cardinality.Collected{
		Request: cardinality.Request{Now: now(), Top: 10},
		Rest:    cardinality.Rest{Metrics: 7, Series: 70},
		Metrics: []cardinality.MetricCount{{
			Name: "large_total", Series: 12_000_000, Error: cardinality.SketchError, OtherLabels: true,
			Labels: []cardinality.LabelCount{
				{Name: "user", Series: 12_000_000, Values: 3_000_000, Left: 4_000_000, Samples: []string{"name-a", "name-b"}},
				{Name: "container", Series: 12_000_000, Values: 500_000, Left: 12_000_000},
				{Name: "pod", Series: 12_000_000, Values: 500_000, Left: 12_000_000},
			},
			Pairs: []cardinality.PairCount{{First: "container", Second: "pod", Left: 100_000}},
		}},
	}
}

func TestEstimatesAreMarkedInEachFormat(t *testing.T) {
	report := cardinality.Analyse(collectedLarge(), cardinality.Options{Top: 10})
	assert.Equal(t, report.Summary.Series, 12_000_070)
	assert.Equal(t, report.Summary.Metrics, 8)
	var text, markdown, csv, object strings.Builder
	render.Document(&text, report.Document())
	render.Markdown(&markdown, report.Document())
	assert.NilError(t, render.CSV(&csv, report.Document().Flat))
	assert.NilError(t, render.JSON(&object, report))
	for _, people := range []string{text.String(), markdown.String()} {
		people = strings.Join(strings.Fields(people), " ") // as if no line ended
		for _, want := range []string{
			"~3,000,000", "~4,000,000", "~8,000,000", "~11,900,000", "within 1.0 %", "about 3,000,000 values", "about 4,000,000 of 12,000,000",
			"7 metrics with 70 series in all", "labels of large_total:",
		} {
			assert.Assert(t, strings.Contains(people, want) || strings.Contains(people, strings.Replace(want, "_", `\_`, 1)), "%s\n%s", want, people)
		}
	}
	assert.Assert(t, strings.HasSuffix(strings.Split(csv.String(), "\n")[1], ",0.01"), csv.String())
	var read struct {
		Metrics  []struct{ Error float64 }
		Findings []struct{ Approximate bool }
	}
	assert.NilError(t, json.Unmarshal([]byte(object.String()), &read))
	assert.Equal(t, read.Metrics[0].Error, 0.01)
	for _, finding := range read.Findings {
		assert.Assert(t, finding.Approximate)
	}
	schema, err := jsonschema.NewCompiler().Compile("../../docs/schema/cardinality.json")
	assert.NilError(t, err)
	var value any
	assert.NilError(t, json.Unmarshal([]byte(object.String()), &value))
	assert.NilError(t, schema.Validate(value))
}

// What comes of a rule is counted exactly: an estimate that is too low by its error must not be a promise that is broken.
func TestAPromiseAllowsForItsError(t *testing.T) {
	report := cardinality.Analyse(collectedLarge(), cardinality.Options{Top: 10})
	all := report.Rules(cardinality.AllFindings)
	assert.Equal(t, len(all), 1, "%v", all)
	for _, rule := range all {
		assert.Assert(t, rule.Approximate)
		at := slices.IndexFunc(report.Findings, func(f cardinality.Finding) bool { return slices.Equal(f.Labels, rule.Labels) })
		estimate := 12_000_000 - report.Findings[at].Saved
		actual := float64(*rule.Left)
		// The most series of which the estimate is not off by more than it may be.
		assert.Assert(t, (actual-float64(estimate))/actual >= cardinality.SketchError, "%d of %d", *rule.Left, estimate)
		assert.Assert(t, *rule.Left < estimate*102/100)
		assert.Assert(t, strings.Contains(rule.About, "about"), rule.About)
	}
}
