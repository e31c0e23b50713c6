package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// through sends metrics, "name tag=value ...", through the transform `t` of a text and returns what comes out of it.
func through(t *testing.T, options string, sent ...string) (got []string, topo *topology) {
	t.Helper()
	cfg, err := loadText(t, "sources: {s: {type: internal_metrics}}\ntransforms: {t: {inputs: [s], "+options+"}}\n"+
		"sinks: {out: {type: prometheus_remote_write, inputs: [\"t*\"], endpoint: \"http://127.0.0.1:1/w\"}}")
	assert.NilError(t, err)
	topo = newTopology(testLog())
	t.Cleanup(topo.cut)
	for _, n := range cfg.components {
		topo.part(n)
	}
	for _, n := range cfg.components {
		if n.kind == "transform" {
			assert.NilError(t, topo.add(cfg, n))
			topo.outputs[n].to = append(topo.outputs[n].to, func(_ context.Context, events []event) error {
				for _, e := range events {
					words := []string{n.id, e.metric.fullName()}
					for _, tag := range e.metric.sortedTags() {
						words = append(words, tag+"="+e.metric.tags[tag])
					}
					got = append(got, strings.Join(words, " "))
				}
				return nil
			})
		}
	}
	for _, text := range sent {
		words := strings.Fields(text)
		m := &metric{name: words[0], kind: absolute, tags: map[string]string{}, value: counterValue(1)}
		for _, word := range words[1:] {
			tag, value, _ := strings.Cut(word, "=")
			m.tags[tag] = value
		}
		assert.NilError(t, topo.receivers["t"](context.Background(), []event{{metric: m}}))
	}
	return got, topo
}

// The expected results follow Vector's source, src/transforms/tag_cardinality_limit/mod.rs.
func TestTagCardinalityLimit(t *testing.T) {
	const kind = "type: tag_cardinality_limit, mode: exact, "
	for _, tc := range []struct {
		name, options string
		sent, want    []string
		exceeded      float64
		discarded     float64
		reached       float64
	}{
		{"a tag is dropped", kind + "value_limit: 2", []string{"a u=1", "a u=2", "a u=3", "a u=1", "a"},
			[]string{"t a u=1", "t a u=2", "t a", "t a u=1", "t a"}, 1, 0, 1},
		{"an event is dropped, which tells of no limit that is reached", kind + "value_limit: 2, limit_exceeded_action: drop_event",
			[]string{"a u=1", "a u=2", "a u=3", "a u=1", "a u=4"}, []string{"t a u=1", "t a u=2", "t a u=1"}, 2, 2, 0},
		{"what is dropped is not noted", kind + "value_limit: 1, limit_exceeded_action: drop_event",
			[]string{"a u=1 v=1", "a u=2 v=2", "a u=1 v=2"}, []string{"t a u=1 v=1"}, 2, 2, 0},
		{"metrics share their values", kind + "value_limit: 1", []string{"a u=1", "b u=2"}, []string{"t a u=1", "t b"}, 1, 0, 1},
		{"unless each has its own", kind + "value_limit: 1, tracking_scope: per_metric", []string{"a u=1", "b u=2"}, []string{"t a u=1", "t b u=2"}, 0, 0, 2},
		{"a tag is excluded, another has its own limit", kind + "value_limit: 1, per_tag_limits: {u: {mode: excluded}, v: {mode: limit_override, value_limit: 2}}",
			[]string{"a u=1 v=1", "a u=2 v=2", "a u=3 v=3"}, []string{"t a u=1 v=1", "t a u=2 v=2", "t a u=3"}, 1, 0, 1},
		{"a metric has its own, and the tags of all do not count for it",
			kind + "value_limit: 1, per_tag_limits: {u: {mode: excluded}}, per_metric_limits: {a: {mode: exact, value_limit: 2, limit_exceeded_action: drop_event}}",
			[]string{"a u=1", "a u=2", "a u=3", "b u=4"}, []string{"t a u=1", "t a u=2", "t b u=4"}, 1, 1, 0},
		{"a metric is excluded", kind + "value_limit: 0, per_metric_limits: {a: {mode: excluded}}", []string{"a u=1", "b u=1"}, []string{"t a u=1", "t b"}, 1, 0, 0},
		{"no more tags are noted", kind + "value_limit: 1, max_tracked_keys: 1", []string{"a u=1", "a v=1", "a v=2"},
			[]string{"t a u=1", "t a v=1", "t a v=2"}, 0, 0, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, topo := through(t, tc.options, tc.sent...)
			assert.DeepEqual(t, got, tc.want)
			assert.Equal(t, count(topo, "tag_value_limit_exceeded_total", "t"), tc.exceeded)
			assert.Equal(t, count(topo, "component_discarded_events_total", "t"), tc.discarded)
			assert.Equal(t, count(topo, "value_limit_reached_total", "t"), tc.reached)
			assert.Equal(t, count(topo, "component_received_events_total", "t"), float64(len(tc.sent)))
			assert.Equal(t, count(topo, "component_sent_events_total", "t"), float64(len(tc.want)))
		})
	}
}

func TestRoute(t *testing.T) {
	const options = `type: route, route: {a: '.name == "a"', b: {type: vrl, source: 'includes(["a", "b"], .name)'}}`
	got, topo := through(t, options, "a u=1", "b", "c", "d")
	assert.DeepEqual(t, got, []string{"t.a a u=1", "t.b a u=1", "t.b b", "t._unmatched c", "t._unmatched d"})
	assert.Equal(t, count(topo, "component_received_events_total", "t"), 4.0)
	assert.Equal(t, count(topo, "component_sent_events_total", "t"), 5.0)
	got, _ = through(t, options+", reroute_unmatched: false", "a", "c")
	assert.DeepEqual(t, got, []string{"t.a a", "t.b a"})
}

