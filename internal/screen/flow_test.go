package screen

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/docker-telemetry/docker-telemetry/pipeline"
)

func noon() time.Time { return time.Date(2026, 3, 14, 12, 0, 0, 0, time.Local) }

func busy() pipeline.Flow {
	number := func(value float64) *float64 { return &value }
	ago := func(since time.Duration) *time.Time { at := noon().Add(-since); return &at }
	rate := func(events, bytes float64) *pipeline.Rate { return &pipeline.Rate{Events: events, Bytes: bytes} }
	full := &pipeline.Buffer{Fill: 0.83, Events: 120_000, Bytes: 222e6}
	docker := pipeline.Part{Hop: "agent", ID: "docker", Kind: "source", Type: "docker_logs", In: rate(1234, 3.5e5), Out: rate(1234, 3.6e5), LastSeen: ago(3 * time.Second)}
	node := pipeline.Part{Hop: "agent", ID: "node_exporter", Kind: "source", Type: "prometheus_scrape", In: rate(80.4, 12000), Out: rate(80.4, 12000), Errors: 0.07, LastSeen: ago(4 * time.Minute)}
	gate := pipeline.Part{Hop: "agent", ID: "gate", Kind: "transform", Type: "filter", In: rate(1234, 3.6e5), Out: rate(1200, 3.5e5), Filtered: 34}
	sink := pipeline.Part{Hop: "agent", ID: "agg_logs", Kind: "sink", Type: "vector", In: rate(1200, 3.5e5), Out: rate(700, 2e5), Lost: 12, Buffer: full}
	return pipeline.Flow{
		SchemaVersion: 1, At: noon(), From: pipeline.FromStore,
		Hops: []pipeline.Hop{
			{
				Component: "agent", In: rate(1314, 3.6e5), Out: rate(780, 2.1e5), Errors: number(0.07), Lost: number(12), Buffer: full,
				LastSeen: ago(3 * time.Second), Parts: []pipeline.Part{docker, node, gate, sink},
			},
			{Component: "balancer", Requests: number(2.3)},
			{Component: "aggregator", Replica: "a1", In: rate(400, 1e5), Out: rate(401, 1e5), Errors: number(0), Lost: number(0), LastSeen: ago(0)},
			{Component: "aggregator", Replica: "b2", In: rate(380, 1e5), Out: rate(381, 1e5), Errors: number(0), Lost: number(0), LastSeen: ago(2 * time.Hour)},
			{Component: "openobserve", In: rate(700, 0)},
			{Component: "victoriametrics", In: rate(82, 0)},
		},
		Sources: []pipeline.Part{docker, node},
	}
}

func at(t *testing.T, width, height int) *flowModel {
	t.Helper()
	m := newFlow(t.Context(), FlowSource{Stack: "telemetry"}, time.Second)
	m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	return m
}

func press(m *flowModel, keys ...rune) {
	for _, key := range keys {
		msg := tea.KeyPressMsg{Code: key}
		if unicode.IsPrint(key) {
			msg.Text = string(key)
		}
		m.Update(msg)
	}
}

func TestDrawn(t *testing.T) {
	for _, tc := range []struct {
		name          string
		width, height int
		keys          []rune
	}{
		{"wide", 120, 24, nil},
		{"medium", 80, 24, []rune{'j', 'j'}},
		{"narrow", 50, 16, nil},
		{"parts", 120, 24, []rune{tea.KeyEnter}},
		{"parts-narrow", 50, 24, []rune{tea.KeyEnter}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := at(t, tc.width, tc.height)
			m.Update(figuresMsg{flow: busy()})
			press(m, tc.keys...)
			drawn := ansi.Strip(m.draw())
			golden.Assert(t, drawn+"\n", tc.name+".golden.txt")
			for _, line := range strings.Split(drawn, "\n") {
				assert.Assert(t, ansi.StringWidth(line) <= tc.width, "%q", line)
			}
			assert.Assert(t, strings.Count(drawn, "\n") < tc.height)
		})
	}
}

func TestBeforeTheFirstLook(t *testing.T) {
	m := at(t, 80, 24)
	assert.Assert(t, strings.Contains(m.draw(), "looking"))
	press(m, tea.KeyEnter, 'l', 't', 'j', 'k', tea.KeyEscape)
	m.Update(figuresMsg{err: errors.New("the engine does not answer")})
	assert.Assert(t, strings.Contains(ansi.Strip(m.draw()), "the engine does not answer"))
	m.Update(figuresMsg{flow: pipeline.Flow{}})
	assert.Assert(t, strings.Contains(ansi.Strip(m.draw()), "There are no figures yet"))
}

// The last figures stay where a look fails, and a hop that went takes the choice with it.
func TestFiguresThatEnd(t *testing.T) {
	m := at(t, 80, 24)
	m.Update(figuresMsg{flow: busy()})
	press(m, 'j', 'j', 'j', 'j', 'j', 'j', 'j')
	assert.Equal(t, m.hop().Component, "victoriametrics")
	m.Update(figuresMsg{err: errors.New("away")})
	assert.Assert(t, strings.Contains(ansi.Strip(m.draw()), "1,314"))
	flow := busy()
	flow.Hops = flow.Hops[:1]
	m.Update(figuresMsg{flow: flow})
	assert.Equal(t, m.hop().Component, "agent")
}

// Lines of a stream that was left are late, a held one does not move, and what a container prints is only text.
func TestLines(t *testing.T) {
	m := at(t, 80, 12)
	ended := make(chan string, 2)
	follow := func(ctx context.Context, hop pipeline.Hop, _ func(string)) error {
		<-ctx.Done()
		ended <- hop.Component
		return ctx.Err()
	}
	m.source.Logs, m.source.Tap = follow, follow
	m.Update(figuresMsg{flow: busy()})
	_, first := m.Update(tea.KeyPressMsg{Code: 'l', Text: "l"})
	go first()
	m.Update(lineMsg{m.stream, "one \x1b[31mred\x1b[2J"})
	assert.Assert(t, strings.Contains(m.draw(), `one \x1b[31mred\x1b[2J`), m.draw())
	press(m, ' ')
	m.Update(lineMsg{m.stream, "two"})
	assert.Assert(t, !strings.Contains(m.draw(), "two"))
	old := m.stream
	_, second := m.Update(tea.KeyPressMsg{Code: 't', Text: "t"})
	assert.Equal(t, <-ended, "agent")
	go second()
	m.Update(lineMsg{old, "late"})
	assert.Assert(t, !strings.Contains(m.draw(), "late"))
	for range 2 * kept {
		m.Update(lineMsg{m.stream, "more"})
	}
	assert.Equal(t, len(m.lines), kept)
	m.Update(endMsg{m.stream, errors.New("agent-1 went")})
	assert.Assert(t, strings.Contains(ansi.Strip(m.draw()), "agent-1 went"))
	press(m, tea.KeyEscape)
	assert.Equal(t, <-ended, "agent")
	assert.Equal(t, m.page, parts)
	press(m, tea.KeyEscape)
	assert.Equal(t, m.page, overview)
}

func TestQuit(t *testing.T) {
	m := at(t, 80, 24)
	_, cmd := m.Update(tea.KeyPressMsg{Code: 'q', Text: "q"})
	_, quits := cmd().(tea.QuitMsg)
	assert.Assert(t, quits)
}
