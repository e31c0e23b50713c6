package cardinality_test

import (
	"testing"
	"testing/fstest"

	"github.com/VictoriaMetrics/metricsql"
	"go.yaml.in/yaml/v4"
	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
	"github.com/docker-telemetry/docker-telemetry/report/rules"
)

// Whatever a metric and its label are called, the rules are YAML, and each is for exactly that metric.
func FuzzRules(f *testing.F) {
	f.Add("orders_total", "user_id")
	f.Add("odd \"name\"\n{}$1", "lab'el: |")
	f.Add("wait_seconds_bucket", "\u2028\x00")
	f.Add("a.b|c(d)*", "x|y")
	f.Fuzz(func(t *testing.T, metric, label string) {
		if metric == "" || label == "" || label == "__name__" || label == "job" {
			return
		}
		s := &store{}
		for i := range 200 {
			s.series = append(s.series, series{"__name__": metric, "job": "shop", label: shaped(i)})
		}
		for _, rule := range reportOf(t, s, cardinality.Options{}).Rules(cardinality.AllFindings) {
			var entries []struct {
				Match string `yaml:"match"`
				If    string `yaml:"if"`
			}
			assert.NilError(t, yaml.Unmarshal([]byte(rule.Config), &entries), "%s", rule.Config)
			assert.Equal(t, len(entries), 1)
			_, err := metricsql.Parse(entries[0].Match + entries[0].If)
			assert.NilError(t, err, "%s", rule.Config)
			raw, err := rule.Encode()
			assert.NilError(t, err)
			_, err = rules.Decode(rule.Name, raw)
			assert.NilError(t, err, "%s", raw)
		}
	})
}

func shaped(i int) string { return string(rune('a'+i%26)) + string(rune('a'+i/26)) + "-value" }

func FuzzReadUses(f *testing.F) {
	f.Add([]byte(`{"panels":[{"targets":[{"expr":"sum(rate(a[$__interval]))"}]}]}`), []byte("groups: [{rules: [{alert: A, expr: up}]}]"))
	f.Add([]byte(`{"dashboard":{"panels":[{"panels":[{"targets":[{"expr":"${x}"}]}]}]}}`), []byte("groups: 1"))
	f.Fuzz(func(t *testing.T, board, alerts []byte) {
		uses := &cardinality.Uses{}
		_, err := cardinality.ReadUses(fstest.MapFS{"a.json": {Data: board}, "b.yml": {Data: alerts}}, uses)
		assert.NilError(t, err)
		uses.Of("up")
	})
}
