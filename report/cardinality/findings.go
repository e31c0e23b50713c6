package cardinality

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/docker-telemetry/docker-telemetry/internal/document"
	"github.com/docker-telemetry/docker-telemetry/report/shape"
)

// The codes of findings. They are stable: each has a page in docs/findings, and scripts look for them.
const (
	UnboundedLabel = "DTC001"
	CostlyLabel    = "DTC002"
	RepeatedPair   = "DTC003"
	NeverRead      = "DTC004"
	Churning       = "DTC005"
	WideHistogram  = "DTC006"
	PersonalData   = "DTC007"
	RepeatedLabel  = "DTC008"
	ConstantLabel  = "DTC009"
	NearLimit      = "DTC010"
)

// Codes returns every code, sorted.
func Codes() []string {
	return []string{
		UnboundedLabel, CostlyLabel, RepeatedPair, NeverRead, Churning, WideHistogram, PersonalData, RepeatedLabel, ConstantLabel, NearLimit,
	}
}

const (
	// A label is worth a finding when it saves so many series, and such a part of its metric.
	worthSeries, worthPart = 100, 0.1
	// More buckets than this tell little more of a distribution; twelve are the default of most clients.
	manyBuckets = 20
	// New series in a day for each active one: the whole store was replaced.
	highChurn = 1.0
	// Of a limit, from where on it is about to be reached.
	nearLimit = 0.8
)

// ownJob is the job of the metrics that the bundled store has of itself.
const ownJob = "victoriametrics"

// protected are labels that nobody should be told to drop: what the metric means, and where it was scraped.
func protected(label string) bool { return Structural(label) || label == "job" || label == "instance" }

func (a *analysis) findings(report *Report) []Finding {
	found := []Finding{}
	for _, metric := range report.Metrics {
		// No rule reaches the store's own metrics: it writes them past relabeling and aggregation.
		if !slices.Equal(metric.Jobs, []string{ownJob}) {
			found = append(found, a.ofMetric(metric)...)
		}
	}
	found = append(found, a.repeated(report.Metrics)...)
	found = append(found, a.constant()...)
	found = append(found, a.ofStore(report.Summary)...)
	slices.SortStableFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Saved, a.Saved), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Metric, b.Metric))
	})
	for i := range found {
		found[i].Labels, found[i].Lost = orEmpty(found[i].Labels), orEmpty(found[i].Lost)
	}
	return found
}

func (a *analysis) ofMetric(m Metric) []Finding {
	var found []Finding
	if a.neverRead(m.Name) && a.Usage.Since.Before(a.Request.Now.Add(-early)) && m.Series >= worthSeries {
		found = append(found, Finding{
			Code: NeverRead, Metric: m.Name, Saved: m.Series, Rule: dropMetric(m.Name),
			Title: fmt.Sprintf("nobody has read it since %s, and no dashboard or rule does", a.Usage.Since.Format("2006-01-02")),
		})
	}
	for _, label := range m.Labels {
		if finding, is := a.ofLabel(m, label); is {
			found = append(found, finding)
		}
		if finding, is := a.ofBuckets(m, label); is {
			found = append(found, finding)
		}
	}
	if pair, is := bestPair(m); is {
		found = append(found, Finding{
			Code: RepeatedPair, Metric: m.Name, Labels: []string{pair.First, pair.Second}, Saved: pair.Saved,
			Title: fmt.Sprintf("%s and %s go together: without both %s of %s series are left, without one of them more",
				pair.First, pair.Second, m.about(pair.Left), number(m.Series)),
			Approximate: m.Error > 0,
			Lost:        a.uses.Naming(m.Name, pair.First, pair.Second), Rule: a.aggregation(m, pair.First, pair.Second),
		})
	}
	return found
}

