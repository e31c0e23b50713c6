package stack

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"
)

const (
	// targetsPath stands beside the agent's other files: it reads them all again on SIGHUP, and ends nothing that stays.
	// The file is not among the project's configs, or each change would make another container of the agent.
	targetsPath   = "/etc/vector/targets.yaml"
	probeTargetIn = 5 * time.Second
	// probesAtOnce bounds the commands that run in the agent's container, which has a limit of processes.
	probesAtOnce = 8
)

// askScript gets a page with what the agent's image has: bash, and no program that speaks HTTP. What it is told comes as
// arguments, so that nothing of a label is read by a shell.
const askScript = `exec 3<>"/dev/tcp/$1/$2" || exit
printf 'GET %s HTTP/1.0\r\nHost: %s\r\nAccept: text/plain\r\n\r\n' "$3" "$1" >&3
head -c 1000000 <&3`

// Targets lists the running containers that ask to be scraped, by name, each with what it is at. It changes nothing.
func (m *Manager) Targets(ctx context.Context, name string) ([]Target, error) {
	agent, targets, known, err := m.lookForTargets(ctx, name)
	if err != nil {
		return nil, err
	}
	return targets, m.askTargets(ctx, agent, targets, known)
}

// lookForTargets finds the agent, what it is wanted to scrape and the file that says what it scrapes now.
func (m *Manager) lookForTargets(ctx context.Context, name string) (agent agentContainer, targets []Target, known string, err error) {
	if agent, err = m.agent(ctx, name); err != nil {
		return agent, nil, "", err
	}
	if targets, err = m.wantedTargets(ctx, name, agent); err != nil {
		return agent, nil, "", err
	}
	known, err = m.readTargets(ctx, agent.id)
	return agent, targets, known, err
}

// SyncTargets makes the agent scrape the containers that ask for it, and no longer those that went: it joins and leaves
// networks, replaces one file and has the agent read its files again. Nothing is restarted. It returns the targets, each
// with what it is at; one that gives no metrics is no error. The caller holds the stack's lock.
func (m *Manager) SyncTargets(ctx context.Context, name string) ([]Target, error) {
	agent, targets, known, err := m.lookForTargets(ctx, name)
	if err != nil {
		return nil, err
	}
	m.joinNetworks(ctx, agent, targets)
	wanted := targetsFile(targets)
	if wanted != known {
		if err := m.writeTargets(ctx, agent.id, wanted); err != nil {
			return nil, err
		}
	}
	if err := m.leaveNetworks(ctx, agent, targets); err != nil {
		return nil, err
	}
	return targets, m.askTargets(ctx, agent, targets, wanted)
}

// agentContainer is the agent, with the networks that it is on.
type agentContainer struct {
	id       string
	networks map[string]string // their IDs by name
}

func (a agentContainer) on(network string) bool {
	_, is := a.networks[network]
	return is
}

func (m *Manager) agent(ctx context.Context, name string) (agentContainer, error) {
	found, err := m.Docker.ContainerList(ctx, client.ContainerListOptions{
		Filters: make(client.Filters).Add("label", StackLabel+"="+name).Add("label", ComponentLabel+"="+Agent),
	})
	if err != nil {
		return agentContainer{}, fmt.Errorf("look for the agent: %w", err)
	}
	for _, item := range found.Items {
		if item.State != container.StateRunning || item.NetworkSettings == nil {
			continue
		}
		agent := agentContainer{id: item.ID, networks: map[string]string{}}
		for network, endpoint := range item.NetworkSettings.Networks {
			agent.networks[network] = ""
			if endpoint != nil {
				agent.networks[network] = endpoint.NetworkID
			}
		}
		return agent, nil
	}
	return agentContainer{}, &Error{Text: fmt.Sprintf("the agent of %q does not run", name), Advice: "start it: docker telemetry up"}
}

// wantedTargets leaves out the containers of other stacks: their components are on networks that no agent of ours may
// join, and their own agent scrapes them.
func (m *Manager) wantedTargets(ctx context.Context, name string, agent agentContainer) ([]Target, error) {
	found, err := m.Docker.ContainerList(ctx, client.ContainerListOptions{Filters: make(client.Filters).Add("label", ScrapeLabel+"=true")})
	if err != nil {
		return nil, fmt.Errorf("list the containers that ask to be scraped: %w", err)
	}
	var targets []Target
	for _, item := range found.Items {
		if stack, ours := item.Labels[StackLabel]; ours && stack != name || item.State != container.StateRunning {
			continue
		}
		targets = append(targets, targetOf(item, agent.on))
	}
	slices.SortFunc(targets, func(a, b Target) int { return strings.Compare(a.Container, b.Container) })
	return targets, nil
}

