package main

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"
)

// fakeEngine is the part of the Docker API that docker_logs reads, with one container.
type fakeEngine struct {
	lines chan string // each becomes one frame
}

func (f *fakeEngine) serve(t *testing.T) string {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containers/json", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `[{"Id":"c0ffee","Names":["/web"]},{"Id":"dead","Names":["/lab-agent-1"]}]`)
	})
	mux.HandleFunc("GET /containers/c0ffee/json", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"Name":"/web","Created":"2026-01-01T00:00:00Z","Config":{"Image":"web:1","Labels":{"com.docker.compose.service":"shop"}}}`)
	})
	mux.HandleFunc("GET /containers/c0ffee/logs", func(w http.ResponseWriter, r *http.Request) {
		flush(w)
		for {
			select {
			case l := <-f.lines:
				_, _ = w.Write(frame(1, time.Now().UTC().Format(time.RFC3339Nano)+" "+l+"\n"))
				flush(w)
			case <-r.Context().Done():
				return
			}
		}
	})
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		flush(w)
		<-r.Context().Done()
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	return srv.URL
}

func flush(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }

// fakeStore answers posts with the given statuses, then with 200, and keeps what it took.
type fakeStore struct {
	mu       sync.Mutex
	statuses []int
	taken    []map[string]any
	refused  int
	auth     string
}

func (s *fakeStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	var batch []map[string]any
	if err := json.NewDecoder(z).Decode(&batch); err != nil {
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	s.auth = r.Header.Get("Authorization")
	if len(s.statuses) > 0 {
		w.WriteHeader(s.statuses[0])
		s.statuses = s.statuses[1:]
		s.refused++
		return
	}
	s.taken = append(s.taken, batch...)
}

func (s *fakeStore) messages() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, l := range s.taken {
		out = append(out, l["message"].(string))
	}
	return out
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	assert.NilError(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// start runs a configuration until the test ends, or until stop is called, which returns its error
// after up to one second of draining.
func start(t *testing.T, text string) (topo *topology, stop func() error) {
	t.Helper()
	cfg, err := loadText(t, text)
	assert.NilError(t, err)
	topo, err = build(cfg, testLog())
	assert.NilError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- topo.run(ctx, time.Second, func() {}) }()
	var once sync.Once
	var result error
	stop = func() error {
		once.Do(func() { cancel(); result = <-done })
		return result
	}
	t.Cleanup(func() { _ = stop() })
	return topo, stop
}

// testLog shows the components' errors with -v.
func testLog() *logger {
	if testing.Verbose() {
		return newLogger(os.Stderr, levelWarn)
	}
	return newLogger(io.Discard, levelError)
}

const aggregatorText = `
sources:
  from_agents: {type: vector, address: "%s"}
transforms:
  timed: {type: remap, inputs: [from_agents], source: ".via = \"aggregator\""}
sinks:
  store:
    type: http
    inputs: [timed]
    uri: %s/_json
    auth: {strategy: basic, user: u, password: p}
    compression: gzip
    encoding: {codec: json}
    batch: {timeout_secs: 0.05}
    retry_strategy: {type: custom, status_codes: [401, 500, 503]}
    acknowledgements: {enabled: true}
`

const agentText = `
data_dir: %s
sources:
  docker: {type: docker_logs, docker_host: "%s", exclude_containers: [lab-]}
sinks:
  up:
    type: vector
    inputs: ["dock*"]
    routing: {endpoints: ["http://%s"]}
    compression: zstd
    batch: {timeout_secs: 0.05}
    buffer: {type: disk, max_size: 268435488}
    acknowledgements: {enabled: true}
