package sheet

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/docker-telemetry/docker-telemetry/internal/document"
)

// tables is the template "tables", for a list of Table. A layout that has it needs the word "sentence".
//
//go:embed tables.html.tmpl
var tables string

// Table is a section of a report as text has it: the page says the same.
type Table struct {
	ID string
	document.Section
}

// Tables are sections with ids of their own.
func Tables(sections []document.Section) []Table {
	var list []Table
	for i, section := range sections {
		list = append(list, Table{ID: "table-" + strconv.Itoa(i+1), Section: section})
	}
	return list
}

// Named reports whether the columns have names.
func (t Table) Named() bool { return strings.Join(t.Header, "") != "" }

// Class is that of a cell: a figure, a sentence, or a short word, which a browser should not break.
func (t Table) Class(column int, cell string) string {
	const short = 28 // what sets a retention, such as "default of -retentionPeriod"
	switch {
	case slices.Contains(t.Right, column):
		return "figure"
	case utf8.RuneCountInString(cell) <= short:
		return "word"
	case slices.Contains(t.Prose, column):
		return "remark"
	default:
		return "words"
	}
}
