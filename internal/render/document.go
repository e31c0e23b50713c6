package render

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/docker-telemetry/docker-telemetry/internal/document"
)

// Document writes a report for a terminal or a pipe. Every cell is escaped here.
func Document(out io.Writer, d document.Document) {
	for i, section := range d.Sections {
		if i > 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintln(out, Escape(strings.ToUpper(section.Title)))
		if section.Note != "" {
			fmt.Fprintln(out, wrapped(Escape(section.Note), terminalWidth(out)))
		}
		if len(section.Rows) > 0 {
			documentTable(out, section.Table)
		}
	}
}

// wrapped breaks a note between words, where the terminal would do it within one.
func wrapped(note string, width int) string {
	if width < narrowest {
		return note
	}
	return text.WrapSoft(note, width)
}

func documentTable(out io.Writer, t document.Table) {
	t = affordable(t, terminalWidth(out))
	columns := fit(t, terminalWidth(out))
	for _, right := range t.Right {
		columns[right].Align, columns[right].AlignHeader = text.AlignRight, text.AlignRight
	}
	header := t.Header
	if strings.Join(header, "") == "" {
		header = nil
	}
	write(out, header, t.Rows, columns)
}

// narrow is how wide a column of the table must be, at least. Figures and names keep their width: half of one is another one.
func narrow(t document.Table, column int) int {
	width := widest(column, t.Header, t.Rows)
	if slices.Contains(t.Prose, column) {
		return min(width, narrowest)
	}
	return width
}

// affordable leaves optional columns out until the others fit; 0 is a width without end.
func affordable(t document.Table, width int) document.Table {
	for width > 0 && len(t.Optional) > 0 {
		needed := -gap
		for column := range t.Header {
			needed += narrow(t, column) + gap
		}
		if needed <= width {
			break
		}
		t = without(t, t.Optional[0])
	}
	return t
}

// without takes a column out; those behind it move.
func without(t document.Table, column int) document.Table {
	moved := func(columns []int) []int {
		var kept []int
		for _, one := range columns {
			switch {
			case one < column:
				kept = append(kept, one)
			case one > column:
				kept = append(kept, one-1)
			}
		}
		return kept
	}
	rows := make([][]string, len(t.Rows))
	for i, row := range t.Rows {
		rows[i] = slices.Delete(slices.Clone(row), column, column+1)
	}
	return document.Table{
		Header: slices.Delete(slices.Clone(t.Header), column, column+1), Rows: rows,
		Right: moved(t.Right), Prose: moved(t.Prose), Optional: moved(t.Optional),
	}
}

// fit narrows columns until a table is as wide as its terminal: those of sentences, then, where that is not enough, any but
// figures.
func fit(t document.Table, limit int) []table.ColumnConfig {
	columns := make([]table.ColumnConfig, len(t.Header))
	widths := make([]int, len(t.Header))
	over := -gap - limit
	for i := range columns {
		columns[i].Number = i + 1
		widths[i] = widest(i, t.Header, t.Rows)
		over += widths[i] + gap
	}
	if limit <= 0 {
		return columns
	}
	words := make([]int, 0, len(t.Header))
	for i := range t.Header {
		if !slices.Contains(t.Right, i) {
			words = append(words, i)
		}
	}
	over = shrink(widths, t.Prose, narrowest, over)
	shrink(widths, words, narrowest/2, over)
	for i := range columns {
		if widths[i] < widest(i, t.Header, t.Rows) {
			columns[i].WidthMax, columns[i].WidthMaxEnforcer = widths[i], text.WrapSoft
		}
	}
	return columns
}

// shrink takes from the widest of some columns until nothing is over or all are at their least. It returns what is still over.
func shrink(widths, columns []int, least, over int) int {
	for ; over > 0; over-- {
		at := -1
		for _, column := range columns {
			if widths[column] > least && (at < 0 || widths[column] > widths[at]) {
				at = column
			}
		}
		if at < 0 {
			break
		}
		widths[at]--
	}
	return over
}

// Markdown writes a report as GitHub reads it.
func Markdown(out io.Writer, d document.Document) {
	fmt.Fprintf(out, "# %s\n", markdown(d.Title))
	for _, section := range d.Sections {
		fmt.Fprintf(out, "\n## %s\n", markdown(section.Title))
		if section.Note != "" {
			fmt.Fprintf(out, "\n%s\n", markdown(section.Note))
		}
		if len(section.Rows) == 0 {
			continue
		}
		line := make([]string, len(section.Header))
		for i := range line {
			line[i] = "---"
		}
		for _, right := range section.Right {
			line[right] = "--:"
		}
		fmt.Fprintln(out)
		for _, row := range append([][]string{section.Header}, section.Rows...) {
			cells := make([]string, len(row))
			for i, cell := range row {
				cells[i] = markdown(cell)
			}
			fmt.Fprintf(out, "| %s |\n", strings.Join(cells, " | "))
			if line != nil {
				fmt.Fprintf(out, "| %s |\n", strings.Join(line, " | "))
				line = nil
			}
		}
	}
}

// markdown makes text of what a store said: neither HTML, nor a link, nor the end of a cell.
func markdown(cell string) string {
	var out strings.Builder
	for _, c := range Escape(cell) {
		if strings.ContainsRune("\\`*_{}[]<>#|!~&", c) {
			out.WriteByte('\\')
		}
		out.WriteRune(c)
	}
	return out.String()
}

// CSV writes a table as RFC 4180 has it, with lines that end in LF. A spreadsheet takes a cell that begins like a formula
// for one, so such a cell begins with an apostrophe.
// https://owasp.org/www-community/attacks/CSV_Injection
func CSV(out io.Writer, t document.Table) error {
	writer := csv.NewWriter(out)
	for _, row := range append([][]string{t.Header}, t.Rows...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = defused(Escape(cell))
		}
		if err := writer.Write(cells); err != nil {
			return err
		}
	}
	writer.Flush()
	return writer.Error()
}

func defused(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r＝＋－＠", []rune(cell)[0]) {
		return "'" + cell
	}
	return cell
}
