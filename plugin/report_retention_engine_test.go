package plugin

import (
	"slices"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/stack"
)

// An engine looks at every file of every volume for their sizes: a report waits so long and no longer, and not at all where nothing is
// left.
func TestVolumesHeldOfASlowEngine(t *testing.T) {
	r := newRotating(t)
	assert.NilError(t, r.up())
	s, err := r.app.open(t.Context(), "")
	assert.NilError(t, err)
	r.engine.SlowUsage = true

	held, notes, err := s.heldByEngine(t.Context(), time.Hour)
	assert.NilError(t, err)
	assert.Equal(t, len(held.Volumes), 0)
	assert.Equal(t, len(notes), 0)

	r.engine.AddVolume("telemetry_off-data", map[string]string{stack.StackLabel: "telemetry"})
	held, notes, err = s.heldByEngine(t.Context(), 10*time.Millisecond)
	assert.NilError(t, err)
	assert.Equal(t, len(held.Volumes), 1)
	assert.Equal(t, held.Volumes[0].Name, "telemetry_off-data")
	assert.Assert(t, held.Volumes[0].Bytes == nil)
	assert.DeepEqual(t, notes, []string{"sizes of old volumes: the engine did not tell them within 0.01 s"})

	r.engine.SlowUsage = false
	held, notes, err = s.heldByEngine(t.Context(), time.Hour)
	assert.NilError(t, err)
	assert.Equal(t, len(notes), 0)
	assert.Equal(t, *held.Volumes[0].Bytes, 0.0)
}

// Without a stack there is no engine to ask, and the report says so in one line.
func TestReportRetentionWithoutAnEngine(t *testing.T) {
	report, err := retentionOn(t, retentionOptions{from: storeOptions{url: ownStore(t, 60e9).URL}})
	assert.NilError(t, err)
	const said = "container logs, images and old volumes: the engine of a stack tells them, and --url names none"
	assert.Assert(t, slices.Contains(report.Notes, said), "%q", report.Notes)
}
