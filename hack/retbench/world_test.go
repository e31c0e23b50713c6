//go:build unix

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/stack"
)

func TestToldIsWrittenInLines(t *testing.T) {
	from := time.UnixMilli(1_790_000_000_000)
	samples := lineSamples + 1
	one := told{
		labels: map[string]string{"__name__": "x", "job": "y"}, from: from, to: from.Add(time.Duration(samples-1) * scrapedEach),
		value: func(part float64) float64 { return 1000 * part },
	}
	var out bytes.Buffer
	one.write(&out)
	var values []float64
	var times []int64
	lines := 0
	for line := range strings.Lines(out.String()) {
		var found struct {
			Metric     map[string]string
			Values     []float64
			Timestamps []int64
		}
		assert.NilError(t, json.Unmarshal([]byte(line), &found))
		assert.DeepEqual(t, found.Metric, one.labels)
		assert.Equal(t, len(found.Values), len(found.Timestamps))
		values, times, lines = append(values, found.Values...), append(times, found.Timestamps...), lines+1
	}
	assert.Equal(t, lines, 2)
	assert.Equal(t, len(values), samples)
	assert.Equal(t, values[0], 0.0)
	assert.Equal(t, values[samples-1], 1000.0)
	assert.Equal(t, times[0], from.UnixMilli())
	assert.Equal(t, times[samples-1], one.to.UnixMilli())
}

func TestRecords(t *testing.T) {
	now := time.Date(2026, 11, 30, 18, 0, 0, 0, time.UTC)
	var found []struct {
		Time int64 `json:"_timestamp"`
	}
	assert.NilError(t, json.Unmarshal(records(7, now), &found))
	assert.Equal(t, len(found), 107)
	assert.Equal(t, found[0].Time, now.Add(-writtenBack).UnixMicro())
	for i := 1; i < len(found); i++ {
		assert.Assert(t, found[i].Time > found[i-1].Time)
	}
	assert.Assert(t, found[106].Time < now.UnixMicro())
}

func TestGatewayRoutes(t *testing.T) {
	names := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) })
	}
	handler := routes(names("metrics"), names("logs"))
	for path, want := range map[string]string{
		"/victoriametrics/api/v1/query":       "metrics",
		"/victoriametrics/api/v1/labels":      "metrics",
		"/victoriametrics/api/v1/status/tsdb": "metrics",
		"/openobserve/config":                 "logs",
		"/victoriametrics/snapshot/list":      "not served through the gateway\n",
		"/victoriametrics/api/v1/import":      "not served through the gateway\n",
		"/":                                   "not served through the gateway\n",
	} {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
		assert.Equal(t, answer.Body.String(), want, path)
	}
}

// A command of a container runs in the folder that its component writes to, and its output comes framed.
func TestEngineRunsCommands(t *testing.T) {
	folder := t.TempDir()
	e := &engine{folders: map[string]string{stack.OpenObserve: folder}, commands: map[string][]string{}}
	server := httptest.NewServer(e.routes())
	defer server.Close()
	post := func(path, body string) *http.Response {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+path, strings.NewReader(body))
		assert.NilError(t, err)
		answer, err := server.Client().Do(request)
		assert.NilError(t, err)
		return answer
	}
	created := post("/v1.41/containers/openobserve/exec", `{"Cmd":["printf","in %s","/data"]}`)
	defer created.Body.Close()
	assert.Equal(t, created.StatusCode, http.StatusCreated)
	started := post("/v1.41/exec/openobserve/start", `{}`)
	defer started.Body.Close()
	raw, err := io.ReadAll(started.Body)
	assert.NilError(t, err)
	assert.Equal(t, raw[0], byte(1))
	assert.Equal(t, int(binary.BigEndian.Uint32(raw[4:8])), len(raw)-8)
	assert.Equal(t, string(raw[8:]), "in "+folder)

	other := post("/v1.41/containers/grafana/exec", `{"Cmd":["printf","x","/data"]}`)
	defer other.Body.Close()
	assert.Equal(t, other.StatusCode, http.StatusBadRequest)
}
