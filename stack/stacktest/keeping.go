package stacktest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/docker-telemetry/docker-telemetry/stack"
)

// Kept is a stream of OpenObserve with its setting and the age of what it holds.
type Kept struct {
	Kind, Name string
	Days       int
	Age        time.Duration
	Megabytes  float64 // on the disk
}

// Keeping is how both stores keep their data: what their containers were started with, and the settings of streams that they were
// told. Neither deletes anything.
type Keeping struct {
	mu      sync.Mutex
	Streams []*Kept
	Changes []string // of settings, in order
}

// Serve answers what is asked of it through the gateway, and leaves the rest to next.
func (k *Keeping) Serve(e *Engine, now func() time.Time, next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", next)
	mux.HandleFunc("GET /openobserve/config", func(w http.ResponseWriter, _ *http.Request) {
		days, _ := strconv.Atoi(e.startedWith()["logs"][:len(e.startedWith()["logs"])-1])
		answer(w, map[string]any{"version": "v0", "data_retention_days": days})
	})
	mux.HandleFunc("GET /openobserve/api/default/streams", func(w http.ResponseWriter, r *http.Request) {
		answer(w, map[string]any{"list": k.list(r.URL.Query().Get("type"), now())})
	})
	mux.HandleFunc("PUT /openobserve/api/default/streams/{name}/settings", k.put)
	mux.HandleFunc("POST /openobserve/api/default/_search", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
		if err == nil && bytes.Contains(body, []byte("min(_timestamp)")) {
			answer(w, map[string]any{"hits": k.extent(r.URL.Query().Get("type"), body, now())})
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /victoriametrics/api/v1/status/tsdb", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"status": "success", "data": map[string]any{}})
	})
	mux.HandleFunc("GET /victoriametrics/api/v1/labels", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"status": "success", "data": []string{}})
	})
	mux.HandleFunc("GET /victoriametrics/api/v1/query", func(w http.ResponseWriter, r *http.Request) {
		labels, value := map[string]string{}, "1"
		switch r.URL.Query().Get("query") {
		case "vm_free_disk_space_limit_bytes":
			value = strconv.FormatInt(e.guard().MetricsFree, 10)
		case `topk(1, tlast_over_time(flag{name="retentionPeriod"}[5m]))`:
			labels = map[string]string{"name": "retentionPeriod", "value": e.startedWith()["metrics"], "is_set": "true"}
		default:
			next.ServeHTTP(w, r)
			return
		}
		result := []any{map[string]any{"metric": labels, "value": []any{now().Unix(), value}}}
		answer(w, map[string]any{"status": "success", "data": map[string]any{"resultType": "vector", "result": result}})
	})
	return mux
}

// startedWith is the retention of the containers that run.
func (e *Engine) startedWith() map[string]string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return stack.Retention(&types.Project{Services: e.services})
}

func (e *Engine) guard() stack.Guard {
	e.mu.Lock()
	defer e.mu.Unlock()
	return stack.GuardOf(&types.Project{Services: e.services})
}

func (k *Keeping) list(kind string, now time.Time) []any {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := []any{}
	for _, one := range k.Streams {
		if one.Kind != kind {
			continue
		}
		list = append(list, map[string]any{
			"name": one.Name, "settings": map[string]int{"data_retention": one.Days},
			"stats": map[string]any{
				"created_at": now.Add(-one.Age).UnixMicro(), "doc_time_min": now.Add(-one.Age).UnixMicro(), "doc_time_max": now.UnixMicro(),
				"doc_num": 1000, "storage_size": 10 * one.Megabytes, "compressed_size": one.Megabytes, "index_size": 0,
			},
		})
	}
	return list
}

// extent counts the records of the stream that a query names.
func (k *Keeping) extent(kind string, query []byte, now time.Time) []any {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, one := range k.Streams {
		if one.Kind == kind && bytes.Contains(query, []byte(`\"`+one.Name+`\"`)) {
			return []any{map[string]int64{"oldest": now.Add(-one.Age).UnixMicro(), "newest": now.UnixMicro(), "records": 1000}}
		}
	}
	return []any{}
}

func (k *Keeping) put(w http.ResponseWriter, r *http.Request) {
	var update struct {
		Days *int `json:"data_retention"`
	}
	err := json.NewDecoder(r.Body).Decode(&update)
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, one := range k.Streams {
		if err == nil && update.Days != nil && one.Kind == r.URL.Query().Get("type") && one.Name == r.PathValue("name") {
			one.Days = *update.Days
			k.Changes = append(k.Changes, fmt.Sprintf("keep %s/%s for %d days", one.Kind, one.Name, one.Days))
			answer(w, map[string]int{"code": http.StatusOK})
			return
		}
	}
	http.Error(w, `{"message":"stream not found"}`, http.StatusNotFound)
}

// Told are the settings that were changed since the last call.
func (k *Keeping) Told() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	told := k.Changes
	k.Changes = nil
	return told
}

func answer(w http.ResponseWriter, value any) { _ = json.NewEncoder(w).Encode(value) }
