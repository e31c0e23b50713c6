//go:build e2e

// Package e2e holds scenarios on a real Docker Engine: one obligation each, state before output, no sleeps.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// busybox is the workload image: `make lab` builds it, upstream runs pull the official one.
var busybox = orElse(os.Getenv("DT_BUSYBOX"), "docker-telemetry-lab/busybox:1")

func TestMain(m *testing.M) { os.Exit(runAll(m)) }

// runAll refuses to pass without an engine: a skipped scenario proves nothing.
func runAll(m *testing.M) int {
	if id := os.Getenv(sendByVariables); id != "" {
		if err := sendAll(id); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	if out, err := exec.Command("docker", "version", "--format", "{{.Server.Version}}").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "no Docker engine answers: %s\n", out)
		return 1
	}
	if err := removeLeftovers(); err != nil {
		fmt.Fprintf(os.Stderr, "what an earlier run left cannot be removed: %v\n", err)
		return 1
	}
	return m.Run()
}

// removeLeftovers removes what a killed run left on the engine: by their names the next one would meet them, with passwords
// that went with their home, and their health checks take a core.
func removeLeftovers() error {
	const ours = "name=^/?e2e-"
	for _, kind := range []struct{ list, remove []string }{
		{[]string{"ps", "-aq", "--filter", ours}, []string{"rm", "-f"}},
		{[]string{"ps", "-aq", "--filter", "ancestor=docker-telemetry-lab/busybox:1"}, []string{"rm", "-f"}},
		{[]string{"network", "ls", "-q", "--filter", ours}, []string{"network", "rm"}},
		{[]string{"volume", "ls", "-q", "--filter", ours}, []string{"volume", "rm"}},
	} {
		out, err := exec.Command("docker", kind.list...).Output()
		if err != nil {
			return fmt.Errorf("docker %v: %w", kind.list, err)
		}
		found := strings.Fields(string(out))
		if len(found) == 0 {
			continue
		}
		if out, err := exec.Command("docker", append(kind.remove, found...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("docker %v: %s", kind.remove, out)
		}
	}
	return nil
}

// env is a scenario's own world: a home, a Docker configuration with our plugin and Compose, a stack name and a port.
type env struct {
	t      *testing.T
	name   string
	port   int
	home   string
	extra  []string
	stacks []string
	// another has certificates of another authority, nil before they are asked for.
	another *env
	client  *http.Client
	logins  map[string][2]string
}

func newEnv(t *testing.T) *env {
	t.Helper()
	e := &env{t: t, name: "e2e-" + strings.ToLower(strings.TrimPrefix(strings.ReplaceAll(t.Name(), "/", "-"), "Test")), port: freePort(t), home: t.TempDir()}
	assert.NilError(t, os.MkdirAll(filepath.Dir(e.plugin("")), 0o755))
	for _, name := range []string{"docker-telemetry", "docker-compose"} {
		e.install(name)
	}
	e.stacks = []string{e.name}
	t.Cleanup(e.cleanup)
	return e
}

// plugin is the path of a CLI plugin in the scenario's own home.
func (e *env) plugin(name string) string {
	return filepath.Join(e.home, ".docker", "cli-plugins") + string(filepath.Separator) + name
}

// install puts a program of bin/ into the scenario's own home, in the place of what was there.
func (e *env) install(name string) {
	e.t.Helper()
	assert.NilError(e.t, os.RemoveAll(e.plugin(name)))
	assert.NilError(e.t, os.Symlink(filepath.Join(binaries(e.t), name), e.plugin(name)))
}

// rebuild installs a plugin in which one embedded file is changed: another release, for a scenario.
func (e *env) rebuild(file string, change func(text string) string) {
	e.t.Helper()
	root, err := filepath.Abs("..")
	assert.NilError(e.t, err)
	original := filepath.Join(root, filepath.FromSlash(file))
	raw, err := os.ReadFile(original)
	assert.NilError(e.t, err)
	changed := filepath.Join(e.t.TempDir(), filepath.Base(file))
	assert.NilError(e.t, os.WriteFile(changed, []byte(change(string(raw))), 0o644))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	assert.NilError(e.t, err)
	overlayFile := filepath.Join(e.t.TempDir(), "overlay.json")
	assert.NilError(e.t, os.WriteFile(overlayFile, overlay, 0o644))
	assert.NilError(e.t, os.RemoveAll(e.plugin("docker-telemetry")))
	build := exec.CommandContext(e.t.Context(), "go", "build", "-overlay", overlayFile, "-o", e.plugin("docker-telemetry"), "./cmd/docker-telemetry")
	build.Dir = root
	out, err := build.CombinedOutput()
	assert.NilError(e.t, err, "%s", out)
}

func binaries(t *testing.T) string {
	dir, err := filepath.Abs("../bin")
	assert.NilError(t, err)
	return dir
}

// cleanup removes the scenario's stacks and, when it failed, first keeps what they were.
func (e *env) cleanup() {
	for _, name := range e.stacks {
		if e.t.Failed() {
			e.keep(name)
		}
		if os.Getenv("DT_KEEP") != "" && e.t.Failed() {
			e.t.Logf("kept: stack %s, state in %s", name, e.home)
			continue
		}
		result := e.stackNamed(name, "down", "--volumes", "--yes")
		if result.code != 0 {
			e.t.Errorf("cleanup: %s", result)
		}
	}
}

// keep writes the state of a failed scenario's stack to the artefacts folder.
func (e *env) keep(name string) {
	dir := filepath.Join(orElse(os.Getenv("DT_ARTIFACTS"), os.TempDir()), strings.ReplaceAll(e.t.Name(), "/", "-"), name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		e.t.Logf("keep artefacts: %v", err)
		return
	}
	for file, args := range map[string][]string{
		"ps.txt": {"ps"}, "status.json": {"status", "--format", "json"}, "logs.txt": {"logs", "--timestamps"}, "compose.yaml": {"config"},
	} {
		result := e.stackNamed(name, args...)
		if err := os.WriteFile(filepath.Join(dir, file), []byte(result.String()), 0o644); err != nil {
			e.t.Logf("keep artefacts: %v", err)
		}
	}
	e.t.Logf("artefacts: %s", dir)
}

// environ is hermetic: only what finds the engine and the programs comes from outside.
func (e *env) environ() []string {
	environ := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + e.home, "TERM=dumb",
		"DOCKER_CONFIG=" + filepath.Join(e.home, ".docker"),
		"XDG_STATE_HOME=" + filepath.Join(e.home, "state"), "XDG_CONFIG_HOME=" + filepath.Join(e.home, "config"),
	}
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		environ = append(environ, "DOCKER_HOST="+host)
	}
	return append(environ, e.extra...)
}

