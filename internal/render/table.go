package render

import (
	"encoding/json"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
)

// Table prints rows under a header, columns aligned by what a terminal shows. Every cell is escaped here.
func Table(out io.Writer, header []string, rows [][]string) {
	writer := table.NewWriter()
	writer.SetOutputMirror(out)
	writer.SetStyle(bare())
	writer.AppendHeader(cells(header))
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
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "   "
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
func Indent(text, prefix string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		// A tab is the one control character that logs are full of and that does no harm.
		line = strings.ReplaceAll(strings.TrimRight(line, "\r\n"), "\t", "    ")
		out.WriteString(prefix + Escape(line) + "\n")
	}
	return out.String()
}
