package cardinality

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/docker-telemetry/docker-telemetry/report/shape"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// Options say what is made of what was collected.
type Options struct {
	Top    int
	Metric string // only this one; "" for the top ones
	Unused bool   // only metrics that nobody reads
	// Uses are what dashboards and rules read; the queries that the store has seen are added to it.
	Uses *Uses
	// Before is an earlier report to compare with; nil for the store's own last two complete days.
	Before *Snapshot
}

// Analyse makes a report of what a store said.
func Analyse(c Collected, options Options) Report {
	a := analysis{Collected: c, options: options, kinds: kinds{declared: c.Types, names: map[string]bool{}}, uses: options.Uses, masker: shape.NewMasker()}
	if a.uses == nil {
		a.uses = &Uses{}
	}
	for _, metric := range c.Metrics {
		a.names[metric.Name] = true
		a.series += metric.Series
	}
	a.series += c.Rest.Series
	unread := a.addQueries()
	from, to := c.Request.Window()
	report := Report{
		SchemaVersion: SchemaVersion, At: c.Request.Now.UTC(), From: from, To: to,
		Match: orEmpty(c.Request.Match), Complete: !c.Stream.Partial && len(c.Stream.Warnings) == 0, Notes: orEmpty(slices.Concat(c.Notes, unread, c.Rest.notes())),
		Metrics: []Metric{}, LabelNames: a.labelNames(), NamesCounted: !a.toldNames(), Exactly: c.foreign, LabelPairs: a.labelPairs(), Sources: a.sources(),
	}
	report.Summary = a.summary()
	for _, count := range a.chosen() {
		report.Metrics = append(report.Metrics, a.metric(count))
		if count.OtherLabels {
			report.Notes = append(report.Notes, "labels of "+count.Name+": it has so many names of labels that not each is looked at")
		}
	}
	report.Findings = a.findings(&report)
	for i := range report.Metrics {
		report.Metrics[i].Verdict = verdict(report.Metrics[i], report.Findings)
	}
	return report
}

