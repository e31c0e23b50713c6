package main

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// fakeJournal is a journalctl that writes its arguments down, prints the entries after the cursor and waits.
const fakeJournal = `#!/bin/sh
printf '%%s\n' "$*" >>%[1]s/calls
after=0
for arg in "$@"; do
	case $arg in --after-cursor=*) after=${arg#*=} ;; esac
done
tail -n +$((after + 1)) %[1]s/entries
exec sleep 60
`

type journalLab struct {
	dir   string
	store *fakeStore
	text  string
}

func newJournalLab(t *testing.T, data string) journalLab {
	t.Helper()
	lab := journalLab{dir: t.TempDir(), store: &fakeStore{}}
	server := httptest.NewServer(lab.store)
	t.Cleanup(server.Close)
	journalctl := filepath.Join(lab.dir, "journalctl")
	assert.NilError(t, os.WriteFile(journalctl, fmt.Appendf(nil, fakeJournal, lab.dir), 0o755))
	lab.text = fmt.Sprintf("data_dir: %s\nsources:\n  journal: {type: journald, journalctl_path: %s}\n", data, journalctl) +
		fmt.Sprintf("sinks:\n  out:\n    type: http\n    inputs: [journal]\n    uri: %s/_json\n    compression: gzip\n    encoding: {codec: json}\n    batch: {timeout_secs: 0.05}\n    acknowledgements: {enabled: true}\n", server.URL)
	return lab
}

func (l journalLab) write(t *testing.T, first, last int) {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(l.dir, "entries"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	assert.NilError(t, err)
	defer file.Close()
	for i := first; i <= last; i++ {
		raw, err := json.Marshal(map[string]any{
			"__CURSOR": fmt.Sprint(i), "__REALTIME_TIMESTAMP": "1767225600000001", "MESSAGE": fmt.Sprintf("entry %d", i),
			"_HOSTNAME": "box", "PRIORITY": "3", "BINARY": []int{104, 105, 255},
		})
		assert.NilError(t, err)
		fmt.Fprintf(file, "%s\n", raw)
	}
}

// A restart goes on after the last entry that the store has: nothing twice, nothing lost.
func TestJournalGoesOnAfterARestart(t *testing.T) {
	lab := newJournalLab(t, t.TempDir())
	lab.write(t, 1, 40)
	_, stop := start(t, lab.text)
	eventually(t, "the first entries", func() bool { return len(lab.store.messages()) >= 40 })
	assert.NilError(t, stop())
	lab.write(t, 41, 50)
	_, stop = start(t, lab.text)
	eventually(t, "the rest", func() bool { return len(lab.store.messages()) >= 50 })
	assert.NilError(t, stop())

	var want []string
	for i := range 50 {
		want = append(want, fmt.Sprintf("entry %d", i+1))
	}
	assert.DeepEqual(t, lab.store.messages(), want)
	first := lab.store.taken[0]
	assert.Equal(t, first["host"], "box")
	assert.Equal(t, first["timestamp"], time.UnixMicro(1767225600000001).UTC().Format("2006-01-02T15:04:05.000000Z"))
	assert.Equal(t, first["source_type"], "journald")
	assert.Equal(t, first["BINARY"], "hi\ufffd")
	calls, err := os.ReadFile(filepath.Join(lab.dir, "calls"))
	assert.NilError(t, err)
	assert.DeepEqual(t, strings.Split(strings.TrimSpace(string(calls)), "\n"), []string{
		"--follow --all --show-cursor --output=json --boot --since=2000-01-01",
		"--follow --all --show-cursor --output=json --boot --after-cursor=40",
	})
}

// What no store took is read again.
func TestJournalKeepsWhatIsNotAcknowledged(t *testing.T) {
	data := t.TempDir()
	lab := newJournalLab(t, data)
	lab.store.statuses = []int{500, 500, 500, 500, 500, 500, 500, 500, 500, 500}
	lab.write(t, 1, 1)
	_, stop := start(t, lab.text)
	eventually(t, "a refusal", func() bool { lab.store.mu.Lock(); defer lab.store.mu.Unlock(); return lab.store.refused > 0 })
	_ = stop()
	_, err := os.Stat(filepath.Join(data, "journal", checkpointFile))
	assert.Assert(t, os.IsNotExist(err), "the cursor was written down: %v", err)
}

func TestDecodeJournal(t *testing.T) {
	for line, want := range map[string]string{
		`{"A":"text"}`:        "text",
		`{"A":[104,105]}`:     "hi",
		`{"A":[[104],[105]]}`: "[[104],[105]]",
		`{"A":[104,300]}`:     "[104,300]",
		`{"A":null}`:          "error",
		`{"A":5}`:             "error",
		`not JSON`:            "error",
		`{"A":"half`:          "error",
	} {
		fields, err := decodeJournal([]byte(line))
		got := "error"
		if err == nil {
			got = fields["A"].(string)
		}
		assert.Equal(t, got, want, line)
	}
}

// The files of the profile journal, with those of the bundle.
func TestJournalProfileLoads(t *testing.T) {
	for _, role := range []string{"agent", "aggregator"} {
		paths, texts := bundle(t, role)
		files, err := filepath.Glob("../../../profiles/journal/config/" + role + "/*.yaml")
		assert.NilError(t, err)
		assert.Assert(t, len(files) > 0)
		for _, file := range files {
			raw, err := os.ReadFile(file)
			assert.NilError(t, err)
			// Mounted at the place of the bundle's file of this name, where there is one.
			path := role + "/" + filepath.Base(file)
			if texts[path] == "" {
				paths = append(paths, path)
			}
			texts[path] = strings.ReplaceAll(string(raw), "[[ vrl .Host ]]", `"labhost"`)
		}
		cfg, err := load(paths, texts, false)
		assert.NilError(t, err)
		assert.Equal(t, len(cfg.warnings), 0, "%v", cfg.warnings)
		for _, n := range cfg.components {
			if p, ok := n.conf.(*program); ok {
				assert.Equal(t, len(p.skipped), 0, "%s: %v", n, p.skipped)
			}
		}
	}
}