// result is what a command printed and how it ended.
type result struct {
	args           []string
	stdout, stderr string
	code           int
	took           time.Duration
}

func (r result) String() string {
	return fmt.Sprintf("$ %s\nexit code %d after %s\n--- stdout\n%s--- stderr\n%s", strings.Join(r.args, " "), r.code, r.took.Round(time.Millisecond), r.stdout, r.stderr)
}

// run runs a command to its end, 5 minutes at most.
func (e *env) run(args ...string) result {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := e.command(ctx, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		e.t.Fatalf("run %v: %v", args, err)
	}
	return result{args: args, stdout: stdout.String(), stderr: stderr.String(), code: cmd.ProcessState.ExitCode(), took: time.Since(began)}
}

func (e *env) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env, cmd.Dir = e.environ(), e.home
	return cmd
}

// telemetry runs `docker telemetry --name STACK ...`.
func (e *env) telemetry(args ...string) result { return e.stackNamed(e.name, args...) }

func (e *env) stackNamed(name string, args ...string) result {
	return e.run(append([]string{"docker", "telemetry", "--name", name, "--progress", "plain"}, args...)...)
}

// up starts the scenario's stack and requires that it works.
func (e *env) up(args ...string) {
	e.t.Helper()
	e.ok(e.telemetry(append([]string{"up", "--port", strconv.Itoa(e.port)}, args...)...))
}

func (e *env) ok(r result) result {
	e.t.Helper()
	if r.code != 0 {
		e.t.Fatalf("must succeed:\n%s", r)
	}
	return r
}

func (e *env) fails(r result, code int) result {
	e.t.Helper()
	if r.code != code {
		e.t.Fatalf("must end with %d:\n%s", code, r)
	}
	return r
}

func (e *env) docker(args ...string) string {
	e.t.Helper()
	return strings.TrimSpace(e.ok(e.run(append([]string{"docker"}, args...)...)).stdout)
}

// ids are the stack's containers by name.
func (e *env) ids(name string) map[string]string {
	e.t.Helper()
	out := e.docker("ps", "-a", "--no-trunc", "--filter", "label=io.github.docker-telemetry.stack="+name, "--format", "{{.Names}} {{.ID}}")
	ids := map[string]string{}
	for line := range strings.Lines(out) {
		name, id, _ := strings.Cut(strings.TrimSpace(line), " ")
		ids[name] = id
	}
	return ids
}

// statusJSON is the part of the contract that scenarios read.
type statusJSON struct {
	SchemaVersion int
	Healthy       bool
	Phase         string
	URLs          map[string]string
	Components    []struct {
		Name        string
		Want, Ready int
		Drift       bool
	}
}

func (e *env) status() statusJSON {
	e.t.Helper()
	var status statusJSON
	r := e.telemetry("status", "--format", "json")
	if err := json.Unmarshal([]byte(r.stdout), &status); err != nil {
		e.t.Fatalf("status is not JSON: %v\n%s", err, r)
	}
	return status
}

// eventually repeats a check until it holds; the last reason is what fails the scenario.
func eventually(t *testing.T, within time.Duration, check func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %v", within, err)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// nextPort is where freePort looks. A port that the kernel chooses may be chosen once more before a scenario's stack opens it,
// for another one, for an engine's published port or for a connection: these are below all that it chooses from.
var nextPort atomic.Int32

// freePort returns a port of this machine that is open to nobody, and that no other call returns.
func freePort(t *testing.T) int {
	t.Helper()
	const first, last = 20_000, 30_000
	nextPort.CompareAndSwap(0, first+int32(os.Getpid())%5_000)
	for {
		port := int(nextPort.Add(1))
		assert.Assert(t, port < last, "no free port")
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			assert.NilError(t, listener.Close())
			return port
		}
	}
}

func orElse(first, second string) string {
	if first != "" {
		return first
	}
	return second
}
