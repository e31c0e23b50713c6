package stack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/docker/compose/v5/pkg/api"
)

// AdoptPassword makes a running store take the password that is among its container's secrets. OpenObserve and
// Grafana read it on the first start of their volume only; each has a command of its own that resets it, and these
// commands read the secret's file, so that the password is in no argument and in no environment.
// It returns what the command printed. Whether the password counts now is for a log-in to show: the exit code of
// OpenObserve's reset is 0 in some releases when it failed.
func (m *Manager) AdoptPassword(ctx context.Context, name, component string, timeout time.Duration) (string, error) {
	if component == VictoriaMetrics {
		// It has no account: the password is what the file says, read at the start and every two seconds after.
		return "", nil
	}
	m.report(api.Resource{ID: "Password " + component, Status: api.Working, Text: "Changing"})
	said, err := m.reset(ctx, name, component, timeout)
	if err != nil {
		m.report(api.Resource{ID: "Password " + component, Status: api.Error, Text: api.StatusError})
		return said, err
	}
	m.report(api.Resource{ID: "Password " + component, Status: api.Done, Text: "Changed"})
	return said, nil
}

func (m *Manager) reset(ctx context.Context, name, component string, timeout time.Duration) (string, error) {
	id, err := m.running(ctx, name, component, "its password cannot be changed")
	if err != nil {
		return "", err
	}
	said, err := m.exec(ctx, id, resetCommand(component)...)
	if err != nil || component != OpenObserve {
		return strings.TrimSpace(said), err
	}
	// A running OpenObserve keeps the account in memory and hears of no change by another process.
	options := api.RestartOptions{Services: []string{component}, NoDeps: true}
	if err := m.Compose.Restart(ctx, name, options); err != nil {
		return said, fmt.Errorf("restart %q: %w", component, err)
	}
	return strings.TrimSpace(said), m.waitNamed(ctx, name, []string{component}, timeout)
}

func resetCommand(component string) []string {
	if component == OpenObserve {
		return []string{"/openobserve", "-c", "/run/secrets/openobserve_env", "reset", "-c", "root"}
	}
	return []string{
		"sh", "-c", `exec grafana cli "--homepath=$GF_PATHS_HOME" admin reset-admin-password --password-from-stdin ` +
			"</run/secrets/grafana_admin_password",
	}
}

// running finds the container of a component; without one the error says what cannot be done.
func (m *Manager) running(ctx context.Context, name, component, undone string) (id string, err error) {
	containers, err := m.Containers(ctx, name)
	if err != nil {
		return "", err
	}
	at := slices.IndexFunc(containers, func(c Container) bool { return c.Component == component && c.Ready() })
	if at < 0 {
		return "", &Error{
			Text: component + " does not run, so " + undone, Advice: "start it: docker telemetry up",
		}
	}
	return containers[at].ID, nil
}
