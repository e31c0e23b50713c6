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
	found, err := m.Docker.ContainerList(ctx, client.ContainerListOptions{
		All: true, Filters: make(client.Filters).Add("label", StackLabel+"="+project.Name),
	})
	if err != nil {
		return nil, fmt.Errorf("list the containers of the stack: %w", err)
	}
	same, other := map[string]int{}, map[string]int{}
	stopped, gone := map[string]int{}, map[string]int{}
	for _, item := range found.Items {
		component := item.Labels[ComponentLabel]
		service, known := project.Services[component]
		if !known {
			gone[component]++
			continue
		}
		hash, err := compose.ServiceHash(service)
		if err != nil {
			return nil, fmt.Errorf("hash component %q: %w", component, err)
		}
		switch {
		case item.Labels[api.ConfigHashLabel] != hash:
			other[component]++
		case item.State != "running":
			stopped[component]++
		default:
			same[component]++
		}
	}
	var steps []string
	for _, name := range slices.SortedFunc(maps.Keys(project.Services), inOrder) {
		service := project.Services[name]
		steps = append(steps, planOf(name, service.GetScale(), same[name], stopped[name], other[name])...)
	}
	for _, name := range slices.SortedFunc(maps.Keys(gone), inOrder) {
		steps = append(steps, planOf(name, 0, gone[name], 0, 0)...)
	}
	return steps, nil
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
