package victoriametrics_test

import (
	"testing"
	"unicode/utf8"

	"github.com/VictoriaMetrics/metricsql"
	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// The store's own parser reads back the name that a selector was made of, whatever that is.
func FuzzSelector(f *testing.F) {
	f.Add("up")
	f.Add("odd \"name\"\\{}")
	f.Add("\x00\u2028\u202e\n$1'`")
	f.Fuzz(func(t *testing.T, metric string) {
		if !utf8.ValidString(metric) || metric == "" { // of which no store has one
			return
		}
		parsed, err := metricsql.Parse(victoriametrics.Selector(metric))
		assert.NilError(t, err)
		expression, is := parsed.(*metricsql.MetricExpr)
		assert.Assert(t, is && len(expression.LabelFilterss) == 1, "%T", parsed)
		filters := expression.LabelFilterss[0]
		assert.Equal(t, len(filters), 1)
		assert.DeepEqual(t, filters[0], metricsql.LabelFilter{Label: "__name__", Value: metric})
	})
}
