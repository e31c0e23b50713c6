package stacktest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"time"
)

// serveGateway listens where the gateway's container publishes its port.
func (e *Engine) serveGateway(ctx context.Context, c *entry) error {
	// Many tests give text for a certificate: that is an error where somebody is to connect only.
	err := e.load(c)
	if e.Gateway == nil || !c.running() || len(c.ports) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	address := netip.AddrPortFrom(c.ports[0].IP, c.ports[0].PublicPort)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address.String())
	if err != nil {
		return err
	}
	server := &http.Server{Handler: e.Gateway, ReadHeaderTimeout: time.Minute, TLSConfig: e.tlsConfig()}
	e.listener = server
	go func() { _ = server.ServeTLS(listener, "", "") }()
	return nil
}

func (e *Engine) closeGateway() error {
	if e.listener == nil {
		return nil
	}
	err := e.listener.Close()
	e.listener = nil
	return err
}

// Close ends what the engine serves.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closeGateway()
}

// OpenObserve is a Gateway that answers a search with what probe containers have printed, to who knows the password.
func (e *Engine) OpenObserve() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /openobserve/api/default/_search", func(w http.ResponseWriter, r *http.Request) {
		marker, err := e.searchedFor(r)
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		hits := []any{}
		if e.Printed(marker) {
			hits = append(hits, map[string]int64{"_timestamp": time.Now().UnixMicro()})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"hits": hits})
	})
	return mux
}

func (e *Engine) searchedFor(r *http.Request) (string, error) {
	user, password, _ := r.BasicAuth()
	e.mu.Lock()
	known := user == e.secrets["openobserve_user"].Content && password == e.secrets["openobserve_password"].Content
	e.mu.Unlock()
	if !known {
		return "", errors.New("wrong password")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil {
		return "", err
	}
	match := regexp.MustCompile(`message = '([^']*)'`).FindSubmatch(body)
	if match == nil {
		return "", nil
	}
	return string(match[1]), nil
}
