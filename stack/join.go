package stack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/compose/v5/pkg/api"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

const (
	// Collector takes OTLP; the profile otel brings it.
	Collector = "collector"
	// joinedAlias marks the networks that the collector is on for the sake of a Compose project, which are those that it
	// leaves again. A network that an overlay or a person put it on has no such alias, and stays.
	joinedAlias = "docker-telemetry-collector"
	networkPoll = 100 * time.Millisecond
)

// Join is the wish of a Compose project to reach the collector by a name of its own.
type Join struct {
	Project  string
	Alias    string   // what its containers call the collector
	Networks []string // as Compose or the engine calls them; none are all of the project's
}

// AwaitNetworks waits until there is a network to join, and all that the join names: Compose 5.6 makes a project's networks
// while its providers run already. It refuses where none came within the time.
func (m *Manager) AwaitNetworks(ctx context.Context, join Join, within time.Duration) error {
	deadline := time.Now().Add(within)
	for {
		err := m.checkJoin(ctx, join)
		var missing *Error
		if !errors.As(err, &missing) || !time.Now().Before(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(networkPoll):
		}
	}
}

func (m *Manager) checkJoin(ctx context.Context, join Join) error {
	found, missing, err := m.networksOf(ctx, join)
	switch {
	case err != nil:
		return err
	case len(missing) > 0:
		return &Error{
			Text:   fmt.Sprintf("project %q has no network %q, and the engine knows none of that name", join.Project, missing[0]),
			Advice: "name one of the networks in the compose file", Usage: true,
		}
	case len(found) == 0:
		return &Error{
			Text: fmt.Sprintf("this engine has no network of project %q", join.Project),
			Advice: "where Compose talks to another engine, say which by DOCKER_CONTEXT or DOCKER_HOST: Compose passes no --context on; " +
				"where all networks are external, name them in the option network",
		}
	}
	return nil
}

// networksOf finds the networks of a join, and the names among those asked for that nothing is called by.
func (m *Manager) networksOf(ctx context.Context, join Join) (found []network.Summary, missing []string, err error) {
	list, err := m.Docker.NetworkList(ctx, client.NetworkListOptions{Filters: make(client.Filters).Add("label", api.ProjectLabel+"="+join.Project)})
	if err != nil {
		return nil, nil, fmt.Errorf("list the networks of project %q: %w", join.Project, err)
	}
	// A relay's network is between Compose and another provider.
	own := slices.DeleteFunc(list.Items, func(item network.Summary) bool { _, relay := item.Labels[api.RelayNetworkLabel]; return relay })
	if len(join.Networks) == 0 {
		return own, nil, nil
	}
	all, err := m.Docker.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("list the networks of the engine: %w", err)
	}
	for _, name := range join.Networks {
		at := slices.IndexFunc(own, func(item network.Summary) bool { return item.Labels[api.NetworkLabel] == name })
		if at >= 0 {
			found = append(found, own[at])
			continue
		}
		if at = slices.IndexFunc(all.Items, func(item network.Summary) bool { return item.Name == name }); at >= 0 {
			found = append(found, all.Items[at])
			continue
		}
		missing = append(missing, name)
	}
	return found, missing, nil
}

// SyncJoins puts the collector onto the networks of the joins, under their names, and takes it off those that it had
// joined for others. A network that is gone is no error. The caller holds the stack's lock.
func (m *Manager) SyncJoins(ctx context.Context, name string, joins []Join) error {
	wanted, err := m.wantedNames(ctx, joins)
	if err != nil {
		return err
	}
	found, err := m.Docker.ContainerList(ctx, client.ContainerListOptions{
		All: true, Filters: make(client.Filters).Add("label", StackLabel+"="+name).Add("label", ComponentLabel+"="+Collector),
	})
	if err != nil {
		return fmt.Errorf("look for the collector: %w", err)
	}
	for _, item := range found.Items {
		if err := m.syncCollector(ctx, item.ID, wanted); err != nil {
			return err
		}
	}
	return nil
}

// names are what the collector is called on one network.
type names struct {
	network string
	aliases []string // sorted
}

