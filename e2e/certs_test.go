//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// caFile is the authority's certificate in the scenario's own home.
func (e *env) authorityFile() string {
	return filepath.Join(e.home, "state", "docker-telemetry", "ca", "ca.crt")
}

func (e *env) leafFile() string {
	return filepath.Join(e.home, "state", "docker-telemetry", "default", e.name, "certs", "server.crt")
}

func (e *env) trustingPool() *x509.CertPool {
	e.t.Helper()
	data, err := os.ReadFile(e.authorityFile())
	assert.NilError(e.t, err)
	pool := x509.NewCertPool()
	assert.Assert(e.t, pool.AppendCertsFromPEM(data))
	return pool
}

// servedSerial asks the published port, with the certificate checked as a client does.
func (e *env) servedSerial() (string, error) {
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: 5 * time.Second}, Config: &tls.Config{RootCAs: e.trustingPool(), ServerName: "localhost"}}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := dialer.DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", e.port))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Text(16), nil
}

func (e *env) mustServe() string {
	e.t.Helper()
	serial, err := e.servedSerial()
	assert.NilError(e.t, err)
	return serial
}

// verified requires that each of the certificate's checks passes, openssl's and the gateway's included.
func (e *env) verified() {
	e.t.Helper()
	r := e.ok(e.telemetry("certs", "verify", "--format", "json"))
	var report struct {
		Findings []struct{ Check, Result, Detail string }
	}
	assert.NilError(e.t, json.Unmarshal([]byte(r.stdout), &report), "%s", r)
	seen := map[string]string{}
	for _, finding := range report.Findings {
		seen[finding.Check] = finding.Result
	}
	assert.DeepEqual(e.t, seen, map[string]string{
		"files": "ok", "issuer": "ok", "key": "ok", "dates": "ok", "hosts": "ok", "openssl": "ok", "gateway": "ok",
	})
}

// TestCertificateIsAccepted: openssl, curl and Go take what the gateway serves with our authority and nothing else, by
// each of its names, those of --host included, and without the authority none of them does.
func TestCertificateIsAccepted(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.ok(e.telemetry("certs", "init", "--host", "telemetry.test"))
	e.up("--no-verify")
	e.verified()

	url := fmt.Sprintf("https://localhost:%d/healthz", e.port)
	connect := fmt.Sprintf("127.0.0.1:%d", e.port)
	for _, host := range []string{"localhost", "127.0.0.1", "telemetry.test"} {
		named := fmt.Sprintf("https://%s:%d/healthz", host, e.port)
		resolve := fmt.Sprintf("%s:%d:127.0.0.1", host, e.port)
		r := e.ok(e.run("curl", "-sS", "--max-time", "10", "--resolve", resolve, "--cacert", e.authorityFile(), named))
		assert.Equal(t, r.stdout, "ok\n", "curl by %s", host)
		check := "-verify_hostname"
		if net.ParseIP(host) != nil {
			check = "-verify_ip"
		}
		r = e.ok(e.run("sh", "-c", `openssl s_client -connect "$1" -servername localhost -x509_strict -verify_return_error -CAfile "$2" "$3" "$4" </dev/null`,
			"sh", connect, e.authorityFile(), check, host))
		assert.Assert(t, strings.Contains(r.stdout, "Verify return code: 0 (ok)"), "%s", r)
		conn, err := tls.Dial("tcp", connect, &tls.Config{RootCAs: e.trustingPool(), ServerName: host})
		assert.NilError(t, err, "Go by %s", host)
		conn.Close()
	}

	r := e.fails(e.run("curl", "-sS", "--max-time", "10", "--cacert", e.authorityFile(), "--resolve", fmt.Sprintf("other.test:%d:127.0.0.1", e.port),
		fmt.Sprintf("https://other.test:%d/healthz", e.port)), 60)
	assert.Assert(t, strings.Contains(r.stderr, "other.test"), "%s", r)
	e.fails(e.run("curl", "-sS", "--max-time", "10", url), 60)
	_, err := tls.Dial("tcp", connect, &tls.Config{ServerName: "localhost", RootCAs: x509.NewCertPool()})
	assert.ErrorContains(t, err, "unknown authority")
}

