package page

import (
	"time"

	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
)

// charts is what the script of the page draws, as JSON. Its strings are safe to show as text; the script makes no HTML of them.
type charts struct {
	Tree    []node     `json:"tree"`
	Days    []day      `json:"days"`
	History [][2]int64 `json:"history"` // Unix milliseconds, series
}

// node is a rectangle of the treemap: a metric, one of its labels, one of that label's values.
type node struct {
	Name     string   `json:"name"`
	Value    int      `json:"value"`
	Lines    []string `json:"lines,omitempty"` // under the name where the pointer is
	Found    bool     `json:"found,omitempty"` // by a finding
	Children []node   `json:"children,omitempty"`
}

// day is a bar.
type day struct {
	Name   string `json:"name"`
	Series int    `json:"series"`
}

func newCharts(report cardinality.Report, history []Point) charts {
	c := charts{Tree: []node{}, Days: days(report), History: [][2]int64{}}
	found := foundIn(report.Findings)
	for _, metric := range report.Metrics {
		c.Tree = append(c.Tree, ofMetric(metric, found))
	}
	for _, point := range history {
		c.History = append(c.History, [2]int64{point.At.UnixMilli(), int64(point.Series)})
	}
	return c
}

// days are the whole days that the store knows, and now. A day without series was before the store.
func days(report cardinality.Report) []day {
	today := report.To.UTC().Truncate(24 * time.Hour)
	var list []day
	add := func(series *int, ago int) {
		if series != nil && *series > 0 {
			list = append(list, day{today.AddDate(0, 0, -ago).Format(time.DateOnly), *series})
		}
	}
	add(report.Summary.SeriesDayBefore, 2)
	add(report.Summary.SeriesYesterday, 1)
	now := "now"
	if report.To.Before(report.At.UTC().Truncate(24 * time.Hour)) {
		now = today.Format(time.DateOnly)
	}
	return append(list, day{now, report.Summary.Series})
}

// place is a metric, or a label of it, that a finding is about.
type place struct{ metric, label string }

func foundIn(findings []cardinality.Finding) map[place]string {
	found := map[place]string{}
	add := func(at place, code string) {
		if found[at] == "" {
			found[at] = code
		}
	}
	for _, finding := range findings {
		if finding.Metric == "" || finding.Saved == 0 {
			continue
		}
		add(place{finding.Metric, ""}, finding.Code)
		for _, label := range finding.Labels {
			add(place{finding.Metric, label}, finding.Code)
		}
	}
	return found
}

func ofMetric(m cardinality.Metric, found map[place]string) node {
	n := node{
		Name: shown(m.Name), Value: m.Series, Found: found[place{m.Name, ""}] != "",
		Lines: []string{number(m.Series) + " series, " + percent(m.Share), sentence(m.Verdict)},
	}
	for _, label := range m.Labels {
		if label.Saved > 0 {
			n.Children = append(n.Children, ofLabel(m, label, found[place{m.Name, label.Name}]))
		}
	}
	return n
}

func ofLabel(m cardinality.Metric, label cardinality.Label, code string) node {
	n := node{
		Name: shown(label.Name), Value: label.Saved, Found: code != "",
		Lines: []string{m.Figure(label.Values) + " values", m.Figure(label.Saved) + " series saved without it, " + m.Figure(label.Left) + " left"},
	}
	if code != "" {
		n.Lines = append(n.Lines, shown(code))
	}
	for _, value := range label.Samples {
		n.Children = append(n.Children, node{Name: shown(value), Value: 1})
	}
	return n
}
