//go:build unix

package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/docker-telemetry/docker-telemetry/certs"
)

// gateway has the paths and the certificate of the real one, and counts what passes.
type gateway struct {
	server *http.Server

	mu     sync.Mutex
	passed []passage
}

// passage is a request that passed, with how long its answer took.
type passage struct {
	what string
	took time.Duration
}

func listen(ctx context.Context) (listener net.Listener, port int, err error) {
	listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, 0, err
	}
	return listener, listener.Addr().(*net.TCPAddr).Port, nil
}

func serveGateway(listener net.Listener, certificate certs.Pair, metrics, logs string) (*gateway, error) {
	pair, err := tls.X509KeyPair(certificate.Chain(), certificate.Key)
	if err != nil {
		return nil, err
	}
	toMetrics, err := proxy(metrics)
	if err != nil {
		return nil, err
	}
	toLogs, err := proxy(logs)
	if err != nil {
		return nil, err
	}
	g := &gateway{}
	g.server = &http.Server{
		Handler: g.counted(routes(http.StripPrefix("/victoriametrics", toMetrics), toLogs)), ReadHeaderTimeout: time.Minute,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
		ErrorLog:  log.New(io.Discard, "", 0),
	}
	go func() { _ = g.server.ServeTLS(listener, "", "") }() // it was closed
	return g, nil
}

func (g *gateway) close() error { return g.server.Close() }

// served is what stack/bundle/config/gateway lets through of VictoriaMetrics' API for reading. Snapshots are not among it, so a
// report does without their list here as it does on a stack.
const served = `^/victoriametrics/api/v1/(?:query|query_range|series|labels|status/(?:tsdb|metric_names_stats|buildinfo))$`

// routes are those that a report may ask for.
func routes(metrics, logs http.Handler) http.Handler {
	known := regexp.MustCompile(served)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case known.MatchString(r.URL.Path):
			metrics.ServeHTTP(w, r)
		case strings.HasPrefix(r.URL.Path, "/openobserve/"):
			logs.ServeHTTP(w, r)
		default:
			http.Error(w, "not served through the gateway", http.StatusForbidden)
		}
	})
}

// proxy keeps connections, as nginx does: what a report asks at once is never more.
func proxy(to string) (http.Handler, error) {
	target, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 16, DisableCompression: true},
	}, nil
}

func (g *gateway) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		what, began := r.Method+" "+r.URL.Path+" "+r.URL.Query().Get("query"), time.Now()
		next.ServeHTTP(w, r)
		g.mu.Lock()
		defer g.mu.Unlock()
		g.passed = append(g.passed, passage{what: what, took: time.Since(began)})
	})
}

func (g *gateway) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.passed = nil
}

func (g *gateway) asked() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.passed)
}

// print lists what passed, the slowest first.
func (g *gateway) print(out io.Writer) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	slices.SortStableFunc(g.passed, func(a, b passage) int { return cmp.Compare(b.took, a.took) })
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	for _, one := range g.passed {
		fmt.Fprintf(table, "%.1f ms\t%s\n", one.took.Seconds()*1000, one.what)
	}
	return table.Flush()
}
