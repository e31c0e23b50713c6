package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

const minimal = `
sources:
  self: {type: internal_metrics, namespace: vector}
sinks:
  out: {type: prometheus_remote_write, inputs: [self], endpoint: "http://127.0.0.1:1/w"}
`

func loadText(t *testing.T, text string) (*config, error) {
	t.Helper()
	return load([]string{"a.yaml"}, map[string]string{"a.yaml": text}, true)
}

// bundle reads the real configuration files, with their placeholders filled in.
func bundle(t *testing.T, role string) (paths []string, texts map[string]string) {
	t.Helper()
	dir := os.DirFS("../../../stack/bundle/config")
	texts = map[string]string{}
	paths, err := fs.Glob(dir, role+"/*.yaml")
	assert.NilError(t, err)
	assert.Assert(t, len(paths) >= 3, paths)
	for _, p := range paths {
		raw, err := fs.ReadFile(dir, p)
		assert.NilError(t, err)
		text := strings.NewReplacer("[[ .Project ]]", "lab", "[[ vrl .Host ]]", `"labhost"`).Replace(string(raw))
		assert.Assert(t, !regexp.MustCompile(`\[\[ ?\.?[a-zA-Z]`).MatchString(text), "placeholder left in %s", p)
		texts[p] = text
	}
	return paths, texts
}

func TestBundleLoads(t *testing.T) {
	secrets := t.TempDir()
	for _, name := range []string{"openobserve_user", "openobserve_password", "victoriametrics_user", "victoriametrics_password"} {
		writeFile(t, filepath.Join(secrets, name), name+"-value\n")
	}
	for _, role := range []string{"agent", "aggregator"} {
		t.Run(role, func(t *testing.T) {
			paths, texts := bundle(t, role)
			for p := range texts {
				texts[p] = strings.ReplaceAll(texts[p], "/run/secrets", secrets)
			}
			cfg, err := load(paths, texts, true)
			assert.NilError(t, err)
			assert.Equal(t, len(cfg.warnings), 0, "%v", cfg.warnings)
			for _, n := range cfg.components {
				if p, ok := n.conf.(*program); ok {
					assert.Equal(t, len(p.skipped), 0, "%s: %v", n, p.skipped)
				}
				if s, ok := n.conf.(*sinkConf); ok && s.auth != nil {
					store, _, _ := strings.Cut(n.id, "_") // openobserve_probe is of the same store
					assert.Equal(t, s.auth.user, store+"_user-value")
					assert.Equal(t, s.auth.password, store+"_password-value")
				}
			}
		})
	}
}

func TestBundleAgentIsReadAsWritten(t *testing.T) {
	paths, texts := bundle(t, "agent")
	cfg, err := load(paths, texts, true)
	assert.NilError(t, err)
	byID := map[string]*node{}
	for _, n := range cfg.components {
		byID[n.id] = n
	}
	logs := byID["agg_logs"].conf.(*sinkConf)
	assert.Equal(t, logs.buffer, bufferConf{disk: true, maxSize: minDiskBuffer, maxEvents: 500})
	assert.DeepEqual(t, logs.targets, []string{"balancer:6001"})
	assert.Equal(t, logs.keepalive, time.Minute)
	assert.Equal(t, len(byID["agg_logs"].from), 1)
	metrics := byID["agg_metrics"].conf.(*sinkConf)
	assert.Equal(t, metrics.buffer, bufferConf{maxEvents: 20000, drop: true})
	assert.Equal(t, len(byID["agg_metrics"].from), 1)
	assert.Equal(t, len(byID["rules"].from), 4)
}

