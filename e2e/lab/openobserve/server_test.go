package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/assert/cmp"
)

const (
	testEmail    = "root@example.com"
	testPassword = "Abcdef1!"
)

// testNow is fixed, so that every age in the tests is exact.
func testNow() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

type fixture struct {
	*server
	url string
}

func newFixture(t *testing.T, dir string, env map[string]string) fixture {
	t.Helper()
	vars := map[string]string{
		"ZO_ROOT_USER_EMAIL": testEmail, "ZO_ROOT_USER_PASSWORD": testPassword, "ZO_DATA_DIR": dir, "ZO_BASE_URI": "/openobserve/",
	}
	for k, v := range env {
		vars[k] = v
	}
	cfg, err := loadConfig(vars)
	assert.NilError(t, err)
	s, err := newServer(cfg, testNow)
	assert.NilError(t, err)
	s.log = io.Discard
	web := httptest.NewServer(s.handler())
	t.Cleanup(func() { web.Close(); s.store.close() })
	return fixture{server: s, url: web.URL}
}

func (f fixture) do(t *testing.T, method, path, contentType string, body []byte, header ...string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, f.url+path, bytes.NewReader(body))
	assert.NilError(t, err)
	req.SetBasicAuth(testEmail, testPassword)
	req.Header.Set("Content-Type", contentType)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	assert.NilError(t, err)
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	assert.NilError(t, err)
	return resp.StatusCode, out
}

func (f fixture) ingest(t *testing.T, stream, body string) recordStatus {
	t.Helper()
	code, out := f.do(t, "POST", "/openobserve/api/default/"+stream+"/_json", "application/json", []byte(body))
	assert.Equal(t, code, 200, "%s", out)
	var resp ingestResponse
	assert.NilError(t, json.Unmarshal(out, &resp))
	assert.Equal(t, resp.Code, 200)
	return resp.Status[0]
}

func (f fixture) sql(t *testing.T, kind, sql string) (int, map[string]any) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": map[string]any{
		"sql": sql, "start_time": 1, "end_time": testNow().Add(48 * time.Hour).UnixMicro(), "size": 100,
	}})
	assert.NilError(t, err)
	code, out := f.do(t, "POST", "/openobserve/api/default/_search?type="+kind, "application/json", body)
	var resp map[string]any
	assert.NilError(t, json.Unmarshal(out, &resp), "%s", out)
	return code, resp
}

func hits(resp map[string]any, key string) string {
	var out []string
	for _, h := range resp["hits"].([]any) {
		out = append(out, fmt.Sprint(h.(map[string]any)[key]))
	}
	return strings.Join(out, ",")
}

func at(age time.Duration) int64 { return testNow().Add(-age).UnixMicro() }

func TestPathsAndAuth(t *testing.T) {
	f := newFixture(t, t.TempDir(), nil)
	tests := []struct {
		method, path string
		auth         string
		want         int
	}{
		{"GET", "/openobserve/healthz", "", 200},
		{"HEAD", "/openobserve/healthz", "", 200},
		{"GET", "/openobserve/metrics", "", 200},
		{"GET", "/openobserve/config", "", 200},
		{"GET", "/openobserve/web/", "", 200},
		{"GET", "/openobserve/", "", 308},
		{"GET", "/openobserve", "", 308},
		{"GET", "/healthz", "", 404},
		{"GET", "/openobservex/healthz", "", 404},
		{"GET", "/openobserve/api/default/streams", "", 401},
		{"GET", "/openobserve/api/no/such/path", "", 401},
		{"GET", "/openobserve/api/default/streams", testEmail + ":wrong", 401},
		{"GET", "/openobserve/api/default/streams", "other@example.com:" + testPassword, 401},
		{"GET", "/openobserve/api/default/streams", testEmail + ":" + testPassword, 200},
		{"GET", "/openobserve/api/default/summary", testEmail + ":" + testPassword, 200},
		{"GET", "/openobserve/api/default/streams/x/schema", testEmail + ":" + testPassword, 404},
		{"GET", "/openobserve/api/default/streams/x/settings", testEmail + ":" + testPassword, 405},
		{"GET", "/openobserve/api/default/streams?fetchSchema=maybe", testEmail + ":" + testPassword, 400},
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			req, err := http.NewRequest(tt.method, f.url+tt.path, nil)
			assert.NilError(t, err)
			if user, pass, ok := strings.Cut(tt.auth, ":"); ok {
				req.SetBasicAuth(user, pass)
			}
			resp, err := client.Do(req)
			assert.NilError(t, err)
			resp.Body.Close()
			assert.Equal(t, resp.StatusCode, tt.want)
		})
	}
}

