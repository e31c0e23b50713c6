package rules

import (
	"regexp"
	"regexp/syntax"
	"slices"

	"github.com/VictoriaMetrics/metricsql"
	"go.yaml.in/yaml/v4"
)

// Twice returns the names of two rules that aggregate the same series, however their selectors are spelled: each sample would
// count in both. Both are "" where there are none, and where two regular expressions leave it open.
func Twice(all []Rule) (one, other string) {
	var seen []match
	for _, rule := range of(all, Aggregation) {
		var own []match
		for _, selector := range selectors(rule.Config) {
			own = append(own, match{rule.Name, selector, alternatives(selector)})
		}
		for _, before := range seen {
			if slices.ContainsFunc(own, before.overlaps) {
				return before.rule, rule.Name
			}
		}
		seen = append(seen, own...)
	}
	return "", ""
}

// match is a selector of a rule.
type match struct {
	rule, selector string
	groups         [][]metricsql.LabelFilter
}

// selectors are what the entries of a rule match: VictoriaMetrics takes one, or a list of alternatives.
func selectors(config string) []string {
	var entries []struct{ Match any }
	if err := yaml.Unmarshal([]byte(config), &entries); err != nil {
		return nil
	}
	var all []string
	for _, entry := range entries {
		switch match := entry.Match.(type) {
		case string:
			all = append(all, match)
		case []any:
			for _, one := range match {
				if text, is := one.(string); is {
					all = append(all, text)
				}
			}
		}
	}
	return all
}

// overlaps reports whether there can be a series that both selectors match.
func (m match) overlaps(other match) bool {
	if m.selector == other.selector {
		return true
	}
	for _, left := range m.groups {
		for _, right := range other.groups {
			if together(left, right) {
				return true
			}
		}
	}
	return false
}

// alternatives are the groups of filters that a selector is made of with `or`; none where it cannot be read.
func alternatives(selector string) [][]metricsql.LabelFilter {
	parsed, err := metricsql.Parse(selector)
	if err != nil {
		return nil
	}
	expression, is := parsed.(*metricsql.MetricExpr)
	if !is {
		return nil
	}
	return expression.LabelFilterss
}

func together(left, right []metricsql.LabelFilter) bool {
	byLabel := map[string][2][]metricsql.LabelFilter{}
	for side, filters := range [][]metricsql.LabelFilter{left, right} {
		for _, filter := range filters {
			both := byLabel[filter.Label]
			both[side] = append(both[side], filter)
			byLabel[filter.Label] = both
		}
	}
	for _, both := range byLabel {
		if !compatible(both[0], both[1]) {
			return false
		}
	}
	return true
}

// compatible reports whether a label can have a value that all filters of both selectors take.
func compatible(left, right []metricsql.LabelFilter) bool {
	all := slices.Concat(left, right)
	for _, filter := range all {
		if values := valuesOf(filter); values != nil {
			return slices.ContainsFunc(values, func(value string) bool {
				return !slices.ContainsFunc(all, func(f metricsql.LabelFilter) bool { return !takes(f, value) })
			})
		}
	}
	open := func(filters []metricsql.LabelFilter) bool {
		return !slices.ContainsFunc(filters, func(f metricsql.LabelFilter) bool { return !f.IsNegative })
	}
	// Each selector matches something by itself, and what leaves out some values only matches most of them.
	return open(left) || open(right) || slices.Equal(left, right)
}

func takes(filter metricsql.LabelFilter, value string) bool {
	if !filter.IsRegexp {
		return (filter.Value == value) != filter.IsNegative
	}
	anchored, err := regexp.Compile("^(?:" + filter.Value + ")$")
	return err == nil && anchored.MatchString(value) != filter.IsNegative
}

// valuesOf are all values that a filter takes, nil where they are not few.
func valuesOf(filter metricsql.LabelFilter) []string {
	if filter.IsNegative {
		return nil
	}
	if !filter.IsRegexp {
		return []string{filter.Value}
	}
	parsed, err := syntax.Parse(filter.Value, syntax.Perl)
	if err != nil {
		return nil
	}
	return words(parsed)
}

const mostWords = 1000

// words are what a regular expression matches where it is made of words and alternatives alone.
func words(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpEmptyMatch:
		return []string{""}
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase != 0 {
			return nil
		}
		return []string{string(re.Rune)}
	case syntax.OpCharClass:
		return characters(re.Rune)
	case syntax.OpCapture:
		return words(re.Sub[0])
	case syntax.OpAlternate:
		var all []string
		for _, sub := range re.Sub {
			some := words(sub)
			if some == nil || len(all)+len(some) > mostWords {
				return nil
			}
			all = append(all, some...)
		}
		return all
	case syntax.OpConcat:
		all := []string{""}
		for _, sub := range re.Sub {
			all = joined(all, words(sub))
		}
		return all
	}
	return nil
}

func characters(ranges []rune) []string {
	var all []string
	for i := 0; i+1 < len(ranges); i += 2 {
		for c := ranges[i]; c <= ranges[i+1]; c++ {
			if len(all) == mostWords {
				return nil
			}
			all = append(all, string(c))
		}
	}
	return all
}

func joined(firsts, seconds []string) []string {
	if len(firsts)*len(seconds) > mostWords {
		return nil
	}
	var all []string
	for _, first := range firsts {
		for _, second := range seconds {
			all = append(all, first+second)
		}
	}
	return all
}
