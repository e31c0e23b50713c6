//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// Each rotation must change the running store, bring everything that uses it along, and lose nothing.
func TestRotate(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.up()
	before := e.markedLine(t)
	for _, rotated := range [][]string{{"openobserve"}, {"grafana"}, {"victoriametrics"}, {"grafana", "openobserve", "victoriametrics"}} {
		old := e.credentials()
		chatter := e.chatter(t)
		r := e.ok(e.telemetry(append([]string{"credentials", "rotate"}, rotated...)...))
		assert.Assert(t, regexp.MustCompile(`^`+strings.Join(rotated, ", ")+`: new passwords after [0-9.]+ s, seen to work; the old ones are refused\n$`).MatchString(r.stdout), r)
		t.Logf("%s", strings.TrimSpace(r.stdout))
		done := time.Now()
		e.logins = e.credentials()
		for name, login := range e.logins {
			changed := slices.Contains(rotated, name)
			assert.Equal(t, login[1] != old[name][1], changed, name)
			assert.Equal(t, e.loginStatus(name, login), http.StatusOK, name)
			if changed {
				assert.Equal(t, e.loginStatus(name, old[name]), http.StatusUnauthorized, name)
			}
		}
		assert.NilError(t, e.hasLine(before), "data from before must still be there")
		chatter()
		e.writeLine(t, arrival)
		eventually(t, time.Minute, func() error {
			return e.hasSeries(fmt.Sprintf(`timestamp(node_uname_info{job="node-exporter"}) > %d`, done.Unix()))
		})
		body, err := e.call("grafana", http.MethodGet, "/grafana/api/datasources/uid/victoriametrics/health", "")
		assert.NilError(t, err)
		assert.Assert(t, strings.Contains(body, `"status":"OK"`), "Grafana's own log-in at VictoriaMetrics: %s", body)
		assert.NilError(t, e.shellAgrees())
		ids := e.ids(e.name)
		e.up()
		assert.DeepEqual(t, e.ids(e.name), ids)
	}
}

// markedLine writes a line and returns its text once it is in the store.
func (e *env) markedLine(t *testing.T) string {
	t.Helper()
	marker := "before-" + e.name
	id := e.docker("run", "-d", "--network", "none", busybox, "echo", marker)
	t.Cleanup(func() { e.docker("rm", "-f", id) })
	eventually(t, arrival, func() error { return e.hasLine(marker) })
	return marker
}

// chatter has a container print numbered lines until the returned function is called, which then requires that each of
// them is in the store.
func (e *env) chatter(t *testing.T) (allArrived func()) {
	t.Helper()
	marker := fmt.Sprintf("during-%s-%d-", e.name, time.Now().UnixNano())
	id := e.docker("run", "-d", "--init", "--network", "none", busybox, "sh", "-c", `i=0; while :; do i=$((i+1)); echo "$0$i"; sleep 0.1; done`, marker)
	t.Cleanup(func() { e.docker("rm", "-f", id) })
	return func() {
		t.Helper()
		e.docker("stop", "--time", "1", id)
		printed := strings.Fields(e.docker("logs", id))
		assert.Assert(t, len(printed) > 20, "%d lines", len(printed))
		eventually(t, time.Minute, func() error {
			found, err := e.linesLike(marker)
			if err != nil {
				return err
			}
			missing := slices.DeleteFunc(slices.Clone(printed), func(line string) bool { return found[line] })
			if len(missing) > 0 {
				return fmt.Errorf("%d of %d lines are missing: %.300s", len(missing), len(printed), missing)
			}
			return nil
		})
		t.Logf("all of %d lines that were printed meanwhile arrived", len(printed))
	}
}

// linesLike are the distinct messages that begin with a text.
func (e *env) linesLike(prefix string) (map[string]bool, error) {
	e.t.Helper()
	now := time.Now()
	query := fmt.Sprintf(`{"query":{"sql":"SELECT message FROM \"docker\" WHERE message LIKE '%s%%'","start_time":%d,"end_time":%d,"from":0,"size":10000}}`,
		prefix, now.Add(-time.Hour).UnixMicro(), now.Add(time.Hour).UnixMicro())
	body, err := e.call("openobserve", http.MethodPost, "/openobserve/api/default/_search?type=logs", query)
	if err != nil {
		return nil, err
	}
	var answer struct{ Hits []struct{ Message string } }
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return nil, fmt.Errorf("%w: %.300s", err, body)
	}
	found := map[string]bool{}
	for _, hit := range answer.Hits {
		found[hit.Message] = true
	}
	return found, nil
}

