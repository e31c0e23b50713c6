//go:build e2e

package e2e

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/profiles"
)

// allPairs has each pair run by itself, for an hour and more: make e2e RUN=TestProfiles PAIRS=all.
const allPairs = "DT_PAIRS"

// combinations are each profile alone, and groups in which every pair that may be combined is together. A fault that only a
// pair by itself has is left to allPairs, with which each is a group of its own.
func combinations(t *testing.T) [][]string {
	t.Helper()
	catalog, err := profiles.Shipped()
	assert.NilError(t, err)
	names := catalog.Names()
	most := len(names)
	if os.Getenv(allPairs) != "" {
		most = 2
	}
	var all [][]string
	for _, name := range names {
		all = append(all, []string{name})
	}
	return append(all, groups(catalog, names, most)...)
}

// groups returns sets of so many profiles at most that may be combined, in one of which each pair is. What a profile includes
// is with it already.
func groups(catalog profiles.Catalog, names []string, most int) [][]string {
	together := map[[2]string]bool{}
	fits := func(group ...string) bool {
		selection, err := catalog.Select(group)
		return err == nil && len(selection.Asked) == len(group) && !includesAny(selection)
	}
	var all [][]string
	for i, first := range names {
		for _, second := range names[i+1:] {
			if together[[2]string{first, second}] || !fits(first, second) {
				continue
			}
			group := []string{first, second}
			for _, next := range names {
				if len(group) < most && !slices.Contains(group, next) && fits(append(slices.Clone(group), next)...) {
					group = append(group, next)
				}
			}
			slices.Sort(group)
			for j, a := range group {
				for _, b := range group[j+1:] {
					together[[2]string{a, b}] = true
				}
			}
			all = append(all, group)
		}
	}
	return all
}

// includesAny reports whether one that was asked for comes with another as well.
func includesAny(selection profiles.Selection) bool {
	for _, profile := range selection.Profiles {
		for _, included := range profile.Includes {
			if slices.Contains(selection.Asked, included) {
				return true
			}
		}
	}
	return false
}

// What is run must hold every pair.
func TestCombinationsHoldEveryPair(t *testing.T) {
	catalog, err := profiles.Shipped()
	assert.NilError(t, err)
	names := catalog.Names()
	for _, most := range []int{2, 3, len(names)} {
		all := groups(catalog, names, most)
		for i, first := range names {
			for _, second := range names[i+1:] {
				if selection, err := catalog.Select([]string{first, second}); err != nil || includesAny(selection) {
					continue
				}
				assert.Assert(t, slices.ContainsFunc(all, func(group []string) bool {
					return len(group) <= most && slices.Contains(group, first) && slices.Contains(group, second)
				}), "%s and %s are in none of %v", first, second, all)
			}
		}
	}
}

// Every combination must load, start, hold its checks, pass data on, and be gone when it is switched off.
func TestProfiles(t *testing.T) {
	t.Parallel()
	e := newOtelEnv(t)
	journal := newHostJournal(t, e.env)
	e.up("--no-verify")
	base := e.composition()
	for _, names := range combinations(t) {
		t.Run(strings.Join(names, "+"), func(t *testing.T) {
			combines(t, e, names)
			if slices.Contains(names, "journal") {
				journal.isRead(t)
			}
			if slices.Equal(names, []string{"journal"}) {
				journal.holdsItsPromises(t)
			}
		})
	}
	t.Run("none", func(t *testing.T) { switchesOff(t, e.env, base) })
}

// combines goes over to a combination from whatever ran before.
func combines(t *testing.T, e *otelEnv, names []string) {
	catalog, err := profiles.Shipped()
	assert.NilError(t, err)
	selection, err := catalog.Select(names)
	assert.NilError(t, err)
	args := []string{"up"}
	for _, name := range names {
		args = append(args, "--profile", name)
	}
	if selection.On("otel") {
		args = append(args, "--otlp-grpc-port", strconv.Itoa(e.grpc), "--otlp-http-port", strconv.Itoa(e.http))
	}
	r := e.telemetry(args...)
	assert.Equal(t, r.code, 0, "%s", r)
	for _, check := range selection.Checks() {
		assert.Assert(t, strings.Contains(r.stderr, "Proof: "+check.String()+" Found"), "%s was not proven:\n%s", check, r)
	}
	assert.Assert(t, e.status().Healthy)
	runsExactly(t, e.env)
	arrives(t, e.env, "level=error ")
}

// runsExactly requires that the engine has the components of the project, with their replicas, and no other.
func runsExactly(t *testing.T, e *env) {
	t.Helper()
	wanted := e.composition().replicas
	running := map[string]int{}
	out := e.docker("ps", "--filter", "label=io.github.docker-telemetry.stack="+e.name, "--format", `{{.Label "io.github.docker-telemetry.component"}}`)
	for line := range strings.Lines(out) {
		running[strings.TrimSpace(line)]++
	}
	assert.DeepEqual(t, running, wanted)
}

