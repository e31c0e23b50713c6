package cardinality

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/VictoriaMetrics/metricsql"
)

// Uses is what expressions read: of dashboards, of rules, of the queries that the store has seen.
type Uses struct {
	exact    map[string]use
	patterns []patternUse
}

// use is who reads one metric, and which labels each of them names.
type use map[string]map[string]bool

// patternUse is a use of metrics whose name is not written out.
type patternUse struct {
	name *regexp.Regexp // nil for every name
	use  use
}

// Add notes what an expression reads; by says whose it is, for example "dashboard Host, panel Load". An expression that is not
// PromQL or MetricsQL is an error: without it a metric would look unused.
func (u *Uses) Add(by, expression string) error {
	parsed, err := metricsql.Parse(expression)
	if err != nil {
		return fmt.Errorf("%s: %w", by, err)
	}
	u.visit(by, parsed, nil)
	return nil
}

// visit goes down an expression. labels are those that something above reads: of by(), on(), and the functions of labels.
func (u *Uses) visit(by string, expression metricsql.Expr, labels []string) {
	switch e := expression.(type) {
	case *metricsql.MetricExpr:
		for _, filters := range e.LabelFilterss {
			u.note(by, filters, labels)
		}
	case *metricsql.RollupExpr:
		u.visit(by, e.Expr, labels)
		if e.At != nil {
			u.visit(by, e.At, labels)
		}
	case *metricsql.FuncExpr:
		u.visitAll(by, e.Args, append(slices.Clip(labels), texts(e.Args)...))
	case *metricsql.AggrFuncExpr:
		// What without() names may be dropped: that is all it does to it.
		if e.Modifier.Op == "by" {
			labels = append(slices.Clip(labels), e.Modifier.Args...)
		}
		u.visitAll(by, e.Args, append(slices.Clip(labels), texts(e.Args)...))
	case *metricsql.BinaryOpExpr:
		if e.GroupModifier.Op == "on" {
			labels = append(slices.Clip(labels), e.GroupModifier.Args...)
		}
		labels = append(slices.Clip(labels), e.JoinModifier.Args...)
		u.visitAll(by, []metricsql.Expr{e.Left, e.Right}, labels)
	}
}

func (u *Uses) visitAll(by string, expressions []metricsql.Expr, labels []string) {
	for _, one := range expressions {
		u.visit(by, one, labels)
	}
}

// texts are the literals among arguments: label_replace, count_values and the like take names of labels as such. One that is
// none does no harm, it matches no label.
func texts(arguments []metricsql.Expr) []string {
	var found []string
	for _, argument := range arguments {
		if text, is := argument.(*metricsql.StringExpr); is {
			found = append(found, text.S)
		}
	}
	return found
}

func (u *Uses) note(by string, filters []metricsql.LabelFilter, labels []string) {
	labels = slices.Clip(labels)
	var name *metricsql.LabelFilter
	for i, filter := range filters {
		if filter.Label == metricLabel {
			if name == nil || !filter.IsNegative {
				name = &filters[i]
			}
			continue
		}
		labels = append(labels, filter.Label)
	}
	if name != nil && !name.IsNegative && !name.IsRegexp {
		if u.exact == nil {
			u.exact = map[string]use{}
		}
		if u.exact[name.Value] == nil {
			u.exact[name.Value] = use{}
		}
		u.exact[name.Value].add(by, labels)
		return
	}
	pattern := patternUse{use: use{}}
	if name != nil && name.IsRegexp && !name.IsNegative {
		// It was parsed by the store's own parser; what Go's cannot read counts as a use of everything.
		pattern.name, _ = regexp.Compile("^(?:" + name.Value + ")$")
	}
	pattern.use.add(by, labels)
	u.patterns = append(u.patterns, pattern)
}

func (u use) add(by string, labels []string) {
	if u[by] == nil {
		u[by] = map[string]bool{}
	}
	for _, label := range labels {
		u[by][label] = true
	}
}

// Of returns who reads a metric, sorted.
func (u *Uses) Of(metric string) []string {
	by := map[string]bool{}
	u.each(metric, func(name string, _ map[string]bool) { by[name] = true })
	return slices.Sorted(maps.Keys(by))
}

// Naming returns who reads a metric and names one of these labels of it, sorted: whom it would be missing.
func (u *Uses) Naming(metric string, labels ...string) []string {
	by := map[string]bool{}
	u.each(metric, func(name string, named map[string]bool) {
		if slices.ContainsFunc(labels, func(label string) bool { return named[label] }) {
			by[name] = true
		}
	})
	return slices.Sorted(maps.Keys(by))
}

func (u *Uses) each(metric string, visit func(by string, labels map[string]bool)) {
	for by, labels := range u.exact[metric] {
		visit(by, labels)
	}
	for _, pattern := range u.patterns {
		if pattern.name == nil || pattern.name.MatchString(metric) {
			for by, labels := range pattern.use {
				visit(by, labels)
			}
		}
	}
}
