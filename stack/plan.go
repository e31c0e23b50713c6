package stack

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/compose/v5/pkg/api"
	"github.com/docker/compose/v5/pkg/compose"
	"github.com/moby/moby/client"
)

// Plan says in lines for a person what Up would do to each component, without doing anything. A container is
// compared as Compose does it: by the hash of its service.
func (m *Manager) Plan(ctx context.Context, project *types.Project) ([]string, error) {
	there, err := m.compare(ctx, project)
	if err != nil {
		return nil, err
	}
	var steps []string
	for _, name := range slices.SortedFunc(maps.Keys(project.Services), inOrder) {
		service := project.Services[name]
		steps = append(steps, planOf(name, service.GetScale(), there.same[name], there.stopped[name], there.other[name])...)
	}
	for _, name := range slices.SortedFunc(maps.Keys(there.gone), inOrder) {
		steps = append(steps, planOf(name, 0, there.gone[name], 0, 0)...)
	}
	return steps, nil
}

// Changed names the components that have a container of another configuration than a project's, and those that a project has
// no more.
func (m *Manager) Changed(ctx context.Context, project *types.Project) ([]string, error) {
	there, err := m.compare(ctx, project)
	if err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Keys(there.differing()), inOrder), nil
}

// compared counts the containers of each component by how they are to a project.
type compared struct{ same, other, stopped, gone map[string]int }

func (c compared) differing() map[string]int {
	all := maps.Clone(c.other)
	maps.Copy(all, c.gone)
	return all
}

func (m *Manager) compare(ctx context.Context, project *types.Project) (compared, error) {
	there := compared{same: map[string]int{}, other: map[string]int{}, stopped: map[string]int{}, gone: map[string]int{}}
	found, err := m.Docker.ContainerList(ctx, client.ContainerListOptions{
		All: true, Filters: make(client.Filters).Add("label", StackLabel+"="+project.Name),
	})
	if err != nil {
		return there, fmt.Errorf("list the containers of the stack: %w", err)
	}
	for _, item := range found.Items {
		component := item.Labels[ComponentLabel]
		if _, probe := item.Labels[ProbeLabel]; probe {
			continue // up removes it
		}
		service, known := project.Services[component]
		if !known {
			there.gone[component]++
			continue
		}
		hash, err := compose.ServiceHash(service)
		if err != nil {
			return there, fmt.Errorf("hash component %q: %w", component, err)
		}
		switch {
		case item.Labels[api.ConfigHashLabel] != hash:
			there.other[component]++
		case item.State != "running":
			there.stopped[component]++
		default:
			there.same[component]++
		}
	}
	return there, nil
}

func planOf(name string, want, same, stopped, other int) []string {
	var steps []string
	step := func(verb string, count int) {
		if count > 0 {
			steps = append(steps, fmt.Sprintf("%-9s %s (%d)", verb, name, count))
		}
	}
	have := same + stopped + other
	step("keep", min(same, want))
	step("start", min(stopped, max(0, want-same)))
	step("recreate", min(other, max(0, want-same-stopped)))
	step("create", max(0, want-have))
	step("remove", max(0, have-want))
	return steps
}
