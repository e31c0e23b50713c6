package main

import (
	"encoding/hex"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"gotest.tools/v3/assert"
)

func sampleEvents() []event {
	at := time.Date(2026, 11, 23, 1, 2, 3, 456789012, time.UTC)
	tags := map[string]string{"job": "j", "empty": ""}
	series := func(kind metricKind, v any) event {
		return event{metric: &metric{namespace: "ns", name: "n", time: at, kind: kind, tags: tags, value: v}}
	}
	return []event{
		{log: map[string]any{
			"message": "hello \xff", "n": int64(-5), "f": 1.5, "yes": true, "no": false, "none": nil, "at": at,
			"label": map[string]any{"com.docker.compose.service": "web"}, "list": []any{"a", int64(1), map[string]any{}},
		}},
		{log: map[string]any{}},
		series(absolute, counterValue(3)),
		series(incremental, gaugeValue(-0.5)),
		series(absolute, setValue{"a", "b"}),
		series(incremental, distributionValue{samples: []sample{{1.5, 3}}, summary: true}),
		series(absolute, histogramValue{buckets: []bucket{{0.1, 2}, {math.Inf(1), 1}}, count: 3, sum: 9}),
		series(absolute, summaryValue{quantiles: []quantile{{0.5, 7}}, count: 2, sum: 14}),
	}
}

func TestCodecRoundTrip(t *testing.T) {
	want := sampleEvents()
	got, err := decodeRequest(encodeRequest(want))
	assert.NilError(t, err)
	assert.Equal(t, len(got), len(want))
	for i := range want {
		assert.DeepEqual(t, got[i].log, want[i].log)
		if want[i].metric == nil {
			continue
		}
		g, w := got[i].metric, want[i].metric
		assert.Equal(t, g.fullName(), w.fullName())
		assert.Equal(t, g.kind, w.kind)
		assert.Assert(t, g.time.Equal(w.time))
		assert.DeepEqual(t, g.tags, w.tags)
		assert.Equal(t, asText(g.value), asText(w.value))
	}
}

// asText compares values that hold unexported fields.
func asText(v any) string { return strings.TrimSpace(string(encodeMetricValue(nil, v))) }

// The bytes below were put together by hand from the field numbers in Vector's event.proto.
func TestCodecGolden(t *testing.T) {
	for _, tc := range []struct {
		name string
		e    event
		want string
	}{
		{
			"log",
			event{log: map[string]any{"m": "hi"}},
			// log=1{ value=2{ map=7{ fields=1{ key=1 "m", value=2{ raw_bytes=1 "hi" } } } } }
			"0a0f" + "120d" + "3a0b" + "0a09" + "0a016d" + "1204" + "0a026869",
		},
		{
			"counter",
			event{metric: &metric{name: "c", kind: absolute, value: counterValue(1), tags: map[string]string{"k": "v"}, time: time.Unix(5, 0)}},
			// metric=2{ name=1 "c", timestamp=3->2{seconds=1 5}, tags_v1=3{1:"k",2:"v"}, kind=4 1,
			// counter=5{ value=1 1.0 }, tags_v2=20{ 1:"k", 2:{ 1:{ 1:"v" } } } }
			"1229" + "0a0163" + "12020805" + "1a06" + "0a016b120176" + "2001" + "2a09" + "09000000000000f03f" +
				"a2010a" + "0a016b" + "1205" + "0a03" + "0a0176",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			assert.Equal(t, hex.EncodeToString(encodeEvent(nil, tc.e)), tc.want)
		})
	}
}

func TestCodecReadsOldForms(t *testing.T) {
	// Log.fields instead of Log.value, and a histogram with 32-bit counts.
	entry := putMessage(putString(nil, 1, "message"), 2, encodeValue(nil, "old"))
	e, err := decodeEvent(putMessage(nil, wrapperLog, putMessage(nil, logFields, entry)))
	assert.NilError(t, err)
	assert.DeepEqual(t, e.log, map[string]any{"message": "old"})

	hist := putDouble(putVarint(putMessage(nil, 1, putVarint(putDouble(nil, 1, 2.5), 2, 4)), 2, 4), 3, 8)
	e, err = decodeEvent(putMessage(nil, wrapperMetric, putMessage(putString(nil, metricName, "h"), metricHistogram2, hist)))
	assert.NilError(t, err)
	h := e.metric.value.(histogramValue)
	assert.Equal(t, h.count, uint64(4))
	assert.Equal(t, h.buckets[0], bucket{2.5, 4})
}

