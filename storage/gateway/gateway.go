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

// Client returns an HTTP client that trusts the given CA (PEM) and nothing else. serverName is the host that the
// certificate must be for, "" means the URL's: a certificate of the user's own may be for another name than localhost.
// The environment's proxy settings take no part: the gateway is on this machine. A request that is one too many for the gateway's
// limit is sent again a little later.
func Client(ca []byte, serverName string, timeout time.Duration) (*http.Client, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, errors.New("the CA certificate in the state is not PEM")
	}
	return &http.Client{
		Timeout: timeout,
		Transport: Transport{&http.Transport{
			Proxy:           nil,
			TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: serverName, MinVersion: tls.VersionTLS12},
		}},
	}, nil
}
