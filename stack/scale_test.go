package stack_test

import (
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/stack/stacktest"
)

func TestScaleWaitsForTheBalancer(t *testing.T) {
	for _, replicas := range []int{1, 4} {
		synctest.Test(t, func(t *testing.T) {
			engine := running(t)
			engine.BalancerLag = 3 * time.Second
			settings := testSettings()
			settings.Scale = map[string]int{stack.Aggregator: replicas}
			began := time.Now()
			assert.NilError(t, engine.Manager().Scale(t.Context(), load(t, settings), time.Minute))
			took := time.Since(began)
			assert.Assert(t, took >= 3*time.Second && took < 4*time.Second, took)
		})
	}
}

func TestScaleSaysWhomTheBalancerMisses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := running(t)
		engine.BalancerLag = time.Hour
		settings := testSettings()
		settings.Scale = map[string]int{stack.Aggregator: 1}
		err := engine.Manager().Scale(t.Context(), load(t, settings), time.Minute)
		assert.Error(t, err, `the balancer of "telemetry" sends to 10.0.0.3, 10.0.0.4, but the aggregators are 10.0.0.3`)
	})
}

func TestScaleNeedsTheBalancer(t *testing.T) {
	engine := stacktest.New()
	assert.Error(t, engine.Manager().WaitBalanced(t.Context(), "telemetry", time.Second), `the balancer of "telemetry" does not run`)
}
