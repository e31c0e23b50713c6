//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// A tag that was moved must be told: Compose goes over to what it stands for now.
func TestMovedTag(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	const image = "docker-telemetry-e2e/moved:1"
	e.docker("tag", busybox, image)
	t.Cleanup(func() { e.run("docker", "image", "rm", image) })
	overlay := filepath.Join(e.home, "overlay.yaml")
	assert.NilError(t, os.WriteFile(overlay, []byte(fmt.Sprintf(`services:
  writer: {image: %q, init: true, stop_grace_period: 0s, command: ["sh", "-c", "while :; do sleep 1; done"]}
`, image)), 0o644))
	e.up("--no-verify", "-f", overlay)
	assert.DeepEqual(t, e.drifted(), []string(nil))

	e.docker("tag", "nginxinc/nginx-unprivileged:1.30.5-alpine", image)
	r := e.ok(e.telemetry("up", "--no-verify", "--no-wait"))
	assert.Assert(t, strings.Contains(r.stdout, "not the pulled one: writer"), "%s", r)
	assert.DeepEqual(t, e.drifted(), []string{"writer"})

	e.docker("tag", busybox, image)
	e.ok(e.telemetry("up", "--no-verify"))
	assert.DeepEqual(t, e.drifted(), []string(nil))
}

// drifted are the components that run another image than their tag stood for when it was locked.
func (e *env) drifted() []string {
	e.t.Helper()
	var names []string
	for _, component := range e.status().Components {
		if component.Drift {
			names = append(names, component.Name)
		}
	}
	return names
}

// A second `up` must recreate nothing.
func TestUpTwice(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.up()
	before := e.ids(e.name)
	e.up()
	assert.DeepEqual(t, e.ids(e.name), before)
}

// A release whose configuration of one component differs must recreate this component and no other.
func TestChangedConfig(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.up("--no-verify")
	before := e.ids(e.name)
	e.rebuild("stack/bundle/config/docker-proxy/nginx.conf", func(text string) string {
		return "# a later release\n" + text
	})
	plan := e.ok(e.telemetry("up", "--dry-run"))
	assert.DeepEqual(t, changesIn(plan.stdout), []string{"recreate docker-proxy (1)"})
	assert.DeepEqual(t, e.ids(e.name), before)
	e.up("--no-verify")
	var recreated []string
	for name, id := range e.ids(e.name) {
		if before[name] != id {
			recreated = append(recreated, name)
		}
	}
	assert.DeepEqual(t, recreated, []string{e.name + "-docker-proxy-1"})
	e.writeLine(t, arrival)
}

// changesIn are the lines of a dry run that are not about keeping, with single spaces.
func changesIn(plan string) []string {
	var changes []string
	for line := range strings.Lines(plan) {
		if words := strings.Fields(line); len(words) > 0 && words[0] != "keep" {
			changes = append(changes, strings.Join(words, " "))
		}
	}
	return changes
}

// `down` must keep the volumes and touch nothing foreign; `down --volumes` must remove exactly its own.
func TestDown(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	foreign := e.docker("volume", "create", e.name+"_foreign")
	t.Cleanup(func() { e.docker("volume", "rm", foreign) })
	e.up("--no-verify")
	e.ok(e.telemetry("down"))
	assert.Equal(t, len(e.ids(e.name)), 0)
	assert.Equal(t, e.count("network"), 0)
	assert.Equal(t, e.count("volume"), 5)
	e.ok(e.telemetry("down", "--volumes", "--yes"))
	assert.Equal(t, e.count("volume"), 1, "the foreign volume alone is left")
}

// Data must outlive `down`, and components must come back from `stop` and `restart` as they were.
func TestDataSurvives(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.up()
	marker := "kept-" + e.name
	id := e.docker("run", "-d", "--network", "none", busybox, "echo", marker)
	t.Cleanup(func() { e.docker("rm", "-f", id) })
	eventually(t, arrival, func() error { return e.hasLine(marker) })
	before := e.ids(e.name)

	e.ok(e.telemetry("stop", "aggregators"))
	e.fails(e.telemetry("status"), 3)
	e.ok(e.telemetry("start", "aggregator"))
	e.ok(e.telemetry("restart", "balancer"))
	e.ok(e.telemetry("status"))
	e.ok(e.telemetry("stop"))
	e.ok(e.telemetry("start"))
	assert.DeepEqual(t, e.ids(e.name), before)
	e.writeLine(t, arrival)

	e.ok(e.telemetry("down"))
	e.up("--no-verify")
	eventually(t, 10*time.Second, func() error { return e.hasLine(marker) })
}

// Two stacks must run side by side, and removing one must leave the other alone.
func TestTwoStacks(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	second := e.name + "-second"
	e.stacks = append(e.stacks, second)
	e.up()
	e.ok(e.stackNamed(second, "up", "--port", strconv.Itoa(freePort(t))))
	before := e.ids(e.name)
	e.ok(e.stackNamed(second, "down", "--volumes", "--yes"))
	assert.Equal(t, len(e.ids(second)), 0)
	assert.DeepEqual(t, e.ids(e.name), before)
	e.writeLine(t, arrival)
}

// An ejected project must run with `docker compose` alone and carry data.
func TestEject(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	dir := filepath.Join(e.home, "ejected")
	e.ok(e.telemetry("up", "--port", strconv.Itoa(e.port), "--no-verify"))
	e.ok(e.telemetry("eject", dir))
	e.ok(e.telemetry("down"))
	e.ok(e.run("docker", "compose", "--project-directory", dir, "up", "--detach", "--wait"))
	e.writeLine(t, arrival)
	e.fails(e.telemetry("eject", dir), 1)
	e.ok(e.run("docker", "compose", "--project-directory", dir, "down"))
}

// `docker compose` must see a stack as any other project.
func TestComposeSeesIt(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.up("--no-verify")
	listed := e.docker("compose", "-p", e.name, "ps", "--format", "{{.Service}}")
	assert.Equal(t, len(strings.Fields(listed)), 10, listed)
	assert.Assert(t, strings.Contains(e.docker("compose", "ls", "--format", "json"), strconv.Quote(e.name)))
	assert.Assert(t, strings.Contains(e.ok(e.telemetry("logs", "--tail", "5", "agent")).stdout, "agent-1"))
	e.docker("compose", "-p", e.name, "down")
	assert.Equal(t, len(e.ids(e.name)), 0)
}

// ready is how many replicas of a component are ready.
func (e *env) ready(component string) int {
	e.t.Helper()
	for _, found := range e.status().Components {
		if found.Name == component {
			return found.Ready
		}
	}
	return 0
}

// count is how many networks or volumes carry the stack's name.
func (e *env) count(kind string) int {
	e.t.Helper()
	return len(strings.Fields(e.docker(kind, "ls", "-q", "--filter", "name="+e.name+"_")))
}
