// Package gateway reaches the stores the way a person does: through the gateway, over TLS that is checked.
package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

// URL returns the base of a gateway that is published on bind and port, without a final slash.
// A bind to every address is reached by loopback.
func URL(bind string, port int) string {
	host := bind
	if address, err := netip.ParseAddr(bind); err == nil && (address.IsUnspecified() || address.IsLoopback()) {
		host = "localhost"
	}
	return "https://" + net.JoinHostPort(host, strconv.Itoa(port))
}

// Client returns an HTTP client that trusts the given CA (PEM) and nothing else. The environment's proxy settings
// take no part: the gateway is on this machine.
func Client(ca []byte, timeout time.Duration) (*http.Client, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, errors.New("the CA certificate in the state is not PEM")
	}
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			Proxy:           nil,
			TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		},
	}, nil
}