func TestAgeRules(t *testing.T) {
	f := newFixture(t, t.TempDir(), map[string]string{"ZO_INGEST_ALLOWED_UPTO": "5", "ZO_INGEST_ALLOWED_IN_FUTURE": "24"})
	tests := []struct {
		name, body         string
		successful, failed int
		err                string
	}{
		{"fresh", fmt.Sprintf(`[{"_timestamp":%d}]`, at(0)), 1, 0, ""},
		{"no time", `[{"timestamp":"2001-01-01T00:00:00Z"}]`, 1, 0, ""},
		{"null time", `[{"_timestamp":null}]`, 1, 0, ""},
		{"at the edge", fmt.Sprintf(`[{"_timestamp":%d}]`, at(5*time.Hour)), 1, 0, ""},
		{"too old", fmt.Sprintf(`[{"_timestamp":%d}]`, at(5*time.Hour)-1), 0, 1, "Too old data, only last 5 hours"},
		{"too new", fmt.Sprintf(`[{"_timestamp":%d}]`, at(-24*time.Hour)+1), 0, 1, "Too far data, only future 24 hours"},
		{"mixed", fmt.Sprintf(`[{"_timestamp":%d},{"_timestamp":1}]`, at(0)), 1, 1, "Too old"},
		{"unreadable", `[{"_timestamp":"yesterday"}]`, 0, 1, "Can't parse timestamp"},
		{"boolean", `[{"_timestamp":true}]`, 0, 1, "Can't parse timestamp"},
		{"text", `[{"_timestamp":"2026-11-22T11:59:59Z"}]`, 1, 0, ""},
		{"not an object", `[1]`, 0, 1, "flatten value must be an object"},
		{"a single object", `{"a":1}`, 1, 0, ""},
		{"empty", `[]`, 0, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := f.ingest(t, "age", tt.body)
			assert.Equal(t, got.Successful, tt.successful)
			assert.Equal(t, got.Failed, tt.failed)
			assert.Assert(t, cmp.Contains(got.Error, tt.err))
		})
	}
}

func TestTimestampUnits(t *testing.T) {
	want := time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC).UnixMicro()
	tests := map[string]any{
		"seconds":      number(want / 1e6),
		"milliseconds": number(want / 1e3),
		"microseconds": number(want),
		"nanoseconds":  number(want * 1e3),
		"float":        json.Number(fmt.Sprintf("%d.0", want)),
		"digits":       fmt.Sprint(want),
		"rfc3339":      "2026-11-22T11:00:00Z",
		"offset":       "2026-11-22T12:00:00+01:00",
		"fraction":     "2026-11-22T11:00:00.000",
		"plain":        "2026-11-22 11:00:00",
		"rfc2822":      "Sun, 22 Nov 2026 11:00:00 +0000",
	}
	for name, in := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseTimestamp(in, 0)
			assert.NilError(t, err)
			assert.Equal(t, got, want)
		})
	}
}

