package stacktest

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/compose/v5/pkg/api"
	"github.com/docker/compose/v5/pkg/compose"
	"github.com/moby/moby/api/types/container"

	"github.com/docker-telemetry/docker-telemetry/stack"
)

// Create brings the engine to the project as Compose does: networks and volumes first, then each service's containers,
// by the hash of the service.
func (e *Engine) Create(ctx context.Context, project *types.Project, options api.CreateOptions) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.mu.Unlock()
	e.secrets, e.services = project.Secrets, project.Services
	if err := e.createShared(ctx, project); err != nil {
		return err
	}
	if err := e.UpFailsOnce; err != nil {
		e.UpFailsOnce = nil
		return err
	}
	for _, name := range dependenciesFirst(project) {
		if err := e.converge(ctx, project, project.Services[name]); err != nil {
			return err
		}
	}
	if options.RemoveOrphans {
		for _, c := range e.ofProject(project.Name) {
			if _, known := project.Services[c.labels[api.ServiceLabel]]; known {
				continue
			}
			if err := e.remove(ctx, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *Engine) createShared(ctx context.Context, project *types.Project) error {
	for _, key := range slices.Sorted(maps.Keys(project.Networks)) {
		name := project.Networks[key].Name
		_, err := e.network(name)
		if err == nil {
			continue
		}
		if !cerrdefs.IsNotFound(err) {
			return err
		}
		if err := e.change(ctx, "create network", name); err != nil {
			return err
		}
		e.addNetwork(name, withProject(project, project.Networks[key].Labels))
	}
	for _, key := range slices.Sorted(maps.Keys(project.Volumes)) {
		name := project.Volumes[key].Name
		if _, there := e.volumes[name]; there {
			continue
		}
		if err := e.change(ctx, "create volume", name); err != nil {
			return err
		}
		e.volumes[name] = withProject(project, project.Volumes[key].Labels)
	}
	return nil
}

func withProject(project *types.Project, labels types.Labels) map[string]string {
	all := map[string]string{api.ProjectLabel: project.Name}
	maps.Copy(all, labels)
	return all
}

// converge makes the containers of a service what they are to be, without starting them.
func (e *Engine) converge(ctx context.Context, project *types.Project, service types.ServiceConfig) error {
	hash, err := compose.ServiceHash(service)
	if err != nil {
		return err
	}
	for number := 1; number <= service.GetScale(); number++ {
		old := e.replica(project.Name, service.Name, number)
		if old != nil && old.labels[api.ConfigHashLabel] == hash {
			continue
		}
		if e.Missing[service.Image] {
			return notFoundError("No such image: " + service.Image)
		}
		verb := "create container"
		if old != nil {
			verb = "recreate container"
		}
		made, err := e.entryOf(project, service, number, hash)
		if err != nil {
			return err
		}
		if err := e.change(ctx, verb, made.name); err != nil {
			return err
		}
		if old != nil {
			e.aggregatorsChange(old)
			e.containers = slices.DeleteFunc(e.containers, func(c *entry) bool { return c == old })
			if old.component() == stack.Gateway {
				if err := e.closeGateway(); err != nil {
					return err
				}
			}
		}
		e.containers = append(e.containers, made)
	}
	for _, c := range e.ofProject(project.Name) {
		number, _ := strconv.Atoi(c.labels[api.ContainerNumberLabel])
		if c.labels[api.ServiceLabel] == service.Name && number > service.GetScale() {
			if err := e.remove(ctx, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *Engine) entryOf(project *types.Project, service types.ServiceConfig, number int, hash string) (*entry, error) {
	labels := map[string]string{api.ConfigHashLabel: hash, api.ContainerNumberLabel: strconv.Itoa(number)}
	maps.Copy(labels, service.Labels)
	maps.Copy(labels, service.CustomLabels)
	c := e.newEntry(fmt.Sprintf("%s-%s-%d", project.Name, service.Name, number), service.Image, labels)
	if service.Logging != nil {
		c.logs = container.LogConfig{Type: service.Logging.Driver, Config: service.Logging.Options}
	}
	for key := range service.Networks {
		network, err := e.network(project.Networks[key].Name)
		if err != nil {
			return nil, err
		}
		c.networks = append(c.networks, network)
	}
	for _, mount := range service.Volumes {
		if mount.Type == types.VolumeTypeVolume {
			c.volumes = append(c.volumes, project.Volumes[mount.Source].Name)
		}
	}
	for _, port := range service.Ports {
		published, _ := strconv.ParseUint(port.Published, 10, 16)
		address, _ := netip.ParseAddr(port.HostIP)
		c.ports = append(c.ports, container.PortSummary{
			IP: address, PublicPort: uint16(published), PrivatePort: uint16(port.Target), Type: port.Protocol,
		})
	}
	return c, nil
}

func (e *Engine) startService(ctx context.Context, project *types.Project, service types.ServiceConfig) error {
	for _, c := range e.ofProject(project.Name) {
		if c.labels[api.ServiceLabel] != service.Name || c.running() || c.state == container.StateRestarting {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(service.DependsOn)) {
			if service.DependsOn[name].Condition != types.ServiceConditionHealthy {
				continue
			}
			if err := e.waitHealthy(ctx, project.Name, name); err != nil {
				return err
			}
		}
		if err := e.run(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// waitHealthy fails in Compose's words.
func (e *Engine) waitHealthy(ctx context.Context, project, service string) error {
	for _, c := range e.ofProject(project) {
		if c.labels[api.ServiceLabel] != service {
			continue
		}
		for e.health(c) == container.Starting {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(500 * time.Millisecond):
			}
		}
		if e.health(c) != container.Healthy {
			return fmt.Errorf("dependency failed to start: container %s is unhealthy", c.name)
		}
	}
	return nil
}

// Down removes the containers and networks of a project, and its volumes only where the options say so.
func (e *Engine) Down(ctx context.Context, projectName string, options api.DownOptions) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.mu.Unlock()
	for _, c := range e.ofProject(projectName) {
		if err := e.remove(ctx, c); err != nil {
			return err
		}
	}
	for _, network := range slices.Clone(e.networks) {
		if network.labels[api.ProjectLabel] != projectName {
			continue
		}
		if err := e.removeNetwork(ctx, network); err != nil {
			return err
		}
	}
	if !options.Volumes {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(e.volumes)) {
		if e.volumes[name][api.ProjectLabel] != projectName {
			continue
		}
		if err := e.change(ctx, "remove volume", name); err != nil {
			return err
		}
		delete(e.volumes, name)
	}
	return nil
}

// Start starts the stopped containers of a project; with the project itself it goes by dependencies.
func (e *Engine) Start(ctx context.Context, projectName string, options api.StartOptions) error {
	if options.Project != nil {
		return e.startInOrder(ctx, options.Project)
	}
	return e.each(ctx, projectName, options.AttachTo, func(c *entry) error {
		if c.running() {
			return nil
		}
		return e.run(ctx, c)
	})
}

func (e *Engine) startInOrder(ctx context.Context, project *types.Project) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.mu.Unlock()
	for _, name := range dependenciesFirst(project) {
		if err := e.startService(ctx, project, project.Services[name]); err != nil {
			return err
		}
	}
	return nil
}

// Stop stops the running containers of a project.
func (e *Engine) Stop(ctx context.Context, projectName string, options api.StopOptions) error {
	return e.each(ctx, projectName, options.Services, func(c *entry) error {
		if !c.running() {
			return nil
		}
		return e.stop(ctx, c)
	})
}

// Restart stops and starts the containers of a project.
func (e *Engine) Restart(ctx context.Context, projectName string, options api.RestartOptions) error {
	return e.each(ctx, projectName, options.Services, func(c *entry) error {
		if c.running() {
			if err := e.stop(ctx, c); err != nil {
				return err
			}
		}
		return e.run(ctx, c)
	})
}

// Pull gets the images that are missing.
func (e *Engine) Pull(ctx context.Context, project *types.Project, _ api.PullOptions) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.mu.Unlock()
	if e.PullFails != nil {
		return e.PullFails
	}
	for _, name := range project.ServiceNames() {
		image := project.Services[name].Image
		if err := e.change(ctx, "pull image", image); err != nil {
			return err
		}
		delete(e.Missing, image)
	}
	return nil
}

// Logs gives the consumer what the components say.
func (e *Engine) Logs(ctx context.Context, projectName string, consumer api.LogConsumer, options api.LogOptions) error {
	return e.each(ctx, projectName, options.Services, func(c *entry) error {
		for line := range strings.Lines(e.Says[c.component()]) {
			consumer.Log(c.name, strings.TrimSuffix(line, "\n"))
		}
		return nil
	})
}

func (e *Engine) each(ctx context.Context, project string, services []string, do func(*entry) error) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.mu.Unlock()
	for _, c := range e.ofProject(project) {
		if len(services) > 0 && !slices.Contains(services, c.labels[api.ServiceLabel]) {
			continue
		}
		if err := do(c); err != nil {
			return err
		}
	}
	return nil
}

// ofProject returns the containers that Compose takes for the project's, by name.
func (e *Engine) ofProject(name string) []*entry {
	var found []*entry
	for _, c := range e.containers {
		if c.labels[api.ProjectLabel] == name {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b *entry) int { return strings.Compare(a.name, b.name) })
	return found
}

func (e *Engine) replica(project, service string, number int) *entry {
	for _, c := range e.ofProject(project) {
		if c.labels[api.ServiceLabel] == service && c.labels[api.ContainerNumberLabel] == strconv.Itoa(number) {
			return c
		}
	}
	return nil
}

// dependenciesFirst orders the services as Compose starts them, by name where it does not matter.
func dependenciesFirst(project *types.Project) []string {
	var order []string
	var visit func(name string)
	visit = func(name string) {
		if slices.Contains(order, name) {
			return
		}
		for _, dependency := range slices.Sorted(maps.Keys(project.Services[name].DependsOn)) {
			visit(dependency)
		}
		order = append(order, name)
	}
	for _, name := range project.ServiceNames() {
		visit(name)
	}
	return order
}
