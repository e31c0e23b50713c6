package plugin

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
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

// rotating is a stack that runs in memory, with stores that keep their passwords as the real ones do.
type rotating struct {
	t              *testing.T
	app            *app
	engine         *stacktest.Engine
	stores         *stacktest.Stores
	state          *state.Stack
	stdout, stderr *bytes.Buffer
}

func newRotating(t *testing.T) *rotating {
	t.Helper()
	r := &rotating{t: t, engine: stacktest.New(), stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}
	r.engine.Address = "tcp://127.0.0.1:2375"
	r.stores = r.engine.Stores()
	t.Cleanup(func() { _ = r.engine.Close() })
	root := state.Root{Config: t.TempDir(), State: t.TempDir()}
	no := func() bool { return false }
	r.app = &app{name: "telemetry", progress: "quiet", deps: deps{
		stdin: strings.NewReader(""), stdout: r.stdout, stderr: r.stderr, stdinTerminal: no, stdoutTerminal: no, stderrTerminal: no,
		context: func() string { return "default" },
		root:    func() (state.Root, error) { return root, nil },
		manager: func(*render.Progress) (*stack.Manager, error) { return r.engine.Manager(), nil },
		now:     time.Now,
		random:  rand.NewChaCha8([32]byte{1}),
	}}
	var err error
	r.state, err = root.Stack("default", "telemetry")
	assert.NilError(t, err)
	return r
}

func (r *rotating) up() error {
	return runUp(r.t.Context(), r.app, upOptions{port: r.port(), timeout: 10 * time.Second})
}

