package stack_test

import (
	"errors"
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
			balance, err := scale(t, engine, replicas)
			assert.NilError(t, err)
			assert.Assert(t, balance.Settled >= 3*time.Second && balance.Settled < 4*time.Second, balance.Settled)
			assert.Equal(t, len(balance.Replicas), replicas)
			for _, replica := range balance.Replicas {
				for i, lane := range replica.Lanes {
					assert.Equal(t, lane.Lane, stack.Lanes()[i].Name)
					assert.Equal(t, lane.Requests, 20, "%s", replica.Name)
					assert.Equal(t, lane.Share, 1/float64(replicas))
				}
			}
		})
	}
}

func TestScaleSaysWhyItIsUneven(t *testing.T) {
	for name, test := range map[string]struct {
		replicas int
		breaks   func(*stacktest.Engine)
		want     string
	}{
		"stray": {
			1, func(e *stacktest.Engine) { e.BalancerLag = time.Hour },
			`the balancer still sends to 10.0.0.4, where no replica is`,
		},
		"unknown": {
			3, func(e *stacktest.Engine) { e.BalancerLag = time.Hour },
			`telemetry-aggregator-3 (10.0.0.11) gets nothing on the logs lane: the balancer does not know its address`,
		},
		"deaf": {
			2, func(e *stacktest.Engine) { e.Deaf = map[string]bool{"telemetry-aggregator-2": true} },
			`telemetry-aggregator-2 (10.0.0.4) refuses the logs lane: gRPC status 13`,
		},
		"skew": {
			2, func(e *stacktest.Engine) { e.Favourite = "telemetry-aggregator-1" },
			`telemetry-aggregator-1 gets 80 % of the logs lane, an even share of 2 is 50 %`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				engine := running(t)
				test.breaks(engine)
				_, err := scale(t, engine, test.replicas)
				var uneven *stack.UnevenError
				assert.Assert(t, errors.As(err, &uneven), "%v", err)
				assert.Equal(t, uneven.Cause, test.want)
			})
		})
	}
}

func TestScaleNeedsTheBalancer(t *testing.T) {
	engine := stacktest.New()
	_, err := engine.Manager().WaitBalanced(t.Context(), "telemetry", time.Second)
	assert.Error(t, err, `the balancer of "telemetry" does not run`)
}

func scale(t *testing.T, engine *stacktest.Engine, replicas int) (stack.Balance, error) {
	t.Helper()
	settings := testSettings()
	settings.Scale = map[string]int{stack.Aggregator: replicas}
	return engine.Manager().Scale(t.Context(), load(t, settings), time.Minute)
}
