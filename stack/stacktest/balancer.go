package stacktest

import (
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/moby/moby/client"

	"github.com/docker-telemetry/docker-telemetry/stack"
)

// laneExec answers a connection to a lane of the balancer, as nginx does: HTTP/2 without TLS.
func (e *Engine) laneExec(command []string) (client.ExecAttachResult, bool) {
	if len(command) == 0 || command[0] != stack.Balancer || !slices.Contains(command, "nc") {
		return client.ExecAttachResult{}, false
	}
	ours, theirs := net.Pipe()
	host, port := command[len(command)-2], command[len(command)-1]
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	// Those of the lane and not of this connection: a client opens a second one where a burst has more requests than a
	// connection takes streams, and the balancer's order does not begin anew with it.
	turns := e.turnsOf(port)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// nginx picks the replica by the header, before the body is there.
		turn := turns.Add(1)
		batch, _ := io.ReadAll(r.Body)
		e.pushTo(w, host, port, int(turn), batch)
	})
	server := &http.Server{Handler: handler, Protocols: &protocols} //nolint:gosec // the peer is a test
	go func() { _ = server.Serve(newOneConn(framed{theirs})) }()
	return client.ExecAttachResult{HijackedResponse: client.NewHijackedResponse(ours, "")}, true
}

// turnsOf counts the batches of a lane, by its port.
func (e *Engine) turnsOf(port string) *atomic.Int64 {
	turns, _ := e.turns.LoadOrStore(port, new(atomic.Int64))
	return turns.(*atomic.Int64)
}

// pushTo answers a batch for the aggregator whose turn it is, or for that one whose address was connected to.
func (e *Engine) pushTo(w http.ResponseWriter, host, port string, turn int, batch []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	picked := e.picked()
	if host != "127.0.0.1" {
		picked = []string{host}
	}
	w.Header().Set("Content-Type", "application/grpc")
	if len(picked) == 0 {
		w.Header().Set("Grpc-Status", "14")
		w.Header().Set("Grpc-Message", "no aggregator available")
		return
	}
	address := picked[turn%len(picked)]
	for _, c := range e.containers {
		if e.Favourite != "" && c.name == e.Favourite {
			address = favours(c.address.String(), picked, turn)
		}
	}
	w.Header().Set("Telemetry-Replica", net.JoinHostPort(address, port))
	status := "0"
	e.batches = append(e.batches, batch)
	for _, c := range e.containers {
		if c.address.String() == address && e.Deaf[c.name] {
			status = "13"
		}
	}
	w.Header().Set("Trailer", "Grpc-Status")
	_, _ = w.Write(make([]byte, 5))
	w.Header().Set("Grpc-Status", status)
}

// favours gives four batches of any five to one aggregator, and the fifth to the others in turn.
func favours(favourite string, picked []string, turn int) string {
	others := slices.DeleteFunc(slices.Clone(picked), func(address string) bool { return address == favourite })
	if turn%5 != 0 || len(others) == 0 {
		return favourite
	}
	return others[turn/5%len(others)]
}

// oneConn is a listener that accepts one connection, and ends with it.
type oneConn struct {
	conns chan net.Conn
	ended chan struct{}
}

func newOneConn(conn net.Conn) oneConn {
	l := oneConn{conns: make(chan net.Conn, 1), ended: make(chan struct{})}
	l.conns <- &endingConn{Conn: conn, end: sync.OnceFunc(func() { close(l.ended) })}
	return l
}

func (l oneConn) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	default:
	}
	<-l.ended
	return nil, net.ErrClosed
}

func (oneConn) Close() error   { return nil }
func (oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// endingConn tells its listener that it was closed.
type endingConn struct {
	net.Conn
	end func()
}

func (c *endingConn) Close() error {
	c.end()
	return c.Conn.Close()
}
