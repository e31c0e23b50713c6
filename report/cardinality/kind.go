package cardinality

import "strings"

// The types of metrics, in the words of Prometheus.
const (
	TypeCounter   = "counter"
	TypeGauge     = "gauge"
	TypeHistogram = "histogram"
	TypeSummary   = "summary"
)

// kinds tells the types of metrics: as writers declared them, else by the conventions of names.
// https://prometheus.io/docs/practices/naming/
type kinds struct {
	declared map[string]string // metric, or family, to type
	names    map[string]bool
}

// of takes the labels that a metric has, because le and quantile tell more than any name.
func (k kinds) of(metric string, labels []LabelCount) string {
	for _, label := range labels {
		switch label.Name {
		case "le", "vmrange":
			return TypeHistogram
		case "quantile":
			return TypeSummary
		}
	}
	// The suffix is kept for counters, and what has it without a declared type reaches the store as a gauge by some writers.
	if strings.HasSuffix(metric, "_total") {
		return TypeCounter
	}
	if declared := k.declared[metric]; declared == TypeCounter || declared == TypeGauge {
		return declared
	}
	for _, suffix := range []string{"_sum", "_count"} {
		base, found := strings.CutSuffix(metric, suffix)
		if !found {
			continue
		}
		switch declared := k.declared[base]; {
		case declared == TypeHistogram, k.names[base+"_bucket"]:
			return TypeHistogram
		case declared == TypeSummary, k.names[base+"_sum"] && k.names[base+"_count"]:
			return TypeSummary
		}
	}
	return TypeGauge
}
