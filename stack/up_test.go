package stack_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/compose/v5/pkg/api"
	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/stack/stacktest"
)

func everything() stack.UpOptions { return stack.UpOptions{Wait: true, WaitTimeout: time.Minute} }

// running returns an engine on which up has run, with an empty list of changes.
func running(t *testing.T) *stacktest.Engine {
	t.Helper()
	engine := stacktest.New()
	assert.NilError(t, engine.Manager().Up(t.Context(), load(t, testSettings()), everything()))
	engine.Forget()
	return engine
}

func TestUpWaitsForEveryReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := stacktest.New()
		engine.HealthyAfter = 7 * time.Second
		assert.NilError(t, engine.Manager().Up(t.Context(), load(t, testSettings()), everything()))
		containers, err := engine.Manager().Containers(t.Context(), "telemetry")
		assert.NilError(t, err)
		assert.Equal(t, len(containers), 10)
		for _, c := range containers {
			assert.Assert(t, c.Ready(), "%s: %s", c.Name, c.Status)
		}
	})
}

func TestUpWithoutWaitReturnsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := stacktest.New()
		engine.Faults[stack.Grafana] = stacktest.NeverHealthy
		assert.NilError(t, engine.Manager().Up(t.Context(), load(t, testSettings()), stack.UpOptions{}))
		assert.Assert(t, slices.Contains(engine.Containers(), "telemetry-grafana-1 running"))
	})
}

func TestUpNamesTheFailedComponent(t *testing.T) {
	for _, tc := range []struct {
		component string
		fault     stacktest.Fault
		want      string
		within    time.Duration
	}{
		{stack.Grafana, stacktest.Unhealthy, "grafana (telemetry-grafana-1) is unhealthy", 0},
		{stack.Aggregator, stacktest.Exits, "aggregator (telemetry-aggregator-1) stopped: Exited (1) 3 seconds ago", 0},
		{stack.Aggregator, stacktest.Restarting, "aggregator (telemetry-aggregator-1) keeps restarting: Restarting (1) 3 seconds ago", 7 * time.Second},
		{stack.Grafana, stacktest.NeverHealthy, "grafana (telemetry-grafana-1) is not ready after 1m0s: Up 2 minutes (health: starting)", time.Minute},
		// The agent depends on it, so here it is Compose that gives up, with a sentence of its own.
		{stack.DockerProxy, stacktest.Unhealthy, "docker-proxy (telemetry-docker-proxy-1) is not healthy: Up 2 minutes (unhealthy)", 0},
	} {
		t.Run(tc.component+" "+string(tc.fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				engine := stacktest.New()
				engine.Faults[tc.component] = tc.fault
				for i := range 25 {
					engine.Says[tc.component] += fmt.Sprintf("line %d\n", i+1)
				}
				began := time.Now()
				err := engine.Manager().Up(t.Context(), load(t, testSettings()), everything())
				assert.Error(t, err, tc.want)
				assert.Assert(t, time.Since(began) <= tc.within, time.Since(began))

				var failed *stack.FailedError
				assert.Assert(t, errors.As(err, &failed))
				assert.Equal(t, failed.Hint(), "it is left for inspection: docker telemetry logs "+tc.component)
				lines := strings.Split(failed.Tail, "\n")
				assert.Equal(t, len(lines), 20)
				assert.Equal(t, lines[19], "line 25")
				assert.Assert(t, slices.ContainsFunc(engine.Containers(), func(name string) bool {
					return strings.HasPrefix(name, "telemetry-"+tc.component+"-1 ")
				}), "it is left")
			})
		})
	}
}

// A component that restarts once on its way up is not a failure.
func TestUpForgivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := stacktest.New()
		engine.Faults[stack.Grafana] = stacktest.Restarting
		healed := time.AfterFunc(3*time.Second, func() {
			engine.Heal(stack.Grafana)
			_ = engine.Start(t.Context(), "telemetry", startOf(stack.Grafana))
		})
		defer healed.Stop()
		assert.NilError(t, engine.Manager().Up(t.Context(), load(t, testSettings()), everything()))
	})
}

func TestUpAgainChangesNothing(t *testing.T) {
	engine := running(t)
	assert.NilError(t, engine.Manager().Up(t.Context(), load(t, testSettings()), everything()))
	assert.DeepEqual(t, engine.Changes(), []string(nil))
}