// wantedNames are what the collector is to be called, by the ID of the network. Two projects may share one.
func (m *Manager) wantedNames(ctx context.Context, joins []Join) (map[string]names, error) {
	wanted := map[string]names{}
	for _, join := range joins {
		networks, _, err := m.networksOf(ctx, join)
		if err != nil {
			return nil, err
		}
		for _, item := range networks {
			aliases := slices.Concat(wanted[item.ID].aliases, []string{join.Alias})
			slices.Sort(aliases)
			wanted[item.ID] = names{item.Name, slices.Compact(aliases)}
		}
	}
	return wanted, nil
}

func (m *Manager) syncCollector(ctx context.Context, id string, wanted map[string]names) error {
	inspected, err := m.Docker.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return fmt.Errorf("look at the networks of the collector: %w", err)
	}
	has := map[string]names{}
	if settings := inspected.Container.NetworkSettings; settings != nil {
		for name, endpoint := range settings.Networks {
			has[endpoint.NetworkID] = names{name, endpoint.Aliases}
		}
	}
	for _, networkID := range slices.Sorted(maps.Keys(has)) {
		_, stays := wanted[networkID]
		if stays || !slices.Contains(has[networkID].aliases, joinedAlias) {
			continue
		}
		if err := m.leave(ctx, id, networkID, has[networkID].network); err != nil {
			return err
		}
	}
	var failed []error
	for _, networkID := range slices.Sorted(maps.Keys(wanted)) {
		failed = append(failed, m.join(ctx, id, networkID, wanted[networkID], has))
	}
	return errors.Join(failed...)
}

// join gives the collector its names on one network. An engine adds no name to a container that is there already: it leaves
// first and comes back with those that it had, and a sender tries again meanwhile.
func (m *Manager) join(ctx context.Context, id, networkID string, wanted names, has map[string]names) error {
	aliases := append(slices.Clone(wanted.aliases), joinedAlias)
	if now, there := has[networkID]; there {
		if sameNames(now.aliases, aliases, id) {
			return nil
		}
		if !slices.Contains(now.aliases, joinedAlias) {
			aliases = append(slices.Clone(wanted.aliases), now.aliases...) // not ours to leave
		}
		if err := m.leave(ctx, id, networkID, wanted.network); err != nil {
			return err
		}
	}
	_, err := m.Docker.NetworkConnect(ctx, networkID, client.NetworkConnectOptions{
		Container: id,
		// Never the collector's way out: its published ports stay with the network that they were opened on.
		EndpointConfig: &network.EndpointSettings{Aliases: aliases, GwPriority: -1},
	})
	if err != nil && !cerrdefs.IsNotFound(err) {
		return &Error{
			Text:   fmt.Sprintf("the collector cannot join network %s: %s", wanted.network, lastCause(err)),
			Advice: "name the networks to be reached on in the option network", Err: err,
		}
	}
	return nil
}

func (m *Manager) leave(ctx context.Context, id, networkID, name string) error {
	_, err := m.Docker.NetworkDisconnect(ctx, networkID, client.NetworkDisconnectOptions{Container: id})
	if err != nil && !cerrdefs.IsNotFound(err) {
		return fmt.Errorf("take the collector off network %s: %w", name, err)
	}
	return nil
}

// sameNames compares without the name that an engine makes of the container's ID.
func sameNames(has, wanted []string, id string) bool {
	var given []string
	for _, name := range has {
		if !strings.HasPrefix(id, name) {
			given = append(given, name)
		}
	}
	for _, name := range wanted {
		if name != joinedAlias && !slices.Contains(given, name) {
			return false
		}
	}
	return !slices.Contains(given, joinedAlias) || len(given) == len(wanted)
}

// ComposeProjects names the Compose projects that have a container on the engine, a stopped one as well.
func (m *Manager) ComposeProjects(ctx context.Context) (map[string]bool, error) {
	found, err := m.Docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", api.ProjectLabel)})
	if err != nil {
		return nil, fmt.Errorf("list the Compose projects: %w", err)
	}
	projects := map[string]bool{}
	for _, item := range found.Items {
		projects[item.Labels[api.ProjectLabel]] = true
	}
	return projects, nil
}
