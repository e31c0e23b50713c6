package stack

import (
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// ComponentStatus is a component with its replicas, as the engine reports them.
type ComponentStatus struct {
	Name       string
	Want       int // 0 when nobody on this machine has said
	Ready      int
	Image      string
	Containers []Container
}

// Healthy reports whether all wanted replicas are ready and no other replica is ill.
func (c ComponentStatus) Healthy() bool {
	return c.Ready >= max(1, c.Want) && c.Ready == len(c.Containers)
}

// Summarize groups containers by component, in the order of Components. want holds the replicas that each component
// should have, empty where nobody on this machine knows; a component without a container appears as well, since its
// absence is the finding.
func Summarize(containers []Container, want map[string]int) []ComponentStatus {
	byName := map[string]*ComponentStatus{}
	var names []string
	add := func(name string) *ComponentStatus {
		if found, known := byName[name]; known {
			return found
		}
		byName[name] = &ComponentStatus{Name: name, Want: want[name]}
		names = append(names, name)
		return byName[name]
	}
	expected := Components()
	if len(want) > 0 {
		expected = slices.Collect(maps.Keys(want))
	}
	for _, name := range expected {
		add(name)
	}
	for _, c := range containers {
		component := add(c.Component)
		component.Image = c.Image
		component.Containers = append(component.Containers, c)
		if c.Ready() {
			component.Ready++
		}
	}
	slices.SortFunc(names, inOrder)
	summary := make([]ComponentStatus, 0, len(names))
	for _, name := range names {
		summary = append(summary, *byName[name])
	}
	return summary
}

// Retention reads from a project how long each store keeps its data.
func Retention(project *types.Project) map[string]string {
	retention := map[string]string{}
	for _, argument := range project.Services[VictoriaMetrics].Command {
		if value, found := strings.CutPrefix(argument, "--retentionPeriod="); found {
			retention["metrics"] = value
		}
	}
	if days := project.Services[OpenObserve].Environment["ZO_COMPACT_DATA_RETENTION_DAYS"]; days != nil {
		retention["logs"] = *days + "d"
	}
	return retention
}
