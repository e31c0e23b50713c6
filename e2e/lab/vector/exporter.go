package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// exporterSender is the prometheus_exporter sink: it keeps the last value of each series and shows them to who asks. As Vector
// does, it listens from its first metric on, not while a configuration is checked.
type exporterSender struct {
	conf *sinkConf
	c    *component
	// sums makes absolute metrics of incremental ones.
	sums *remoteWriter

	mu     sync.Mutex
	shown  map[string]shownSeries
	server *http.Server
}

type shownSeries struct {
	metric *metric
	at     time.Time
}

func newExporter(c *component, conf *sinkConf) *exporterSender {
	return &exporterSender{conf: conf, c: c, sums: &remoteWriter{httpPoster: &httpPoster{conf: conf}, sums: map[string]*runningSum{}}, shown: map[string]shownSeries{}}
}

func (e *exporterSender) endpoint() (protocol, address string)   { return "http", e.conf.listen }
func (e *exporterSender) health(context.Context) error           { return nil }
func (e *exporterSender) push(_ context.Context, _ []byte) error { return e.listen() }
func (e *exporterSender) prepare(events []event) ([]byte, error) {
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, one := range events {
		if one.metric == nil {
			return nil, permanentError{errors.New("the prometheus_exporter sink takes metrics only")}
		}
		m, err := e.sums.absolute(one.metric, now)
		if err != nil {
			return nil, permanentError{err}
		}
		switch m.value.(type) {
		case counterValue, gaugeValue:
			e.shown[seriesKey(m)] = shownSeries{m, now}
		default:
			return nil, permanentError{fmt.Errorf("%T of %q is not supported by the stand-in's prometheus_exporter", m.value, m.fullName())}
		}
	}
	return nil, nil
}

func (e *exporterSender) listen() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server != nil {
		return nil
	}
	listener, err := net.Listen("tcp", e.conf.listen)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = w.Write([]byte(e.page(time.Now())))
	})
	e.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = e.server.Serve(listener) }()
	return nil
}

// page is the text format. A series without a new value for the flush period is forgotten.
func (e *exporterSender) page(now time.Time) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.shown, func(_ string, s shownSeries) bool { return now.Sub(s.at) > e.conf.flush })
	var page strings.Builder
	last := ""
	for _, key := range slices.Sorted(maps.Keys(e.shown)) {
		m := e.shown[key].metric
		name, kind, value := m.fullName(), "gauge", 0.0
		switch v := m.value.(type) {
		case counterValue:
			kind, value = "counter", float64(v)
		case gaugeValue:
			value = float64(v)
		}
		if name != last {
			fmt.Fprintf(&page, "# HELP %s %s\n# TYPE %s %s\n", name, name, name, kind)
			last = name
		}
		var labels []string
		for _, tag := range m.sortedTags() {
			labels = append(labels, tag+"="+quoteLabel(m.tags[tag]))
		}
		page.WriteString(name)
		if len(labels) > 0 {
			page.WriteString("{" + strings.Join(labels, ",") + "}")
		}
		page.WriteString(" " + formatNumber(value))
		if !m.time.IsZero() {
			page.WriteString(" " + strconv.FormatInt(m.time.UnixMilli(), 10))
		}
		page.WriteString("\n")
	}
	return page.String()
}

func quoteLabel(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(value) + `"`
}

func formatNumber(value float64) string {
	if math.IsInf(value, 0) {
		return strings.TrimSuffix(strconv.FormatFloat(value, 'f', -1, 64), "inity")
	}
	return strconv.FormatFloat(value, 'f', -1, 64)
}
