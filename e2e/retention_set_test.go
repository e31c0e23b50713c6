//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// hastyOverlay has OpenObserve look each second for what is to go, and not each hour, and has it delete the files at once.
const hastyOverlay = `services:
  openobserve:
    environment:
      ZO_COMPACT_DATA_RETENTION_INTERVAL: "1"
      ZO_COMPACT_DELETE_FILES_DELAY_MINUTES: "0"
      ZO_MAX_FILE_RETENTION_TIME: "1"
      ZO_CALCULATE_STATS_INTERVAL: "1"
`

// TestRetentionSet: a retention that is set is the store's from then on, the component concerned is recreated alone, old data goes as
// far as the store deletes at all, and a later up and an ejected project have it.
func TestRetentionSet(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	overlay := filepath.Join(t.TempDir(), "hasty.yaml")
	assert.NilError(t, os.WriteFile(overlay, []byte(hastyOverlay), 0o644))
	e.up("-f", overlay)
	now := time.Now().UTC()
	begin := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC).AddDate(0, -1, 0)

	t.Run("longer", func(t *testing.T) {
		before := e.ids(e.name)
		r := e.ok(e.telemetry("retention", "set", "metrics=90d"))
		assert.Assert(t, lineOf(r.stdout, "metrics", "90d", "retention", "set", "90d"), r)
		assert.DeepEqual(t, recreated(before, e.ids(e.name)), []string{e.name + "-victoriametrics-1"})
	})
	e.importSamples(t, begin)
	e.sendOld(t, 6*24*time.Hour, 100)
	e.sendOld(t, 2*24*time.Hour, 50)
	months := func() string { return e.docker("exec", e.name+"-victoriametrics-1", "ls", "/storage/data/small") }
	old := begin.Format("2006_01")
	eventually(t, 60*time.Second, func() error { // the index knows of a day a little later
		r := e.ok(e.telemetry("report", "retention"))
		if !strings.Contains(months(), old) || !strings.Contains(r.stdout, begin.Format(time.DateOnly)) {
			return fmt.Errorf("partitions %q, report:\n%s", months(), r.stdout)
		}
		return nil
	})

	t.Run("nobody agreed", func(t *testing.T) {
		before := e.ids(e.name)
		r := e.fails(e.telemetry("retention", "set", "metrics=1d", "logs/docker=3d"), 2)
		assert.Assert(t, strings.Contains(r.stderr, "metrics: 1 d instead of 90 d; samples before "), r)
		assert.Assert(t, strings.Contains(r.stderr, "are deleted within minutes"), r)
		assert.Assert(t, strings.Contains(r.stderr, "logs/docker: 3 d instead of 14 d; about "), r)
		assert.Assert(t, strings.Contains(r.stderr, "hint: if that is meant, add --yes\n"), r)
		assert.DeepEqual(t, e.ids(e.name), before)
		assert.Assert(t, strings.Contains(months(), old))
		assert.Equal(t, e.oldLines(t), 150)
	})
	t.Run("a stream", func(t *testing.T) {
		before := e.ids(e.name)
		r := e.ok(e.telemetry("retention", "set", "logs/docker=3d", "--yes"))
		assert.Assert(t, lineOf(r.stdout, "logs/docker", "3d", "retention", "set", "3d"), r)
		assert.DeepEqual(t, e.ids(e.name), before)
		eventually(t, 30*time.Second, func() error {
			if left := e.oldLines(t); left != 50 {
				return fmt.Errorf("%d old lines are left, and 50 are younger than three days", left)
			}
			return nil
		})
	})
	t.Run("shorter", func(t *testing.T) {
		before := e.ids(e.name)
		e.ok(e.telemetry("retention", "set", "metrics=1d", "--yes"))
		assert.DeepEqual(t, recreated(before, e.ids(e.name)), []string{e.name + "-victoriametrics-1"})
		if now.AddDate(0, 0, -1).Month() != now.Month() {
			t.Skip("on the first of a month, the month before is not over the retention as a whole")
		}
		eventually(t, 2*time.Minute, func() error { // VictoriaMetrics looks each minute
			if strings.Contains(months(), old) {
				return fmt.Errorf("the partition %s is still there", old)
			}
			return nil
		})
	})
	t.Run("kept", func(t *testing.T) {
		e.ok(e.telemetry("retention", "set", "logs=5d", "--yes"))
		before := e.ids(e.name)
		r := e.ok(e.telemetry("retention", "set", "logs=5d", "metrics=1d", "logs/docker=3d"))
		assert.Assert(t, strings.Contains(r.stderr, "nothing was changed"), r)
		e.up()
		assert.DeepEqual(t, e.ids(e.name), before)
		e.ok(e.telemetry("retention", "ls"))
		dir := filepath.Join(t.TempDir(), "ejected")
		e.ok(e.telemetry("eject", dir))
		raw, err := os.ReadFile(filepath.Join(dir, "compose.yaml"))
		assert.NilError(t, err)
		assert.Assert(t, strings.Contains(string(raw), "--retentionPeriod=1d"))
		assert.Assert(t, strings.Contains(string(raw), `ZO_COMPACT_DATA_RETENTION_DAYS: "5"`))
	})
}

