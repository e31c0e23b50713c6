package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

type server struct {
	cfg      config
	state    state
	registry *prometheus.Registry
	requests *prometheus.CounterVec
}

func newServer(cfg config, st state) *server {
	s := &server{cfg: cfg, state: st, registry: prometheus.NewRegistry(), requests: prometheus.NewCounterVec(
		prometheus.CounterOpts{Name: "grafana_lab_standin_http_requests_total", Help: "Requests that the lab stand-in answered."},
		[]string{"code"})}
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "grafana_build_info", Help: "A metric with a constant '1' value."},
		[]string{"version", "edition"})
	build.WithLabelValues(version, "lab-standin").Set(1)
	dashboards := prometheus.NewGauge(prometheus.GaugeOpts{Name: "grafana_stat_totals_dashboard", Help: "total amount of dashboards"})
	dashboards.Set(float64(len(st.dashboards)))
	s.registry.MustRegister(s.requests, build, dashboards, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return s
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/health", s.health)
	mux.HandleFunc("GET /login", s.login)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, s.cfg.subURL+"/login", http.StatusFound)
	})
	if s.cfg.metricsOn {
		mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}))
	}
	mux.Handle("/api/", s.authenticated(s.api()))
	counted := promhttp.InstrumentHandlerCounter(s.requests, mux)
	if !s.cfg.fromSubPath || s.cfg.subURL == "" {
		return counted
	}
	return s.underSubPath(counted)
}

// underSubPath serves below the path of root_url and sends everything else there.
func (s *server) underSubPath(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, ok := strings.CutPrefix(r.URL.Path, s.cfg.subURL)
		if !ok || path != "" && path[0] != '/' {
			http.Redirect(w, r, s.cfg.rootURL+strings.TrimPrefix(r.RequestURI, "/"), http.StatusMovedPermanently)
			return
		}
		if path == "" {
			path = "/"
		}
		r2 := r.Clone(r.Context())
		r2.URL.Path, r2.URL.RawPath = path, ""
		next.ServeHTTP(w, r2)
	})
}

func (s *server) api() http.Handler {
	api := http.NewServeMux()
	api.HandleFunc("GET /api/user", s.user)
	api.HandleFunc("GET /api/datasources", s.listDatasources)
	api.HandleFunc("GET /api/datasources/uid/{uid}", s.getDatasource)
	api.HandleFunc("GET /api/datasources/uid/{uid}/health", s.datasourceHealth)
	api.HandleFunc("/api/datasources/proxy/uid/{uid}/{path...}", s.proxy)
	api.HandleFunc("GET /api/search", s.search)
	api.HandleFunc("GET /api/dashboards/uid/{uid}", s.getDashboard)
	api.HandleFunc("/api/", func(w http.ResponseWriter, _ *http.Request) { writeMessage(w, http.StatusNotFound, "Not found") })
	return api
}

func (s *server) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		login, password, ok := r.BasicAuth()
		if !ok {
			writeMessage(w, http.StatusUnauthorized, "Unauthorized")
			return
		}
		admin, err := readAdmin(s.cfg)
		if err != nil {
			writeMessage(w, http.StatusInternalServerError, "Internal server error")
			return
		}
		if !admin.ok(login, password) {
			writeMessage(w, http.StatusUnauthorized, "Invalid username or password")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client is gone when this fails
}

func writeMessage(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]any{"message": message, "statusCode": status})
}

func (s *server) health(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"database": "ok", "version": version, "commit": "lab-standin"})
}

func (s *server) login(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, "<!doctype html><title>Grafana (lab stand-in)</title>\n<h1>Grafana: lab stand-in</h1>\n"+
		"<p>This is the test double of docker-telemetry's lab. It is not Grafana: there is nothing to log in to but the API.</p>\n")
}

func (s *server) user(w http.ResponseWriter, r *http.Request) {
	login, _, _ := r.BasicAuth()
	writeJSON(w, http.StatusOK, map[string]any{
		"id": 1, "email": login + "@localhost", "name": "", "login": login, "orgId": 1,
		"isGrafanaAdmin": true, "isDisabled": false, "isExternal": false, "theme": "",
	})
}

func (ds datasource) view() map[string]any {
	secure := map[string]bool{}
	for k := range ds.SecureJSONData {
		secure[k] = true
	}
	data := ds.JSONData
	if data == nil {
		data = map[string]any{}
	}
	return map[string]any{
		"id": ds.ID, "uid": ds.UID, "orgId": ds.OrgID, "name": ds.Name, "type": ds.Type, "access": ds.Access,
		"url": ds.URL, "user": ds.User, "database": ds.Database, "basicAuth": ds.BasicAuth, "basicAuthUser": ds.BasicAuthUser,
		"withCredentials": ds.WithCredentials, "isDefault": ds.IsDefault, "jsonData": data, "secureJsonFields": secure,
		"readOnly": !ds.Editable, "version": max(1, ds.Version),
	}
}

