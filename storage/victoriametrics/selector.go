package victoriametrics

import "strconv"

// Selector matches one metric by its exact name, whatever characters that has.
func Selector(metric string) string {
	return "{__name__=" + strconv.Quote(metric) + "}"
}
