// Package certs makes and checks the certificates of the gateway: a local authority, shared by all stacks of a user,
// and one server certificate a stack. It knows bytes only; where they are kept is behind Files.
package certs

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/user"
	"time"

	"github.com/cloudflare/cfssl/helpers"
)

const (
	day = 24 * time.Hour

	// AuthorityLifetime is long because each renewal asks people to trust a certificate again.
	AuthorityLifetime = 5 * 365 * day
	// DefaultLifetime of a server certificate is short because it is renewed without a person and without an
	// interruption.
	DefaultLifetime = 90 * day
	// MaxLifetime is Apple's limit for server certificates of authorities that the user added.
	MaxLifetime = 825 * day

	// backdate forgives clocks that are slow: a virtual machine's after sleep, another computer's.
	backdate = 5 * time.Minute
)

// Pair is a certificate and its private key, both PEM, the key as PKCS#8.
type Pair struct {
	Cert, Key []byte
	Issuer    []byte // the authority's certificate, PEM; empty for an authority
}

// Chain is what a server sends: its own certificate, then the authority's.
func (p Pair) Chain() []byte {
	return bytes.Join([][]byte{p.Cert, p.Issuer}, nil)
}

// Info is a certificate in words.
type Info struct {
	Subject, Issuer     string   // common names
	Hosts               []string // DNS names, then IP addresses
	NotBefore, NotAfter time.Time
	Serial              string // hexadecimal
	IsCA                bool
	Permitted           []string // the hosts that an authority may issue for, nil for any
}

// Inspect reads the first certificate of the pair; the key is not looked at.
func Inspect(p Pair) (Info, error) {
	cert, err := parseCert(p.Cert)
	if err != nil {
		return Info{}, err
	}
	return Info{
		Subject:   commonName(cert.Subject.CommonName, cert.Subject.String()),
		Issuer:    commonName(cert.Issuer.CommonName, cert.Issuer.String()),
		Hosts:     hostsOf(cert),
		NotBefore: cert.NotBefore,
		NotAfter:  cert.NotAfter,
		Serial:    cert.SerialNumber.Text(16),
		IsCA:      cert.IsCA,
		Permitted: permittedBy(cert),
	}, nil
}

// DaysLeft counts the whole days until the end, negative from the first moment after it.
func (i Info) DaysLeft(now time.Time) int {
	return int(math.Floor(i.NotAfter.Sub(now).Hours() / 24))
}

// NeedsRenewal is true in the last third of the lifetime and after it.
func NeedsRenewal(info Info, now time.Time) bool {
	return info.NotAfter.Sub(now) < info.NotAfter.Sub(info.NotBefore)/3
}

// authorityName is the common name of this user's authority with that key. It tells two of them apart in a list of
// trusted ones, also two of the same user: programs that look an issuer up by its name would take the wrong one.
func authorityName(key crypto.Signer) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return "", fmt.Errorf("certificate authority: %w", err)
	}
	sum := sha256.Sum256(der)
	name := "docker telemetry local CA " + hex.EncodeToString(sum[:4])
	if u, err := user.Current(); err == nil && u.Username != "" {
		name += " " + u.Username
		if host, err := os.Hostname(); err == nil && host != "" {
			name += "@" + host
		}
	}
	return name, nil
}

func commonName(name, whole string) string {
	if name != "" {
		return name
	}
	return whole
}

func hostsOf(cert *x509.Certificate) []string {
	var hosts []string
	hosts = append(hosts, cert.DNSNames...)
	for _, ip := range cert.IPAddresses {
		hosts = append(hosts, net.IP.String(ip))
	}
	return hosts
}

func parseCert(data []byte) (*x509.Certificate, error) {
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return nil, errors.New("certificate: no PEM block CERTIFICATE")
		}
		if block.Type == "CERTIFICATE" {
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, translate("certificate", err)
			}
			return cert, nil
		}
		data = rest
	}
}

func parseKey(data []byte) (crypto.Signer, error) {
	if block, _ := pem.Decode(data); block == nil {
		return nil, errors.New("private key: no PEM block")
	}
	key, err := helpers.ParsePrivateKeyPEM(data)
	if err != nil {
		return nil, translate("private key", err)
	}
	return key, nil
}

func keyFits(cert *x509.Certificate, key crypto.Signer) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(cert.PublicKey)
}
