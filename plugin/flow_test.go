package plugin

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/stack"
)

const (
	storedFlow = `{"status":"success","data":{"resultType":"vector","result":[
{"metric":{"__name__":"vector_component_received_events_total","job":"vector-agent","component_id":"docker","component_kind":"source","component_type":"docker_logs"},"value":[1,"12.5"]},
{"metric":{"__name__":"vector_component_sent_events_total","job":"vector-agent","component_id":"agg_logs","component_kind":"sink","component_type":"vector"},"value":[1,"12"]},
{"metric":{"__name__":"vector_buffer_max_size_bytes","job":"vector-agent","component_id":"agg_logs","component_kind":"sink","component_type":"vector"},"value":[1,"400"]},
{"metric":{"__name__":"nginx_http_requests_total","job":"nginx","instance":"balancer"},"value":[1,"3"]}]}}`
	shownCounters = `# TYPE vector_component_received_events_total counter
vector_component_received_events_total{component_id="from_agents_logs",component_kind="source",component_type="vector"} %d %d
`
)

// flowing is a stack whose store answers as told, and whose components show counters that grow by 10 a second.
func flowing(t *testing.T, store http.HandlerFunc) *rotating {
	t.Helper()
	r := newRotating(t)
	stores := r.engine.Gateway
	var told atomic.Bool // an up proves the store first
	r.engine.Gateway = http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if told.Load() && request.URL.Path == "/victoriametrics/api/v1/query" {
			store(w, request)
			return
		}
		stores.ServeHTTP(w, request)
	})
	assert.NilError(t, r.up())
	told.Store(true)
	at := time.Now()
	looks := 0
	exec := r.engine.Exec
	r.engine.Exec = func(component string, command []string) string {
		if component != stack.Agent && component != stack.Aggregator || !strings.Contains(strings.Join(command, " "), ":9598") && !strings.Contains(strings.Join(command, " "), "/9598") {
			return exec(component, command)
		}
		looks++
		return fmt.Sprintf(shownCounters, 10*looks, at.Add(time.Duration(looks)*time.Second).UnixMilli())
	}
	r.stdout.Reset()
	r.stderr.Reset()
	return r
}

func TestFlowOffATerminal(t *testing.T) {
	for _, tc := range []struct {
		name  string
		store http.HandlerFunc
		wants []string
	}{
		{
			"from the store", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(storedFlow)) },
			[]string{`"from":"victoriametrics"`, `"component":"agent","replica":"","in":{"eventsPerSecond":12.5,"bytesPerSecond":0}`, `"requestsPerSecond":3`},
		},
		{
			"from the components", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
			[]string{`"from":"components"`, `"notes":["VictoriaMetrics cannot be asked`, `"component":"aggregator","replica":"`},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := flowing(t, tc.store)
			assert.NilError(t, runFlow(t.Context(), r.app, flowOptions{format: "auto", every: time.Second, looks: 2}))
			lines := strings.Split(strings.TrimSpace(r.stdout.String()), "\n")
			assert.Equal(t, len(lines), 2)
			documented, err := readContract()
			assert.NilError(t, err)
			for _, line := range lines {
				assert.Equal(t, strings.Join(documented.breaks("flow", line), "\n"), "")
			}
			for _, want := range tc.wants {
				assert.Assert(t, strings.Contains(lines[1], want), "no %s in %s", want, lines[1])
			}
		})
	}
}

func TestFlowIsRefused(t *testing.T) {
	r := newRotating(t)
	var wrong *usageError
	for _, opts := range []flowOptions{
		{format: "screen", every: time.Second}, {format: "auto", every: time.Millisecond}, {format: "json", every: time.Second, looks: -1},
	} {
		assert.Assert(t, errors.As(runFlow(t.Context(), r.app, opts), &wrong), "%+v", opts)
	}
	assert.ErrorContains(t, runFlow(t.Context(), r.app, flowOptions{format: "json", every: time.Second}), `there is no stack "telemetry"`)
}
