// Package document is the frame of a report: what it says, apart from how it is written. Package render writes it for a
// terminal, as Markdown and as CSV; a report only fills it.
package document

// Document is a report for people.
type Document struct {
	Title    string
	Sections []Section
	// Flat is what a spreadsheet gets: one table, every figure a bare number.
	Flat Table
}

// Section is one part of a report.
type Section struct {
	Title string
	// Note is a sentence or two between title and table.
	Note string
	Table
}

// Table has a header and rows of the same length.
type Table struct {
	Header []string
	// Right are the columns, from 0, whose cells line up on the right: figures.
	Right []int
	// Prose are the columns of sentences: where there is little room they become narrow first.
	Prose []int
	// Optional are the columns that a narrow terminal does without, the first of them first.
	Optional []int
	Rows     [][]string
}
