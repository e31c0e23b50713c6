package certs

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// forge issues a leaf with an authority's key as a thief would: without asking this package.
func forge(t *testing.T, ca Pair, host string) Pair {
	t.Helper()
	caCert, caKey, err := authority(ca)
	assert.NilError(t, err)
	key, err := newKey()
	assert.NilError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "forged"}, DNSNames: []string{host}, BasicConstraintsValid: true,
		NotBefore: start.Add(-time.Hour), NotAfter: start.Add(day), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, caCert, key.Public(), caKey)
	assert.NilError(t, err)
	made, err := pair(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key)
	assert.NilError(t, err)
	return made
}

// A stolen key of the authority is good for its own hosts only, to Go and to OpenSSL.
func TestNameConstraints(t *testing.T) {
	ca, err := NewAuthority("constrained", at(start), "localhost", "*.telemetry.test", "127.0.0.1", "::1")
	assert.NilError(t, err)
	cert := parse(t, ca)
	assert.Assert(t, cert.PermittedDNSDomainsCritical)
	assert.DeepEqual(t, cert.PermittedDNSDomains, []string{"localhost", "telemetry.test"})
	assert.Equal(t, len(cert.PermittedIPRanges), 2)
	assert.Equal(t, len(cert.UnhandledCriticalExtensions), 0)
	assert.Assert(t, cert.MaxPathLenZero && cert.MaxPathLen == 0)

	openssl, err := exec.LookPath("openssl")
	hasOpenSSL := err == nil
	root := filepath.Join(t.TempDir(), "ca.crt")
	assert.NilError(t, os.WriteFile(root, ca.Cert, 0o600))
	for host, good := range map[string]bool{
		"localhost": true, "a.localhost": true, "telemetry.test": true, "x.telemetry.test": true, "*.telemetry.test": true,
		"example.com": false, "xlocalhost": false, "localhost.example.com": false, "test": false,
	} {
		leaf := forge(t, ca, host)
		assert.Equal(t, Verify(ca, leaf, "", start) == nil, good, host)
		assert.Equal(t, firstRefused(cert, []string{host}) == "", good, host)
		if !hasOpenSSL {
			continue
		}
		file := filepath.Join(t.TempDir(), "leaf.crt")
		assert.NilError(t, os.WriteFile(file, leaf.Cert, 0o600))
		out, err := exec.Command(openssl, "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", root, file).CombinedOutput()
		assert.Equal(t, err == nil, good, "%s: %s", host, out)
	}
	for host, good := range map[string]bool{"127.0.0.1": true, "::1": true, "127.0.0.2": false, "::2": false} {
		assert.Equal(t, firstRefused(cert, []string{host}) == "", good, host)
	}
	_, err = Issue(ca, Request{Hosts: []string{"localhost", "example.com"}})
	assert.Assert(t, errors.Is(err, ErrPermitted), err)
	assert.ErrorContains(t, err, `may not issue for "example.com"`)
}

// A host that comes later widens our own authority, under the same key and name; what it permitted stays permitted.
func TestLaterHostWidensTheAuthority(t *testing.T) {
	s := newStore()
	first, _ := s.ensure(t, start)
	old := s.authority()
	other := &store{ca: s.ca, stack: newMemory(), hosts: []string{"localhost", "127.0.0.1", "box.test", "10.0.0.1"}}
	_, changed := other.ensure(t, start)
	assert.Assert(t, changed)
	widened := s.authority()
	assert.Equal(t, string(widened.Key), string(old.Key))
	info, err := Inspect(widened)
	assert.NilError(t, err)
	assert.DeepEqual(t, info.Permitted, []string{"localhost", "box.test", "127.0.0.1", "10.0.0.1"})
	assert.NilError(t, Verify(widened, first, "localhost", start), "the other stack's certificate holds")
	_, changed = s.ensure(t, start)
	assert.Assert(t, !changed)
}

// An authority from before there were constraints is used on and gets them with its next renewal.
func TestUnconstrainedAuthorityIsKept(t *testing.T) {
	s := newStore()
	long, err := NewAuthority("docker telemetry local CA root@box", at(start.Add(-200*day)))
	assert.NilError(t, err)
	s.ca.files[AuthorityCert], s.ca.files[AuthorityKey] = long.Cert, long.Key
	leaf, err := Issue(long, Request{Hosts: s.hosts, Lifetime: 397 * day, NotBefore: start.Add(-100 * day)})
	assert.NilError(t, err)
	s.stack.files[LeafCert], s.stack.files[LeafKey] = leaf.Cert, leaf.Key
	kept, changed := s.ensure(t, start)
	assert.Assert(t, !changed)
	assert.Equal(t, string(kept.Cert), string(leaf.Cert))

	renewed, changed := s.ensure(t, start.Add(170*day))
	assert.Assert(t, changed)
	cert := parse(t, renewed)
	assert.Equal(t, cert.NotAfter.Sub(cert.NotBefore), 90*day-time.Second)
	_, _ = s.ensure(t, start.Add(1100*day))
	info, err := Inspect(s.authority())
	assert.NilError(t, err)
	assert.DeepEqual(t, info.Permitted, []string{"localhost", "127.0.0.1"})
	assert.Equal(t, info.Subject, "docker telemetry local CA root@box", "the name is kept, as the key is")
}
