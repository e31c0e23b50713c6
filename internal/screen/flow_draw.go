package screen

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/docker-telemetry/docker-telemetry/internal/document"
	"github.com/docker-telemetry/docker-telemetry/internal/escape"
	"github.com/docker-telemetry/docker-telemetry/pipeline"
)

// The colours are those of the terminal, so that they are readable on its background.
func bold(text string) string  { return lipgloss.NewStyle().Bold(true).Render(text) }
func faint(text string) string { return lipgloss.NewStyle().Faint(true).Render(text) }
func bad(text string) string {
	return lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true).Render(text)
}

func warn(text string) string { return lipgloss.NewStyle().Foreground(lipgloss.Yellow).Render(text) }
func mark(text string) string { return lipgloss.NewStyle().Reverse(true).Render(text) }

// draw makes the whole screen, never wider or higher than the terminal.
func (m *flowModel) draw() string {
	body := m.body()
	foot := m.foot()
	room := m.height - len(foot) - 2
	if len(body) > room {
		body = body[:max(0, room)]
	}
	lines := append([]string{m.head(), ""}, body...)
	for len(lines) < m.height-len(foot) {
		lines = append(lines, "")
	}
	lines = append(lines, foot...)
	for i, line := range lines {
		lines[i] = ansi.Truncate(line, m.width, "…")
	}
	return strings.Join(lines, "\n")
}

func (m *flowModel) head() string {
	title := " " + bold(escape.Text(m.source.Stack)) + "  " + m.where()
	if m.flow == nil {
		return title
	}
	from := "last minute, from VictoriaMetrics"
	if m.flow.From == pipeline.FromComponents {
		from = "from the components themselves"
	}
	return spread(title, faint(m.flow.At.Local().Format(time.TimeOnly)+"  "+from+" "), m.width)
}

func (m *flowModel) where() string {
	hop := m.hop()
	if m.page == overview || hop == nil {
		return "flow"
	}
	name := escape.Text(nameOf(*hop, m.flow.Hops))
	return map[page]string{parts: name, logs: "log of " + name, tap: "events out of " + name}[m.page]
}

// spread puts two texts at the two ends of a line, or leaves the second out where there is no room.
func spread(left, right string, width int) string {
	gap := width - lipgloss.Width(left) - lipgloss.Width(right)
	if gap < 1 {
		return left
	}
	return left + strings.Repeat(" ", gap) + right
}

func (m *flowModel) foot() []string {
	keys := map[page]string{
		overview: "↑↓ choose   enter look into   l log   t tap   q quit",
		parts:    "↑↓ other hop   l log   t tap   esc back   q quit",
		logs:     "space hold   esc back   q quit",
		tap:      "space hold   esc back   q quit",
	}[m.page]
	var foot []string
	for _, note := range m.notes() {
		foot = append(foot, " "+warn(escape.Text(note)))
	}
	return append(foot, " "+faint(keys))
}

func (m *flowModel) notes() []string {
	var notes []string
	if m.problem != nil {
		notes = append(notes, m.problem.Error())
	}
	if m.flow != nil {
		notes = append(notes, m.flow.Notes...)
	}
	if m.paused {
		notes = append(notes, "held; space goes on")
	}
	return notes
}

func (m *flowModel) body() []string {
	switch {
	case m.page == logs, m.page == tap:
		return m.stretch()
	case m.flow == nil:
		return []string{" " + faint("looking ...")}
	case len(m.flow.Hops) == 0:
		return []string{" There are no figures yet: the components write them every 15 s."}
	case m.page == parts:
		return m.parts(*m.hop())
	default:
		return m.overview()
	}
}

// stretch is the end of what was read of a log or a tap.
func (m *flowModel) stretch() []string {
	room := m.height - len(m.foot()) - 3
	shown := m.lines[max(0, len(m.lines)-max(1, room)):]
	lines := make([]string, 0, len(shown)+1)
	for _, line := range shown {
		lines = append(lines, " "+escape.Text(line))
	}
	switch {
	case m.ended != "":
		lines = append(lines, " "+warn(escape.Text(m.ended)))
	case len(lines) == 0:
		lines = append(lines, " "+faint("nothing yet"))
	}
	return lines
}

