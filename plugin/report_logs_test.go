package plugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/logs"
)

// logsServer answers as OpenObserve does that has one stream of 2,000 records, each with an id of its own, to who knows the password.
// What it says of it is in search, by a part of the query; an empty one has no streams.
func logsServer(t *testing.T, name string, search map[string]http.HandlerFunc) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /oo/api/default/streams", func(w http.ResponseWriter, r *http.Request) {
		if name == "" || r.URL.Query().Get("type") != "logs" {
			fmt.Fprint(w, `{"list":[],"total":0}`)
			return
		}
		called, _ := json.Marshal(name)
		fmt.Fprintf(w, `{"list":[{"name":%s,"stats":{"doc_num":2000,"storage_size":4.0,"compressed_size":0.5,"index_size":0.25},"total_fields":4}],"total":1}`, called)
	})
	mux.HandleFunc("GET /oo/api/default/streams/{stream}/schema", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"schema":[{"name":"_timestamp","type":"Int64"},{"name":"message","type":"Utf8"},{"name":"request_id","type":"Utf8"},{"name":"service","type":"Utf8"}]}`)
	})
	mux.HandleFunc("POST /oo/api/default/_search", func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		for part, answer := range search {
			if strings.Contains(string(raw), part) {
				answer(w, r)
				return
			}
		}
		switch {
		case bytes.Contains(raw, []byte("approx_distinct")):
			fmt.Fprint(w, `{"hits":[{"records":2000,"n0":2000,"d0":2000,"n1":2000,"d1":1980,"n2":2000,"d2":2013,"n3":2000,"d3":1}],"is_partial":false}`)
		case bytes.Contains(raw, []byte("GROUP BY")):
			fmt.Fprint(w, `{"hits":[{"value":"shop","records":2000,"bytes":70000}],"is_partial":false}`)
		default:
			fmt.Fprint(w, `{"hits":[{"_timestamp":1795132800000001,"message":"order of ann@example.org was sent","request_id":"6f1d9d1e-2b6c-4f0e-9a53-0d4e6f7a8b9c","service":"shop"}]}`)
		}
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "root@telemetry.local" || password != aToken {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"code":401,"message":"Unauthorized Access"}`)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server
}

func logsFrom(t *testing.T, server *httptest.Server) storeOptions {
	t.Helper()
	return storeOptions{url: server.URL + "/oo/", user: "root@telemetry.local", passwordFile: fileWith(t, aToken+"\n")}
}

func logsOn(t *testing.T, o cardinalityOptions) (string, error) {
	t.Helper()
	var out bytes.Buffer
	a := &app{progress: "quiet", deps: deps{
		stdout: &out, stderr: io.Discard, now: time.Now,
		stdoutTerminal: func() bool { return false }, stderrTerminal: func() bool { return false },
	}}
	o.source, o.top = sourceLogs, 20
	if o.since == 0 && o.date == "" {
		o.since = time.Hour
	}
	err := runReportCardinality(t.Context(), a, o)
	return out.String(), err
}

func TestReportLogs(t *testing.T) {
	server := logsServer(t, "docker", nil)
	out, err := logsOn(t, cardinalityOptions{from: logsFrom(t, server), format: "json"})
	assert.NilError(t, err)
	var report logs.Report
	assert.NilError(t, json.Unmarshal([]byte(out), &report))
	assert.Assert(t, report.Complete, "%q", report.Notes)
	assert.Equal(t, report.Findings[0].Code+" "+report.Findings[0].Field, "DTL001 request_id")
	assert.Equal(t, report.Findings[0].Values, int64(2000), "no more than there are records")
	assert.Equal(t, report.To.Sub(report.From), time.Hour)
	assert.Assert(t, !strings.Contains(out, "ann@"), out)
	for format, want := range map[string]string{"table": "FINDINGS\nCODE ", "csv": "logs,docker,2000,", "markdown": "| DTL001 |", "html": "<code>request_id</code>"} {
		out, err := logsOn(t, cardinalityOptions{from: logsFrom(t, server), format: format})
		assert.NilError(t, err)
		assert.Assert(t, strings.Contains(out, want), out)
	}
	file := filepath.Join(t.TempDir(), "logs.html")
	out, err = logsOn(t, cardinalityOptions{from: logsFrom(t, server), format: "html", output: file})
	assert.NilError(t, err)
	assert.Equal(t, out, "")
	_, err = os.Stat(file)
	assert.NilError(t, err)
}

