package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

func frame(stream byte, data string) []byte {
	b := binary.BigEndian.AppendUint32([]byte{stream, 0, 0, 0}, uint32(len(data)))
	return append(b, data...)
}

func TestReadFrame(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   []byte
		want []string
		err  string
	}{
		{"two streams", append(frame(1, "a\n"), frame(2, "b\n")...), []string{"stdout:a\n", "stderr:b\n"}, "EOF"},
		{"empty frame", frame(1, ""), []string{"stdout:"}, "EOF"},
		{"torn header", frame(1, "a")[:5], nil, "unexpected EOF"},
		{"torn data", frame(1, "abc")[:9], nil, "unexpected EOF"},
		{"no stream", []byte("plain text"), nil, "names no stream"},
		{"too long", []byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, nil, "above the limit"},
		{"engine error", frame(3, "disk gone"), nil, "disk gone"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := bufio.NewReader(bytes.NewReader(tc.in))
			var got []string
			for {
				stream, data, err := readFrame(r)
				if err != nil {
					assert.ErrorContains(t, err, tc.err)
					break
				}
				got = append(got, stream+":"+string(data))
			}
			assert.DeepEqual(t, got, tc.want)
		})
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add(frame(1, "2026-01-01T00:00:00Z hello\n"))
	f.Add(append(frame(2, "half"), frame(1, " line\n")...))
	f.Add([]byte{1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 'x'})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReader(bytes.NewReader(b))
		info, total := &containerInfo{id: "c"}, 0
		for {
			stream, data, err := readFrame(r)
			if err != nil {
				break
			}
			total += 8 + len(data)
			info.line(stream, data, time.Time{}, &dockerConf{merge: true})
		}
		assert.Assert(t, total <= len(b), "read %d of %d bytes", total, len(b))
	})
}

func TestReadLine(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	r := bufio.NewReader(strings.NewReader("a\r\n" + long + "\nend"))
	for _, want := range []string{"a\r\n", long + "\n", "end"} {
		stream, data, err := readLine(r)
		assert.NilError(t, err)
		assert.Equal(t, stream, "console")
		assert.Equal(t, string(data), want)
	}
	_, _, err := readLine(r)
	assert.Assert(t, errors.Is(err, io.EOF))
}

func TestLine(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(s string) string { return "2026-01-01T00:00:" + s + "Z " }
	type piece struct{ stream, data string }
	for _, tc := range []struct {
		name    string
		noMerge bool
		in      []piece
		want    []string
	}{
		{"whole lines", false, []piece{{"stdout", at("01") + "a b\n"}, {"stderr", at("02") + "c\r\n"}}, []string{"stdout:a b", "stderr:c"}},
		{"same instant", false, []piece{{"stdout", at("01") + "a\n"}, {"stdout", at("01") + "b\n"}}, []string{"stdout:a", "stdout:b"}},
		{"pieces", false, []piece{{"stdout", at("01") + "he"}, {"stdout", at("02") + "l"}, {"stdout", at("03") + "lo\n"}, {"stdout", at("04") + "x\n"}}, []string{"stdout:hello", "stdout:x"}},
		{"pieces unmerged", true, []piece{{"stdout", at("01") + "he"}, {"stdout", at("02") + "llo\n"}}, []string{"stdout:he+", "stdout:llo"}},
		{"empty line", false, []piece{{"stdout", at("01") + "\n"}}, []string{"stdout:"}},
		{"before the start", false, []piece{{"stdout", "2025-12-31T23:59:59Z old\n"}, {"stdout", at("01") + "new\n"}}, []string{"stdout:new"}},
		{"out of order", false, []piece{{"stdout", at("05") + "a\n"}, {"stdout", at("04") + "again\n"}}, []string{"stdout:a"}},
		{"no time", false, []piece{{"stdout", "just text\n"}}, []string{"stdout:just text"}},
		{"standard input", false, []piece{{"", at("01") + "typed\n"}}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			info := &containerInfo{id: "c", labels: map[string]any{"k": "v"}}
			var got []string
			for _, p := range tc.in {
				log := info.line(p.stream, []byte(p.data), start, &dockerConf{merge: !tc.noMerge, partialMarker: "_partial"})
				if log == nil {
					continue
				}
				assert.DeepEqual(t, log["label"], map[string]any{"k": "v"})
				s := log["stream"].(string) + ":" + log["message"].(string)
				if log["_partial"] == true {
					s += "+"
				}
				got = append(got, s)
			}
			assert.DeepEqual(t, got, tc.want)
		})
	}
}