// port is the remembered one, or a free one.
func (r *rotating) port() int {
	r.t.Helper()
	if file, err := r.state.Load(); err == nil {
		return file.Port
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing to end
	assert.NilError(r.t, err)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func (r *rotating) rotate(ctx context.Context, names ...string) error {
	return runCredentialsRotate(ctx, r.app, names, 2*time.Second)
}

func (r *rotating) secrets() credentials.Set {
	r.t.Helper()
	set, err := credentials.Read(r.state)
	assert.NilError(r.t, err)
	return set
}

// consistent requires that no rotation is left, and that each store takes the password that the state has.
func (r *rotating) consistent() {
	r.t.Helper()
	pending, err := credentials.Pending(r.state)
	assert.NilError(r.t, err)
	assert.Assert(r.t, pending == nil, "a rotation is left: %v", pending.Rotated())
	s, err := r.app.open(r.t.Context(), "")
	assert.NilError(r.t, err)
	remembered, err := s.remembered()
	assert.NilError(r.t, err)
	client, err := gatewayClient(remembered, time.Second)
	assert.NilError(r.t, err)
	for _, name := range credentials.Names() {
		accepted, err := acceptsLogin(r.t.Context(), client, remembered, name, r.secrets())
		assert.NilError(r.t, err)
		assert.Assert(r.t, accepted, name)
	}
}

func TestRotate(t *testing.T) {
	for _, tc := range []struct {
		names     []string
		rotated   []string
		recreated []string
	}{
		{nil, credentials.Names(), []string{"aggregator", "grafana", "openobserve", "victoriametrics"}},
		{[]string{"grafana"}, []string{"grafana"}, []string{"grafana"}},
		{[]string{"openobserve"}, []string{"openobserve"}, []string{"aggregator", "grafana", "openobserve"}},
		{[]string{"victoriametrics"}, []string{"victoriametrics"}, []string{"aggregator", "grafana", "victoriametrics"}},
	} {
		t.Run(strings.Join(tc.names, " "), func(t *testing.T) {
			r := newRotating(t)
			assert.NilError(t, r.up())
			before := r.secrets()
			r.engine.Forget()
			r.stdout.Reset()
			assert.NilError(t, r.rotate(t.Context(), tc.names...))
			after := r.secrets()
			for _, name := range credentials.Names() {
				changed := before.Login(name).Password != after.Login(name).Password
				assert.Equal(t, changed, slices.Contains(tc.rotated, name), name)
				assert.Equal(t, before.Login(name).User, after.Login(name).User)
			}
			assert.Assert(t, strings.HasPrefix(r.stdout.String(), strings.Join(tc.rotated, ", ")+": new passwords after "), r.stdout)
			assert.DeepEqual(t, r.recreated(), tc.recreated)
			r.consistent()
			r.silent(before, after)

			r.engine.Forget()
			assert.NilError(t, r.up())
			assert.DeepEqual(t, r.recreated(), []string(nil))
		})
	}
}

// recreated are the components that got new containers.
func (r *rotating) recreated() []string {
	var names []string
	for _, change := range r.engine.Changes() {
		if container, found := strings.CutPrefix(change, "recreate container telemetry-"); found {
			names = append(names, container[:strings.LastIndex(container, "-")])
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// silent requires that no password was printed.
func (r *rotating) silent(sets ...credentials.Set) {
	r.t.Helper()
	for _, set := range sets {
		for _, login := range set.Logins() {
			assert.Assert(r.t, !strings.Contains(r.stdout.String()+r.stderr.String(), login.Password), login.Name)
		}
	}
}

// A store that does not follow: the old passwords must be back, and work.
func TestRotateFails(t *testing.T) {
	for _, component := range []string{stack.OpenObserve, stack.Grafana} {
		t.Run(component, func(t *testing.T) {
			r := newRotating(t)
			assert.NilError(t, r.up())
			before := r.secrets()
			r.stores.Deaf[component] = true
			err := r.rotate(t.Context())
			assert.Error(t, err, "grafana, openobserve, victoriametrics: the old passwords are back and work, the new ones failed: "+
				component+" refuses the password; its command said: Error: database is locked")
			assert.Equal(t, hintOf(err), "see what the store says: docker telemetry logs grafana openobserve victoriametrics")
			assert.Assert(t, maps.Equal(before, r.secrets()))
			r.consistent()
		})
	}
}

// A store that goes on taking the password before has not been rotated.
func TestRotateProvesTheRefusal(t *testing.T) {
	r := newRotating(t)
	assert.NilError(t, r.up())
	before := r.secrets()
	r.stores.Lax[stack.Grafana] = true
	err := r.rotate(t.Context(), "grafana")
	assert.Error(t, err, "the passwords of grafana could not be put back: grafana still accepts the password before; "+
		"its command said: Admin password changed successfully")
	assert.Assert(t, strings.Contains(r.stderr.String(), "warning: the rotation failed, the old passwords are put back: grafana still accepts"))
	assert.Assert(t, maps.Equal(before, r.secrets()))
}

// Where the way back fails too, both passwords must stay on disk, and up must finish it.
func TestRotateFailsBothWays(t *testing.T) {
	r := newRotating(t)
	assert.NilError(t, r.up())
	before := r.secrets()
	r.engine.Faults[stack.Grafana] = stacktest.Exits
	err := r.rotate(t.Context(), "grafana")
	assert.ErrorContains(t, err, "the passwords of grafana could not be put back: ")
	pending, err := credentials.Pending(r.state)
	assert.NilError(t, err)
	assert.DeepEqual(t, pending.Rotated(), []string{"grafana"})
	assert.Assert(t, maps.Equal(before, r.secrets()))

	r.engine.Heal(stack.Grafana)
	assert.NilError(t, r.up())
	assert.Equal(t, r.secrets().Login("grafana").Password, pending.Login("grafana").Password)
	r.consistent()
}

// errKilled ends a rotation as a kill does: nothing runs after it.
var errKilled = errors.New("killed")

// At each change that a rotation makes it is killed: up, or the next rotation, must bring a whole stack.
func TestRotateKilledAnywhere(t *testing.T) {
	for _, finish := range []string{"up", "rotate"} {
		for at := 0; ; at++ {
			r := newRotating(t)
			assert.NilError(t, r.up())
			before := r.secrets()
			changes := 0
			ctx, kill := context.WithCancelCause(t.Context())
			r.stores.Before = func(context.Context, string) {
				changes++
				if changes > at {
					kill(errKilled)
				}
			}
			err := r.rotate(ctx)
			kill(nil)
			r.stores.Before = nil
			if err == nil {
				assert.Assert(t, at > 10, "only %d changes", at)
				break
			}
			assert.ErrorIs(t, err, context.Canceled)
			var left *interruptedError
			assert.Assert(t, errors.As(err, &left), "%v", err)
			assert.Equal(t, left.advice, "docker telemetry up finishes it")
			pending, err := credentials.Pending(r.state)
			assert.NilError(t, err)
			assert.DeepEqual(t, pending.Rotated(), credentials.Names())

			r.stderr.Reset()
			if finish == "up" {
				assert.NilError(t, r.up(), "after %d changes: %s", at, r.stderr)
				assert.Assert(t, strings.Contains(r.stderr.String(), "note: a rotation of grafana, openobserve, victoriametrics was interrupted"))
			} else {
				assert.NilError(t, r.rotate(t.Context(), "grafana"), "after %d changes: %s", at, r.stderr)
			}
			for _, login := range r.secrets().Logins() {
				assert.Equal(t, login.Password, pending.Login(login.Name).Password)
				assert.Assert(t, login.Password != before.Login(login.Name).Password)
			}
			r.consistent()
		}
	}
}

// Whoever would use the secrets while a rotation is half done must be told.
func TestRotationHalfDone(t *testing.T) {
	r := newRotating(t)
	assert.NilError(t, r.up())
	_, err := credentials.Begin(r.state, []string{"grafana"}, rand.NewChaCha8([32]byte{2}))
	assert.NilError(t, err)
	err = runScale(t.Context(), r.app, []string{"aggregator=3"}, scaleOptions{timeout: time.Second})
	assert.Error(t, err, `a rotation of the credentials of stack "telemetry" was interrupted`)
	assert.Equal(t, hintOf(err), "docker telemetry up finishes it")
	assert.NilError(t, runCredentialsShow(t.Context(), r.app, nil, "env"))
	assert.Equal(t, r.stderr.String(), "warning: a rotation of grafana is under way or was interrupted: these may be refused\n"+
		"hint: docker telemetry up finishes it\n")
}

// Nothing may be begun where it could not be proven.
func TestRotateRefused(t *testing.T) {
	r := newRotating(t)
	err := r.rotate(t.Context())
	assert.Error(t, err, `there is no stack "telemetry" on this engine`)
	assert.NilError(t, r.up())
	before := r.secrets()
	assert.NilError(t, r.engine.Manager().Stop(t.Context(), "telemetry", []string{stack.Gateway}))
	err = r.rotate(t.Context())
	assert.ErrorContains(t, err, "new passwords could not be tried: the gateway at https://localhost:")
	assert.Equal(t, hintOf(err), "start it: docker telemetry up")
	assert.Assert(t, maps.Equal(before, r.secrets()))
	pending, err := credentials.Pending(r.state)
	assert.NilError(t, err)
	assert.Assert(t, pending == nil)
}

// A volume from an earlier life: up must say what it is and what helps, and that must help.
func TestOtherPassword(t *testing.T) {
	r := newRotating(t)
	assert.NilError(t, r.up())
	r.stores.SetPassword(stack.OpenObserve, "of-an-earlier-life")
	r.stores.SetPassword(stack.Grafana, "of-an-earlier-life")
	began := time.Now()
	err := r.up()
	assert.Error(t, err, "grafana openobserve refuses the password of this stack: "+
		"its data is from an earlier life, or the password was changed by hand")
	assert.Equal(t, hintOf(err), "set a new one, the data stays: docker telemetry credentials rotate grafana openobserve; "+
		"or start over without the data: docker telemetry down --volumes")
	assert.Assert(t, time.Since(began) < 5*time.Second, "a proof was waited for")
	assert.NilError(t, r.rotate(t.Context(), "grafana", "openobserve"))
	assert.NilError(t, r.up())
	r.consistent()
}
