package stack

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"
)

// Lane is one of the ways from the agent through the balancer to the aggregators.
type Lane struct {
	Name string
	Port string // of the balancer and, behind it, of each aggregator
}

// Lanes are those of config/balancer: a file and an upstream each.
func Lanes() []Lane { return []Lane{{Name: "logs", Port: "6001"}, {Name: "metrics", Port: "6000"}} }

const (
	// probeHeader marks a request, and replicaHeader answers it: config/balancer/nginx.conf.
	probeHeader   = "Telemetry-Probe"
	replicaHeader = "Telemetry-Replica"
	// pushPath is what Vector's own sink calls (proto/vector/vector.proto).
	pushPath = "/vector.Vector/PushEvents"
	// loopback is a container's own address.
	loopback = "127.0.0.1"
	// answeredIn bounds one marked request; the balancer gives a dead replica up after 1 s.
	answeredIn = 10 * time.Second
)

// framedPush is a PushEventsRequest as gRPC sends it. One without a byte has no event: a source takes it as any other
// batch, and nothing of it reaches a store.
func framedPush(batch []byte) []byte {
	frame := make([]byte, 5, 5+len(batch))
	binary.BigEndian.PutUint32(frame[1:], uint32(len(batch))) //nolint:gosec // a batch has a few hundred bytes
	return append(frame, batch...)
}

// laneClient sends marked requests into a lane from inside the stack's network: nothing of it is published.
type laneClient struct {
	http *http.Client
	lane Lane
}

// dialLane speaks through a command in the balancer's container, which every image of nginx's Alpine variant has. host is
// the balancer itself, or an aggregator's address.
func (m *Manager) dialLane(balancer, host string, lane Lane) *laneClient {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	return &laneClient{lane: lane, http: &http.Client{Transport: &http.Transport{
		Protocols: &protocols,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return m.netcat(ctx, balancer, host, lane.Port)
		},
	}}}
}

func (c *laneClient) close() { c.http.CloseIdleConnections() }

// laneAnswer is what became of one marked request.
type laneAnswer struct {
	tried   []string // addresses that did not answer, in order
	replica string   // the address that did, "" where none was found
	status  string   // of gRPC, "0" is well
	message string
}

func (a laneAnswer) well() bool { return a.replica != "" && a.status == "0" }

// burst sends empty batches that are all under way at once, and tells who got each. The balancer gives a request to the
// replica with the fewest under way: with one at a time, a replica that works on a batch of the agent's would get none
// of them. Held open together they are spread as if it had one more than the others.
func (c *laneClient) burst(ctx context.Context, requests int) ([]laneAnswer, error) {
	// The first makes the connection, so that the others share it: the balancer reads them in their order, each header
	// before the first body.
	if _, err := c.push(ctx, framedPush(nil), closed(), func() {}); err != nil {
		return nil, err
	}
	answers := make([]laneAnswer, requests)
	release := make(chan struct{})
	var sending sync.WaitGroup
	sending.Add(requests)
	group, asking := errgroup.WithContext(ctx)
	for i := range requests {
		group.Go(func() error {
			sent := sync.OnceFunc(sending.Done)
			defer sent()
			var err error
			answers[i], err = c.push(asking, framedPush(nil), release, sent)
			return err
		})
	}
	sending.Wait()
	close(release)
	return answers, group.Wait()
}

func closed() chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

// heldBody is an empty batch that is sent when it is released.
type heldBody struct {
	ctx     context.Context //nolint:containedctx // a reader has no other way to learn of the request's end
	release <-chan struct{}
	batch   *bytes.Reader
}

func (b heldBody) Read(into []byte) (int, error) {
	select {
	case <-b.release:
		return b.batch.Read(into)
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	}
}

// push sends one framed batch and tells who got it. Its body waits for the release; sent is called when its header is out.
func (c *laneClient) push(ctx context.Context, batch []byte, release <-chan struct{}, sent func()) (laneAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, answeredIn)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: sent})
	target := url.URL{Scheme: "http", Host: net.JoinHostPort("balancer", c.lane.Port), Path: pushPath}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), heldBody{ctx, release, bytes.NewReader(batch)})
	if err != nil {
		return laneAnswer{}, err
	}
	request.Header.Set("Content-Type", "application/grpc")
	request.Header.Set("TE", "trailers")
	request.Header.Set(probeHeader, "scale")
	response, err := c.http.Do(request)
	if err != nil {
		return laneAnswer{}, fmt.Errorf("push to the balancer's %s lane: %w", c.lane.Name, err)
	}
	defer response.Body.Close()
	// The trailers come after the body.
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20)); err != nil {
		return laneAnswer{}, fmt.Errorf("push to the balancer's %s lane: %w", c.lane.Name, err)
	}
	return answerOf(response), nil
}

func answerOf(response *http.Response) laneAnswer {
	first := func(name string) string {
		if value := response.Trailer.Get(name); value != "" {
			return value
		}
		return response.Header.Get(name) // an answer without a body has everything in the header
	}
	answer := laneAnswer{status: first("Grpc-Status"), message: first("Grpc-Message")}
	if response.StatusCode != http.StatusOK {
		answer.status = response.Status
	}
	// "a:6001, b:6001" when a did not answer and b was tried next; a name instead of an address when none was left.
	for _, text := range strings.Split(response.Header.Get(replicaHeader), ",") {
		host, _, err := net.SplitHostPort(strings.TrimSpace(text))
		if err != nil {
			continue
		}
		answer.tried = append(answer.tried, host)
	}
	if last := len(answer.tried) - 1; last >= 0 && answer.status != "14" {
		answer.replica, answer.tried = answer.tried[last], answer.tried[:last]
	}
	return answer
}

// netcat connects to an address as a container sees it.
func (m *Manager) netcat(ctx context.Context, id, host, port string) (net.Conn, error) {
	attached, err := m.attach(ctx, id, client.ExecCreateOptions{
		Cmd: []string{"busybox", "nc", host, port}, AttachStdin: true, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return nil, err
	}
	answers, writer := io.Pipe()
	go func() {
		var said strings.Builder
		_, err := stdcopy.StdCopy(writer, &said, attached.Reader)
		if err == nil && said.Len() > 0 {
			err = errors.New(lastLine(strings.TrimSpace(said.String()))) // "nc: can't connect to ...: Connection refused"
		}
		writer.CloseWithError(err)
	}()
	return tunnel{Conn: attached.Conn, answers: answers}, nil
}
