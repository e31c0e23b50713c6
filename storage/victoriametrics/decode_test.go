package victoriametrics_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

func decode(from io.Reader, limits victoriametrics.Limits) ([]map[string]string, victoriametrics.Stream, error) {
	var all []map[string]string
	stream, err := victoriametrics.DecodeSeries(from, limits, func(labels []victoriametrics.Label) error {
		one := map[string]string{}
		for _, label := range labels {
			one[string(label.Name)] = string(label.Value)
		}
		all = append(all, one)
		return nil
	})
	return all, stream, err
}

// answer writes what a store would, with values that need escapes, and long enough to move the decoder's window.
func answer(t testing.TB, series []map[string]string) string {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"status": "success", "data": series})
	assert.NilError(t, err)
	return string(raw)
}

func many(n int) []map[string]string {
	series := make([]map[string]string, n)
	for i := range series {
		series[i] = map[string]string{
			"__name__": "m", "id": strconv.Itoa(i), "text": strings.Repeat("\"<\\é\x01𝄞", i%90), "},{": "},{",
		}
	}
	return series
}

func TestDecodeSeries(t *testing.T) {
	want := many(4000)
	body := answer(t, want)
	for name, from := range map[string]io.Reader{
		"at once":      strings.NewReader(body),
		"byte by byte": iotest.OneByteReader(strings.NewReader(body)),
		"halves":       iotest.HalfReader(strings.NewReader(body)),
		"end with it":  iotest.DataErrReader(strings.NewReader(body)),
		"indented":     strings.NewReader(strings.ReplaceAll(body, `{"__`, " {\n\t\r \"__")),
	} {
		got, stream, err := decode(from, victoriametrics.Limits{})
		assert.NilError(t, err, name)
		assert.Equal(t, stream.Series, int64(len(want)), name)
		assert.DeepEqual(t, got, want)
		assert.Assert(t, stream.Bytes >= int64(len(body)), name)
	}
}

func TestDecodeSeriesBesideTheList(t *testing.T) {
	_, stream, err := decode(strings.NewReader(
		`{"status":"success","isPartial":true,"infos":null,"n":-1.5e3,"trace":{"a":[1,{"b":"]"}]},"data":[],"warnings":["a store is away"]}`+"\n"),
		victoriametrics.Limits{})
	assert.NilError(t, err)
	assert.Assert(t, stream.Partial)
	assert.DeepEqual(t, stream.Warnings, []string{"a store is away"})

	_, stream, err = decode(strings.NewReader(`{"status":"success","data":null}`), victoriametrics.Limits{})
	assert.NilError(t, err)
	assert.Equal(t, stream.Series, int64(0))
}

