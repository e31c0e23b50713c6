//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// soundRuns is how often a sound stack is looked at; the number that was run by hand is in docs/verified.md.
const soundRuns = 3

// smallDisks puts the stores on disks that a scenario can fill.
const smallDisks = `services: {}
volumes:
  openobserve-data: {driver_opts: {type: tmpfs, device: tmpfs, o: "size=48m"}}
  victoriametrics-data: {driver_opts: {type: tmpfs, device: tmpfs, o: "size=400m"}}
`

// Each fault must be named: the hop, the cause, and what mends it. A sound stack must have none, before, between and after,
// and nothing of a look may be left.
func TestVerify(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	overlay := filepath.Join(t.TempDir(), "disks.yaml")
	assert.NilError(t, os.WriteFile(overlay, []byte(smallDisks), 0o644))
	e.up("--profile", "otel", "-f", overlay, "--otlp-grpc-port", strconv.Itoa(freePort(t)), "--otlp-http-port", strconv.Itoa(freePort(t)))
	t.Run("sound", func(t *testing.T) { verifySound(t, e) })
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) { f.isNamed(t, e) })
	}
	t.Run("watched", func(t *testing.T) { verifyWatches(t, e) })
	t.Run("sound again", func(t *testing.T) { e.proven(t, "20s") })
	t.Run("nothing is left", func(t *testing.T) { verifyLeavesNothing(t, e) })
}

// verified is the part of the contract that scenarios read.
type verified struct {
	Proven      bool
	TookSeconds float64
	Routes      []struct {
		Name   string
		Proven bool
		Hops   []struct{ Name, State string }
		Cause  struct{ Hop, Text, Mend string }
	}
}

func (e *env) verify(args ...string) (verified, result) {
	e.t.Helper()
	r := e.telemetry(append([]string{"verify", "--format", "json"}, args...)...)
	var answer verified
	if r.code != 0 && r.code != 3 {
		e.t.Fatalf("must be looked at:\n%s", r)
	}
	if err := json.Unmarshal([]byte(r.stdout), &answer); err != nil {
		e.t.Fatalf("verify is not JSON: %v\n%s", err, r)
	}
	return answer, r
}

// proven requires that the routes, all without one, are proven.
func (e *env) proven(t *testing.T, timeout string, routes ...string) verified {
	t.Helper()
	args := []string{"--timeout", timeout}
	for _, route := range routes {
		args = append(args, "--route", route)
	}
	answer, r := e.verify(args...)
	assert.Equal(t, r.code, 0, "%s", r)
	return answer
}

func verifySound(t *testing.T, e *env) {
	runs := soundRuns
	if more, err := strconv.Atoi(os.Getenv("DT_VERIFY_RUNS")); err == nil {
		runs = more
	}
	slowest := 0.0
	for range runs {
		answer := e.proven(t, "30s")
		assert.Equal(t, len(answer.Routes), 11)
		slowest = max(slowest, answer.TookSeconds)
	}
	t.Logf("%d runs on a sound stack named no fault; the slowest took %.1f s", runs, slowest)
	assert.Assert(t, slowest <= 30)
}

// verifyWatches: lines are counted until Ctrl-C, none is lost, and the figures are in our own VictoriaMetrics.
func verifyWatches(t *testing.T, e *env) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := e.command(ctx, "docker", "telemetry", "--name", e.name, "verify", "--watch", "--format", "json")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	assert.NilError(t, err)
	assert.NilError(t, cmd.Start())
	type line struct {
		Sent, Arrived, Lost, Duplicates int
		LatencySeconds                  map[string]float64
	}
	var last line
	lines := 0
	for said := bufio.NewScanner(stdout); said.Scan(); {
		last = line{}
		assert.NilError(t, json.Unmarshal(said.Bytes(), &last), "%s", said.Text())
		lines++
		if lines == 3 {
			eventually(t, 10*time.Second, func() error {
				return e.hasSeries(`telemetry_verify_arrived_total{job="docker-telemetry",route="logs",stack="` + e.name + `"} > 0`)
			})
			assert.NilError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
		}
	}
	err = cmd.Wait()
	assert.Equal(t, cmd.ProcessState.ExitCode(), 0, "%v:\n%s", err, stderr.String())
	t.Logf("%+v", last)
	assert.Assert(t, lines >= 4, "%d lines and no summary", lines)
	assert.Assert(t, last.Sent >= 10 && last.Arrived >= last.Sent-5 && last.Lost == 0, "%+v", last)
	assert.Assert(t, last.LatencySeconds["p50"] > 0 && last.LatencySeconds["p99"] < 20, "%+v", last)
}

