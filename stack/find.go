package stack

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/compose/v5/pkg/api"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// Container is one replica of a component as the engine sees it now.
type Container struct {
	ID        string
	Name      string
	Stack     string
	Component string
	Number    int    // the replica's number, from 1
	State     string // created, running, restarting, exited, ...
	Health    string // healthy, unhealthy, starting, or "" where there is no healthcheck
	Status    string // the engine's words, for example "Up 3 minutes (healthy)"
	Image     string
	ImageID   string // what the tag stood for when the container was made
	Version   string // of the plugin that made it
	Created   time.Time
	Address   string // on the pipeline network, "" when not running
	Networks  []string
	Published []Published
	UI        UI   // its page at the gateway, without what it is about; without a path where it has none
	Reloads   bool // serves the gateway's certificate as well, and reads its files again by itself
}

// Published is a port of the engine's host.
type Published struct {
	IP         string
	Port       int
	TargetPort int
	Name       string // for people, of PortsLabel; "" where it has none
}

// Ready reports whether the container runs and, where it has a healthcheck, is healthy.
func (c Container) Ready() bool {
	return c.State == string(container.StateRunning) && (c.Health == "" || c.Health == string(container.Healthy))
}

// Containers finds the containers of a stack by our label, so it also finds a stack that another machine started.
// An empty name finds those of every stack. The order is that of Components, then the replica's number.
func (m *Manager) Containers(ctx context.Context, name string) ([]Container, error) {
	label := StackLabel
	if name != "" {
		label += "=" + name
	}
	found, err := m.Docker.ContainerList(ctx, client.ContainerListOptions{
		All: true, Filters: make(client.Filters).Add("label", label),
	})
	if err != nil {
		return nil, fmt.Errorf("list the containers of the stack: %w", err)
	}
	containers := make([]Container, 0, len(found.Items))
	for _, item := range found.Items {
		if _, probe := item.Labels[ProbeLabel]; probe {
			continue
		}
		containers = append(containers, containerOf(item))
	}
	slices.SortStableFunc(containers, func(a, b Container) int {
		return cmp.Or(
			cmp.Compare(a.Stack, b.Stack),
			inOrder(a.Component, b.Component),
			cmp.Compare(a.Number, b.Number),
		)
	})
	return containers, nil
}

func containerOf(item container.Summary) Container {
	number, _ := strconv.Atoi(item.Labels[api.ContainerNumberLabel])
	found := Container{
		ID:        item.ID,
		Name:      containerName(item),
		Stack:     item.Labels[StackLabel],
		Component: item.Labels[ComponentLabel],
		Number:    number,
		State:     string(item.State),
		Health:    healthOf(item),
		Status:    item.Status,
		Image:     item.Image,
		ImageID:   item.ImageID,
		Version:   item.Labels[VersionLabel],
		UI:        parseUI(item.Labels[ComponentLabel], item.Labels[UILabel]),
		Reloads:   item.Labels[CertificateLabel] == "reloads",
		Created:   time.Unix(item.Created, 0),
	}
	if item.NetworkSettings != nil {
		found.Networks = slices.Sorted(maps.Keys(item.NetworkSettings.Networks))
		if network, on := item.NetworkSettings.Networks[found.Stack+"_pipeline"]; on && network.IPAddress.IsValid() {
			found.Address = network.IPAddress.String()
		}
	}
	names := parsePorts(item.Labels[PortsLabel])
	for _, port := range item.Ports {
		if port.PublicPort == 0 {
			continue
		}
		found.Published = append(found.Published, Published{
			IP: port.IP.String(), Port: int(port.PublicPort), TargetPort: int(port.PrivatePort), Name: names[int(port.PrivatePort)],
		})
	}
	return found
}

// parsePorts reads PortsLabel; what is not one names nothing.
func parsePorts(label string) map[int]string {
	names := map[int]string{}
	for part := range strings.SplitSeq(label, ",") {
		number, name, _ := strings.Cut(strings.TrimSpace(part), " ")
		if port, err := strconv.Atoi(number); err == nil {
			names[port] = name
		}
	}
	return names
}

func containerName(item container.Summary) string {
	if len(item.Names) == 0 {
		return item.ID[:min(12, len(item.ID))]
	}
	return strings.TrimPrefix(item.Names[0], "/")
}

// healthOf reads the health from the words of the status: the list has a field for it only since API 1.52.
func healthOf(item container.Summary) string {
	if item.Health != nil && item.Health.Status != "" {
		if item.Health.Status == container.NoHealthcheck {
			return ""
		}
		return string(item.Health.Status)
	}
	switch {
	case strings.HasSuffix(item.Status, "(healthy)"):
		return string(container.Healthy)
	case strings.HasSuffix(item.Status, "(unhealthy)"):
		return string(container.Unhealthy)
	case strings.HasSuffix(item.Status, "(health: starting)"):
		return string(container.Starting)
	default:
		return ""
	}
}

// Foreign names what carries the stack's Compose project name without being ours: a project of the user's own
// that happens to be called the same. Compose would take it for this stack.
func (m *Manager) Foreign(ctx context.Context, name string) ([]string, error) {
	label := make(client.Filters).Add("label", api.ProjectLabel+"="+name)
	containers, err := m.Docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: label})
	if err != nil {
		return nil, fmt.Errorf("list the containers of project %q: %w", name, err)
	}
	var foreign []string
	for _, item := range containers.Items {
		if _, ours := item.Labels[StackLabel]; !ours {
			foreign = append(foreign, "container "+containerName(item))
		}
	}
	networks, err := m.Docker.NetworkList(ctx, client.NetworkListOptions{Filters: label})
	if err != nil {
		return nil, fmt.Errorf("list the networks of project %q: %w", name, err)
	}
	for _, item := range networks.Items {
		if _, ours := item.Labels[StackLabel]; !ours {
			foreign = append(foreign, "network "+item.Name)
		}
	}
	return foreign, nil
}

func (m *Manager) refuseForeign(ctx context.Context, name string) error {
	foreign, err := m.Foreign(ctx, name)
	if err != nil {
		return err
	}
	if len(foreign) == 0 {
		return nil
	}
	return &Error{
		Text: fmt.Sprintf("a Compose project %q that is not a telemetry stack is on this engine (%s)",
			name, strings.Join(foreign, ", ")),
		Advice: "choose another name: docker telemetry --name " + name + "2 up",
	}
}

// Volumes lists the volumes of a stack, by our label.
func (m *Manager) Volumes(ctx context.Context, name string) ([]string, error) {
	found, err := m.Docker.VolumeList(ctx, client.VolumeListOptions{
		Filters: make(client.Filters).Add("label", StackLabel+"="+name),
	})
	if err != nil {
		return nil, fmt.Errorf("list the volumes of stack %q: %w", name, err)
	}
	var names []string
	for _, volume := range found.Items {
		names = append(names, volume.Name)
	}
	slices.Sort(names)
	return names, nil
}

// Host is the name that the container has for itself: the engine's default, the first digits of its id.
func (c Container) Host() string { return c.ID[:min(12, len(c.ID))] }
