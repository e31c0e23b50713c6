//go:build unix

// Package process runs a program and tells what it took, for the programs that measure.
package process

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// Usage is what a run took.
type Usage struct {
	Took    time.Duration // from the start to the exit
	CPU     time.Duration // of the process itself and of its children, by all processors
	PeakMiB float64       // resident at most, of the process itself or of a child, the larger
}

// Run starts a command and waits for its end. What it took is told of a failed one as well.
func Run(cmd *exec.Cmd) (Usage, error) {
	began := time.Now()
	err := cmd.Run()
	used := Usage{Took: time.Since(began)}
	if state := cmd.ProcessState; state != nil {
		used.CPU, used.PeakMiB = state.UserTime()+state.SystemTime(), peakMiB(state)
	}
	return used, err
}

// peakMiB reads the most memory that was resident. The system counts from before the program was loaded, so no figure is
// below what the program that measures has resident itself, which is why it should keep nothing.
func peakMiB(state *os.ProcessState) float64 {
	used, known := state.SysUsage().(*syscall.Rusage)
	if !known {
		return 0
	}
	unit := 1024.0
	if runtime.GOOS == "darwin" {
		unit = 1
	}
	return float64(used.Maxrss) * unit / (1 << 20)
}

// Median is 0 of none.
func Median(took []time.Duration) time.Duration {
	if len(took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(took))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