func TestIngestRefusals(t *testing.T) {
	f := newFixture(t, t.TempDir(), map[string]string{"ZO_PAYLOAD_LIMIT": "1000", "ZO_COLS_PER_RECORD_LIMIT": "3"})
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, err := w.Write([]byte(`[{"a":1}]`))
	assert.NilError(t, err)
	assert.NilError(t, w.Close())
	tests := []struct {
		name, path, body string
		header           []string
		want             int
		contains         string
	}{
		{"bad json", "x/_json", `[{`, nil, 400, `"code":400`},
		{"trailing", "x/_json", `[] []`, nil, 400, `"code":400`},
		{"bad line", "x/_multi", "{}\n{", nil, 400, "Failed processing"},
		{"lines", "x/_multi", "{\"a\":1}\n\n{\"a\":2}\n", nil, 200, `"successful":2`},
		{"gzip", "x/_json", zipped.String(), []string{"Content-Encoding", "gzip"}, 200, `"successful":1`},
		{"not gzip", "x/_json", `[]`, []string{"Content-Encoding", "gzip"}, 400, "decompress"},
		{"unknown encoding", "x/_json", `[]`, []string{"Content-Encoding", "zstd"}, 415, ""},
		{"too large", "x/_json", `["` + strings.Repeat("x", 1000) + `"]`, nil, 413, ""},
		{"name is formatted", "My.Stream-1/_json", `{"a":1}`, nil, 200, `"name":"my_stream_1"`},
		// The loss that nothing in the answer shows.
		{"too many columns", "wide/_json", `{"a":1,"b":2,"c":3}`, nil, 200, `"successful":0,"failed":0`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, out := f.do(t, "POST", "/openobserve/api/default/"+tt.path, "application/json", []byte(tt.body), tt.header...)
			assert.Equal(t, code, tt.want, "%s", out)
			assert.Assert(t, cmp.Contains(string(out), tt.contains))
		})
	}
	_, page := f.do(t, "GET", "/openobserve/metrics", "", nil)
	assert.Assert(t, cmp.Contains(string(page), `error_type="schema_conformance_failed"`))
}

