package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// maxScrape bounds one scraped page, in bytes.
const maxScrape = 64 << 20

// every calls fn at once and then each interval, like tokio's interval.
func every(ctx context.Context, interval time.Duration, fn func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		fn()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// getPage reads one page for c and counts it.
func getPage(ctx context.Context, c *component, client *http.Client, endpoint string, auth *basicAuth) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/plain")
	if auth != nil {
		req.SetBasicAuth(auth.user, auth.password)
	}
	status, body, err := doCounted(c, client, req, func(r io.Reader) ([]byte, error) {
		return io.ReadAll(io.LimitReader(r, maxScrape))
	})
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("unexpected status: %d %s", status, http.StatusText(status))
	}
	c.count("component_received_bytes_total", len(body), "protocol", "http", "endpoint", endpoint)
	return body, nil
}

// scrapeSource is prometheus_scrape.
type scrapeSource struct {
	c      *component
	conf   *scrapeConf
	out    *output
	client *http.Client
}

func (s *scrapeSource) run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, u := range s.conf.endpoints {
		wg.Add(1)
		go func() {
			defer wg.Done()
			every(ctx, s.conf.interval, func() { s.scrape(ctx, u) })
		}()
	}
	wg.Wait()
	return nil
}

func (s *scrapeSource) scrape(ctx context.Context, u *url.URL) {
	one, cancel := context.WithTimeout(ctx, s.conf.timeout)
	defer cancel()
	body, err := getPage(one, s.c, s.client, u.String(), s.conf.auth)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		s.c.failed("HTTP error.", err, "request_failed", "receiving", "url", u.String())
		return
	}
	events, err := parseExposition(body, time.Now().UTC().Truncate(time.Millisecond))
	if err != nil {
		s.c.failed("Parsing error.", err, "parser_failed", "processing", "url", u.String())
		return
	}
	for _, e := range events {
		s.tag(e.metric, s.conf.instanceTag, instanceOf(u))
		s.tag(e.metric, s.conf.endpointTag, u.String())
	}
	s.c.received(events)
	_ = s.out.send(s.out.kill, events)
}

func instanceOf(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Hostname() + ":" + port
}

// tag adds name by the rules of honor_labels: keep the scraped one, or move it to exported_<name>.
func (s *scrapeSource) tag(m *metric, name, value string) {
	if name == "" {
		return
	}
	if old, taken := m.tags[name]; taken {
		if s.conf.honorLabels {
			return
		}
		m.tags["exported_"+name] = old
	}
	m.tags[name] = value
}

// parseExposition reads the text format into absolute metrics; samples without a time get now.
func parseExposition(body []byte, now time.Time) ([]event, error) {
	p := expfmt.NewTextParser(model.LegacyValidation)
	families, err := p.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	var events []event
	for _, name := range slices.Sorted(maps.Keys(families)) {
		f := families[name]
		for _, m := range f.GetMetric() {
			out := &metric{name: name, time: now, kind: absolute, tags: map[string]string{}, value: promValue(f.GetType(), m)}
			if m.TimestampMs != nil {
				out.time = time.UnixMilli(m.GetTimestampMs()).UTC()
			}
			for _, l := range m.GetLabel() {
				out.tags[l.GetName()] = l.GetValue()
			}
			events = append(events, event{metric: out})
		}
	}
	return events, nil
}

func promValue(typ dto.MetricType, m *dto.Metric) any {
	switch typ {
	case dto.MetricType_COUNTER:
		return counterValue(m.GetCounter().GetValue())
	case dto.MetricType_HISTOGRAM:
		return promHistogramValue(m.GetHistogram())
	case dto.MetricType_SUMMARY:
		s := summaryValue{count: m.GetSummary().GetSampleCount(), sum: m.GetSummary().GetSampleSum()}
		for _, q := range m.GetSummary().GetQuantile() {
			s.quantiles = append(s.quantiles, quantile{q.GetQuantile(), q.GetValue()})
		}
		return s
	case dto.MetricType_UNTYPED:
		return gaugeValue(m.GetUntyped().GetValue())
	}
	return gaugeValue(m.GetGauge().GetValue())
}