// verifyLeavesNothing: no container, no target of the agent, no record among the containers' logs.
func verifyLeavesNothing(t *testing.T, e *env) {
	assert.Equal(t, e.docker("ps", "-aq", "--filter", "label=io.github.docker-telemetry.probe", "--filter", "label=io.github.docker-telemetry.stack="+e.name), "")
	files := e.ok(e.execIn("agent", "ls", "/etc/vector")).stdout
	assert.Assert(t, !strings.Contains(files, "probe"), files)
	found, err := e.search("logs", `SELECT * FROM "docker" WHERE message LIKE '%a marked%'`)
	assert.NilError(t, err)
	assert.Equal(t, len(found), 0, "%v", found)
	found, err = e.search("logs", `SELECT * FROM "telemetry_probe"`)
	assert.NilError(t, err)
	assert.Assert(t, len(found) > 0)
}

// fault is one thing that is broken on the running stack, and how verify must name it.
type fault struct {
	name  string
	route string
	hop   string
	cause string // a part of it
	mend  string // a part of it, "" for any
	make  func(e *env)
	undo  func(e *env)
}

func (f fault) isNamed(t *testing.T, e *env) {
	defer func(outer *testing.T) { e.t = outer }(e.t)
	e.t = t
	f.make(e)
	undone := false
	undo := func() {
		if !undone {
			undone = true
			f.undo(e)
		}
	}
	defer undo()
	// What a health check, a counter or a cache still says of the time before is over within a minute.
	var answer verified
	var r result
	named := func() error {
		answer, r = e.verify("--route", f.route, "--timeout", "5s")
		cause := answer.Routes[0].Cause
		if r.code != 3 || cause.Hop != f.hop || !strings.Contains(cause.Text, f.cause) || !strings.Contains(cause.Mend, f.mend) {
			return fmt.Errorf("want %s: %s -> %s, got:\n%s", f.hop, f.cause, f.mend, r)
		}
		return nil
	}
	eventually(t, 45*time.Second, named)
	silent := slices.IndexFunc(answer.Routes[0].Hops, func(hop struct{ Name, State string }) bool { return hop.State == "silent" })
	assert.Equal(t, answer.Routes[0].Hops[silent].Name, f.hop)
	t.Logf("named after %.1f s: %s -> %s", answer.TookSeconds, answer.Routes[0].Cause.Text, answer.Routes[0].Cause.Mend)
	undo()
	eventually(t, 90*time.Second, func() error {
		if _, r := e.verify("--route", f.route, "--timeout", "10s"); r.code != 0 {
			return fmt.Errorf("the mended stack is not sound:\n%s", r)
		}
		return nil
	})
}

// container is a replica's container.
func (e *env) container(label string) string {
	if !strings.HasSuffix(label, "-1") && !strings.HasSuffix(label, "-2") {
		label += "-1"
	}
	return e.name + "-" + label
}

// engineFault breaks a component with one docker command and mends it with another; %s is its container.
func engineFault(verb, back, component string) (breaks, mends func(*env)) {
	run := func(words string) func(*env) {
		return func(e *env) {
			e.docker(strings.Fields(strings.NewReplacer("CONTAINER", e.container(component), "STACK", e.name).Replace(words))...)
		}
	}
	return run(verb), run(back)
}

// edit changes a file in a container, and returns what was in it.
func (e *env) edit(component, path, old, replacement string) string {
	e.t.Helper()
	container := e.container(component)
	before := e.ok(e.run("docker", "exec", container, "cat", path)).stdout
	assert.Assert(e.t, strings.Contains(before, old), "%s of %s has no %q:\n%s", path, component, old, before)
	e.write(component, path, strings.Replace(before, old, replacement, 1))
	return before
}

func (e *env) write(component, path, content string) {
	e.t.Helper()
	file := filepath.Join(e.t.TempDir(), "file")
	assert.NilError(e.t, os.WriteFile(file, []byte(content), 0o644))
	e.docker("cp", file, e.container(component)+":"+path)
}

// fileFault changes a file in a container and has the program read it.
func fileFault(component, path, old, replacement, reload string) (breaks, mends func(*env)) {
	before := ""
	again := func(e *env) {
		e.docker(append(strings.Fields(reload), e.container(component))...)
	}
	return func(e *env) { before = e.edit(component, path, old, replacement); again(e) },
		func(e *env) { e.write(component, path, before); again(e) }
}