func TestFlatten(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"nested", `{"a":{"b":1}}`, `{"a_b":1}`},
		{"names", `{"Container-ID":"x","é.Ü":1,"a b":2}`, `{"a_b":2,"container_id":"x","é_ü":1}`},
		{"list", `{"a":{"l":[1,2.0,"b",null,true]}}`, `{"a_l":"[1,2.0,\"b\",null,true]"}`},
		{"empty and null", `{"a":{},"b":[],"c":null,"d":""}`, `{"d":""}`},
		{"level three becomes text", `{"a":{"b":{"c":{"d":1}}}}`, `{"a_b_c":"{\"d\":1}"}`},
		{"big numbers stay exact", `{"n":12345678901234567890}`, `{"n":12345678901234567890}`},
		{"no html escapes", `{"a":["<b>"]}`, `{"a":"[\"<b>\"]"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in, err := decodeValue([]byte(tt.in))
			assert.NilError(t, err)
			flat, err := flatten(in, 3)
			assert.NilError(t, err)
			got, err := marshal(flat)
			assert.NilError(t, err)
			assert.Equal(t, string(got), tt.want)
		})
	}
}

func TestSearch(t *testing.T) {
	f := newFixture(t, t.TempDir(), nil)
	f.ingest(t, "app", fmt.Sprintf(`[
		{"_timestamp":%d,"id":"1","level":"info","message":"Hello World","code":200,"kube":{"pod":"a-1"}},
		{"_timestamp":%d,"id":"2","level":"error","message":"disk full 100%%","code":500,"kube":{"pod":"a-2"}},
		{"_timestamp":%d,"id":"3","level":"error","message":"bad gateway","code":502,"user_id":"u1"},
		{"_timestamp":%d,"id":"4","level":"debug","message":"it's ok","code":204,"user_id":"u2"}]`,
		at(4*time.Minute), at(3*time.Minute), at(2*time.Minute), at(time.Minute)))
	tests := []struct{ sql, key, want string }{
		{`SELECT * FROM "app"`, "id", "4,3,2,1"},
		{`select * from app order by _timestamp`, "id", "1,2,3,4"},
		{`SELECT * FROM "app" ORDER BY _timestamp DESC LIMIT 2`, "id", "4,3"},
		{`SELECT * FROM "app" ORDER BY _timestamp ASC LIMIT 2 OFFSET 1;`, "id", "2,3"},
		{`SELECT * FROM "app" ORDER BY code DESC`, "id", "3,2,4,1"},
		{`SELECT id AS x FROM "app" WHERE level = 'error'`, "x", "3,2"},
		{`SELECT * FROM "app" WHERE level != 'error'`, "id", "4,1"},
		{`SELECT * FROM "app" WHERE code > 204 AND code < 502`, "id", "2"},
		{`SELECT * FROM "app" WHERE code >= 204 AND code <= 500`, "id", "4,2"},
		{`SELECT * FROM "app" WHERE code = '200' OR "id" = '3'`, "id", "3,1"},
		{`SELECT * FROM "app" WHERE level = 'error' AND (code = 500 OR code = 1)`, "id", "2"},
		{`SELECT * FROM "app" WHERE message LIKE '%100\%'`, "id", "2"},
		{`SELECT * FROM "app" WHERE message LIKE 'hello%'`, "id", ""},
		{`SELECT * FROM "app" WHERE message NOT LIKE '%_a_%' AND NOT level = 'debug'`, "id", "2,1"},
		{`SELECT * FROM "app" WHERE message = 'it''s ok'`, "id", "4"},
		{`SELECT * FROM "app" WHERE match_all('WORLD')`, "id", "1"},
		{`SELECT * FROM "app" WHERE str_match(message, 'world')`, "id", ""},
		{`SELECT * FROM "app" WHERE str_match_ignore_case(message, 'world')`, "id", "1"},
		{`SELECT * FROM "app" WHERE kube_pod IS NOT NULL`, "id", "2,1"},
		{`SELECT * FROM "app" WHERE kube_pod IS NULL`, "id", "4,3"},
		// A comparison with an absent field is unknown, and so is its negation.
		{`SELECT * FROM "app" WHERE NOT kube_pod = 'a-1'`, "id", "2"},
		{`SELECT message FROM "app" WHERE id = '3'`, "_timestamp", "1.79534868e+15"},
		{`SELECT count(*) AS n FROM "app"`, "n", "4"},
		{`SELECT count(*) FROM "app" WHERE level = 'nope'`, "count(*)", "0"},
		{`SELECT count(user_id) AS n FROM "app"`, "n", "2"},
		{`SELECT min(code) AS a, max(code) AS b, approx_distinct(level) AS c FROM "app"`, "c", "3"},
		{`SELECT min(code) AS a, max(code) AS b FROM "app"`, "b", "502"},
		{`SELECT count(*) AS n, approx_distinct(CAST(code AS VARCHAR)) AS c, approx_distinct("level") AS d FROM "app"`, "c", "4"},
		{`SELECT level, sum(octet_length("message")) AS b FROM "app" GROUP BY level ORDER BY level`, "b", "7,25,11"},
		{`SELECT sum(octet_length(kube_pod)) AS b FROM "app" WHERE kube_pod IS NULL`, "b", "<nil>"},
		{`SELECT level, count(*) AS n FROM "app" GROUP BY level ORDER BY n DESC LIMIT 1`, "level", "error"},
		{`SELECT level, count(*) AS n FROM "app" GROUP BY level ORDER BY level`, "n", "1,2,1"},
		{`SELECT user_id, count(*) AS n FROM "app" GROUP BY user_id ORDER BY n DESC`, "n", "2,1,1"},
	}
	for _, tt := range tests {
		t.Run(tt.sql, func(t *testing.T) {
			code, resp := f.sql(t, "logs", tt.sql)
			assert.Equal(t, code, 200, "%v", resp)
			assert.Equal(t, hits(resp, tt.key), tt.want)
			assert.Equal(t, int(resp["total"].(float64)), len(resp["hits"].([]any)))
		})
	}
}

func TestSearchRefusals(t *testing.T) {
	f := newFixture(t, t.TempDir(), nil)
	f.ingest(t, "app", `[{"level":"info","code":1,"part":0.5,"ok":true}]`)
	tests := []struct {
		sql  string
		code float64
	}{
		{`SELECT approx_distinct(part) AS a FROM "app"`, 20008},
		{`SELECT approx_distinct(ok) AS a FROM "app"`, 20008},
		{`SELECT sum(octet_length(code)) AS a FROM "app"`, 20008},
		{`SELECT sum(code) AS a FROM "app"`, 20001},
		{`SELECT min(octet_length(level)) AS a FROM "app"`, 20001},
		{`SELECT count(CAST(code AS VARCHAR)) AS a FROM "app"`, 20001},
		{`SELECT approx_distinct(CAST(code AS BIGINT)) AS a FROM "app"`, 20001},
		{`SELECT approx_distinct(CAST(nope AS VARCHAR)) AS a FROM "app"`, 20004},
		{`SELECT * FROM "nope"`, 20002},
		{`SELECT nope FROM "app"`, 20004},
		{`SELECT * FROM "app" WHERE nope = 1`, 20004},
		{`SELECT * FROM "app" ORDER BY nope`, 20004},
		{``, 20001},
		{`DELETE FROM "app"`, 20001},
		{`SELECT * FROM "app"; DROP TABLE app`, 20001},
		{"SELECT * FROM `app`", 20001},
		{`SELECT * FROM "app" WHERE`, 20001},
		{`SELECT * FROM "app" JOIN "b" ON a = b`, 20001},
		{`SELECT histogram(_timestamp) AS h FROM "app"`, 20001},
		{`SELECT level, count(*) AS n FROM "app"`, 20001},
		{`SELECT level, code, count(*) AS n FROM "app" GROUP BY level`, 20001},
		{`SELECT * FROM "app" GROUP BY level`, 20001},
		{`SELECT count(level) FROM "app"`, 20001},
		{`SELECT * FROM "app" WHERE code LIKE '1%'`, 20001},
		{`SELECT * FROM "app" WHERE match_all('x')`, 20001},
		{`SELECT * FROM "app" WHERE str_match(code, 'x')`, 20001},
		{`SELECT * FROM "app" LIMIT -1`, 20001},
		{`SELECT * FROM "app" WHERE ` + strings.Repeat("(", 65) + `code = 1` + strings.Repeat(")", 65), 20001},
		{`SELECT * FROM "app" WHERE level = 'open`, 20001},
	}
	for _, tt := range tests {
		t.Run(tt.sql, func(t *testing.T) {
			code, resp := f.sql(t, "logs", tt.sql)
			assert.Equal(t, code, 400)
			assert.Equal(t, resp["code"], tt.code, "%v", resp)
			assert.Assert(t, resp["message"] != "")
		})
	}
}

