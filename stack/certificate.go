package stack

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

const (
	certificateSecret = "gateway_cert"
	keySecret         = "gateway_key"
	secretsFolder     = "/run/secrets"

	// servedIn bounds the wait for the new certificate: a reload starts new workers within a second.
	servedIn = 5 * time.Second
	// rollBackIn bounds the way back, which also Ctrl-C does not cut short.
	rollBackIn = 15 * time.Second
)

// Certificate is what the gateway serves: PEM of the chain, its own certificate first, and of the private key.
type Certificate struct{ Chain, Key []byte }

func (c Certificate) leaf() (*x509.Certificate, error) {
	pair, err := tls.X509KeyPair(c.Chain, c.Key)
	if err != nil {
		return nil, &Error{Text: "the new certificate cannot be used: " + strings.TrimPrefix(err.Error(), "tls: "), Advice: "docker telemetry certs verify", Err: err}
	}
	return pair.Leaf, nil
}

// The scripts of a rotation. Each ends in the word "done", as the engine tells an exit code on another call only.
// The files are renamed, so whenever the gateway is killed, it finds whole ones.
const (
	// tryScript lets nginx read the new pair with all of the running configuration, beside it.
	tryScript = `cd /tmp && sed -E 's#/run/secrets/gateway_(cert|key)#/run/secrets/.gateway_\1.new#g' /etc/nginx/nginx.conf >rotation.conf &&
nginx -t -q -c /tmp/rotation.conf && rm -f rotation.conf && echo done`
	switchScript = `cd /run/secrets && for f in gateway_cert gateway_key; do ln -f $f .$f.old || exit 1; done &&
mv -f .gateway_key.new gateway_key && mv -f .gateway_cert.new gateway_cert && echo done`
	reloadScript = `nginx -t -q && nginx -s reload && echo done`
	backScript   = `cd /run/secrets && mv -f .gateway_key.old gateway_key && mv -f .gateway_cert.old gateway_cert && echo done`
	tidyScript   = `cd /run/secrets && rm -f .gateway_cert.new .gateway_key.new .gateway_cert.old .gateway_key.old && echo done`
)

// RotateCertificate brings a certificate into the running gateway without ending a request: nginx tries it, the files
// are switched, nginx reloads, and the new one is seen to be served. Whatever fails, the old one is served on. It
// reports false where the certificate was served already. The caller holds the stack's lock.
func (m *Manager) RotateCertificate(ctx context.Context, name string, certificate Certificate) (bool, error) {
	wanted, err := certificate.leaf()
	if err != nil {
		return false, err
	}
	gateway, err := m.gateway(ctx, name)
	if err != nil {
		return false, err
	}
	old, err := m.served(ctx, gateway)
	if err != nil {
		return false, &Error{
			Text:   fmt.Sprintf("the gateway of %q shows no certificate: %s", name, lastCause(err)),
			Advice: "docker telemetry logs gateway; docker telemetry restart gateway", Err: err,
		}
	}
	if old.Equal(wanted) {
		return false, nil
	}
	defer m.tidy(ctx, gateway.ID)
	if err := m.copySecrets(ctx, gateway.ID, certificate, ".%s.new"); err != nil {
		return false, err
	}
	if err := m.script(ctx, gateway.ID, "", tryScript); err != nil {
		return false, refused(ctx, name, "nginx does not take it", err)
	}
	// Before the gateway, whose certificate decides whether anything is left to do: an interruption is made good by the
	// next rotation. Should the gateway go back to the old one, what they serve is still one of this authority.
	if err := m.copyToOthers(ctx, name, certificate); err != nil {
		return false, refused(ctx, name, "the other components that serve it did not get it", err)
	}
	if err := m.script(ctx, gateway.ID, "0", switchScript); err != nil {
		return false, refused(ctx, name, "the files could not be switched", errors.Join(err, m.rollBack(ctx, gateway, old)))
	}
	err = m.script(ctx, gateway.ID, "", reloadScript)
	if err == nil {
		err = m.waitServed(ctx, gateway, wanted, servedIn)
	}
	if err != nil {
		return false, refused(ctx, name, "it is not served after the reload", errors.Join(err, m.rollBack(ctx, gateway, old)))
	}
	return true, nil
}

