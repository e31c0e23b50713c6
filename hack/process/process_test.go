//go:build unix

package process_test

import (
	"os/exec"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/hack/process"
)

func TestRun(t *testing.T) {
	used, err := process.Run(exec.CommandContext(t.Context(), "sh", "-c", "sleep 0.05; exit 3"))
	assert.ErrorContains(t, err, "exit status 3")
	assert.Assert(t, used.Took >= 50*time.Millisecond, "%s", used.Took)
	assert.Assert(t, used.PeakMiB > 0.1 && used.PeakMiB < 1000, "%f", used.PeakMiB)
	used, err = process.Run(exec.CommandContext(t.Context(), "/no/such/program"))
	assert.Assert(t, err != nil)
	assert.Equal(t, used.PeakMiB, 0.0)
}

func TestMedian(t *testing.T) {
	assert.Equal(t, process.Median(nil), time.Duration(0))
	took := []time.Duration{9, 1, 5}
	assert.Equal(t, process.Median(took), time.Duration(5))
	assert.Equal(t, took[0], time.Duration(9), "it is not changed")
	assert.Equal(t, process.Median([]time.Duration{4, 1, 9, 2}), time.Duration(3))
}