func (m *flowModel) overview() []string {
	var lines []string
	if m.width >= wide {
		lines = append(lines, m.way(), "")
	}
	rows := make([]row, 0, len(m.flow.Hops))
	for i, hop := range m.flow.Hops {
		rows = append(rows, m.hopRow(hop, i == m.chosen))
	}
	lines = append(lines, m.table("HOP", hopColumns(), rows)...)
	if len(m.flow.Sources) == 0 {
		return lines
	}
	sources := make([]row, 0, len(m.flow.Sources))
	for _, part := range m.flow.Sources {
		sources = append(sources, m.partRow(part, part.Hop+" "))
	}
	lines = append(lines, "")
	return append(lines, m.table("SOURCE", partColumns(), sources)...)
}

// way is the pipeline in one line, with what goes over each of its arrows.
func (m *flowModel) way() string {
	var stations []string
	seen := map[string]bool{}
	for _, hop := range m.flow.Hops {
		if seen[hop.Component] || isStore(hop.Component) || hop.Component == "collector" {
			continue
		}
		seen[hop.Component] = true
		name := escape.Text(hop.Component)
		if count := m.replicas(hop.Component); count > 1 {
			name += " ×" + strconv.Itoa(count)
		}
		stations = append(stations, bold(name))
	}
	var stores []string
	for _, hop := range m.flow.Hops {
		if isStore(hop.Component) {
			stores = append(stores, bold(escape.Text(hop.Component))+" "+perSecond(hop.In))
		}
	}
	return " " + strings.Join(append(stations, strings.Join(stores, faint(" · "))), faint(" ─▶ "))
}

func isStore(component string) bool {
	return component == "openobserve" || component == "victoriametrics"
}

func (m *flowModel) replicas(component string) int {
	count := 0
	for _, hop := range m.flow.Hops {
		if hop.Component == component {
			count++
		}
	}
	return count
}

// wide is a terminal with room for more than the tables' figures.
const wide = 100

// column is a heading with how soon it goes where there is no room for all: the highest first.
type column struct {
	head string
	goes int
}

// row is a line of a table: a name, then a figure for each column, which is written to the right.
type row struct {
	name    string
	figures []string
	chosen  bool
}

func hopColumns() []column {
	return []column{{"IN/S", 0}, {"OUT/S", 1}, {"BYTES/S", 6}, {"ERRORS/S", 4}, {"LOST/S", 2}, {"BUFFER", 3}, {"LAST SEEN", 5}}
}

func (m *flowModel) hopRow(hop pipeline.Hop, chosen bool) row {
	in := perSecond(hop.In)
	if hop.Requests != nil {
		in = rate(*hop.Requests) + " req"
	}
	return row{name: escape.Text(nameOf(hop, m.flow.Hops)), chosen: chosen, figures: []string{
		in, perSecond(hop.Out), bytesPerSecond(cmp.Or(hop.Out, hop.In)), alarming(hop.Errors, warn), alarming(hop.Lost, bad), m.fill(hop.Buffer), m.ago(hop.LastSeen),
	}}
}

func partColumns() []column {
	return []column{{"IN/S", 0}, {"OUT/S", 1}, {"BYTES/S", 6}, {"ERRORS/S", 3}, {"LOST/S", 2}, {"FILTERED/S", 7}, {"BUFFER", 5}, {"LAST SEEN", 4}}
}

func (m *flowModel) partRow(part pipeline.Part, prefix string) row {
	return row{name: escape.Text(prefix + part.ID), figures: []string{
		perSecond(part.In), perSecond(part.Out), bytesPerSecond(cmp.Or(part.Out, part.In)), alarming(&part.Errors, warn), alarming(&part.Lost, bad),
		alarming(&part.Filtered, plain), m.fill(part.Buffer), m.ago(part.LastSeen),
	}}
}

func (m *flowModel) parts(hop pipeline.Hop) []string {
	if len(hop.Parts) == 0 {
		return []string{" " + faint("Nothing more is counted of it. l shows its log.")}
	}
	var lines []string
	for _, kind := range []string{"source", "transform", "sink"} {
		var rows []row
		for _, part := range hop.Parts {
			if part.Kind == kind {
				rows = append(rows, m.partRow(part, ""))
			}
		}
		if len(rows) > 0 {
			lines = append(lines, append(m.table(strings.ToUpper(kind), partColumns(), rows), "")...)
		}
	}
	return lines
}

