//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
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

// hastyOverlay has OpenObserve look each second for what is to go, and not each hour, and has it delete the files at once. Grafana's log
// has no limit.
const hastyOverlay = `services:
  openobserve:
    environment:
      ZO_COMPACT_DATA_RETENTION_INTERVAL: "1"
      ZO_COMPACT_DELETE_FILES_DELAY_MINUTES: "0"
      ZO_MAX_FILE_RETENTION_TIME: "1"
      ZO_CALCULATE_STATS_INTERVAL: "1"
  grafana:
    logging: !override
      driver: json-file
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
	// The last month that is over a retention of a day as a whole: on the first of a month, the one before is not.
	yesterday := now.AddDate(0, 0, -1)
	begin := time.Date(yesterday.Year(), yesterday.Month(), 1, 0, 0, 0, 0, time.UTC).AddDate(0, -1, 0)

	t.Run("what the engine keeps", func(t *testing.T) { engineIsTold(t, e) })
	t.Run("a stream of known rates", func(t *testing.T) { streamIsTold(t, e, now) })
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

// streamIsTold: of a stream that was written at a known rate, times and counts are exact, bytes per record are those of its file in the
// volume within 2 %, and the forecast is within 5 % of a count day by day. The store takes nothing older than a week.
func streamIsTold(t *testing.T, e *env, now time.Time) {
	const every = 5 * time.Minute
	from := now.Truncate(time.Minute).Add(-6*24*time.Hour + 7*time.Minute)
	var records []map[string]any
	for at := from; at.Before(now); at = at.Add(every) {
		records = append(records, map[string]any{"_timestamp": at.UnixMicro(), "message": "a record of a known size", "number": len(records) % 10})
	}
	raw, err := json.Marshal(records)
	assert.NilError(t, err)
	e.answers(t, "openobserve", http.MethodPost, "/openobserve/api/default/known/_json", string(raw), http.StatusOK)

	type figure struct{ Value float64 }
	var stream struct {
		Name                           string
		Oldest                         struct{ At time.Time }
		Records, Bytes, BytesPerRecord *figure
		Retention                      struct{ Days int }
		Rates                          []struct {
			Window        string
			RecordsPerDay float64
		}
		BytesAtRetention *struct{ Expected float64 }
	}
	eventually(t, 30*time.Second, func() error { // the store counts each second
		r := e.ok(e.telemetry("report", "retention", "--format", "json"))
		var report struct{ Streams []json.RawMessage }
		assert.NilError(t, json.Unmarshal([]byte(r.stdout), &report))
		for _, one := range report.Streams {
			stream.Name, stream.Bytes = "", nil
			assert.NilError(t, json.Unmarshal(one, &stream))
			if stream.Name == "known" && stream.Bytes != nil && stream.BytesPerRecord != nil {
				return nil
			}
		}
		return fmt.Errorf("the stream is not counted yet:\n%s", r.stdout)
	})
	within := func(what string, got, want, part float64) {
		t.Helper()
		t.Logf("%s: %.3f, want %.3f", what, got, want)
		assert.Assert(t, math.Abs(got/want-1) <= part, "%s: %g, want %g", what, got, want)
	}
	assert.Assert(t, stream.Oldest.At.Sub(from).Abs() < time.Minute, "%s, written from %s", stream.Oldest.At, from)
	assert.Equal(t, stream.Records.Value, float64(len(records)))
	volume := e.name + "_openobserve-data:/volume:ro"
	file, err := strconv.ParseFloat(e.docker("run", "--rm", "--network", "none", "-v", volume, busybox, "sh", "-c", "cat $(find /volume -name 'known.jsonl') | wc -c"), 64)
	assert.NilError(t, err)
	within("bytes a record", stream.BytesPerRecord.Value, file/float64(len(records)), 0.02)
	for _, rate := range stream.Rates {
		if rate.Window != "hour" { // of twelve records one more is 8 %
			within("records a day of "+rate.Window, rate.RecordsPerDay, float64(24*time.Hour/every), 0.05)
		}
	}
	// Hour by hour for two months: a day goes as a whole, once all of it is over the retention.
	perHour, most := file/now.Sub(from).Hours(), 0.0
	for ahead := range 60 * 24 {
		at, oldest := now.Add(time.Duration(ahead)*time.Hour), from
		if left := at.AddDate(0, 0, -stream.Retention.Days).Truncate(24 * time.Hour); left.After(from) {
			oldest = left
		}
		most = max(most, perHour*at.Sub(oldest).Hours())
	}
	within("bytes at retention", stream.BytesAtRetention.Expected, most, 0.05)
}

// keptJSON is the part of a report that is about the engine.
type keptJSON struct {
	Others []struct {
		Kind, Name, How, Over string
		Bytes                 float64
	}
	Findings []struct{ Code, Name, Title string }
	Notes    []string
}

func (e *env) kept(t *testing.T) keptJSON {
	t.Helper()
	var report keptJSON
	r := e.ok(e.telemetry("report", "retention", "--format", "json"))
	assert.NilError(t, json.Unmarshal([]byte(r.stdout), &report), "%s", r)
	return report
}

// engineIsTold: the report has what the engine keeps of the stack beside its data, to the byte where that can be known.
func engineIsTold(t *testing.T, e *env) {
	const bytes = 5_000_000
	left := e.name + "_off-data"
	e.docker("volume", "create", "--label", stackLabel+e.name, left)
	t.Cleanup(func() { e.docker("volume", "rm", left) })
	e.docker("run", "--rm", "--network", "none", "-v", left+":/volume", busybox, "sh", "-c", fmt.Sprintf("head -c %d /dev/zero >/volume/a", bytes))

	least, readable := e.logBytes(t)
	report := e.kept(t)
	most, _ := e.logBytes(t)
	found := map[string]float64{}
	for _, other := range report.Others {
		found[other.Kind+" "+other.Name+" "+other.How] = other.Bytes
	}
	t.Logf("others %+v, findings %+v, notes %q", report.Others, report.Findings, report.Notes)
	assert.Equal(t, found["image images reported"], e.imageBytes(t))
	assert.Equal(t, found["volume volume "+left+" reported"], float64(bytes))
	if readable {
		logs := found["log container logs measured"]
		assert.Assert(t, logs >= least && logs <= most, "%g bytes of logs, not from %g to %g", logs, least, most)
	} else {
		assert.Equal(t, found["log container logs bound"], 30e6*float64(len(e.ids(e.name))-1))
	}
	var codes []string
	for _, finding := range report.Findings {
		codes = append(codes, finding.Code+" "+finding.Name)
	}
	assert.Assert(t, slices.Contains(codes, "DTR012 "+e.name+"-grafana-1"), codes)
	assert.Assert(t, slices.Contains(codes, "DTR013 engine"), codes)
}

// logBytes are those of the files of the stack's logs; readable is false where they are not to be read from here.
func (e *env) logBytes(t *testing.T) (bytes float64, readable bool) {
	t.Helper()
	for _, id := range e.ids(e.name) {
		files, err := filepath.Glob(e.docker("inspect", "--format", "{{.LogPath}}", id) + "*")
		assert.NilError(t, err)
		for _, file := range files {
			info, err := os.Stat(file)
			if os.IsNotExist(err) {
				continue // it was rotated meanwhile
			}
			assert.NilError(t, err)
			bytes, readable = bytes+float64(info.Size()), true
		}
	}
	return bytes, readable
}

// imageBytes are those of the images of the stack, each once.
func (e *env) imageBytes(t *testing.T) float64 {
	t.Helper()
	images := map[string]float64{}
	for _, id := range e.ids(e.name) {
		image := e.docker("inspect", "--format", "{{.Image}}", id)
		size, err := strconv.ParseFloat(e.docker("image", "inspect", "--format", "{{.Size}}", image), 64)
		assert.NilError(t, err)
		images[image] = size
	}
	sum := 0.0
	for _, size := range images {
		sum += size
	}
	return sum
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