type analysis struct {
	Collected
	kinds
	options Options
	uses    *Uses
	series  int
	masker  *shape.Masker
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// addQueries notes what the last queries read. One that cannot be parsed was refused by the store too.
func (a *analysis) addQueries() (unread []string) {
	for text := range a.Queries {
		if err := a.uses.Add("query "+a.masker.Mask(text), text); err != nil {
			unread = append(unread, err.Error())
		}
	}
	slices.Sort(unread)
	return unread
}

// chosen are the metrics that the report is about.
func (a *analysis) chosen() []MetricCount {
	var chosen []MetricCount
	for _, count := range a.Metrics {
		if a.options.Metric != "" && count.Name != a.options.Metric || a.options.Unused && !a.neverRead(count.Name) {
			continue
		}
		chosen = append(chosen, count)
	}
	if a.options.Metric != "" {
		return chosen
	}
	return chosen[:min(len(chosen), a.options.Top)]
}

// neverRead needs the store's notes: without them nobody knows.
func (a *analysis) neverRead(metric string) bool {
	if a.Usage == nil || len(a.uses.Of(metric)) > 0 {
		return false
	}
	usage, known := a.Usage.Metrics[metric]
	return known && usage.Requests == 0 || !known && !a.Usage.Full
}

func (a *analysis) summary() Summary {
	s := Summary{
		Series: a.series, Metrics: len(a.Metrics) + a.Rest.Metrics, ActiveSeries: a.Self.ActiveSeries,
		NewPerHour: a.Self.NewPerHour, NewPerDay: a.Self.NewPerDay, SamplesPerSecond: a.Self.SamplesPerSecond,
		IndexBytes: a.Self.IndexBytes, Limits: []Limit{},
	}
	top := 0
	for _, metric := range a.Metrics[:min(10, len(a.Metrics))] {
		top += metric.Series
	}
	s.TopTenShare = share(top, a.series)
	s.SeriesYesterday, s.SeriesDayBefore = seriesOn(a.Yesterday), seriesOn(a.DayBefore)
	s.LabelPairs = a.labelValuePairs()
	if s.NewPerDay != nil && s.ActiveSeries != nil && *s.ActiveSeries > 0 {
		s.Churn = pointer(*s.NewPerDay / *s.ActiveSeries)
	}
	if a.Self.HourlyLimit != nil && a.Self.HourlySeries != nil {
		s.Limits = append(s.Limits, Limit{"hour", *a.Self.HourlySeries, *a.Self.HourlyLimit})
	}
	if a.Self.DailyLimit != nil && a.Self.DailySeries != nil {
		s.Limits = append(s.Limits, Limit{"day", *a.Self.DailySeries, *a.Self.DailyLimit})
	}
	if a.Usage != nil && !a.Usage.Since.IsZero() {
		s.UsageSince = &a.Usage.Since
	}
	return s
}

func pointer[T any](value T) *T { return &value }

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

func seriesOn(day *victoriametrics.TSDBStatus) *int {
	if day == nil {
		return nil
	}
	return pointer(int(day.Series)) //nolint:gosec // a count
}

func (a *analysis) metric(count MetricCount) Metric {
	m := Metric{
		Name: count.Name, Type: a.of(count.Name, count.Labels), Series: count.Series, Share: share(count.Series, a.series),
		Jobs: []string{}, UsedBy: []string{}, Labels: []Label{}, Pairs: []Pair{}, Error: count.Error, OtherLabels: count.OtherLabels,
	}
	m.Before, m.Now = a.compared(count)
	if a.Self.SamplesPerSecond != nil && len(a.Request.Match) == 0 {
		m.SamplesPerSecond = pointer(*a.Self.SamplesPerSecond * m.Share)
	}
	if a.Usage != nil {
		if usage, known := a.Usage.Metrics[count.Name]; known {
			m.Reads = pointer(usage.Requests)
			if !usage.Last.IsZero() {
				m.LastRead = pointer(usage.Last)
			}
		}
	}
	for _, by := range a.uses.Of(count.Name) {
		if !strings.HasPrefix(by, "query ") {
			m.UsedBy = append(m.UsedBy, by)
		}
	}
	for _, label := range count.Labels {
		if label.Name == "job" {
			m.Jobs = orEmpty(label.Samples)
		}
		m.Labels = append(m.Labels, Label{
			Name: label.Name, Series: label.Series, Values: label.Values, Left: label.Left, Saved: count.Series - label.Left,
			Templates: label.Templates, TemplateLeft: label.TemplateLeft, Halved: label.Halved,
			Shape: shape.Of(label.Samples), Repeats: orEmpty(label.Mirrors), Constant: label.Constant(count.Series),
			Read: len(a.uses.Naming(count.Name, label.Name)) > 0, Samples: a.shown(label),
		})
	}
	for _, pair := range count.Pairs {
		m.Pairs = append(m.Pairs, Pair{pair.First, pair.Second, pair.Left, count.Series - pair.Left})
	}
	return m
}

// shown are samples of a label's values, without what is about a person or opens a door: reports are pasted into tickets. Who sends a
// series stays, which may be the address of a machine.
func (a *analysis) shown(label LabelCount) []string {
	shown := []string{}
	for _, value := range label.Samples {
		value = a.masked(label.Name, value)
		if !slices.Contains(shown, value) {
			shown = append(shown, value)
		}
	}
	return shown
}

func (a *analysis) masked(label, value string) string {
	switch {
	case slices.Contains(SourceLabels(), label):
		return value
	case shape.SecretName(label):
		return shape.MaskedSecret
	default:
		return a.masker.Mask(value)
	}
}

// compared are the series of a metric at two times: an earlier report and this one, or the last two complete days.
func (a *analysis) compared(count MetricCount) (before, now *int) {
	if a.options.Before != nil {
		if earlier, known := a.options.Before.of(count.Name); known {
			return &earlier, pointer(count.Series)
		}
		return nil, nil
	}
	first, known := seriesOf(a.DayBefore, count.Name)
	second, also := seriesOf(a.Yesterday, count.Name)
	// A day without any series was before the store.
	if !known || !also || a.DayBefore == nil || a.DayBefore.Series == 0 {
		return nil, nil
	}
	return &first, &second
}

// labelValuePairs are summed over the series. Prometheus does not: what it calls label pairs are the distinct ones.
func (a *analysis) labelValuePairs() *int {
	switch {
	case a.Day != nil && a.Day.HeadStats == nil:
		return pointer(int(a.Day.LabelValuePairs)) //nolint:gosec // a count
	case a.Rest.Metrics > 0 || slices.ContainsFunc(a.Metrics, func(m MetricCount) bool { return m.OtherLabels }):
		return nil
	}
	sum := a.series // each has a name
	for _, series := range a.countedNames() {
		sum += series
	}
	return &sum
}

// toldNames reports whether the store counts series by the names of labels, as VictoriaMetrics does.
func (a *analysis) toldNames() bool { return a.Day != nil && len(a.Day.ByLabel) > 0 }

func (a *analysis) labelNames() []LabelName {
	values := map[string]int{}
	series := map[string]int{}
	if a.Day != nil {
		for _, label := range a.Day.ValuesByLabel {
			values[label.Name] = int(label.Value) //nolint:gosec // a count
		}
		for _, label := range a.Day.ByLabel {
			series[label.Name] = int(label.Value) //nolint:gosec // a count
		}
	}
	if !a.toldNames() {
		series = a.countedNames()
	}
	delete(series, metricLabel)
	names := make([]LabelName, 0, len(series))
	for name, count := range series {
		one := LabelName{Name: name, Series: count}
		if count, known := values[name]; known {
			one.Values = &count
		}
		names = append(names, one)
	}
	slices.SortFunc(names, func(a, b LabelName) int {
		return cmp.Or(cmp.Compare(orZero(b.Values), orZero(a.Values)), cmp.Compare(b.Series, a.Series), cmp.Compare(a.Name, b.Name))
	})
	return names[:min(len(names), a.options.Top)]
}

// countedNames are the series of each label over the metrics that are listed.
func (a *analysis) countedNames() map[string]int {
	series := map[string]int{}
	for _, metric := range a.Metrics {
		for _, label := range metric.Labels {
			series[label.Name] += label.Series
		}
	}
	return series
}

func orZero[T any](value *T) T {
	if value == nil {
		var zero T
		return zero
	}
	return *value
}

func (a *analysis) labelPairs() []NamedCount {
	pairs := []NamedCount{}
	if a.Day == nil {
		return pairs
	}
	for _, pair := range a.Day.ByPair {
		label, value, _ := strings.Cut(pair.Name, "=")
		if label != metricLabel {
			pairs = append(pairs, NamedCount{label + "=" + a.masked(label, value), int(pair.Value)}) //nolint:gosec // a count
		}
	}
	return pairs[:min(len(pairs), a.options.Top)]
}

func (a *analysis) sources() []Source {
	sources := []Source{}
	for _, label := range SourceLabels() {
		counts := a.BySource[label]
		for _, count := range counts[:min(len(counts), a.options.Top)] {
			series := int(count.Value) //nolint:gosec // a count
			sources = append(sources, Source{label, count.Name, series, share(series, a.series)})
		}
	}
	return sources
}

// early is how long the store must have noted what is queried before "nobody reads it" means something: a weekly review
// is a use too.
const early = 7 * 24 * time.Hour
