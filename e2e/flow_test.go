//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/pipeline"
)

func (e *env) flow(t *testing.T) pipeline.Flow {
	t.Helper()
	var flow pipeline.Flow
	r := e.telemetry("flow", "--count", "1")
	e.ok(r)
	assert.NilError(t, json.Unmarshal([]byte(r.stdout), &flow), r.stdout)
	return flow
}

// flowHasFigures stops VictoriaMetrics and starts it again.
func flowHasFigures(t *testing.T, e *env) {
	eventually(t, time.Minute, func() error { return e.flows(t, pipeline.FromStore, "balancer", "openobserve", "victoriametrics") })
	e.ok(e.telemetry("stop", "victoriametrics"))
	eventually(t, 30*time.Second, func() error { return e.flows(t, pipeline.FromComponents) })
	e.ok(e.telemetry("start", "victoriametrics"))
}

// flows requires a flow from where it should come, in which events go through the agent, both aggregators and other hops.
func (e *env) flows(t *testing.T, from string, others ...string) error {
	t.Helper()
	flow := e.flow(t)
	if flow.From != from {
		return fmt.Errorf("the figures are from %s: %v", flow.From, flow.Notes)
	}
	moving := map[string]int{}
	for _, hop := range flow.Hops {
		if hop.In != nil && hop.In.Events > 0 || hop.Requests != nil && *hop.Requests > 0 {
			moving[hop.Component]++
		}
	}
	if moving["agent"] != 1 || moving["aggregator"] != 2 {
		return fmt.Errorf("events go through %v", moving)
	}
	for _, other := range others {
		if moving[other] != 1 {
			return fmt.Errorf("nothing goes to %s: %v", other, moving)
		}
	}
	return nil
}