// loginStatus is what a page behind a store's log-in answers.
func (e *env) loginStatus(name string, login [2]string) int {
	e.t.Helper()
	page := map[string]string{
		"grafana": "/grafana/api/user", "openobserve": "/openobserve/api/default/summary",
		"victoriametrics": "/victoriametrics/api/v1/query?query=1",
	}[name]
	if e.client == nil {
		e.client, e.logins = e.newClient(), e.credentials()
	}
	request, err := http.NewRequestWithContext(e.t.Context(), http.MethodGet, fmt.Sprintf("https://localhost:%d%s", e.port, page), http.NoBody)
	assert.NilError(e.t, err)
	request.SetBasicAuth(login[0], login[1])
	response, err := e.client.Do(request)
	assert.NilError(e.t, err)
	response.Body.Close()
	return response.StatusCode
}

// shellAgrees says, as an error, that a shell which evaluates `credentials env` has other log-ins than the state.
func (e *env) shellAgrees() error {
	e.t.Helper()
	script := `eval "$(docker telemetry --name "$0" credentials env)" && printf '%s ' ` +
		`"$TELEMETRY_GRAFANA_PASSWORD" "$TELEMETRY_OPENOBSERVE_USER" "$TELEMETRY_OPENOBSERVE_PASSWORD" "$TELEMETRY_VICTORIAMETRICS_PASSWORD"`
	said := strings.TrimSpace(e.ok(e.run("sh", "-c", script, e.name)).stdout)
	want := strings.Join([]string{e.logins["grafana"][1], e.logins["openobserve"][0], e.logins["openobserve"][1], e.logins["victoriametrics"][1]}, " ")
	if said != want {
		return errors.New("the shell has other log-ins")
	}
	return nil
}

// After a rotation was killed at any moment, the next up must bring a whole stack with the new passwords, and nothing
// that was sent meanwhile may be lost.
func TestRotateKilled(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.up()
	for _, moment := range []string{"-openobserve-1 Recreate", "-aggregator-1 Started", "Password grafana Changing", "Password openobserve Changing", "-openobserve-1 Restarting", "Proof"} {
		old := e.credentials()
		chatter := e.chatter(t)
		e.killAt(moment, "credentials", "rotate")
		warned := e.telemetry("credentials", "show", "--format", "json")
		assert.Assert(t, strings.Contains(warned.stderr, "warning: a rotation of grafana, openobserve, victoriametrics"), warned)
		r := e.ok(e.telemetry("up", "--port", strconv.Itoa(e.port)))
		assert.Assert(t, strings.Contains(r.stderr, "was interrupted and is finished now"), "after %q:\n%s", moment, r)
		e.logins = e.credentials()
		for name, login := range e.logins {
			assert.Assert(t, login[1] != old[name][1], name)
			assert.Equal(t, e.loginStatus(name, login), http.StatusOK, name)
			assert.Equal(t, e.loginStatus(name, old[name]), http.StatusUnauthorized, name)
		}
		chatter()
	}
}

// killAt ends a command and all it started with SIGKILL when its progress first says a word.
func (e *env) killAt(moment string, args ...string) {
	e.t.Helper()
	e.signalAt(moment, syscall.SIGKILL, args...)
}

// A volume from an earlier life must be recognised by its stores' refusal, at once and with what helps, and that must help.
func TestOtherPassword(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.up()
	before := e.markedLine(t)
	e.ok(e.telemetry("down"))
	for _, name := range []string{"openobserve_password", "grafana_admin_password"} {
		e.alterSecret(name)
	}
	r := e.fails(e.telemetry("up", "--port", strconv.Itoa(e.port)), 1)
	assert.Assert(t, strings.Contains(r.stderr, "error: grafana openobserve refuses the password of this stack: "), r)
	assert.Assert(t, strings.Contains(r.stderr, "hint: set a new one, the data stays: docker telemetry --name "+e.name+" credentials rotate grafana openobserve;"), r)
	e.ok(e.telemetry("credentials", "rotate", "grafana", "openobserve"))
	e.client = nil
	e.up()
	assert.NilError(t, e.hasLine(before))
	e.writeLine(t, arrival)
}

