package render

import (
	"encoding/csv"
	"fmt"
	"io"
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
			fmt.Fprintln(out, Escape(section.Note))
		}
		if len(section.Rows) > 0 {
			documentTable(out, section.Table)
		}
	}
}

func documentTable(out io.Writer, t document.Table) {
	columns := fit(out, t)
	for _, right := range t.Right {
		columns[right].Align, columns[right].AlignHeader = text.AlignRight, text.AlignRight
	}
	header := t.Header
	if strings.Join(header, "") == "" {
		header = nil
	}
	write(out, header, t.Rows, columns)
}

// fit narrows the widest columns of words until a table is as wide as its terminal. Figures keep their width: half a number
// is another one.
func fit(out io.Writer, t document.Table) []table.ColumnConfig {
	columns := make([]table.ColumnConfig, len(t.Header))
	widths := make([]int, len(t.Header))
	total := -gap
	for i := range columns {
		columns[i].Number = i + 1
		widths[i] = widest(i, t.Header, t.Rows)
		total += widths[i] + gap
	}
	figures := map[int]bool{}
	for _, right := range t.Right {
		figures[right] = true
	}
	for limit := terminalWidth(out); limit > 0 && total > limit; total-- {
		widestAt := -1
		for i := range widths {
			if !figures[i] && widths[i] > narrowest/2 && (widestAt < 0 || widths[i] > widths[widestAt]) {
				widestAt = i
			}
		}
		if widestAt < 0 {
			break
		}
		widths[widestAt]--
		columns[widestAt].WidthMax, columns[widestAt].WidthMaxEnforcer = widths[widestAt], text.WrapSoft
	}
	return columns
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