// both does two things one after the other.
func both(first, second func(*env)) func(*env) {
	return func(e *env) { first(e); second(e) }
}

func faults() []fault {
	var all []fault
	add := func(f fault, breaks, mends func(*env)) {
		f.make, f.undo = breaks, mends
		all = append(all, f)
	}
	const paused, stopped = "is paused", "does not run: Exited"
	for _, f := range []struct{ verb, component, route, hop string }{
		{"pause", "agent", "logs", ""},
		{"stop", "agent", "metrics", ""},
		{"pause", "balancer", "metrics", ""},
		{"stop", "balancer", "logs", ""},
		{"pause", "balancer", "otlp-traces-grpc", ""},
		{"pause", "aggregator-2", "logs", ""},
		{"stop", "aggregator-1", "metrics", ""},
		{"pause", "openobserve", "logs", ""},
		{"stop", "openobserve", "otlp-logs-http", ""},
		{"pause", "victoriametrics", "host", ""},
		{"pause", "grafana", "metrics", ""},
		{"stop", "gateway", "logs", ""},
		{"pause", "node-exporter", "host", ""},
		{"stop", "collector", "otlp-traces-grpc", ""},
		{"pause", "collector", "otel-1", ""},
	} {
		back, cause, mend := "start CONTAINER", stopped, "start "+strings.TrimRight(f.component, "-12")
		verb := "stop --time 3 CONTAINER"
		if f.verb == "pause" {
			verb, back, cause, mend = "pause CONTAINER", "unpause CONTAINER", paused, "docker unpause "
		}
		breaks, mends := engineFault(verb, back, f.component)
		add(fault{name: f.verb + " " + f.component + " on " + f.route, route: f.route, hop: cmp.Or(f.hop, f.component), cause: cause, mend: mend}, breaks, mends)
	}
	for _, f := range []struct{ component, network, route, hop string }{
		{"aggregator-2", "pipeline", "logs", "aggregator-2"},
		{"victoriametrics", "pipeline", "metrics", "victoriametrics"},
		{"agent", "docker-api", "logs", "agent"},
	} {
		alias := strings.TrimRight(f.component, "-12")
		breaks, mends := engineFault("network disconnect STACK_"+f.network+" CONTAINER", "network connect --alias "+alias+" STACK_"+f.network+" CONTAINER", f.component)
		if f.component == "agent" {
			mends = both(mends, func(e *env) { e.docker("restart", e.container("agent")) }) // its source of logs has ended
		}
		add(fault{
			name: f.component + " off " + f.network, route: f.route, hop: f.hop, cause: "is not on the network",
			mend: "docker network connect --alias " + alias + " ",
		}, breaks, mends)
	}

	breaks, mends := fileFault("balancer", "/etc/nginx/conf.d/logs.conf", "server aggregator:6001", "server nobody:6001", "kill -s HUP")
	add(fault{name: "balancer without upstream", route: "logs", hop: "balancer", cause: "no aggregator is available", mend: "docker rm -f "}, breaks, mends)
	breaks, mends = fileFault("aggregator-2", "/etc/vector/metrics.yaml", "address: 0.0.0.0:6000", "address: 0.0.0.0:6007", "restart")
	add(fault{name: "closed port", route: "metrics", hop: "aggregator-2", cause: "nothing listens there", mend: "docker rm -f "}, breaks, mends)
	breaks, mends = fileFault("agent", "/etc/vector/gate.yaml", `source: "true"`, `source: "false"`, "restart")
	add(fault{name: "the agent drops everything", route: "logs", hop: "agent", cause: "drops", mend: "docker rm -f "}, breaks, mends)
	breaks, mends = fileFault("aggregator-1", "/etc/vector/streams.yaml", `source: "true"`, `source: "false"`, "restart")
	add(fault{name: "an aggregator drops everything", route: "logs", hop: "aggregator-1", cause: "drops", mend: "docker rm -f "}, breaks, mends)
	breaks, mends = fileFault("grafana", "/etc/grafana/provisioning/datasources/victoriametrics.yaml", "victoriametrics:8428", "victoriametrics:8429", "restart")
	add(fault{name: "a broken data source", route: "metrics", hop: "grafana", cause: "its data source VictoriaMetrics", mend: "docker rm -f "}, breaks, mends)

	breaks, mends = fileFault("victoriametrics", "/run/secrets/victoriametrics_password", "", "x", "restart")
	add(fault{name: "another password of victoriametrics", route: "metrics", hop: "victoriametrics", cause: "answers 401", mend: "credentials rotate victoriametrics"}, breaks, mends)
	add(fault{name: "another password of openobserve", route: "logs", hop: "openobserve", cause: "answers 401", mend: "credentials rotate openobserve"},
		openObservePassword("ZO_ROOT_USER_PASSWORD=", "ZO_ROOT_USER_PASSWORD=x"), openObservePassword("ZO_ROOT_USER_PASSWORD=x", "ZO_ROOT_USER_PASSWORD="))
	add(fault{name: "another password of grafana", route: "metrics", hop: "grafana", cause: "answers 401", mend: "credentials rotate grafana"},
		grafanaPassword("echo Another-Password-1"), grafanaPassword("cat /run/secrets/grafana_admin_password"))

	add(foreignCertificate())
	// VictoriaMetrics takes no more below 256 MB that are free; at nothing it ends, and a disk in memory with it.
	for _, f := range []struct {
		component, folder, route string
		leave                    int
	}{{"victoriametrics", "/storage", "metrics", 230}, {"openobserve", "/data", "logs", 0}} {
		add(fault{name: "the disk of " + f.component + " is full", route: f.route, hop: f.component, cause: "is full", mend: "make room"},
			func(e *env) { e.fill(f.component, f.folder, f.leave) },
			func(e *env) { e.docker("exec", "-u", "0", e.container(f.component), "rm", f.folder+"/fill") })
	}
	// Last, for the agent reads no log from then on until it is started again.
	breaks, mends = engineFault("stop CONTAINER", "start CONTAINER", "docker-proxy")
	add(fault{name: "stop docker-proxy", route: "logs", hop: "docker-proxy", cause: stopped, mend: "start docker-proxy"},
		breaks, both(mends, func(e *env) { e.docker("restart", e.container("agent")) }))
	return all
}

