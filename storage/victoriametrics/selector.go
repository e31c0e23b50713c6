package victoriametrics

import "strconv"

// Selector matches one metric by its exact name, whatever characters that has.
func Selector(metric string) string {
	return "{__name__=" + strconv.Quote(metric) + "}"
}

// SelectorWith matches the series of a metric in which a label has exactly this value.
func SelectorWith(metric, label, value string) string {
	return "{__name__=" + strconv.Quote(metric) + "," + quoteLabel(label) + "=" + strconv.Quote(value) + "}"
}

// quoteLabel writes a label's name so that PromQL reads it back: as it is where it is an identifier, in quotes
// (UTF-8 names of Prometheus 3, and VictoriaMetrics) where it is not.
func quoteLabel(name string) string {
	if IsIdentifier(name) {
		return name
	}
	return strconv.Quote(name)
}

// IsIdentifier reports whether a name of a label needs no quotes.
func IsIdentifier(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}
