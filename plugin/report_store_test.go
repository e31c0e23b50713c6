package plugin

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
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

	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
)

const aToken = "3f9c-token"

// prometheus answers as Prometheus 3 does, to whom has the token, with 300 series of a counter.
func prometheus(t *testing.T, scheme func(http.Handler) *httptest.Server) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /prom/api/v1/status/tsdb", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"status":"success","data":{"headStats":{"numSeries":300,"numLabelPairs":303,"chunkCount":1,"minTime":1,"maxTime":2},
			"seriesCountByMetricName":[{"name":"orders_total","value":300}],"labelValueCountByLabelName":[{"name":"user_id","value":300}],
			"memoryInBytesByLabelName":[],"seriesCountByLabelPair":[{"name":"job=shop","value":300}]}}`)
	})
	mux.HandleFunc("GET /prom/api/v1/metadata", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"status":"success","data":{"orders_total":[{"type":"counter","help":"","unit":""}]}}`)
	})
	mux.HandleFunc("GET /prom/api/v1/label/__name__/values", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"status":"success","data":["orders_total"]}`)
	})
	mux.HandleFunc("GET /prom/api/v1/series", func(w http.ResponseWriter, _ *http.Request) {
		var all []string
		for i := range 300 {
			all = append(all, fmt.Sprintf(`{"__name__":"orders_total","job":"shop","user_id":"%d"}`, 100000+7919*i))
		}
		fmt.Fprintf(w, `{"status":"success","data":[%s]}`, strings.Join(all, ","))
	})
	mux.HandleFunc("GET /prom/api/v1/query", func(http.ResponseWriter, *http.Request) { t.Error("a report must not query it") })
	server := scheme(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+aToken {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server
}

func pemOf(server *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

func reportOn(t *testing.T, from storeOptions) (report cardinality.Report, err error) {
	t.Helper()
	var out bytes.Buffer
	a := &app{progress: "quiet", deps: deps{
		stdout: &out, stderr: io.Discard, now: time.Now,
		stdoutTerminal: func() bool { return false }, stderrTerminal: func() bool { return false },
	}}
	err = runReportCardinality(t.Context(), a, cardinalityOptions{from: from, format: "json", top: 20, since: 24 * time.Hour})
	if err == nil {
		assert.NilError(t, json.Unmarshal(out.Bytes(), &report))
	}
	return report, err
}

func fileWith(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	assert.NilError(t, os.WriteFile(file, []byte(content), 0o600))
	return file
}

func TestReportOnPrometheus(t *testing.T) {
	server := prometheus(t, httptest.NewServer)
	report, err := reportOn(t, storeOptions{url: server.URL + "/prom/", tokenFile: fileWith(t, aToken+"\n")})
	assert.NilError(t, err)
	assert.Equal(t, report.Summary.Series, 300)
	assert.Equal(t, *report.Summary.ActiveSeries, 300.0)
	assert.Assert(t, report.Summary.SeriesYesterday == nil, "its head block is of no day")
	assert.Equal(t, report.Findings[0].Code, cardinality.UnboundedLabel)
	assert.Equal(t, report.Findings[0].Saved, 299)
	assert.Assert(t, strings.Contains(strings.Join(report.Notes, "\n"), "what queries have read: this store does not tell"), "%q", report.Notes)

	t.Setenv(tokenVariable, aToken)
	_, err = reportOn(t, storeOptions{url: server.URL + "/prom"})
	assert.NilError(t, err)
}

func TestReportOnAStoreWithTLS(t *testing.T) {
	t.Setenv(tokenVariable, aToken)
	server := prometheus(t, httptest.NewTLSServer)
	_, err := reportOn(t, storeOptions{url: server.URL + "/prom", caFile: fileWith(t, pemOf(server))})
	assert.NilError(t, err)
	_, err = reportOn(t, storeOptions{url: server.URL + "/prom"})
	assert.ErrorContains(t, err, "certificate")
}

func TestReportElsewhereFails(t *testing.T) {
	server := prometheus(t, httptest.NewServer)
	token := fileWith(t, aToken)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for _, tc := range []struct {
		from        storeOptions
		code        int
		error, hint string
	}{
		{storeOptions{url: server.URL + "/prom"}, exitUnchecked, "answered 401", "--token-file"},
		{storeOptions{url: server.URL, tokenFile: token}, exitUnchecked, "answered 404", "select/0/prometheus"},
		{storeOptions{url: gone.URL}, exitUnchecked, "connection refused", "curl " + gone.URL},
		{storeOptions{url: "prometheus:9090"}, exitUsage, "--url takes an address", ""},
		{storeOptions{url: "http://me:secret@prometheus:9090"}, exitUsage, "--url takes no password", "--password-file"},
		{storeOptions{url: "http://prometheus:9090/?a=b"}, exitUsage, "without ? and #", ""},
		{storeOptions{user: "me"}, exitUsage, "--user is for a store that --url names", ""},
		{storeOptions{url: server.URL, tokenFile: "nowhere"}, exitUsage, "--token-file: ", ""},
		{storeOptions{url: server.URL, tokenFile: fileWith(t, "a\nb")}, exitUsage, "holds no secret of one line", ""},
		{storeOptions{url: server.URL, caFile: token}, exitUsage, "holds no certificate in PEM", ""},
	} {
		_, err := reportOn(t, tc.from)
		assert.ErrorContains(t, err, tc.error)
		assert.Equal(t, exitCode(false, err), tc.code, "%v", err)
		var hinted interface{ Hint() string }
		if tc.hint != "" {
			assert.Assert(t, errors.As(err, &hinted) && strings.Contains(hinted.Hint(), tc.hint), "%v", err)
		}
		assert.Assert(t, !strings.Contains(err.Error(), "secret@"), "%v", err)
	}
}

// A log-in is for the host it was given for: a store that sends elsewhere does not get to pass it on.
func TestReportFollowsNoRedirect(t *testing.T) {
	asked := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	t.Cleanup(other.Close)
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	t.Cleanup(server.Close)
	_, err := reportOn(t, storeOptions{url: server.URL, tokenFile: fileWith(t, aToken)})
	assert.ErrorContains(t, err, "answered 302")
	assert.Assert(t, !asked)
}

func TestALogInWithoutTLSIsSaid(t *testing.T) {
	var said string
	o := storeOptions{url: "http://prometheus.example:9090", user: "me"}
	_, err := o.client(func(string) string { return "" }, func(text string) { said = text })
	assert.NilError(t, err)
	assert.Equal(t, said, "the log-in goes to prometheus.example:9090 without TLS")
	said = ""
	o.url = "http://127.0.0.1:9090"
	_, err = o.client(func(string) string { return "" }, func(text string) { said = text })
	assert.NilError(t, err)
	assert.Equal(t, said, "")
}
