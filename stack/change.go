package stack

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/compose/v5/pkg/compose"
)

// Change is how one project differs from another, as a person asks for it.
type Change struct {
	Services []ServiceChange
	Volumes  []string // that the second has and the first has not
	Before   int64    // bytes: sum of the memory limits of all replicas
	After    int64
}

// ServiceChange is one component that differs.
type ServiceChange struct {
	Name     string
	How      string // "added", "changed" or "removed"
	Image    string
	Replicas int
	Memory   int64 // bytes, the limit of one replica, 0 without one
	Ports    []string
	Files    []string // config files that only the second mounts
}

// Compare tells what the second project adds to the first, changes or takes away.
func Compare(first, second *types.Project) Change {
	change := Change{Before: Memory(first), After: Memory(second)}
	names := map[string]bool{}
	for name := range first.Services {
		names[name] = true
	}
	for name := range second.Services {
		names[name] = true
	}
	for _, name := range slices.SortedFunc(maps.Keys(names), inOrder) {
		before, had := first.Services[name]
		after, has := second.Services[name]
		switch {
		case !has:
			change.Services = append(change.Services, ServiceChange{Name: name, How: "removed", Image: before.Image, Replicas: before.GetScale(), Memory: limitOf(before)})
		case !had:
			change.Services = append(change.Services, changeOf(name, "added", types.ServiceConfig{}, after))
		case !same(before, after):
			change.Services = append(change.Services, changeOf(name, "changed", before, after))
		}
	}
	for name := range second.Volumes {
		if _, had := first.Volumes[name]; !had {
			change.Volumes = append(change.Volumes, name)
		}
	}
	slices.Sort(change.Volumes)
	return change
}

func changeOf(name, how string, before, after types.ServiceConfig) ServiceChange {
	change := ServiceChange{Name: name, How: how, Image: after.Image, Replicas: after.GetScale(), Memory: limitOf(after)}
	for _, port := range after.Ports {
		change.Ports = append(change.Ports, fmt.Sprintf("%s:%s", port.HostIP, port.Published))
	}
	for _, mount := range after.Configs {
		if !slices.ContainsFunc(before.Configs, func(other types.ServiceConfigObjConfig) bool { return other.Target == mount.Target }) {
			change.Files = append(change.Files, mount.Target)
		}
	}
	return change
}

// same compares what Compose compares, and the number of replicas; the digest of the files is one of the labels.
func same(a, b types.ServiceConfig) bool {
	left, leftErr := compose.ServiceHash(a)
	right, rightErr := compose.ServiceHash(b)
	return leftErr == nil && rightErr == nil && left == right && a.GetScale() == b.GetScale()
}

func limitOf(service types.ServiceConfig) int64 {
	if service.Deploy == nil || service.Deploy.Resources.Limits == nil {
		return 0
	}
	return int64(service.Deploy.Resources.Limits.MemoryBytes)
}

// Memory is what a project may use when all its limits are reached, in bytes.
func Memory(project *types.Project) int64 {
	var sum int64
	for _, service := range project.Services {
		sum += limitOf(service) * int64(service.GetScale())
	}
	return sum
}

// Left lists the volumes of the stack that a project has no service for: those of profiles that were switched off.
func Left(project *types.Project, volumes []string) []string {
	var left []string
	for _, volume := range volumes {
		known := false
		for name, wanted := range project.Volumes {
			known = known || volume == wanted.Name || volume == project.Name+"_"+name
		}
		if !known {
			left = append(left, volume)
		}
	}
	slices.SortFunc(left, strings.Compare)
	return left
}