func refused(ctx context.Context, name, what string, err error) error {
	if ctx.Err() != nil {
		return errors.Join(ctx.Err(), err)
	}
	return &Error{
		Text:   fmt.Sprintf("the new certificate of stack %q is not in use: %s (%v); the old one is served on", name, what, err),
		Advice: "docker telemetry certs verify; docker telemetry logs gateway", Err: err,
	}
}

// rollBack is also for an interrupted rotation, so it does not end with its context.
func (m *Manager) rollBack(ctx context.Context, gateway Container, old *x509.Certificate) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollBackIn)
	defer cancel()
	// Where the switch itself failed there may be nothing to bring back; what counts is what is served.
	backErr := m.script(ctx, gateway.ID, "0", backScript)
	if err := m.script(ctx, gateway.ID, "", reloadScript); err != nil {
		return errors.Join(backErr, fmt.Errorf("roll back: %w", err))
	}
	if err := m.waitServed(ctx, gateway, old, servedIn); err != nil {
		return fmt.Errorf("roll back: %w", err)
	}
	return nil
}

// tidy leaves no copy of a key behind. What stays is overwritten by the next rotation.
func (m *Manager) tidy(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollBackIn)
	defer cancel()
	_ = m.script(ctx, id, "0", tidyScript)
}

// copyToOthers gives the pair to the components that serve it beside the gateway. The two files are replaced one after
// the other: a component that reads them in between fails one handshake, and reads them again at the next.
func (m *Manager) copyToOthers(ctx context.Context, name string, certificate Certificate) error {
	containers, err := m.Containers(ctx, name)
	if err != nil {
		return err
	}
	for _, c := range containers {
		if !c.Reloads {
			continue
		}
		if err := m.copySecrets(ctx, c.ID, certificate, "%s"); err != nil {
			return err
		}
	}
	return nil
}

// PlaceCertificate puts a certificate into a gateway that is there and does not run, for its next start: Compose gives
// a container its secrets when it is created and never again. A running gateway and none are left alone. What else serves
// it gets it as well where it does not run.
func (m *Manager) PlaceCertificate(ctx context.Context, name string, certificate Certificate) error {
	if _, err := certificate.leaf(); err != nil {
		return err
	}
	containers, err := m.Containers(ctx, name)
	if err != nil {
		return err
	}
	for _, c := range containers {
		if c.Component != Gateway && !c.Reloads || c.State == string(container.StateRunning) {
			continue
		}
		if err := m.copySecrets(ctx, c.ID, certificate, "%s"); err != nil {
			return err
		}
	}
	return nil
}

// ServedCertificate returns what the running gateway shows to its clients.
func (m *Manager) ServedCertificate(ctx context.Context, name string) (*x509.Certificate, error) {
	gateway, err := m.gateway(ctx, name)
	if err != nil {
		return nil, err
	}
	return m.served(ctx, gateway)
}

func (m *Manager) gateway(ctx context.Context, name string) (Container, error) {
	containers, err := m.Containers(ctx, name)
	if err != nil {
		return Container{}, err
	}
	for _, c := range containers {
		if c.Component == Gateway && c.State == string(container.StateRunning) {
			return c, nil
		}
	}
	return Container{}, &Error{Text: fmt.Sprintf("the gateway of %q does not run", name), Advice: "start it: docker telemetry up", Err: ErrNoGateway}
}

// ErrNoGateway is the cause when there is no running gateway to ask.
var ErrNoGateway = errors.New("the gateway does not run")

func (m *Manager) waitServed(ctx context.Context, gateway Container, wanted *x509.Certificate, timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	for {
		served, err := m.served(ctx, gateway)
		if err == nil && served.Equal(wanted) {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("not served within %s", timeout), err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollEvery):
		}
	}
}

