//go:build e2e

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// smallOverlay gives both stores volumes of their own, in memory, that a test can fill.
const smallOverlay = `volumes:
  victoriametrics-data: {driver_opts: {type: tmpfs, device: tmpfs, o: "size=300m"}}
  openobserve-data: {driver_opts: {type: tmpfs, device: tmpfs, o: "size=60m"}}
`

// TestDiskGuard: both stores refuse before their volumes are full, nothing crashes or restarts, all that was acknowledged is there, and
// the report names the cause.
func TestDiskGuard(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	overlay := filepath.Join(t.TempDir(), "small.yaml")
	assert.NilError(t, os.WriteFile(overlay, []byte(smallOverlay), 0o644))
	e.up("-f", overlay, "--disk", "1G")
	config := e.ok(e.telemetry("config")).stdout
	// A tenth of each stays free.
	assert.Assert(t, strings.Contains(config, "minFreeDiskSpaceBytes=31457280"), config)
	assert.Assert(t, strings.Contains(config, `ZO_DISK_CIRCUIT_BREAKER_THRESHOLD: "90"`), config)
	before := e.ids(e.name)
	e.ok(e.telemetry("up", "--disk", "1G"))
	assert.DeepEqual(t, e.ids(e.name), before)

	// OpenObserve looks at its disk each minute, and VictoriaMetrics is filled meanwhile.
	lines := 0
	for range 5 { // the gateway takes 32 MB at a time
		e.answers(t, "openobserve", http.MethodPost, "/openobserve/api/default/docker/_json", filler(11, &lines), http.StatusOK)
	}
	series, refusal := e.fillMetrics(t)
	assert.Assert(t, strings.Contains(refusal, "read-only"), refusal)
	t.Logf("VictoriaMetrics took %d series and then said %.300s", series, refusal)
	eventually(t, 90*time.Second, func() error {
		more := 0
		text, status, err := e.ask("openobserve", http.MethodPost, "/openobserve/api/default/docker/_json", filler(0, &more))
		if err == nil && status == http.StatusOK {
			lines += more
		}
		if err != nil || status != http.StatusServiceUnavailable || !strings.Contains(text, "DiskCircuitBreakerError") {
			return fmt.Errorf("%d %.300s %w", status, text, err)
		}
		return nil
	})

	assert.DeepEqual(t, e.ids(e.name), before)
	for name := range before {
		assert.Equal(t, e.docker("inspect", "--format", "{{.RestartCount}} {{.State.OOMKilled}}", name), "0 false", name)
	}
	assert.Assert(t, e.status().Healthy)
	assert.Equal(t, e.counted(t, `count(last_over_time(e2e_fill[1h]))`), series)
	found, err := e.search("logs", `SELECT count(*) AS n FROM "docker" WHERE level = 'e2e filler'`)
	assert.NilError(t, err)
	assert.Equal(t, found[0]["n"], float64(lines))

	r := e.ok(e.telemetry("report", "retention", "--format", "json"))
	var report struct {
		Findings []struct{ Code, Store, Title string }
	}
	assert.NilError(t, json.Unmarshal([]byte(r.stdout), &report), "%s", r)
	named := map[string]string{}
	for _, finding := range report.Findings {
		if finding.Code == "DTR011" {
			named[finding.Store] = finding.Title
		}
	}
	assert.Assert(t, strings.Contains(named["metrics"], "VictoriaMetrics takes nothing more"), r)
	assert.Assert(t, strings.Contains(named["logs"], "OpenObserve takes nothing more"), r)
}

// filler is so many megabytes of lines that do not get smaller, and one line at least.
func filler(megabytes int, lines *int) string {
	random := rand.NewChaCha8([32]byte{byte(megabytes)})
	var out []string
	for size := 0; size == 0 || size < megabytes<<20; {
		raw := make([]byte, 48<<10)
		_, _ = random.Read(raw)
		line := fmt.Sprintf(`{"level":"e2e filler","message":%q}`, base64.StdEncoding.EncodeToString(raw))
		out, size = append(out, line), size+len(line)
	}
	*lines += len(out)
	return "[" + strings.Join(out, ",") + "]"
}

// fillMetrics writes series with long labels until VictoriaMetrics refuses, and returns how many it took and what it said then.
func (e *env) fillMetrics(t *testing.T) (series int, refusal string) {
	t.Helper()
	random := rand.NewChaCha8([32]byte{1})
	const batch, most = 50, 30_000
	for series < most {
		var body strings.Builder
		for i := range batch {
			labels := map[string]string{"__name__": "e2e_fill", "n": strconv.Itoa(series + i)}
			for label := range 10 {
				raw := make([]byte, 2900)
				_, _ = random.Read(raw)
				labels["filler_"+strconv.Itoa(label)] = base64.StdEncoding.EncodeToString(raw)
			}
			line, err := json.Marshal(map[string]any{"metric": labels, "values": []int{1}, "timestamps": []int64{time.Now().UnixMilli()}})
			assert.NilError(t, err)
			body.Write(append(line, '\n'))
		}
		text, status, err := e.ask("victoriametrics", http.MethodPost, "/victoriametrics/api/v1/import", body.String())
		assert.NilError(t, err)
		if status != http.StatusNoContent {
			return series, strconv.Itoa(status) + " " + text
		}
		series += batch
	}
	t.Fatalf("VictoriaMetrics took %d series and did not refuse; its disk: %s", series, e.docker("exec", e.name+"-victoriametrics-1", "df", "-k", "/storage"))
	return 0, ""
}

// counted is the one value of an instant query.
func (e *env) counted(t *testing.T, query string) int {
	t.Helper()
	body := e.answers(t, "victoriametrics", http.MethodGet, "/victoriametrics/api/v1/query?latency_offset=1ms&query="+url.QueryEscape(query), "", http.StatusOK)
	var answer struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	assert.NilError(t, json.Unmarshal([]byte(body), &answer), body)
	assert.Equal(t, len(answer.Data.Result), 1, body)
	count, err := strconv.Atoi(fmt.Sprint(answer.Data.Result[0].Value[1]))
	assert.NilError(t, err)
	return count
}
