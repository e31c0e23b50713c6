package stack_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/docker/compose/v5/pkg/api"
	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/stack/stacktest"
)

func startOf(component string) api.StartOptions {
	return api.StartOptions{AttachTo: []string{component}}
}

// crowded returns a running stack beside a second one and things of other people.
func crowded(t *testing.T) *stacktest.Engine {
	t.Helper()
	engine := running(t)
	second := testSettings()
	second.Name, second.Port = "second", 8083
	assert.NilError(t, engine.Manager().Up(t.Context(), load(t, second), everything()))
	engine.AddContainer("web", "nginx", map[string]string{api.ProjectLabel: "shop"}, 0)
	engine.AddNetwork("bridge", nil)
	// What a person named as ours would be named: only the label counts.
	engine.AddVolume("telemetry_precious", map[string]string{api.ProjectLabel: "telemetry"})
	engine.Forget()
	return engine
}

func ownedBy(stackName string, names []string) []string {
	var owned []string
	for _, name := range names {
		if strings.HasPrefix(name, stackName+"-") || strings.HasPrefix(name, stackName+"_") {
			owned = append(owned, name)
		}
	}
	return owned
}

func TestDownRemovesOursAndKeepsTheData(t *testing.T) {
	engine := crowded(t)
	volumes := engine.Volumes()
	assert.NilError(t, engine.Manager().Down(t.Context(), "telemetry", false))
	assert.DeepEqual(t, ownedBy("telemetry", engine.Containers()), []string(nil))
	assert.Equal(t, len(ownedBy("second", engine.Containers())), 10)
	assert.DeepEqual(t, engine.Networks(), []string{"bridge", "second_docker-api", "second_edge", "second_pipeline"})
	assert.DeepEqual(t, engine.Volumes(), volumes)
}

func TestDownWithVolumesRemovesExactlyOurs(t *testing.T) {
	engine := crowded(t)
	assert.NilError(t, engine.Manager().Down(t.Context(), "telemetry", true))
	assert.DeepEqual(t, engine.Volumes(), []string{
		"second_agent-buffer", "second_grafana-data", "second_openobserve-data", "second_victoriametrics-data", "telemetry_precious",
	})
}

func TestDownWithVolumesNamesTheOneThatIsInUse(t *testing.T) {
	engine := running(t)
	engine.AddVolume("telemetry_extra", map[string]string{stack.StackLabel: "telemetry"})
	// A container that Compose does not take for the project's has the volume of the second stack.
	second := testSettings()
	second.Name, second.Port = "second", 8083
	assert.NilError(t, engine.Manager().Up(t.Context(), load(t, second), everything()))
	engine.AddVolume("second_agent-buffer", map[string]string{stack.StackLabel: "telemetry"})

	err := engine.Manager().Down(t.Context(), "telemetry", true)
	assert.ErrorContains(t, err, `remove volume "second_agent-buffer": remove second_agent-buffer: volume is in use`)
	// One that fails does not keep the others.
	assert.DeepEqual(t, ownedBy("telemetry", engine.Volumes()), []string(nil))
}

func TestDownRemovesProbesOfAKilledProcess(t *testing.T) {
	engine := running(t)
	_, err := engine.Manager().WriteProbe(t.Context(), load(t, testSettings()), "1", time.Now().Add(time.Hour))
	assert.NilError(t, err)
	assert.Assert(t, engine.Logged("1"))
	containers, err := engine.Manager().Containers(t.Context(), "telemetry")
	assert.NilError(t, err)
	assert.Equal(t, len(containers), 10, "a probe is no component")
	assert.NilError(t, engine.Manager().Down(t.Context(), "telemetry", false))
	assert.DeepEqual(t, engine.Containers(), []string{})
}

// A user's own project may be called telemetry; Compose would take its containers for the stack's.
func TestForeignProjectOfTheSameNameIsLeftAlone(t *testing.T) {
	for name, act := range map[string]func(context.Context, *stack.Manager) error{
		"down":    func(ctx context.Context, m *stack.Manager) error { return m.Down(ctx, "telemetry", true) },
		"stop":    func(ctx context.Context, m *stack.Manager) error { return m.Stop(ctx, "telemetry", nil) },
		"start":   func(ctx context.Context, m *stack.Manager) error { return m.Start(ctx, "telemetry", nil, 0) },
		"restart": func(ctx context.Context, m *stack.Manager) error { return m.Restart(ctx, "telemetry", nil, 0) },
		"up": func(ctx context.Context, m *stack.Manager) error {
			_, err := m.CheckHost(ctx, stack.Engine{}, load(t, testSettings()), testSettings())
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			engine := stacktest.New()
			foreign := map[string]string{api.ProjectLabel: "telemetry", api.ServiceLabel: "web"}
			engine.AddContainer("telemetry-web-1", "nginx", foreign, 0)
			engine.AddNetwork("telemetry_default", foreign)
			err := act(t.Context(), engine.Manager())
			assert.Error(t, err, `a Compose project "telemetry" that is not a telemetry stack is on this engine `+
				`(container telemetry-web-1, network telemetry_default)`)
			assert.DeepEqual(t, engine.Changes(), []string(nil))
		})
	}
}

func TestLifecycleOfOneComponent(t *testing.T) {
	engine := running(t)
	manager := engine.Manager()
	assert.NilError(t, manager.Stop(t.Context(), "telemetry", []string{stack.Grafana}))
	assert.NilError(t, manager.Start(t.Context(), "telemetry", []string{stack.Grafana}, time.Minute))
	assert.NilError(t, manager.Restart(t.Context(), "telemetry", []string{stack.Grafana}, time.Minute))
	assert.DeepEqual(t, engine.Changes(), []string{
		"stop container telemetry-grafana-1", "start container telemetry-grafana-1",
		"stop container telemetry-grafana-1", "start container telemetry-grafana-1",
	})
}

func TestLifecycleNeedsAStack(t *testing.T) {
	manager := stacktest.New().Manager()
	want := `there is no stack "telemetry" on this engine`
	assert.Error(t, manager.Stop(t.Context(), "telemetry", nil), want)
	assert.Error(t, manager.Start(t.Context(), "telemetry", nil, 0), want)
	assert.Error(t, manager.Restart(t.Context(), "telemetry", nil, 0), want)
}