// served asks for the certificate and does not judge it: that is done by who knows the authority.
func (m *Manager) served(ctx context.Context, gateway Container) (*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, servedIn)
	defer cancel()
	conn, err := m.dialGateway(ctx, gateway)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	// A connection through the engine knows no deadline.
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	session := tls.Client(conn, &tls.Config{ServerName: "localhost", InsecureSkipVerify: true}) //nolint:gosec // the certificate is what is asked for
	if err := session.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS handshake with the gateway: %w", err)
	}
	return session.ConnectionState().PeerCertificates[0], nil
}

// dialGateway takes the published port where it is this machine's. Another machine's is mostly on its loopback: there
// the way leads through the engine, which is slower.
func (m *Manager) dialGateway(ctx context.Context, gateway Container) (net.Conn, error) {
	if (Engine{Address: m.Docker.DaemonHost()}).Local() && len(gateway.Published) > 0 {
		published := gateway.Published[0]
		host := published.IP
		if address, err := netip.ParseAddr(host); err != nil || address.IsUnspecified() {
			host = "127.0.0.1"
		}
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(published.Port)))
		if err == nil || ctx.Err() != nil {
			return conn, err
		}
	}
	return m.netcat(ctx, gateway.ID, "127.0.0.1", "8082")
}

// tunnel is a connection whose answers come framed, as the engine sends a command's output.
type tunnel struct {
	net.Conn
	answers *io.PipeReader
}

func (t tunnel) Read(into []byte) (int, error) { return t.answers.Read(into) }

func (t tunnel) Close() error { return errors.Join(t.Conn.Close(), t.answers.Close()) }

func (m *Manager) attach(ctx context.Context, id string, options client.ExecCreateOptions) (client.ExecAttachResult, error) {
	created, err := m.Docker.ExecCreate(ctx, id, options)
	if err != nil {
		return client.ExecAttachResult{}, fmt.Errorf("run %q in a container: %w", options.Cmd[0], err)
	}
	attached, err := m.Docker.ExecAttach(ctx, created.ID, client.ExecAttachOptions{})
	if err != nil {
		return client.ExecAttachResult{}, fmt.Errorf("run %q in a container: %w", options.Cmd[0], err)
	}
	return attached, nil
}

// script runs one of the scripts above; user "" is the image's own.
func (m *Manager) script(ctx context.Context, id, user, text string) error {
	attached, err := m.attach(ctx, id, client.ExecCreateOptions{
		User: user, Cmd: []string{"sh", "-c", text}, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return err
	}
	defer attached.Close()
	// A hijacked connection does not know the context: closing it is what ends the copy.
	defer context.AfterFunc(ctx, attached.Close)()
	// Apart: the streams arrive in any order, and nginx also gives notices.
	var out, said strings.Builder
	if _, err := stdcopy.StdCopy(&out, &said, attached.Reader); err != nil {
		return errors.Join(ctx.Err(), err)
	}
	if strings.TrimSpace(out.String()) != "done" {
		return errors.New(orUnknown(lastLine(strings.TrimSpace(said.String()))))
	}
	return nil
}

func lastLine(text string) string { return text[strings.LastIndexByte(text, '\n')+1:] }

func orUnknown(text string) string {
	if text == "" {
		return "it ended without a word"
	}
	return text
}

// copySecrets writes both files with one call. They are readable to all of the container, as Compose makes them.
func (m *Manager) copySecrets(ctx context.Context, id string, certificate Certificate, naming string) error {
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	for _, file := range []struct {
		name    string
		content []byte
	}{{certificateSecret, certificate.Chain}, {keySecret, certificate.Key}} {
		header := tar.Header{Name: fmt.Sprintf(naming, file.name), Mode: 0o444, ModTime: time.Now()}
		if err := addFile(writer, header, file.content); err != nil {
			return err
		}
	}
	if err := writer.Close(); err != nil {
		return err
	}
	_, err := m.Docker.CopyToContainer(ctx, id, client.CopyToContainerOptions{DestinationPath: secretsFolder, Content: &archive})
	if err != nil {
		return fmt.Errorf("copy the certificate into container %.12s: %w", id, err)
	}
	return nil
}
