package stack

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The files that hold rules, and whose program takes them.
const (
	AggregationFile = "aggregation.yaml" // VictoriaMetrics
	RelabelingFile  = "relabeling.yaml"  // VictoriaMetrics
	AgentFile       = "rules.yaml"       // Vector, with unit tests
)

// CheckRules has the running components' own programs read the files with rules that they are to get, by name: they would not
// start with one that is wrong. The agent's program also runs the tests in its file. The error is an *Error with what the
// program says.
func (m *Manager) CheckRules(ctx context.Context, name string, files map[string]string) error {
	store := maps.Clone(files)
	delete(store, AgentFile)
	if len(store) > 0 {
		if err := m.checkRules(ctx, name, VictoriaMetrics, "VictoriaMetrics", store, dryRun(store)); err != nil {
			return err
		}
	}
	if files[AgentFile] == "" {
		return nil
	}
	return m.checkRules(ctx, name, Agent, "the agent", map[string]string{AgentFile: files[AgentFile]}, agentCheck)
}

// dryRun prints what VictoriaMetrics has to say in its last line.
func dryRun(files map[string]string) string {
	flags := map[string]string{AggregationFile: "-streamAggr.config", RelabelingFile: "-relabelConfig"}
	command := []string{"/victoria-metrics-prod -dryRun"}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		command = append(command, fmt.Sprintf("%s=$d/%s", flags[file], file))
	}
	return strings.Join(command, " ") + " >$d/said 2>&1 && echo done || tail -n 1 $d/said >&2\n"
}

// agentCheck looks at the rules among the other files of the agent, then runs their tests by themselves. Vector says what is
// wrong in several lines. The files are read-only, and its root has no right to write to one all the same: hence -f.
const agentCheck = "mkdir $d/all && cp /etc/vector/*.yaml $d/all && cp -f $d/" + AgentFile + " $d/all && {" +
	" vector validate --no-environment --config-dir $d/all >$d/said 2>&1 && vector test $d/" + AgentFile + " >$d/said 2>&1 && echo done ||" +
	" grep -Ev '^(√|-*$|Running tests|test .* passed|failures:)' $d/said | tr -s ' \\n' ' ' | head -c 500 >&2; }\n"

func (m *Manager) checkRules(ctx context.Context, name, component, who string, files map[string]string, command string) error {
	id, err := m.running(ctx, name, component, "its program cannot check the rules")
	if err != nil {
		return err
	}
	var script strings.Builder
	script.WriteString("d=$(mktemp -d) && trap 'rm -rf $d' EXIT\n")
	for _, file := range slices.Sorted(maps.Keys(files)) {
		// In a word of its own, in single quotes: nothing in it is the shell's.
		fmt.Fprintf(&script, "printf %%s %s >$d/%s\n", shellWord(files[file]), file)
	}
	script.WriteString(command)
	if err := m.script(ctx, id, "", script.String()); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &Error{
			Text:   who + " does not take these rules: " + cause(err.Error()),
			Advice: "look at the file that it names; nothing was changed", Err: err,
		}
	}
	return nil
}

// cause is what the program's log says after its time, level and place.
func cause(line string) string {
	fields := strings.Split(line, "\t")
	return strings.TrimSpace(fields[len(fields)-1])
}

func shellWord(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