// arrives has a container print a line with a prefix and waits for it.
func arrives(t *testing.T, e *env, prefix string) {
	t.Helper()
	marker := "marker-" + rand.Text()
	id := e.docker("run", "-d", "--network", "none", busybox, "echo", prefix+marker)
	defer e.docker("rm", "-f", id)
	eventually(t, 30*time.Second, func() error { return e.hasLine(prefix + marker) })
}

// composition is what a project consists of.
type composition struct {
	replicas map[string]int
	volumes  []string
}

func (e *env) composition() composition {
	e.t.Helper()
	var project struct {
		Services map[string]struct {
			Scale  int
			Deploy struct{ Replicas int }
		}
		Volumes map[string]struct{ Name string }
	}
	r := e.ok(e.telemetry("config"))
	assert.NilError(e.t, yaml.Unmarshal([]byte(r.stdout), &project))
	found := composition{replicas: map[string]int{}}
	for name, service := range project.Services {
		found.replicas[name] = max(1, service.Scale, service.Deploy.Replicas)
	}
	for _, volume := range project.Volumes {
		found.volumes = append(found.volumes, volume.Name)
	}
	slices.Sort(found.volumes)
	return found
}

// switchesOff goes back to the base: its components, and a word on each volume that stays.
func switchesOff(t *testing.T, e *env, base composition) {
	r := e.telemetry("up", "--profile", "none")
	assert.Equal(t, r.code, 0, "%s", r)
	runsExactly(t, e)
	assert.DeepEqual(t, e.composition().replicas, base.replicas)
	out := e.docker("volume", "ls", "-q", "--filter", "label=io.github.docker-telemetry.stack="+e.name)
	for volume := range strings.Lines(out) {
		volume = strings.TrimSpace(volume)
		said := strings.Contains(r.stderr, "volume "+volume+" stays")
		assert.Equal(t, said, !slices.Contains(base.volumes, volume), "volume %s\n%s", volume, r)
	}
	arrives(t, e, "")
}

// quiet-logs must drop what is below a warning, keep the rest and count what it dropped.
func TestQuietLogs(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.up("--profile", "quiet-logs")
	run := rand.Text()
	lines := []string{
		"level=debug a " + run, "level=info b " + run, "no level at all c " + run,
		"level=warn d " + run, "level=error e " + run, `{"level":50,"f":"` + run + `"}`, `{"level":"fatal","g":"` + run + `"}`,
	}
	id := e.docker(append([]string{"run", "-d", "--network", "none", busybox, "sh", "-c", "printf '%s\n' \"$@\"; sleep 60", "sh"}, lines...)...)
	t.Cleanup(func() { e.docker("rm", "-f", id) })
	// One container's lines come in their order: with the last, all that will come are there.
	var kept []string
	eventually(t, 30*time.Second, func() error {
		hits, err := e.search("logs", `SELECT message FROM "docker" WHERE message LIKE '%`+run+`%'`)
		kept = nil
		for _, hit := range hits {
			kept = append(kept, fmt.Sprint(hit["message"]))
		}
		if err == nil && !slices.Contains(kept, lines[6]) {
			err = fmt.Errorf("only %q", kept)
		}
		return err
	})
	slices.Sort(kept)
	assert.DeepEqual(t, kept, []string{lines[4], lines[3], lines[6], lines[5]})
	eventually(t, time.Minute, func() error {
		return e.hasSeries(`sum(vector_component_discarded_events_total{job="vector-agent",component_id="gate",intentional="true"}) >= 3`)
	})
}

// minimal's promise is a number.
func TestMinimal(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.up("--profile", "minimal")
	total, used := int64(0), int64(0)
	for _, id := range e.ids(e.name) {
		limit, err := strconv.ParseInt(e.docker("inspect", "--format", "{{.HostConfig.Memory}}", id), 10, 64)
		assert.NilError(t, err)
		assert.Assert(t, limit > 0, "a container without a limit")
		total += limit
		used += memoryInUse(t, e, id)
	}
	t.Logf("limits %d MB in all, %d MB in use after the start", total/1e6, used/1e6)
	assert.Assert(t, total < 700e6, "%d bytes", total)
	restarts := e.docker("ps", "--filter", "label=io.github.docker-telemetry.stack="+e.name, "--format", "{{.Status}}")
	assert.Assert(t, !strings.Contains(restarts, "Restarting"), restarts)
	_, grafana := e.status().URLs["grafana"]
	assert.Assert(t, !grafana)
	e.fails(e.telemetry("open", "grafana", "--print"), 2)
	refused := e.fails(e.telemetry("credentials", "rotate", "grafana"), 1)
	assert.Assert(t, strings.Contains(refused.stderr, "the stack does not run grafana"), "%s", refused)
	e.ok(e.telemetry("credentials", "rotate"))
	arrives(t, e, "")
}

