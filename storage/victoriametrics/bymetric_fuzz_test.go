package victoriametrics

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/VictoriaMetrics/metricsql"
	"gotest.tools/v3/assert"
)

// What is added to a selector of people keeps what it said, and finds the names that it is made of and no other.
func FuzzNamedSelector(f *testing.F) {
	f.Add(`{job="shop"}`, "up", "go_goroutines")
	f.Add(`up{a!~"b|c",d!="e"}`, "odd \"name\"\\{}", "a|b")
	f.Add(`{"größe.total",x=~"(?i)y"}`, "größe.total", "$^.*")
	f.Add(`{a="b" or c="d"}`, "\u2028\u202e\n$1'`", " ")
	f.Fuzz(func(t *testing.T, text, first, second string) {
		all, err := parseSelectors([]string{text})
		// A store's names are valid and are not empty.
		valid := utf8.ValidString(text) && utf8.ValidString(first) && utf8.ValidString(second)
		if err != nil || !valid || first == "" || second == "" || strings.Contains(text, "\\x") {
			return
		}
		for _, one := range all {
			written := one.named([]string{first, second}).String()
			again, err := parseSelectors([]string{written})
			assert.NilError(t, err, written)
			assert.Equal(t, len(again), 1, written)
			assert.DeepEqual(t, []metricsql.LabelFilter(again[0][:len(one)]), []metricsql.LabelFilter(one))
			name := again[0][len(one)]
			assert.Equal(t, name.Label+operator(name), "__name__=~")
			found := regexp.MustCompile("^(?s:" + name.Value + ")$")
			assert.Assert(t, found.MatchString(first) && found.MatchString(second), written)
			assert.Assert(t, !found.MatchString(first+second+"x"), written)
		}
	})
}
