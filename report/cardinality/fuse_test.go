package cardinality_test

import (
	"fmt"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
	"github.com/docker-telemetry/docker-telemetry/report/rules"
)

// endless is a store whose metrics, one of each type, have the id of a user in a label; 50 series of the counter have none.
func endless() *store {
	s := &store{types: map[string]string{"held": "gauge"}}
	for i := range 400 {
		user := fmt.Sprintf("%08x-0000-4000-8000-%012x", i, i)
		for _, one := range []series{
			{"__name__": "orders_total", "route": []string{"/cart", "/pay"}[i%2]},
			{"__name__": "wait_seconds_bucket", "le": "+Inf"},
			{"__name__": "wait_seconds_bucket", "le": "1"},
			{"__name__": "rpc_seconds", "quantile": "0.5"},
			{"__name__": "vm_held"},
			{"__name__": "über_total"},
		} {
			one["job"], one["user_id"] = "shop", user
			if one["__name__"] == "vm_held" {
				one["job"] = "victoriametrics"
			}
			s.series = append(s.series, one)
		}
	}
	for i := range 50 {
		s.series = append(s.series, series{"__name__": "orders_total", "route": fmt.Sprintf("/%c%c", 'a'+i/10, 'a'+i%10), "job": "shop"})
	}
	return s
}

// The golden file is what the agent gets: the lab's Vector runs its tests, the VRL compiler its conditions.
func TestFuses(t *testing.T) {
	report := reportOf(t, endless(), cardinality.Options{})
	fuses := report.Fuses(cardinality.AllFindings, 3)
	var names []string
	for _, fuse := range fuses {
		names = append(names, fuse.Name)
		raw, err := fuse.Encode()
		assert.NilError(t, err)
		read, err := rules.Decode(fuse.Name, raw)
		assert.NilError(t, err)
		assert.DeepEqual(t, read, fuse)
	}
	assert.DeepEqual(t, names, []string{"DTC001-wait_seconds_bucket-user_id-fuse", "DTC001-rpc_seconds-user_id-fuse", "DTC001-orders_total-user_id-fuse"})
	// Three values with each of the two routes, and the 50 series without the label; without it 52 are left.
	assert.Equal(t, *fuses[2].Left, 3*52+50)
	assert.Equal(t, *fuses[0].Left, 3*2)
	agent, err := rules.AgentConfig(fuses)
	assert.NilError(t, err)
	golden.Assert(t, agent, "agent.yaml")
	assert.Assert(t, findingOf(report, cardinality.UnboundedLabel, "rpc_seconds").Rule == nil, "a summary cannot be summed: the fuse is all there is")

	assert.Equal(t, len(report.Fuses(cardinality.UnboundedLabel, 3)), 3)
	assert.Equal(t, len(report.Fuses(cardinality.CostlyLabel, 3)), 0)
	many := report.Fuses(cardinality.AllFindings, 1000)
	assert.Assert(t, len(many[0].Tests) < 4000 && !strings.Contains(many[0].Tests, "1001"), "%s", many[0].Tests)
}
