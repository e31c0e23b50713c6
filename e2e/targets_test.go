//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// exporter is a real one: any container with metrics does.
const exporter = "prom/node-exporter:v1.12.1"

// A container that asks for it by its labels is scraped where it is, without another container of the agent, and
// forgotten when it goes. Not beside others: every stack on the engine takes the containers that ask, and is on their
// network until its next sync.
func TestTargets(t *testing.T) {
	e := newEnv(t)
	e.up()
	before := e.agentRun()
	shop := e.name + "-shop"
	e.docker("network", "create", shop)
	t.Cleanup(func() { e.run("docker", "network", "rm", shop) })

	t.Run("scraped on its own network", func(t *testing.T) {
		e.exporter(shop+"-web", "--network", shop, "--label", "telemetry.job=shop-web")
		found := e.targets("sync")
		assert.Equal(t, found[shop+"-web"].State, "scraped", "%+v", found)
		assert.Assert(t, found[shop+"-web"].Samples > 100, "%+v", found)
		eventually(t, 90*time.Second, func() error {
			return e.hasSeries(fmt.Sprintf(`node_load1{job="shop-web",instance="%s-web:9100"}`, shop))
		})
		assert.Equal(t, e.agentRun(), before)
	})
	t.Run("on the default bridge", func(t *testing.T) {
		e.exporter(shop+"-plain", "--label", "telemetry.job=shop-plain")
		assert.Equal(t, e.targets("sync")[shop+"-plain"].State, "scraped")
		eventually(t, 90*time.Second, func() error { return e.hasSeries(`node_load1{job="shop-plain"}`) })
	})
	t.Run("one that cannot be scraped says why", func(t *testing.T) {
		e.exporter(shop+"-closed", "--network", shop, "--label", "telemetry.port=81")
		e.exporter(shop+"-elsewhere", "--network", shop, "--label", "telemetry.path=/nothing")
		e.exporter(shop+"-host", "--network", "host")
		e.exporter(shop+"-none", "--network", "none")
		found := e.targets("sync")
		for name, want := range map[string]string{
			"-closed":    "nothing listens on port 81 of it",
			"-elsewhere": "it answers 404 at /nothing; the label telemetry.path says where its metrics are",
			"-host":      "it is on the network of the host, where the agent cannot reach it",
			"-none":      "it has no network",
		} {
			assert.Equal(t, found[shop+name].Problem, want)
		}
		assert.Equal(t, found[shop+"-web"].State, "scraped", "one that is silent must not hide one that is not")
		for _, name := range []string{"-closed", "-elsewhere", "-host", "-none", "-plain"} {
			e.docker("rm", "-f", shop+name)
		}
	})
	t.Run("neither a restart nor an up changes that", func(t *testing.T) {
		ids := e.ids(e.name)
		e.ok(e.telemetry("restart", "agent"))
		e.up()
		assert.DeepEqual(t, e.ids(e.name), ids)
		e.isFresh(t, `node_load1{job="shop-web"}`)
	})
	t.Run("another container of the agent is told by up", func(t *testing.T) {
		e.up("--profile", "quiet-logs")
		assert.Equal(t, e.targets("ls")[shop+"-web"].State, "scraped")
		e.isFresh(t, `node_load1{job="shop-web"}`)
	})
	t.Run("forgotten", func(t *testing.T) {
		e.docker("rm", "-f", shop+"-web")
		assert.Equal(t, len(e.targets("sync")), 0)
		e.docker("network", "rm", shop) // fails while the agent is on it
		_, still := e.file("agent", "/etc/vector/targets.yaml")
		assert.Assert(t, !still)
	})
	t.Run("up --watch", func(t *testing.T) { watched(t, e, shop) })
}

func watched(t *testing.T, e *env, shop string) {
	e.docker("network", "create", shop)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := e.command(ctx, "docker", "telemetry", "--name", e.name, "--progress", "quiet", "up", "--watch", "--no-verify")
	var out, said locked
	cmd.Stdout, cmd.Stderr = &out, &said
	assert.NilError(t, cmd.Start())
	says := func(text string) {
		t.Helper()
		eventually(t, time.Minute, func() error {
			if !strings.Contains(out.String(), text) {
				return fmt.Errorf("no %q in\n%s%s", text, out.String(), said.String())
			}
			return nil
		})
	}
	eventually(t, time.Minute, func() error {
		if !strings.Contains(said.String(), "watching for containers") {
			return fmt.Errorf("it does not watch:\n%s%s", out.String(), said.String())
		}
		return nil
	})
	e.exporter(shop+"-late", "--network", shop)
	says("scraped " + shop + "-late: http://" + shop + "-late:9100/metrics")
	e.docker("rm", "-f", shop+"-late")
	says("gone " + shop + "-late")
	e.docker("network", "rm", shop)
	assert.NilError(t, cmd.Process.Signal(os.Interrupt))
	assert.NilError(t, cmd.Wait(), "Ctrl-C is its ordinary end")
	assert.Assert(t, e.status().Healthy)
}

// locked is written by a process while a test reads it.
type locked struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *locked) Write(raw []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(raw)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// exporter starts a container that asks to be scraped; a later --label takes an earlier one's place.
func (e *env) exporter(name string, args ...string) {
	e.t.Helper()
	run := append([]string{"run", "-d", "--name", name, "--label", "telemetry.scrape=true", "--label", "telemetry.port=9100"}, args...)
	e.docker(append(run, exporter)...)
	e.t.Cleanup(func() { e.run("docker", "rm", "-f", name) })
}

type targetJSON struct {
	State, Problem, URL string
	Samples             int
}

// targets are those of this scenario: others on the engine may ask as well.
func (e *env) targets(verb string) map[string]targetJSON {
	e.t.Helper()
	r := e.telemetry("targets", verb, "--format", "json")
	assert.Assert(e.t, r.code == 0 || r.code == 3, "%s", r)
	var answer struct {
		Targets []struct {
			Container string
			targetJSON
		}
	}
	assert.NilError(e.t, json.Unmarshal([]byte(r.stdout), &answer), "%s", r)
	found := map[string]targetJSON{}
	for _, target := range answer.Targets {
		if strings.HasPrefix(target.Container, e.name) {
			found[target.Container] = target.targetJSON
		}
	}
	return found
}

// agentRun is the agent's container and when it was started.
func (e *env) agentRun() string {
	e.t.Helper()
	return e.docker("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", e.name+"-agent-1")
}

// isFresh requires a sample that was taken after the call.
func (e *env) isFresh(t *testing.T, selector string) {
	t.Helper()
	since := strconv.FormatInt(time.Now().Unix(), 10)
	eventually(t, 90*time.Second, func() error { return e.hasSeries("timestamp(" + selector + ") > " + since) })
}

// file is one inside a component's first container, and whether it is there.
func (e *env) file(component, path string) (text string, there bool) {
	r := e.run("docker", "exec", e.name+"-"+component+"-1", "cat", path)
	return r.stdout, r.code == 0
}
