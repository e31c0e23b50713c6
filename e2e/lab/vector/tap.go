package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"sync"
	"time"
)

// taps are those who look at what comes out of components. Without one a send costs a lock and no more.
type taps struct {
	mu     sync.Mutex
	active map[*tapped]struct{}
}

// tapped gets a share of the events: so many an interval, as Vector samples.
type tapped struct {
	patterns []string
	lines    chan []byte
	limit    int
	interval time.Duration
	since    time.Time
	shown    int
}

func (t *taps) add(one *tapped) (remove func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.active == nil {
		t.active = map[*tapped]struct{}{}
	}
	t.active[one] = struct{}{}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.active, one)
	}
}

func (t *taps) show(id string, events []event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for one := range t.active {
		if !one.wants(id) {
			continue
		}
		for _, e := range events {
			one.take(e)
		}
	}
}

func (t *tapped) wants(id string) bool {
	for _, pattern := range t.patterns {
		if ok, _ := path.Match(pattern, id); ok {
			return true
		}
	}
	return false
}

// take drops what is over the limit and what a slow reader has no room for: a tap holds nothing up.
func (t *tapped) take(e event) {
	if now := time.Now(); now.Sub(t.since) >= t.interval {
		t.since, t.shown = now, 0
	}
	if t.shown >= t.limit {
		return
	}
	line, err := encodeJSON(tapValue(e))
	if err != nil {
		return
	}
	select {
	case t.lines <- append(line, '\n'):
		t.shown++
	default:
	}
}

// tapValue is an event as Vector's native JSON shows it, of a metric without the parts that the stand-in's have not.
func tapValue(e event) any {
	if e.log != nil {
		return e.log
	}
	shown := map[string]any{"namespace": e.metric.namespace, "name": e.metric.name, "kind": "absolute"}
	tags := map[string]any{}
	for name, value := range e.metric.tags {
		tags[name] = value
	}
	shown["tags"] = tags
	if e.metric.kind == incremental {
		shown["kind"] = "incremental"
	}
	switch value := e.metric.value.(type) {
	case counterValue:
		shown["counter"] = map[string]any{"value": float64(value)}
	case gaugeValue:
		shown["gauge"] = map[string]any{"value": float64(value)}
	}
	return shown
}

// ServeHTTP is how `vector tap` of the stand-in speaks to its server. Vector's own protocol is gRPC.
func (t *taps) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	one := &tapped{patterns: query["pattern"], lines: make(chan []byte, 1000), limit: 100, interval: 500 * time.Millisecond}
	if _, err := fmt.Sscan(query.Get("limit"), &one.limit); err != nil {
		http.Error(w, "limit", http.StatusBadRequest)
		return
	}
	defer t.add(one)()
	flusher := http.NewResponseController(w)
	w.WriteHeader(http.StatusOK)
	_ = flusher.Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case line := <-one.lines:
			if _, err := w.Write(line); err != nil {
				return
			}
			_ = flusher.Flush()
		}
	}
}

// tapCommand is `vector tap`.
func tapCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("vector tap", flag.ContinueOnError)
	fs.SetOutput(stderr)
	quiet := fs.Bool("quiet", false, "no word of what is tapped")
	format := fs.String("format", "json", "only json here")
	limit := fs.Int("limit", 100, "events an interval")
	address := fs.String("url", "http://127.0.0.1:8686", "where the API is")
	fs.Bool("no-reconnect", false, "the stand-in never does")
	var outputs list
	fs.Var(&outputs, "outputs-of", "patterns of sources and transforms")
	if err := fs.Parse(args); err != nil {
		return exitUsage
	}
	patterns := append(outputs, fs.Args()...)
	if *format != "json" {
		_, _ = fmt.Fprintf(stderr, "error: format %q is not supported by the stand-in\n", *format)
		return exitUsage
	}
	if len(patterns) == 0 {
		patterns = list{"*"}
	}
	if !*quiet {
		_, _ = fmt.Fprintf(stderr, "[tap] %s\n", versionLine)
	}
	if err := readTap(ctx, *address, url.Values{"pattern": patterns, "limit": {fmt.Sprint(*limit)}}, stdout); err != nil && ctx.Err() == nil {
		_, _ = fmt.Fprintf(stderr, "[tap] %v\n", err)
		return exitSoftware
	}
	return exitOK
}

func readTap(ctx context.Context, address string, query url.Values, stdout io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/lab/tap?"+query.Encode(), http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	_, err = io.Copy(stdout, response.Body)
	return err
}
