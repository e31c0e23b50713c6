//go:build e2e

package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// diagnosis is the part of the contract that the scenario reads.
type diagnosis struct {
	OK, Warnings, Failed, Unchecked int
	Mended                          []string
	Checks                          []struct {
		Code, State, Object, Detail, Hint string
		Fixes                             bool
	}
}

func (d diagnosis) findings() []string {
	var found []string
	for _, check := range d.Checks {
		if check.State != "ok" {
			found = append(found, fmt.Sprintf("%s %s %s: %s", check.Code, check.State, check.Object, check.Detail))
		}
	}
	return found
}

// has reports whether a check found something of an object with these words in it.
func (d diagnosis) has(code, object, words string) bool {
	return slices.ContainsFunc(d.findings(), func(finding string) bool {
		return strings.HasPrefix(finding, code+" ") && strings.Contains(finding, object) && strings.Contains(finding, words)
	})
}

func (e *env) doctor(code int, args ...string) diagnosis {
	e.t.Helper()
	r := e.fails(e.telemetry(append([]string{"doctor", "--format", "json"}, args...)...), code)
	var found diagnosis
	if err := json.Unmarshal([]byte(r.stdout), &found); err != nil {
		e.t.Fatalf("doctor prints no JSON: %v\n%s", err, r)
	}
	return found
}

// killWatch starts a verify --watch, whose container is nobody's to remove while it is watched, and kills it. The container
// ends by itself then, and is left.
func (e *env) killWatch() {
	t := e.t
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := e.command(ctx, "docker", "telemetry", "--name", e.name, "verify", "--watch")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	assert.NilError(t, cmd.Start())
	counts := func() bool {
		return e.docker("ps", "-q", "--filter", "label=io.github.docker-telemetry.until=attended", "--filter", "label=io.github.docker-telemetry.stack="+e.name) != ""
	}
	eventually(t, 30*time.Second, func() error {
		if !counts() {
			return errors.New("no container counts")
		}
		return nil
	})
	assert.DeepEqual(t, e.doctor(0, "--fix", "--yes").findings(), []string(nil))
	assert.Assert(t, counts(), "doctor --fix removed the container of a watch")

	assert.NilError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL))
	_ = cmd.Wait() // it was killed
	eventually(t, 20*time.Second, func() error {
		if counts() {
			return errors.New("a container counts on for nobody")
		}
		return nil
	})
}

