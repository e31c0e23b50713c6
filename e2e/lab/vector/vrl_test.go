package main

import (
	"os"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// programOf returns a program of the bundle as configured.
func programOf(t *testing.T, role, id string) *program {
	t.Helper()
	paths, texts := bundle(t, role)
	cfg, err := load(paths, texts, false)
	assert.NilError(t, err)
	for _, n := range cfg.components {
		if n.id == id {
			return n.conf.(*program)
		}
	}
	t.Fatalf("no transform %q", id)
	return nil
}

func TestBundleNormalisesDockerLogs(t *testing.T) {
	p := programOf(t, "agent", "logs_docker")
	for _, tc := range []struct {
		message string
		level   string
	}{
		{"plain words", "info"},
		{"WARN disk is full", "warn"},
		{"warning: x", "warn"},
		{"[error] x", "error"},
		{"err: x", "error"},
		{"FATAL x", "critical"},
		{"no terror here", "info"},
		{`{"level":"Warning","msg":"x"}`, "warn"},
		{`{"severity":"DEBUG"}`, "debug"},
		{`{"msg":"level is error "}`, "error"},
		{`not json {"level":"panic"}`, "critical"},
		{`level=notice x`, "notice"},
	} {
		t.Run(tc.message, func(t *testing.T) {
			in := event{log: map[string]any{
				"message": tc.message, "stream": "stdout", "container_name": "box", "source_type": "docker_logs",
				"container_created_at": time.Now(), "host": "agenthost",
				"label": map[string]any{"com.docker.compose.service": "web", "com.docker.compose.project": "shop"},
			}}
			out, keep, err := p.run(in)
			assert.NilError(t, err)
			assert.Assert(t, keep)
			assert.DeepEqual(t, out.log, map[string]any{
				"message": tc.message, "level": tc.level, "service": "web", "project": "shop", "source": "docker",
				"host": "labhost", "stream": "stdout", "container_name": "box",
			})
		})
	}
}

func TestBundleFallbacks(t *testing.T) {
	p := programOf(t, "agent", "logs_docker")
	for want, log := range map[string]map[string]any{
		"box":     {"message": "m", "container_name": "box"},
		"unknown": {"message": "m"},
	} {
		out, _, err := p.run(event{log: log})
		assert.NilError(t, err)
		assert.Equal(t, out.log["service"], want)
		assert.Equal(t, out.log["project"], "")
	}
}

func TestBundleFilter(t *testing.T) {
	p := programOf(t, "agent", "docker_kept")
	for _, tc := range []struct {
		log  map[string]any
		keep bool
	}{
		{map[string]any{"label": map[string]any{"telemetry.logs": "exclude"}}, false},
		{map[string]any{"label": map[string]any{"telemetry.logs": "include"}}, true},
		{map[string]any{}, true},
	} {
		_, keep, err := p.run(event{log: tc.log})
		assert.NilError(t, err)
		assert.Equal(t, keep, tc.keep)
	}
}

func TestBundleTime(t *testing.T) {
	p := programOf(t, "aggregator", "logs_timed")
	host, err := os.Hostname()
	assert.NilError(t, err)
	at := time.Date(2026, 11, 23, 1, 2, 3, 456789012, time.UTC)
	for _, stamp := range []any{at, "2026-11-23T01:02:03.456789012Z"} {
		out, _, err := p.run(event{log: map[string]any{"timestamp": stamp, "source_type": "vector", "message": "m"}})
		assert.NilError(t, err)
		assert.DeepEqual(t, out.log, map[string]any{"_timestamp": at.UnixMicro(), "message": "m", "aggregator": host})
	}
}

func TestBundleMetricTags(t *testing.T) {
	p := programOf(t, "agent", "metrics_nginx")
	in := &metric{name: "up", namespace: "nginx", value: gaugeValue(1), tags: map[string]string{"endpoint": "http://balancer:8081/status", "host": "balancer:8081"}}
	out, _, err := p.run(event{metric: in})
	assert.NilError(t, err)
	assert.DeepEqual(t, out.metric.tags, map[string]string{"job": "nginx", "instance": "balancer"})
	assert.Equal(t, in.tags["host"], "balancer:8081", "the program changed the event of another consumer")

	host, err := os.Hostname()
	assert.NilError(t, err)
	out, _, err = programOf(t, "aggregator", "metrics_aggregator").run(event{metric: &metric{tags: map[string]string{"host": "x"}}})
	assert.NilError(t, err)
	assert.DeepEqual(t, out.metric.tags, map[string]string{"job": "vector-aggregator", "replica": host, "instance": host})
}

func TestForeignStatementsAreListed(t *testing.T) {
	p := compile(".a = \"1\"\n.b = parse_syslog!(.message)\nfor_each(.x) -> |i, v| { .y = v }\n.c = \"2\" # end\n")
	assert.Equal(t, len(p.skipped), 2, "%v", p.skipped)
	out, _, err := p.run(event{log: map[string]any{}})
	assert.NilError(t, err)
	assert.DeepEqual(t, out.log, map[string]any{"a": "1", "c": "2"})
}

func TestFailingProgram(t *testing.T) {
	for drop, keep := range map[bool]bool{false: true, true: false} {
		p := compile(".a = \"1\"\n.b = object!(.message)")
		p.dropOnError = drop
		in := event{log: map[string]any{"message": "m"}}
		out, kept, err := p.run(in)
		assert.ErrorContains(t, err, "object")
		assert.Equal(t, kept, keep)
		assert.DeepEqual(t, out.log, map[string]any{"message": "m"})
	}
}
