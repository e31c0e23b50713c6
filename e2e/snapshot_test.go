//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// What a stack had must be there again, sample by sample and record by record, after it was destroyed and restored, also
// under another name beside it. A file that is cut short or changed must touch nothing. A restore that is killed at any
// moment must leave the old stack or the new one.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.up()
	before := e.fillStores(t)
	file := filepath.Join(e.home, "kept.tar.zst")
	ids := e.ids(e.name)
	taken := e.ok(e.telemetry("snapshot", "create", file))
	assert.Equal(t, taken.stdout, file+"\n")
	assert.DeepEqual(t, e.ids(e.name), ids) // stopped and started, never made anew
	assert.Equal(t, modeOf(t, file), os.FileMode(0o600))
	assert.DeepEqual(t, e.heldSnapshots(t), []string{})

	refusesBadFiles(t, e, file)

	e.ok(e.telemetry("down", "--volumes", "--yes"))
	assert.Equal(t, e.docker("volume", "ls", "-q", "--filter", "label=io.github.docker-telemetry.stack="+e.name), "")
	e.ok(e.telemetry("snapshot", "restore", file))
	assert.DeepEqual(t, e.stored(t, before), before)
	e.ok(e.telemetry("up")) // finds nothing to do
	e.writeLine(t, arrival)

	beside := &env{t: t, name: e.name + "-beside", port: freePort(t), home: e.home}
	e.stacks = append(e.stacks, beside.name)
	e.ok(beside.telemetry("snapshot", "restore", file, "--port", strconv.Itoa(beside.port)))
	assert.DeepEqual(t, beside.stored(t, before), before)
	e.ok(beside.telemetry("down", "--volumes", "--yes"))

	survivesKills(t, e, file, before)
}

// known is what is compared: samples by series and time, records with all of their fields, and a file of Grafana's with
// its owner and mode.
type known struct {
	Samples map[string]map[int64]float64
	Records []string
	Grafana string
	Until   time.Time
}

// fillStores puts known things into the stores and returns what they then have, with all that the stack itself has
// stored by some moments ago.
func (e *env) fillStores(t *testing.T) known {
	t.Helper()
	var lines strings.Builder
	begin := time.Now().Add(-6 * time.Hour).Truncate(time.Second)
	for series := range 200 {
		for i := range 10 {
			fmt.Fprintf(&lines, "known_samples{n=\"%d\"} %d %d\n", series, series*1000+i, begin.Add(time.Duration(i)*15*time.Minute).UnixMilli())
		}
	}
	_, err := e.call("victoriametrics", http.MethodPost, "/victoriametrics/api/v1/import/prometheus", lines.String())
	assert.NilError(t, err)
	marker := "kept-" + e.name + "-"
	e.docker("run", "--rm", "--network", "none", busybox, "sh", "-c", `for i in $(seq 300); do echo "$0$i"; done; sleep 2`, marker)
	eventually(t, arrival, func() error {
		found, err := e.linesLike(marker)
		if err == nil && len(found) != 300 {
			err = fmt.Errorf("%d of 300 lines", len(found))
		}
		return err
	})
	grafana := e.name + "-grafana-1"
	e.docker("exec", grafana, "sh", "-c", "umask 027; echo mine > /var/lib/grafana/own && mkdir /var/lib/grafana/plugins/own && echo too > /var/lib/grafana/plugins/own/file")
	// What was imported is in memory first, and the stack's own samples take a moment.
	var want, stored known
	eventually(t, time.Minute, func() error {
		want.Until = time.Now().Add(-5 * time.Second)
		stored = e.stored(t, want)
		imported := strings.Count(strings.Join(mapKeys(stored.Samples), "\n"), "known_samples")
		if own := len(stored.Samples) - imported; imported != 200 || own < 100 {
			return fmt.Errorf("%d of 200 series, and %d of the stack's own", imported, own)
		}
		return nil
	})
	settled := time.Now()
	eventually(t, time.Minute, func() error {
		again := e.stored(t, want)
		if !reflect.DeepEqual(again, stored) {
			stored, settled = again, time.Now()
		}
		if time.Since(settled) < 5*time.Second {
			return errors.New("samples of then still arrive")
		}
		return nil
	})
	assert.Equal(t, len(stored.Records), 300)
	return stored
}

