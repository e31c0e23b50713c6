package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/retention"
)

// ownStore answers as VictoriaMetrics does that scrapes itself since 20 days: a sample of one byte each, 6,000,000 a day, with free
// bytes on its disk. It refuses to be asked for a sample of anything else.
func ownStore(t *testing.T, free float64) *httptest.Server {
	t.Helper()
	now := time.Now()
	vector := func(samples ...string) string {
		return `{"status":"success","data":{"result":[` + strings.Join(samples, ",") + `]}}`
	}
	sample := func(value float64, labels string) string {
		return fmt.Sprintf(`{"metric":{%s},"value":[1,"%f"]}`, labels, value)
	}
	begin := float64(now.AddDate(0, 0, -20).Unix())
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/status/tsdb", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"status":"success","data":{"totalSeries":10,"seriesCountByMetricName":[{"name":"orders_total","value":8}]}}`)
	})
	mux.HandleFunc("GET /api/v1/labels", func(w http.ResponseWriter, r *http.Request) {
		var end int64
		_, _ = fmt.Sscan(r.URL.Query().Get("end"), &end)
		if end < int64(begin) {
			fmt.Fprint(w, `{"status":"success","data":[]}`)
			return
		}
		fmt.Fprint(w, `{"status":"success","data":["job"]}`)
	})
	mux.HandleFunc("GET /api/v1/query_range", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, vector()) })
	mux.HandleFunc("GET /snapshot/list", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"status":"ok","snapshots":[]}`) })
	mux.HandleFunc("GET /api/v1/query", func(w http.ResponseWriter, r *http.Request) {
		expression := r.URL.Query().Get("query")
		switch {
		case expression == "time()":
			fmt.Fprint(w, vector(sample(float64(now.Unix()), "")))
		case strings.Contains(expression, "flag{"):
			fmt.Fprint(w, vector(sample(1, `"name":"retentionPeriod","value":"14d","is_set":"true"`)))
		case strings.Contains(expression, `"vm_data_size_bytes|`):
			fmt.Fprint(w, vector(
				sample(120e6, `"__name__":"vm_data_size_bytes","type":"storage/small"`), sample(120e6, `"__name__":"vm_rows","type":"storage/small"`),
				sample(free, `"__name__":"vm_free_disk_space_bytes","path":"/storage"`)))
		case strings.Contains(expression, "tfirst_over_time(vm_app_uptime_seconds"):
			fmt.Fprint(w, vector(sample(begin, "")))
		case strings.Contains(expression, "vm_rows_added_to_storage_total[604800s]"):
			fmt.Fprint(w, vector(sample(42e6, "")))
		case strings.Contains(expression, "vm_") || strings.Contains(expression, "zo_"):
			fmt.Fprint(w, vector())
		default:
			t.Errorf("a report must not query %s", expression)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func retentionOn(t *testing.T, o retentionOptions) (report retention.Report, err error) {
	t.Helper()
	var out bytes.Buffer
	a := &app{progress: "quiet", deps: deps{
		stdout: &out, stderr: io.Discard, now: time.Now,
		stdoutTerminal: func() bool { return false }, stderrTerminal: func() bool { return false },
	}}
	o.format, o.horizon = "json", "30d"
	err = runReportRetention(t.Context(), a, o)
	if out.Len() > 0 {
		assert.NilError(t, json.Unmarshal(out.Bytes(), &report))
	}
	return report, err
}

func TestReportRetention(t *testing.T) {
	server := ownStore(t, 60e6)
	report, err := retentionOn(t, retentionOptions{from: storeOptions{url: server.URL}, whatIf: []string{"metrics=7d"}})
	assert.NilError(t, err)
	assert.Equal(t, len(report.Streams), 1)
	assert.Equal(t, report.Streams[0].Retention.Days, 14.0)
	assert.Equal(t, report.WhatIf.Changes[0].Days, 7.0)
	// 60 MB at 6 MB a day.
	left := report.Limits[0].Full.Expected.Sub(report.At).Hours() / 24
	assert.Assert(t, left >= 9 && left <= 11, "%g", left)
}

// The gates: what is full too soon ends with 3, what is not known with 4.
func TestReportRetentionGates(t *testing.T) {
	tight, roomy := ownStore(t, 60e6), ownStore(t, 60e9)
	for _, tc := range []struct {
		name   string
		url    string
		days   float64
		budget string
		code   int
		error  string
	}{
		{"no gate", tight.URL, 0, "", exitDone, ""},
		{"enough days", tight.URL, 5, "", exitDone, ""},
		{"too few days", tight.URL, 30, "", exitFindings, "the volume of 180.0 MB is full in 10 d, less than --min-days-left 30"},
		{"never full", roomy.URL, 30, "", exitDone, ""},
		{"a budget that is spent", roomy.URL, 0, "100MB", exitFindings, "the budget of 100.0 MB is full"},
		{"a budget that lasts", roomy.URL, 0, "10GB", exitDone, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := retentionOn(t, retentionOptions{
				from: storeOptions{url: tc.url}, minDaysLeft: tc.days, daysSet: tc.days > 0, maxDisk: tc.budget, limitSet: tc.budget != "",
			})
			assert.Equal(t, exitCode(false, err), tc.code, "%v", err)
			if tc.error != "" {
				assert.ErrorContains(t, err, tc.error)
			}
		})
	}
	empty := prometheus(t, httptest.NewServer)
	t.Setenv(tokenVariable, aToken)
	_, err := retentionOn(t, retentionOptions{from: storeOptions{url: empty.URL + "/prom"}, minDaysLeft: 1, daysSet: true})
	assert.Equal(t, exitCode(false, err), exitUnchecked)
	assert.ErrorContains(t, err, "when the disk is full is not known yet")
}

func TestReportRetentionOfAnUnknownStream(t *testing.T) {
	_, err := retentionOn(t, retentionOptions{from: storeOptions{url: ownStore(t, 1e9).URL}, whatIf: []string{"logs/nowhere=7d"}})
	assert.Equal(t, exitCode(false, err), exitUsage)
	assert.Error(t, err, `--what-if: there is no stream "nowhere" of logs`)
}