// table writes names to the left and figures to the right, each column as wide as its widest. A column without a figure is left
// out, and so are others as long as the names have no room.
func (m *flowModel) table(name string, columns []column, rows []row) []string {
	widest := lipgloss.Width(name)
	widths := make([]int, len(columns))
	for _, line := range rows {
		widest = max(widest, lipgloss.Width(line.name))
		for i, figure := range line.figures {
			if figure != "" {
				widths[i] = max(widths[i], lipgloss.Width(figure), lipgloss.Width(columns[i].head))
			}
		}
	}
	for widest+taken(widths) > m.width-4 && dropLast(columns, widths) {
	}
	widest = max(8, min(widest, m.width-taken(widths)-4))
	head := row{name: name}
	for _, column := range columns {
		head.figures = append(head.figures, column.head)
	}
	written := []string{faint("   " + head.line(widest, widths))}
	for _, line := range rows {
		text := "   " + line.line(widest, widths)
		if line.chosen {
			text = " " + mark("▸ "+ansi.Strip(line.line(widest, widths)))
		}
		written = append(written, text)
	}
	return written
}

func taken(widths []int) int {
	sum := 0
	for _, width := range widths {
		if width > 0 {
			sum += 2 + width
		}
	}
	return sum
}

// dropLast takes out the shown column that goes first, and never the last one.
func dropLast(columns []column, widths []int) bool {
	first := -1
	for i := range columns {
		if widths[i] > 0 && columns[i].goes > 0 && (first < 0 || columns[i].goes > columns[first].goes) {
			first = i
		}
	}
	if first >= 0 {
		widths[first] = 0
	}
	return first >= 0
}

func (r row) line(name int, widths []int) string {
	shown := ansi.Truncate(r.name, name, "…")
	var line strings.Builder
	line.WriteString(shown + strings.Repeat(" ", max(0, name-lipgloss.Width(shown))))
	for i, figure := range r.figures {
		if widths[i] > 0 {
			line.WriteString(strings.Repeat(" ", 2+widths[i]-lipgloss.Width(figure)) + figure)
		}
	}
	return strings.TrimRight(line.String(), " ")
}

func perSecond(of *pipeline.Rate) string {
	if of == nil {
		return ""
	}
	return rate(of.Events)
}

func bytesPerSecond(of *pipeline.Rate) string {
	if of == nil || of.Bytes == 0 {
		return ""
	}
	return document.Size(of.Bytes)
}

// rate has as many digits as can be read at a glance.
func rate(value float64) string {
	switch {
	case value == 0:
		return "0"
	case value < 0.1:
		return "<0.1"
	case value < 100:
		return strconv.FormatFloat(value, 'f', 1, 64)
	default:
		return document.Number(int(value + 0.5))
	}
}

func plain(text string) string { return text }

func alarming(value *float64, style func(string) string) string {
	switch {
	case value == nil:
		return ""
	case *value == 0:
		return faint("0")
	default:
		return style(rate(*value))
	}
}

// barWidth is that of a buffer's fill, on wide terminals.
const barWidth = 8

func (m *flowModel) fill(buffer *pipeline.Buffer) string {
	if buffer == nil {
		return ""
	}
	text := fmt.Sprintf("%3.0f %%", 100*buffer.Fill)
	if m.width >= wide {
		full := int(buffer.Fill*barWidth + 0.5)
		text = strings.Repeat("█", full) + strings.Repeat("░", barWidth-full) + " " + text
	}
	switch {
	case buffer.Fill >= 0.8:
		return bad(text)
	case buffer.Fill >= 0.5:
		return warn(text)
	default:
		return text
	}
}

func (m *flowModel) ago(at *time.Time) string {
	if at == nil {
		return ""
	}
	since := m.flow.At.Sub(*at)
	switch {
	case since < time.Second:
		return "now"
	case since < time.Minute:
		return fmt.Sprintf("%d s ago", int(since.Seconds()))
	case since < time.Hour:
		return warn(fmt.Sprintf("%d min ago", int(since.Minutes())))
	default:
		return bad("over 1 h ago")
	}
}
