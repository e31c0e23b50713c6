//go:build unix

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/docker-telemetry/docker-telemetry/hack/process"
	"github.com/docker-telemetry/docker-telemetry/internal/credentials"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics/storetest"
)

const (
	// stackName is what the program asks for by itself.
	stackName = "telemetry"
	// history is how long the store of metrics has been written to.
	history = 35 * 24 * time.Hour
	// kept is longer, so that all of it is there.
	kept = "60d"
	// caches are as large as in the bundle: 60 % of the container's 512 MB.
	caches = "307MiB"
)

// world is a home of its own with the state of a stack, and what that stack is made of.
type world struct {
	program string
	home    string
	since   time.Time // of the oldest sample
	now     time.Time // of the newest that was written
	metrics *storetest.Store
	gateway *gateway
	ends    []func() error // in the order of their beginning
}

func newWorld(ctx context.Context, o options) (*world, error) {
	program, err := filepath.Abs(o.program)
	if err != nil {
		return nil, err
	}
	for _, needed := range []string{program, o.openObserve} {
		if _, err := os.Stat(needed); err != nil {
			return nil, fmt.Errorf("%w: make bench-retention builds it", err)
		}
	}
	home, err := os.MkdirTemp("", "docker-telemetry-retbench-")
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	w := &world{program: program, home: home, since: now.Add(-history), now: now}
	w.ends = append(w.ends, func() error { return os.RemoveAll(home) })
	if err := w.begin(ctx, o); err != nil {
		return nil, errors.Join(err, context.Cause(ctx), w.close())
	}
	return w, nil
}

// begin starts what the stack is made of, from the stores on.
func (w *world) begin(ctx context.Context, o options) error {
	metrics, err := storetest.Start(ctx, w.home, append(selfScrape(), "-retentionPeriod="+kept, "-memory.allowedBytes="+caches)...)
	if err != nil {
		return err
	}
	w.metrics = metrics
	w.ends = append(w.ends, metrics.Stop)
	listener, port, err := listen(ctx)
	if err != nil {
		return err
	}
	// The gateway closes it as well, where it came to be.
	w.ends = append(w.ends, func() error {
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	known, err := w.remember(ctx, port)
	if err != nil {
		return err
	}
	logs, err := startOpenObserve(ctx, o.openObserve, w.home, known.Credentials)
	if err != nil {
		return err
	}
	w.ends = append(w.ends, logs.stop)
	w.gateway, err = serveGateway(listener, known.Certificate, metrics.URL, logs.url)
	if err != nil {
		return err
	}
	w.ends = append(w.ends, w.gateway.close)
	engine, err := serveEngine(ctx, w.socket(), map[string]string{
		stack.VictoriaMetrics: metrics.Data, stack.OpenObserve: logs.data, stack.Agent: filepath.Join(w.home, "state"),
	})
	if err != nil {
		return err
	}
	w.ends = append(w.ends, engine.Close)

	if err := logs.fill(ctx, o.streams, w.now); err != nil {
		return fmt.Errorf("write the streams: %w", err)
	}
	if err := o.shape().Fill(ctx, metrics, w.since, w.now); err != nil {
		return fmt.Errorf("write the series: %w", err)
	}
	if err := fillHistory(ctx, metrics, w.since, w.now, o.streams); err != nil {
		return fmt.Errorf("write what the stores told of themselves: %w", err)
	}
	return seen(ctx, metrics)
}

// remember makes the state that `up` makes, for a stack whose gateway is at a port.
func (w *world) remember(ctx context.Context, port int) (settings.Result, error) {
	root, err := state.DefaultRoot(func(name string) string { return w.environ()[name] })
	if err != nil {
		return settings.Result{}, err
	}
	stored, err := root.Stack("default", stackName)
	if err != nil {
		return settings.Result{}, err
	}
	engine := stack.Engine{Address: w.engineURL(), API: stack.OldestAPI, Name: engineName}
	source := settings.Source{Root: root, Stack: stored, Engine: engine, Now: time.Now, Rand: rand.Reader}
	result, err := source.Prepare(ctx, settings.Request{Port: port})
	if err != nil {
		return result, err
	}
	result.File.Phase = state.PhaseRunning
	return result, stored.Save(result.File)
}

func (w *world) socket() string    { return filepath.Join(w.home, "engine.sock") }
func (w *world) engineURL() string { return "unix://" + w.socket() }

// environ has nothing of the caller's but where programs are.
func (w *world) environ() map[string]string {
	return map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": w.home, "DOCKER_CONFIG": filepath.Join(w.home, ".docker"), "DOCKER_HOST": w.engineURL(),
		"XDG_STATE_HOME": filepath.Join(w.home, "state"), "XDG_CONFIG_HOME": filepath.Join(w.home, "config"),
	}
}

// run takes the time from the start to the exit. Without a reader the output goes to /dev/null.
func (w *world) run(ctx context.Context, stdout io.Writer, args ...string) (process.Usage, error) {
	cmd := exec.CommandContext(ctx, w.program, args...)
	for name, value := range w.environ() {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Dir, cmd.Stdout = w.home, stdout
	return runChild(cmd)
}

// close ends and removes everything, the last first.
func (w *world) close() error {
	var failed []error
	for i := len(w.ends) - 1; i >= 0; i-- {
		failed = append(failed, w.ends[i]())
	}
	w.ends = nil
	return errors.Join(failed...)
}

// login is OpenObserve's, as the program reads it from the state.
func login(set credentials.Set) (user, password string) {
	return set["openobserve_user"], set["openobserve_password"]
}
