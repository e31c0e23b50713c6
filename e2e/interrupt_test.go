//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// After `up` was ended by a signal at any moment, the next `up` must bring the whole stack, and data must arrive.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	// Words of the progress, from the first to the last: the moment is when one of them is printed first.
	moments := []string{"Network", "Creating", "-gateway-1 Created", "-openobserve-1 Starting", "-balancer-1 Started", "-agent-1 Waiting", "Proof"}
	signals := map[string]syscall.Signal{"SIGINT": syscall.SIGINT, "SIGTERM": syscall.SIGTERM, "SIGKILL": syscall.SIGKILL}
	for name, signal := range signals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			for _, moment := range moments {
				e.upUntil(moment, signal)
				e.up("--no-verify")
				assert.Equal(t, len(e.ids(e.name)), 10, "after %s at %q", name, moment)
				assert.Equal(t, e.status().Phase, "running")
				e.ok(e.telemetry("down", "--volumes", "--yes"))
				e.client = nil
			}
			e.upUntil(moments[len(moments)-1], signal)
			e.up()
			e.writeLine(t, arrival)
		})
	}
}

// upUntil starts `up`, sends a signal to its process group, as a terminal does, when the progress says a word, and
// requires the exit that belongs to the signal.
func (e *env) upUntil(moment string, signal syscall.Signal) {
	e.t.Helper()
	code, said := e.signalAt(moment, signal, "up", "--port", strconv.Itoa(e.port))
	if signal == syscall.SIGKILL {
		return
	}
	assert.Equal(e.t, code, 130, "after %q:\n%s", moment, said)
	assert.Assert(e.t, strings.Contains(said, "interrupted: "), said)
	assert.Assert(e.t, strings.Contains(said, "hint: docker telemetry --name "+e.name+" up finishes it"), said)
}

// signalAt starts a command, sends a signal to its process group when a line of its progress first matches, and returns its
// exit code and what it said.
func (e *env) signalAt(moment string, signal syscall.Signal, args ...string) (code int, output string) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := e.command(ctx, append([]string{"docker", "telemetry", "--name", e.name, "--progress", "plain"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stderr, err := cmd.StderrPipe()
	assert.NilError(e.t, err)
	assert.NilError(e.t, cmd.Start())
	var said bytes.Buffer
	sent, wanted := false, regexp.MustCompile(moment)
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if !sent && wanted.MatchString(lines.Text()) {
			sent = true
			assert.NilError(e.t, syscall.Kill(-cmd.Process.Pid, signal))
		}
	}
	_ = cmd.Wait()
	assert.Assert(e.t, sent, "never said %q:\n%s", moment, said.String())
	return cmd.ProcessState.ExitCode(), said.String()
}

// Six `up` at once must end as one: all succeed, each component is there once.
func TestSixAtOnce(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	results := make([]result, 6)
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() { results[i] = e.telemetry("up", "--port", strconv.Itoa(e.port), "--no-verify") })
	}
	all.Wait()
	for _, r := range results {
		e.ok(r)
	}
	assert.Equal(t, len(e.ids(e.name)), 10)
	waited := 0
	for _, r := range results {
		if strings.Contains(r.stderr, "waiting: ") {
			waited++
		}
	}
	assert.Assert(t, waited >= 1, "nobody said that it waits for another")
}

// A terminal's Ctrl-C while the log is followed must end it quietly.
func TestFollowEnds(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.up("--no-verify")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := e.command(ctx, "docker", "telemetry", "--name", e.name, "logs", "--follow", "agent")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	assert.NilError(t, err)
	assert.NilError(t, cmd.Start())
	lines := bufio.NewScanner(stdout)
	assert.Assert(t, lines.Scan(), "no line")
	assert.NilError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
	_, err = io.Copy(io.Discard, stdout)
	assert.NilError(t, err)
	assert.NilError(t, cmd.Wait(), stderr.String())
	assert.Equal(t, stderr.String(), "")
}
