package cardinality

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/docker-telemetry/docker-telemetry/report/rules"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// Rule is configuration of VictoriaMetrics that does what a finding advises.
type Rule struct {
	// Kind is the file that it belongs to, of package rules.
	Kind string `json:"kind"`
	// YAML is an entry of that file's list.
	YAML string `json:"yaml"`
	// Why it is this and not another.
	Why string `json:"why"`
}

// aggregated is how often an aggregated series gets a sample. Twice a scrape, so that each has one in it.
const aggregated = "30s"

// aggregate sums the series that differ in some labels only. To drop such a label instead would put the samples of
// several counters into one series, of which rate() makes nonsense: https://docs.victoriametrics.com/victoriametrics/stream-aggregation/
//
// Before that, relabeling may change what they differ in: it is input_relabel_configs of the entry, or "".
func aggregate(metric, kind string, without []string, relabeling string) *Rule {
	family, counts := family(metric, kind)
	var yaml strings.Builder
	fmt.Fprintf(&yaml, "- match: %s\n  interval: %s\n", quoted(family), aggregated)
	if !counts {
		// A series that is scraped twice in an interval would count twice.
		fmt.Fprintf(&yaml, "  dedup_interval: %s\n", aggregated)
	}
	yaml.WriteString(relabeling)
	fmt.Fprintf(&yaml, "  without: [%s]\n", quotedList(without))
	if counts {
		yaml.WriteString("  outputs: [total]\n")
	} else {
		yaml.WriteString("  outputs: [sum_samples]\n")
	}
	yaml.WriteString("  keep_metric_names: true\n")
	why := "a counter: its increases are summed, so that rate() stays right"
	switch {
	case kind == TypeHistogram:
		why = "a histogram: its buckets, sum and count are summed alike, and le stays"
	case !counts:
		why = "a gauge: the last value of each series is summed"
	}
	return &Rule{Kind: rules.Aggregation, YAML: yaml.String(), Why: why}
}

// normalize puts the template of each value into a label and sums the series that are alike then. The value itself stays in a
// label of its own until it is aggregated away: by it the store knows whose last sample it has, or the counters of two ids
// would look like one that is reset all the time.
func normalize(metric, kind, label, raw string) *Rule {
	var relabeling strings.Builder
	fmt.Fprintf(&relabeling, "  input_relabel_configs:\n  - source_labels: [%s]\n    target_label: %s\n", quoted(label), quoted(raw))
	for _, step := range templateSteps() {
		fmt.Fprintf(&relabeling, "  - action: replace_all\n    source_labels: [%s]\n    target_label: %s\n    regex: %s\n    replacement: %s\n",
			quoted(label), quoted(label), quoted(step.regex), quoted(step.replacement))
	}
	rule := aggregate(metric, kind, []string{raw}, relabeling.String())
	rule.Why += "; each id becomes " + placeholder + " first"
	return rule
}

// family is the selector of what must be treated alike, and whether it counts up.
func family(metric, kind string) (selector string, counts bool) {
	if kind == TypeHistogram || kind == TypeSummary {
		for _, suffix := range familySuffixes() {
			if base, found := strings.CutSuffix(metric, suffix); found {
				names := []string{base + "_bucket", base + "_sum", base + "_count"}
				return `{__name__=~` + strconv.Quote(alternatives(names)) + `}`, true
			}
		}
	}
	return victoriametrics.Selector(metric), kind == TypeCounter
}

// familySuffixes are those of the series of a histogram; a summary has the last two.
func familySuffixes() []string { return []string{"_bucket", "_sum", "_count"} }

// alternatives of exact names. VictoriaMetrics anchors a regular expression by itself.
func alternatives(names []string) string {
	escaped := make([]string, 0, len(names))
	for _, name := range names {
		escaped = append(escaped, regexpQuote(name))
	}
	return strings.Join(escaped, "|")
}

