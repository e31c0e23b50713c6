package plugin

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/internal/credentials"
	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/stack/stacktest"
)

// restoring is a stack in memory with a snapshot of it.
type restoring struct {
	t      *testing.T
	app    *app
	engine *stacktest.Engine
	state  *state.Stack
	file   string
	stderr *bytes.Buffer
}

// The two passwords tell the two stacks apart in the state, as the files do in the volumes.
const (
	keptPassword  = "Kept-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEF"
	sincePassword = "Since-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDE"
)

func newRestoring(t *testing.T) *restoring {
	t.Helper()
	r := &restoring{t: t, engine: stacktest.New(), stderr: &bytes.Buffer{}, file: filepath.Join(t.TempDir(), "kept"+".tar.zst")}
	root := state.Root{Config: t.TempDir(), State: t.TempDir()}
	no := func() bool { return false }
	r.app = &app{name: "telemetry", progress: "quiet", deps: deps{
		stdin: strings.NewReader(""), stdout: &bytes.Buffer{}, stderr: r.stderr, stdinTerminal: no, stdoutTerminal: no, stderrTerminal: no,
		context: func() string { return "default" },
		root:    func() (state.Root, error) { return root, nil },
		manager: func(*render.Progress) (*stack.Manager, error) { return r.engine.Manager(), nil },
		now:     time.Now,
		random:  rand.NewChaCha8([32]byte{1}),
	}}
	var err error
	r.state, err = root.Stack("default", "telemetry")
	assert.NilError(t, err)
	assert.NilError(t, r.up())
	r.become("kept", keptPassword)
	assert.NilError(t, r.up())
	assert.NilError(t, runSnapshotCreate(t.Context(), r.app, r.file, snapshotCreateOptions{format: "table", timeout: time.Second}))
	return r
}

func (r *restoring) up() error {
	return runUp(r.t.Context(), r.app, upOptions{noVerify: true, timeout: 5 * time.Second})
}

func (r *restoring) restore() error {
	return runSnapshotRestore(r.t.Context(), r.app, r.file, snapshotRestoreOptions{yes: true, timeout: 5 * time.Second})
}

func storesOfData() []string {
	return []string{stack.Grafana, stack.OpenObserve, stack.VictoriaMetrics}
}

// become makes another stack of it: other data in each store, another password.
func (r *restoring) become(what, password string) {
	r.t.Helper()
	for _, component := range storesOfData() {
		for _, volume := range r.engine.VolumesOf(component) {
			r.engine.WriteVolume(volume, "data/small/part", what)
		}
	}
	assert.NilError(r.t, r.state.WriteFile("secrets/"+credentials.GrafanaPassword, []byte(password), 0o600))
}

// is tells which of the two stacks it is, and fails where it is both, or not whole.
func (r *restoring) is() string {
	r.t.Helper()
	set, err := credentials.Read(r.state)
	assert.NilError(r.t, err)
	what := map[string]string{keptPassword: "kept", sincePassword: "since"}[set[credentials.GrafanaPassword]]
	for _, component := range storesOfData() {
		volumes := r.engine.VolumesOf(component)
		assert.Equal(r.t, len(volumes), 1, "%s has %v", component, volumes)
		file := r.engine.VolumeFiles(volumes[0])["data/small/part"]
		assert.Equal(r.t, file[strings.LastIndex(file, " ")+1:], what, "%s beside the password of %s", component, what)
	}
	assert.Equal(r.t, len(r.engine.Volumes()), 4, "%v", r.engine.Volumes())
	assert.Equal(r.t, len(r.engine.Containers()), 10, "%v", r.engine.Containers())
	pending, err := r.state.PendingRestore()
	assert.NilError(r.t, err)
	assert.Assert(r.t, pending == nil)
	return what
}

// Whichever is the last thing that an engine does before it is gone, the next up must find the old stack or the new one.
func TestARestoreThatIsCutOffLeavesOneStack(t *testing.T) {
	r := newRestoring(t)
	seen := map[string]int{}
	for last, done := 1, false; !done; last = following(last) {
		r.become("since", sincePassword)
		assert.NilError(t, r.up())
		assert.Equal(t, r.is(), "since")
		var at string
		count := 0
		r.engine.Before = func(_ context.Context, change string) {
			count++
			if count == last {
				at, r.engine.Fails = change, errors.New("the engine is gone")
			}
		}
		err := r.restore()
		r.engine.Before, r.engine.Fails = nil, nil
		done = at == ""
		if done {
			assert.NilError(t, err)
			continue
		}
		assert.Assert(t, err != nil, "cut off after %q", at)
		assert.NilError(t, r.up(), "cut off after %q", at)
		is := r.is()
		seen[is]++
		t.Logf("cut off after %q: %s", at, is)
	}
	assert.Equal(t, r.is(), "kept")
	assert.Assert(t, seen["since"] > 5 && seen["kept"] > 3, "%v", seen)
}

// following is every change until the switch, and then fewer and fewer: those of an up are many.
func following(last int) int {
	switch {
	case last < 13:
		return last + 1
	case last < 25:
		return last + 4
	default:
		return last + 10
	}
}

// A file that becomes another one between the check and the filling is noticed, and the stack stays.
func TestAChangeBetweenTheReadingsIsNoticed(t *testing.T) {
	r := newRestoring(t)
	r.become("since", sincePassword)
	assert.NilError(t, r.up())
	other := r.file + "2"
	assert.NilError(t, runSnapshotCreate(t.Context(), r.app, other, snapshotCreateOptions{format: "table", timeout: time.Second}))
	replacement, err := os.ReadFile(other)
	assert.NilError(t, err)
	r.engine.Before = func(_ context.Context, change string) {
		if strings.HasPrefix(change, "create volume") {
			assert.Check(t, os.WriteFile(r.file, replacement, 0o600)) // in place: the open file has it
		}
	}
	err = r.restore()
	r.engine.Before = nil
	assert.ErrorContains(t, err, "the stack is as it was before: the snapshot ")
	assert.Equal(t, r.is(), "since")
}

func TestASnapshotOfAStoreThatDoesNotComeBack(t *testing.T) {
	r := newRestoring(t)
	r.engine.Faults[stack.OpenObserve] = stacktest.Unhealthy
	file := r.file + "2"
	err := runSnapshotCreate(t.Context(), r.app, file, snapshotCreateOptions{format: "table", timeout: time.Second})
	assert.ErrorContains(t, err, "openobserve")
	_, statErr := os.Stat(file)
	assert.NilError(t, statErr, "the snapshot is whole and stays")
	delete(r.engine.Faults, stack.OpenObserve)
	r.file = file
	assert.NilError(t, r.restore())
	assert.Equal(t, r.is(), "kept")
}
