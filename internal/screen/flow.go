// Package screen has the live screens of a terminal. What they show comes in as functions; what they draw is a function of
// their state, so that a test reads it without a terminal.
package screen

import (
	"context"
	"fmt"
	"io"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/docker-telemetry/docker-telemetry/internal/escape"
	"github.com/docker-telemetry/docker-telemetry/pipeline"
)

// FlowSource is where the screen of the flow looks.
type FlowSource struct {
	Stack string
	// Look gets the figures of now.
	Look func(ctx context.Context) (pipeline.Flow, error)
	// Logs calls line for each line that a hop logs, the last ones first of all, until the context ends.
	Logs func(ctx context.Context, hop pipeline.Hop, line func(string)) error
	// Tap calls line for each event that comes out of a hop's parts, until the context ends.
	Tap func(ctx context.Context, hop pipeline.Hop, line func(string)) error
}

// The pages of the screen.
type page int

const (
	overview page = iota
	parts
	logs
	tap
)

// kept is how many lines of a log or a tap are held: a few screens.
const kept = 500

type flowModel struct {
	ctx           context.Context //nolint:containedctx // the commands of a model get no other
	source        FlowSource
	every         time.Duration
	send          func(tea.Msg)
	width, height int

	flow    *pipeline.Flow // nil before the first look
	problem error          // of the last look
	page    page
	chosen  int
	lines   []string
	ended   string // why a log or a tap goes on no more
	stream  int    // the number of the one that is shown; lines of an earlier one are late
	stop    context.CancelFunc
	paused  bool
}

type (
	figuresMsg struct {
		flow pipeline.Flow
		err  error
	}
	lookMsg struct{}
	lineMsg struct {
		stream int
		text   string
	}
	endMsg struct {
		stream int
		err    error
	}
)

// Flow shows the flow until q or Ctrl-C, or until the context ends. environ says what the terminal can, NO_COLOR among it.
func Flow(ctx context.Context, source FlowSource, every time.Duration, in io.Reader, out io.Writer, environ []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	model := newFlow(ctx, source, every)
	program := tea.NewProgram(model, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithEnvironment(environ),
		// Ctrl-C is the plugin's own.
		tea.WithoutSignalHandler(), tea.WithFPS(10))
	model.send = program.Send
	_, err := program.Run()
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the end that was asked for
	}
	return err
}

func newFlow(ctx context.Context, source FlowSource, every time.Duration) *flowModel {
	return &flowModel{ctx: ctx, source: source, every: every, send: func(tea.Msg) {}, width: 80, height: 24, stop: func() {}}
}

func (m *flowModel) Init() tea.Cmd { return m.look }

func (m *flowModel) look() tea.Msg {
	flow, err := m.source.Look(m.ctx)
	return figuresMsg{flow, err}
}

func (m *flowModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case figuresMsg:
		m.take(msg)
		return m, tea.Tick(m.every, func(time.Time) tea.Msg { return lookMsg{} })
	case lookMsg:
		return m, m.look
	case lineMsg:
		m.line(msg)
	case endMsg:
		if msg.stream == m.stream {
			m.ended = "it ended"
			if msg.err != nil {
				m.ended = msg.err.Error()
			}
		}
	case tea.KeyPressMsg:
		command := m.key(msg.String())
		return m, command
	}
	return m, nil
}

// take keeps the last figures where a look fails: what was true a moment ago is of more use than nothing.
func (m *flowModel) take(msg figuresMsg) {
	m.problem = msg.err
	if msg.err == nil {
		m.flow = &msg.flow
		m.chosen = max(0, min(m.chosen, len(m.flow.Hops)-1))
	}
}

func (m *flowModel) line(msg lineMsg) {
	if msg.stream != m.stream || m.paused {
		return
	}
	m.lines = append(m.lines, msg.text)
	if len(m.lines) > kept {
		m.lines = m.lines[len(m.lines)-kept:]
	}
}

func (m *flowModel) key(key string) tea.Cmd {
	switch key {
	case "q", "ctrl+c":
		m.stop()
		return tea.Quit
	case "esc", "backspace", "left", "h":
		m.back()
	case "up", "k":
		m.choose(m.chosen - 1)
	case "down", "j":
		m.choose(m.chosen + 1)
	case "enter", "right":
		if m.hop() != nil && m.page == overview {
			m.page = parts
		}
	case "l":
		return m.follow(logs, m.source.Logs)
	case "t":
		return m.follow(tap, m.source.Tap)
	case "space":
		m.paused = !m.paused
	}
	return nil
}

func (m *flowModel) back() {
	m.stop()
	m.stream++
	if m.page == parts {
		m.page = overview
		return
	}
	if m.page != overview {
		m.page = parts
	}
}

func (m *flowModel) choose(index int) {
	if m.flow == nil || m.page == logs || m.page == tap {
		return
	}
	m.chosen = max(0, min(index, len(m.flow.Hops)-1))
}

// hop is the chosen one, nil before there are any.
func (m *flowModel) hop() *pipeline.Hop {
	if m.flow == nil || len(m.flow.Hops) == 0 {
		return nil
	}
	return &m.flow.Hops[m.chosen]
}

// follow shows a stream of lines of the chosen hop in the place of another.
func (m *flowModel) follow(page page, read func(context.Context, pipeline.Hop, func(string)) error) tea.Cmd {
	hop := m.hop()
	if hop == nil {
		return nil
	}
	m.stop()
	m.stream++
	m.page, m.lines, m.ended, m.paused = page, nil, "", false
	ctx, stop := context.WithCancel(m.ctx)
	m.stop = stop
	stream, of := m.stream, *hop
	return func() tea.Msg {
		err := read(ctx, of, func(text string) { m.send(lineMsg{stream, text}) })
		if ctx.Err() != nil {
			err = nil
		}
		return endMsg{stream, err}
	}
}

func (m *flowModel) View() tea.View {
	view := tea.NewView(m.draw())
	view.AltScreen = true
	view.WindowTitle = "telemetry flow: " + escape.Text(m.source.Stack)
	return view
}

func nameOf(hop pipeline.Hop, hops []pipeline.Hop) string {
	number, of := 0, 0
	for _, other := range hops {
		if other.Component != hop.Component {
			continue
		}
		of++
		if other.Replica == hop.Replica {
			number = of
		}
	}
	if of < 2 {
		return hop.Component
	}
	return fmt.Sprintf("%s %d", hop.Component, number)
}