func TestStrictness(t *testing.T) {
	vectorSink := func(opts string) string {
		return "sources:\n  s: {type: internal_metrics}\nsinks:\n  out:\n    type: vector\n    inputs: [s]\n    " +
			strings.ReplaceAll(opts, "\n", "\n    ") + "\n"
	}
	httpSink := func(opts string) string {
		return "sources:\n  s: {type: docker_logs}\nsinks:\n  out:\n    type: http\n    inputs: [s]\n    uri: http://h/\n    encoding: {codec: json}\n    " +
			strings.ReplaceAll(opts, "\n", "\n    ") + "\n"
	}
	const route = "routing: {endpoints: [\"http://a:1\"]}\n"
	for _, tc := range []struct{ name, text, want string }{ // want "": loads
		{"minimal", minimal, ""},
		{"unknown top-level key", minimal + "frob: 1\n", `a.yaml: unknown field "frob"`},
		{"top-level key the stand-in lacks", minimal + "schema: {enabled: true}\n", `"schema" is not supported by the stand-in`},
		{"unknown source type", strings.Replace(minimal, "internal_metrics", "kafka", 1), `source type "kafka" is unknown to the stand-in`},
		{"unknown source option", strings.Replace(minimal, "namespace:", "frob:", 1), `a.yaml.sources.self: unknown field "frob"`},
		{"unknown sink option", strings.Replace(minimal, "endpoint:", "frob: 1, endpoint:", 1), `a.yaml.sinks.out: unknown field "frob"`},
		{"no sources", "sinks: {out: {type: vector, inputs: [x], address: \"a:1\"}}", "no sources defined"},
		{"no sinks", "sources: {s: {type: internal_metrics}}", "no sinks defined"},
		{"missing inputs", strings.Replace(minimal, "inputs: [self], ", "", 1), `sink "out" has no inputs`},
		{"unknown input", strings.Replace(minimal, "[self]", "[nobody]", 1), `input "nobody" for sink "out" doesn't match any components`},
		{"wildcard", strings.Replace(minimal, "[self]", "[\"se*\"]", 1), ""},
		{"wildcard of nothing", strings.Replace(minimal, "[self]", "[\"x*\"]", 1), `input "x*"`},
		{"input twice", strings.Replace(minimal, "[self]", "[self, self]", 1), "duplicated"},
		{"one name for two", strings.Replace(minimal, "out:", "self:", 1), "more than one component with name"},
		{"duplicate key", minimal + "sources: {}\n", "already defined"},
		{"logs into metrics", "sources: {s: {type: docker_logs}}\nsinks: {out: {type: prometheus_remote_write, inputs: [s], endpoint: \"http://a/\"}}", "data type mismatch between s (Log) and out (Metric)"},
		{"cycle", "sources: {s: {type: docker_logs}}\ntransforms:\n  a: {type: filter, inputs: [b], condition: \"true\"}\n  b: {type: filter, inputs: [a, s], condition: \"true\"}\nsinks: {out: {type: vector, inputs: [b], address: \"a:1\"}}", "cyclic dependency"},
		{"api address", minimal + "api: {address: localhost}\n", "invalid socket address"},
		{"api graphql", minimal + "api: {graphql: true}\n", "removed in Vector 0.55"},
		{"variables stay as they are", strings.Replace(minimal, "http://127", "${SCHEME}://127", 1), "${SCHEME}://127.0.0.1"},

		{"address only", vectorSink("address: \"a:1\""), ""},
		{"routing only", vectorSink(route), ""},
		{"address and routing", vectorSink(route + "address: \"a:1\""), "mutually exclusive"},
		{"neither", vectorSink("compression: none"), "one of `address` or `routing` is required"},
		{"https", vectorSink("address: \"https://a:1\""), "no TLS"},
		{"boolean compression", vectorSink(route + "compression: true"), "removed in Vector 0.59"},
		{"unknown compression", vectorSink(route + "compression: lz4"), `unknown variant "lz4"`},
		{"disk", vectorSink(route + "buffer: {type: disk, max_size: 268435488}"), ""},
		{"disk too small", vectorSink(route + "buffer: {type: disk, max_size: 268435487}"), "below the minimum of 268435488"},
		{"disk without size", vectorSink(route + "buffer: {type: disk}"), `missing field "max_size"`},
		{"disk with events", vectorSink(route + "buffer: {type: disk, max_size: 268435488, max_events: 5}"), "not allowed on a disk buffer"},
		{"memory with both", vectorSink(route + "buffer: {max_size: 5, max_events: 5}"), "not both"},
		{"memory without events", vectorSink(route + "buffer: {max_events: 0}"), "below the minimum of 1"},
		{"when_full", vectorSink(route + "buffer: {when_full: drop_oldest}"), `unknown variant "drop_oldest"`},
		{"overflow", vectorSink(route + "buffer: {when_full: overflow}"), "not supported by the stand-in"},
		{"unknown batch option", vectorSink(route + "batch: {max_size: 5}"), `a.yaml.sinks.out.batch: unknown field "max_size"`},
		{"text for a number", vectorSink(route + "batch: {max_events: \"5\"}"), "expected an unsigned integer, got a string"},
		{"text for a duration", vectorSink(route + "keepalive: {interval_secs: 60s}"), "expected a number of seconds"},
		{"fraction of a whole second", vectorSink(route + "keepalive: {interval_secs: 1.5}"), "whole number"},
		{"fraction where allowed", vectorSink(route + "batch: {timeout_secs: 0.5}"), ""},
		{"tls", vectorSink(route + "tls: {enabled: true}"), `"tls" is not supported by the stand-in`},
		{"acknowledgements as boolean", vectorSink(route + "acknowledgements: true"), ""},
		{"unknown acknowledgements option", vectorSink(route + "acknowledgements: {on: true}"), `unknown field "on"`},

		{"http", httpSink("method: post"), ""},
		{"http headers at the top", httpSink("headers: {a: b}"), `unknown field "headers"`},
		{"http headers", httpSink("request: {headers: {a: b}}"), ""},
		{"unknown method", httpSink("method: frob"), `unknown variant "frob"`},
		{"custom retries", httpSink("retry_strategy: {type: custom, status_codes: [401]}"), ""},
		{"custom retries without codes", httpSink("retry_strategy: {type: custom}"), `"status_codes"`},
		{"unknown retries", httpSink("retry_strategy: {type: often}"), `unknown variant "often"`},
		{"auth without password", httpSink("auth: {strategy: basic, user: a}"), `missing field "password"`},
		{"auth strategy", httpSink("auth: {strategy: bearer, token: a}"), "not supported by the stand-in"},
		{"no secret backend", httpSink("auth: {strategy: basic, user: a, password: \"SECRET[run.x]\"}"), `backend "run" is required`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := loadText(t, tc.text)
			if tc.want == "" {
				assert.NilError(t, err)
				return
			}
			assert.ErrorContains(t, err, tc.want)
		})
	}
}

