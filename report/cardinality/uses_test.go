package cardinality_test

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
)

func TestUsesOf(t *testing.T) {
	for _, tc := range []struct {
		expression, metric string
		labels             []string // nil: not read at all
	}{
		{`up`, "up", []string{}},
		{`up`, "down", nil},
		{`up{job="a"}`, "up", []string{"job"}},
		{`{__name__="up",job!="a"}`, "up", []string{"job"}},
		{`sum(rate(http_total{code=~"5.."}[5m])) by (route)`, "http_total", []string{"code", "route"}},
		{`sum without (pod) (http_total)`, "http_total", []string{}},
		{`a / on (instance) group_left (version) b`, "a", []string{"instance", "version"}},
		{`a / on (instance) group_left (version) b`, "b", []string{"instance", "version"}},
		{`a / ignoring (pod) b`, "b", []string{}},
		{`histogram_quantile(0.9, sum by (le) (rate(x_bucket[1m])))`, "x_bucket", []string{"le"}},
		{`label_replace(up, "host", "$1", "instance", "(.*):.*")`, "up", []string{"$1", "(.*):.*", "host", "instance"}},
		{`{__name__=~"node_.*"}`, "node_load1", []string{}},
		{`{__name__=~"node_.*"}`, "my_node_load1", nil},
		{`{job="a"}`, "anything", []string{"job"}},
		{`{__name__!="up"}`, "anything", []string{}},
		{`a{x="1" or y="2"}`, "a", []string{"x", "y"}},
		{`max_over_time(rate(a[5m])[1h:1m] @ end())`, "a", []string{}},
		{`with (f = {job="x"}) a{f}`, "a", []string{"job"}},
		{`topk(3, a) or b`, "b", []string{}},
	} {
		var uses cardinality.Uses
		assert.NilError(t, uses.Add("it", tc.expression))
		by := uses.Of(tc.metric)
		assert.Equal(t, len(by) == 1, tc.labels != nil, "%s: %v", tc.expression, by)
		if tc.labels != nil {
			for _, label := range tc.labels {
				assert.Equal(t, len(uses.Naming(tc.metric, label)), 1, "%s: %s", tc.expression, label)
			}
			assert.Equal(t, len(uses.Naming(tc.metric, "other")), 0)
		}
	}
}

func TestUsesSayWhatTheyCannotRead(t *testing.T) {
	var uses cardinality.Uses
	assert.ErrorContains(t, uses.Add("panel Load", "sum(("), "panel Load: ")
}
