package stacktest

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/docker-telemetry/docker-telemetry/stack"
)

// serveGateway listens where the gateway's container publishes its port.
func (e *Engine) serveGateway(ctx context.Context, c *entry) error {
	// Many tests give text for a certificate: that is an error where somebody is to connect only.
	err := e.load(c)
	if e.Gateway == nil || !c.running() || len(c.ports) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	address := netip.AddrPortFrom(c.ports[0].IP, c.ports[0].PublicPort)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address.String())
	if err != nil {
		return err
	}
	server := &http.Server{Handler: e.Gateway, ReadHeaderTimeout: time.Minute, TLSConfig: e.tlsConfig()}
	e.listener = server
	go func() { _ = server.ServeTLS(listener, "", "") }()
	return nil
}

func (e *Engine) closeGateway() error {
	if e.listener == nil {
		return nil
	}
	err := e.listener.Close()
	e.listener = nil
	return err
}

// Close ends what the engine serves.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closeGateway()
}

// StoresOf is a Gateway with the stores behind it: they have what probes sent, for who knows the password.
func (e *Engine) StoresOf() http.Handler {
	mux := http.NewServeMux()
	e.serveStores(mux, func(component string, r *http.Request) bool {
		_, password, _ := r.BasicAuth()
		e.mu.Lock()
		defer e.mu.Unlock()
		return password != "" && password == e.secrets[secretNames()[component]].Content
	})
	return mux
}

// serveStores answers searches and queries for marked events.
func (e *Engine) serveStores(mux *http.ServeMux, known func(component string, r *http.Request) bool) {
	page := func(pattern, component string, answer http.HandlerFunc) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if !known(component, r) {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			answer(w, r)
		})
	}
	nothing := func(http.ResponseWriter, *http.Request) {}
	mux.HandleFunc("GET /healthz", nothing)
	page("GET /openobserve/api/default/summary", stack.OpenObserve, nothing)
	page("GET /grafana/api/user", stack.Grafana, nothing)
	page("POST /openobserve/api/default/_search", stack.OpenObserve, e.search)
	page("GET /victoriametrics/api/v1/query", stack.VictoriaMetrics, e.query)
	page("GET /grafana/api/datasources/proxy/uid/victoriametrics/api/v1/query", stack.Grafana, e.query)
}

// search finds marked records by their marks.
func (e *Engine) search(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	hits := []any{}
	now := time.Now().UnixMicro()
	for _, mark := range regexp.MustCompile(`telemetry_probe = '([0-9]+)'`).FindAllSubmatch(body, -1) {
		if e.Logged(string(mark[1])) {
			hits = append(hits, map[string]any{
				"_timestamp": now, "telemetry_probe": string(mark[1]), "probe_agent_at": now + 1000, "probe_aggregator_at": now + 2000,
			})
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"hits": hits})
}

// query finds marked samples by their marks; other queries are those for what is scraped all the time.
func (e *Engine) query(w http.ResponseWriter, r *http.Request) {
	query, result := r.URL.Query().Get("query"), []any{}
	found := func(labels map[string]string) {
		result = append(result, map[string]any{"metric": labels, "value": []any{time.Now().Unix(), "1"}})
	}
	for _, term := range regexp.MustCompile(`place="([^"]*)"[^}]*}\[1m\], ([0-9]+)`).FindAllStringSubmatch(query, -1) {
		if e.Sampled(term[2]) {
			found(map[string]string{"place": term[1]})
		}
	}
	if !strings.Contains(query, "telemetry_probe") && !strings.Contains(query, "_total") {
		found(map[string]string{})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": "vector", "result": result}})
}