// TestOldRecipeIsRefused: the recipe that people had followed made one self-signed certificate with CA:TRUE and no
// subject alternative name. What fails with it is shown first, and then that it cannot come into a stack.
func TestOldRecipeIsRefused(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	cert, key := filepath.Join(e.home, "old.crt"), filepath.Join(e.home, "old.key")
	e.ok(e.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "365", "-subj", "/CN=localhost", "-keyout", key, "-out", cert))
	text := e.ok(e.run("openssl", "x509", "-in", cert, "-noout", "-text")).stdout
	assert.Assert(t, strings.Contains(text, "CA:TRUE") && !strings.Contains(text, "Subject Alternative Name"), text)

	pair, err := tls.LoadX509KeyPair(cert, key)
	assert.NilError(t, err)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	assert.NilError(t, err)
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).Handshake()
			conn.Close()
		}
	}()
	url := fmt.Sprintf("https://localhost:%d/", listener.Addr().(*net.TCPAddr).Port)
	e.fails(e.run("curl", "-sS", "--max-time", "10", "--resolve", strings.TrimPrefix(strings.TrimSuffix(url, "/"), "https://")+":127.0.0.1", url), 60)
	pool := x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	_, err = tls.Dial("tcp", listener.Addr().String(), &tls.Config{RootCAs: pool, ServerName: "localhost"})
	assert.ErrorContains(t, err, "legacy Common Name")

	r := e.fails(e.telemetry("certs", "init", "--cert", cert, "--key", key), 1)
	assert.Assert(t, strings.Contains(r.stderr, "CA:TRUE") && strings.Contains(r.stderr, "hint:"), "%s", r)
	_, err = os.Stat(e.leafFile())
	assert.Assert(t, errors.Is(err, os.ErrNotExist), "nothing was kept")
}

const (
	rotations           = 10
	requestsPerRotation = 800
)

// TestRotationEndsNoRequest: the certificate is changed ten times under load. A client that replays what a closed idle
// connection refused, as every HTTP client does, sees no failure in 8,000 requests, and each new certificate is served
// within 5 s. Not beside others: the time is from the command's start on, and an engine on which other stacks start takes
// seconds for its three commands in a container.
func TestRotationEndsNoRequest(t *testing.T) {
	e := newEnv(t)
	e.up("--no-verify")
	gateway := e.ids(e.name)[e.name+"-gateway-1"]
	load := newLoad(e)
	serial := e.mustServe()
	for range rotations {
		began := time.Now()
		renewed := make(chan result, 1)
		go func() { renewed <- e.telemetry("certs", "renew", "--force") }()
		seen := make(chan time.Duration, 1)
		before := serial
		go func() {
			defer close(seen)
			for deadline := began.Add(30 * time.Second); time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
				if now, err := e.servedSerial(); err == nil && now != before {
					seen <- time.Since(began)
					return
				}
			}
		}()
		r := load.during(renewed)
		e.ok(r)
		took, changed := <-seen
		assert.Assert(t, changed, "another certificate is served:\n%s", r)
		assert.Assert(t, took < 5*time.Second, "served after %s:\n%s", took, r)
		serial = e.mustServe()
		assert.Assert(t, serial != before && strings.Contains(r.stdout, serial), "%s serves %s", r, serial)
		t.Logf("served after %s, the command took %s", took.Round(time.Millisecond), r.took.Round(time.Millisecond))
	}
	t.Logf("%d requests, %d failed", load.sent.Load(), load.failed.Load())
	assert.Equal(t, load.sent.Load(), int64(rotations*requestsPerRotation))
	assert.Equal(t, load.failed.Load(), int64(0), "%v", load.firstFailure.Load())
	assert.Equal(t, e.ids(e.name)[e.name+"-gateway-1"], gateway, "the container is the same")
	e.verified()
	left := e.docker("exec", gateway, "ls", "-A", "/run/secrets")
	assert.Equal(t, left, "gateway_cert\ngateway_key", "no copy of a key stays")
}

// load sends requests over kept connections, half of them by HTTP/2.
type load struct {
	clients      []*http.Client
	url          string
	sent, failed atomic.Int64
	firstFailure atomic.Value
}

func newLoad(e *env) *load {
	l := &load{url: fmt.Sprintf("https://localhost:%d/healthz", e.port)}
	for _, second := range []bool{false, true, false, true} {
		transport := &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: e.trustingPool()}, ForceAttemptHTTP2: second,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, fmt.Sprintf("127.0.0.1:%d", e.port))
			},
		}
		if !second {
			transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
		}
		l.clients = append(l.clients, &http.Client{Transport: transport, Timeout: 20 * time.Second})
	}
	return l
}