func TestDecodeSeriesBroken(t *testing.T) {
	for _, tc := range []struct {
		body, want string
		series     int64
	}{
		{``, "byte 0: it ends too early", 0},
		{`<html>`, `byte 0: unexpected byte '<' instead of '{'`, 0},
		{`{"data":[{"a":"b"}`, "byte 18: it ends too early", 1},
		{`{"data":[{"a":"b"},{"a":"`, "byte 25: it ends too early", 1},
		{`{"data":[{"a":"b"},{"a":"\`, "byte 26: it ends too early", 1},
		{`{"data":[{"a":"b"},]}`, `unexpected byte ']' instead of a series`, 1},
		{`{"data":[{"a":"b",}]}`, `unexpected byte '}' instead of a label`, 0},
		{`{"data":[{"a":1}]}`, `unexpected byte '1' instead of '"'`, 0},
		{`{"data":[{"a":{"b":"c"}}]}`, `unexpected byte '{' instead of '"'`, 0},
		{`{"data":[{"a":"b","a":"c"}]}`, `the label "a" occurs twice`, 0},
		{`{"data":[{"a":"\x"}]}`, `unexpected byte 'x' after a backslash`, 0},
		{`{"data":[{"a":"\u12g4"}]}`, `"12g4" is no hexadecimal number`, 0},
		{"{\"data\":[{\"a\":\"\x1b\"}]}", `a control character '\x1b' in a string`, 0},
		{`{"data":{}}`, "the list of series is no list", 0},
		{`{"data":nil}`, "the list of series is no list", 0},
		{`{"status":"success"}`, "there is no list of series in it", 0},
		{`{"x":1 2}`, `unexpected byte '2' in an object`, 0},
		{`{"x":tru,"data":[]}`, "a value that is no JSON", 0},
		{`{"x":],"data":[]}`, "a value that is no JSON", 0},
		{`{"data":[{"a":"b"}]}<html>`, "something follows the end of the JSON", 1},
		{`{"data":[{"a":"b"}],"status":"error","error":"out of memory"}`, "the store ended its answer with an error: out of memory", 1},
		{`{"data":[{"a":"b"}],"data":[{"a":"c"}]}`, "there are two lists of series in it", 1},
	} {
		_, stream, err := decode(strings.NewReader(tc.body), victoriametrics.Limits{})
		assert.ErrorContains(t, err, tc.want, tc.body)
		assert.Equal(t, stream.Series, tc.series, tc.body)
	}
}

func TestDecodeSeriesLimits(t *testing.T) {
	endless := io.MultiReader(strings.NewReader(`{"data":[{"a":"`), endlessly('x'))
	deep := strings.NewReader(`{"x":` + strings.Repeat("[", 100))
	for _, tc := range []struct {
		from io.Reader
		want string
	}{
		{endless, "the store's answer is over the limit of 1048576 bytes of one series"},
		{io.MultiReader(strings.NewReader(`{"data":[{"a":"\n`), endlessly('x')), "the limit of 1048576 bytes of one series"},
		{io.MultiReader(strings.NewReader(`{"`), endlessly('x')), "the limit of 1048576 bytes of one series"},
		{io.MultiReader(strings.NewReader(`{`), endlessly(' ')), "the limit of 1048576 bytes of one series"},
		{io.MultiReader(strings.NewReader(`{"data":[` + strings.Repeat(`{"a":"`+strings.Repeat("x", 500_000)+`"},`, 3))), "the limit of 1400000 bytes"},
		{deep, "the limit of 32 levels of nesting"},
		{strings.NewReader(`{"data":[{"a":"1"},{"a":"2"},{"a":"3"},{"a":"4"}]}`), "the limit of 3 series"},
	} {
		_, _, err := decode(tc.from, victoriametrics.Limits{Series: 3, Stream: 1_400_000})
		assert.ErrorContains(t, err, tc.want)
		var limit *victoriametrics.LimitError
		assert.Assert(t, errors.As(err, &limit))
	}
}

type endlessly byte

func (b endlessly) Read(into []byte) (int, error) {
	for i := range into {
		into[i] = byte(b)
	}
	return len(into), nil
}

func TestDecodeSeriesEndsWithTheReader(t *testing.T) {
	gone := errors.New("the network is gone")
	_, _, err := decode(io.MultiReader(strings.NewReader(`{"data":[{"a":"b"},`), iotest.ErrReader(gone)), victoriametrics.Limits{})
	assert.ErrorIs(t, err, gone)

	enough := errors.New("enough")
	_, err = victoriametrics.DecodeSeries(strings.NewReader(`{"data":[{"a":"b"}`), victoriametrics.Limits{},
		func([]victoriametrics.Label) error { return enough })
	assert.ErrorIs(t, err, enough)
}

// FuzzDecodeSeries: what the decoder accepts encoding/json accepts too, with the same series; and what encoding/json
// reads as a list of flat objects the decoder does not refuse, but for a label that is there twice.
func FuzzDecodeSeries(f *testing.F) {
	f.Add([]byte(`{"status":"success","data":[{"__name__":"a","b":"\u003c\ud834\udd1e\n"},{}]}`), 3)
	f.Add([]byte(`{"data":[{"a":"\ud834"},{"a":"\udd1ex"},{"a":"\ud834\u0041"}],"x":[{"y":1e9}]}`), 1)
	f.Add([]byte(`{"data":null,"warnings":["w"],"isPartial":true}`), 2)
	f.Add([]byte("{\"data\":[{\"\xff\":\"\xfe\"}]}"), 7)
	f.Add([]byte(`{"data":[{"a":"b"},`), 64)
	f.Add([]byte(`{"error":"x","data":[]}`), 64)
	f.Fuzz(func(t *testing.T, body []byte, step int) {
		got, _, err := decode(&stepped{body, 1 + int(uint(step)%97)}, victoriametrics.Limits{Object: 1 << 10})
		var want struct {
			Data []map[string]string `json:"data"`
		}
		wrong := json.Unmarshal(body, &want)
		if err != nil {
			return
		}
		// encoding/json matches names of fields without case, and takes the last of two lists.
		if wrong != nil || strings.Count(strings.ToLower(string(body)), "data") > 1 {
			assert.Assert(t, json.Valid(body) || wrong == nil, "accepted: %q", body)
			return
		}
		assert.Equal(t, len(got), len(want.Data))
		for i := range got {
			for name, value := range got[i] {
				// It replaces invalid UTF-8; the decoder keeps the bytes, so that two values stay two.
				name, value = strings.ToValidUTF8(name, ""), strings.ToValidUTF8(value, "")
				assert.Assert(t, strings.ToValidUTF8(want.Data[i][name], "") == value || strings.ContainsRune(string(body), '\uFFFD'), "%q", body)
			}
		}
	})
}

type stepped struct {
	rest []byte
	step int
}

func (s *stepped) Read(into []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(into[:min(s.step, len(into))], s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func BenchmarkDecodeSeries(b *testing.B) {
	series := make([]map[string]string, 20000)
	for i := range series {
		series[i] = map[string]string{
			"__name__": "http_requests_total", "job": "api", "instance": "10.0.0.1:8080", "method": "GET", "path": "/a/b",
			"status": "200", "region": "eu-west-1", "user": fmt.Sprintf("user-%09d", i),
		}
	}
	body := answer(b, series)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		_, err := victoriametrics.DecodeSeries(strings.NewReader(body), victoriametrics.Limits{}, func([]victoriametrics.Label) error { return nil })
		assert.NilError(b, err)
	}
}