// alterSecret makes another valid password of one in the state.
func (e *env) alterSecret(name string) {
	e.t.Helper()
	file := filepath.Join(e.home, "state", "docker-telemetry", "default", e.name, "secrets", name)
	raw, err := os.ReadFile(file)
	assert.NilError(e.t, err)
	slices.Reverse(raw[1:])
	assert.NilError(e.t, os.WriteFile(file, raw, 0o600))
}

// No secret may be anywhere but in its own file: not in what the engine tells of containers, not in a log, an argument
// list or an environment, not elsewhere in the state, and not in the output of any command.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	var hay haystack
	watched := e.watchProcesses(&hay)
	e.said(&hay, "up", "--port", strconv.Itoa(e.port))
	secrets := e.secretsOnDisk()
	e.said(&hay, "credentials", "rotate")
	watched()
	for name, value := range e.secretsOnDisk() {
		if secrets[name] == value {
			continue
		}
		secrets[name+" before"], secrets[name] = secrets[name], value
	}
	for _, command := range []string{
		"up --dry-run", "up --port " + strconv.Itoa(e.port), "status", "status --format json", "ps --format json", "config", "logs", "open --print",
		"restart gateway", "version", "pull --missing", "--help", "credentials", "stop", "start", "scale aggregator=1",
		"eject " + filepath.Join(e.t.TempDir(), "ejected"),
	} {
		e.said(&hay, strings.Fields(command)...)
	}
	for name := range e.ids(e.name) {
		e.lookInto(&hay, name)
	}
	e.lookAtState(&hay, secrets)
	for _, kind := range []string{"network", "volume"} {
		for _, id := range strings.Fields(e.docker(kind, "ls", "-q", "--filter", "label=io.github.docker-telemetry.stack="+e.name)) {
			hay.add(kind+" "+id, e.docker(kind, "inspect", id))
		}
	}
	e.said(&hay, "down")

	assert.Assert(t, len(secrets) >= 8, "%d secrets", len(secrets))
	leaks := hay.find(secrets)
	for _, leak := range leaks {
		t.Errorf("%s", leak)
	}
	t.Logf("looked for %d secrets in %d places, %d bytes", len(secrets), len(hay.places), hay.size())
	e.control(t, secrets)
}

// control requires that the same search finds a secret in each kind of place where one is put on purpose.
func (e *env) control(t *testing.T, secrets map[string]string) {
	t.Helper()
	secret := secrets["victoriametrics_password"]
	name := e.name + "-control"
	e.docker("run", "-d", "--name", name, "--network", "none", "-e", "LEAK="+secret, busybox, "sh", "-c", `echo "$LEAK"; sleep 120; exit`, secret)
	t.Cleanup(func() { e.docker("rm", "-f", name) })
	file := filepath.Join(e.home, "state", "docker-telemetry", "control")
	assert.NilError(t, os.WriteFile(file, []byte("x"+secret+"y"), 0o600))
	var hay haystack
	watched := e.watchProcesses(&hay)
	e.ok(e.run("sh", "-c", "sleep 1", secret))
	watched()
	e.lookInto(&hay, name)
	e.lookAtState(&hay, secrets)
	hay.add("output of a command", e.docker("logs", name))
	found := strings.Join(hay.find(secrets), "\n")
	for _, place := range []string{"inspect of " + name, "log of " + name, "arguments of " + name, "environ of " + name, "file .*/control", "output of a command", "a process meanwhile"} {
		assert.Assert(t, regexp.MustCompile(`(?m)^victoriametrics_password in `+place).MatchString(found), "the search is blind to %s:\n%s", place, found)
	}
}

// haystack is all text that must hold no secret, by where it is from.
type haystack struct {
	mu     sync.Mutex
	places []string
	texts  map[string]string
}

func (h *haystack) add(place, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.texts == nil {
		h.texts = map[string]string{}
	}
	if _, there := h.texts[place]; !there {
		h.places = append(h.places, place)
	}
	h.texts[place] += text
}

func (h *haystack) size() int {
	size := 0
	for _, text := range h.texts {
		size += len(text)
	}
	return size
}

// find names each secret in each place. It never quotes one.
func (h *haystack) find(secrets map[string]string) []string {
	var found []string
	for _, place := range h.places {
		for name, secret := range secrets {
			if strings.Contains(h.texts[place], secret) {
				found = append(found, name+" in "+place)
			}
		}
	}
	slices.Sort(found)
	return found
}

