package stack_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/stack/stacktest"
)

func held(t *testing.T, engine *stacktest.Engine, volume string, readOnly bool) *stack.VolumeHolder {
	t.Helper()
	holder, err := engine.Manager().HoldVolume(t.Context(), "nginx", "telemetry", volume, readOnly)
	assert.NilError(t, err)
	t.Cleanup(func() { assert.Check(t, holder.Release(context.WithoutCancel(t.Context()))) })
	return holder
}

func TestAVolumeIsReadAndFilled(t *testing.T) {
	engine := stacktest.New()
	engine.AddVolume("from", map[string]string{stack.StackLabel: "telemetry"})
	engine.WriteVolume("from", "d/one", "1")
	engine.WriteVolume("from", "two", "22")
	engine.Link("from", "d/again", "one")
	manager := engine.Manager()
	assert.NilError(t, manager.NewVolume(t.Context(), "telemetry", "data", "to", "id"))
	writer := held(t, engine, "to", false).Write(t.Context())
	var order []string
	links, odd, err := held(t, engine, "from", true).Read(t.Context(), ".", func(file stack.VolumeFile, content io.Reader) error {
		order = append(order, file.Path)
		return writer.Add(file, content)
	})
	assert.NilError(t, err)
	assert.NilError(t, writer.Close())
	assert.DeepEqual(t, order, []string{".", "d", "d/one", "two"})
	assert.DeepEqual(t, links, []stack.Link{{Path: "d/again", Target: "one"}})
	assert.Equal(t, len(odd), 0)
	assert.DeepEqual(t, engine.VolumeFiles("to"), engine.VolumeFiles("from"))
}

func TestAVolumeIsNotWrittenWhereItIsReadOnly(t *testing.T) {
	engine := stacktest.New()
	engine.AddVolume("v", nil)
	writer := held(t, engine, "v", true).Write(t.Context())
	err := errors.Join(writer.Add(stack.VolumeFile{Path: "x", Dir: true}, nil), writer.Close())
	assert.ErrorContains(t, err, "read-only")
}

func TestANewVolumeIsNobodyElses(t *testing.T) {
	engine := stacktest.New()
	engine.AddVolume("telemetry_data", map[string]string{"theirs": "true"})
	err := engine.Manager().NewVolume(t.Context(), "telemetry", "data", "telemetry_data", "id")
	assert.ErrorContains(t, err, `volume "telemetry_data" was there already`)
}

// A link in a store's snapshot is followed where it stays in the volume, and is no way out of it.
func TestALinkOfASnapshotStaysInside(t *testing.T) {
	for target, want := range map[string]string{
		"../../../data/small/snapshots/s1": "", "../../../../etc": "leads out of it", "/etc": "leads out of it", "../../..": "leads out of it",
	} {
		engine := stacktest.New()
		engine.AddVolume("v", nil)
		engine.WriteVolume("v", "data/small/snapshots/s1/part", "samples")
		engine.WriteVolume("v", "snapshots/s1/metadata", "m")
		engine.Link("v", "snapshots/s1/data/small", target)
		got := map[string]string{}
		_, err := held(t, engine, "v", true).ReadMetricSnapshot(t.Context(), "s1", func(file stack.VolumeFile, content io.Reader) error {
			raw, err := io.ReadAll(content)
			got[file.Path] = string(raw)
			return err
		})
		if want != "" {
			assert.ErrorContains(t, err, want, target)
			continue
		}
		assert.NilError(t, err)
		assert.DeepEqual(t, slices.Sorted(maps.Keys(got)), []string{".", "data", "data/small", "data/small/part", "metadata"})
		assert.Equal(t, got["data/small/part"], "samples")
	}
}

func TestKeptVolumes(t *testing.T) {
	settings := testSettings()
	settings.Volumes = map[string]string{"grafana-data": "telemetry_grafana-data.1"}
	var got []string
	for _, volume := range stack.KeptVolumes(load(t, settings)) {
		got = append(got, volume.Key+" "+volume.Name+" "+volume.Components[0])
	}
	assert.DeepEqual(t, got, []string{
		"grafana-data telemetry_grafana-data.1 grafana", "openobserve-data telemetry_openobserve-data openobserve",
		"victoriametrics-data telemetry_victoriametrics-data victoriametrics",
	})
}