func TestCodecRefuses(t *testing.T) {
	deep := []byte{}
	for range maxDepth + 2 {
		deep = putMessage(nil, valueArray, putMessage(nil, 1, deep))
	}
	for _, tc := range []struct {
		name string
		in   []byte
		want string
	}{
		{"trace", putMessage(nil, wrapperTrace, nil), "trace events are not supported"},
		{"empty wrapper", nil, "no single log or metric"},
		{"metric without value", putMessage(nil, wrapperMetric, putString(nil, metricName, "x")), "no value"},
		{"torn", []byte{0x0a, 0x7f, 0x00}, "unexpected EOF"},
		{"deep", putMessage(nil, wrapperLog, putMessage(nil, logValueF, deep)), "nested deeper"},
		{"time", putMessage(nil, wrapperLog, putMessage(nil, logValueF, putMessage(nil, valueTimestamp, putVarint(nil, 2, 2_000_000_000)))), "out of range"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := decodeEvent(tc.in)
			assert.ErrorContains(t, err, tc.want)
		})
	}
}

func FuzzDecodeEvent(f *testing.F) {
	for _, e := range sampleEvents() {
		f.Add(encodeEvent(nil, e))
	}
	f.Add([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEvent(b)
		if err != nil {
			return
		}
		// What was read must survive being passed on: the agent's buffer does exactly that.
		again, err := decodeEvent(encodeEvent(nil, e))
		assert.NilError(t, err)
		assert.Equal(t, string(encodeEvent(nil, again)), string(encodeEvent(nil, e)))
		if e.log != nil {
			_, err = encodeJSON(e.log)
			assert.NilError(t, err)
		}
	})
}

func TestWriteRequest(t *testing.T) {
	at := time.UnixMilli(1700000000123)
	m := func(name string, v any) *metric {
		return &metric{namespace: "ns", name: name, time: at, kind: absolute, tags: map[string]string{"job": "j"}, value: v}
	}
	got := readWriteRequest(t, encodeWriteRequest([]*metric{
		m("c", counterValue(3)),
		m("h", histogramValue{buckets: []bucket{{0.5, 2}, {1, 3}, {math.Inf(1), 1}}, count: 6, sum: 4.5}),
		m("s", summaryValue{quantiles: []quantile{{0.99, 7}}, count: 2, sum: 9}),
	}, "unused"))
	assert.DeepEqual(t, got, map[string]float64{
		"__name__=ns_c,job=j":                   3,
		"__name__=ns_h_bucket,job=j,le=0.5":     2,
		"__name__=ns_h_bucket,job=j,le=1":       5,
		"__name__=ns_h_bucket,job=j,le=+Inf":    6,
		"__name__=ns_h_sum,job=j":               4.5,
		"__name__=ns_h_count,job=j":             6,
		"__name__=ns_s,job=j,quantile=0.99":     7,
		"__name__=ns_s_sum,job=j":               9,
		"__name__=ns_s_count,job=j":             2,
		"metadata ns_c":                         promCounter,
		"metadata ns_h":                         promHistogram,
		"metadata ns_s":                         promSummary,
		"timestamp of __name__=ns_c,job=j (ms)": 1700000000123,
	})
}

// readWriteRequest lists the series with their labels in the order of the bytes, and the metadata.
func readWriteRequest(t *testing.T, b []byte) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	assert.NilError(t, eachField(b, func(f field) error {
		if f.num == 3 {
			var typ uint64
			var name string
			err := eachField(f.raw, func(m field) error {
				if m.num == 1 {
					typ = m.bits
				} else {
					name = string(m.raw)
				}
				return nil
			})
			out["metadata "+name] = float64(typ)
			return err
		}
		var labels []string
		var value, ms float64
		err := eachField(f.raw, func(s field) error {
			var name, val string
			return eachField(s.raw, func(l field) error {
				switch {
				case s.num == protowire.Number(2) && l.num == 1:
					value = l.double()
				case s.num == 2:
					ms = float64(l.bits)
				case l.num == 1:
					name = string(l.raw)
				default:
					val = string(l.raw)
					labels = append(labels, name+"="+val)
				}
				return nil
			})
		})
		key := strings.Join(labels, ",")
		out[key] = value
		if strings.HasPrefix(key, "__name__=ns_c,") {
			out["timestamp of "+key+" (ms)"] = ms
		}
		return err
	}))
	return out
}