// Nothing may be found on a sound stack, before it and while it runs; each prepared defect must be found by its check; --fix must
// mend what it says it can, and nothing else.
func TestDoctor(t *testing.T) {
	e := newEnv(t)
	assert.DeepEqual(t, e.doctor(0, "--pre").findings(), []string(nil))
	e.up()
	assert.DeepEqual(t, e.doctor(0).findings(), []string(nil))

	state := filepath.Join(e.home, "state", "docker-telemetry", "default", e.name)
	container := func(component string) string { return e.name + "-" + component + "-1" }
	write := func(component, path, text string) func() {
		return func() {
			file := filepath.Join(t.TempDir(), filepath.Base(path))
			assert.NilError(t, os.WriteFile(file, []byte(text), 0o644))
			e.docker("cp", file, container(component)+":"+path)
		}
	}

	// A wrong certificate keeps much else from being looked at, so it comes by itself.
	e.killWatch()
	e.serveAnother(container("gateway"))
	eventually(t, time.Minute, func() error {
		found := e.doctor(3)
		if !found.has("DTD406", "", "serves another certificate") || !found.has("DTD107", "", "left behind") {
			return fmt.Errorf("not among %q", found.findings())
		}
		return nil
	})
	fixed := e.doctor(0, "--fix", "--yes")
	assert.DeepEqual(t, fixed.Mended, []string{
		"remove the containers that proofs left behind", "renew the certificate and bring it into the gateway, without ending a connection",
	})

	defects := []struct {
		code, object, says string
		make               func()
	}{
		{"DTD602", "gateway", `unknown directive "nonsense"`, write("gateway", "/etc/nginx/conf.d/zz.conf", "nonsense on;\n")},
		{"DTD602", "balancer", "[emerg]", write("balancer", "/etc/nginx/conf.d/zz.conf", "upstream x {}\n")},
		{"DTD602", "agent", "nonsense", write("agent", "/etc/vector/zz.yaml", "sinks:\n  zz:\n    type: nonsense\n    inputs: [gate]\n")},
		{"DTD602", "aggregator", "zz.yaml", write("aggregator", "/etc/vector/zz.yaml", "transforms:\n  zz: {type: filter, inputs: [gone], condition: \"true\"}\n")},
		{"DTD602", "victoriametrics", "relabel", write("victoriametrics", "/etc/victoriametrics/relabeling.yaml", "- action: nonsense\n")},
		{"DTD703", container("balancer"), "for want of memory", func() {
			e.run("docker", "exec", container("balancer"), "sh", "-c", "head -c 200000000 /dev/zero | tail")
		}},
		{"DTD902", e.name + "-app", "no label telemetry.port", func() {
			e.docker("run", "-d", "--name", e.name+"-app", "--label", "telemetry.scrape=true", busybox, "sleep", "600")
			t.Cleanup(func() { e.docker("rm", "-f", e.name+"-app") })
		}},
		{"DTD503", "ca.key", "mode 0644", func() {
			assert.NilError(t, os.Chmod(filepath.Join(e.home, "state", "docker-telemetry", "ca", "ca.key"), 0o644))
		}},
		{"DTD503", filepath.Join("secrets", "grafana_admin_password"), "until it was read", func() {
			assert.NilError(t, os.Chmod(filepath.Join(state, "secrets", "grafana_admin_password"), 0o644))
		}},
		{"DTD801", "openobserve", "gateway", func() { e.docker("network", "disconnect", e.name+"_pipeline", container("openobserve")) }},
		{"DTD701", "node-exporter", "is exited", func() { e.docker("stop", "-t", "1", container("node-exporter")) }},
		{"DTD701", "aggregator", "1 of 2 replicas have no container", func() { e.docker("rm", "-f", e.name+"-aggregator-2") }},
		{"DTD701", "grafana", "is paused", func() { e.docker("pause", container("grafana")) }},
		{"DTD504", "victoriametrics", "refuses the password", func() { e.spoil(filepath.Join(state, "secrets", "victoriametrics_password")) }},
		{"DTD603", "victoriametrics", "other settings", nil}, // the password is one of them
	}
	for _, defect := range defects {
		if defect.make != nil {
			defect.make()
		}
	}
	found := e.doctor(3)
	for _, defect := range defects {
		assert.Assert(t, found.has(defect.code, defect.object, defect.says), "%s of %s (%s) is not among\n%s",
			defect.code, defect.object, defect.says, strings.Join(found.findings(), "\n"))
	}
	t.Logf("found:\n%s", strings.Join(found.findings(), "\n"))

	e.bundle(state)

	// The broken files stay broken, so what reads them at its start is left alone: the gateway and the rest still run.
	mended := e.doctor(3, "--fix", "--yes")
	for _, what := range []string{"restart grafana", "start node-exporter again", "ca.key"} {
		assert.Assert(t, strings.Contains(strings.Join(mended.Mended, "\n"), what), "%q is not among %q", what, mended.Mended)
	}
	for _, gone := range []struct{ code, object string }{{"DTD503", ""}, {"DTD701", "grafana"}, {"DTD701", "node-exporter"}} {
		assert.Assert(t, !mended.has(gone.code, gone.object, ""), "%s of %s is still among\n%s", gone.code, gone.object, strings.Join(mended.findings(), "\n"))
	}
	for _, still := range []string{"DTD602", "DTD504", "DTD902"} {
		assert.Assert(t, mended.has(still, "", ""), "%s is no more among\n%s", still, strings.Join(mended.findings(), "\n"))
	}
	e.keptDefects(state)
}

// keptDefects breaks what this machine keeps of the stack, one thing at a time, and puts it back: each would hide the next.
func (e *env) keptDefects(state string) {
	e.t.Helper()
	overlay := filepath.Join(e.t.TempDir(), "extra.yaml")
	assert.NilError(e.t, os.WriteFile(overlay, []byte("services: {extra: {image: \"docker-telemetry-lab/none:1\"}}\n"), 0o644))
	remembers := func(path string) func([]byte) []byte {
		return func(raw []byte) []byte {
			var file map[string]any
			assert.NilError(e.t, json.Unmarshal(raw, &file))
			file["overlays"] = []string{path}
			changed, err := json.Marshal(file)
			assert.NilError(e.t, err)
			return changed
		}
	}
	nonsense := func([]byte) []byte { return []byte("nonsense") }
	other := func(rel string) func([]byte) []byte {
		return func([]byte) []byte { return e.ofAnother(rel) }
	}
	for _, defect := range []struct {
		code, says, file string
		change           func([]byte) []byte
	}{
		{"DTD401", "server.crt", filepath.Join(state, "certs", "server.crt"), nonsense},
		{"DTD402", "", filepath.Join(e.home, "state", "docker-telemetry", "ca", "ca.crt"), other("../../ca/ca.crt")},
		{"DTD403", "", filepath.Join(state, "certs", "server.key"), other("certs/server.key")},
		{"DTD501", "grafana_admin_password", filepath.Join(state, "secrets", "grafana_admin_password"), func([]byte) []byte { return nil }},
		{"DTD501", "secrets/rotation", filepath.Join(state, "secrets", "rotation"), nonsense},
		{"DTD601", "gone.yaml", filepath.Join(state, "state.json"), remembers("/gone.yaml")},
		{"DTD301", "docker-telemetry-lab/none:1", filepath.Join(state, "state.json"), remembers(overlay)},
	} {
		before, err := os.ReadFile(defect.file)
		if err != nil {
			assert.Assert(e.t, os.IsNotExist(err), "%v", err)
		}
		assert.NilError(e.t, os.WriteFile(defect.file, defect.change(before), 0o600))
		args := []string{"--pre"}
		if defect.code == "DTD301" {
			args = nil // before an up it is what up pulls
		}
		found := e.doctor(3, args...)
		assert.Assert(e.t, found.has(defect.code, "", defect.says), "%s (%s) is not among\n%s", defect.code, defect.says, strings.Join(found.findings(), "\n"))
		if before == nil {
			assert.NilError(e.t, os.Remove(defect.file))
			continue
		}
		assert.NilError(e.t, os.WriteFile(defect.file, before, 0o600))
	}
	id := e.docker("create", "--label", "com.docker.compose.project="+e.name, busybox, "true")
	defer e.docker("rm", "-f", id)
	found := e.doctor(3, "--pre")
	assert.Assert(e.t, found.has("DTD106", "", ""), "DTD106 is not among\n%s", strings.Join(found.findings(), "\n"))
}

