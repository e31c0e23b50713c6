package render

import (
	"encoding/json"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Table prints rows under a header, columns aligned by what a terminal shows. Every cell is escaped here.
func Table(out io.Writer, header []string, rows [][]string) {
	write(out, header, rows, nil)
}

// Prose is a Table whose last column is text to read: a terminal that it does not fit gets it in lines of its own, not
// broken within a word and begun again at the left edge.
func Prose(out io.Writer, header []string, rows [][]string) {
	last := len(header) - 1
	width := terminalWidth(out)
	for column := range last {
		width -= gap + widest(column, header, rows)
	}
	if width < narrowest {
		Table(out, header, rows)
		return
	}
	write(out, header, rows, []table.ColumnConfig{{Number: last + 1, WidthMax: width, WidthMaxEnforcer: text.WrapSoft}})
}

const (
	gap = 3 // between columns
	// Text in a narrower column is harder to read than what a terminal makes of a long line.
	narrowest = 24
)

// terminalWidth is 0 where nobody knows it, which is where lines have no end.
func terminalWidth(out io.Writer) int {
	terminal, ok := out.(interface{ GetTtySize() (height, width uint) })
	if !ok {
		return 0
	}
	_, width := terminal.GetTtySize()
	return int(min(width, 1<<15))
}

func widest(column int, header []string, rows [][]string) int {
	width := text.StringWidth(Escape(header[column]))
	for _, row := range rows {
		width = max(width, text.StringWidth(Escape(row[column])))
	}
	return width
}

func write(out io.Writer, header []string, rows [][]string, columns []table.ColumnConfig) {
	writer := table.NewWriter()
	writer.SetColumnConfigs(columns)
	writer.SetOutputMirror(out)
	writer.SetStyle(bare())
	if len(header) > 0 {
		writer.AppendHeader(cells(header))
	}
	for _, row := range rows {
		writer.AppendRow(cells(row))
	}
	writer.SuppressTrailingSpaces()
	writer.Render()
}

func cells(texts []string) table.Row {
	row := make(table.Row, len(texts))
	for i, text := range texts {
		row[i] = Escape(text)
	}
	return row
}

// bare has no lines, as the tables of the Docker CLI.
func bare() table.Style {
	style := table.Style{Name: "bare", Box: table.StyleBoxDefault, Format: table.FormatOptionsDefault}
	style.Box.PaddingLeft, style.Box.PaddingRight = "", strings.Repeat(" ", gap)
	style.Options = table.OptionsNoBordersAndSeparators
	return style
}

// JSON prints a value as indented JSON with a final newline. Values stay exact: JSON has its own escapes.
func JSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// Indent puts a prefix before each line of a text from a container, escaped line by line.
func Indent(lines, prefix string) string {
	var out strings.Builder
	for line := range strings.Lines(lines) {
		// A tab is the one control character that logs are full of and that does no harm.
		line = strings.ReplaceAll(strings.TrimRight(line, "\r\n"), "\t", "    ")
		out.WriteString(prefix + Escape(line) + "\n")
	}
	return out.String()
}
