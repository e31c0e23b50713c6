package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	cferr "github.com/cloudflare/cfssl/errors"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

var start = time.Now().Truncate(time.Second)

func at(t time.Time) func() time.Time { return func() time.Time { return t } }

func newAuthority(t *testing.T) Pair {
	t.Helper()
	ca, err := NewAuthority("test CA", at(start))
	assert.NilError(t, err)
	return ca
}

func issue(t *testing.T, ca Pair, hosts ...string) Pair {
	t.Helper()
	leaf, err := Issue(ca, Request{Hosts: hosts, NotBefore: start.Add(-backdate)})
	assert.NilError(t, err)
	return leaf
}

func parse(t *testing.T, p Pair) *x509.Certificate {
	t.Helper()
	block, rest := pem.Decode(p.Cert)
	assert.Assert(t, block != nil)
	assert.Equal(t, len(bytes.TrimSpace(rest)), 0)
	cert, err := x509.ParseCertificate(block.Bytes)
	assert.NilError(t, err)
	return cert
}

func assertKey(t *testing.T, p Pair) {
	t.Helper()
	block, _ := pem.Decode(p.Key)
	assert.Equal(t, block.Type, "PRIVATE KEY")
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	assert.NilError(t, err)
	ec, ok := key.(*ecdsa.PrivateKey)
	assert.Assert(t, ok)
	assert.Equal(t, ec.Curve, elliptic.P256())
	assert.Assert(t, ec.PublicKey.Equal(parse(t, p).PublicKey))
}

func TestNewAuthority(t *testing.T) {
	ca := newAuthority(t)
	assertKey(t, ca)
	cert := parse(t, ca)
	assert.Equal(t, cert.Subject.CommonName, "test CA")
	assert.Equal(t, cert.Issuer.String(), cert.Subject.String())
	assert.Assert(t, cert.IsCA && cert.BasicConstraintsValid)
	assert.Assert(t, cert.MaxPathLen == 0 && cert.MaxPathLenZero, "signs no other authorities")
	assert.Equal(t, cert.KeyUsage, x509.KeyUsageCertSign|x509.KeyUsageCRLSign)
	assert.Equal(t, len(cert.ExtKeyUsage), 0)
	assert.Equal(t, cert.SignatureAlgorithm, x509.ECDSAWithSHA256)
	assert.Assert(t, cert.NotBefore.Equal(start.Add(-5*time.Minute)), cert.NotBefore)
	assert.Assert(t, cert.NotAfter.Equal(cert.NotBefore.Add(1825*24*time.Hour-time.Second)), cert.NotAfter)
	assert.NilError(t, cert.CheckSignatureFrom(cert))
	assert.Assert(t, len(cert.DNSNames)+len(cert.IPAddresses) == 0)

	long, err := NewAuthority(strings.Repeat("ü", 100), at(start))
	assert.NilError(t, err)
	assert.Equal(t, parse(t, long).Subject.CommonName, strings.Repeat("ü", 64))
	_, err = NewAuthority("", at(start))
	assert.Error(t, err, "certificate authority: the name is empty")
	key, err := newKey()
	assert.NilError(t, err)
	first, err := authorityName(key)
	assert.NilError(t, err)
	again, err := authorityName(key)
	assert.NilError(t, err)
	assert.Equal(t, first, again)
	assert.Assert(t, is.Contains(first, "docker telemetry local CA"))
	other, err := newKey()
	assert.NilError(t, err)
	second, err := authorityName(other)
	assert.NilError(t, err)
	assert.Assert(t, first != second, "distinct, also for the same user")
}

