package main

import (
	"strings"
	"testing"
	"testing/fstest"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/profiles"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

func TestReadmeTableIsCurrent(t *testing.T) {
	catalog, err := profiles.Shipped()
	assert.NilError(t, err)
	committed := read(t, "README.md")
	fresh, err := withProfiles(t.Context(), committed, catalog)
	assert.NilError(t, err)
	if fresh != committed {
		t.Error("README.md: the table of profiles is not what their profile.yaml and compose files say now; run: make docs")
	}
}

// A profile that is new needs no word here: its row comes from its own files.
func TestNewProfileGetsARow(t *testing.T) {
	catalog, err := profiles.Shipped()
	assert.NilError(t, err)
	fresh, err := profiles.Read(fstest.MapFS{
		"profile.yaml": {Data: []byte(`
name: fresh
aliases: [new, newer]
adds: one service | and no more
needs: [journal]
includes: [otel]
conflicts: [{profile: scaled, because: x}]
`)},
		"compose.yaml": {Data: []byte(`
services:
  fresh:
    image: example.com/fresh:1
    ports: [{host_ip: 127.0.0.1, published: "9999", target: 1}]
    deploy: {replicas: 2, resources: {limits: {memory: 64m}}}
`)},
	}, "")
	assert.NilError(t, err)
	page, err := withProfiles(t.Context(), "before\n"+profilesBegin+"the old table\n"+profilesEnd+"after\n", append(catalog, fresh))
	assert.NilError(t, err)
	assert.Assert(t, strings.HasPrefix(page, "before\n"+profilesBegin+"\n| Profile |"), page)
	assert.Assert(t, strings.HasSuffix(page, " |\n\n"+profilesEnd+"after\n"), page)
	assert.Assert(t, !strings.Contains(page, "the old table"))
	want := "\n| `fresh` (`new`, `newer`) | one service \\| and no more; includes `otel` " +
		"| a systemd journal on the engine's host (journald runs, and keeps it in /var/log or /run/log) | +384MiB | `scaled-aggregators` " +
		"| 127.0.0.1:4317, 127.0.0.1:4318, 127.0.0.1:9999 |\n"
	assert.Assert(t, strings.Contains(page, want), page)
	assert.Assert(t, strings.Contains(page, " | `fresh`, `minimal` |  |\n"), "scaled-aggregators does not name it back:\n%s", page)
}

func TestMarksOfTheTable(t *testing.T) {
	for _, text := range []string{"", profilesBegin, profilesEnd, profilesEnd + profilesBegin} {
		_, err := withProfiles(t.Context(), text, nil)
		assert.ErrorContains(t, err, "lacks one of the lines")
	}
}

func TestMemory(t *testing.T) {
	for want, change := range map[string]stack.Change{
		"+16MiB": {Before: 1 << 20, After: 17 << 20},
		"-1GiB":  {Before: 3 << 30, After: 2 << 30},
		"0":      {Before: 1 << 20, After: 1 << 20},
	} {
		assert.Equal(t, memory(change), want)
	}
}
