package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// safeBuffer is written by a tap while the test reads it.
type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// A counter must be shown on the exporter's page, and its events to who taps the source, and not to who taps another.
func TestExporterAndTap(t *testing.T) {
	page, apiAddress := freePort(t), freePort(t)
	topo, stop := start(t, fmt.Sprintf("sources: {self: {type: internal_metrics, scrape_interval_secs: 1}}\n"+
		"sinks: {page: {type: prometheus_exporter, inputs: [self], address: %q}}", page))
	defer func() { _ = stop() }()
	a, err := startAPI(&config{apiEnabled: true, apiAddress: apiAddress}, topo.reg, newLogger(io.Discard, levelError))
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var out, other safeBuffer
	for pattern, to := range map[string]*safeBuffer{"s*": &out, "docker": &other} {
		go tapCommand(ctx, []string{"--quiet", "--url", "http://" + apiAddress, pattern}, to, io.Discard)
	}
	for ctx.Err() == nil && (!strings.Contains(out.String(), `"name":"component_received_events_total"`) || !strings.Contains(get(t, page), "vector_component_received_events_total{")) {
		time.Sleep(50 * time.Millisecond)
	}
	if ctx.Err() != nil {
		t.Fatalf("tapped %.300s\npage %.300s", out.String(), get(t, page))
	}
	if other.String() != "" {
		t.Fatalf("a tap of another source shows %.300s", other.String())
	}
	if text := get(t, page); !strings.Contains(text, "# TYPE vector_component_received_events_total counter\n") {
		t.Fatalf("no type:\n%s", text)
	}
}

func get(t *testing.T, address string) string {
	t.Helper()
	response, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return string(body)
}