func TestTransformsAreStrict(t *testing.T) {
	for _, tc := range []struct{ options, want string }{
		{"type: tag_cardinality_limit", `missing field "mode"`},
		{"type: tag_cardinality_limit, mode: exact, limit: 3", `unknown field "limit"`},
		{"type: tag_cardinality_limit, mode: exact, cache_size_per_key: 3", `unknown field "cache_size_per_key"`},
		{"type: tag_cardinality_limit, mode: excluded", `unknown variant "excluded"`},
		{"type: tag_cardinality_limit, mode: probabilistic", "not supported by the stand-in"},
		{"type: tag_cardinality_limit, mode: exact, value_limit: -1", "below the minimum"},
		{"type: tag_cardinality_limit, mode: exact, limit_exceeded_action: drop", `unknown variant "drop"`},
		{"type: tag_cardinality_limit, mode: exact, tracking_scope: metric", `unknown variant "metric"`},
		{"type: tag_cardinality_limit, mode: exact, per_tag_limits: {u: {}}", `missing field "mode"`},
		{"type: tag_cardinality_limit, mode: exact, per_tag_limits: {u: {mode: limit_override}}", `missing field "value_limit"`},
		{"type: tag_cardinality_limit, mode: exact, per_tag_limits: {u: {mode: exact}}", "unknown variant"},
		{"type: tag_cardinality_limit, mode: exact, per_tag_limits: {u: {mode: limit_override, value_limit: 1, cache_size_per_key: 1}}", "not `probabilistic`"},
		{"type: tag_cardinality_limit, mode: exact, per_metric_limits: {a: {value_limit: 1}}", `missing field "mode"`},
		{"type: route", `missing field "route"`},
		{"type: route, route: {_unmatched: 'true'}", "reserved name"},
		{"type: route, route: {a: {type: datadog_search, source: x}}", "not supported by the stand-in"},
	} {
		_, err := loadText(t, "sources: {s: {type: internal_metrics}}\ntransforms: {t: {inputs: [s], "+tc.options+"}}\n"+
			"sinks: {out: {type: prometheus_remote_write, inputs: [s], endpoint: \"http://127.0.0.1:1/w\"}}")
		assert.ErrorContains(t, err, tc.want, tc.options)
	}
	_, err := loadText(t, "sources: {s: {type: internal_metrics}}\ntransforms: {t: {inputs: [s], type: route, route: {a: 'true'}}}\n"+
		"sinks: {out: {type: prometheus_remote_write, inputs: [t], endpoint: \"http://127.0.0.1:1/w\"}}")
	assert.ErrorContains(t, err, `input "t" for sink "out" doesn't match any components`)
	_, err = loadText(t, "sources: {s: {type: docker_logs}}\ntransforms: {t: {inputs: [s], type: tag_cardinality_limit, mode: exact}}\n"+
		"sinks: {out: {type: prometheus_remote_write, inputs: [t], endpoint: \"http://127.0.0.1:1/w\"}}")
	assert.ErrorContains(t, err, "data type mismatch")
}

// TestRulesOfTheReport runs the tests of the rules that a report writes, and the rules among the other files of the agent.
func TestRulesOfTheReport(t *testing.T) {
	const written = "../../../report/cardinality/testdata/agent.yaml"
	var out bytes.Buffer
	assert.Equal(t, run(context.Background(), []string{"test", written}, noEnv, &out, &out), exitOK, out.String())
	assert.Equal(t, strings.Count(out.String(), " ... passed\n"), 9, out.String())

	raw, err := os.ReadFile(written)
	assert.NilError(t, err)
	paths, texts := bundle(t, "agent")
	texts["agent/rules.yaml"] = string(raw)
	cfg, err := load(paths, texts, true)
	assert.NilError(t, err)
	assert.Equal(t, len(cfg.warnings), 0, "%v", cfg.warnings)
	assert.Equal(t, len(cfg.tests), 9)
}

func TestUnitTestsFail(t *testing.T) {
	const transforms = "transforms: {t: {inputs: [none], type: tag_cardinality_limit, mode: exact, value_limit: 1, limit_exceeded_action: drop_event}}\n"
	test := func(inputs, rest string) string {
		return transforms + "tests: [{name: x, inputs: [" + inputs + "], " + rest + "}]"
	}
	input := func(user int) string {
		return fmt.Sprintf("{insert_at: t, type: metric, metric: {name: a, kind: absolute, tags: {u: '%d'}, gauge: {value: 1}}}", user)
	}
	for _, tc := range []struct{ name, text, want string }{
		{"too many", test(input(1)+", "+input(2), "outputs: [{extract_from: t, expected_event_count: 2}]"), "expected 2 events"},
		{"none", test(input(1), "outputs: [{extract_from: t, conditions: ['.name == \"b\"']}]"), "condition[0]: condition failed"},
		{"some", test(input(1), "no_outputs_from: [t]"), "expected no outputs"},
		{"no such transform", strings.Replace(test(input(1), "no_outputs_from: [t]"), "insert_at: t", "insert_at: b", 1), "unable to locate target transform 'b'"},
		{"no such output", test(input(1), "outputs: [{extract_from: b}]"), "'b' does not exist"},
		{"no input", test("", "no_outputs_from: [t]"), "at least one input"},
		{"no output", test(input(1), "outputs: []"), "at least one of"},
		{"another option", test(input(1), "output: []"), `unknown field "output"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "a.yaml")
			writeFile(t, file, tc.text)
			var out bytes.Buffer
			assert.Equal(t, run(context.Background(), []string{"test", file}, noEnv, &out, &out), exitConfig, out.String())
			assert.Assert(t, strings.Contains(out.String(), tc.want), out.String())
		})
	}
}
