package page

import (
	"html/template"
	"strconv"
	"strings"
	"time"

	"github.com/docker-telemetry/docker-telemetry/internal/document"
	"github.com/docker-telemetry/docker-telemetry/internal/escape"
	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
	"github.com/docker-telemetry/docker-telemetry/report/sheet"
)

// words are what the layout calls. Nothing of a store goes into the page but through shown, sentence or lines.
func words() template.FuncMap {
	return template.FuncMap{
		"shown": shown, "sentence": sentence, "number": number, "percent": percent, "signed": signed, "moment": moment,
		"hundredth": func(part float64) string { return strconv.FormatFloat(100*part, 'f', 1, 64) },
		"change":    cardinality.Metric.Change, "estimate": estimate, "lastRead": lastRead, "remark": cardinality.Label.Remark, "first": first, "rest": rest,
	}
}

func shown(value string) string { return sheet.Shown(value) }

func sentence(text string) string { return sheet.Sentence(text) }

// lines keeps the line ends of a text, and nothing else that moves what a reader sees.
func lines(text string) string {
	split := strings.Split(text, "\n")
	for i := range split {
		split[i] = escape.Text(split[i])
	}
	return strings.Join(split, "\n")
}

func number(value int) string { return document.Number(value) }

func signed(value int) string {
	if value > 0 {
		return "+" + number(value)
	}
	return number(value)
}

func percent(part float64) string { return document.Percent(part) }

func size(value float64) string { return document.Size(value) }

func moment(at time.Time) string { return sheet.Moment(at) }

func estimate(value *float64) string {
	if value == nil {
		return ""
	}
	return "~" + strconv.FormatFloat(*value, 'f', 1, 64)
}

// lastRead is when a query read a metric. A page is read later than it was made, so it says the time and not how long ago.
func lastRead(m cardinality.Metric) string {
	switch {
	case m.LastRead != nil:
		return moment(*m.LastRead)
	case m.Reads != nil && *m.Reads == 0:
		return "never"
	default:
		return ""
	}
}

// first are the values that a cell shows at once; rest are those that it opens to show.
func first(count int, values []string) []string { return values[:min(count, len(values))] }

func rest(count int, values []string) []string { return values[min(count, len(values)):] }
