//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

const stackLabel = "io.github.docker-telemetry.stack="

// leftRow is the part of the contract that the scenario reads.
type leftRow struct {
	Kind, Name, Stack string
	Data, Removed     bool
	Problem           string
}

func (l leftRow) String() string { return l.Kind + " " + l.Name }

func (e *env) prune(t *testing.T, args ...string) []leftRow {
	t.Helper()
	var answer struct{ Left []leftRow }
	r := e.ok(e.telemetry(append([]string{"prune", "--format", "json"}, args...)...))
	assert.NilError(t, json.Unmarshal([]byte(r.stdout), &answer), "%s", r)
	return answer.Left
}

func names(rows []leftRow) []string {
	var all []string
	for _, row := range rows {
		all = append(all, row.String())
	}
	slices.Sort(all)
	return all
}

// inventory is all that is on the engine and in the folder of snapshots, as prune would name it.
func (e *env) inventory(folder string) []string {
	e.t.Helper()
	var all []string
	for kind, args := range map[string][]string{
		"container": {"ps", "-a", "--format", "{{.Names}}"}, "network": {"network", "ls", "--format", "{{.Name}}"}, "volume": {"volume", "ls", "--format", "{{.Name}}"},
	} {
		for _, name := range strings.Fields(e.docker(args...)) {
			all = append(all, kind+" "+name)
		}
	}
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	assert.NilError(e.t, err)
	for _, file := range files {
		all = append(all, "file "+file)
	}
	slices.Sort(all)
	return all
}

// without are those of before that are not there now.
func without(before, now []string) []string {
	return slices.DeleteFunc(slices.Clone(before), func(name string) bool { return slices.Contains(now, name) })
}

// pruneRemovesWhatIsLeft needs an engine on which no other scenario is at work: prune looks at all that carries our labels. Nothing is
// removed there unless the list is exactly what was prepared.
func pruneRemovesWhatIsLeft(t *testing.T, e *env) {
	folder := filepath.Join(e.home, "state", "docker-telemetry", "snapshots")
	ids := e.ids(e.name)
	left, young, data := e.leave(t, folder)
	before := e.inventory(folder)

	// What is younger than 10 minutes may be in the making, and so may be what another user has.
	assert.DeepEqual(t, names(e.prune(t)), slices.Sorted(slices.Values(append(without(left, young), data))))
	e.rebuild("internal/prune/prune.go", func(text string) string {
		const limit = "const young = 10 * time.Minute"
		assert.Assert(t, strings.Contains(text, limit))
		return strings.Replace(text, limit, "const young = 2 * time.Second", 1)
	})
	t.Cleanup(func() { e.install("docker-telemetry") })

	want := slices.Sorted(slices.Values(append(slices.Clone(left), data)))
	eventually(t, 10*time.Second, func() error { // the engine's seconds
		if listed := names(e.prune(t)); !slices.Equal(listed, want) {
			return fmt.Errorf("listed %q, prepared %q", listed, want)
		}
		return nil
	})
	assert.Equal(t, len(without(before, e.inventory(folder))), 0)

	for _, row := range e.prune(t, "--yes") {
		assert.Equal(t, row.Removed, row.String() != data, "%+v", row)
		assert.Equal(t, row.Data, row.String() == data, "%+v", row)
		assert.Equal(t, row.Problem, "")
	}
	assert.DeepEqual(t, without(before, e.inventory(folder)), slices.Sorted(slices.Values(left)))
	assert.DeepEqual(t, names(e.prune(t, "--volumes", "--yes")), []string{data})
	assert.DeepEqual(t, without(before, e.inventory(folder)), want)
	assert.Equal(t, len(e.prune(t)), 0)

	still := e.ids(e.name)
	delete(still, e.name+"-needed")
	assert.DeepEqual(t, still, ids)
	assert.Assert(t, e.status().Healthy)
	e.writeLine(t, arrival)
}

// leave prepares leftovers of each kind, those among them that count only when they are old, data that stays unless it is asked for, and
// beside them what must stay: things without our labels, those of another's stack that runs, what a command still needs, and files that are no halves of snapshots.
func (e *env) leave(t *testing.T, folder string) (left, young []string, data string) {
	t.Helper()
	volume := func(name string, labels ...string) string {
		args := []string{"volume", "create"}
		for _, label := range labels {
			args = append(args, "--label", label)
		}
		e.docker(append(args, name)...)
		t.Cleanup(func() { e.run("docker", "volume", "rm", "-f", name) })
		return "volume " + name
	}
	network := func(name, label string) string {
		e.docker("network", "create", "--label", label, name)
		t.Cleanup(func() { e.run("docker", "network", "rm", name) })
		return "network " + name
	}
	container := func(name string, args ...string) string {
		e.docker(append([]string{"run", "-d", "--name", name, "--network", "none"}, args...)...)
		t.Cleanup(func() { e.run("docker", "rm", "-f", name) })
		return "container " + name
	}
	file := func(name string, age time.Duration) string {
		path := filepath.Join(folder, name)
		assert.NilError(t, os.MkdirAll(folder, 0o700))
		assert.NilError(t, os.WriteFile(path, []byte("half"), 0o600))
		assert.NilError(t, os.Chtimes(path, time.Now().Add(-age), time.Now().Add(-age)))
		t.Cleanup(func() { _ = os.Remove(path) })
		return "file " + path
	}
	gone, mine, theirs := stackLabel+e.name+"-gone", stackLabel+e.name, stackLabel+e.name+"-theirs"
	probe := func(name string, until time.Duration) string {
		needed := "io.github.docker-telemetry.until=" + time.Now().Add(until).UTC().Format(time.RFC3339)
		return container(name, "--label", mine, "--label", "io.github.docker-telemetry.probe=logs", "--label", needed, busybox, "true")
	}
	young = []string{
		probe(e.name+"-left", -time.Hour),
		network(e.name+"-gone_edge", gone), volume(e.name+"-gone_data", gone),
	}
	left = append(slices.Clone(young), volume(e.name+"_data.1", mine, "io.github.docker-telemetry.restore=1"), file("half.tar.zst.part", time.Hour))
	data = volume(e.name+"_off-data", mine)

	probe(e.name+"-needed", time.Hour)
	volume(e.name + "_foreign")
	network(e.name+"_foreign", "com.docker.compose.project="+e.name)
	container(e.name+"-foreign", busybox, "true")
	volume(e.name+"-theirs_data", theirs)
	network(e.name+"-theirs_edge", theirs)
	container(e.name+"-theirs", "--label", theirs, busybox, "sleep", "600")
	file("half.tar.zst", time.Hour)
	file("notes.part", time.Hour)
	file("new.tar.zst.part", -time.Hour) // a clock may have been set
	return left, young, data
}
