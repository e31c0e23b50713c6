package stack

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"golang.org/x/sync/errgroup"
)

const (
	// balancedIn bounds the wait for the balancer: it asks Docker's DNS every 2 s (config/balancer/nginx.conf) and gives
	// a dead replica up after a connect timeout of 1 s.
	balancedIn = 20 * time.Second
	// MaxSkew is how far a replica's share of the requests may be from an even one.
	MaxSkew = 0.2
	// A look is cheap and repeated until the balancer knows each replica; a measurement is large enough for a share.
	lookRounds, measureRounds = 4, 20
	// The balancer takes 512 requests on a connection (http2_max_concurrent_streams).
	maxBurst = 400
)

// Scale brings the project's replica counts about and returns when every replica is ready and, as measured, gets an
// even share of the requests. A replica that has to go gets SIGTERM and its stop_grace_period: Vector takes no more,
// and ends when the stores have what it holds; what it does not take any more the agent sends again.
// project already carries the new counts.
func (m *Manager) Scale(ctx context.Context, project *types.Project, timeout time.Duration) (Balance, error) {
	if err := m.Up(ctx, project, UpOptions{Wait: true, WaitTimeout: timeout}); err != nil {
		return Balance{}, err
	}
	return m.WaitBalanced(ctx, project.Name, min(timeout, balancedIn))
}

// Balance is one measurement: which replicas there are, and which of them got the marked requests.
type Balance struct {
	Replicas []Share
	Strays   []string      // addresses the balancer sent to that are no replica's
	Lost     []string      // answers that no replica gave, by lane
	Settled  time.Duration // until each replica and nothing else was seen to get requests, from when all were healthy
}

// Share is what one replica got.
type Share struct {
	Name    string // of the container
	Address string
	Lanes   []LaneShare // in the order of Lanes
}

// LaneShare counts marked requests of one lane.
type LaneShare struct {
	Lane     string
	Requests int
	Share    float64 // of those that were answered, 0 to 1
	Refused  int     // the replica was tried and did not answer
	Said     string  // its answer, where it was not well
}

// Skew is how far the lane's share is from an even one among that many replicas: 0.2 is 20 %.
func (s LaneShare) Skew(replicas int) float64 {
	return s.Share*float64(replicas) - 1
}

// UnevenError says that the replicas run and do not get what they should.
type UnevenError struct {
	Stack   string
	Cause   string
	Balance Balance
}

func (e *UnevenError) Error() string {
	return fmt.Sprintf("the aggregators of %q do not share the load: %s", e.Stack, e.Cause)
}

// Hint names the log in which the cause is.
func (e *UnevenError) Hint() string {
	return "docker telemetry logs balancer aggregator"
}

// WaitBalanced returns when each running aggregator, and nothing else, gets an even share of marked requests on every
// lane. Where that does not come about, the error is an *UnevenError.
func (m *Manager) WaitBalanced(ctx context.Context, name string, timeout time.Duration) (Balance, error) {
	began := time.Now()
	var settled time.Duration
	for rounds := lookRounds; ; {
		balance, err := m.measure(ctx, name, rounds)
		balance.Settled = settled
		if err != nil {
			return balance, err
		}
		problem := balance.problem(rounds == measureRounds)
		switch {
		case problem == "" && rounds == measureRounds:
			return balance, nil
		case problem == "":
			settled, rounds = time.Since(began), measureRounds
			continue
		case time.Since(began) > timeout:
			return balance, &UnevenError{Stack: name, Cause: problem, Balance: balance}
		}
		rounds = lookRounds
		select {
		case <-ctx.Done():
			return balance, ctx.Err()
		case <-time.After(pollEvery):
		}
	}
}

// problem is the first thing that is wrong, in one line, or "".
func (b Balance) problem(measured bool) string {
	if len(b.Strays) > 0 {
		return "the balancer still sends to " + strings.Join(b.Strays, ", ") + ", where no replica is"
	}
	for _, replica := range b.Replicas {
		for _, lane := range replica.Lanes {
			if lane.Requests == 0 || lane.Refused > 0 {
				return fmt.Sprintf("%s (%s) %s", replica.Name, replica.Address, lane.silence())
			}
		}
	}
	if len(b.Lost) > 0 {
		return b.Lost[0]
	}
	for _, replica := range b.Replicas {
		for _, lane := range replica.Lanes {
			if measured && math.Abs(lane.Skew(len(b.Replicas))) > MaxSkew {
				return fmt.Sprintf("%s gets %.0f %% of the %s lane, an even share of %d is %.0f %%",
					replica.Name, 100*lane.Share, lane.Lane, len(b.Replicas), 100/float64(len(b.Replicas)))
			}
		}
	}
	return ""
}

