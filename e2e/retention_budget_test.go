//go:build e2e

package e2e

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
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

// smallOverlay gives both stores volumes of their own, in memory, that a test can fill. What is in them counts as the memory of who wrote
// it.
const smallOverlay = `services:
  victoriametrics: {deploy: {resources: {limits: {memory: 1g}}}}
volumes:
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
	// The larger half of the one and a third of the other stay free.
	assert.Assert(t, strings.Contains(config, "minFreeDiskSpaceBytes=173015040"), config)
	assert.Assert(t, strings.Contains(config, `ZO_DISK_CIRCUIT_BREAKER_THRESHOLD: "67"`), config)
	before := e.ids(e.name)
	e.ok(e.telemetry("up", "--disk", "1G"))
	assert.DeepEqual(t, e.ids(e.name), before)

	// OpenObserve looks at its disk each minute, and VictoriaMetrics is filled meanwhile.
	lines := 0
	for range 4 { // the gateway takes 32 MB at a time
		e.answers(t, "openobserve", http.MethodPost, "/openobserve/api/default/docker/_json", filler(11, &lines), http.StatusOK)
	}
	samples, refusal := e.fillMetrics(t)
	assert.Assert(t, strings.Contains(refusal, "read-only"), refusal)
	t.Logf("VictoriaMetrics took %d samples and then said %.300s", samples, refusal)
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
	// What came last is in memory, and found when it is flushed. From 3 h on VictoriaMetrics keeps the result of such a query and
	// adds what is newer (-search.minWindowForInstantRollupOptimization): asked too early, it would never find the rest.
	eventually(t, 60*time.Second, func() error {
		if found := e.counted(t, `sum(count_over_time(e2e_fill[2h]))`); found != samples {
			return fmt.Errorf("%d samples of %d; last of the first series %v", found, samples, e.counted(t, `sum(count_over_time(e2e_fill{n="0"}[2h]))`))
		}
		return nil
	})
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

// fillMetrics writes samples that do not get smaller until VictoriaMetrics refuses, and returns how many it took and what it said then.
func (e *env) fillMetrics(t *testing.T) (samples int, refusal string) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 1))
	const series, each, most = 100, 1500, 60_000_000
	begin := time.Now().Add(-100 * time.Minute).UnixMilli()
	for samples < most {
		var request []byte
		for n := range series {
			request = appendField(request, 1, timeSeries(n, each, begin, random))
		}
		text, status, err := e.ask("victoriametrics", http.MethodPost, "/victoriametrics/api/v1/write", string(literal(request)))
		assert.NilError(t, err)
		if status != http.StatusNoContent {
			return samples, strconv.Itoa(status) + " " + text
		}
		samples, begin = samples+series*each, begin+each*10
	}
	t.Fatalf("VictoriaMetrics took %d samples and did not refuse; its disk: %s", samples, e.docker("exec", e.name+"-victoriametrics-1", "df", "-k", "/storage"))
	return 0, ""
}

// timeSeries is one of Prometheus' remote write: labels, then samples of a random value each 10 ms.
// https://prometheus.io/docs/specs/prw/remote_write_spec/
func timeSeries(n, samples int, begin int64, random *rand.Rand) []byte {
	var encoded []byte
	for _, label := range [][2]string{{"__name__", "e2e_fill"}, {"n", strconv.Itoa(n)}} {
		encoded = appendField(encoded, 1, appendField(appendField(nil, 1, []byte(label[0])), 2, []byte(label[1])))
	}
	for i := range samples {
		sample := binary.LittleEndian.AppendUint64([]byte{1<<3 | 1}, math.Float64bits(random.Float64()))
		sample = binary.AppendUvarint(append(sample, 2<<3), uint64(begin+int64(i)*10))
		encoded = appendField(encoded, 2, sample)
	}
	return encoded
}

// appendField appends a field of bytes as protobuf has it.
func appendField(to []byte, number int, content []byte) []byte {
	to = binary.AppendUvarint(append(to, byte(number<<3|2)), uint64(len(content)))
	return append(to, content...)
}

// literal is Snappy's block format without any compression: one literal.
// https://github.com/google/snappy/blob/main/format_description.txt
func literal(raw []byte) []byte {
	out := append(binary.AppendUvarint(nil, uint64(len(raw))), 63<<2)
	return append(binary.LittleEndian.AppendUint32(out, uint32(len(raw)-1)), raw...)
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
