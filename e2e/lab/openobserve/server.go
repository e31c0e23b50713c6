package main

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

type server struct {
	cfg      config
	store    *store
	metrics  *metrics
	verifier *verifier
	sql      *sqlParser
	disk     diskWatch
	now      func() time.Time
	log      io.Writer
}

func newServer(cfg config, now func() time.Time) (*server, error) {
	root, err := openAccount(cfg)
	if err != nil {
		return nil, err
	}
	sql, err := newSQLParser()
	if err != nil {
		return nil, fmt.Errorf("sql grammar: %w", err)
	}
	st, err := openStore(filepath.Join(standinDir(cfg), "streams"))
	if err != nil {
		return nil, err
	}
	s := &server{
		cfg: cfg, store: st, metrics: newMetrics(cfg), verifier: &verifier{account: root}, sql: sql, now: now, log: os.Stderr,
	}
	s.metrics.setStorage(st)
	return s, nil
}

// refreshStats runs the statistics job until the context ends.
func (s *server) refreshStats(ctx context.Context) {
	tick := time.NewTicker(s.cfg.statsInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.publishStats()
		}
	}
}

func (s *server) publishStats() {
	for _, key := range s.store.keys("", "") {
		s.store.get(key).publish(s.now(), s.cfg.fileRetention)
	}
	s.metrics.setStorage(s.store)
}

func (s *server) handler() http.Handler {
	open := http.NewServeMux()
	open.HandleFunc("GET /healthz", s.healthz)
	open.HandleFunc("GET /config", s.config)
	open.HandleFunc("GET /config/{$}", s.config)
	if s.cfg.prometheus {
		open.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{DisableCompression: true}))
	}
	if s.cfg.ui {
		open.Handle("GET /{$}", http.RedirectHandler(s.cfg.baseURI+"/web/", http.StatusPermanentRedirect))
		open.HandleFunc("GET /web/", s.page)
	}
	open.Handle("/api/", http.StripPrefix("/api", s.authenticated(s.api())))
	if s.cfg.baseURI == "" {
		return open
	}
	return s.underBase(open)
}

