package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/cli/cli/command"
	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// runMain makes the test's binary behave as the program's.
const runMain = "DOCKER_TELEMETRY_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		os.Exit(mainWithin(os.Getenv(testLimits), os.Getenv(testPeak)))
	}
	os.Exit(m.Run())
}

// The first is limits of answers, as JSON, for what a test cannot wait for; the second is a file for the peak of memory.
const (
	testLimits = "DOCKER_TELEMETRY_TEST_LIMITS"
	testPeak   = "DOCKER_TELEMETRY_TEST_PEAK"
)

func mainWithin(limits, peak string) int {
	var within victoriametrics.Limits
	if limits != "" {
		if err := json.Unmarshal([]byte(limits), &within); err != nil {
			panic(err)
		}
	}
	code := run(func(cli *command.DockerCli) deps {
		reached := newDeps(cli)
		reached.limits = within
		return reached
	})
	if peak == "" {
		return code
	}
	// The figure that wait4 gives would be that of the parent, until exec, where that is higher.
	status, err := os.ReadFile("/proc/self/status")
	if err == nil {
		err = os.WriteFile(peak, status, 0o600)
	}
	if err != nil {
		panic(err)
	}
	return code
}

// program is the program in a home of its own, before an engine that counts who connects.
type program struct {
	home        string
	environment []string // beside that of every run
	engine      *httptest.Server
	connections atomic.Int64
}

// longestRun ends a program that would never end.
const longestRun = 30 * time.Second

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
	ctx, cancel := context.WithTimeout(t.Context(), longestRun)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = []string{
		runMain + "=1", "HOME=" + p.home, "USERPROFILE=" + p.home, "PATH=" + os.Getenv("PATH"),
		"DOCKER_HOST=tcp://" + strings.TrimPrefix(p.engine.URL, "http://"),
	}
	cmd.Env = append(cmd.Env, p.environment...)
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