func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "full"), "pass word \n")
	writeFile(t, filepath.Join(dir, "empty"), "\n")
	text := func(key, trim string) string {
		return "secret: {run: {type: directory, path: " + dir + ", remove_trailing_whitespace: " + trim + "}}\n" +
			strings.Replace(minimal, "endpoint:", `auth: {strategy: basic, user: u, password: "SECRET[run.`+key+`]"}, endpoint:`, 1)
	}
	for _, tc := range []struct{ name, key, want string }{
		{"found", "full", ""},
		{"missing", "none", "error while retrieving secret from backend \"run\""},
		{"empty", "empty", `secret in file "empty" was empty`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg, err := loadText(t, text(tc.key, "true"))
			if tc.want != "" {
				assert.ErrorContains(t, err, tc.want)
				return
			}
			assert.NilError(t, err)
			assert.Equal(t, cfg.components[1].conf.(*sinkConf).auth.password, "pass word")
		})
	}
	// --no-environment reads no secrets.
	_, err := load([]string{"a.yaml"}, map[string]string{"a.yaml": text("none", "true")}, false)
	assert.NilError(t, err)
}

func TestFilesAreMerged(t *testing.T) {
	files := map[string]string{
		"a.yaml": "data_dir: /a\nsources: {s: {type: internal_metrics}}",
		"b.yaml": "sinks: {out: {type: vector, inputs: [s], address: \"a:1\"}}",
	}
	cfg, err := load([]string{"a.yaml", "b.yaml"}, files, true)
	assert.NilError(t, err)
	assert.Equal(t, cfg.dataDir, "/a")

	files["b.yaml"] += "\nsources: {s: {type: docker_logs}}"
	_, err = load([]string{"a.yaml", "b.yaml"}, files, true)
	assert.ErrorContains(t, err, "duplicate source id found: s (also in a.yaml)")

	files["b.yaml"] = "data_dir: /b\nsinks: {out: {type: vector, inputs: [s], address: \"a:1\"}}"
	_, err = load([]string{"a.yaml", "b.yaml"}, files, true)
	assert.ErrorContains(t, err, "conflicting values for 'data_dir'")
}
