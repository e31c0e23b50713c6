package cardinality

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/docker-telemetry/docker-telemetry/internal/document"
	"github.com/docker-telemetry/docker-telemetry/report/shape"
)

// shownLabels of each metric: those that save the most. A report of one metric shows all.
const shownLabels = 3

// Document is the report as people read it: what to do stands last, where a terminal ends.
func (r Report) Document() document.Document {
	return document.Document{
		Title: "Cardinality",
		Sections: document.Present(
			r.summarySection(), r.metricsSection(), r.labelsSection(), r.pairsSection(), r.namesSection(), r.sourcesSection(),
			r.findingsSection(), document.NotTold(r.Notes),
		),
		Flat: r.flat(),
	}
}

func (r Report) summarySection() document.Section {
	s := r.Summary
	section := document.Section{Title: "Summary", Table: document.Table{Header: []string{"", "", ""}, Right: []int{1}}}
	add := func(what, figure, about string) { section.Rows = append(section.Rows, []string{what, figure, about}) }
	about := "exact, of " + r.Span() + " UTC"
	if len(r.Match) > 0 {
		about += ", that match " + strings.Join(r.Match, " or ")
	}
	add("series", number(s.Series), about)
	add("metrics", number(s.Metrics), fmt.Sprintf("the ten largest have %s of the series", percent(s.TopTenShare)))
	if s.ActiveSeries != nil {
		add("active series", whole(s.ActiveSeries), "with a sample in this or the last hour")
	}
	if s.SeriesYesterday != nil {
		change := ""
		if s.SeriesDayBefore != nil && *s.SeriesDayBefore > 0 {
			change = signed(*s.SeriesYesterday-*s.SeriesDayBefore) + " on the day before"
		}
		add("series of the last whole day", number(*s.SeriesYesterday), change)
	}
	if s.NewPerHour != nil {
		add("new series in an hour", whole(s.NewPerHour), "")
	}
	if s.NewPerDay != nil {
		text := ""
		if s.Churn != nil {
			text = fmt.Sprintf("%.2f for each active one", *s.Churn)
		}
		add("new series in a day", whole(s.NewPerDay), text)
	}
	if s.LabelPairs != nil {
		add("pairs of label and value", number(*s.LabelPairs), "summed over the series")
	}
	if s.SamplesPerSecond != nil {
		add("samples a second", whole(s.SamplesPerSecond), "")
	}
	for _, limit := range s.Limits {
		add("series limit per "+limit.Per, number(int(limit.Most)), percent(limit.Series/limit.Most)+" of it is used")
	}
	return section
}

// Span is the time whose series are counted, in UTC.
func (r Report) Span() string {
	from, to := r.From.Format(time.DateOnly), r.To.Format(time.DateOnly)
	switch {
	case r.Exactly:
		return r.From.Format(time.DateOnly+" 15:04") + " to " + r.To.Format("15:04")
	case from != to:
		return from + " and " + to
	default:
		return from
	}
}

func (r Report) metricsSection() document.Section {
	section := document.Section{Title: "Metrics", Table: document.Table{
		Header: []string{"metric", "series", "share", "change", "samples/s", "read", "job", "what"}, Right: []int{1, 3, 4},
		Prose: []int{7}, Optional: []int{4, 6, 3, 5, 2},
	}}
	if len(r.Metrics) == 0 {
		section.Note = "There is none."
		return section
	}
	if r.Summary.UsageSince != nil {
		section.Note = "What queries read is known since " + r.Summary.UsageSince.Format("2006-01-02 15:04") +
			" UTC. Samples a second are estimated by the share of the series."
	}
	for _, m := range r.Metrics {
		section.Rows = append(section.Rows, []string{
			m.Name, number(m.Series), document.Bar(m.Share), m.Change(), estimate(m.SamplesPerSecond), read(m, r.At), few(m.Jobs), m.Verdict,
		})
	}
	return section
}

// Change is by how many series a metric differs from the time that it is compared with, "" where that is not known.
func (m Metric) Change() string {
	if m.Before == nil || m.Now == nil {
		return ""
	}
	return signed(*m.Now - *m.Before)
}

func signed(value int) string {
	if value > 0 {
		return "+" + number(value)
	}
	return number(value)
}

func estimate(value *float64) string {
	if value == nil {
		return ""
	}
	return "~" + strconv.FormatFloat(*value, 'f', 1, 64)
}

// read says who reads a metric: how often queries did, or that a dashboard would.
func read(m Metric, now time.Time) string {
	switch {
	case m.LastRead != nil:
		return ago(now.Sub(*m.LastRead))
	case len(m.UsedBy) > 0:
		return "by " + counted(len(m.UsedBy), "panel or rule")
	case m.Reads != nil:
		return "never"
	default:
		return ""
	}
}

func ago(past time.Duration) string {
	switch {
	case past < time.Minute:
		return "just now"
	case past < 2*time.Hour:
		return fmt.Sprintf("%d min ago", int(past.Minutes()))
	case past < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(past.Hours()))
	default:
		return fmt.Sprintf("%d days ago", int(past.Hours()/24))
	}
}

func few(words []string) string {
	const most = 2
	if len(words) <= most {
		return strings.Join(words, ", ")
	}
	return strings.Join(words[:most], ", ") + fmt.Sprintf(" and %d more", len(words)-most)
}

// LabelsNote says what the figures of labels are.
func (r Report) LabelsNote() string {
	note := "Left are the series of the metric without the label, saved those that would go: both exact."
	for _, m := range r.Metrics {
		if m.Error > 0 {
			return note + " Those after a ~ are estimates: a metric with more than about a million series is not counted so." +
				" They are within " + percent(m.Error) + " of what they stand for, saved within " + percent(m.Error) + " of what is left."
		}
	}
	return note
}

