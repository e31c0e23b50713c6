package stack_test

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/stack"
)

// A second terminal's verify, and doctor --fix, took the container of a verify --watch that ran for some minutes.
func TestWatchedProbeIsLeftAloneAsLongAsItIsWatched(t *testing.T) {
	engine := running(t)
	manager := engine.Manager()
	counting, err := manager.CountProbe(t.Context(), load(t, testSettings()), "1")
	assert.NilError(t, err)
	assertLeft(t, manager)

	assert.NilError(t, manager.RemoveLeftovers(t.Context(), "telemetry"))
	assert.NilError(t, manager.RemoveUnlocked(t.Context(), "telemetry"))
	assert.Equal(t, len(engine.Containers()), 11)

	engine.CutInputs()
	assertLeft(t, manager, "unnamed-11")
	assert.NilError(t, counting.End(t.Context()))
	assert.Equal(t, len(engine.Containers()), 10)
}

func TestProbeOfAKilledProcessIsLeft(t *testing.T) {
	engine := running(t)
	manager := engine.Manager()
	project := load(t, testSettings())
	_, err := manager.WriteProbe(t.Context(), project, "1", time.Now().Add(time.Hour))
	assert.NilError(t, err)
	assertLeft(t, manager)
	_, err = manager.WriteProbe(t.Context(), project, "2", time.Now().Add(-time.Hour))
	assert.NilError(t, err)
	assertLeft(t, manager, "unnamed-12")
	assert.NilError(t, manager.RemoveLeftovers(t.Context(), "telemetry"))
	assert.Equal(t, len(engine.Containers()), 11)

	// An up that was interrupted during its proof may have left one whose time is not over; the next finds no more than its own.
	assert.NilError(t, manager.RemoveUnlocked(t.Context(), "telemetry"))
	assert.Equal(t, len(engine.Containers()), 10)
}

// A volume of a large stack is copied for longer than any proof takes.
func TestHolderOfAVolumeIsOnlyForWhoHasTheLock(t *testing.T) {
	engine := running(t)
	manager := engine.Manager()
	project := load(t, testSettings())
	_, err := manager.HoldVolume(t.Context(), stack.HolderImage(project), "telemetry", "telemetry_agent-buffer", true)
	assert.NilError(t, err)
	assertLeft(t, manager)
	assert.NilError(t, manager.RemoveLeftovers(t.Context(), "telemetry"))
	assert.Equal(t, len(engine.Containers()), 11)
	assert.NilError(t, manager.RemoveUnlocked(t.Context(), "telemetry"))
	assert.Equal(t, len(engine.Containers()), 10)
}

func assertLeft(t *testing.T, manager *stack.Manager, want ...string) {
	t.Helper()
	names, err := manager.Leftovers(t.Context(), "telemetry")
	assert.NilError(t, err)
	assert.DeepEqual(t, names, append([]string{}, want...))
}