// lineOf reports whether a table has a line of these words.
func lineOf(text string, words ...string) bool {
	for line := range strings.Lines(text) {
		if slices.Equal(strings.Fields(line), words) {
			return true
		}
	}
	return false
}

// recreated are the containers that are others than before.
func recreated(before, after map[string]string) []string {
	var changed []string
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if before[name] != after[name] {
			changed = append(changed, name)
		}
	}
	return changed
}

// importSamples writes a sample an hour from a time on for two weeks, as a program that brings its history does.
func (e *env) importSamples(t *testing.T, from time.Time) {
	t.Helper()
	var values, times []string
	for at := from; at.Before(from.AddDate(0, 0, 14)); at = at.Add(time.Hour) {
		values, times = append(values, "1"), append(times, strconv.FormatInt(at.UnixMilli(), 10))
	}
	line := fmt.Sprintf(`{"metric":{"__name__":"e2e_history","job":"e2e"},"values":[%s],"timestamps":[%s]}`, strings.Join(values, ","), strings.Join(times, ","))
	e.answers(t, "victoriametrics", http.MethodPost, "/victoriametrics/api/v1/import", line, http.StatusNoContent)
}

// sendOld sends so many lines of an age to the stream docker.
func (e *env) sendOld(t *testing.T, age time.Duration, count int) {
	t.Helper()
	lines := make([]map[string]any, 0, count)
	for i := range count {
		lines = append(lines, map[string]any{"_timestamp": time.Now().Add(-age).Add(time.Duration(i) * time.Millisecond).UnixMicro(), "message": "e2e old line", "age": age.String()})
	}
	raw, err := json.Marshal(lines)
	assert.NilError(t, err)
	body := e.answers(t, "openobserve", http.MethodPost, "/openobserve/api/default/docker/_json", string(raw), http.StatusOK)
	assert.Assert(t, strings.Contains(body, fmt.Sprintf(`"successful":%d`, count)), body)
}

func (e *env) oldLines(t *testing.T) int {
	t.Helper()
	query := fmt.Sprintf(`{"query":{"sql":"SELECT count(*) AS n FROM \"docker\" WHERE message = 'e2e old line'","start_time":%d,"end_time":%d,"size":1}}`,
		time.Now().AddDate(0, 0, -10).UnixMicro(), time.Now().UnixMicro())
	body := e.answers(t, "openobserve", http.MethodPost, "/openobserve/api/default/_search?type=logs", query, http.StatusOK)
	var answer struct{ Hits []struct{ N int } }
	assert.NilError(t, json.Unmarshal([]byte(body), &answer), body)
	assert.Equal(t, len(answer.Hits), 1, body)
	return answer.Hits[0].N
}