func TestIssue(t *testing.T) {
	ca := newAuthority(t)
	leaf := issue(t, ca, "localhost", "127.0.0.1", "::1", "Telemetry.Example", "localhost", "*.localhost")
	assertKey(t, leaf)
	cert := parse(t, leaf)
	assert.DeepEqual(t, cert.DNSNames, []string{"*.localhost", "localhost", "telemetry.example"})
	assert.Equal(t, fmt.Sprint(cert.IPAddresses), "[127.0.0.1 ::1]")
	assert.Assert(t, len(cert.EmailAddresses)+len(cert.URIs) == 0)
	assert.Equal(t, cert.Subject.CommonName, "*.localhost")
	assert.Assert(t, !cert.IsCA && cert.BasicConstraintsValid)
	assert.Equal(t, cert.KeyUsage, x509.KeyUsageDigitalSignature)
	assert.DeepEqual(t, cert.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth})
	assert.Assert(t, cert.NotAfter.Equal(cert.NotBefore.Add(90*24*time.Hour-time.Second)))
	assert.DeepEqual(t, cert.AuthorityKeyId, parse(t, ca).SubjectKeyId)
	assert.Assert(t, cert.SerialNumber.Sign() > 0 && cert.SerialNumber.BitLen() <= 159)
	for _, host := range []string{"localhost", "127.0.0.1", "::1", "x.localhost"} {
		assert.NilError(t, Verify(ca, leaf, host, start))
	}
	assert.Equal(t, string(leaf.Chain()), string(leaf.Cert)+string(ca.Cert))
	_, err := tls.X509KeyPair(leaf.Chain(), leaf.Key)
	assert.NilError(t, err)

	second := issue(t, ca, "localhost")
	assert.Assert(t, parse(t, second).SerialNumber.Cmp(cert.SerialNumber) != 0)
	assert.Assert(t, !bytes.Equal(second.Key, leaf.Key))
}

func TestIssueRefuses(t *testing.T) {
	ca := newAuthority(t)
	other := newAuthority(t)
	leaf := issue(t, ca, "localhost")
	for _, tc := range []struct {
		name string
		ca   Pair
		req  Request
		want string
		kind error
	}{
		{"no hosts", ca, Request{}, "certificate: no hosts", nil},
		{"too long", ca, Request{Hosts: []string{"a"}, Lifetime: MaxLifetime + 1}, "at most 825 days", nil},
		{"negative", ca, Request{Hosts: []string{"a"}, Lifetime: -1}, "at most 825 days", nil},
		{"leaf as authority", leaf, Request{Hosts: []string{"a"}}, "is not an authority", ErrNotCA},
		{"no key", Pair{Cert: ca.Cert}, Request{Hosts: []string{"a"}}, "private key is missing", ErrNoKey},
		{"key of another", Pair{Cert: ca.Cert, Key: other.Key}, Request{Hosts: []string{"a"}}, "belongs to another", ErrKeyMismatch},
		{"garbage key", Pair{Cert: ca.Cert, Key: []byte("x")}, Request{Hosts: []string{"a"}}, "no PEM block", nil},
		{"garbage", Pair{Cert: []byte("x"), Key: ca.Key}, Request{Hosts: []string{"a"}}, "no PEM block CERTIFICATE", nil},
		{"expired authority", ca, Request{Hosts: []string{"a"}, NotBefore: start.Add(AuthorityLifetime)}, "expired on", ErrExpired},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Issue(tc.ca, tc.req)
			assert.ErrorContains(t, err, tc.want)
			assert.Assert(t, tc.kind == nil || errors.Is(err, tc.kind), err)
			assert.Assert(t, !strings.ContainsAny(err.Error(), "{}\n"), "one line, no JSON: %v", err)
		})
	}
}

func TestHosts(t *testing.T) {
	for _, bad := range []string{
		"", " ", "a b", "root@example.com", "https://localhost", "/path", "localhost:8082", "[::1]", "fe80::1%eth0", "-a", "a-",
		"a..b", "10.0.0.256", "1.2.3", "*", "a.*.b", "münchen.de", strings.Repeat("a", 64), strings.Repeat("a.", 127) + "a",
		"a\x00b", "a\n",
	} {
		_, err := normalize([]string{"localhost", bad})
		assert.ErrorContains(t, err, fmt.Sprintf("certificate host %q", bad))
	}
	got, err := normalize([]string{"::FFFF:10.0.0.1", "B.example.", "a_b", "b.EXAMPLE", "10.0.0.1", "0:0::1", "x--y.1a"})
	assert.NilError(t, err)
	assert.DeepEqual(t, got, []string{"a_b", "b.example", "x--y.1a", "10.0.0.1", "::1"})
}