// during sends this rotation's requests: fast at first, then slowly until the rotation is over, the rest after it, so
// that some are under way whenever the switch happens.
func (l *load) during(done <-chan result) result {
	work := make(chan struct{})
	var workers sync.WaitGroup
	for _, client := range l.clients {
		workers.Go(func() {
			for range work {
				l.send(client)
			}
		})
	}
	var r result
	fast, slow := time.NewTicker(2*time.Millisecond), time.NewTicker(50*time.Millisecond)
	defer fast.Stop()
	defer slow.Stop()
	over := false
	for n := 0; n < requestsPerRotation; {
		tick := fast.C
		switch {
		case over:
		case n == requestsPerRotation-1: // the last one is for after the rotation
			tick = nil
		case n >= requestsPerRotation/2:
			tick = slow.C
		}
		select {
		case r = <-done:
			over, done = true, nil
		case <-tick:
			work <- struct{}{}
			n++
		}
	}
	close(work)
	workers.Wait()
	return r
}

func (l *load) send(client *http.Client) {
	l.sent.Add(1)
	response, err := client.Get(l.url)
	if err == nil {
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	if err != nil {
		l.failed.Add(1)
		l.firstFailure.CompareAndSwap(nil, err.Error())
	}
}

// TestRotationIsRolledBack: whatever stops a rotation, the old certificate is served on and is what the state has.
func TestRotationIsRolledBack(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.up("--no-verify")
	gateway := e.ids(e.name)[e.name+"-gateway-1"]
	serial := e.mustServe()
	kept, err := os.ReadFile(e.leafFile())
	assert.NilError(t, err)
	refused := func(r result) {
		t.Helper()
		e.fails(r, 1)
		assert.Assert(t, strings.Contains(r.stderr, "hint:"), "%s", r)
		assert.Equal(t, e.mustServe(), serial)
		now, err := os.ReadFile(e.leafFile())
		assert.NilError(t, err)
		assert.Equal(t, string(now), string(kept))
		assert.Equal(t, e.docker("exec", gateway, "ls", "-A", "/run/secrets"), "gateway_cert\ngateway_key")
	}

	// nginx takes no configuration with this in it, whatever the certificate.
	e.docker("exec", "-u", "0", gateway, "sh", "-c", "echo 'nonsense;' >/etc/nginx/conf.d/zz.conf")
	refused(e.telemetry("certs", "renew", "--force"))
	e.docker("exec", "-u", "0", gateway, "rm", "/etc/nginx/conf.d/zz.conf")

	// The files are switched, and the reload does not happen: the program that it asks is not nginx.
	e.docker("exec", "-u", "0", gateway, "sh", "-c", `path=$(command -v nginx) && mv "$path" "$path.real" &&
printf '#!/bin/sh\nfor word; do [ "$word" = reload ] && exit 0; done\nexec %s.real "$@"\n' "$path" >"$path" && chmod 755 "$path"`)
	refused(e.telemetry("certs", "renew", "--force"))
	e.docker("exec", "-u", "0", gateway, "sh", "-c", `path=$(command -v nginx) && mv "$path.real" "$path"`)

	e.ok(e.telemetry("certs", "renew", "--force"))
	assert.Assert(t, e.mustServe() != serial)
	e.verified()
}

// TestUpBringsTheCertificate: what the state has is what the gateway serves, in place after `up`, and from the next start
// on where the stack was stopped meanwhile.
func TestUpBringsTheCertificate(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.up("--no-verify")
	containers := e.ids(e.name)
	serial := e.mustServe()
	renewed := func(what string) {
		t.Helper()
		now := e.mustServe()
		assert.Assert(t, now != serial, what)
		serial = now
		assert.DeepEqual(t, e.ids(e.name), containers)
		e.verified()
	}

	// Half a file, as a full disk leaves it.
	whole, err := os.ReadFile(e.leafFile())
	assert.NilError(t, err)
	assert.NilError(t, os.WriteFile(e.leafFile(), whole[:len(whole)/2], 0o644))
	r := e.fails(e.telemetry("certs", "verify"), 3)
	assert.Assert(t, strings.Contains(r.stderr, "server.crt is damaged") && strings.Contains(r.stderr, "certs renew"), "%s", r)
	e.up("--no-verify")
	renewed("up replaced the damaged one")

	e.ok(e.telemetry("stop"))
	r = e.ok(e.telemetry("certs", "renew", "--force"))
	assert.Assert(t, strings.Contains(r.stdout, "next start"), "%s", r)
	e.ok(e.telemetry("start"))
	renewed("start serves what was renewed meanwhile")

	e.ok(e.telemetry("stop", "gateway"))
	e.ok(e.telemetry("certs", "renew", "--force"))
	e.up("--no-verify")
	renewed("up serves what was renewed meanwhile")
}
