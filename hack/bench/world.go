//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/docker-telemetry/docker-telemetry/hack/process"
)

// world is a home of its own with both plugins, and the names and ports of two stacks: one that the plugin runs, and its
// twin, ejected to files, that Compose runs.
type world struct {
	bin, home   string
	name, twin  string
	port        int
	ejectedPort int
	ejected     string // folder; "" until eject, before which nothing is on the engine
}

// invocation is a command line, to be run in a folder.
type invocation struct {
	args []string
	dir  string
}

func newWorld(bin string) (*world, error) {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"docker-telemetry", "docker-compose"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			return nil, fmt.Errorf("%w: build it first: make build bin/docker-compose", err)
		}
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	home, err := os.MkdirTemp("", "docker-telemetry-bench-")
	if err != nil {
		return nil, err
	}
	pid := strconv.Itoa(os.Getpid())
	w := &world{bin: bin, home: home, name: "bench-" + pid, twin: "bench-" + pid + "-ejected", port: ports[0], ejectedPort: ports[1]}
	if err := w.installPlugins(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(home))
	}
	return w, nil
}

func (w *world) installPlugins() error {
	dir := filepath.Join(w.home, ".docker", "cli-plugins")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"docker-telemetry", "docker-compose"} {
		if err := os.Symlink(filepath.Join(w.bin, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// freePorts holds each until it has all, so that none comes twice.
func freePorts(count int) (ports []int, err error) {
	var held []net.Listener
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		held = append(held, listener)
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	for _, listener := range held {
		err = errors.Join(err, listener.Close())
	}
	return ports, err
}

func (w *world) docker(args ...string) invocation {
	return invocation{args: append([]string{"docker"}, args...), dir: w.home}
}

func (w *world) plugin(args ...string) invocation {
	return invocation{args: append([]string{filepath.Join(w.bin, "docker-telemetry")}, args...), dir: w.home}
}

func (w *world) composePlugin(args ...string) invocation {
	return invocation{args: append([]string{filepath.Join(w.bin, "docker-compose")}, args...), dir: w.home}
}

func (w *world) telemetry(args ...string) invocation {
	return w.docker(append([]string{"telemetry"}, args...)...)
}

// up is the arguments of the plugin. No progress on both sides: drawing it is no part of the work.
func (w *world) up(flags ...string) []string {
	return append([]string{"--name", w.name, "--progress", "quiet", "up", "--port", strconv.Itoa(w.port)}, flags...)
}

func (w *world) ejectedUp() invocation {
	return invocation{args: []string{"docker", "compose", "--progress", "quiet", "up", "--detach", "--wait"}, dir: w.ejected}
}

// eject writes the twin, once. `eject` has no flag for the port, so the published one is replaced in the file.
func (w *world) eject(ctx context.Context) error {
	if w.ejected != "" {
		return nil
	}
	w.ejected = filepath.Join(w.home, "ejected")
	if _, err := w.run(ctx, w.telemetry("--name", w.twin, "eject", w.ejected)); err != nil {
		return err
	}
	file := filepath.Join(w.ejected, "compose.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	const published = `published: "8082"`
	if strings.Count(string(text), published) != 1 {
		return fmt.Errorf("%s: want one %s", file, published)
	}
	moved := strings.Replace(string(text), published, fmt.Sprintf("published: %q", strconv.Itoa(w.ejectedPort)), 1)
	return os.WriteFile(file, []byte(moved), 0o644)
}

// bothUp makes what is not there yet; a second call finds both running.
func (w *world) bothUp(ctx context.Context) error {
	if err := w.eject(ctx); err != nil {
		return err
	}
	return w.runAll(ctx, w.telemetry(w.up("--no-verify")...), w.ejectedUp())
}

// down removes both stacks and their data; one of them would take memory and processors from the other.
func (w *world) down(ctx context.Context) error {
	return w.runAll(ctx, w.removal(w.name), w.removal(w.twin))
}

// removal goes by our labels, which the ejected project carries too.
func (w *world) removal(name string) invocation {
	return w.telemetry("--name", name, "--progress", "quiet", "down", "--volumes", "--yes")
}

func (w *world) runAll(ctx context.Context, invocations ...invocation) error {
	for _, invocation := range invocations {
		if _, err := w.run(ctx, invocation); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) environ() []string {
	environ := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.home, "TERM=dumb", "DOCKER_CONFIG=" + filepath.Join(w.home, ".docker"),
		"XDG_STATE_HOME=" + filepath.Join(w.home, "state"), "XDG_CONFIG_HOME=" + filepath.Join(w.home, "config"),
	}
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		environ = append(environ, "DOCKER_HOST="+host)
	}
	return environ
}

// run takes the time from the start to the exit. The output goes to a file and not through a pipe, whose reader would
// compete for the processor.
func (w *world) run(ctx context.Context, i invocation) (process.Usage, error) {
	output, err := os.Create(filepath.Join(w.home, "output"))
	if err != nil {
		return process.Usage{}, err
	}
	defer output.Close()
	cmd := exec.CommandContext(ctx, i.args[0], i.args[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = w.environ(), i.dir, output, output
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second

	used, err := process.Run(cmd)
	if err != nil {
		text, _ := os.ReadFile(output.Name())
		return used, fmt.Errorf("%s: %w\n%s", strings.Join(i.args, " "), errors.Join(err, context.Cause(ctx)), text)
	}
	return used, nil
}

// remove takes away what is on the engine first: the state that finds it is in the home. When it fails the home stays.
func (w *world) remove(ctx context.Context) error {
	if w.ejected != "" {
		if err := w.down(ctx); err != nil {
			return fmt.Errorf("remove the stacks %s and %s: %w", w.name, w.twin, err)
		}
	}
	return os.RemoveAll(w.home)
}
