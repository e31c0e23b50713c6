//go:build e2e

package e2e

import (
	"crypto/rand"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// journalImage has systemd-journal-remote; `make lab` builds it.
const journalImage = "docker-telemetry-lab/journal:1"

// hostJournal is a journal on the engine's host, which may be another machine: containers make it, write and remove it.
type hostJournal struct {
	t       *testing.T
	e       *env
	foreign bool // systemd-journald's own
	files   int
}

// newHostJournal gives the engine's host a journal where it has none, after the profile was refused without; nobody else
// touches it.
func newHostJournal(t *testing.T, e *env) *hostJournal {
	t.Helper()
	journal := &hostJournal{t: t, e: e}
	if journal.ofHost() {
		journal.foreign = true
		return journal
	}
	journal.clean()
	t.Run("journal where there is none", func(t *testing.T) { journalIsRefused(t, e) })
	t.Cleanup(journal.clean)
	journal.make()
	// The profile's proof is an entry that is there.
	journal.write(entry("6", "MESSAGE=before the stack"))
	return journal
}

// isRead requires that the running profile journal reads; a journal that is not ours is not to be written to.
func (j *hostJournal) isRead(t *testing.T) {
	t.Helper()
	if !j.foreign {
		message := "combined " + rand.Text()
		j.write(entry("4", "MESSAGE="+message))
		eventually(t, time.Minute, func() error { return j.e.hasEntries(message, 1) })
		return
	}
	eventually(t, time.Minute, func() error {
		found, err := j.e.search("logs", `SELECT * FROM "journal" WHERE source = 'journal'`)
		if err == nil && len(found) == 0 {
			err = errors.New("no entry of the host's journal")
		}
		for _, record := range found {
			assert.Assert(t, record["level"] != nil && record["service"] != nil, "%v", record)
		}
		return err
	})
}

// holdsItsPromises is for the profile journal alone: its entries must arrive once each, also over a restart.
func (j *hostJournal) holdsItsPromises(t *testing.T) {
	t.Run("the agent may read and no more", func(t *testing.T) { journalIsConfined(t, j.e) })
	if j.foreign {
		return
	}
	t.Run("entries have level and service", func(t *testing.T) { journalHasLevels(t, j.e, j) })
	t.Run("a restart neither loses nor repeats", func(t *testing.T) { journalSurvivesRestarts(t, j.e, j) })
}

// marker says that the folders are ours to remove, also after a run that was killed.
const marker = "/host/run/systemd/journal/docker-telemetry-e2e"

// container is the command that runs a script with the folders of the host; id and folder are those of its journal.
func (*hostJournal) container(script string) []string {
	return []string{
		"docker", "run", "--rm", "-i", "--network", "none",
		"--mount", "type=bind,source=/run,target=/host/run", "--mount", "type=bind,source=/var/log,target=/host/var/log",
		"--mount", "type=bind,source=/etc/machine-id,target=/etc/machine-id,readonly",
		"--entrypoint", "bash", journalImage, "-euc", "id=$(cat /etc/machine-id); folder=/host/var/log/journal/$id\n" + script,
	}
}

func (j *hostJournal) run(script, stdin string) {
	j.t.Helper()
	cmd := j.e.command(j.t.Context(), j.container(script)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	assert.NilError(j.t, err, "%s", out)
}

// ofHost reports whether the engine's host has a journal of its own, which is not to be written to.
func (j *hostJournal) ofHost() bool {
	j.t.Helper()
	r := j.e.run("docker", "run", "--rm", "--network", "none", "--mount", "type=bind,source=/run,target=/host/run,readonly", busybox,
		"sh", "-c", "test -e "+path.Dir(marker)+" && ! test -e "+marker)
	assert.Assert(j.t, r.code == 0 || r.code == 1, "%s", r)
	return r.code == 0
}

// make makes what systemd-journald would.
func (j *hostJournal) make() {
	j.t.Helper()
	j.run("mkdir /host/run/systemd/journal; touch "+marker+"; mkdir -p $folder", "")
}

// clean is for the end, whose context is gone, and for what a killed run left.
func (j *hostJournal) clean() {
	j.t.Helper()
	j.e.ok(j.e.run(j.container(`test -e ` + marker + ` || exit 0
rm -f $folder/e2e-*.journal
rmdir --ignore-fail-on-non-empty $folder
rm ` + marker + `
rmdir ` + path.Dir(marker))...))
}

// entry is one in journald's export format, without what belongs to the host. No priority is "".
func entry(priority string, fields ...string) string {
	if priority != "" {
		fields = append(fields, "PRIORITY="+priority)
	}
	return strings.Join(fields, "\n") + "\n\n"
}

// write adds a file with entries of now, in their order, to the journal, as a rotation does.
func (j *hostJournal) write(entries ...string) {
	j.t.Helper()
	j.files++
	j.run(fmt.Sprintf(`read -r up _ </proc/uptime
awk -v RS= -v real="$(date +%%s)" -v up="$up" -v boot="$(tr -d - </proc/sys/kernel/random/boot_id)" -v id="$id" '{
	printf "__REALTIME_TIMESTAMP=%%.0f\n__MONOTONIC_TIMESTAMP=%%.0f\n_BOOT_ID=%%s\n_MACHINE_ID=%%s\n_HOSTNAME=box\n%%s\n\n", real * 1000000 + %[1]d * 1000 + NR, up * 1000000 + NR, boot, id, $0
}' | systemd-journal-remote -o $folder/e2e-%[1]d.journal -`, j.files), strings.Join(entries, ""))
}

func journalIsRefused(t *testing.T, e *env) {
	refused := e.fails(e.telemetry("up", "--port", strconv.Itoa(e.port), "--profile", "journal"), 2)
	lines := strings.Split(strings.TrimSpace(refused.stderr), "\n")
	assert.Equal(t, len(lines), 2, "%s", refused)
	assert.Assert(t, strings.HasPrefix(lines[0], "error: profile journal needs a systemd journal on the engine's host (journald runs, and keeps it in /var/log or /run/log), and "), "%s", refused)
	assert.Equal(t, lines[1], "hint: leave it out: docker telemetry --name "+e.name+" profiles ls")
	assert.Equal(t, len(e.ids(e.name)), 0, "something was started")
}

// hasEntries says, as an error, that the stream journal does not have so many records with a message.
func (e *env) hasEntries(message string, count int) error {
	e.t.Helper()
	found, err := e.search("logs", `SELECT * FROM "journal" WHERE message = '`+message+`'`)
	if err == nil && len(found) != count {
		err = fmt.Errorf("%d entries %q, not %d", len(found), message, count)
	}
	return err
}

func journalHasLevels(t *testing.T, e *env, journal *hostJournal) {
	run := rand.Text()
	message := func(name string) string { return "MESSAGE=" + run + " " + name }
	var entries []string
	want := map[string][2]string{}
	for priority, level := range []string{"critical", "critical", "critical", "error", "warn", "notice", "info", "debug"} {
		name := "priority " + strconv.Itoa(priority)
		entries = append(entries, entry(strconv.Itoa(priority), message(name), "_SYSTEMD_UNIT=ssh.service", "SYSLOG_IDENTIFIER=sshd"))
		want[run+" "+name] = [2]string{level, "ssh.service"}
	}
	entries = append(entries,
		entry("", message("no priority"), "SYSLOG_IDENTIFIER=cron"),
		entry("3", message("the kernel"), "_TRANSPORT=kernel"),
		// Of a container, by the engine's log driver journald: it comes by its own source.
		entry("3", message("a container"), "CONTAINER_ID=0123456789ab"),
		entry("6", message("last"), "SYSLOG_IDENTIFIER=cron"))
	want[run+" no priority"], want[run+" the kernel"], want[run+" last"] = [2]string{"info", "cron"}, [2]string{"error", "kernel"}, [2]string{"info", "cron"}
	journal.write(entries...)
	eventually(t, time.Minute, func() error { return e.hasEntries(run+" last", 1) })
	found, err := e.search("logs", `SELECT * FROM "journal" WHERE message LIKE '`+run+`%'`)
	assert.NilError(t, err)
	got := map[string][2]string{}
	for _, record := range found {
		got[fmt.Sprint(record["message"])] = [2]string{fmt.Sprint(record["level"]), fmt.Sprint(record["service"])}
		assert.Equal(t, record["source"], "journal")
		assert.Assert(t, record["host"] != "box", "host is the engine's name, as for every log")
		assert.Assert(t, record["_machine_id"] == nil && record["_MACHINE_ID"] == nil, "the id of the machine is nobody's business: %v", record)
	}
	assert.DeepEqual(t, got, want)
	inDocker, err := e.search("logs", `SELECT * FROM "docker" WHERE message LIKE '`+run+`%'`)
	assert.NilError(t, err)
	assert.Equal(t, len(inDocker), 0, "%v", inDocker)
}

// journalIsConfined holds the rules of the base stack against the agent. 5.6 is the one that the profile breaks besides, as
// docs/security.md says.
func journalIsConfined(t *testing.T, e *env) {
	agent := runningContainers(t, e)["agent"]
	for _, rule := range rules() {
		if _, excepted := rule.exceptions["agent"]; !excepted && rule.id != "5.6" {
			assert.Equal(t, rule.broken(agent), "", "%s %s", rule.id, rule.title)
		}
	}
	for source, mount := range agent.mounts {
		assert.Assert(t, slices.Contains([]string{"/var/log/journal", "/run/log/journal", "/etc/machine-id"}, source), source)
		assert.Assert(t, mount.readOnly, source)
	}
	assert.Assert(t, len(agent.mounts) >= 2, "%v", agent.mounts)
}

// journalSurvivesRestarts writes while the agent is there, away and back.
func journalSurvivesRestarts(t *testing.T, e *env, journal *hostJournal) {
	run := rand.Text()
	var messages []string
	write := func(when string) {
		var entries []string
		for i := range 20 {
			messages = append(messages, fmt.Sprintf("%s %s %d", run, when, i))
			entries = append(entries, entry("6", "MESSAGE="+messages[len(messages)-1]))
		}
		journal.write(entries...)
	}
	write("before")
	e.ok(e.telemetry("restart", "agent"))
	write("after")
	e.ok(e.telemetry("stop", "agent"))
	write("away")
	e.ok(e.telemetry("start", "agent"))
	write("back")
	eventually(t, time.Minute, func() error { return e.hasEntries(messages[len(messages)-1], 1) })
	found, err := e.search("logs", `SELECT * FROM "journal" WHERE message LIKE '`+run+`%'`)
	assert.NilError(t, err)
	var got []string
	for _, record := range found {
		got = append(got, fmt.Sprint(record["message"]))
	}
	slices.Sort(got)
	slices.Sort(messages)
	assert.DeepEqual(t, got, messages)
}
