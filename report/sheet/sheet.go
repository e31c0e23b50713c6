// Package sheet is the frame of a report as one HTML file, for a browser or a build's artifacts: style, charts and the words that
// make a store's values harmless. The file asks for nothing from anywhere, so that it can be opened where there is no network
// and passed on without telling who read it.
package sheet

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/docker-telemetry/docker-telemetry/internal/document"
	"github.com/docker-telemetry/docker-telemetry/internal/escape"
)

var (
	//go:embed sheet.css
	style string
	//go:embed frame.js
	frame string
	//go:embed echarts/echarts.min.js
	library string
)

// Parts are what is the same in each page of a report.
type Parts struct{ Style, Library, Script string }

// New returns the parts with the script of a report, which finds what all share in the constant frame.
func New(script string) Parts { return Parts{Style: style, Library: library, Script: frame + script} }

// Frame is what a layout gets beside the report itself.
type Frame struct {
	Policy  string
	Style   template.CSS
	Library template.JS
	Script  template.JS
}

// Frame makes the parts ready for a layout of html/template.
func (p Parts) Frame() Frame {
	return Frame{Policy: p.policy(), Style: template.CSS(p.Style), Library: template.JS(p.Library), Script: template.JS(p.Script)}
}

// Execute writes a layout with what it shows. An error is one of the writer, after which what was written is not a page.
func Execute(out io.Writer, layout string, words template.FuncMap, view any) error {
	parsed, err := template.New("page").Funcs(words).Parse(tables + layout)
	if err != nil {
		return err
	}
	return parsed.Execute(out, view)
}

// policy lets run what is in this package, by its hash, and nothing else: a name that got past the escaping would be inert. The
// charts set their styles through the DOM, which no policy forbids.
func (p Parts) policy() string {
	return strings.Join([]string{
		"default-src 'none'", "script-src " + Hash(p.Library) + " " + Hash(p.Script), "style-src " + Hash(p.Style), "img-src data:",
		"base-uri 'none'", "form-action 'none'",
	}, "; ")
}

// Hash is what a policy calls a script or style by.
func Hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

const (
	// LongestValue is as many characters of a value as a page shows: a store takes values of kilobytes, and nobody reads them to the
	// end.
	LongestValue = 200
	// A sentence names a few of them.
	longestSentence = 600
)

// Shown is a value of the store as the page shows it.
func Shown(value string) string {
	if value == "" {
		return "(empty)"
	}
	return escape.Text(document.Short(value, LongestValue))
}

// Sentence is a text of the report, which may hold values of the store.
func Sentence(text string) string { return escape.Text(document.Short(text, longestSentence)) }

// Moment is a time as the page shows it.
func Moment(at time.Time) string { return at.UTC().Format("2006-01-02 15:04") + " UTC" }
