package stacktest

import (
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/moby/moby/client"

	"github.com/docker-telemetry/docker-telemetry/stack"
)

const secretsFolder = "/run/secrets/"

// load is nginx at its start or reload: it reads the files once, and keeps what it has when they are bad.
func (e *Engine) load(c *entry) error {
	for _, name := range []string{"gateway_cert", "gateway_key"} {
		if _, there := c.files[secretsFolder+name]; !there {
			c.files[secretsFolder+name] = e.secrets[name].Content
		}
	}
	pair, err := tls.X509KeyPair([]byte(c.files[secretsFolder+"gateway_cert"]), []byte(c.files[secretsFolder+"gateway_key"]))
	if err != nil {
		return err
	}
	e.certificate = &pair
	return nil
}

func (e *Engine) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			e.mu.Lock()
			defer e.mu.Unlock()
			if e.certificate == nil {
				return nil, errors.New("no certificate is loaded")
			}
			return e.certificate, nil
		},
	}
}

// gatewayExec does in a gateway what the scripts of a rotation say, and answers a connection to its port.
func (e *Engine) gatewayExec(command []string) (client.ExecAttachResult, bool) {
	at := slices.IndexFunc(e.containers, func(c *entry) bool { return c.running() && c.component() == stack.Gateway })
	if at < 0 || len(command) == 0 || command[0] != stack.Gateway {
		return client.ExecAttachResult{}, false
	}
	ours, theirs := net.Pipe()
	answer := client.ExecAttachResult{HijackedResponse: client.NewHijackedResponse(ours, "")}
	if slices.Contains(command, "nc") {
		go func() {
			defer theirs.Close()
			_ = tls.Server(framed{theirs}, e.tlsConfig()).Handshake() //nolint:noctx // it ends with the pipe
		}()
		return answer, true
	}
	said := multiplexed("done\n")
	if err := e.rotationStep(e.containers[at], strings.Join(command, " ")); err != nil {
		said = multiplexed(err.Error() + "\n")
		said[0] = 2 // standard error
	}
	go func() {
		defer theirs.Close()
		_, _ = theirs.Write(said)
	}()
	return answer, true
}

func (e *Engine) rotationStep(c *entry, script string) error {
	move := func(from, to string) {
		for _, name := range []string{"gateway_cert", "gateway_key"} {
			c.files[secretsFolder+strings.Replace(to, "%", name, 1)] = c.files[secretsFolder+strings.Replace(from, "%", name, 1)]
		}
	}
	switch {
	case strings.Contains(script, "rotation.conf"):
		_, err := tls.X509KeyPair([]byte(c.files[secretsFolder+".gateway_cert.new"]), []byte(c.files[secretsFolder+".gateway_key.new"]))
		return err
	case strings.Contains(script, "ln -f"):
		move("%", ".%.old")
		move(".%.new", "%")
	case strings.Contains(script, ".old gateway_cert"):
		move(".%.old", "%")
	case strings.Contains(script, "reload"):
		if e.RefusesReload && c.files[secretsFolder+".gateway_cert.old"] != c.files[secretsFolder+"gateway_cert"] {
			return errors.New("nginx: [emerg] the test refuses")
		}
		return e.load(c)
	case strings.Contains(script, "rm -f"):
		maps.DeleteFunc(c.files, func(name, _ string) bool { return strings.HasPrefix(name, secretsFolder+".") })
	default:
		return errors.New("sh: command not found")
	}
	return nil
}

// Secrets lists the names of the files in a container's secrets folder, sorted.
func (e *Engine) Secrets(name string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var found []string
	for _, c := range e.containers {
		for file := range c.files {
			if secret, is := strings.CutPrefix(file, secretsFolder); is && c.name == name {
				found = append(found, secret)
			}
		}
	}
	slices.Sort(found)
	return found
}

// framed writes as the engine does the output of a command.
type framed struct{ net.Conn }

func (f framed) Write(data []byte) (int, error) {
	if _, err := f.Conn.Write(multiplexed(string(data))); err != nil {
		return 0, err
	}
	return len(data), nil
}