// A day is that of UTC, from its begin to its end.
func TestReportLogsOfADay(t *testing.T) {
	out, err := logsOn(t, cardinalityOptions{from: logsFrom(t, logsServer(t, "docker", nil)), format: "json", date: "2026-03-14"})
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(out, `"from": "2026-03-14T00:00:00Z"`) && strings.Contains(out, `"to": "2026-03-15T00:00:00Z"`), out)
}

func TestReportLogsEnds(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	good := logsServer(t, "docker", nil)
	const none = ""
	for _, tc := range []struct {
		name        string
		options     cardinalityOptions
		code        int
		error, hint string
		printed     bool
	}{
		{"an empty store", cardinalityOptions{from: logsFrom(t, logsServer(t, none, nil))}, exitDone, "", "", true},
		{"fields enough", cardinalityOptions{from: logsFrom(t, good), maxFields: 3}, exitFindings, `4 fields of "docker" are more than --max-fields 3`, "", true},
		{"fields few enough", cardinalityOptions{from: logsFrom(t, good), maxFields: 4}, exitDone, "", "", true},
		{
			"a part",
			cardinalityOptions{
				from: logsFrom(t, logsServer(t, "docker", map[string]http.HandlerFunc{"GROUP BY": says(`{"hits":[],"is_partial":true}`)})), maxFields: 3,
			},
			exitUnchecked, "the report is not complete", "--since 1h", true,
		},
		{
			"a store that is full",
			cardinalityOptions{from: logsFrom(t, logsServer(t, "docker", map[string]http.HandlerFunc{"approx": refuses(503, `{"message":"Memory table overflow"}`)}))},
			exitUnchecked, "the report is not complete", "", true,
		},
		{
			"an answer that is none",
			cardinalityOptions{from: logsFrom(t, logsServer(t, "docker", map[string]http.HandlerFunc{"approx": says("<html>")}))},
			exitUnchecked, "the report is not complete", "", true,
		},
		{
			"no log-in",
			cardinalityOptions{from: storeOptions{url: good.URL + "/oo"}},
			exitUnchecked, "the store of logs cannot be read: OpenObserve answered 401: Unauthorized Access", "--user and --password-file", false,
		},
		{
			"another path",
			cardinalityOptions{from: storeOptions{url: good.URL, user: "root@telemetry.local", passwordFile: fileWith(t, aToken)}},
			exitUnchecked, "answered 404", "what stands before /api", false,
		},
		{"nobody", cardinalityOptions{from: storeOptions{url: gone.URL}}, exitUnchecked, "connection refused", "curl " + gone.URL + "/healthz", false},
		{"its password", cardinalityOptions{from: storeOptions{url: good.URL, passwordFile: "nowhere"}}, exitUsage, "--password-file: ", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.options.format = "table"
			out, err := logsOn(t, tc.options)
			assert.Equal(t, exitCode(false, err), tc.code, "%v", err)
			assert.Equal(t, out != "", tc.printed, out)
			if tc.error != "" {
				assert.ErrorContains(t, err, tc.error)
			}
			var hinted interface{ Hint() string }
			if tc.hint != "" {
				assert.Assert(t, errors.As(err, &hinted) && strings.Contains(hinted.Hint(), tc.hint), "%v", err)
			}
		})
	}
}

// Streams, fields and values are called by whoever logs; the terminal and its logs must not notice.
func TestReportLogsOnAHostileStore(t *testing.T) {
	const name = "=1+1\x1b[31m\u202e<script>"
	hostile, err := json.Marshal(name)
	assert.NilError(t, err)
	server := logsServer(t, name, map[string]http.HandlerFunc{
		"GROUP BY": says(`{"hits":[{"value":` + string(hostile) + `,"records":20000000000,"bytes":1}]}`),
		"SELECT *": says(`{"hits":[{"message":` + string(hostile) + `,` + string(hostile) + `:1}]}`),
	})
	for _, format := range []string{"table", "csv", "markdown", "html"} {
		out, err := logsOn(t, cardinalityOptions{from: logsFrom(t, server), format: format})
		assert.NilError(t, err)
		assertPlain(t, out)
		assert.Assert(t, strings.Contains(out, "1+1") && !strings.Contains(out, ",=1+1"), out)
		assert.Assert(t, format == "table" || format == "csv" || !strings.Contains(out, `\u202e<script>`), out)
	}
}
