package stacktest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/stack/bundle"
)

// ContainerInspect tells of a container what the list does not.
func (e *Engine) ContainerInspect(ctx context.Context, id string, _ client.ContainerInspectOptions) (client.ContainerInspectResult, error) {
	var found client.ContainerInspectResult
	if err := e.enter(ctx); err != nil {
		return found, err
	}
	defer e.mu.Unlock()
	c, err := e.find(id)
	if err != nil {
		return found, err
	}
	state := &container.State{Status: c.state, Running: c.running(), OOMKilled: e.Starved[c.name], StartedAt: e.Created.Format(time.RFC3339Nano)}
	refused := c.component() == "" && e.Complains[c.image] != ""
	if c.state == container.StateRestarting || c.state == container.StateExited && (c.prints == "" || refused) {
		state.ExitCode = 1
	}
	command := programOf(c.component())
	found.Container = container.InspectResponse{
		ID: c.id, Name: "/" + c.name, Image: c.imageID, State: state, Path: command[0], Args: command[1:], RestartCount: e.Restarted[c.name],
		Config: &container.Config{Image: c.image, Labels: c.labels}, HostConfig: &container.HostConfig{LogConfig: e.logsOf(c)},
	}
	found.Container.NetworkSettings = &container.NetworkSettings{Networks: map[string]*network.EndpointSettings{}}
	for _, on := range c.networks {
		found.Container.NetworkSettings.Networks[on.name] = &network.EndpointSettings{NetworkID: on.id, Aliases: c.aliases[on.id]}
	}
	return found, nil
}

// logsOf are the options of a container's log, with the engine's driver where it chooses none.
func (e *Engine) logsOf(c *entry) container.LogConfig {
	logs := c.logs
	logs.Type = cmp.Or(logs.Type, e.LogDriver)
	return logs
}

// programOf is what runs in a component's container, as its image starts it.
func programOf(component string) []string {
	switch component {
	case stack.Agent, stack.Aggregator:
		return []string{"/usr/bin/vector", "--config-dir", "/etc/vector"}
	case stack.VictoriaMetrics:
		return []string{"/victoria-metrics-prod", "--storageDataPath=/storage"}
	case stack.Balancer, stack.Gateway, stack.DockerProxy:
		return []string{"/docker-entrypoint.sh", "nginx", "-g", "daemon off;"}
	default:
		return []string{"/" + component}
	}
}

// entrypointOf is how an image of the bundle starts its program.
func entrypointOf(image string) []string {
	pins, err := stack.Images(bundle.FS())
	if err != nil {
		return nil
	}
	switch image {
	case pins["AGENT_IMAGE"], pins["AGGREGATOR_IMAGE"]:
		return programOf(stack.Agent)[:1]
	case pins["VICTORIAMETRICS_IMAGE"]:
		return programOf(stack.VictoriaMetrics)[:1]
	case pins["NGINX_IMAGE"]:
		return programOf(stack.Gateway)
	default:
		return nil
	}
}

// ExecInspect tells how a command ended: all end well but those that check a configuration in Complains.
func (e *Engine) ExecInspect(ctx context.Context, execID string, _ client.ExecInspectOptions) (client.ExecInspectResult, error) {
	var found client.ExecInspectResult
	if err := e.enter(ctx); err != nil {
		return found, err
	}
	defer e.mu.Unlock()
	command, known := e.execs[execID]
	if !known {
		return found, notFoundError("No such exec instance: " + execID)
	}
	if _, complains, is := e.lookExec(command); is && complains {
		found.ExitCode = 1
	}
	return found, nil
}

// lookExec answers the commands that only look: a program that checks its configuration, and the shell that measures.
func (e *Engine) lookExec(command []string) (output string, complains, is bool) {
	if len(command) < 2 {
		return "", false, false
	}
	switch {
	case slices.Contains(command, "validate"), slices.Contains(command, "-dryRun"), slices.Contains(command, "-t") && command[1] == "nginx":
		said := e.Complains[command[0]]
		return said, said != "", true
	case strings.Contains(strings.Join(command, " "), "max_user_instances"):
		return fmt.Sprintf("inotify 1024 65536\nmount /data\nFilesystem 1024-blocks Used Available Capacity Mounted\n"+
			"/dev/vda1 104857600 52428800 %d 50%% /data\ninodes\n/dev/vda1 6553600 100000 6453600 2%% /data\n", e.DiskFree>>10), false, true
	default:
		return "", false, false
	}
}