// A port of a gateway that does not run, which another program took meanwhile, must be named with its owner; and without an
// engine the code must say that not all was looked at.
func TestDoctorBeforeUp(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	listener, err := net.Listen("tcp", "127.0.0.1:8082")
	if err == nil { // else somebody else has it, which is as good
		defer listener.Close()
	}
	found := e.doctor(3, "--pre")
	assert.Assert(t, found.has("DTD206", "", "port 8082 on 127.0.0.1 is taken by"), "%q", found.findings())

	absent := "unix://" + filepath.Join(e.home, "none.sock")
	r := e.fails(e.run("docker", "--host", absent, "telemetry", "--name", e.name, "doctor"), 4)
	assert.Assert(t, strings.Contains(r.stdout, "DTD101"), "%s", r)
	assert.Assert(t, strings.Contains(r.stderr, "error: cannot reach the Docker engine at "+absent), "%s", r)
}

// bundle writes a support bundle of the broken stack and looks through all of it for every secret that the stack has or had.
func (e *env) bundle(state string) {
	e.t.Helper()
	file := filepath.Join(e.t.TempDir(), "bundle.tar.gz")
	e.ok(e.telemetry("support-bundle", "-o", file))
	info, err := os.Stat(file)
	assert.NilError(e.t, err)
	assert.Equal(e.t, info.Mode().Perm(), os.FileMode(0o600))
	raw, err := os.Open(file)
	assert.NilError(e.t, err)
	defer raw.Close()
	plain, err := gzip.NewReader(raw)
	assert.NilError(e.t, err)
	text, err := io.ReadAll(plain)
	assert.NilError(e.t, err)
	for _, part := range []string{"doctor.json", "engine.json", "settings.json", "project.yaml", "containers.json", "logs/" + e.name + "-agent-1.log", "CONTENTS.txt"} {
		assert.Assert(e.t, bytes.Contains(text, []byte("support-bundle/"+part)), "no %s", part)
	}
	assert.Assert(e.t, bytes.Contains(text, []byte("metrics.txt: /api/v1/query answered 401")), "what is missing is not named")
	secrets, err := filepath.Glob(filepath.Join(state, "secrets", "*_password"))
	assert.NilError(e.t, err)
	assert.Assert(e.t, len(secrets) >= 3, "%v", secrets)
	for _, name := range secrets {
		secret, err := os.ReadFile(name)
		assert.NilError(e.t, err)
		user, err := os.ReadFile(strings.TrimSuffix(name, "_password") + "_user")
		assert.NilError(e.t, err)
		login := base64.StdEncoding.EncodeToString([]byte(string(user) + ":" + string(secret)))
		for _, form := range []string{string(secret), base64.StdEncoding.EncodeToString(secret), login} {
			assert.Assert(e.t, !bytes.Contains(text, []byte(form)), "%s is in the bundle", filepath.Base(name))
		}
	}
	assert.Assert(e.t, !bytes.Contains(text, []byte("PRIVATE KEY")))
}

// ofAnother reads a file of a stack that has only certificates, of another authority.
func (e *env) ofAnother(rel string) []byte {
	e.t.Helper()
	if e.another == nil {
		e.another = newEnv(e.t)
		e.another.name += "-other"
		e.another.stacks = nil // it never runs
		e.another.ok(e.another.telemetry("certs", "init"))
	}
	raw, err := os.ReadFile(filepath.Join(e.another.home, "state", "docker-telemetry", "default", e.another.name, filepath.FromSlash(rel)))
	assert.NilError(e.t, err)
	return raw
}

// serveAnother has the gateway serve a certificate of another authority.
func (e *env) serveAnother(gateway string) {
	e.t.Helper()
	for from, to := range map[string]string{"certs/server.crt": "gateway_cert", "certs/server.key": "gateway_key"} {
		file := filepath.Join(e.t.TempDir(), to)
		assert.NilError(e.t, os.WriteFile(file, e.ofAnother(from), 0o644))
		e.docker("cp", file, gateway+":/run/secrets/"+to)
	}
	e.docker("exec", gateway, "nginx", "-s", "reload")
}

// spoil makes another password of one, of the same kind.
func (e *env) spoil(file string) {
	e.t.Helper()
	raw, err := os.ReadFile(file)
	assert.NilError(e.t, err)
	assert.NilError(e.t, os.WriteFile(file, slices.Concat(raw[:len(raw)-4], []byte("aB3_")), 0o600))
}