// underBase serves everything below ZO_BASE_URI and nothing beside it: an unprefixed path is a 404, /healthz included.
func (s *server) underBase(next http.Handler) http.Handler {
	stripped := http.StripPrefix(s.cfg.baseURI, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == s.cfg.baseURI && s.cfg.ui:
			http.Redirect(w, r, s.cfg.baseURI+"/web/", http.StatusPermanentRedirect)
		case strings.HasPrefix(r.URL.Path, s.cfg.baseURI+"/"):
			stripped.ServeHTTP(w, r)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
}

func (s *server) api() http.Handler {
	api := http.NewServeMux()
	api.HandleFunc("POST /{org}/{stream}/_json", s.guarded(s.postJSON(decodeArray, "/api/org/ingest/logs/_json")))
	api.HandleFunc("POST /{org}/{stream}/_multi", s.guarded(s.postJSON(decodeLines, "/api/org/ingest/logs/_multi")))
	api.HandleFunc("POST /{org}/v1/logs", s.guarded(s.postOTLP(kindLogs)))
	api.HandleFunc("POST /{org}/v1/metrics", s.guarded(s.postOTLP(kindMetrics)))
	api.HandleFunc("POST /{org}/v1/traces", s.guarded(s.postOTLP(kindTraces)))
	api.HandleFunc("POST /{org}/_search", s.search)
	api.HandleFunc("GET /{org}/summary", s.summary)
	api.HandleFunc("GET /{org}/streams", s.listStreams)
	api.HandleFunc("GET /{org}/streams/{stream}/schema", s.streamSchema)
	api.HandleFunc("PUT /{org}/streams/{stream}/settings", s.putSettings)
	return api
}

// authenticated answers 401 before it looks at the path, so an unknown path without credentials is 401 too.
func (s *server) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		email, password, ok := r.BasicAuth()
		if !ok || !s.verifier.ok(email, password) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="openobserve"`)
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, "Unauthorized Access")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	raw, err := marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentJSON)
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}

type errorBody struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Detail  string `json:"error_detail,omitempty"`
	TraceID string `json:"trace_id,omitempty"`
}

func writeError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, errorBody{Code: status, Message: message})
}

var (
	errTooLarge = errors.New("length limit exceeded")
	errEncoding = errors.New("unsupported content encoding")
)

// readBody returns the decoded body, at most ZO_PAYLOAD_LIMIT bytes of it.
func (s *server) readBody(r *http.Request) ([]byte, error) {
	body := io.Reader(r.Body)
	var err error
	switch strings.ToLower(r.Header.Get("Content-Encoding")) {
	case "", "identity":
	case "gzip":
		body, err = gzip.NewReader(r.Body)
	case "deflate":
		body, err = zlib.NewReader(r.Body)
	default:
		return nil, errEncoding
	}
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(body, s.cfg.payloadLimit+1))
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	if int64(len(raw)) > s.cfg.payloadLimit {
		return nil, errTooLarge
	}
	return raw, nil
}

func writeBodyError(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	switch {
	case errors.Is(err, errTooLarge):
		status = http.StatusRequestEntityTooLarge
	case errors.Is(err, errEncoding):
		status = http.StatusUnsupportedMediaType
	}
	http.Error(w, err.Error(), status)
}

func (s *server) postJSON(decode func([]byte) ([]any, error), endpoint string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		body, err := s.readBody(r)
		if err != nil {
			writeBodyError(w, err)
			return
		}
		org := r.PathValue("org")
		items, err := decode(body)
		if err != nil {
			writeError(w, http.StatusBadRequest, err.Error())
			return
		}
		status, err := s.ingestLogs(org, r.PathValue("stream"), items)
		if err != nil {
			writeError(w, http.StatusBadRequest, err.Error())
			return
		}
		s.observe(endpoint, "200", org, kindLogs, started)
		writeJSON(w, http.StatusOK, ingestResponse{Code: http.StatusOK, Status: []recordStatus{status}})
	}
}

func (s *server) postOTLP(kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		body, err := s.readBody(r)
		if err != nil {
			writeBodyError(w, err)
			return
		}
		org := orDefault(r.Header.Get(s.cfg.orgHeader), r.PathValue("org"))
		name, contentType := r.Header.Get(s.cfg.streamHeader), r.Header.Get("Content-Type")
		var answer otlpAnswer
		switch kind {
		case kindLogs:
			answer, err = s.otlpLogs(org, name, contentType, body)
		case kindTraces:
			answer, err = s.otlpTraces(org, name, contentType, body)
		default:
			answer, err = s.otlpMetrics(org, contentType, body)
		}
		if err != nil {
			writeError(w, http.StatusBadRequest, err.Error())
			return
		}
		s.observe("/api/otlp/v1/"+kind, strconv.Itoa(answer.status), org, kind, started)
		w.Header().Set("Content-Type", answer.contentType)
		w.WriteHeader(answer.status)
		_, _ = w.Write(answer.body)
	}
}

// searchRequest has pointers where the real server refuses a missing field.
type searchRequest struct {
	Query *struct {
		SQL       *string `json:"sql"`
		Start     *int64  `json:"start_time"`
		End       *int64  `json:"end_time"`
		From      int64   `json:"from"`
		Size      *int64  `json:"size"`
		TotalHits bool    `json:"track_total_hits"`
	} `json:"query"`
}

type searchResponse struct {
	Took     int64          `json:"took"`
	Detail   map[string]int `json:"took_detail"`
	Hits     []fields       `json:"hits"`
	Total    int            `json:"total"`
	From     int64          `json:"from"`
	Size     int64          `json:"size"`
	Cached   int            `json:"cached_ratio"`
	ScanSize int64          `json:"scan_size"` // MB
	IdxSize  int64          `json:"idx_scan_size"`
	Records  int64          `json:"scan_records"`
	TraceID  string         `json:"trace_id"`
	Partial  bool           `json:"is_partial"`
	Ratio    int            `json:"result_cache_ratio"`
}

func newTraceID() string {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // crypto/rand never fails on Linux
	return hex.EncodeToString(raw)
}

func (s *server) search(w http.ResponseWriter, r *http.Request) {
	started, org := time.Now(), r.PathValue("org")
	kind := orDefault(r.URL.Query().Get("type"), kindLogs)
	req, status, err := s.decodeSearch(r)
	if err != nil {
		http.Error(w, err.Error(), status)
		return
	}
	traceID := newTraceID()
	resp, err := s.runSearch(org, kind, req)
	if err != nil {
		s.observe("/api/org/_search", "400", org, kind, started)
		writeSearchError(w, err, traceID)
		return
	}
	resp.Took, resp.TraceID = time.Since(started).Milliseconds(), traceID
	resp.Detail = map[string]int{
		"total": int(resp.Took), "cache_took": 0, "file_list_took": 0, "wait_in_queue": 0,
		"idx_took": 0, "search_took": int(resp.Took),
	}
	s.observe("/api/org/_search", "200", org, kind, started)
	writeJSON(w, http.StatusOK, resp)
}

func writeSearchError(w http.ResponseWriter, err error, traceID string) {
	var se searchError
	if !errors.As(err, &se) {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	w.Header().Set("X-Error-Message", strconv.Itoa(se.code))
	writeJSON(w, http.StatusBadRequest, errorBody{Code: se.code, Message: se.message, Detail: se.detail, TraceID: traceID})
}

// decodeSearch answers like the JSON extractor of the real server: 415 for another content type, 400 for text that is
// no JSON, 422 for JSON that lacks a mandatory field.
func (s *server) decodeSearch(r *http.Request) (searchRequest, int, error) {
	var req searchRequest
	if !strings.HasPrefix(r.Header.Get("Content-Type"), contentJSON) {
		return req, http.StatusUnsupportedMediaType, errors.New("Expected request with `Content-Type: application/json`") //nolint:staticcheck // the real server's words
	}
	body, err := s.readBody(r)
	if err != nil {
		return req, http.StatusBadRequest, err
	}
	if !json.Valid(body) {
		return req, http.StatusBadRequest, errors.New("Failed to parse the request body as JSON") //nolint:staticcheck // the real server's words
	}
	if err := json.Unmarshal(body, &req); err != nil {
		return req, http.StatusUnprocessableEntity, err
	}
	missing := ""
	switch {
	case req.Query == nil:
		missing = "query"
	case req.Query.SQL == nil:
		missing = "sql"
	case req.Query.Start == nil:
		missing = "start_time"
	case req.Query.End == nil:
		missing = "end_time"
	}
	if missing != "" {
		return req, http.StatusUnprocessableEntity,
			fmt.Errorf("Failed to deserialize the JSON body into the target type: missing field `%s`", missing) //nolint:staticcheck // the real server's words
	}
	return req, http.StatusOK, nil
}

const maxPage = 1_000_000

func (s *server) runSearch(org, kind string, req searchRequest) (searchResponse, error) {
	q := req.Query
	size := s.cfg.queryLimit
	if q.Size != nil && *q.Size >= 0 {
		size = *q.Size
	}
	resp := searchResponse{From: q.From, Size: size, Hits: []fields{}}
	switch {
	case *q.Start <= 0 || *q.End <= 0 || *q.Start >= *q.End:
		return resp, invalidParams("start_time and end_time must be microseconds, not zero, and in order")
	case q.From < 0 || q.From > maxPage || size > maxPage:
		return resp, invalidParams("from and size must be between 0 and %d", maxPage)
	case q.TotalHits:
		return resp, invalidParams("the lab stand-in has no track_total_hits: ask for count(*)")
	}
	parsed, err := s.sql.parse(*q.SQL)
	if err != nil {
		return resp, sqlNotValid(err)
	}
	st := s.store.get(streamKey{org: org, kind: kind, name: string(parsed.From)})
	if st == nil {
		return resp, streamNotFound(string(parsed.From))
	}
	p, err := newPlan(parsed, st.schemaCopy(), q.From, size)
	if err != nil {
		return resp, err
	}
	res, err := p.run(st, *q.Start, *q.End)
	if err != nil {
		return resp, err
	}
	if res.hits != nil {
		resp.Hits = res.hits
	}
	resp.Total, resp.Records, resp.ScanSize = len(resp.Hits), res.records, res.bytes>>20
	return resp, nil
}

type streamField struct {
	Name string    `json:"name"`
	Type fieldType `json:"type"`
}

type streamStats struct {
	CreatedAt  int64   `json:"created_at"`
	Min        int64   `json:"doc_time_min"`
	Max        int64   `json:"doc_time_max"`
	Docs       int64   `json:"doc_num"`
	Files      int64   `json:"file_num"`
	Storage    float64 `json:"storage_size"` // MB
	Compressed float64 `json:"compressed_size"`
	Index      float64 `json:"index_size"`
}

type streamSettings struct {
	PartitionKeys  []string `json:"partition_keys"`
	FullText       []string `json:"full_text_search_keys"`
	IndexFields    []string `json:"index_fields"`
	BloomFields    []string `json:"bloom_filter_fields"`
	DefinedFields  []string `json:"defined_schema_fields"`
	StorageType    string   `json:"storage_type"`
	Retention      int64    `json:"data_retention"`
	MaxQueryRange  int64    `json:"max_query_range"`
	StoreOriginal  bool     `json:"store_original_data"`
	DistinctFields bool     `json:"enable_distinct_fields"`
}

type streamInfo struct {
	Name        string         `json:"name"`
	StorageType string         `json:"storage_type"`
	StreamType  string         `json:"stream_type"`
	Stats       streamStats    `json:"stats"`
	Schema      []streamField  `json:"schema"`
	Settings    streamSettings `json:"settings"`
	TotalFields int            `json:"total_fields"`
}

func (s *server) describe(key streamKey, withSchema bool) streamInfo {
	const mb = 1024 * 1024
	st := s.store.get(key)
	t, schema := st.stats(), st.schemaCopy()
	st.mu.RLock()
	retention := st.retention
	st.mu.RUnlock()
	info := streamInfo{
		Name: key.name, StorageType: "disk", StreamType: key.kind, Schema: []streamField{}, TotalFields: len(schema),
		Stats: streamStats{
			CreatedAt: st.created, Min: t.min, Max: t.max, Docs: t.docs, Files: t.files,
			Storage: float64(t.original) / mb, Compressed: float64(t.stored) / mb,
		},
		Settings: streamSettings{
			PartitionKeys: []string{}, FullText: []string{}, IndexFields: []string{}, BloomFields: []string{},
			DefinedFields: []string{}, StorageType: "normal", Retention: retention, DistinctFields: true,
		},
	}
	if withSchema {
		for name, t := range schema {
			info.Schema = append(info.Schema, streamField{Name: name, Type: t})
		}
		slices.SortFunc(info.Schema, func(a, b streamField) int { return strings.Compare(a.Name, b.Name) })
	}
	return info
}

func (s *server) listStreams(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	fetch := strings.ToLower(orDefault(q.Get("fetchSchema"), "false"))
	if fetch != "true" && fetch != "false" {
		writeError(w, http.StatusBadRequest, " 'fetchSchema' query param with value 'true' or 'false' allowed")
		return
	}
	list := []streamInfo{}
	for _, key := range s.store.keys(r.PathValue("org"), q.Get("type")) {
		if strings.Contains(key.name, strings.ToLower(q.Get("keyword"))) {
			list = append(list, s.describe(key, fetch == "true"))
		}
	}
	total := len(list)
	sortStreams(list, orDefault(q.Get("sort"), "name"), q.Get("asc") == "" || q.Get("asc") == "true" || q.Get("asc") == "1")
	// Offset counts only together with limit, as in the real server; an unreadable number is 0 there too.
	offset, _ := strconv.ParseInt(q.Get("offset"), 10, 32)
	limit, _ := strconv.ParseInt(q.Get("limit"), 10, 32)
	switch {
	case offset >= int64(len(list)):
		list = []streamInfo{}
	case limit > 0:
		list = page(list, max(0, offset), limit)
	}
	writeJSON(w, http.StatusOK, map[string]any{"list": list, "total": total})
}

func sortStreams(list []streamInfo, key string, asc bool) {
	slices.SortStableFunc(list, func(a, b streamInfo) int {
		c := 0
		switch key {
		case "doc_num":
			c = int(min(1, max(-1, a.Stats.Docs-b.Stats.Docs)))
		case "storage_size":
			c = int(min(1, max(-1, (a.Stats.Storage-b.Stats.Storage)*1e9)))
		case "compressed_size":
			c = int(min(1, max(-1, (a.Stats.Compressed-b.Stats.Compressed)*1e9)))
		default:
			c = strings.Compare(a.Name, b.Name)
		}
		if asc {
			return c
		}
		return -c
	})
}

func (s *server) keyOf(r *http.Request) streamKey {
	return streamKey{
		org: r.PathValue("org"), kind: orDefault(r.URL.Query().Get("type"), kindLogs), name: formatStreamName(r.PathValue("stream")),
	}
}

func (s *server) streamSchema(w http.ResponseWriter, r *http.Request) {
	key := s.keyOf(r)
	if s.store.get(key) == nil {
		writeError(w, http.StatusNotFound, "stream not found")
		return
	}
	writeJSON(w, http.StatusOK, s.describe(key, true))
}

// putSettings takes data_retention, in days. The real API accepts values below 3 for one stream (issue 8907).
func (s *server) putSettings(w http.ResponseWriter, r *http.Request) {
	body, err := s.readBody(r)
	if err != nil {
		writeBodyError(w, err)
		return
	}
	var update struct {
		Retention *int64 `json:"data_retention"`
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&update); err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	key := s.keyOf(r)
	if s.store.get(key) == nil {
		writeError(w, http.StatusNotFound, "stream not found")
		return
	}
	if update.Retention == nil {
		writeError(w, http.StatusBadRequest, "the lab stand-in changes data_retention only")
		return
	}
	if err := s.store.setRetention(key, *update.Retention); err != nil {
		writeError(w, http.StatusInternalServerError, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, errorBody{Code: http.StatusOK})
}

func (s *server) summary(w http.ResponseWriter, r *http.Request) {
	var docs, streams int64
	var size, stored float64
	for _, key := range s.store.keys(r.PathValue("org"), "") {
		info := s.describe(key, false)
		streams, docs = streams+1, docs+info.Stats.Docs
		size, stored = size+info.Stats.Storage, stored+info.Stats.Compressed
	}
	none := map[string]any{"num_realtime": 0, "num_scheduled": 0, "trigger_status": map[string]int{"healthy": 0, "failed": 0, "warning": 0}}
	writeJSON(w, http.StatusOK, map[string]any{
		"streams": map[string]any{
			"num_streams": streams, "total_records": docs, "total_storage_size": size,
			"total_compressed_size": stored, "total_index_size": 0.0,
		},
		"pipelines": none, "alerts": none, "total_functions": 0, "total_dashboards": 0,
	})
}

func (s *server) healthz(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (s *server) config(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"version": realVersion + "+lab-standin", "instance": s.cfg.instance, "commit_hash": "lab-standin", "build_date": "",
		"build_type": "lab-standin", "default_fts_keys": fullTextFields(), "telemetry_enabled": s.cfg.telemetry,
		"timestamp_column": timestampField, "data_retention_days": s.cfg.retentionDays, "extended_data_retention_days": 3650,
		"query_default_limit": s.cfg.queryLimit, "ingest_flatten_level": s.cfg.flattenLevel, "meta_org": "_meta",
	})
}

func (s *server) page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, "<!doctype html><title>OpenObserve (lab stand-in)</title>\n<h1>OpenObserve: lab stand-in</h1>\n"+
		"<p>This is the test double of docker-telemetry's lab. It is not OpenObserve and has no user interface.</p>\n")
}