func (s *server) listDatasources(w http.ResponseWriter, _ *http.Request) {
	list := []map[string]any{}
	for _, ds := range s.state.datasources {
		list = append(list, ds.view())
	}
	writeJSON(w, http.StatusOK, list)
}

// find answers 404 itself when there is no such data source.
func (s *server) find(w http.ResponseWriter, uid string) (datasource, bool) {
	for _, ds := range s.state.datasources {
		if ds.UID == uid {
			return ds, true
		}
	}
	writeMessage(w, http.StatusNotFound, "Data source not found")
	return datasource{}, false
}

func (s *server) getDatasource(w http.ResponseWriter, r *http.Request) {
	if ds, ok := s.find(w, r.PathValue("uid")); ok {
		writeJSON(w, http.StatusOK, ds.view())
	}
}

// datasourceHealth asks the data source for 1+1 with its own credentials, as the Prometheus plugin does.
func (s *server) datasourceHealth(w http.ResponseWriter, r *http.Request) {
	ds, ok := s.find(w, r.PathValue("uid"))
	if !ok {
		return
	}
	if ds.Type != "prometheus" {
		writeMessage(w, http.StatusNotImplemented, "the lab stand-in checks Prometheus data sources only")
		return
	}
	if err := ds.query(r.Context()); err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]string{"status": "ERROR", "message": err.Error()})
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "OK", "message": "Successfully queried the Prometheus API."})
}

func (ds datasource) query(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	form := url.Values{"query": {"1+1"}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(ds.URL, "/")+"/api/v1/query", strings.NewReader(form))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	ds.authorize(req)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Status string `json:"status"`
		Error  string `json:"error"`
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&answer)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s - There was an error returned querying the Prometheus API. %s", resp.Status, answer.Error)
	}
	if err != nil || answer.Status != "success" {
		return fmt.Errorf("%s - the answer is not that of a Prometheus API", resp.Status)
	}
	return nil
}

// authorize puts the data source's credentials in place of the caller's.
func (ds datasource) authorize(req *http.Request) {
	req.Header.Del("Authorization")
	req.Header.Del("Cookie")
	if ds.BasicAuth {
		req.SetBasicAuth(ds.BasicAuthUser, ds.SecureJSONData["basicAuthPassword"])
	}
}

func (s *server) proxy(w http.ResponseWriter, r *http.Request) {
	ds, ok := s.find(w, r.PathValue("uid"))
	if !ok {
		return
	}
	target, err := url.Parse(ds.URL)
	if err != nil {
		writeMessage(w, http.StatusBadGateway, "invalid data source URL")
		return
	}
	(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.Out.URL.Path, p.Out.URL.RawPath = "/"+r.PathValue("path"), ""
		p.SetURL(target)
		ds.authorize(p.Out)
	}}).ServeHTTP(w, r)
}

func slug(title string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(title)), "-")
}

func (s *server) url(d dashboard) string { return s.cfg.subURL + "/d/" + d.UID + "/" + slug(d.Title) }

func (s *server) search(w http.ResponseWriter, r *http.Request) {
	list := []map[string]any{}
	wanted := strings.ToLower(r.URL.Query().Get("query"))
	kind := r.URL.Query().Get("type")
	for _, d := range s.state.dashboards {
		if kind != "" && kind != "dash-db" || !strings.Contains(strings.ToLower(d.Title), wanted) {
			continue
		}
		list = append(list, map[string]any{
			"id": d.ID, "uid": d.UID, "title": d.Title, "uri": "db/" + slug(d.Title), "url": s.url(d),
			"type": "dash-db", "tags": append([]string{}, d.Tags...), "isStarred": false, "folderTitle": d.Folder,
		})
	}
	writeJSON(w, http.StatusOK, list)
}

func (s *server) getDashboard(w http.ResponseWriter, r *http.Request) {
	for _, d := range s.state.dashboards {
		if d.UID != r.PathValue("uid") {
			continue
		}
		writeJSON(w, http.StatusOK, map[string]any{"dashboard": d.JSON, "meta": map[string]any{
			"type": "db", "slug": slug(d.Title),
			"url": s.url(d), "folderTitle": d.Folder, "provisioned": true, "provisionedExternalId": filepath.Base(d.File),
		}})
		return
	}
	writeMessage(w, http.StatusNotFound, "Dashboard not found")
}
