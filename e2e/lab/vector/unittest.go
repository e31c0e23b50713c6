package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// unitTest is an entry of `tests`: https://vector.dev/docs/reference/configuration/unit-tests/
type unitTest struct {
	name      string
	inputs    []testInput
	outputs   []testOutput
	noOutputs []string
}

type testInput struct {
	at    string
	event event
}

type testOutput struct {
	from       []string
	conditions []*program
	count      int64 // -1: any number from one on
}

func (m *merger) tests(o *options) {
	for i, item := range o.list("tests") {
		t := newOptions(fmt.Sprintf("%s.tests[%d]", o.path, i), item, m.errs)
		test := &unitTest{name: t.needStr("name"), noOutputs: t.strings("no_outputs_from")}
		t.lacks("input")
		for j, item := range t.list("inputs") {
			test.inputs = append(test.inputs, readTestInput(newOptions(fmt.Sprintf("%s.inputs[%d]", t.path, j), item, m.errs)))
		}
		for j, item := range t.list("outputs") {
			test.outputs = append(test.outputs, readTestOutput(newOptions(fmt.Sprintf("%s.outputs[%d]", t.path, j), item, m.errs)))
		}
		t.end()
		m.cfg.tests = append(m.cfg.tests, test)
	}
}

func readTestInput(o *options) testInput {
	in := testInput{at: o.needStr("insert_at")}
	o.oneOf("type", "raw", []string{"metric"}, []string{"vrl", "log"})
	o.lacks("value", "source", "log_fields")
	if o.str("type", "raw") != "metric" || !o.has("metric") {
		o.fail("only inputs with a metric are supported by the stand-in")
	}
	in.event = event{metric: readTestMetric(o.sub("metric"))}
	o.end()
	return in
}

func readTestMetric(o *options) *metric {
	m := &metric{name: o.needStr("name"), namespace: o.str("namespace", ""), tags: map[string]string{}}
	o.needStr("kind")
	if o.oneOf("kind", "incremental", []string{"absolute"}, nil) == "absolute" {
		m.kind = absolute
	}
	tags := o.sub("tags")
	for _, tag := range sortedKeys(tags.values) {
		m.tags[tag] = tags.str(tag, "")
	}
	o.lacks("timestamp", "interval_ms", "set", "distribution", "aggregated_histogram", "aggregated_summary", "sketch")
	counter, gauge := o.sub("counter"), o.sub("gauge")
	switch {
	case o.has("counter") == o.has("gauge"):
		o.fail("a metric has one value: counter or gauge")
	case o.has("counter"):
		m.value = counterValue(counter.number("value"))
	default:
		m.value = gaugeValue(gauge.number("value"))
	}
	counter.end()
	gauge.end()
	o.end()
	return m
}

func readTestOutput(o *options) testOutput {
	out := testOutput{count: o.integer("expected_event_count", -1, 0)}
	if v, _ := o.get("extract_from"); v != nil {
		if one, is := v.(string); is {
			out.from = []string{one}
		} else {
			out.from = o.strings("extract_from")
		}
	}
	if len(out.from) == 0 {
		o.fail("missing field %q", "extract_from")
	}
	for i, item := range o.list("conditions") {
		holder := newOptions(o.path, map[string]any{"condition": item}, o.errs)
		p := readCondition(holder, "condition")
		if p != nil && len(p.skipped) > 0 {
			o.fail("condition %d holds what the stand-in cannot read: %s", i, p.skipped[0])
		}
		out.conditions = append(out.conditions, p)
	}
	if out.count == 0 && len(out.conditions) > 0 {
		o.fail("output has expected_event_count of 0 but also defines conditions")
	}
	o.end()
	return out
}

// checkTests refuses tests that look at a component that is not there, in a configuration that runs as well.
func checkTests(cfg *config) []error {
	var errs []error
	for _, test := range cfg.tests {
		for _, out := range test.outputs {
			for _, from := range out.from {
				if slices.Contains(test.noOutputs, from) {
					errs = append(errs, fmt.Errorf("invalid extract_from target in test '%s': '%s' listed in no_outputs_from", test.name, from))
				} else if cfg.output(from) == nil {
					errs = append(errs, fmt.Errorf("invalid extract_from target in test '%s': '%s' does not exist", test.name, from))
				}
			}
		}
	}
	return errs
}

// output returns the source, transform or output of a route with an id.
func (cfg *config) output(id string) *node {
	for _, n := range cfg.components {
		if _, split := n.conf.(*routeConf); !split && n.kind != "sink" && n.id == id {
			return n
		}
	}
	return nil
}

