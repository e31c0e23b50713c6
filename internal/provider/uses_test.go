package provider_test

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/internal/provider"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
)

func TestUses(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	long := now.Add(-time.Hour)
	shop, web := state.Use{Project: "shop", Service: "otel", Since: long}, state.Use{Project: "web", Service: "otel", Since: long}
	uses := provider.Put(provider.Put(nil, web), shop)
	assert.DeepEqual(t, uses, []state.Use{shop, web})

	again := state.Use{Project: "shop", Service: "otel", Since: now, Networks: []string{"back"}}
	assert.DeepEqual(t, provider.Put(uses, again), []state.Use{again, web})
	second := state.Use{Project: "shop", Service: "traces", Since: now}
	both := provider.Put(uses, second)
	assert.DeepEqual(t, provider.Projects(both), []string{"shop", "web"})
	assert.DeepEqual(t, provider.Drop(both, "shop"), []state.Use{web})
	assert.DeepEqual(t, uses, []state.Use{shop, web}) // no argument was changed

	assert.DeepEqual(t, provider.Live(uses, map[string]bool{"web": true}, now), []state.Use{web})
	// Its containers may be still to come.
	assert.DeepEqual(t, provider.Live([]state.Use{again}, nil, now.Add(provider.Settle)), []state.Use{again})
	assert.Equal(t, len(provider.Live([]state.Use{again}, nil, now.Add(provider.Settle+1))), 0)

	assert.DeepEqual(t, provider.Active(provider.Stop(uses, "web")), []state.Use{shop})
	assert.DeepEqual(t, provider.Active(uses), []state.Use{shop, web})
}
