// Package page writes a report of cardinality as one HTML file, for a browser or a build's artifacts. The file asks for nothing
// from anywhere, so that it can be opened where there is no network and passed on without telling who read it.
package page

import (
	_ "embed"
	"fmt"
	"io"
	"time"

	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
	"github.com/docker-telemetry/docker-telemetry/report/rules"
	"github.com/docker-telemetry/docker-telemetry/report/sheet"
)

var (
	//go:embed page.html.tmpl
	layout string
	//go:embed page.js
	script string
)

// Point is how many series there were at a time.
type Point struct {
	At     time.Time
	Series int
}

// Write writes a report as a page. The history is of the same selection of series as the report, oldest first, with the report
// itself as its last point; a line needs two. An error is one of the writer, after which what was written is not a page.
func Write(out io.Writer, report cardinality.Report, history []Point) error {
	return write(out, sheet.New(script), report, history)
}

func write(out io.Writer, parts sheet.Parts, report cardinality.Report, history []Point) error {
	return sheet.Execute(out, layout, words(), view{
		Report: report, Findings: entries(report.Findings), Tiles: tiles(report), History: history,
		Days: days(report), Data: newCharts(report, history), Frame: parts.Frame(),
	})
}

// view is what the layout shows.
type view struct {
	cardinality.Report
	Findings []entry
	Tiles    []tile
	Days     []day
	History  []Point
	Data     charts

	sheet.Frame
}

// entry is a finding and what its rule needs.
type entry struct {
	cardinality.Finding
	ID    string
	Where string
	// YAML is the rule to copy, whole or not there: a part of it would be another one.
	YAML string
}

// longestRule is more than a rule of names within the limits of a store has, 256 bytes each.
const longestRule = 16 << 10

func entries(findings []cardinality.Finding) []entry {
	var list []entry
	for i, finding := range findings {
		one := entry{Finding: finding, ID: fmt.Sprintf("rule-%d", i+1)}
		if finding.Rule != nil {
			one.Where = where(finding.Rule.Kind)
			if len(finding.Rule.YAML) <= longestRule {
				one.YAML = lines(finding.Rule.YAML)
			}
		}
		list = append(list, one)
	}
	return list
}

func where(kind string) string {
	if kind == rules.Aggregation {
		return "An entry of the file of -streamAggr.config."
	}
	return "An entry of the file of -relabelConfig."
}

// tile is one figure of the summary.
type tile struct{ Figure, What, About string }

func tiles(report cardinality.Report) []tile {
	s := report.Summary
	list := []tile{
		{number(s.Series), "series", "exact"},
		{number(s.Metrics), "metrics", "the ten largest have " + percent(s.TopTenShare) + " of the series"},
	}
	add := func(value *float64, what, about string) {
		if value != nil {
			list = append(list, tile{number(int(*value)), what, about})
		}
	}
	add(s.ActiveSeries, "active series", "with a sample in this or the last hour")
	if s.SeriesYesterday != nil {
		list = append(list, tile{number(*s.SeriesYesterday), "series of the last whole day", sinceDayBefore(s)})
	}
	add(s.NewPerHour, "new series in an hour", "")
	add(s.NewPerDay, "new series in a day", ofActive(s))
	if s.LabelPairs != nil {
		list = append(list, tile{number(*s.LabelPairs), "pairs of label and value", "summed over the series"})
	}
	add(s.SamplesPerSecond, "samples a second", "")
	if s.IndexBytes != nil {
		list = append(list, tile{size(*s.IndexBytes), "index", "on the disk of the store"})
	}
	for _, limit := range s.Limits {
		used := ""
		if limit.Most > 0 {
			used = percent(limit.Series/limit.Most) + " of it is used"
		}
		list = append(list, tile{number(int(limit.Most)), "series limit per " + shown(limit.Per), used})
	}
	return list
}

func sinceDayBefore(s cardinality.Summary) string {
	if s.SeriesDayBefore == nil || *s.SeriesDayBefore == 0 {
		return ""
	}
	return signed(*s.SeriesYesterday-*s.SeriesDayBefore) + " on the day before"
}

func ofActive(s cardinality.Summary) string {
	if s.Churn == nil {
		return ""
	}
	return fmt.Sprintf("%.2f for each active one", *s.Churn)
}