// said runs a command with all it can print and keeps that.
func (e *env) said(hay *haystack, args ...string) {
	e.t.Helper()
	r := e.ok(e.run(append([]string{"docker", "--debug", "--log-level", "debug", "telemetry", "--name", e.name, "--progress", "json"}, args...)...))
	hay.add("output of "+strings.Join(args, " "), r.stdout+r.stderr)
}

// secretsOnDisk are the passwords by name, and of each private key a line that no other key has.
func (e *env) secretsOnDisk() map[string]string {
	e.t.Helper()
	secrets := map[string]string{}
	e.walk(func(path string, content []byte) {
		name := filepath.Base(path)
		switch {
		case strings.HasSuffix(name, "_password"):
			secrets[name] = string(content)
		case strings.HasSuffix(name, ".key"):
			lines := strings.Split(strings.TrimSpace(string(content)), "\n")
			assert.Assert(e.t, len(lines) >= 3, path)
			// The first line of a key says its kind, which others share; the second is of its own.
			secrets[strings.TrimPrefix(path, e.home)] = lines[2]
		}
	})
	return secrets
}

func (e *env) walk(visit func(path string, content []byte)) {
	e.t.Helper()
	err := filepath.WalkDir(e.home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err == nil {
			visit(path, content)
		}
		return err
	})
	assert.NilError(e.t, err)
}

// lookAtState keeps every file of this home but those that are a secret's own.
func (e *env) lookAtState(hay *haystack, secrets map[string]string) {
	e.t.Helper()
	e.walk(func(path string, content []byte) {
		name := filepath.Base(path)
		if _, password := secrets[name]; password && filepath.Base(filepath.Dir(path)) == "secrets" || strings.HasSuffix(name, ".key") {
			return
		}
		hay.add("file "+path, string(content))
	})
}

// lookInto keeps what the engine tells of a container, what it logged, and its processes' arguments and environments.
// The processes are read by a container in the host's PID namespace, so it works on another machine's engine too.
func (e *env) lookInto(hay *haystack, name string) {
	e.t.Helper()
	hay.add("inspect of "+name, e.docker("inspect", name))
	r := e.ok(e.run("docker", "logs", name))
	hay.add("log of "+name, r.stdout+r.stderr)
	top := e.docker("top", name, "-eo", "pid,args")
	hay.add("arguments of "+name, top)
	var pids []string
	for i, line := range strings.Split(top, "\n") {
		if fields := strings.Fields(line); i > 0 && len(fields) > 0 {
			pids = append(pids, fields[0])
		}
	}
	assert.Assert(e.t, len(pids) > 0, "no process in %s:\n%s", name, top)
	read := append([]string{
		"run", "--rm", "--network", "none", "--pid", "host", "--cap-add", "SYS_PTRACE", "--security-opt", "apparmor=unconfined", busybox, "sh", "-c",
		// A healthcheck's process may have ended; one that is there and cannot be read would make this blind.
		`kind=$0; for pid; do tr '\0' '\n' <"/proc/$pid/$kind" || test ! -e "/proc/$pid" || exit 1; done`,
	}, "environ")
	hay.add("environ of "+name, e.docker(append(read, pids...)...))
	read[len(read)-1] = "cmdline"
	hay.add("arguments of "+name, e.docker(append(read, pids...)...))
}

// watchProcesses keeps the arguments and environments of all processes of this machine, again and again, until the
// returned function is called: a password that is handed over lives for a moment only.
func (e *env) watchProcesses(hay *haystack) (stop func()) {
	ended, done := make(chan struct{}), make(chan struct{})
	seen := map[string]bool{}
	go func() {
		defer close(done)
		for tick := time.NewTicker(50 * time.Millisecond); ; {
			for _, kind := range []string{"cmdline", "environ"} {
				files, _ := filepath.Glob("/proc/[0-9]*/" + kind)
				for _, file := range files {
					// A process that has ended, or is not ours to read, has nothing to say.
					if raw, err := os.ReadFile(file); err == nil {
						seen[kind+"\x00"+string(raw)] = true
					}
				}
			}
			select {
			case <-ended:
				tick.Stop()
				return
			case <-tick.C:
			}
		}
	}()
	return func() {
		close(ended)
		<-done
		for text := range seen {
			kind, raw, _ := strings.Cut(text, "\x00")
			hay.add("a process meanwhile, its "+kind, raw+"\n")
		}
	}
}