// promHistogramValue undoes the accumulation of the text format: Vector's buckets count themselves.
func promHistogramValue(h *dto.Histogram) histogramValue {
	out := histogramValue{count: h.GetSampleCount(), sum: h.GetSampleSum()}
	before := uint64(0)
	infinite := false
	for _, b := range h.GetBucket() {
		n := b.GetCumulativeCount()
		out.buckets = append(out.buckets, bucket{b.GetUpperBound(), n - min(before, n)})
		before = n
		infinite = infinite || math.IsInf(b.GetUpperBound(), 1)
	}
	if !infinite && out.count >= before {
		out.buckets = append(out.buckets, bucket{math.Inf(1), out.count - before})
	}
	return out
}

// nginxSource is nginx_metrics.
type nginxSource struct {
	c      *component
	conf   *nginxConf
	out    *output
	client *http.Client
}

func (s *nginxSource) run(ctx context.Context) error {
	every(ctx, s.conf.interval, func() {
		results := make([][]event, len(s.conf.endpoints))
		var wg sync.WaitGroup
		for i, e := range s.conf.endpoints {
			wg.Add(1)
			go func() {
				defer wg.Done()
				results[i] = s.collect(ctx, e)
			}()
		}
		wg.Wait()
		if ctx.Err() != nil {
			return
		}
		events := slices.Concat(results...)
		s.c.received(events)
		_ = s.out.send(s.out.kill, events)
	})
	return nil
}

// collect reads one endpoint. Failing, it yields the one metric `up` with 0.
func (s *nginxSource) collect(ctx context.Context, endpoint string) []event {
	// Vector sets no timeout here; a server that hangs must not stop this loop for ever.
	one, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	now := time.Now().UTC()
	make1 := func(name string, value any) event {
		tags := map[string]string{"endpoint": endpoint, "host": hostPort(endpoint)}
		return event{metric: &metric{namespace: s.conf.namespace, name: name, time: now, kind: absolute, tags: tags, value: value}}
	}
	body, err := getPage(one, s.c, s.client, endpoint, s.conf.auth)
	if err != nil {
		if ctx.Err() == nil {
			s.c.failed("NGINX request error.", err, "request_failed", "receiving", "endpoint", endpoint)
		}
		return []event{make1("up", gaugeValue(0))}
	}
	st, err := parseStubStatus(string(body))
	if err != nil {
		s.c.failed("NginxStubStatus parse error.", err, "parser_failed", "processing", "endpoint", endpoint)
		return []event{make1("up", gaugeValue(0))}
	}
	return []event{
		make1("connections_active", gaugeValue(st[0])),
		make1("connections_accepted_total", counterValue(st[1])),
		make1("connections_handled_total", counterValue(st[2])),
		make1("http_requests_total", counterValue(st[3])),
		make1("connections_reading", gaugeValue(st[4])),
		make1("connections_writing", gaugeValue(st[5])),
		make1("connections_waiting", gaugeValue(st[6])),
		make1("up", gaugeValue(1)),
	}
}

func hostPort(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	return u.Host
}

// parseStubStatus reads stub_status: active, accepts, handled, requests, reading, writing, waiting.
func parseStubStatus(page string) ([7]float64, error) {
	var out [7]float64
	words := strings.Fields(page)
	shape := []string{"Active", "connections:", "", "server", "accepts", "handled", "requests", "", "", "", "Reading:", "", "Writing:", "", "Waiting:", ""}
	if len(words) != len(shape) {
		return out, errors.New("no stub_status page")
	}
	n := 0
	for i, want := range shape {
		if want != "" {
			if words[i] != want {
				return out, fmt.Errorf("no stub_status page: %q instead of %q", words[i], want)
			}
			continue
		}
		v, err := strconv.ParseUint(words[i], 10, 64)
		if err != nil {
			return out, err
		}
		out[n] = float64(v)
		n++
	}
	return out, nil
}

// internalSource is internal_metrics. Like tokio's interval it emits at once, then each interval.
type internalSource struct {
	c    *component
	conf *internalConf
	out  *output
}

func (s *internalSource) run(ctx context.Context) error {
	hostname, err := os.Hostname()
	if err != nil {
		return err
	}
	every(ctx, s.conf.interval, func() {
		events := s.c.reg.capture(s.conf.namespace, time.Now().UTC())
		for _, e := range events {
			if s.conf.hostKey != "" {
				e.metric.tags[s.conf.hostKey] = hostname
			}
			if s.conf.pidKey != "" {
				e.metric.tags[s.conf.pidKey] = strconv.Itoa(os.Getpid())
			}
		}
		s.c.count("component_received_bytes_total", sizeOf(events), "protocol", "internal")
		s.c.received(events)
		_ = s.out.send(s.out.kill, events)
	})
	return nil
}