func TestUpChangesOnlyWhatDiffers(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(fstest.MapFS, *stack.Settings)
		want   []string
	}{
		{"a config", func(b fstest.MapFS, _ *stack.Settings) { appendTo(b, "config/gateway/index.html") }, []string{
			"recreate container telemetry-gateway-1", "copy to container telemetry-gateway-1", "start container telemetry-gateway-1",
		}},
		{"more replicas", func(_ fstest.MapFS, s *stack.Settings) { s.Scale = map[string]int{stack.Aggregator: 3} }, []string{
			"create container telemetry-aggregator-3", "copy to container telemetry-aggregator-3", "start container telemetry-aggregator-3",
		}},
		{"fewer replicas", func(_ fstest.MapFS, s *stack.Settings) { s.Scale = map[string]int{stack.Aggregator: 1} }, []string{
			"stop container telemetry-aggregator-2", "remove container telemetry-aggregator-2",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			engine := running(t)
			files, settings := bundleCopy(t), testSettings()
			tc.change(files, &settings)
			assert.NilError(t, engine.Manager().Up(t.Context(), loadFrom(t, files, settings), everything()))
			assert.DeepEqual(t, engine.Changes(), tc.want)
		})
	}
}

// A service that a newer bundle no longer has would run on for ever.
func TestUpRemovesWhatTheProjectNoLongerHas(t *testing.T) {
	engine := running(t)
	smaller := load(t, testSettings())
	delete(smaller.Services, stack.Grafana)
	assert.NilError(t, engine.Manager().Up(t.Context(), smaller, everything()))
	assert.DeepEqual(t, engine.Changes(), []string{"stop container telemetry-grafana-1", "remove container telemetry-grafana-1"})
}

// What a killed up had asked the engine for arrives while the next one is at work.
func TestUpMendsWhatAKilledUpLeft(t *testing.T) {
	t.Run("a network twice", func(t *testing.T) {
		engine := stacktest.New()
		ours := map[string]string{stack.StackLabel: "telemetry", api.ProjectLabel: "telemetry"}
		engine.AddNetwork("telemetry_edge", ours)
		engine.AddNetwork("telemetry_edge", ours)
		assert.NilError(t, engine.Manager().Up(t.Context(), load(t, testSettings()), everything()))
		assert.DeepEqual(t, engine.Networks(), []string{"telemetry_docker-api", "telemetry_edge", "telemetry_pipeline"})
	})
	t.Run("a network twice, in use", func(t *testing.T) {
		engine := running(t)
		engine.AddNetwork("telemetry_edge", map[string]string{stack.StackLabel: "telemetry"})
		assert.NilError(t, engine.Manager().Up(t.Context(), load(t, testSettings()), everything()))
		assert.DeepEqual(t, engine.Changes(), []string{"remove network telemetry_edge"})
		assert.DeepEqual(t, engine.Networks(), []string{"telemetry_docker-api", "telemetry_edge", "telemetry_pipeline"})
	})
	t.Run("a container that is just being made", func(t *testing.T) {
		engine := stacktest.New()
		engine.UpFailsOnce = fmt.Errorf("the container name is already in use: %w", cerrdefs.ErrConflict)
		assert.NilError(t, engine.Manager().Up(t.Context(), load(t, testSettings()), everything()))
		assert.Equal(t, len(engine.Containers()), 10)
	})
	t.Run("any other failure is not tried again", func(t *testing.T) {
		engine := stacktest.New()
		engine.UpFailsOnce = errors.New("no space left on device")
		err := engine.Manager().Up(t.Context(), load(t, testSettings()), everything())
		assert.Error(t, err, "start the stack: no space left on device")
		assert.Equal(t, len(engine.Containers()), 0)
	})
}

func TestUpEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := stacktest.New()
		engine.Faults[stack.Grafana] = stacktest.NeverHealthy
		ctx, cancel := context.WithCancel(t.Context())
		defer time.AfterFunc(5*time.Second, cancel).Stop()
		began := time.Now()
		err := engine.Manager().Up(ctx, load(t, testSettings()), everything())
		assert.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, time.Since(began), 5*time.Second)
	})
}

