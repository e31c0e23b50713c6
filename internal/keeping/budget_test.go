package keeping_test

import (
	"errors"
	"math"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/internal/keeping"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
)

const (
	giga   = 1_000_000_000
	buffer = 268435488
)

func asked() keeping.Asked { return keeping.Asked{Metrics: 14, Logs: 14} }

func TestSplit(t *testing.T) {
	for _, tc := range []struct {
		name          string
		rates         keeping.Rates
		asked         keeping.Asked
		metrics, logs int // days, 0 as asked
		share         float64
		fits          bool
	}{
		{"no rates", keeping.Rates{}, asked(), 0, 0, 0.5, true},
		{"all fits", keeping.Rates{Metrics: 10e6, Logs: 30e6}, asked(), 0, 0, 0.5, true},
		{"hardly any metrics", keeping.Rates{Metrics: 1, Logs: 30e6}, asked(), 0, 0, 0.2, true},
		// The rest is 4.23 GB: 50 MB * (9+31) days and 200 MB * (9+1) are 4.0, with 10 days they are 4.25.
		{"both become shorter", keeping.Rates{Metrics: 50e6, Logs: 200e6}, asked(), 9, 9, 0.5, true},
		{"as far as the stores go", keeping.Rates{Metrics: 70e6, Logs: 400e6}, asked(), 3, 3, 0.598, true},
		{"nothing helps", keeping.Rates{Metrics: 200e6, Logs: 400e6}, asked(), 1, 3, 0.8, false},
		{"what somebody set stays", keeping.Rates{Metrics: 50e6, Logs: 200e6}, keeping.Asked{Metrics: 14, Logs: 14, LogsFixed: true}, 1, 0, 0.3478, false},
		{"streams of their own count", keeping.Rates{Metrics: 10e6, Logs: 100e6, Own: 3 * giga}, asked(), 7, 7, 0.2, true},
		{"of what no rate is known nothing is deleted", keeping.Rates{Logs: 500e6}, asked(), 0, 7, 0.2, true},
		{"short ones do not become longer", keeping.Rates{Metrics: 1e6, Logs: 1e6}, keeping.Asked{Metrics: 2, Logs: 3}, 0, 0, 0.8, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			plan, err := keeping.Split(5*giga, buffer, tc.rates, tc.asked)
			assert.NilError(t, err)
			assert.Equal(t, plan.MetricsDays, tc.metrics)
			assert.Equal(t, plan.LogsDays, tc.logs)
			assert.Equal(t, plan.Fits, tc.fits)
			rest := float64(5*giga - buffer - 500_000_000)
			if tc.share > 0 && tc.share != 0.5 {
				assert.Assert(t, math.Abs(float64(plan.Metrics)/rest-tc.share) < 0.01, "%g", float64(plan.Metrics)/rest)
			}
			assert.Equal(t, plan.Metrics+plan.Logs+plan.Buffers+plan.Reserve, plan.Bytes, "the parts are the whole")
		})
	}
	_, err := keeping.Split(900_000_000, buffer, keeping.Rates{}, asked())
	assert.Error(t, err, "a budget of 900.0 MB is too small: 1.0 GB is the least, of which buffers may take 268.4 MB")
	// With the collector's queues as well.
	_, err = keeping.Split(1*giga, 4*buffer, keeping.Rates{}, asked())
	assert.Error(t, err, "a budget of 1.0 GB is too small: 1.7 GB is the least, of which buffers may take 1.1 GB")
}

// The guard keeps the stores, and the buffer that fills after them, within the budget.
func TestGuarded(t *testing.T) {
	plan, err := keeping.Split(5*giga, buffer, keeping.Rates{}, asked())
	assert.NilError(t, err)
	disk := func(used int64) keeping.Place {
		return keeping.Place{Device: "1", Total: 100 * giga, Free: 60 * giga, Used: used}
	}
	shared, err := plan.Guarded(keeping.Places{Metrics: disk(giga), Logs: disk(giga / 2), Buffer: disk(0)})
	assert.NilError(t, err)
	parts := plan.Metrics + plan.Logs
	assert.Equal(t, shared.MetricsFree, 60*giga-(parts-3*giga/2))
	assert.Equal(t, shared.LogsPercent, 43)
	most := int64(60*giga) - shared.MetricsFree + 3*giga/2 + buffer
	assert.Assert(t, most <= plan.Bytes-plan.Reserve, "what the stores may write until then, what they have, and a full buffer: %d", most)

	// Each on one of its own: its part, or what the volume has.
	own, err := plan.Guarded(keeping.Places{
		Metrics: keeping.Place{Device: "2", Total: 300e6, Free: 290e6, Used: 5e6}, Logs: keeping.Place{Device: "3", Total: 10 * giga, Free: 10 * giga}, Buffer: disk(0),
	})
	assert.NilError(t, err)
	assert.Equal(t, own.MetricsFree, int64(165e6), "the larger half of a small one stays free")
	assert.Equal(t, own.LogsPercent, 22)

	// Where little is free, the buffer's room stays.
	tight := keeping.Place{Device: "1", Total: 3 * giga, Free: 2 * giga}
	squeezed, err := plan.Guarded(keeping.Places{Metrics: tight, Logs: tight, Buffer: tight})
	assert.NilError(t, err)
	assert.Equal(t, squeezed.MetricsFree, int64(buffer))
	assert.Equal(t, squeezed.LogsPercent, 92)

	_, err = plan.Guarded(keeping.Places{Metrics: disk(3 * giga), Logs: disk(2 * giga), Buffer: disk(0)})
	var small *keeping.TooSmallError
	assert.Assert(t, errors.As(err, &small))
	assert.Error(t, err, "the stack takes 5.0 GB already, and its budget leaves the stores 4.2 GB")
}

func TestSame(t *testing.T) {
	plan := keeping.Plan{Disk: state.Disk{Bytes: 5 * giga, Buffers: buffer, Metrics: giga, MetricsFree: 50 * giga, LogsPercent: 50, MetricsDays: 9}}
	for _, tc := range []struct {
		name   string
		change func(*state.Disk)
		want   bool
	}{
		{"as it is", func(*state.Disk) {}, true},
		{"a little more was free", func(d *state.Disk) { d.MetricsFree, d.LogsPercent = d.MetricsFree+giga/4, 51 }, true},
		{"much more was free", func(d *state.Disk) { d.MetricsFree += giga }, false},
		{"another size", func(d *state.Disk) { d.Bytes++ }, false},
		{"another retention", func(d *state.Disk) { d.MetricsDays = 8 }, false},
		{"other buffers", func(d *state.Disk) { d.Buffers *= 2 }, false},
		{"other parts", func(d *state.Disk) { d.Metrics *= 2 }, false},
	} {
		kept := plan.Disk
		tc.change(&kept)
		assert.Equal(t, plan.Same(&kept), tc.want, tc.name)
	}
	assert.Assert(t, !plan.Same(nil))
}

func TestAskedOf(t *testing.T) {
	got := keeping.AskedOf(keeping.Policy{"logs": "3d", "logs/docker": "9d"}, map[string]string{"metrics": "14d", "logs": "3d"})
	assert.DeepEqual(t, got, keeping.Asked{Metrics: 14, Logs: 3, LogsFixed: true})
}
