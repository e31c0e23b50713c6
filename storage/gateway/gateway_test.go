package gateway_test

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/certs"
	"github.com/docker-telemetry/docker-telemetry/storage/gateway"
)

func TestURL(t *testing.T) {
	for _, tc := range []struct {
		bind string
		port int
		want string
	}{
		{"127.0.0.1", 8082, "https://localhost:8082"},
		{"::1", 8082, "https://localhost:8082"},
		{"0.0.0.0", 443, "https://localhost:443"},
		{"::", 443, "https://localhost:443"},
		{"192.168.1.7", 8082, "https://192.168.1.7:8082"},
		{"2001:db8::7", 8082, "https://[2001:db8::7]:8082"},
	} {
		assert.Equal(t, gateway.URL(tc.bind, tc.port), tc.want)
	}
}

// authority is a CA of its own and a server with a certificate for hosts, as the stack's gateway has.
func authority(t *testing.T, version uint16, hosts ...string) (ca []byte, server *httptest.Server) {
	t.Helper()
	root, err := certs.NewAuthority("test", time.Now)
	assert.NilError(t, err)
	leaf, err := certs.Issue(root, certs.Request{Hosts: hosts})
	assert.NilError(t, err)
	pair, err := tls.X509KeyPair(leaf.Chain(), leaf.Key)
	assert.NilError(t, err)
	server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS10, MaxVersion: version}
	server.StartTLS()
	t.Cleanup(server.Close)
	return root.Cert, server
}

func get(t *testing.T, ca []byte, url string) (string, error) {
	t.Helper()
	client, err := gateway.Client(ca, "", 5*time.Second)
	assert.NilError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	assert.NilError(t, err)
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

func TestClientTrustsOurAuthorityAlone(t *testing.T) {
	ours, server := authority(t, tls.VersionTLS13, "127.0.0.1")
	body, err := get(t, ours, server.URL)
	assert.NilError(t, err)
	assert.Equal(t, body, "hello")

	other, _ := authority(t, tls.VersionTLS13, "127.0.0.1")
	_, err = get(t, other, server.URL)
	assert.ErrorContains(t, err, "certificate signed by unknown authority")

	_, elsewhere := authority(t, tls.VersionTLS13, "127.0.0.1")
	_, err = get(t, ours, elsewhere.URL)
	assert.ErrorContains(t, err, "certificate signed by unknown authority")
}

func TestClientChecksTheName(t *testing.T) {
	ca, server := authority(t, tls.VersionTLS13, "elsewhere.example")
	_, err := get(t, ca, server.URL)
	assert.ErrorContains(t, err, "certificate")
}

func TestClientRefusesOldTLS(t *testing.T) {
	ca, server := authority(t, tls.VersionTLS11, "127.0.0.1")
	_, err := get(t, ca, server.URL)
	assert.ErrorContains(t, err, "protocol version")
}

// A proxy of the environment would see the passwords, or just not find localhost.
func TestClientTakesNoProxyOfTheEnvironment(t *testing.T) {
	client, err := gateway.Client(somePEM(t), "", time.Second)
	assert.NilError(t, err)
	transport, is := client.Transport.(gateway.Transport)
	assert.Assert(t, is)
	assert.Assert(t, transport.Proxy == nil)
	assert.Equal(t, client.Timeout, time.Second)
}

func somePEM(t *testing.T) []byte {
	t.Helper()
	root, err := certs.NewAuthority("test", time.Now)
	assert.NilError(t, err)
	return root.Cert
}

func TestClientNeedsAnAuthority(t *testing.T) {
	for name, ca := range map[string][]byte{
		"nothing": nil, "text": []byte("not PEM"), "another block": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}),
	} {
		_, err := gateway.Client(ca, "", time.Second)
		assert.Error(t, err, "the CA certificate in the state is not PEM", name)
	}
}
