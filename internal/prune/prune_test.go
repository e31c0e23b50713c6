package prune

import (
	"fmt"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/stack"
)

func TestAnalyse(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	old, fresh := now.Add(-time.Hour), now.Add(-time.Minute)
	volume := func(name, of string) stack.LabelledThing { return stack.LabelledThing{ID: name, Name: name, Stack: of} }
	running := map[string]bool{"runs": true}
	mine := map[string]Stack{"runs": {Volumes: []string{"runs_data"}}, "down": {Volumes: []string{"down_data"}}}
	for name, tc := range map[string]struct {
		facts Facts
		want  []string
	}{
		"a probe of a killed command, not one that is at work": {
			Facts{Engine: stack.Labelled{Probes: []stack.LabelledThing{{Name: "old", Created: old}, {Name: "new", Created: fresh}}}},
			[]string{"container old: of a command that was killed"},
		},
		"a network without its stack": {
			Facts{Engine: stack.Labelled{Running: running, Networks: []stack.LabelledThing{
				{Name: "runs_edge", Stack: "runs", Created: old}, {Name: "gone_edge", Stack: "gone", Created: old}, {Name: "up_edge", Stack: "up", Created: fresh},
			}}},
			[]string{"network gone_edge: its stack has no containers"},
		},
		"data of a stack that is no more": {
			Facts{Local: true, Engine: stack.Labelled{Volumes: []stack.LabelledThing{volume("gone_data", "gone")}}},
			[]string{"volume gone_data: its stack is no more"},
		},
		"another's that is being made": {
			Facts{Local: true, Engine: stack.Labelled{Volumes: []stack.LabelledThing{{ID: "new", Name: "new", Stack: "theirs", Created: fresh}}}}, nil,
		},
		"the same on an engine that others have stacks on": {
			Facts{Engine: stack.Labelled{Volumes: []stack.LabelledThing{volume("gone_data", "gone")}}},
			[]string{"volume gone_data: this machine knows no such stack; another may, and have its log-ins (data)"},
		},
		"another's stack that runs": {
			Facts{Local: true, Engine: stack.Labelled{Running: map[string]bool{"theirs": true}, Volumes: []stack.LabelledThing{volume("theirs_data", "theirs")}}}, nil,
		},
		"data of a stack that is down, and of one that runs or is stopped": {
			Facts{Stacks: mine, Engine: stack.Labelled{Running: running, Volumes: []stack.LabelledThing{volume("down_data", "down"), volume("runs_data", "runs")}}},
			[]string{"volume down_data: the data of stack down, which is down (data)"},
		},
		"of a profile that is off, and of a container of somebody else": {
			Facts{Stacks: mine, Engine: stack.Labelled{Running: running, Volumes: []stack.LabelledThing{
				volume("runs_mongodb", "runs"), {ID: "runs_used", Name: "runs_used", Stack: "runs", Used: true},
			}}},
			[]string{"volume runs_mongodb: of a profile or overlay that is off (data)"},
		},
		"of a restore that is over": {
			Facts{Stacks: mine, Engine: stack.Labelled{Running: running, Volumes: []stack.LabelledThing{{ID: "runs_data.1", Name: "runs_data.1", Stack: "runs", Restore: "1"}}}},
			[]string{"volume runs_data.1: of a restore that is over"},
		},
		"of a restore that is under way": {
			Facts{
				Stacks: map[string]Stack{"runs": {Volumes: []string{"runs_data"}, Restore: "1"}},
				Engine: stack.Labelled{Volumes: []stack.LabelledThing{{ID: "runs_data.1", Name: "runs_data.1", Stack: "runs", Restore: "1"}, volume("runs_data", "runs")}},
			}, nil,
		},
		"a stack whose project cannot be loaded": {
			Facts{Stacks: map[string]Stack{"odd": {}}, Engine: stack.Labelled{Volumes: []stack.LabelledThing{volume("odd_x", "odd")}}}, nil,
		},
		"images of earlier pins, but not those in use or gone": {
			Facts{
				Former: []FormerImage{{"runs", "a:1", "ida"}, {"runs", "b:1", "idb"}, {"runs", "c:1", "idc"}}, Present: map[string]bool{"ida": true, "idb": true},
				Engine: stack.Labelled{Images: map[string]bool{"idb": true}},
			},
			[]string{"image a:1: an earlier pin"},
		},
		"snapshots and halves of files": {
			Facts{
				Stacks: map[string]Stack{"runs": {Snapshots: []string{"2026-1"}}},
				Parts:  []PartFile{{"/s/old.part", old}, {"/s/new.part", fresh}},
			},
			[]string{"snapshot 2026-1: keeps files of VictoriaMetrics on its disk", "file /s/old.part: half a snapshot, of a process that was killed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc.facts.Now = now
			var got []string
			for _, item := range Analyse(tc.facts) {
				line := fmt.Sprintf("%s %s: %s", item.Kind, item.Name, item.Why)
				if item.Data {
					line += " (data)"
				}
				got = append(got, line)
			}
			assert.DeepEqual(t, got, tc.want)
		})
	}
}