`

func count(topo *topology, name string, id string) float64 {
	total := 0.0
	for _, e := range topo.reg.capture("vector", time.Now()) {
		if e.metric.name != name || e.metric.tags["component_id"] != id {
			continue
		}
		switch v := e.metric.value.(type) {
		case counterValue:
			total += float64(v)
		case gaugeValue:
			total += float64(v)
		}
	}
	return total
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		if ok() {
			return poll.Success()
		}
		return poll.Continue("waiting for %s", what)
	}, poll.WithTimeout(15*time.Second), poll.WithDelay(20*time.Millisecond))
}

func TestAgentToStoreExactlyOnce(t *testing.T) {
	store := &fakeStore{statuses: []int{500, 401}}
	storeSrv := httptest.NewServer(store)
	defer storeSrv.Close()
	engine := &fakeEngine{lines: make(chan string)}
	addr := freePort(t)

	aggregator, _ := start(t, fmt.Sprintf(aggregatorText, addr, storeSrv.URL))
	agent, stop := start(t, fmt.Sprintf(agentText, t.TempDir(), engine.serve(t), addr))
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprintf("line %d", i))
		engine.lines <- want[i]
	}
	eventually(t, "all lines", func() bool { return len(store.messages()) >= len(want) })
	eventually(t, "the agent's buffer to empty", func() bool { return count(agent, "buffer_size_events", "up") == 0 })
	assert.NilError(t, stop())

	got := map[string]int{}
	for _, m := range store.messages() {
		got[m]++
	}
	for _, m := range want {
		assert.Equal(t, got[m], 1, "%s: %v", m, got)
	}
	assert.Equal(t, store.refused, 2)
	assert.Equal(t, store.auth, "Basic dTpw")
	first := store.taken[0]
	assert.Equal(t, first["container_name"], "web")
	assert.Equal(t, first["via"], "aggregator")
	assert.DeepEqual(t, first["label"], map[string]any{"com.docker.compose.service": "shop"})
	assert.Equal(t, first["container_created_at"], "2026-01-01T00:00:00Z")

	assert.Equal(t, count(agent, "component_received_events_total", "docker"), 20.0)
	assert.Equal(t, count(agent, "component_sent_events_total", "up"), 20.0)
	assert.Equal(t, count(aggregator, "component_received_events_total", "from_agents"), 20.0)
	assert.Equal(t, count(aggregator, "component_sent_events_total", "store"), 20.0)
	assert.Equal(t, count(aggregator, "http_client_responses_total", "store"), count(aggregator, "http_client_requests_sent_total", "store"))
	assert.Equal(t, count(aggregator, "component_discarded_events_total", "store"), 0.0)
}

// What the agent holds while nobody takes it survives its own end.
func TestAgentKeepsLinesOverARestart(t *testing.T) {
	engine := &fakeEngine{lines: make(chan string)}
	dir, addr := t.TempDir(), freePort(t)
	text := fmt.Sprintf(agentText, dir, engine.serve(t), addr)

	agent, stop := start(t, text)
	for i := range 5 {
		engine.lines <- fmt.Sprintf("line %d", i)
	}
	eventually(t, "the buffer to hold the lines", func() bool { return count(agent, "buffer_size_events", "up") == 5 })
	assert.NilError(t, stop())

	store := &fakeStore{}
	storeSrv := httptest.NewServer(store)
	defer storeSrv.Close()
	start(t, fmt.Sprintf(aggregatorText, addr, storeSrv.URL))
	again, _ := start(t, text)
	assert.Equal(t, count(again, "buffer_size_events", "up"), 5.0)
	eventually(t, "the lines", func() bool { return len(store.messages()) == 5 })
	assert.DeepEqual(t, store.messages(), []string{"line 0", "line 1", "line 2", "line 3", "line 4"})
}

func TestVectorSourceAnswers(t *testing.T) {
	for _, tc := range []struct {
		name     string
		statuses []int
		payload  []byte
		want     codes.Code
	}{
		{"taken", nil, encodeRequest(numbered(0, 3)), codes.OK},
		{"rejected by the store", []int{400}, encodeRequest(numbered(0, 3)), codes.DataLoss},
		{"no protobuf", nil, []byte("hello"), codes.InvalidArgument},
	} {
		t.Run(tc.name, func(t *testing.T) {
			store := &fakeStore{statuses: tc.statuses}
			storeSrv := httptest.NewServer(store)
			defer storeSrv.Close()
			addr := freePort(t)
			start(t, fmt.Sprintf(aggregatorText, addr, storeSrv.URL))
			for _, compression := range []string{"none", "gzip", "zstd"} {
				store.statuses = tc.statuses
				sender, err := newVectorSender(&sinkConf{targets: []string{addr}, compression: compression})
				assert.NilError(t, err)
				defer func() { _ = sender.conn.Close() }()
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				eventually(t, "the source", func() bool { return sender.health(ctx) == nil })
				err = sender.push(ctx, tc.payload)
				assert.Equal(t, status.Code(err), tc.want, "%s: %v", compression, err)
			}
		})
	}
}

func TestVectorSourceLimitsAndHealth(t *testing.T) {
	storeSrv := httptest.NewServer(&fakeStore{})
	defer storeSrv.Close()
	addr := freePort(t)
	start(t, fmt.Sprintf(aggregatorText, addr, storeSrv.URL))
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	assert.NilError(t, err)
	defer func() { _ = conn.Close() }()
	eventually(t, "the health service", func() bool {
		r, err := grpc_health_v1.NewHealthClient(conn).Check(context.Background(), &grpc_health_v1.HealthCheckRequest{Service: "vector.Vector"})
		return err == nil && r.Status == grpc_health_v1.HealthCheckResponse_SERVING
	})

	// Small on the wire, above 100 MiB after decompression.
	sender, err := newVectorSender(&sinkConf{targets: []string{addr}, compression: "gzip"})
	assert.NilError(t, err)
	defer func() { _ = sender.conn.Close() }()
	in, out := wire(strings.Repeat("\x00", maxMessage+1)), wire{}
	err = sender.conn.Invoke(context.Background(), pushMethod, &in, &out, grpc.MaxCallSendMsgSize(2*maxMessage))
	assert.Equal(t, status.Code(err), codes.ResourceExhausted, "%v", err)
}

func TestRemoteWriteSink(t *testing.T) {
	bodies := make(chan string, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			return
		}
		b, _ := io.ReadAll(r.Body)
		bodies <- r.Header.Get("Content-Encoding") + " " + r.Header.Get("X-Prometheus-Remote-Write-Version") + " " + string(b)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer srv.Close()
	_, stop := start(t, "sources: {self: {type: internal_metrics, scrape_interval_secs: 60}}\n"+
		"sinks: {out: {type: prometheus_remote_write, inputs: [self], endpoint: \""+srv.URL+"/w\", batch: {timeout_secs: 0.05}}}")
	select {
	case b := <-bodies:
		rest, ok := strings.CutPrefix(b, "snappy 0.1.0 ")
		assert.Assert(t, ok)
		raw, err := unsnap(rest)
		assert.NilError(t, err)
		got := readWriteRequest(t, raw)
		host, err := os.Hostname()
		assert.NilError(t, err)
		assert.Equal(t, got["__name__=vector_started_total,host="+host], 1.0, "%v", got)
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was written")
	}
	assert.NilError(t, stop())
}

func TestAPI(t *testing.T) {
	addr := freePort(t)
	a, err := startAPI(&config{apiEnabled: true, apiAddress: addr}, newRegistry(), newLogger(io.Discard, levelError))
	assert.NilError(t, err)
	defer a.close()
	get := func() (int, string) {
		res, err := http.Get("http://" + addr + "/health")
		assert.NilError(t, err)
		defer func() { _ = res.Body.Close() }()
		b, err := io.ReadAll(res.Body)
		assert.NilError(t, err)
		return res.StatusCode, string(b)
	}
	code, body := get()
	assert.Equal(t, code, 200)
	assert.Equal(t, body, `{"ok":true}`)
	a.draining.Store(true)
	code, body = get()
	assert.Equal(t, code, 503)
	assert.Equal(t, body, `{"ok":false}`)
}
