package stack

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
)

// Scale brings the project's replica counts about and returns when every replica is ready and the balancer sends to
// each of them and to no other. project already carries the new counts.
func (m *Manager) Scale(ctx context.Context, project *types.Project, timeout time.Duration) error {
	if err := m.Up(ctx, project, UpOptions{Wait: true, WaitTimeout: timeout}); err != nil {
		return err
	}
	return m.WaitBalanced(ctx, project.Name, balancedIn)
}

// balancedIn bounds the wait for the balancer: it asks Docker's DNS every 2 s (config/balancer/nginx.conf) and gives
// a dead replica up after a connect timeout of 1 s.
const balancedIn = 20 * time.Second

// WaitBalanced returns when the balancer picks each running aggregator and nothing else, on both lanes.
func (m *Manager) WaitBalanced(ctx context.Context, name string, timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	for {
		state, err := m.balance(ctx, name)
		if err != nil || state.even() {
			return err
		}
		if time.Now().After(deadline) {
			return &Error{
				Text:   fmt.Sprintf("the balancer of %q sends to %s, but the aggregators are %s", name, list(state.picked), list(state.live)),
				Advice: "look at its log: docker telemetry logs balancer",
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollEvery):
		}
	}
}

// balance is one measurement: who is alive, and whom the balancer picked in several rounds.
type balance struct{ live, picked []string }

func (b balance) even() bool { return slices.Equal(b.live, b.picked) }

func (m *Manager) balance(ctx context.Context, name string) (balance, error) {
	containers, err := m.Containers(ctx, name)
	if err != nil {
		return balance{}, err
	}
	var state balance
	var balancer string
	for _, c := range containers {
		switch {
		case c.Component == Balancer && c.State == "running":
			balancer = c.ID
		case c.Component == Aggregator && c.State == "running" && c.Address != "":
			state.live = append(state.live, c.Address)
		}
	}
	if balancer == "" {
		return state, &Error{
			Text:   fmt.Sprintf("the balancer of %q does not run", name),
			Advice: "start the stack: docker telemetry up",
		}
	}
	slices.Sort(state.live)
	state.picked, err = m.picks(ctx, balancer, 4*max(1, len(state.live)))
	return state, err
}

// picks asks the balancer on both lanes whom it would send to. Each request is picked by the very upstream that
// carries the data, so this sees what a batch would see, a connect that failed over included.
func (m *Manager) picks(ctx context.Context, balancer string, rounds int) ([]string, error) {
	script := fmt.Sprintf(`i=0; while [ $i -lt %d ]; do i=$((i+1)); for lane in logs metrics; do
wget -q -S -T 5 --post-data '' -O /dev/null "http://127.0.0.1:8081/replica/$lane" 2>&1 | grep -i 'x-replica:'; done; done`, rounds)
	out, err := m.exec(ctx, balancer, "sh", "-c", script)
	if err != nil {
		return nil, err
	}
	var picked []string
	for line := range strings.Lines(out) {
		_, value, found := strings.Cut(line, ":")
		if !found {
			continue
		}
		// "a:6000, b:6000" when a did not answer and b was tried next.
		for _, address := range strings.Split(value, ",") {
			host, _, err := net.SplitHostPort(strings.TrimSpace(address))
			if err != nil {
				host = strings.TrimSpace(address)
			}
			if !slices.Contains(picked, host) {
				picked = append(picked, host)
			}
		}
	}
	slices.Sort(picked)
	return picked, nil
}

func list(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}
