package plugin

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"gotest.tools/v3/assert"
)

// runMain makes the test's binary behave as the program's.
const runMain = "DOCKER_TELEMETRY_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		os.Exit(Main())
	}
	os.Exit(m.Run())
}

// program is the program in a home of its own, before an engine that counts who connects.
type program struct {
	home        string
	engine      *httptest.Server
	connections atomic.Int64
}

func newProgram(t *testing.T) *program {
	t.Helper()
	p := &program{home: t.TempDir()}
	p.engine = httptest.NewUnstartedServer(http.NotFoundHandler())
	p.engine.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			p.connections.Add(1)
		}
	}
	p.engine.Start()
	t.Cleanup(p.engine.Close)
	return p
}

func (p *program) run(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	self, err := os.Executable()
	assert.NilError(t, err)
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = []string{
		runMain + "=1", "HOME=" + p.home, "USERPROFILE=" + p.home, "PATH=" + os.Getenv("PATH"),
		"DOCKER_HOST=tcp://" + strings.TrimPrefix(p.engine.URL, "http://"),
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// The Docker CLI asks for the metadata at each `docker --help`.
func TestMetadataIsJSONAndTouchesNothing(t *testing.T) {
	p := newProgram(t)
	stdout, stderr, code := p.run(t, "docker-cli-plugin-metadata")
	assert.Equal(t, code, 0, stderr)
	assert.Equal(t, stderr, "")
	var metadata map[string]any
	assert.NilError(t, json.Unmarshal([]byte(stdout), &metadata), stdout)
	assert.Equal(t, metadata["SchemaVersion"], "0.1.0")
	assert.Equal(t, metadata["Vendor"], "docker-telemetry")
	assert.Assert(t, metadata["ShortDescription"] != "")

	left, err := os.ReadDir(p.home)
	assert.NilError(t, err)
	assert.Equal(t, len(left), 0, "something was written to the home folder: %v", left)
	assert.Equal(t, p.connections.Load(), int64(0), "the engine was asked")
}

// By itself the program takes the words that follow `docker telemetry`, and its exit codes reach the shell.
func TestStandalone(t *testing.T) {
	p := newProgram(t)
	stdout, stderr, code := p.run(t, "version")
	assert.Equal(t, code, 0, stderr)
	assert.Equal(t, stdout, "docker telemetry 0.0.0-dev\n")
	assert.Equal(t, p.connections.Load(), int64(0), "the engine was asked")

	stdout, stderr, code = p.run(t, "statsu")
	assert.Equal(t, code, exitUsage)
	assert.Equal(t, stdout, "")
	assert.Assert(t, strings.Contains(stderr, `error: there is no command "statsu", did you mean status?`), stderr)
}