// stored reads what the stores have of the things that are known.
func (e *env) stored(t *testing.T, want known) known {
	t.Helper()
	got := known{Samples: map[string]map[int64]float64{}, Until: want.Until}
	query := url.Values{"match[]": {`{__name__!="",__name__!="known_mark"}`}, "start": {"-1d"}, "end": {strconv.FormatInt(want.Until.Unix(), 10)}}
	body, err := e.call("victoriametrics", http.MethodGet, "/victoriametrics/api/v1/export?"+query.Encode(), "")
	assert.NilError(t, err)
	for line := range strings.Lines(body) {
		var series struct {
			Metric     map[string]string
			Values     []float64
			Timestamps []int64
		}
		assert.NilError(t, json.Unmarshal([]byte(line), &series))
		name, err := json.Marshal(series.Metric)
		assert.NilError(t, err)
		if got.Samples[string(name)] == nil {
			got.Samples[string(name)] = map[int64]float64{}
		}
		for i, at := range series.Timestamps {
			got.Samples[string(name)][at] = series.Values[i]
		}
	}
	// Of an earlier name too: a stack beside has what the first one had.
	marker := "kept-" + strings.TrimSuffix(e.name, "-beside") + "-"
	records, err := e.search("logs", fmt.Sprintf(`SELECT * FROM "docker" WHERE message LIKE '%s%%'`, marker))
	assert.NilError(t, err)
	for _, record := range records {
		text, err := json.Marshal(record)
		assert.NilError(t, err)
		got.Records = append(got.Records, string(text))
	}
	slices.Sort(got.Records)
	got.Grafana = e.docker("exec", e.name+"-grafana-1", "sh", "-c",
		"cd /var/lib/grafana && stat -c '%n %u:%g %a' . own plugins/own plugins/own/file && cat own plugins/own/file")
	return got
}

func mapKeys(samples map[string]map[int64]float64) []string {
	keys := make([]string, 0, len(samples))
	for key := range samples {
		keys = append(keys, key)
	}
	return keys
}

func modeOf(t *testing.T, file string) os.FileMode {
	t.Helper()
	info, err := os.Stat(file)
	assert.NilError(t, err)
	return info.Mode().Perm()
}

// heldSnapshots are those that VictoriaMetrics has on its disk.
func (e *env) heldSnapshots(t *testing.T) []string {
	t.Helper()
	return strings.Fields(e.docker("exec", e.name+"-victoriametrics-1", "sh", "-c", "ls /storage/snapshots 2>/dev/null || true"))
}

// refusesBadFiles tries a snapshot that is cut short and one with a changed byte, at several places.
func refusesBadFiles(t *testing.T, e *env, file string) {
	t.Helper()
	whole, err := os.ReadFile(file)
	assert.NilError(t, err)
	ids, volumes := e.ids(e.name), e.docker("volume", "ls", "-q", "--filter", "label=io.github.docker-telemetry.stack="+e.name)
	bad := map[string][]byte{"empty": nil, "longer": append(bytes.Clone(whole), 'x')}
	for part := 1; part < 4; part++ {
		at := len(whole) * part / 4
		changed := bytes.Clone(whole)
		changed[at] ^= 0xff
		bad[fmt.Sprintf("cut-%d", part)], bad[fmt.Sprintf("changed-%d", part)] = whole[:at], changed
	}
	bad["cut-at-its-end"] = whole[:len(whole)-1]
	for name, content := range bad {
		path := filepath.Join(e.home, name+".tar.zst")
		assert.NilError(t, os.WriteFile(path, content, 0o600))
		r := e.fails(e.telemetry("snapshot", "restore", path, "--yes"), 1)
		assert.Assert(t, strings.Contains(r.stderr, "error: "+path+": the snapshot "), r)
	}
	assert.DeepEqual(t, e.ids(e.name), ids)
	assert.Equal(t, e.docker("volume", "ls", "-q", "--filter", "label=io.github.docker-telemetry.stack="+e.name), volumes)
	assert.Equal(t, e.status().Phase, "running")
}

