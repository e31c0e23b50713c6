//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// A stack must run on an engine that is reached over tcp:// and keeps its files elsewhere: nothing of the caller's
// disk may be needed there.
func TestRemoteEngine(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	engine(t, "start", "--name", "e2e-remote", "--tcp", address)
	t.Cleanup(func() { engine(t, "stop", "--name", "e2e-remote", "--purge") })
	socket := socketOf(t, "e2e-remote")
	e.copyImages("tcp://" + address)

	root := e.docker("info", "--format", "{{.DockerRootDir}}")
	e.extra = []string{"DOCKER_HOST=tcp://" + address}
	assert.Assert(t, e.docker("info", "--format", "{{.DockerRootDir}}") != root)
	e.up("--docker-socket", socket)
	e.writeLine(t, arrival)
	eventually(t, time.Minute, func() error { return e.hasSeries(`node_uname_info{job="node-exporter"}`) })
	e.ok(e.telemetry("scale", "aggregator=3"))
	e.up()
	assert.Equal(t, e.ready("aggregator"), 3)
	e.ok(e.telemetry("down", "--volumes", "--yes"))
	e.stacks = nil
}

// copyImages loads the stack's images and the workload's onto another engine.
func (e *env) copyImages(host string) {
	e.t.Helper()
	images := []string{busybox}
	for line := range strings.Lines(e.ok(e.telemetry("config")).stdout) {
		if image, found := strings.CutPrefix(strings.TrimSpace(line), "image: "); found {
			images = append(images, strings.TrimSpace(image))
		}
	}
	copying := exec.CommandContext(e.t.Context(), "bash", "-o", "pipefail", "-c", `docker save "$@" | docker --host "$0" load`, host)
	copying.Args = append(copying.Args, images...)
	copying.Env = e.environ()
	out, err := copying.CombinedOutput()
	assert.NilError(e.t, err, "%s", out)
}

// socketOf is the path of a private engine's socket, on its own host.
func socketOf(t *testing.T, name string) string {
	t.Helper()
	_, rest, found := strings.Cut(engine(t, "env", "--name", name), "unix://")
	assert.Assert(t, found)
	path, _, _ := strings.Cut(rest, "'")
	return strings.TrimSpace(path)
}

// engine runs hack/engine.sh, which starts private engines: the distribution's, whatever the other scenarios run on.
func engine(t *testing.T, args ...string) string {
	t.Helper()
	script, err := filepath.Abs("../hack/engine.sh")
	assert.NilError(t, err)
	cmd := exec.Command(script, args...)
	cmd.Env = append(os.Environ(), "ENGINE_SUITE=")
	out, err := cmd.CombinedOutput()
	assert.NilError(t, err, "%s", out)
	return string(out)
}