func TestLeafEndsWithItsAuthority(t *testing.T) {
	ca := newAuthority(t)
	late := start.Add(AuthorityLifetime - 50*day)
	leaf, err := Issue(ca, Request{Hosts: []string{"localhost"}, NotBefore: late})
	assert.NilError(t, err)
	assert.Assert(t, parse(t, leaf).NotAfter.Equal(parse(t, ca).NotAfter))
}

func TestVerify(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	leaf, otherLeaf := issue(t, ca, "localhost"), issue(t, other, "localhost")
	end := parse(t, leaf).NotAfter
	forged := Pair{Cert: otherLeaf.Cert, Key: otherLeaf.Key} // same names throughout, another authority's key
	key, err := parseKey(ca.Key)
	assert.NilError(t, err)
	renamed, err := selfSign(key, "another name", nil, start) // the signature fits, the issuer's name does not
	assert.NilError(t, err)
	for _, tc := range []struct {
		name     string
		ca, leaf Pair
		host     string
		now      time.Time
		want     error
	}{
		{"good", ca, leaf, "localhost", start, nil},
		{"without the authority's key", Pair{Cert: ca.Cert}, leaf, "localhost", start, nil},
		{"no host asked", ca, leaf, "", start, nil},
		{"last second", ca, leaf, "localhost", end, nil},
		{"other host", ca, leaf, "example.com", start, ErrHost},
		{"other address", ca, leaf, "127.0.0.1", start, ErrHost},
		{"a second too late", ca, leaf, "localhost", end.Add(time.Second), ErrExpired},
		{"too early", ca, leaf, "localhost", start.Add(-time.Hour), ErrNotYetValid},
		{"other authority of the same name", ca, forged, "localhost", start, ErrUntrusted},
		{"expired and untrusted: untrusted counts", ca, forged, "localhost", end.Add(day), ErrUntrusted},
		{"same key, other name", renamed, leaf, "localhost", end.Add(day), ErrUntrusted},
		{"other key", ca, Pair{Cert: leaf.Cert, Key: otherLeaf.Key}, "localhost", start, ErrKeyMismatch},
		{"no key", ca, Pair{Cert: leaf.Cert}, "localhost", start, ErrNoKey},
		{"leaf as authority", leaf, leaf, "localhost", start, ErrNotCA},
		{"authority as leaf", ca, ca, "", start, ErrNotServer},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := Verify(tc.ca, tc.leaf, tc.host, tc.now)
			for _, kind := range []error{ErrHost, ErrExpired, ErrNotYetValid, ErrUntrusted, ErrNotServer, ErrKeyMismatch, ErrNoKey, ErrNotCA} {
				assert.Equal(t, errors.Is(err, kind), errors.Is(tc.want, kind), "%v: %v", kind, err)
			}
			if tc.want == nil {
				assert.NilError(t, err)
			}
		})
	}
	for _, bad := range [][]byte{nil, []byte("x"), []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")} {
		assert.Assert(t, Verify(ca, Pair{Cert: bad, Key: leaf.Key}, "", start) != nil)
		assert.Assert(t, Verify(Pair{Cert: bad}, leaf, "", start) != nil)
	}
}

func TestInspect(t *testing.T) {
	ca := newAuthority(t)
	info, err := Inspect(issue(t, ca, "localhost", "10.0.0.1"))
	assert.NilError(t, err)
	assert.Equal(t, info.Subject, "localhost")
	assert.Equal(t, info.Issuer, "test CA")
	assert.DeepEqual(t, info.Hosts, []string{"localhost", "10.0.0.1"})
	assert.Assert(t, !info.IsCA && info.Serial != "")
	info, err = Inspect(Pair{Cert: append(slices.Clone(ca.Key), ca.Cert...)})
	assert.NilError(t, err, "a key before the certificate is skipped")
	assert.Assert(t, info.IsCA)
	_, err = Inspect(Pair{Cert: ca.Key})
	assert.Error(t, err, "certificate: no PEM block CERTIFICATE")
}

