package stack_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/stack/stacktest"
)

const collector = "telemetry-collector-1"

// newJoinEngine has a collector and three networks: two of the project shop, and one of nobody.
func newJoinEngine() *stacktest.Engine {
	engine := stacktest.New()
	engine.AddContainer(collector, "otelcol:1", map[string]string{stack.StackLabel: "telemetry", stack.ComponentLabel: stack.Collector}, 0)
	engine.AddNetwork("shop_default", composeNetwork("shop", "default"))
	engine.AddNetwork("shop_back", composeNetwork("shop", "back"))
	relay := composeNetwork("shop", "relay")
	relay["com.docker.compose.relay-network"] = "db"
	engine.AddNetwork("shop_db_relay", relay)
	engine.AddNetwork("shared", nil)
	return engine
}

func composeNetwork(project, key string) map[string]string {
	return map[string]string{"com.docker.compose.project": project, "com.docker.compose.network": key}
}

func TestSyncJoins(t *testing.T) {
	engine := newJoinEngine()
	manager := engine.Manager()
	for _, step := range []struct {
		name  string
		joins []stack.Join
		want  []string
	}{
		{"all of a project's", []stack.Join{{Project: "shop", Alias: "otel"}}, []string{
			"connect telemetry-collector-1 as otel,docker-telemetry-collector to shop_back",
			"connect telemetry-collector-1 as otel,docker-telemetry-collector to shop_default",
		}},
		{"the same", []stack.Join{{Project: "shop", Alias: "otel"}}, nil},
		{"one by its key", []stack.Join{{Project: "shop", Alias: "otel", Networks: []string{"back"}}}, []string{"disconnect telemetry-collector-1 shop_default"}},
		{"two projects on one network", []stack.Join{
			{Project: "shop", Alias: "otel", Networks: []string{"back"}}, {Project: "web", Alias: "traces", Networks: []string{"shop_back", "shared"}},
		}, []string{
			"connect telemetry-collector-1 as otel,traces,docker-telemetry-collector to shop_back",
			"connect telemetry-collector-1 as traces,docker-telemetry-collector to shared",
			"disconnect telemetry-collector-1 shop_back",
		}},
		{"one of them goes", []stack.Join{{Project: "web", Alias: "traces", Networks: []string{"shop_back", "shared"}}}, []string{
			"connect telemetry-collector-1 as traces,docker-telemetry-collector to shop_back",
			"disconnect telemetry-collector-1 shop_back",
		}},
		{"a project that is gone", []stack.Join{{Project: "gone", Alias: "otel"}}, []string{
			"disconnect telemetry-collector-1 shared", "disconnect telemetry-collector-1 shop_back",
		}},
	} {
		engine.Forget()
		assert.NilError(t, manager.SyncJoins(t.Context(), "telemetry", step.joins), step.name)
		changes := engine.Changes()
		slices.Sort(changes)
		assert.Equal(t, strings.Join(changes, "\n"), strings.Join(step.want, "\n"), step.name)
	}
}

// A network that the collector is on without our doing is the user's: an overlay put it there.
func TestSyncJoinsLeavesOthersAlone(t *testing.T) {
	engine := newJoinEngine()
	engine.Place(collector, "theirs")
	assert.NilError(t, engine.Manager().SyncJoins(t.Context(), "telemetry", nil))
	assert.DeepEqual(t, engine.Changes(), []string(nil))
}

func TestSyncJoinsSaysWhatCannotBeJoined(t *testing.T) {
	engine := newJoinEngine()
	engine.AddNetwork("swarm_net", nil)
	join := stack.Join{Project: "shop", Alias: "otel", Networks: []string{"swarm_net", "default"}}
	err := engine.Manager().SyncJoins(t.Context(), "telemetry", []stack.Join{join})
	assert.ErrorContains(t, err, "the collector cannot join network swarm_net: ")
	assert.DeepEqual(t, engine.Changes(), []string{"connect telemetry-collector-1 as otel,docker-telemetry-collector to shop_default"})
}

func TestAwaitNetworks(t *testing.T) {
	manager := newJoinEngine().Manager()
	for want, join := range map[string]stack.Join{
		"": {Project: "shop", Networks: []string{"default", "shop_back", "shared"}},
		`this engine has no network of project "web"`:                                   {Project: "web"},
		`project "shop" has no network "front", and the engine knows none of that name`: {Project: "shop", Networks: []string{"back", "front"}},
	} {
		err := manager.AwaitNetworks(t.Context(), join, 0)
		if want == "" {
			assert.NilError(t, err)
			continue
		}
		assert.Error(t, err, want)
	}
	assert.NilError(t, manager.AwaitNetworks(t.Context(), stack.Join{Project: "shop"}, 0))
}

// Compose makes the networks while the provider waits for them.
func TestAwaitNetworksThatComeLater(t *testing.T) {
	engine := newJoinEngine()
	time.AfterFunc(150*time.Millisecond, func() { engine.AddNetwork("web_default", composeNetwork("web", "default")) })
	assert.NilError(t, engine.Manager().AwaitNetworks(t.Context(), stack.Join{Project: "web"}, time.Minute))

	stopped, stop := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, stop)
	assert.ErrorIs(t, engine.Manager().AwaitNetworks(stopped, stack.Join{Project: "gone"}, time.Minute), context.Canceled)
}

func TestComposeProjects(t *testing.T) {
	engine := stacktest.New()
	engine.AddContainer("shop-app-1", "app:1", map[string]string{"com.docker.compose.project": "shop"}, 0)
	engine.AddContainer("plain", "app:1", nil, 0)
	projects, err := engine.Manager().ComposeProjects(t.Context())
	assert.NilError(t, err)
	assert.DeepEqual(t, projects, map[string]bool{"shop": true})
}