// runTests is `vector test`: without sources and sinks it sends the inputs of each test through the transforms.
func runTests(c *cli, log *logger, stdout, stderr io.Writer) int {
	paths, err := configPaths(c.dirs, c.files)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "Failed to execute tests:\n%v.\n", err)
		return exitConfig
	}
	_, _ = fmt.Fprintln(stdout, "Running tests")
	cfg, err := loadTests(paths)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "Failed to execute tests:\n%v.\n", err)
		return exitConfig
	}
	if len(cfg.tests) == 0 {
		_, _ = fmt.Fprintln(stdout, "No tests found.")
	}
	var failures strings.Builder
	for _, test := range cfg.tests {
		problems, err := test.run(cfg, log)
		if err != nil {
			_, _ = fmt.Fprintf(stderr, "Failed to execute tests:\nFailed to build test '%s':\n  %v.\n", test.name, err)
			return exitConfig
		}
		verdict := "passed"
		if len(problems) > 0 {
			verdict = "failed"
			fmt.Fprintf(&failures, "\ntest %s:\n\n%s\n", test.name, strings.Join(problems, "\n\n"))
		}
		_, _ = fmt.Fprintf(stdout, "test %s ... %s\n", test.name, verdict)
	}
	if failures.Len() == 0 {
		return exitOK
	}
	_, _ = fmt.Fprintf(stdout, "\nfailures:\n%s", failures.String())
	return exitConfig
}

// loadTests reads the transforms and the tests; what a transform is fed by need not be there.
func loadTests(paths []string) (*config, error) {
	texts, err := readAll(paths)
	if err != nil {
		return nil, err
	}
	var errs []error
	cfg := &config{}
	m := &merger{cfg: cfg, seen: map[string]string{}, errs: &errs}
	for _, p := range paths {
		doc, err := parseYAML(p, texts[p])
		if err != nil {
			return nil, err
		}
		m.file(p, doc)
	}
	cfg.components = slices.DeleteFunc(cfg.components, func(n *node) bool { return n.kind != "transform" })
	for _, n := range cfg.components {
		for _, in := range n.inputs {
			for _, from := range matching(cfg, n, in) {
				if !slices.Contains(n.from, from) {
					n.from = append(n.from, from)
				}
			}
		}
	}
	for _, n := range cfg.components {
		if err := checkCycle(n, nil); err != nil {
			errs = append(errs, err)
			break
		}
	}
	if errs = append(errs, checkTests(cfg)...); len(errs) > 0 {
		return nil, &configError{errs}
	}
	return cfg, nil
}

// run returns what is wrong; an error says that the test itself is.
func (test *unitTest) run(cfg *config, log *logger) (problems []string, err error) {
	if len(test.inputs) == 0 {
		return nil, errors.New("must specify at least one input")
	}
	if len(test.outputs) == 0 && len(test.noOutputs) == 0 {
		return nil, errors.New("unit test must contain at least one of `outputs` or `no_outputs_from`")
	}
	t := newTopology(log)
	defer t.cut()
	for _, n := range cfg.components {
		t.part(n)
	}
	for _, n := range cfg.components {
		if err := t.add(cfg, n); err != nil {
			return nil, err
		}
	}
	seen := map[string][]event{}
	for _, n := range cfg.components {
		t.outputs[n].to = append(t.outputs[n].to, func(_ context.Context, events []event) error {
			seen[n.id] = append(seen[n.id], events...)
			return nil
		})
	}
	for i, in := range test.inputs {
		into := t.receivers[in.at]
		if into == nil {
			return nil, fmt.Errorf("inputs[%d]: unable to locate target transform '%s'", i, in.at)
		}
		if err := into(context.Background(), []event{in.event.clone()}); err != nil {
			return nil, err
		}
	}
	for _, out := range test.outputs {
		problems = append(problems, out.problems(seen)...)
	}
	for _, id := range test.noOutputs {
		if len(seen[id]) > 0 {
			problems = append(problems, fmt.Sprintf("check for transforms [%q] failed: expected no outputs", id))
		}
	}
	return problems, nil
}

// problems: each condition has to hold for one event at least, not for all.
func (out testOutput) problems(seen map[string][]event) []string {
	var problems []string
	var events []event
	for _, id := range out.from {
		events = append(events, seen[id]...)
	}
	if out.count >= 0 && int64(len(events)) != out.count {
		problems = append(problems, fmt.Sprintf("expected %d events from transforms %q, but received %d", out.count, out.from, len(events)))
	}
	if len(events) == 0 && out.count != 0 {
		return append(problems, fmt.Sprintf("checks for transforms %q failed: no events received. "+
			"Topology may be disconnected or transform is missing inputs.", out.from))
	}
	for i, condition := range out.conditions {
		if !slices.ContainsFunc(events, func(e event) bool {
			_, holds, err := condition.run(e)
			return err == nil && holds
		}) {
			problems = append(problems, fmt.Sprintf("check[0] for transforms %q failed conditions:\n  condition[%d]: condition failed", out.from, i))
		}
	}
	return problems
}
