package stack

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// What each layer says may be right by itself, and wrong in the project that they come to.

func checkUIs(project *types.Project, all documents) error {
	for _, name := range project.ServiceNames() {
		if _, _, err := uiOf(name, project.Services[name]); err != nil {
			return all.at([]string{"services", name, "x-ui"}, "%s", err)
		}
	}
	return nil
}

// checkReplicas holds layers to what `scale` allows. asked is the replicas by component that no layer says.
func checkReplicas(project *types.Project, asked map[string]int, all documents) error {
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		if _, there := project.Services[name]; !there && !slices.Contains(Components(), name) {
			return usagef("components: "+strings.Join(project.ServiceNames(), ", "), "there is no component %q to scale", name)
		}
	}
	for _, name := range Components() {
		service, there := project.Services[name]
		replicas := service.GetScale()
		if !there || replicas <= 1 && name != Aggregator {
			continue
		}
		var refusal *Error
		if !errors.As(scalable(name, replicas), &refusal) {
			continue
		}
		if at := all.overlaying([]string{"services", name, "scale"}, []string{"services", name, "deploy", "replicas"}); at != nil {
			located := all.at(at, "%s", refusal.Text)
			located.Advice = refusal.Advice
			return located
		}
		return refusal
	}
	return nil
}

// overlaying returns the first of some paths at which a user's layer says something, nil where none does.
func (all documents) overlaying(paths ...[]string) []string {
	for _, path := range paths {
		for _, document := range all {
			if !document.layer.Shipped && document.find(path...) != nil {
				return path
			}
		}
	}
	return nil
}

// checkPublished refuses a port that two components publish: the engine would say so when half of them run.
func checkPublished(project *types.Project, all documents) error {
	type published struct{ service, bind string }
	taken := map[string][]published{}
	for _, name := range slices.SortedFunc(maps.Keys(project.Services), inOrder) {
		for _, port := range project.Services[name].Ports {
			if port.Published == "" || port.Published == "0" || strings.Contains(port.Published, "-") {
				continue // the engine finds a free one
			}
			key := port.Published + "/" + port.Protocol
			for _, other := range taken[key] {
				if overlapping(other.bind, port.HostIP) {
					refusal := all.at([]string{"services", name, "ports"}, "port %s is published by %s already", port.Published, other.service)
					refusal.Advice = "publish another one"
					if other.service == Gateway {
						refusal.Advice += ", or move the gateway: docker telemetry up --port 9443"
					}
					return refusal
				}
			}
			taken[key] = append(taken[key], published{name, port.HostIP})
		}
	}
	return nil
}

func overlapping(first, second string) bool {
	address, err := netip.ParseAddr(first)
	return err != nil || overlaps(address, second)
}
