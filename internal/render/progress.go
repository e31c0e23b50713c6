package render

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/docker/compose/v5/cmd/display"
	"github.com/docker/compose/v5/pkg/api"
)

// ProgressModes are the values of --progress.
func ProgressModes() []string { return []string{"auto", "tty", "plain", "json", "quiet"} }

// Untimed is plain without the seconds, for who shows the lines beside times of their own; no value of --progress.
const Untimed = "untimed"

// Progress shows what happens to each resource of an operation, on standard error. The Compose SDK feeds it, and so
// do our own steps, so that an operation of several SDK calls is one picture.
type Progress struct {
	sink api.EventProcessor
	ctx  context.Context //nolint:containedctx // the display wants it at Start, which happens at the first event

	mu      sync.Mutex
	title   string
	started bool
}

// NewProgress returns a progress in one of ProgressModes; auto is tty on a terminal and plain elsewhere.
func NewProgress(ctx context.Context, mode, title string, stderr io.Writer, terminal bool) (*Progress, error) {
	sink, err := sinkOf(mode, stderr, terminal)
	if err != nil {
		return nil, err
	}
	return &Progress{sink: sink, ctx: ctx, title: title}, nil
}

func sinkOf(mode string, stderr io.Writer, terminal bool) (api.EventProcessor, error) {
	switch mode {
	case "auto", "":
		if terminal {
			return display.Full(stderr, stderr, true), nil
		}
		return newPlain(stderr), nil
	case "tty":
		return display.Full(stderr, stderr, true), nil
	case "plain":
		return newPlain(stderr), nil
	case Untimed:
		return &plainSink{out: stderr, last: map[string]string{}, untimed: true}, nil
	case "json":
		return display.JSON(stderr), nil
	case "quiet":
		return display.Quiet(), nil
	default:
		return nil, fmt.Errorf("--progress must be one of %s, not %q", strings.Join(ProgressModes(), ", "), mode)
	}
}

// Start is called by the SDK at each of its operations. The picture starts once, with the first event.
func (p *Progress) Start(context.Context, string) {}

// On shows events; safe from several goroutines.
func (p *Progress) On(events ...api.Resource) {
	p.mu.Lock()
	if !p.started {
		p.started = true
		p.sink.Start(p.ctx, p.title)
	}
	p.mu.Unlock()
	p.sink.On(events...)
}

// Waiting shows that a proof looks for something; Found or Failed ends it.
func (p *Progress) Waiting(id string) {
	p.On(api.Resource{ID: id, Status: api.Working, Text: api.StatusWaiting})
}

// Found ends a proof that held.
func (p *Progress) Found(id string) {
	p.On(api.Resource{ID: id, Status: api.Done, Text: "Found"})
}

// Failed ends a proof that did not.
func (p *Progress) Failed(id string) {
	p.On(api.Resource{ID: id, Status: api.Error, Text: api.StatusError})
}

// Done is called by the SDK at the end of each of its operations, with an inverted success (docker/compose issue
// 14074). The picture ends with Close.
func (p *Progress) Done(string, bool) {}

// Close ends the picture, so that what is printed next does not run into it. Calling it again does nothing.
func (p *Progress) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.started {
		return
	}
	p.started = false
	p.sink.Done(p.title, true)
}

// plainSink prints a line for each change, with the seconds since the first: the SDK's own plain display has no times.
type plainSink struct {
	mu    sync.Mutex
	out   io.Writer
	began time.Time
	last  map[string]string

	untimed bool
}

func newPlain(out io.Writer) *plainSink { return &plainSink{out: out, last: map[string]string{}} }

func (p *plainSink) Start(context.Context, string) { p.began = time.Now() }

func (p *plainSink) On(events ...api.Resource) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, event := range events {
		// Layers of an image are too many lines for a log.
		if event.ParentID != "" || p.last[event.ID] == event.Text+event.Details {
			continue
		}
		p.last[event.ID] = event.Text + event.Details
		line := strings.TrimRight(fmt.Sprintf("%s %s %s", Escape(event.ID), Escape(event.Text), Escape(event.Details)), " ")
		if !p.untimed {
			line = fmt.Sprintf("%5.1fs  %s", time.Since(p.began).Seconds(), line)
		}
		fmt.Fprintln(p.out, line)
	}
}

func (p *plainSink) Done(string, bool) {}