func TestDockerEndpoint(t *testing.T) {
	for in, want := range map[string]string{
		"http://docker-proxy:2375":    "http://docker-proxy:2375",
		"tcp://h:1/":                  "http://h:1",
		"unix:///var/run/docker.sock": "http://docker",
		"/var/run/docker.sock":        "http://docker",
	} {
		_, base, err := dockerEndpoint(in)
		assert.NilError(t, err)
		assert.Equal(t, base, want)
	}
	for _, in := range []string{"https://h:1", "docker-proxy:2375"} {
		_, _, err := dockerEndpoint(in)
		assert.Assert(t, err != nil, in)
	}
}

func TestIncluded(t *testing.T) {
	for _, tc := range []struct {
		name             string
		include, exclude []string
		want             bool
	}{
		{"no lists", nil, nil, true},
		{"excluded by prefix", nil, []string{"dt-agent-"}, false},
		{"other prefix", nil, []string{"dt-aggregator-"}, true},
		{"excluded by id", nil, []string{"abc"}, false},
		{"not in the list", []string{"web"}, nil, false},
		{"exclusion wins", []string{"dt"}, []string{"dt-a"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := &dockerSource{conf: &dockerConf{include: tc.include, exclude: tc.exclude}, hostname: "abcdef012345"}
			assert.Equal(t, d.included("abcdef", []string{"dt-agent-1"}), tc.want)
			assert.Assert(t, d.isSelf("abcdef0123456789") && !d.isSelf("bcdef0123456"))
		})
	}
}

func TestParseExposition(t *testing.T) {
	now := time.UnixMilli(1700000000000).UTC()
	events, err := parseExposition([]byte(`# TYPE c counter
c{a="b"} 5 1600000000000
# TYPE g gauge
g 1.5
plain 2
# TYPE h histogram
h_bucket{le="0.5"} 2
h_bucket{le="1"} 5
h_bucket{le="+Inf"} 6
h_sum 4.5
h_count 6
# TYPE s summary
s{quantile="0.9"} 7
s_sum 9
s_count 2
`), now)
	assert.NilError(t, err)
	got := map[string]any{}
	for _, e := range events {
		got[e.metric.name] = e.metric.value
		assert.Equal(t, e.metric.kind, absolute)
	}
	assert.Equal(t, got["c"], counterValue(5))
	assert.Equal(t, got["g"], gaugeValue(1.5))
	assert.Equal(t, got["plain"], gaugeValue(2))
	h := got["h"].(histogramValue)
	assert.Equal(t, h.buckets[0], bucket{0.5, 2})
	assert.Equal(t, h.buckets[1], bucket{1, 3})
	assert.Equal(t, h.buckets[2], bucket{math.Inf(1), 1})
	assert.Equal(t, h.count, uint64(6))
	s := got["s"].(summaryValue)
	assert.Equal(t, s.quantiles[0], quantile{0.9, 7})
	assert.Equal(t, events[0].metric.time, time.UnixMilli(1600000000000).UTC())
	assert.Equal(t, events[1].metric.time, now)
	assert.DeepEqual(t, events[0].metric.tags, map[string]string{"a": "b"})

	_, err = parseExposition([]byte("<html>"), now)
	assert.Assert(t, err != nil)
}

func TestScrapeTags(t *testing.T) {
	for _, tc := range []struct {
		honor bool
		had   map[string]string
		want  map[string]string
	}{
		{false, map[string]string{}, map[string]string{"instance": "h:80"}},
		{false, map[string]string{"instance": "x"}, map[string]string{"instance": "h:80", "exported_instance": "x"}},
		{true, map[string]string{"instance": "x"}, map[string]string{"instance": "x"}},
	} {
		s := &scrapeSource{conf: &scrapeConf{honorLabels: tc.honor}}
		m := &metric{tags: tc.had}
		s.tag(m, "instance", "h:80")
		assert.DeepEqual(t, m.tags, tc.want)
	}
}

func TestParseStubStatus(t *testing.T) {
	got, err := parseStubStatus("Active connections: 2 \nserver accepts handled requests\n 16 15 31 \nReading: 0 Writing: 1 Waiting: 3 \n")
	assert.NilError(t, err)
	assert.Equal(t, got, [7]float64{2, 16, 15, 31, 0, 1, 3})
	for _, bad := range []string{"", "<html>", "Active connections: -2 \nserver accepts handled requests\n 16 15 31 \nReading: 0 Writing: 1 Waiting: 3 \n"} {
		_, err := parseStubStatus(bad)
		assert.Assert(t, err != nil, bad)
	}
}