func TestSearchRequestRules(t *testing.T) {
	f := newFixture(t, t.TempDir(), nil)
	f.ingest(t, "app", `[{"level":"info"}]`)
	tests := []struct {
		name, contentType, body string
		want                    int
	}{
		{"no start", contentJSON, `{"query":{"sql":"x","end_time":2}}`, 422},
		{"no end", contentJSON, `{"query":{"sql":"x","start_time":2}}`, 422},
		{"no sql", contentJSON, `{"query":{"start_time":1,"end_time":2}}`, 422},
		{"no query", contentJSON, `{}`, 422},
		{"no json", contentJSON, `{`, 400},
		{"form", "text/plain", `{}`, 415},
		{"zero", contentJSON, `{"query":{"sql":"SELECT * FROM app","start_time":0,"end_time":2}}`, 400},
		{"reversed", contentJSON, `{"query":{"sql":"SELECT * FROM app","start_time":3,"end_time":2}}`, 400},
		{"size", contentJSON, `{"query":{"sql":"SELECT * FROM app","start_time":1,"end_time":2,"size":99999999}}`, 400},
		{"fine", contentJSON, `{"query":{"sql":"SELECT * FROM app","start_time":1,"end_time":2}}`, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, out := f.do(t, "POST", "/openobserve/api/default/_search", tt.contentType, []byte(tt.body))
			assert.Equal(t, code, tt.want, "%s", out)
		})
	}
}

func TestSearchWindowIsHalfOpen(t *testing.T) {
	f := newFixture(t, t.TempDir(), nil)
	first, last := at(2*time.Second), at(time.Second)
	f.ingest(t, "app", fmt.Sprintf(`[{"_timestamp":%d,"n":1},{"_timestamp":%d,"n":2}]`, first, last))
	body := fmt.Sprintf(`{"query":{"sql":"SELECT n FROM app","start_time":%d,"end_time":%d}}`, first, last)
	_, out := f.do(t, "POST", "/openobserve/api/default/_search", contentJSON, []byte(body))
	var resp map[string]any
	assert.NilError(t, json.Unmarshal(out, &resp))
	assert.Equal(t, hits(resp, "n"), "1")
}

func TestTypesWiden(t *testing.T) {
	f := newFixture(t, t.TempDir(), nil)
	f.ingest(t, "app", `[{"a":true,"b":1,"c":1,"d":"x"},{"a":1,"b":1.5,"c":"x","d":2}]`)
	code, out := f.do(t, "GET", "/openobserve/api/default/streams/app/schema?type=logs", "", nil)
	assert.Equal(t, code, 200)
	var info streamInfo
	assert.NilError(t, json.Unmarshal(out, &info))
	assert.DeepEqual(t, info.Schema, []streamField{
		{"_timestamp", typeInt}, {"a", typeInt}, {"b", typeFloat}, {"c", typeString}, {"d", typeString},
	})
	_, resp := f.sql(t, "logs", `SELECT c FROM app WHERE c = '1'`)
	assert.Equal(t, resp["hits"].([]any)[0].(map[string]any)["c"], "1")
}

