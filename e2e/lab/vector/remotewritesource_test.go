package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"gotest.tools/v3/assert"
)

// What the sink writes, the source reads.
func TestRemoteWriteSourceReadsTheSink(t *testing.T) {
	at := time.UnixMilli(1_795_497_748_123)
	sent := []*metric{
		{name: "a_total", time: at, kind: absolute, tags: map[string]string{"job": "x", "instance": "y"}, value: counterValue(3)},
		{name: "b", time: at, kind: absolute, tags: map[string]string{}, value: gaugeValue(-1.5)},
	}
	events, err := decodeWriteRequest(snappy.Encode(nil, encodeWriteRequest(sent, "")))
	assert.NilError(t, err)
	assert.Equal(t, len(events), 2)
	for i, e := range events {
		assert.Equal(t, e.metric.name, sent[i].name)
		assert.DeepEqual(t, e.metric.tags, sent[i].tags)
		assert.Assert(t, e.metric.time.Equal(at))
		assert.Equal(t, e.metric.kind, absolute)
	}
	assert.Equal(t, events[0].metric.value, gaugeValue(3))
	assert.Equal(t, events[1].metric.value, gaugeValue(-1.5))
}

func TestRemoteWriteSourceRefuses(t *testing.T) {
	topo, _ := start(t, "sources: {rw: {type: prometheus_remote_write, address: \"127.0.0.1:0\", path: /w}}\n"+
		"sinks: {out: {type: prometheus_remote_write, inputs: [rw], endpoint: \"http://127.0.0.1:1/w\"}}")
	source := topo.sources["rw"].(*remoteWriteSource)
	nameless := snappy.Encode(nil, putMessage(nil, 1, putMessage(nil, 2, putDouble(nil, 1, 1))))
	for name, tc := range map[string]struct {
		method, path string
		body         []byte
		want         int
	}{
		"another path":    {http.MethodPost, "/", nil, http.StatusNotFound},
		"another method":  {http.MethodGet, "/w", nil, http.StatusMethodNotAllowed},
		"not snappy":      {http.MethodPost, "/w", []byte("\xff\xff"), http.StatusBadRequest},
		"a bomb":          {http.MethodPost, "/w", []byte{0xff, 0xff, 0xff, 0xff, 0x0f}, http.StatusBadRequest},
		"not protobuf":    {http.MethodPost, "/w", snappy.Encode(nil, []byte{0xff}), http.StatusBadRequest},
		"without a name":  {http.MethodPost, "/w", nameless, http.StatusBadRequest},
		"nothing to take": {http.MethodPost, "/w", snappy.Encode(nil, nil), http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			answer := httptest.NewRecorder()
			request := httptest.NewRequestWithContext(context.Background(), tc.method, tc.path, bytes.NewReader(tc.body))
			source.handler().ServeHTTP(answer, request)
			assert.Equal(t, answer.Code, tc.want, answer.Body)
		})
	}
}