func TestUpSaysWhatComposeSays(t *testing.T) {
	engine := stacktest.New()
	engine.AddContainer("web", "nginx", nil, 8082)
	err := engine.Manager().Up(t.Context(), load(t, testSettings()), everything())
	assert.Error(t, err, "gateway (telemetry-gateway-1) could not be started: driver failed programming external connectivity on "+
		"endpoint telemetry-gateway-1: Bind for 127.0.0.1:8082 failed: port is already allocated")
	var failed *stack.FailedError
	assert.Assert(t, errors.As(err, &failed))
	assert.Equal(t, failed.Hint(), "it is left for inspection: docker inspect telemetry-gateway-1")
	assert.Equal(t, failed.Tail, "")
}

func TestPlanSaysWhatUpWouldDo(t *testing.T) {
	all := func(verb string, aggregators int) []string {
		var steps []string
		for _, name := range stack.Components() {
			count := 1
			if name == stack.Aggregator {
				count = aggregators
			}
			steps = append(steps, fmt.Sprintf("%-9s %s (%d)", verb, name, count))
		}
		return steps
	}
	replaced := func(steps []string, name string, by ...string) []string {
		at := slices.IndexFunc(steps, func(step string) bool { return strings.Contains(step, " "+name+" ") })
		return slices.Replace(steps, at, at+1, by...)
	}
	scaled := func(n int) func(fstest.MapFS, *stack.Settings) {
		return func(_ fstest.MapFS, s *stack.Settings) { s.Scale = map[string]int{stack.Aggregator: n} }
	}
	for _, tc := range []struct {
		name   string
		engine func(*testing.T) *stacktest.Engine
		change func(fstest.MapFS, *stack.Settings)
		want   []string
	}{
		{"nothing there", func(*testing.T) *stacktest.Engine { return stacktest.New() }, scaled(2), all("create", 2)},
		{"all there", running, scaled(2), all("keep", 2)},
		{"one more", running, scaled(3), replaced(all("keep", 2), stack.Aggregator, "keep      aggregator (2)", "create    aggregator (1)")},
		{"one fewer", running, scaled(1), replaced(all("keep", 2), stack.Aggregator, "keep      aggregator (1)", "remove    aggregator (1)")},
		{"a config differs", running, func(b fstest.MapFS, _ *stack.Settings) { appendTo(b, "config/aggregator/logs.yaml") }, replaced(
			all("keep", 2), stack.Aggregator, "recreate  aggregator (2)")},
		{"stopped", stopped, scaled(2), all("start", 2)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			engine := tc.engine(t)
			files, settings := bundleCopy(t), testSettings()
			tc.change(files, &settings)
			project := loadFrom(t, files, settings)
			before := engine.Containers()
			plan, err := engine.Manager().Plan(t.Context(), project)
			assert.NilError(t, err)
			assert.DeepEqual(t, plan, tc.want)
			assert.DeepEqual(t, engine.Changes(), []string(nil))
			assert.DeepEqual(t, engine.Containers(), before)

			// The plan holds: its numbers are those of what up then does.
			assert.NilError(t, engine.Manager().Up(t.Context(), project, everything()))
			assert.DeepEqual(t, planned(plan, "create", "recreate", "remove"), made(engine.Changes(), "create", "recreate", "remove"))
		})
	}
}

func stopped(t *testing.T) *stacktest.Engine {
	engine := running(t)
	assert.NilError(t, engine.Manager().Stop(t.Context(), "telemetry", nil))
	engine.Forget()
	return engine
}

// planned counts containers by verb in a plan, made in a list of changes.
func planned(plan []string, verbs ...string) map[string]int {
	counts := map[string]int{}
	for _, step := range plan {
		var verb, component string
		var count int
		if _, err := fmt.Sscanf(step, "%s %s (%d)", &verb, &component, &count); err == nil && slices.Contains(verbs, verb) {
			counts[verb] += count
		}
	}
	return counts
}

func made(changes []string, verbs ...string) map[string]int {
	counts := map[string]int{}
	for _, change := range changes {
		verb, name, _ := strings.Cut(change, " ")
		if slices.Contains(verbs, verb) && strings.HasPrefix(name, "container ") {
			counts[verb]++
		}
	}
	return counts
}

func TestReplicasOfAProject(t *testing.T) {
	project := &types.Project{Services: types.Services{"a": {}}}
	assert.DeepEqual(t, stack.Replicas(project), map[string]int{"a": 1})
}