// fill takes the room of a component's disk but for so many MB.
func (e *env) fill(component, folder string, leave int) {
	e.t.Helper()
	lines := strings.Split(e.docker("exec", e.container(component), "df", "-Pk", folder), "\n")
	free, err := strconv.Atoi(strings.Fields(lines[len(lines)-1])[3])
	assert.NilError(e.t, err)
	filled := e.run("docker", "exec", "-u", "0", e.container(component), "dd", "if=/dev/zero", "of="+folder+"/fill", "bs=1024", fmt.Sprintf("count=%d", free-1024*leave))
	assert.Assert(e.t, leave == 0 || filled.code == 0, "%s", filled) // the last block finds no room
}

// openObservePassword changes it by the store's own means.
func openObservePassword(old, replacement string) func(*env) {
	return func(e *env) {
		e.edit("openobserve", "/run/secrets/openobserve_env", old, replacement)
		e.ok(e.execIn("openobserve", "/openobserve", "-c", "/run/secrets/openobserve_env", "reset", "-c", "root"))
		e.docker("restart", e.container("openobserve"))
	}
}

func grafanaPassword(source string) func(*env) {
	return func(e *env) {
		e.ok(e.execIn("grafana", "sh", "-c", source+" | grafana cli \"--homepath=$GF_PATHS_HOME\" admin reset-admin-password --password-from-stdin"))
	}
}

// foreignCertificate is one that another authority signed, in the place of the gateway's.
func foreignCertificate() (f fault, breaks, mends func(*env)) {
	before := map[string]string{}
	files := []string{"/run/secrets/gateway_cert", "/run/secrets/gateway_key"}
	swap := func(e *env, contents map[string]string) {
		for _, file := range files {
			e.write("gateway", file, contents[file])
		}
		e.docker("kill", "-s", "HUP", e.container("gateway"))
	}
	return fault{name: "a foreign certificate", route: "logs", hop: "gateway", cause: "serves a certificate that is refused", mend: "certs renew"},
		func(e *env) {
			dir := e.t.TempDir()
			e.ok(e.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost",
				"-addext", "subjectAltName=DNS:localhost", "-keyout", filepath.Join(dir, "key"), "-out", filepath.Join(dir, "cert")))
			foreign := map[string]string{}
			for i, name := range []string{"cert", "key"} {
				before[files[i]] = e.ok(e.run("docker", "exec", e.container("gateway"), "cat", files[i])).stdout
				raw, err := os.ReadFile(filepath.Join(dir, name))
				assert.NilError(e.t, err)
				foreign[files[i]] = string(raw)
			}
			swap(e, foreign)
		},
		func(e *env) { swap(e, before) }
}