// memoryInUse is what the kernel counts for a container.
func memoryInUse(t *testing.T, e *env, id string) int64 {
	t.Helper()
	out := e.docker("stats", "--no-stream", "--format", "{{.MemUsage}}", id)
	words := strings.Fields(out)
	assert.Assert(t, len(words) > 0, out)
	var number float64
	var unit string
	_, err := fmt.Sscanf(words[0], "%f%s", &number, &unit)
	assert.NilError(t, err, out)
	factor, known := map[string]float64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[unit]
	assert.Assert(t, known, out)
	return int64(number * factor)
}

// A user's own profile and overlay: made from the template, remembered, changed, removed.
func TestOwnProfileAndOverlay(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.ok(e.telemetry("profiles", "create", "mine"))
	folder := filepath.Join(e.home, "work")
	assert.NilError(t, os.MkdirAll(filepath.Join(folder, "config"), 0o755))
	write := func(name, text string) {
		assert.NilError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644))
	}
	write("overlay.yaml", fmt.Sprintf(`services:
  writer:
    image: %s
    command: ["sh", "-c", "while :; do echo from-the-overlay; sleep 1; done"]
    stop_grace_period: 0s
    init: true
  agent:
    configs: [{source: tag, target: /etc/vector/tag.yaml}]
  victoriametrics:
    deploy: {resources: {limits: {memory: 200m}}}
configs:
  tag: {file: config/tag.yaml}
`, busybox))
	tag := func(job string) string {
		return "transforms:\n  metrics_tag:\n    type: remap\n    inputs: [agent_self]\n    source: .tags.job = \"" + job + "\"\n"
	}
	write("config/tag.yaml", tag("overlaid"))
	plan := e.ok(e.telemetry("up", "--port", strconv.Itoa(e.port), "--profile", "mine", "-f", filepath.Join(folder, "overlay.yaml"), "--dry-run"))
	assert.Assert(t, strings.Contains(plan.stdout, "writer"), "%s", plan)
	e.up("--profile", "mine", "-f", filepath.Join(folder, "overlay.yaml"))
	runsExactly(t, e)
	eventually(t, 30*time.Second, func() error {
		hits, err := e.search("logs", `SELECT * FROM "docker" WHERE message = 'from-the-overlay'`)
		if err == nil && len(hits) == 0 {
			err = errors.New("no line of the overlay's service")
		}
		return err
	})
	eventually(t, 90*time.Second, func() error { return e.hasSeries(`vector_uptime_seconds{job="overlaid"}`) })
	limit := e.docker("inspect", "--format", "{{.HostConfig.Memory}}", e.name+"-victoriametrics-1")
	assert.Equal(t, limit, strconv.Itoa(200<<20))

	t.Run("a plain up keeps both", func(t *testing.T) {
		before := e.ids(e.name)
		e.up()
		assert.DeepEqual(t, e.ids(e.name), before)
	})
	t.Run("a changed file recreates its component alone", func(t *testing.T) {
		before := e.ids(e.name)
		write("config/tag.yaml", tag("anew"))
		e.up()
		var changed []string
		for name, id := range e.ids(e.name) {
			if before[name] != id {
				changed = append(changed, strings.TrimPrefix(name, e.name+"-"))
			}
		}
		assert.DeepEqual(t, changed, []string{"agent-1"})
	})
	t.Run("a broken file is refused and nothing changes", func(t *testing.T) {
		before := e.ids(e.name)
		write("overlay.yaml", "services:\n  agent:\n    memory: 1g\n")
		refused := e.fails(e.telemetry("up"), 2)
		assert.Assert(t, strings.Contains(refused.stderr, "overlay.yaml:3: services.agent.memory"), "%s", refused)
		assert.DeepEqual(t, e.ids(e.name), before)
	})
	t.Run("a file that is gone is named with the way out", func(t *testing.T) {
		assert.NilError(t, os.Remove(filepath.Join(folder, "overlay.yaml")))
		refused := e.telemetry("up")
		assert.Assert(t, refused.code != 0 && strings.Contains(refused.stderr, "up -f none"), "%s", refused)
	})
	t.Run("both are switched off", func(t *testing.T) {
		e.up("--profile", "none", "-f", "none")
		runsExactly(t, e)
		_, there := e.composition().replicas["writer"]
		assert.Assert(t, !there)
		e.ok(e.telemetry("profiles", "rm", "mine", "--yes"))
	})
}