func (a *analysis) ofLabel(m Metric, label Label) (Finding, bool) {
	personal := label.Shape.Personal() && !protected(label.Name)
	if protected(label.Name) || !worth(label.Saved, m.Series) && (!personal || label.Shape != shape.Mail) {
		return Finding{}, false
	}
	f := Finding{
		Code: CostlyLabel, Metric: m.Name, Labels: []string{label.Name}, Saved: label.Saved,
		Title: fmt.Sprintf("%s has %s values: without it %s of %s series are left",
			label.Name, m.about(label.Values), m.about(label.Left), number(m.Series)),
		Approximate: m.Error > 0, Lost: a.uses.Naming(m.Name, label.Name), Rule: a.aggregation(m, label.Name),
	}
	switch {
	case personal:
		f.Code = PersonalData
		f.Title = fmt.Sprintf("%s holds %s of %s: without it %s of %s series are left",
			label.Name, plural(label.Shape), "people or their machines", m.about(label.Left), number(m.Series))
	case endless(m, label):
		f.Code = UnboundedLabel
		f.Title = fmt.Sprintf("%s has no end, %s values so far: without it %s of %s series are left",
			label.Name, m.about(label.Values), m.about(label.Left), number(m.Series))
	}
	if templated(m, label) {
		what, _, _ := strings.Cut(f.Title, ":")
		f.Saved = m.Series - label.TemplateLeft
		f.Title = fmt.Sprintf("%s: with %s for each id in them %s and %s of %s series are left",
			what, placeholder, m.aboutValues(label.Templates), m.about(label.TemplateLeft), number(m.Series))
		f.Rule = a.normalization(m, label.Name)
	}
	return f, true
}

// templated reports whether a label is worth keeping without the ids in its values: they are few then, more than one, and what
// the label costs goes with the ids. What is nothing but an id, or about a person, should not be a label at all.
func templated(m Metric, label Label) bool {
	const valuesEach = 4
	mixed := label.Shape == shape.Path || label.Shape == shape.Text || label.Shape == shape.SQL || label.Shape == shape.Plain
	saved := m.Series - label.TemplateLeft
	return mixed && label.Templates > 1 && valuesEach*label.Templates <= label.Values && worth(saved, m.Series) && 5*saved >= 4*label.Saved
}

func plural(of shape.Shape) string {
	if of == shape.Mail {
		return "e-mail addresses"
	}
	return "IP addresses"
}

// endless: its values look like ids, or are numbers of which nearly each series has its own.
func endless(m Metric, label Label) bool {
	if label.Shape.Unbounded() {
		return true
	}
	return label.Shape == shape.Number && label.Values >= worthSeries && 2*label.Values > m.Series/max(1, label.Left)
}

// ofBuckets looks at the buckets of a histogram.
func (a *analysis) ofBuckets(m Metric, label Label) (Finding, bool) {
	if !isBucket(label.Name) || label.Values <= manyBuckets {
		return Finding{}, false
	}
	left, bound := label.Halved, label.Halved == 0
	if bound {
		// As if each histogram had every bucket: then half of the buckets are half of the series.
		left = label.Left * ((label.Values + 1) / 2)
	}
	if m.Series-left < worthSeries {
		return Finding{}, false
	}
	return Finding{
		Code: WideHistogram, Metric: m.Name, Labels: []string{label.Name}, Saved: m.Series - left, Bound: bound,
		Title:       fmt.Sprintf("%s buckets for each of %s histograms: half of them would do", m.about(label.Values), m.about(label.Left)),
		Approximate: m.Error > 0,
	}, true
}

// bestPair is the pair that saves the most, if that is worth it over the better of its two labels: where user_id saves 398
// of 400 series, route and user_id save 399, and nobody should lose route for one.
func bestPair(m Metric) (Pair, bool) {
	alone := map[string]int{}
	for _, label := range m.Labels {
		alone[label.Name] = label.Saved
	}
	for _, pair := range m.Pairs {
		more := pair.Saved - max(alone[pair.First], alone[pair.Second])
		if worth(more, m.Series) && !protected(pair.First) && !protected(pair.Second) {
			return pair, true
		}
	}
	return Pair{}, false
}

func worth(saved, series int) bool {
	return saved >= worthSeries && float64(saved) >= worthPart*float64(series)
}

// aggregation is the rule that takes labels away, nil for the quantiles of a summary: they cannot be added up.
func (a *analysis) aggregation(m Metric, without ...string) *Rule {
	if !addable(m) {
		return nil
	}
	return aggregate(m.Name, m.Type, without, "")
}

// normalization is the rule that takes the ids out of a label.
func (a *analysis) normalization(m Metric, label string) *Rule {
	if !addable(m) {
		return nil
	}
	raw := "__raw"
	for slices.ContainsFunc(m.Labels, func(l Label) bool { return l.Name == raw }) {
		raw += "_"
	}
	return normalize(m.Name, m.Type, label, raw)
}

func addable(m Metric) bool {
	return m.Type != TypeSummary || strings.HasSuffix(m.Name, "_sum") || strings.HasSuffix(m.Name, "_count")
}