// survivesKills kills a restore at moments from its first volume to its last. Before each, something is stored that the
// snapshot has not: afterwards it is in both stores or in none.
func survivesKills(t *testing.T, e *env, file string, before known) {
	t.Helper()
	moments := []struct {
		word  string // of the line of its progress, an expression
		after string // what the stack must be, "" is either
	}{
		{`_grafana-data\.`, "old"},
		{"Data victoriametrics-data Filled", ""},
		{"-gateway-1 Removed", "new"},
		{`Volume \S+_grafana-data\S* Removing`, "new"},
	}
	for i, moment := range moments {
		marker := e.markStores(t, i)
		e.killAt(moment.word, "snapshot", "restore", file, "--yes")
		e.ok(e.telemetry("up"))
		is := e.oldOrNew(t, marker)
		t.Logf("killed at %q: the %s stack", moment.word, is)
		assert.Assert(t, moment.after == "" || moment.after == is, "killed at %q: the %s stack", moment.word, is)
		assert.DeepEqual(t, e.stored(t, before), before)
		volumes := strings.Fields(e.docker("volume", "ls", "-q", "--filter", "label=io.github.docker-telemetry.stack="+e.name))
		assert.Equal(t, len(volumes), 4, "killed at %q: %v", moment.word, volumes)
		held := e.docker("ps", "-aq", "--filter", "label=io.github.docker-telemetry.probe", "--filter", "label=io.github.docker-telemetry.stack="+e.name)
		assert.Equal(t, held, "", "killed at %q: a container that holds a volume is left", moment.word)
	}
	e.writeLine(t, arrival)
}

// markStores puts a sample and a line into the stores and waits until both are there.
func (e *env) markStores(t *testing.T, round int) string {
	t.Helper()
	marker := fmt.Sprintf("mark-%s-%d-%d", e.name, round, time.Now().UnixNano())
	line := fmt.Sprintf("known_mark{marker=%q} 1 %d\n", marker, time.Now().Add(-time.Hour).UnixMilli())
	_, err := e.call("victoriametrics", http.MethodPost, "/victoriametrics/api/v1/import/prometheus", line)
	assert.NilError(t, err)
	e.docker("run", "--rm", "--network", "none", busybox, "sh", "-c", `echo "$0"; sleep 2`, marker)
	eventually(t, arrival, func() error {
		if samples, records := e.marked(t, marker); !samples || !records {
			return fmt.Errorf("marker in VictoriaMetrics %t, in OpenObserve %t", samples, records)
		}
		return nil
	})
	return marker
}

func (e *env) marked(t *testing.T, marker string) (samples, records bool) {
	t.Helper()
	query := url.Values{"match[]": {fmt.Sprintf(`known_mark{marker=%q}`, marker)}, "start": {"-1d"}}
	body, err := e.call("victoriametrics", http.MethodGet, "/victoriametrics/api/v1/export?"+query.Encode(), "")
	assert.NilError(t, err)
	found, err := e.linesLike(marker)
	assert.NilError(t, err)
	return strings.Contains(body, marker), len(found) > 0
}

func (e *env) oldOrNew(t *testing.T, marker string) string {
	t.Helper()
	switch samples, records := e.marked(t, marker); {
	case samples && records:
		return "old"
	case !samples && !records:
		return "new"
	default:
		t.Fatalf("a mixture: the marker is in VictoriaMetrics %t, in OpenObserve %t", samples, records)
		return ""
	}
}
