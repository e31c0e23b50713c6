// Package page writes a report of retention as one HTML file, with its plot of size against time.
package page

import (
	_ "embed"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker-telemetry/docker-telemetry/internal/document"
	"github.com/docker-telemetry/docker-telemetry/report/retention"
	"github.com/docker-telemetry/docker-telemetry/report/sheet"
)

var (
	//go:embed page.html.tmpl
	layout string
	//go:embed page.js
	script string
)

// Write writes a report as a page. An error is one of the writer, after which what was written is not a page.
func Write(out io.Writer, report retention.Report) error {
	return write(out, sheet.New(script), report)
}

func write(out io.Writer, parts sheet.Parts, report retention.Report) error {
	v := view{Report: report, Data: newCharts(report), Frame: parts.Frame()}
	for _, section := range report.Document().Sections {
		switch section.Title {
		case findings:
			v.NoFindings = section.Note
		case overTime:
		case notTold:
			v.Notes = section.Rows
		default:
			v.Tables = append(v.Tables, newTable(len(v.Tables), section))
		}
	}
	return sheet.Execute(out, layout, words(), v)
}

// The sections that a page shows in its own way.
const (
	findings = "Findings"
	overTime = "Size over time"
	notTold  = "Not told"
)

// view is what the layout shows.
type view struct {
	retention.Report
	Tables     []table
	NoFindings string
	Notes      [][]string
	Data       charts

	sheet.Frame
}

// table is a section of the report as text has it: the page says the same.
type table struct {
	ID string
	document.Section
}

func newTable(at int, section document.Section) table {
	return table{ID: "table-" + strconv.Itoa(at+1), Section: section}
}

// Named reports whether the columns have names.
func (t table) Named() bool { return strings.Join(t.Header, "") != "" }

// Class is that of a cell: a figure, a sentence, or a short word, which a browser should not break.
func (t table) Class(column int, cell string) string {
	const short = 28 // what sets a retention, such as "default of -retentionPeriod"
	switch {
	case slices.Contains(t.Right, column):
		return "figure"
	case len(cell) <= short:
		return "word"
	case slices.Contains(t.Prose, column):
		return "remark"
	default:
		return "words"
	}
}

// words are what the layout calls. Nothing of a store goes into the page but through shown or sentence.
func words() template.FuncMap {
	return template.FuncMap{
		"shown": sheet.Shown, "sentence": sheet.Sentence, "moment": sheet.Moment, "size": document.Size, "label": retention.Label,
	}
}

// charts is what the script of the page draws, as JSON: Unix milliseconds and bytes.
type charts struct {
	Was    [][2]float64 `json:"was"`
	Low    [][2]float64 `json:"low"`
	Likely [][2]float64 `json:"likely"`
	High   [][2]float64 `json:"high"`
	Limits []limit      `json:"limits"`
}

// limit is a line across the plot.
type limit struct {
	Name  string  `json:"name"`
	Bytes float64 `json:"bytes"`
}

func newCharts(report retention.Report) charts {
	c := charts{Was: [][2]float64{}, Low: [][2]float64{}, Likely: [][2]float64{}, High: [][2]float64{}, Limits: []limit{}}
	point := func(at time.Time, bytes float64) [2]float64 { return [2]float64{float64(at.UnixMilli()), bytes} }
	most := 0.0
	for _, size := range report.Curve {
		most = max(most, size.High)
		if !size.Forecast {
			c.Was = append(c.Was, point(size.At, size.Expected))
			continue
		}
		c.Low, c.Likely, c.High = append(c.Low, point(size.At, size.Low)), append(c.Likely, point(size.At, size.Expected)), append(c.High, point(size.At, size.High))
	}
	for _, one := range report.Limits {
		// A line far above would press the curve flat.
		if one.Bytes <= 2*most {
			c.Limits = append(c.Limits, limit{sheet.Shown(one.Name), one.Bytes})
		}
	}
	return c
}
