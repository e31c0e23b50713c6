package cardinality

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/docker-telemetry/docker-telemetry/report/rules"
)

// Fuses are rules for the agent, one for each label without end among the findings with a code, or all: so many values of it
// pass, and the samples of any other are dropped before they are sent.
//
// They save nothing that a rule of the store does not save better, and lose samples when they act: they are for the day on
// which a service brings values faster than the pipeline can carry, and for metrics that cannot be summed.
func (r Report) Fuses(code string, values int) []rules.Rule {
	var all []rules.Rule
	for _, finding := range r.Findings {
		if finding.Code != UnboundedLabel || code != AllFindings && finding.Code != code {
			continue
		}
		at := slices.IndexFunc(r.Metrics, func(m Metric) bool { return m.Name == finding.Metric })
		if at >= 0 && throughAgent(r.Metrics[at]) {
			all = append(all, fuse(r.Metrics[at], finding, values))
		}
	}
	return all
}

// throughAgent reports whether a metric may come through the agent: the aggregators and the store write their own themselves,
// and the agent scrapes no name or label but these.
func throughAgent(m Metric) bool {
	name, label := regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`), regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	return name.MatchString(m.Name) && !slices.ContainsFunc(m.Labels, func(l Label) bool { return !label.MatchString(l.Name) }) &&
		(len(m.Jobs) == 0 || slices.ContainsFunc(m.Jobs, func(job string) bool { return job != ownJob && job != "vector-aggregator" }))
}

// fuse drops events, not tags: without its label the sample of one counter would be taken for that of another.
// https://vector.dev/docs/reference/configuration/transforms/tag_cardinality_limit/
func fuse(m Metric, f Finding, values int) rules.Rule {
	name := f.Labels[0]
	f.Labels = append(slices.Clone(f.Labels), "fuse") // for the name of its file alone
	at := slices.IndexFunc(m.Labels, func(l Label) bool { return l.Name == name })
	label := m.Labels[at]
	rule := rules.Rule{
		Name: ruleName(f), Code: f.Code, Metric: m.Name, Labels: []string{name}, Kind: rules.Transform,
		About: fmt.Sprintf("a fuse: %s values of %s pass at most, samples with another are lost (%s so far)", number(values), name, number(label.Values)),
		// Each value with each set of the other labels, and the series that have no such label.
		Left:   pointer(values*label.Left + m.Series - label.Series),
		Config: fuseConfig(m, name, values),
		Tests:  fuseTests(m, name, values),
	}
	return rule
}

func fuseConfig(m Metric, label string, values int) string {
	var yaml strings.Builder
	fmt.Fprintf(&yaml, "- if: %s\n  type: tag_cardinality_limit\n  mode: exact\n  value_limit: %d\n  limit_exceeded_action: drop_event\n",
		quoted(agentCondition(m)), values)
	if len(m.Labels) > 1 {
		yaml.WriteString("  # The other labels of today. One that the metric gets later is under the limit as well.\n  per_tag_limits:\n")
	}
	for _, other := range m.Labels {
		if other.Name != label {
			fmt.Fprintf(&yaml, "    %s: {mode: excluded}\n", quoted(other.Name))
		}
	}
	return yaml.String()
}

// agentCondition is VRL that matches the metric as the agent has it: a histogram or summary in one event under the name of
// its family where it was scraped, in several where it came by remote write. The store's name has the namespace before it.
func agentCondition(m Metric) string {
	const stored = `join!(compact([.namespace, .name]), "_")`
	names := agentNames(m)
	if len(names) == 1 {
		return fmt.Sprintf("%s == %q", stored, names[0])
	}
	words := make([]string, 0, len(names))
	for _, name := range names {
		words = append(words, fmt.Sprintf("%q", name))
	}
	return fmt.Sprintf("includes([%s], %s)", strings.Join(words, ", "), stored)
}

func agentNames(m Metric) []string {
	if m.Type != TypeHistogram && m.Type != TypeSummary {
		return []string{m.Name}
	}
	base := m.Name
	for _, suffix := range familySuffixes() {
		if cut, found := strings.CutSuffix(m.Name, suffix); found {
			base = cut
		}
	}
	names := []string{base}
	for _, suffix := range familySuffixes() {
		names = append(names, base+suffix)
	}
	return names
}

// mostTested is how many values are few enough to write one more of them into a test than pass.
const mostTested = 20

// fuseTests are unit tests of Vector: whose samples pass, and where the values are few, that no more do.
func fuseTests(m Metric, label string, values int) string {
	name := agentNames(m)[0]
	var yaml strings.Builder
	test := func(about string, inputs []string, count int, conditions ...string) {
		fmt.Fprintf(&yaml, "- name: %s\n  inputs:\n", quoted(about))
		for _, input := range inputs {
			fmt.Fprintf(&yaml, "    - {type: metric, metric: {%s, kind: absolute, counter: {value: 1.0}}}\n", input)
		}
		fmt.Fprintf(&yaml, "  outputs:\n    - expected_event_count: %d\n", count)
		if len(conditions) > 0 {
			yaml.WriteString("      conditions:\n")
		}
		for _, condition := range conditions {
			fmt.Fprintf(&yaml, "        - {type: vrl, source: %s}\n", quoted(condition))
		}
	}
	sample := func(name, value string) string {
		return fmt.Sprintf("name: %s, tags: {%s: %s}", quoted(name), quoted(label), quoted(value))
	}
	has := func(value string) string { return fmt.Sprintf(".tags.%q == %q", label, value) }
	test(name+": a value passes again and again, with its label", []string{sample(name, "one"), sample(name, "one")}, 2, has("one"))
	other := name + "_of_another"
	if values > mostTested {
		test(other+": passes by", []string{sample(other, "one")}, 1, has("one"))
		return yaml.String()
	}
	var inputs, others []string
	for i := range values + 1 {
		value := fmt.Sprintf("value %d", i)
		inputs, others = append(inputs, sample(name, value)), append(others, sample(other, value))
	}
	test(other+": passes by", others, len(others), has(fmt.Sprintf("value %d", values)))
	inputs = append(inputs, "name: "+quoted(name), sample(name, "value 0"))
	test(fmt.Sprintf("%s: of %d values one is lost, and nothing else", name, values+1), inputs, values+2, fmt.Sprintf("!exists(.tags.%q)", label))
	return yaml.String()
}
