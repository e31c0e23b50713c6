package cardinality

import "regexp"

// Template is a value's, as the report makes it.
func Template(value string) string {
	if out, changed := template(nil, []byte(value)); changed {
		return string(out)
	}
	return value
}

// TemplateBySteps is a value's, by the regular expressions that a rule has.
func TemplateBySteps(value string) string {
	for _, step := range templateSteps() {
		value = regexp.MustCompile(step.regex).ReplaceAllString(value, step.replacement)
	}
	return value
}

// Protected is what the report never proposes to take away.
func Protected(label string) bool { return protected(label) }

// Normalize is the rule for a label of a metric.
func Normalize(metric, kind, label string) string {
	return normalize(metric, kind, label, "__raw").YAML
}
