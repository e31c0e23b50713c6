//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"
)

// A taken port must be refused before anything is made, with its owner and a way out.
func TestPortTaken(t *testing.T) {
	e := newEnv(t)
	id := e.docker("run", "-d", "-p", fmt.Sprintf("127.0.0.1:%d:80", e.port), busybox, "sleep", "60")
	t.Cleanup(func() { e.docker("rm", "-f", id) })
	e.refused("is taken by container", "hint: choose another: docker telemetry --name "+e.name+" up --port ")
	e.docker("rm", "-f", id)

	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", e.port))
	assert.NilError(t, err)
	defer listener.Close()
	e.refused(fmt.Sprintf("is taken by process %d (", os.Getpid()))
}

// refused requires that `up` fails with exit code 1 and these words, and that nothing was made.
func (e *env) refused(words ...string) {
	e.t.Helper()
	r := e.fails(e.telemetry("up", "--port", strconv.Itoa(e.port)), 1)
	for _, word := range words {
		assert.Assert(e.t, strings.Contains(r.stderr, word), "no %q in:\n%s", word, r.stderr)
	}
	assert.Equal(e.t, r.stdout, "")
	assert.Equal(e.t, len(e.ids(e.name)), 0)
	assert.Equal(e.t, e.count("volume")+e.count("network"), 0)
}

// An image that is neither on the engine nor to be pulled must be named with its component, before anything is made.
func TestImageMissing(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	// The pins are one file; its last line wins. The registry is a closed port of this host.
	registry := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	e.rebuild("stack/bundle/images.env", func(text string) string {
		return text + "\nGRAFANA_IMAGE=" + registry + "/grafana:9\n"
	})
	e.refused("image "+registry+"/grafana:9 (grafana) is not on the engine and cannot be pulled", "hint: ")
}

// Where no engine answers, every command must say so in one line with a hint, at once.
func TestEngineAbsent(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	absent := "unix://" + filepath.Join(e.home, "none.sock")
	for _, c := range []struct {
		code int
		args []string
	}{
		{1, []string{"up"}},
		{1, []string{"down"}},
		{1, []string{"ps"}},
		{1, []string{"logs"}},
		{4, []string{"status"}},
		{4, []string{"status", "--format", "json"}},
	} {
		r := e.fails(e.run(append([]string{"docker", "--host", absent, "telemetry", "--name", e.name}, c.args...)...), c.code)
		assert.Equal(t, r.stdout, "")
		assert.Equal(t, strings.Count(r.stderr, "\n"), 2, r.stderr)
		assert.Assert(t, strings.HasPrefix(r.stderr, "error: cannot reach the Docker engine at "+absent), r.stderr)
		assert.Assert(t, strings.Contains(r.stderr, "\nhint: "), r.stderr)
	}
	_, err := os.Stat(filepath.Join(e.home, "state"))
	assert.Assert(t, os.IsNotExist(err), "nothing was made: %v", err)
}

// A home that cannot be written must be refused before anything is made.
func TestReadOnlyHome(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	state := filepath.Join(e.home, "state")
	assert.NilError(t, os.Mkdir(state, 0o755))
	// A mode would not stop root.
	assert.NilError(t, syscall.Mount("tmpfs", state, "tmpfs", syscall.MS_RDONLY, ""))
	t.Cleanup(func() {
		if err := syscall.Unmount(state, 0); err != nil {
			t.Errorf("unmount %s: %v", state, err)
		}
	})
	e.refused("error: cannot create ", "read-only file system", "hint: set XDG_STATE_HOME to a folder you can write")
}

// The caller's files and variables for Compose must change nothing.
func TestHermetic(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	plain := e.ok(e.telemetry("config")).stdout
	assert.NilError(t, os.WriteFile(filepath.Join(e.home, ".env"), []byte(
		"COMPOSE_PROJECT_NAME=evil\nTELEMETRY_PORT=1\nAGGREGATOR_REPLICAS=9\nNGINX_IMAGE=evil\n"), 0o644))
	assert.NilError(t, os.WriteFile(filepath.Join(e.home, "compose.yaml"), []byte("services: {evil: {image: evil}}\n"), 0o644))
	e.extra = []string{
		"COMPOSE_PROJECT_NAME=evil", "COMPOSE_FILE=" + filepath.Join(e.home, "compose.yaml"), "COMPOSE_PROFILES=evil",
		"COMPOSE_REMOVE_ORPHANS=0", "COMPOSE_PARALLEL_LIMIT=1", "COMPOSE_DISABLE_ENV_FILE=0", "COMPOSE_ENV_FILES=" + filepath.Join(e.home, ".env"),
		"TELEMETRY_PORT=1", "AGGREGATOR_REPLICAS=9", "NGINX_IMAGE=evil", "DOCKER_DEFAULT_PLATFORM=linux/s390x",
	}
	assert.Equal(t, e.ok(e.telemetry("config")).stdout, plain)
	e.up("--no-verify")
	assert.Equal(t, len(e.ids(e.name)), 10)
	assert.Equal(t, e.docker("ps", "-aq", "--filter", "label=com.docker.compose.project=evil"), "")
}

// A component that cannot start must be named with its last log lines, and left for inspection.
func TestComponentFails(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.rebuild("stack/bundle/config/gateway/nginx.conf", func(text string) string {
		return "no_such_directive on;\n" + text
	})
	r := e.fails(e.telemetry("up", "--port", strconv.Itoa(e.port)), 1)
	assert.Assert(t, strings.Contains(r.stderr, "error: gateway ("+e.name+"-gateway-1) keeps restarting"), r)
	assert.Assert(t, strings.Contains(r.stderr, `unknown directive "no_such_directive"`), r)
	assert.Assert(t, strings.Contains(r.stderr, "hint: it is left for inspection: docker telemetry --name "+e.name+" logs gateway"), r)
	assert.Equal(t, len(e.ids(e.name)), 10)

	e.install("docker-telemetry")
	e.up()
}

// Standalone and under a context, the program must do what it does as a plugin.
func TestOtherCallers(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.up("--no-verify")
	standalone := e.ok(e.run(filepath.Join(binaries(t), "docker-telemetry"), "--name", e.name, "ps", "--format", "json"))
	assert.Equal(t, standalone.stdout, e.ok(e.telemetry("ps", "--format", "json")).stdout)

	e.docker("context", "create", "other", "--docker", "host="+engineAddress(t))
	e.extra = []string{"DOCKER_HOST="}
	found := e.ok(e.run("docker", "--context", "other", "telemetry", "--name", e.name, "ps", "--format", "json"))
	assert.Equal(t, found.stdout, standalone.stdout)
	// The other context has no state of its own, so the same name is another machine's stack there.
	e.fails(e.run("docker", "--context", "other", "telemetry", "--name", e.name, "up"), 1)
	e.extra = nil
}

func engineAddress(t *testing.T) string {
	t.Helper()
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		return host
	}
	out, err := exec.Command("docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}").Output()
	assert.NilError(t, err)
	return strings.TrimSpace(string(out))
}
