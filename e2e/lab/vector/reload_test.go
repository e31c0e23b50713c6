package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"
)

// counting is an exporter that counts how often it is asked.
func counting(t *testing.T) (url string, asked *atomic.Int64) {
	t.Helper()
	asked = &atomic.Int64{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = io.WriteString(w, "a 1\n")
	}))
	t.Cleanup(srv.Close)
	return srv.URL, asked
}

func TestReloadAddsAndRemovesScrapes(t *testing.T) {
	first, firstAsked := counting(t)
	second, secondAsked := counting(t)
	var stored atomic.Int64
	store := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stored.Add(1) }))
	t.Cleanup(store.Close)
	dir := t.TempDir()
	write := func(name, text string) {
		assert.NilError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	scrape := func(id, url string) string {
		return fmt.Sprintf("sources:\n  %[1]s: {type: prometheus_scrape, endpoints: [%[2]q], scrape_interval_secs: 1, scrape_timeout_secs: 1}\n"+
			"transforms:\n  metrics_%[1]s: {type: remap, inputs: [%[1]s], source: '.tags.job = \"x\"'}\n", id, url)
	}
	write("base.yaml", scrape("first", first)+"sinks:\n  store: {type: prometheus_remote_write, inputs: [rules], endpoint: "+store.URL+
		", healthcheck: {enabled: false}, batch: {timeout_secs: 1}, acknowledgements: {enabled: true}}\n")
	write("rules.yaml", "transforms:\n  rule_if: {type: route, inputs: [\"metrics_*\"], route: {matched: '.name == \"a\"'}}\n"+
		"  rules: {type: filter, inputs: [rule_if.matched, rule_if._unmatched], condition: 'true'}\n")
	c := &cli{dirs: list{dir}, grace: time.Second}
	paths, err := configPaths(c.dirs, nil)
	assert.NilError(t, err)
	cfg, err := loadFiles(paths, true)
	assert.NilError(t, err)
	top, err := build(cfg, newLogger(io.Discard, levelError))
	assert.NilError(t, err)
	again, err := newReloader(c, cfg, paths)
	assert.NilError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- top.run(ctx, c.grace, func() {}) }()
	reload := func() error {
		said := make(chan error, 1)
		top.reloads <- func() error {
			err := again.reload(top)
			said <- err
			return err
		}
		return <-said
	}
	grows := func(counter *atomic.Int64) {
		t.Helper()
		before := counter.Load()
		poll.WaitOn(t, func(poll.LogT) poll.Result {
			if counter.Load() > before {
				return poll.Success()
			}
			return poll.Continue("still %d", before)
		}, poll.WithTimeout(10*time.Second))
	}
	grows(firstAsked)

	write("targets.yaml", scrape("second", second))
	assert.NilError(t, reload())
	grows(secondAsked)
	grows(&stored)
	for n, out := range top.outputs {
		if n.id == "metrics_second" {
			assert.Assert(t, len(out.to) == 1 && out.acked, "what came goes where the first goes")
		}
	}

	write("targets.yaml", "sources: [")
	assert.ErrorContains(t, reload(), "targets.yaml")
	grows(secondAsked)

	assert.NilError(t, os.Remove(filepath.Join(dir, "targets.yaml")))
	assert.NilError(t, reload())
	quiet := secondAsked.Load()
	grows(firstAsked)
	grows(firstAsked)
	assert.Equal(t, secondAsked.Load(), quiet)

	base, err := os.ReadFile(filepath.Join(dir, "base.yaml"))
	assert.NilError(t, err)
	write("base.yaml", strings.Replace(string(base), first, second, 1))
	assert.ErrorContains(t, reload(), "not supported by the stand-in")
	stop()
	assert.NilError(t, <-ended)
}
