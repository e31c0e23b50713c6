package plugin

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/docker-telemetry/docker-telemetry/report/rules"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

func TestPrintPromises(t *testing.T) {
	one, many, kept, broken := 1, 9, true, false
	hour := &arrivals{Series: 700, Seconds: 3600, PerHour: 700, Young: true}
	minute := &arrivals{Series: 2, Seconds: 60, PerHour: 120, Extrapolated: true}
	read := []rules.Rule{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	promises := []promise{
		{Rule: "a", Metric: "orders", Before: 700, After: &one, Promised: 1, Kept: &kept, NewBefore: hour, NewAfter: minute},
		{Rule: "b", Metric: "orders", Before: 700, After: &many, Promised: 3, Kept: &broken, NewBefore: hour, NewAfter: minute},
		{Rule: "c", Metric: "odd\x1b\nname", Before: 5, Promised: 3, NewBefore: &arrivals{Seconds: 3600}},
	}
	for _, format := range []string{"table", "json"} {
		var out, told bytes.Buffer
		err := printPromises(&app{deps: deps{stdout: &out, stderr: &told}}, read, promises, format)
		var coded *codeError
		assert.Assert(t, errors.As(err, &coded) && coded.code == exitFindings, "%v", err)
		assert.ErrorContains(t, err, `rule "b" did not keep its promise`)
		if format == "table" {
			golden.Assert(t, out.String()+told.String(), "promises.txt")
			continue
		}
		holdsContract(t, "rules apply", out.String())
	}
	promises[1].unreached = true
	err := printPromises(&app{deps: deps{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}}, read, promises, "table")
	assert.ErrorContains(t, err, `no sample of "orders" comes to the agent, so rule "b" does nothing`)
	assert.NilError(t, printPromises(&app{deps: deps{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}}, read[:1], promises[:1], "table"))
}

// results is a store that knows the results of some queries, by a part of them.
type results map[string]float64

func (a results) QueryLatest(_ context.Context, expression string) ([]victoriametrics.Sample, error) {
	for part, value := range a {
		if strings.Contains(expression, part) {
			return []victoriametrics.Sample{{Value: value}}, nil
		}
	}
	return nil, nil
}

func TestPromiseIsLookedAt(t *testing.T) {
	aggregation := rules.Rule{Name: "a", Kind: rules.Aggregation}
	transform := rules.Rule{Name: "a.b", Kind: rules.Transform}
	for _, tc := range []struct {
		name             string
		rule             rules.Rule
		before, promised int
		store            results
		want             bool
	}{
		{"as few as promised", aggregation, 9, 2, results{"orders": 2}, true},
		{"more", aggregation, 9, 2, results{"orders": 3}, false},
		{"none yet", aggregation, 9, 2, results{}, false},
		{"none, as promised", aggregation, 9, 0, results{}, true},
		{"there were none before", aggregation, 0, 2, results{}, true},
		{"at the agent", transform, 9, 2, results{"orders": 2, `component_id="rule_a_b"`: 1}, true},
		{"past the agent", transform, 9, 20, results{"orders": 9}, false},
	} {
		p := promise{Metric: "orders", Before: tc.before, Promised: tc.promised, rule: tc.rule}
		kept, err := p.look(t.Context(), tc.store)
		assert.NilError(t, err)
		assert.Equal(t, kept, tc.want, tc.name)
		assert.Equal(t, *p.Kept, tc.want, tc.name)
	}
}