// silence says why a replica got nothing.
func (s LaneShare) silence() string {
	switch {
	case s.Said != "":
		return fmt.Sprintf("refuses the %s lane: %s", s.Lane, s.Said)
	case s.Refused > 0:
		return fmt.Sprintf("does not answer on the %s lane", s.Lane)
	default:
		return fmt.Sprintf("gets nothing on the %s lane: the balancer does not know its address", s.Lane)
	}
}

func (m *Manager) measure(ctx context.Context, name string, rounds int) (Balance, error) {
	replicas, balancer, err := m.balanced(ctx, name)
	if err != nil {
		return Balance{}, err
	}
	if len(replicas) == 0 {
		return Balance{}, &Error{Text: fmt.Sprintf("no aggregator of %q runs", name), Advice: "docker telemetry up"}
	}
	lanes := Lanes()
	answers := make([][]laneAnswer, len(lanes))
	group, asking := errgroup.WithContext(ctx)
	for i, lane := range lanes {
		group.Go(func() error {
			client := m.dialLane(balancer, loopback, lane)
			defer client.close()
			var err error
			answers[i], err = client.burst(asking, len(replicas)*min(rounds, maxBurst/len(replicas)))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		if ctx.Err() != nil {
			return Balance{}, ctx.Err()
		}
		return Balance{}, &Error{Text: fmt.Sprintf("the balancer of %q cannot be asked: %v", name, err), Advice: "docker telemetry logs balancer", Err: err}
	}
	return tally(replicas, answers), nil
}

// balanced finds the replicas, by name, and the container of the balancer.
func (m *Manager) balanced(ctx context.Context, name string) (replicas []Share, balancer string, err error) {
	containers, err := m.Containers(ctx, name)
	if err != nil {
		return nil, "", err
	}
	for _, c := range containers {
		switch {
		case c.Component == Balancer && c.State == "running":
			balancer = c.ID
		case c.Component == Aggregator && c.State == "running" && c.Address != "":
			replicas = append(replicas, Share{Name: c.Name, Address: c.Address})
		}
	}
	if balancer == "" {
		return nil, "", &Error{
			Text:   fmt.Sprintf("the balancer of %q does not run", name),
			Advice: "start the stack: docker telemetry up",
		}
	}
	return replicas, balancer, nil
}

// tally counts what the marked requests of each lane met.
func tally(replicas []Share, answers [][]laneAnswer) Balance {
	balance := Balance{Replicas: slices.Clone(replicas)}
	for i := range balance.Replicas {
		balance.Replicas[i].Lanes = make([]LaneShare, 0, len(answers))
	}
	for i, lane := range Lanes() {
		counts := map[string]*LaneShare{}
		for _, replica := range replicas {
			counts[replica.Address] = &LaneShare{Lane: lane.Name}
		}
		all := 0
		for _, answer := range answers[i] {
			all += balance.count(counts, lane, answer)
		}
		for j, replica := range replicas {
			count := *counts[replica.Address]
			count.Share = float64(count.Requests) / float64(max(1, all))
			balance.Replicas[j].Lanes = append(balance.Replicas[j].Lanes, count)
		}
	}
	slices.Sort(balance.Strays)
	balance.Strays = slices.Compact(balance.Strays)
	return balance
}

// count adds one answer and returns 1 where a replica took the request.
func (b *Balance) count(counts map[string]*LaneShare, lane Lane, answer laneAnswer) int {
	for _, address := range answer.tried {
		if count, ours := counts[address]; ours {
			count.Refused++
			continue
		}
		b.Strays = append(b.Strays, address)
	}
	said := fmt.Sprintf("gRPC status %s %s", cmp.Or(answer.status, "none"), answer.message)
	count, ours := counts[answer.replica]
	switch {
	case answer.replica == "":
		b.Lost = append(b.Lost, fmt.Sprintf("the balancer answers on the %s lane: %s", lane.Name, strings.TrimSpace(said)))
		return 0
	case !ours:
		b.Strays = append(b.Strays, answer.replica)
		return 0
	case !answer.well():
		count.Refused++
		count.Said = strings.TrimSpace(said)
		return 0
	}
	count.Requests++
	return 1
}