// repeated are labels that only say once more what another says, over the metrics of the report.
func (a *analysis) repeated(metrics []Metric) []Finding {
	type pair struct{ drop, keep string }
	where := map[pair][]string{}
	for _, m := range metrics {
		if slices.Equal(m.Jobs, []string{ownJob}) {
			continue
		}
		for _, label := range m.Labels {
			// One of those that it repeats is enough to do without it.
			keep := slices.IndexFunc(label.Repeats, func(other string) bool { return keeps(other, label.Name) })
			if keep >= 0 && !protected(label.Name) && !label.Read {
				p := pair{label.Name, label.Repeats[keep]}
				where[p] = append(where[p], m.Name)
			}
		}
	}
	var found []Finding
	for _, p := range slices.SortedFunc(maps.Keys(where), func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.drop, b.drop), cmp.Compare(a.keep, b.keep))
	}) {
		names := where[p]
		if a.seriesIn(names) < worthSeries {
			continue
		}
		metric := ""
		if len(names) == 1 {
			metric = names[0]
		}
		found = append(found, Finding{
			Code: RepeatedLabel, Metric: metric, Labels: []string{p.drop, p.keep},
			Title: fmt.Sprintf("%s only repeats %s on %s", p.drop, p.keep, counted(len(names), "metric")),
			Rule:  dropLabelOf(names, p.drop),
		})
	}
	return found
}

func (a *analysis) seriesIn(metrics []string) int {
	series := 0
	for _, metric := range a.Metrics {
		if slices.Contains(metrics, metric.Name) {
			series += metric.Series
		}
	}
	return series
}

// carriers are the metrics that have a label now. A rule names them: another one may have it one day, with values that count.
func (a *analysis) carriers(label string) []string {
	var names []string
	for _, metric := range a.Metrics {
		if slices.ContainsFunc(metric.Labels, func(l LabelCount) bool { return l.Name == label }) {
			names = append(names, metric.Name)
		}
	}
	return names
}

// keeps decides which of two labels that repeat each other stays: the protected one, else the first by name.
func keeps(keep, drop string) bool { return protected(keep) || !protected(drop) && keep < drop }

// constant are labels with the same value everywhere. They save no series, only bytes of the index.
func (a *analysis) constant() []Finding {
	if a.Day == nil || len(a.Request.Match) > 0 {
		return nil
	}
	var found []Finding
	values := map[string]uint64{}
	for _, label := range a.Day.ValuesByLabel {
		values[label.Name] = label.Value
	}
	for _, label := range a.Day.ByLabel {
		if values[label.Name] != 1 || label.Value < worthSeries || protected(label.Name) || a.anyNames(label.Name) {
			continue
		}
		found = append(found, Finding{
			Code: ConstantLabel, Labels: []string{label.Name},
			Title: fmt.Sprintf("%s has one value on all of its %s series", label.Name, number(int(label.Value))), //nolint:gosec // a count
			Rule:  dropLabelOf(a.carriers(label.Name), label.Name),
		})
	}
	return found
}

func (a *analysis) anyNames(label string) bool {
	return slices.ContainsFunc(a.Metrics, func(m MetricCount) bool { return len(a.uses.Naming(m.Name, label)) > 0 })
}

func (a *analysis) ofStore(s Summary) []Finding {
	var found []Finding
	// On the first day of a store every series is new.
	settled := s.SeriesYesterday != nil && *s.SeriesYesterday > 0
	if settled && s.Churn != nil && *s.Churn > highChurn && *s.NewPerDay >= worthSeries {
		found = append(found, Finding{
			Code:  Churning,
			Title: fmt.Sprintf("%s new series in a day, %s active: series come and go", number(int(*s.NewPerDay)), number(int(*s.ActiveSeries))),
		})
	}
	for _, limit := range s.Limits {
		if limit.Most > 0 && limit.Series > nearLimit*limit.Most {
			found = append(found, Finding{
				Code: NearLimit,
				Title: fmt.Sprintf("%s series in this %s, the store takes %s and drops the samples of others",
					number(int(limit.Series)), limit.Per, number(int(limit.Most))),
			})
		}
	}
	return found
}

// verdict is what a metric's line says.
func verdict(m Metric, findings []Finding) string {
	for _, finding := range findings {
		if finding.Metric == m.Name && finding.Saved > 0 {
			return finding.Title
		}
	}
	if m.Reads != nil && *m.Reads == 0 && len(m.UsedBy) == 0 {
		return "not read so far"
	}
	return "nothing to do"
}

func counted(count int, what string) string { return document.Counted(count, what) }

func number(value int) string { return document.Number(value) }