func TestStatsLag(t *testing.T) {
	f := newFixture(t, t.TempDir(), nil)
	now := testNow()
	f.server.now = func() time.Time { return now }
	f.ingest(t, "app", fmt.Sprintf(`[{"_timestamp":%d},{"_timestamp":%d}]`, at(time.Hour), at(time.Minute)))
	key := streamKey{"default", kindLogs, "app"}
	docs := func() int64 { return f.describe(key, false).Stats.Docs }
	assert.Equal(t, docs(), int64(0))
	f.publishStats()
	now = now.Add(f.cfg.fileRetention - time.Second)
	f.publishStats()
	assert.Equal(t, docs(), int64(0), "the file has not been moved yet")
	now = now.Add(time.Second)
	f.publishStats()
	stats := f.describe(key, false).Stats
	assert.Equal(t, stats.Docs, int64(2))
	assert.Equal(t, stats.Min, at(time.Hour))
	assert.Equal(t, stats.Max, at(time.Minute))
	assert.Assert(t, stats.Storage > 0 && stats.Storage < 1, "MB")
	_, page := f.do(t, "GET", "/openobserve/metrics", "", nil)
	assert.Assert(t, cmp.Contains(string(page), `zo_ingest_records{cluster="zo1"`))
	assert.Assert(t, cmp.Regexp(`zo_storage_records\{[^}]*stream_type="logs"\} 2\n`, string(page)))
}

func TestStreamListAndRetention(t *testing.T) {
	dir := t.TempDir()
	f := newFixture(t, dir, nil)
	for _, name := range []string{"b", "a", "other"} {
		f.ingest(t, name, `[{"x":1}]`)
	}
	names := func(f fixture, query string) string {
		_, out := f.do(t, "GET", "/openobserve/api/default/streams?"+query, "", nil)
		var resp struct{ List []streamInfo }
		assert.NilError(t, json.Unmarshal(out, &resp))
		var list []string
		for _, s := range resp.List {
			list = append(list, s.Name)
		}
		return strings.Join(list, ",")
	}
	assert.Equal(t, names(f, "type=logs"), "a,b,other")
	assert.Equal(t, names(f, "type=logs&asc=false"), "other,b,a")
	assert.Equal(t, names(f, "type=logs&limit=1&offset=1"), "b")
	assert.Equal(t, names(f, "type=logs&keyword=oth"), "other")
	assert.Equal(t, names(f, "type=traces"), "")

	code, out := f.do(t, "PUT", "/openobserve/api/default/streams/a/settings?type=logs", contentJSON, []byte(`{"data_retention":7}`))
	assert.Equal(t, code, 200, "%s", out)
	code, _ = f.do(t, "PUT", "/openobserve/api/default/streams/none/settings", contentJSON, []byte(`{"data_retention":7}`))
	assert.Equal(t, code, 404)
	code, _ = f.do(t, "PUT", "/openobserve/api/default/streams/a/settings", contentJSON, []byte(`{}`))
	assert.Equal(t, code, 400)
	f.store.close()
	again := newFixture(t, dir, nil)
	assert.Equal(t, again.describe(streamKey{"default", kindLogs, "a"}, false).Settings.Retention, int64(7))
}

func TestPersistenceAndTornLine(t *testing.T) {
	tests := []struct{ name, tail string }{
		{"clean", ""},
		{"no newline", `{"_timestamp":17`},
		{"newline in half a record", "{\"_timestamp\":17\n"},
		{"no time", "{}\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			f := newFixture(t, dir, nil)
			f.ingest(t, "app", `[{"n":1},{"n":2}]`)
			f.store.close()
			path := filepath.Join(dir, "lab-standin/streams/default/logs/app.jsonl")
			file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			assert.NilError(t, err)
			_, err = file.WriteString(tt.tail)
			assert.NilError(t, err)
			assert.NilError(t, file.Close())

			again := newFixture(t, dir, nil)
			assert.Equal(t, again.store.torn > 0, tt.tail != "")
			again.ingest(t, "app", `[{"n":3}]`)
			_, resp := again.sql(t, "logs", `SELECT count(*) AS n FROM app`)
			assert.Equal(t, hits(resp, "n"), "3")
		})
	}
}

