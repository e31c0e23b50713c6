package rules_test

import (
	"fmt"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/rules"
)

func TestTwice(t *testing.T) {
	for _, tc := range []struct {
		one, other string
		want       bool
	}{
		{`orders_total`, `orders_total`, true},
		{`orders_total`, `{__name__="orders_total"}`, true},
		{`{__name__="orders_total"}`, `{"orders_total"}`, true},
		{`orders_total`, `orders`, false},
		{`orders{a="1",b="2"}`, `orders{b="2",a="1"}`, true},
		{`orders`, `orders{job="shop"}`, true},
		{`orders{job="a"}`, `orders{job="b"}`, false},
		{`orders{job="a"}`, `orders{job!="a"}`, false},
		{`orders{job!="a"}`, `orders{job!="b"}`, true},
		{`orders{job="ab"}`, `orders{job=~"a.*"}`, true},
		{`orders{job="ba"}`, `orders{job=~"a.*"}`, false},
		{`orders{job=~"a.*"}`, `orders{job=~"a.*"}`, true},
		{`orders{job!~"a.*"}`, `orders{job=~"b.*"}`, true},
		{`orders{job=~"a.*"}`, `orders{job=~".*b"}`, false}, // it is left open
		{`{__name__=~"wait_bucket|wait_sum|wait_count"}`, `{__name__=~"(wait|hold)_(count)"}`, true},
		{`{__name__=~"wait_bucket|wait_sum|wait_count"}`, `wait_count`, true},
		{`{__name__=~"wait_bucket|wait_sum|wait_count"}`, `wait_total`, false},
		{`{__name__=~"wait_[ab]"}`, `wait_b`, true},
		{`{__name__=~"(?i)wait"}`, `WAIT`, true},
		{`{job="a" or job="b"}`, `{job="b" or job="c"}`, true},
		{`{job="a" or job="b"}`, `{job="c" or job="d"}`, false},
		{`{`, `{`, true},
		{`{`, `{x`, false},
		{`orders{job=""}`, `orders{job="a"}`, false},
	} {
		for _, pair := range [][2]string{{tc.one, tc.other}, {tc.other, tc.one}} {
			one, other := rules.Twice([]rules.Rule{
				{Name: "one", Kind: rules.Aggregation, Config: fmt.Sprintf("- match: %q\n", pair[0])},
				{Name: "own", Kind: rules.Aggregation, Config: "- match: [x_y, x_z]\n- match: x_y\n"}, // one rule may, if its author wants it
				{Name: "other", Kind: rules.Aggregation, Config: fmt.Sprintf("- match: ['unseen{job=\"z\"}', %q]\n", pair[1])},
				{Name: "not", Kind: rules.Relabeling, Config: fmt.Sprintf("- if: %q\n", pair[1])},
			})
			assert.Equal(t, one+" "+other == "one other", tc.want, "%s", pair)
		}
	}
}

func FuzzTwice(f *testing.F) {
	f.Add(`{__name__=~"a|b",x!~"c"}`, `a{x=~"[a-z]"}`)
	f.Fuzz(func(t *testing.T, one, other string) {
		all := []rules.Rule{
			{Name: "a", Kind: rules.Aggregation, Config: fmt.Sprintf("- match: %q\n", one)},
			{Name: "b", Kind: rules.Aggregation, Config: fmt.Sprintf("- match: %q\n", other)},
		}
		first, _ := rules.Twice(all)
		all[0].Config, all[1].Config = all[1].Config, all[0].Config
		again, _ := rules.Twice(all)
		assert.Equal(t, first == "", again == "", "it holds for both or for none")
	})
}
