//go:build unix

package main

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// TestMain makes the test's binary behave as the program where it is started as the child.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childCommand {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// What this process has resident is no floor of what it measures.
func TestChildHasItsOwnPeak(t *testing.T) {
	held := make([]byte, 200<<20)
	for i := 0; i < len(held); i += os.Getpagesize() {
		held[i] = 1
	}
	var out strings.Builder
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "sleep 0.1; echo said")
	cmd.Stdout = &out
	used, err := runChild(cmd)
	runtime.KeepAlive(held)
	assert.NilError(t, err)
	assert.Equal(t, out.String(), "said\n")
	assert.Assert(t, used.Took >= 100*time.Millisecond, "%s", used.Took)
	assert.Assert(t, used.PeakMiB > 0 && used.PeakMiB < 100, "%g MiB", used.PeakMiB)
}

func TestChildTellsAFailure(t *testing.T) {
	_, err := runChild(exec.CommandContext(t.Context(), "sh", "-c", "echo why >&2; exit 3"))
	assert.ErrorContains(t, err, "exit status")
	assert.ErrorContains(t, err, "why")
}