func TestDamageInsideIsAnError(t *testing.T) {
	_, err := loadRecords(strings.NewReader("{\"_timestamp\":1}\nrubbish\n{\"_timestamp\":2}\n"))
	assert.ErrorContains(t, err, "damaged record at byte 17")
}

func TestOTLP(t *testing.T) {
	f := newFixture(t, t.TempDir(), nil)
	logs := plog.NewLogs()
	rl := logs.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", "shop")
	sl := rl.ScopeLogs().AppendEmpty()
	for _, age := range []time.Duration{time.Minute, 48 * time.Hour} {
		lr := sl.LogRecords().AppendEmpty()
		lr.SetTimestamp(pcommon.NewTimestampFromTime(testNow().Add(-age)))
		lr.Body().SetStr("paid")
		lr.SetSeverityText("INFO")
		lr.Attributes().PutInt("order.id", 42)
		lr.SetTraceID(pcommon.TraceID{1})
	}
	body, err := plogotlp.NewExportRequestFromLogs(logs).MarshalProto()
	assert.NilError(t, err)
	code, out := f.do(t, "POST", "/openobserve/api/default/v1/logs", contentProto, body, "stream-name", "Otel")
	assert.Equal(t, code, 200)
	resp := plogotlp.NewExportResponse()
	assert.NilError(t, resp.UnmarshalProto(out))
	assert.Equal(t, resp.PartialSuccess().RejectedLogRecords(), int64(1))
	_, found := f.sql(t, "logs", `SELECT * FROM "otel" WHERE service_name = 'shop' AND order_id = 42 AND match_all('PAID')`)
	assert.Equal(t, hits(found, "trace_id"), "01000000000000000000000000000000")

	traces := ptrace.NewTraces()
	sp := traces.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	sp.SetTraceID(pcommon.TraceID{2})
	sp.SetSpanID(pcommon.SpanID{3})
	sp.SetName("GET /")
	sp.SetStartTimestamp(pcommon.NewTimestampFromTime(testNow().Add(-time.Second)))
	sp.SetEndTimestamp(pcommon.NewTimestampFromTime(testNow()))
	sp.Attributes().PutStr("duration", "long")
	body, err = ptraceotlp.NewExportRequestFromTraces(traces).MarshalJSON()
	assert.NilError(t, err)
	code, out = f.do(t, "POST", "/openobserve/api/default/v1/traces", contentJSON, body)
	assert.Equal(t, code, 200)
	assert.Equal(t, string(out), `{"partialSuccess":null}`)
	_, found = f.sql(t, "traces", `SELECT duration, attr_duration FROM "default" WHERE operation_name = 'GET /'`)
	assert.Equal(t, hits(found, "duration"), "1e+06")
	assert.Equal(t, hits(found, "attr_duration"), "long")

	metrics := pmetric.NewMetrics()
	m := metrics.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("http.latency")
	dp := m.SetEmptyHistogram().DataPoints().AppendEmpty()
	dp.SetTimestamp(pcommon.NewTimestampFromTime(testNow()))
	dp.SetCount(3)
	dp.SetSum(1.5)
	dp.ExplicitBounds().FromRaw([]float64{0.5})
	dp.BucketCounts().FromRaw([]uint64{1, 2})
	body, err = pmetricotlp.NewExportRequestFromMetrics(metrics).MarshalProto()
	assert.NilError(t, err)
	code, _ = f.do(t, "POST", "/openobserve/api/default/v1/metrics", contentProto, body)
	assert.Equal(t, code, 200)
	_, found = f.sql(t, "metrics", `SELECT le, value FROM "http_latency_bucket" ORDER BY value`)
	assert.Equal(t, hits(found, "value"), "1,3")

	code, out = f.do(t, "POST", "/openobserve/api/default/v1/logs", contentProto, []byte("\xff"))
	assert.Equal(t, code, 400)
	assert.Assert(t, cmp.Contains(string(out), "Invalid proto"))
	code, _ = f.do(t, "POST", "/openobserve/api/default/v1/logs", "text/plain", nil)
	assert.Equal(t, code, 400)
}
