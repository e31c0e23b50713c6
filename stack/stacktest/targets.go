package stacktest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/moby/client"

	"github.com/docker-telemetry/docker-telemetry/stack"
)

// Place puts a container onto a network that is made for it, beside no other.
func (e *Engine) Place(container, network string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.containers {
		if c.name == container {
			e.networked++
			on := &netEntry{id: fmt.Sprintf("network-%d", e.networked), name: network, made: e.networked}
			e.networks = append(e.networks, on)
			c.networks = []*netEntry{on}
		}
	}
}

// RemoveContainer ends a container that is not ours.
func (e *Engine) RemoveContainer(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.containers = slices.DeleteFunc(e.containers, func(c *entry) bool { return c.name == name })
}

// NetworkConnect puts a container onto a network.
func (e *Engine) NetworkConnect(ctx context.Context, id string, options client.NetworkConnectOptions) (client.NetworkConnectResult, error) {
	var done client.NetworkConnectResult
	if err := e.enter(ctx); err != nil {
		return done, err
	}
	defer e.mu.Unlock()
	c, on, err := e.findBoth(options.Container, id)
	if err != nil {
		return done, err
	}
	if strings.HasPrefix(on.name, "swarm") {
		return done, fmt.Errorf("error response from daemon: Could not attach to network %s: network %s not manually attachable", on.name, on.name)
	}
	if slices.Contains(c.networks, on) {
		return done, fmt.Errorf("endpoint with name %s already exists in network %s", c.name, on.name)
	}
	verb := "connect " + c.name
	if options.EndpointConfig != nil {
		verb += " as " + strings.Join(options.EndpointConfig.Aliases, ",") + " to"
	}
	if err := e.change(ctx, verb, on.name); err != nil {
		return done, err
	}
	c.networks = append(c.networks, on)
	if options.EndpointConfig != nil {
		c.aliases[on.id] = append(slices.Clone(options.EndpointConfig.Aliases), c.id[:12])
	}
	return done, nil
}

// NetworkDisconnect takes a container off a network.
func (e *Engine) NetworkDisconnect(ctx context.Context, id string, options client.NetworkDisconnectOptions) (client.NetworkDisconnectResult, error) {
	var done client.NetworkDisconnectResult
	if err := e.enter(ctx); err != nil {
		return done, err
	}
	defer e.mu.Unlock()
	c, off, err := e.findBoth(options.Container, id)
	if err != nil {
		return done, err
	}
	if err := e.change(ctx, "disconnect "+c.name, off.name); err != nil {
		return done, err
	}
	c.networks = slices.DeleteFunc(c.networks, func(on *netEntry) bool { return on == off })
	delete(c.aliases, off.id)
	return done, nil
}

func (e *Engine) findBoth(container, network string) (*entry, *netEntry, error) {
	c, err := e.find(container)
	if err != nil {
		return nil, nil, err
	}
	for _, on := range e.networks {
		if on.id == network {
			return c, on, nil
		}
	}
	return nil, nil, notFoundError("network " + network + " not found")
}

// Events has none: it ends with its context.
func (e *Engine) Events(ctx context.Context, _ client.EventsListOptions) client.EventsResult {
	failed := make(chan error, 1)
	context.AfterFunc(ctx, func() { failed <- ctx.Err() })
	return client.EventsResult{Err: failed}
}

// agentExec runs the commands of the agent that keep its file of targets and ask one: Answers says what that says.
func (e *Engine) agentExec(command []string) (output string, is bool) {
	const file = "/etc/vector/targets.yaml"
	if len(command) < 2 || command[0] != stack.Agent {
		return "", false
	}
	for _, c := range e.containers {
		if c.component() != stack.Agent {
			continue
		}
		script := command[len(command)-1]
		switch {
		case command[1] == "timeout":
			words := command[len(command)-3:]
			if e.answers(words[0]) {
				return "HTTP/1.0 200 OK\r\n\r\n", true
			}
			return e.Answers[words[0]+":"+words[1]+words[2]], true
		case strings.Contains(script, "cat "+file):
			return c.files[file], true
		case strings.HasPrefix(script, "find /etc/vector "):
			return "done\n", true
		case strings.HasPrefix(script, "rm -f /etc/vector/probe-"):
			file, _, _ := strings.Cut(strings.TrimPrefix(script, "rm -f "), " ")
			delete(c.files, file)
			return "done\n", true
		case strings.HasPrefix(script, "mv -f "):
			c.files[file] = c.files[file+".new"]
			delete(c.files, file+".new")
			return "done\n", true
		case strings.HasPrefix(script, "rm -f "):
			delete(c.files, file)
			return "done\n", true
		}
	}
	return "", false
}

// answers reports whether a host is a component that runs, or a probe.
func (e *Engine) answers(host string) bool {
	return slices.ContainsFunc(e.containers, func(c *entry) bool {
		return c.component() == host && c.running() || c.labels[stack.ProbeLabel] != "" && c.name == host
	})
}
