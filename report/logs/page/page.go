// Package page writes a report of logs and traces as one HTML file.
package page

import (
	_ "embed"
	"html/template"
	"io"

	"github.com/docker-telemetry/docker-telemetry/internal/document"
	"github.com/docker-telemetry/docker-telemetry/report/logs"
	"github.com/docker-telemetry/docker-telemetry/report/sheet"
)

var (
	//go:embed page.html.tmpl
	layout string
	//go:embed page.js
	script string
)

// Write writes a report as a page. An error is one of the writer, after which what was written is not a page.
func Write(out io.Writer, report logs.Report) error {
	return write(out, sheet.New(script), report)
}

func write(out io.Writer, parts sheet.Parts, report logs.Report) error {
	v := view{Report: report, Data: newCharts(report), Frame: parts.Frame()}
	var tables []document.Section
	for _, section := range report.Document().Sections {
		switch section.Title {
		case logs.FindingsTitle:
			v.NoFindings = section.Note
		case document.NotToldTitle:
		default:
			tables = append(tables, section)
		}
	}
	v.Tables = sheet.Tables(tables)
	return sheet.Execute(out, layout, words(), v)
}

// view is what the layout shows.
type view struct {
	logs.Report
	Tables     []sheet.Table
	NoFindings string
	Data       charts

	sheet.Frame
}

// words are what the layout calls. Nothing of a store goes into the page but through shown or sentence.
func words() template.FuncMap {
	return template.FuncMap{"shown": sheet.Shown, "sentence": sheet.Sentence, "moment": sheet.Moment, "number": number}
}

func number(value int64) string { return document.Number(int(value)) }

// charts is what the script of the page draws, as JSON. Its strings are safe to show as text; the script makes no HTML of them.
type charts struct {
	Tree []node `json:"tree"`
}

// node is a rectangle of the treemap: a stream, or who writes into it.
type node struct {
	Name     string   `json:"name"`
	Value    int64    `json:"value"` // records
	Lines    []string `json:"lines,omitempty"`
	Found    bool     `json:"found,omitempty"`
	Children []node   `json:"children,omitempty"`
}

// place is a stream.
type place struct{ store, stream string }

func newCharts(report logs.Report) charts {
	c := charts{Tree: []node{}}
	found, noisy := map[place]bool{}, map[place]bool{}
	for _, finding := range report.Findings {
		at := place{finding.Store, finding.Stream}
		found[at], noisy[at] = true, noisy[at] || finding.Code == logs.NoisyService
	}
	for _, stream := range report.Streams {
		if stream.Records == nil || *stream.Records == 0 {
			continue
		}
		at := place{stream.Store, stream.Name}
		one := node{Name: sheet.Shown(stream.Name), Value: *stream.Records, Found: found[at], Lines: []string{records(*stream.Records, stream.Share)}}
		for i, service := range stream.Services {
			one.Children = append(one.Children, node{
				// The finding is about the first.
				Name: sheet.Shown(service.Name), Value: service.Records, Found: noisy[at] && i == 0, Lines: []string{records(service.Records, service.Share)},
			})
		}
		c.Tree = append(c.Tree, one)
	}
	return c
}

func records(count int64, share float64) string {
	return number(count) + " records, " + document.Percent(share)
}