// joinNetworks refuses a target whose network the agent cannot join, with what the engine says.
func (m *Manager) joinNetworks(ctx context.Context, agent agentContainer, targets []Target) {
	for i := range targets {
		target := &targets[i]
		if target.State == Refused || agent.on(target.Network) {
			continue
		}
		_, err := m.Docker.NetworkConnect(ctx, target.networkID, client.NetworkConnectOptions{Container: agent.id})
		if err != nil {
			target.State, target.Problem = Refused, fmt.Sprintf("the agent cannot join network %s: %s", target.Network, lastCause(err))
			continue
		}
		agent.networks[target.Network] = target.networkID
	}
}

// leaveNetworks leaves those that were joined for a target which is gone: a network with a container on it cannot be
// removed by its owner.
func (m *Manager) leaveNetworks(ctx context.Context, agent agentContainer, targets []Target) error {
	own, err := m.Docker.NetworkList(ctx, client.NetworkListOptions{Filters: make(client.Filters).Add("label", StackLabel)})
	if err != nil {
		return fmt.Errorf("list the networks of the stack: %w", err)
	}
	stay := map[string]bool{}
	for _, item := range own.Items {
		stay[item.Name] = true
	}
	for _, target := range targets {
		if target.State != Refused {
			stay[target.Network] = true
		}
	}
	for _, network := range slices.Sorted(maps.Keys(agent.networks)) {
		if stay[network] {
			continue
		}
		_, err := m.Docker.NetworkDisconnect(ctx, agent.networks[network], client.NetworkDisconnectOptions{Container: agent.id})
		if err != nil {
			return fmt.Errorf("leave network %s: %w", network, err)
		}
	}
	return nil
}

func (m *Manager) readTargets(ctx context.Context, agent string) (string, error) {
	return m.exec(ctx, agent, "sh", "-c", "if [ -e "+targetsPath+" ]; then cat "+targetsPath+"; fi")
}

// writeTargets replaces the file and has the agent read its configuration. The agent goes on with the old one where it
// takes the new one for wrong.
func (m *Manager) writeTargets(ctx context.Context, agent, text string) error {
	if text == "" {
		return m.reloadAgent(ctx, agent, "rm -f "+targetsPath)
	}
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	// Under another name first, so that an agent that is started meanwhile finds a whole file. It reads .yaml only.
	header := tar.Header{Name: strings.TrimPrefix(targetsPath, "/") + ".new", Mode: 0o444, ModTime: time.Now()}
	if err := errors.Join(addFile(writer, header, []byte(text)), writer.Close()); err != nil {
		return err
	}
	if _, err := m.Docker.CopyToContainer(ctx, agent, client.CopyToContainerOptions{DestinationPath: "/", Content: &archive}); err != nil {
		return fmt.Errorf("copy the targets into the agent: %w", err)
	}
	return m.reloadAgent(ctx, agent, "mv -f "+targetsPath+".new "+targetsPath)
}

func (m *Manager) reloadAgent(ctx context.Context, agent, change string) error {
	if err := m.script(ctx, agent, "", change+" && kill -HUP 1 && echo done"); err != nil {
		return fmt.Errorf("have the agent read its targets: %w", err)
	}
	return nil
}

// askTargets asks each target that the agent knows of, from the agent's own place.
func (m *Manager) askTargets(ctx context.Context, agent agentContainer, targets []Target, known string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(probesAtOnce)
	for i := range targets {
		target := &targets[i]
		if target.State == Refused || !strings.Contains(known, target.id()+":") || !agent.on(target.Network) {
			continue
		}
		group.Go(func() error {
			answer, err := m.ask(ctx, agent.id, target.Host, strconv.Itoa(target.Port), target.Path)
			if err != nil {
				return err
			}
			target.judge(answer)
			return nil
		})
	}
	return group.Wait()
}

// ask gets a page from the agent's place; the answer holds its status line and header, or what bash said instead.
func (m *Manager) ask(ctx context.Context, agent, host, port, path string) (string, error) {
	return m.exec(ctx, agent, "timeout", strconv.Itoa(int(probeTargetIn.Seconds())), "bash", "-c", askScript, "ask", host, port, path)
}

// WatchTargets calls changed for each start or end of a container that asks to be scraped, and when the agent is
// another one, until the context ends, whose error it returns.
func (m *Manager) WatchTargets(ctx context.Context, name string, changed func()) error {
	filters := make(client.Filters).Add("type", string(events.ContainerEventType)).
		Add("event", string(events.ActionStart)).Add("event", string(events.ActionDie))
	stream := m.Docker.Events(ctx, client.EventsListOptions{Filters: filters})
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-stream.Err:
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("follow the engine's events: %w", err)
		case message := <-stream.Messages:
			labels := message.Actor.Attributes
			ourAgent := labels[StackLabel] == name && labels[ComponentLabel] == Agent && message.Action == events.ActionStart
			if labels[ScrapeLabel] == "true" || ourAgent {
				changed()
			}
		}
	}
}
