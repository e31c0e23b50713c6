package stack

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// CheckRules has the running VictoriaMetrics' own program read the files that it is to get, by name: aggregation.yaml and
// relabeling.yaml. It would not start with one that is wrong. The error is an *Error with what the program says.
func (m *Manager) CheckRules(ctx context.Context, name string, files map[string]string) error {
	id, err := m.running(ctx, name, VictoriaMetrics, "its program cannot check the rules")
	if err != nil {
		return err
	}
	var script strings.Builder
	script.WriteString("d=$(mktemp -d) && trap 'rm -rf $d' EXIT\n")
	for _, file := range slices.Sorted(maps.Keys(files)) {
		// In a word of its own, in single quotes: nothing in it is the shell's.
		fmt.Fprintf(&script, "printf %%s %s >$d/%s\n", shellWord(files[file]), file)
	}
	script.WriteString("/victoria-metrics-prod -dryRun -relabelConfig=$d/relabeling.yaml -streamAggr.config=$d/aggregation.yaml >$d/said 2>&1" +
		" && echo done || tail -n 1 $d/said >&2\n")
	if err := m.script(ctx, id, "", script.String()); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &Error{
			Text:   "VictoriaMetrics does not take these rules: " + cause(err.Error()),
			Advice: "look at the file that it names; nothing was changed", Err: err,
		}
	}
	return nil
}

// cause is what the program's log says after its time, level and place.
func cause(line string) string {
	fields := strings.Split(line, "\t")
	return fields[len(fields)-1]
}

func shellWord(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