// Figure is a figure of one of the metric's labels, after a ~ where it is an estimate.
func (m Metric) Figure(value int) string {
	if m.Error > 0 {
		return "~" + number(value)
	}
	return number(value)
}

// about is a figure in a sentence.
func (m Metric) about(value int) string {
	if m.Error > 0 {
		return "about " + number(value)
	}
	return number(value)
}

func (m Metric) aboutValues(count int) string {
	if m.Error > 0 {
		return "about " + counted(count, "value")
	}
	return counted(count, "value")
}

// Saves is what a finding saves, with a sign before what is not exact.
func (f Finding) Saves() string {
	switch {
	case f.Bound:
		return "≤ " + number(f.Saved)
	case f.Approximate:
		return "~" + number(f.Saved)
	default:
		return number(f.Saved)
	}
}

func (r Report) labelsSection() document.Section {
	section := document.Section{
		Title: "Labels", Note: r.LabelsNote(),
		Table: document.Table{
			Header: []string{"metric", "label", "values", "left", "saved", "looks like", "", "for example"}, Right: []int{2, 3, 4},
			Prose: []int{7}, Optional: []int{7, 6},
		},
	}
	for _, m := range r.Metrics {
		shown := 0
		for _, label := range m.Labels {
			if len(r.Metrics) > 1 && (shown == shownLabels || label.Saved == 0 && label.Shape == shape.Plain) {
				continue
			}
			shown++
			section.Rows = append(section.Rows, []string{
				m.Name, label.Name, m.Figure(label.Values), m.Figure(label.Left), m.Figure(label.Saved), string(label.Shape),
				label.Remark(),
				few(shorten(label.Samples)),
			})
		}
	}
	if len(section.Rows) == 0 {
		section.Note = ""
	}
	return section
}

// Remark says in words what is special about a label, "" for nothing.
func (l Label) Remark() string {
	var words []string
	if Structural(l.Name) {
		words = append(words, "part of the metric")
	}
	if l.Constant {
		words = append(words, "one value")
	}
	if len(l.Repeats) > 0 {
		words = append(words, "repeats "+strings.Join(l.Repeats, ", "))
	}
	if l.Read {
		words = append(words, "read")
	}
	return strings.Join(words, "; ")
}

func shorten(values []string) []string {
	const most = 40
	short := make([]string, 0, len(values))
	for _, value := range values {
		short = append(short, document.Short(value, most))
	}
	return short
}

func (r Report) pairsSection() document.Section {
	section := document.Section{
		Title: "Labels that save more together",
		Table: document.Table{Header: []string{"metric", "labels", "left", "saved"}, Right: []int{2, 3}},
	}
	for _, m := range r.Metrics {
		if pair, is := bestPair(m); is {
			section.Rows = append(section.Rows, []string{m.Name, pair.First + " and " + pair.Second, m.Figure(pair.Left), m.Figure(pair.Saved)})
		}
	}
	return section
}

// NamesNote says where the figures of label names come from.
func (r Report) NamesNote() string {
	if r.NamesCounted {
		return "Series are counted; how many values a label has over all metrics is as the store says, where it does."
	}
	return "As the store counts them: near exact."
}

func (r Report) namesSection() document.Section {
	section := document.Section{
		Title: "Labels of the whole store", Note: r.NamesNote(),
		Table: document.Table{Header: []string{"label", "values", "series"}, Right: []int{1, 2}},
	}
	for _, name := range r.LabelNames {
		values := ""
		if name.Values != nil {
			values = number(*name.Values)
		}
		section.Rows = append(section.Rows, []string{name.Name, values, number(name.Series)})
	}
	if len(section.Rows) == 0 {
		section.Note = ""
	}
	return section
}

func (r Report) sourcesSection() document.Section {
	section := document.Section{
		Title: "Who sends them",
		Table: document.Table{Header: []string{"label", "value", "series", "share"}, Right: []int{2}},
	}
	for _, source := range r.Sources {
		section.Rows = append(section.Rows, []string{source.Label, source.Value, number(source.Series), document.Bar(source.Share)})
	}
	return section
}

func (r Report) findingsSection() document.Section {
	section := document.Section{
		Title: "Findings",
		Table: document.Table{Header: []string{"code", "saves", "metric", "what", "read by"}, Right: []int{1}, Prose: []int{3, 4}, Optional: []int{4}},
	}
	for _, finding := range r.Findings {
		section.Rows = append(section.Rows, []string{finding.Code, finding.Saves(), finding.Metric, finding.Title, few(shorten(finding.Lost))})
	}
	if len(section.Rows) == 0 {
		section.Note = "None: no label or metric costs more than it should."
	}
	return section
}

// flat has a row for each label of each metric of the report.
func (r Report) flat() document.Table {
	flat := document.Table{Header: []string{
		"metric", "type", "metric_series", "metric_share", "label", "label_series", "values", "left", "saved", "looks_like", "repeats",
		"read", "samples", "error",
	}}
	for _, m := range r.Metrics {
		for _, label := range m.Labels {
			flat.Rows = append(flat.Rows, []string{
				m.Name, m.Type, strconv.Itoa(m.Series), strconv.FormatFloat(m.Share, 'f', 6, 64), label.Name, strconv.Itoa(label.Series),
				strconv.Itoa(label.Values), strconv.Itoa(label.Left), strconv.Itoa(label.Saved), string(label.Shape),
				strings.Join(label.Repeats, " "), strconv.FormatBool(label.Read), strings.Join(label.Samples, " "),
				strconv.FormatFloat(m.Error, 'f', -1, 64),
			})
		}
	}
	return flat
}

func whole(value *float64) string { return number(int(*value)) }

func percent(part float64) string { return document.Percent(part) }
