// Package stack runs the bundled project: it loads it in memory and brings it up, down and to scale on an engine.
package stack

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// A component is a service of the bundle by its role. The order is that of the data, then what stands beside it:
// people read it so in every table.
const (
	Agent           = "agent"
	Balancer        = "balancer"
	Aggregator      = "aggregator"
	OpenObserve     = "openobserve"
	VictoriaMetrics = "victoriametrics"
	Grafana         = "grafana"
	Gateway         = "gateway"
	DockerProxy     = "docker-proxy"
	NodeExporter    = "node-exporter"
)

// Components lists the components of the base stack in the order of the data.
func Components() []string {
	return []string{Agent, Balancer, Aggregator, OpenObserve, VictoriaMetrics, Grafana, Gateway, DockerProxy, NodeExporter}
}

// MaxReplicas bounds `scale`: at 256 MiB each, more is a typing error on the machines this is for.
const MaxReplicas = 50

// inOrder sorts names of components: those of the base stack in the order of the data, then others in the alphabet's.
func inOrder(a, b string) int {
	order := Components()
	place := func(name string) int {
		if at := slices.Index(order, name); at >= 0 {
			return at
		}
		return len(order)
	}
	return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a, b))
}

// Component returns the component that a person means by a word: its name, or the plural of it. others are those that
// profiles and overlays brought.
func Component(word string, others ...string) (string, error) {
	known := slices.Concat(Components(), others)
	for _, name := range known {
		if word == name || word == name+"s" {
			return name, nil
		}
	}
	slices.SortFunc(known, inOrder)
	return "", &Error{
		Text:   fmt.Sprintf("there is no component %q", word),
		Advice: "components: " + strings.Join(slices.Compact(known), ", "),
		Usage:  true,
	}
}

// ResolveComponents applies Component to each word; none means all and gives nil.
func ResolveComponents(words []string, others ...string) ([]string, error) {
	var names []string
	for _, word := range words {
		name, err := Component(word, others...)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// ParseScale reads "aggregator=3" pairs into replicas by component. It refuses components that cannot run twice,
// fewer than one replica, and more than MaxReplicas.
func ParseScale(pairs []string) (map[string]int, error) {
	scale := make(map[string]int, len(pairs))
	for _, pair := range pairs {
		word, number, found := strings.Cut(pair, "=")
		if !found {
			return nil, usagef("write COMPONENT=N, for example aggregator=3", "%q is not COMPONENT=N", pair)
		}
		name, err := Component(word)
		if err != nil {
			return nil, err
		}
		replicas, err := strconv.Atoi(number)
		if err != nil {
			return nil, usagef("write COMPONENT=N, for example aggregator=3", "%q is not a number of replicas", number)
		}
		if err := scalable(name, replicas); err != nil {
			return nil, err
		}
		scale[name] = replicas
	}
	return scale, nil
}

func scalable(name string, replicas int) error {
	if name != Aggregator {
		return usagef("scale the aggregators: docker telemetry scale aggregator=3",
			"%s runs once: %s", name, onceBecause(name))
	}
	if replicas < 1 {
		return usagef("to stop them: docker telemetry stop "+name,
			"%s=%d: at least one replica is needed for data to arrive", name, replicas)
	}
	if replicas > MaxReplicas {
		return usagef(fmt.Sprintf("at most %d", MaxReplicas), "%s=%d is more than this is made for", name, replicas)
	}
	return nil
}

// RunsOnce says, as an error, why a component that a profile or an overlay brought cannot be scaled by its name; nil
// where the project has no such component.
func RunsOnce(project *types.Project, name string) error {
	service, there := project.Services[name]
	if !there || name == Aggregator {
		return nil
	}
	for _, mount := range service.Volumes {
		if mount.Type == types.VolumeTypeVolume {
			return usagef("scale the aggregators: docker telemetry scale aggregator=3", "%s runs once: its data is in the volume %s", name, mount.Source)
		}
	}
	return usagef("an overlay can set services."+name+".deploy.replicas", "only the aggregators are scaled by their name, not %s", name)
}

func onceBecause(name string) string {
	switch name {
	case OpenObserve, VictoriaMetrics, Grafana:
		return "its data is in one volume"
	case Agent:
		return "two would read every log twice, and its disk buffer takes a lock"
	case Gateway:
		return "it publishes the port"
	case Balancer:
		return "the agent knows one address, and nginx spreads more than the aggregators can take"
	case NodeExporter:
		return "a second one would count the same host again"
	case DockerProxy:
		return "it passes on what few ask, and keeps nothing"
	default:
		return "a second one would do nothing"
	}
}