func TestDaysLeftAndRenewal(t *testing.T) {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	info := Info{NotBefore: from, NotAfter: from.Add(90 * day)}
	for _, tc := range []struct {
		after time.Duration
		days  int
		renew bool
	}{
		{0, 90, false},
		{time.Second, 89, false},
		{60 * day, 30, false},
		{60*day + time.Second, 29, true},
		{89*day + 23*time.Hour, 0, true},
		{90 * day, 0, true},
		{90*day + time.Second, -1, true},
		{92 * day, -2, true},
	} {
		now := from.Add(tc.after)
		assert.Equal(t, info.DaysLeft(now), tc.days, tc.after)
		assert.Equal(t, NeedsRenewal(info, now), tc.renew, tc.after)
	}
}

// cfssl's errors print as JSON, and it logs each signature; neither may reach a person.
func TestCfsslIsSilentAndTranslated(t *testing.T) {
	err := translate("certificate", fmt.Errorf("wrapped: %w", cferr.New(cferr.PolicyError, cferr.InvalidRequest)))
	assert.Error(t, err, "certificate: policy violation request")
	assert.Error(t, translate("x", errors.New("plain")), "x: plain")

	var out bytes.Buffer
	stdlog.SetOutput(&out)
	defer stdlog.SetOutput(os.Stderr)
	ca := newAuthority(t)
	issue(t, ca, "localhost")
	_, err = parseKey([]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))
	assert.Assert(t, err != nil && !strings.Contains(err.Error(), "{"), err)
	assert.Equal(t, out.String(), "")
}

func TestOpenSSLAgrees(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl here")
	}
	ca := newAuthority(t)
	leaf := issue(t, ca, "localhost", "127.0.0.1")
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		assert.NilError(t, os.WriteFile(path, data, 0o600))
		return path
	}
	caPath, leafPath, keyPath := write("ca.crt", ca.Cert), write("leaf.crt", leaf.Cert), write("leaf.key", leaf.Key)
	otherPath := write("other.crt", newAuthority(t).Cert)
	run := func(args ...string) (string, error) {
		out, err := exec.Command(openssl, args...).CombinedOutput()
		return string(out), err
	}

	out, err := run("verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", caPath, "-verify_hostname", "localhost", leafPath)
	assert.NilError(t, err, out)
	out, err = run("verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", caPath, "-verify_ip", "127.0.0.1", leafPath)
	assert.NilError(t, err, out)
	for _, args := range [][]string{
		{"-CAfile", caPath, "-verify_hostname", "example.com"},
		{"-CAfile", caPath, "-purpose", "sslclient"},
		{"-CAfile", otherPath},
	} {
		out, err = run(append(append([]string{"verify"}, args...), leafPath)...)
		assert.Assert(t, err != nil, "%v: %s", args, out)
	}
	public, err := run("pkey", "-in", keyPath, "-pubout")
	assert.NilError(t, err, public)
	certified, err := run("x509", "-in", leafPath, "-noout", "-pubkey")
	assert.NilError(t, err)
	assert.Equal(t, public, certified)
}

// A handshake as the gateway and curl do it.
func TestHandshake(t *testing.T) {
	ca := newAuthority(t)
	leaf := issue(t, ca, "localhost")
	server, err := tls.X509KeyPair(leaf.Chain(), leaf.Key)
	assert.NilError(t, err)
	roots := x509.NewCertPool()
	assert.Assert(t, roots.AppendCertsFromPEM(ca.Cert))
	for host, want := range map[string]string{"localhost": "", "example.com": "not example.com"} {
		near, far := net.Pipe()
		go func() {
			_ = tls.Server(far, &tls.Config{Certificates: []tls.Certificate{server}}).Handshake()
			far.Close()
		}()
		err := tls.Client(near, &tls.Config{RootCAs: roots, ServerName: host}).Handshake()
		near.Close()
		if want == "" {
			assert.NilError(t, err)
			continue
		}
		assert.ErrorContains(t, err, want)
	}
}