func regexpQuote(text string) string {
	var out strings.Builder
	for _, c := range text {
		if strings.ContainsRune(`\.+*?()|[]{}^$`, c) {
			out.WriteByte('\\')
		}
		out.WriteRune(c)
	}
	return out.String()
}

// dropLabelOf takes a label of some metrics away that tells no series of theirs apart.
func dropLabelOf(metrics []string, label string) *Rule {
	selector := `{__name__=~` + strconv.Quote(alternatives(metrics)) + `}`
	if len(metrics) == 1 {
		selector = victoriametrics.Selector(metrics[0])
	}
	return &Rule{
		Kind: rules.Relabeling,
		YAML: fmt.Sprintf("- if: %s\n  action: labeldrop\n  regex: %s\n", quoted(selector), quoted(alternatives([]string{label}))),
		Why:  "it tells no two series apart, so nothing is mixed up without it",
	}
}

func dropMetric(metric string) *Rule {
	return &Rule{
		Kind: rules.Relabeling,
		YAML: fmt.Sprintf("- if: %s\n  action: drop\n", quoted(victoriametrics.Selector(metric))),
		Why:  "nobody reads it",
	}
}

// quoted is a scalar of YAML that holds anything: a Go string of ASCII is one of YAML. VictoriaMetrics takes %{NAME} for a
// variable of its environment, and does not start where there is none: before it reads the YAML, where an escape is no %.
func quoted(text string) string {
	return strings.ReplaceAll(strconv.QuoteToASCII(text), "%{", `\x25{`)
}

func quotedList(words []string) string {
	list := make([]string, 0, len(words))
	for _, word := range slices.Sorted(slices.Values(words)) {
		list = append(list, quoted(word))
	}
	return strings.Join(list, ", ")
}

// Rules are the rules of the findings with a code, or of all, as files. Of two that aggregate the same series only the first
// is among them, the one that saves more: together each sample would be counted in both.
func (r Report) Rules(code string) []rules.Rule {
	var all []rules.Rule
	aggregated := map[string]bool{}
	for _, finding := range r.Findings {
		if finding.Rule == nil || code != AllFindings && finding.Code != code {
			continue
		}
		match, _, _ := strings.Cut(finding.Rule.YAML, "\n")
		if finding.Rule.Kind == rules.Aggregation && aggregated[match] {
			continue
		}
		aggregated[match] = true
		rule := rules.Rule{
			Name: ruleName(finding), Code: finding.Code, About: finding.Title, Metric: finding.Metric, Labels: finding.Labels,
			Kind: finding.Rule.Kind, Config: finding.Rule.YAML,
		}
		if at := slices.IndexFunc(r.Metrics, func(m Metric) bool { return m.Name == finding.Metric }); at >= 0 && finding.Saved > 0 {
			rule.Left, rule.Approximate = pointer(r.Metrics[at].promised(finding)), finding.Approximate
		}
		all = append(all, rule)
	}
	return all
}

// promised is how many series the metric is to have at most. Of an estimate it is the most that it can stand for: a promise must
// not be broken by how it was counted.
func (m Metric) promised(f Finding) int {
	left := m.Series - f.Saved
	if !f.Approximate {
		return left
	}
	return min(m.Series, int(math.Ceil(float64(left)/(1-m.Error))))
}

// AllFindings stands for the code of each.
const AllFindings = "all"

// ruleName is a file's: a metric may have any characters, so others than a file's become underscores, and a hash keeps two
// names apart that were not.
func ruleName(f Finding) string {
	words := []string{f.Code}
	if f.Metric != "" {
		words = append(words, f.Metric)
	}
	name := strings.Join(append(words, f.Labels...), "-")
	plain := strings.Map(func(c rune) rune {
		if c == '_' || c == '-' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
			return c
		}
		return '_'
	}, name)
	const longest = 120
	if plain == name && len(plain) <= longest {
		return plain
	}
	return fmt.Sprintf("%s-%08x", plain[:min(len(plain), longest)], uint32(xxhash.Sum64String(name))) //nolint:gosec // the low half is enough
}
