package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"gotest.tools/v3/assert"
)

func fuzzPair(f *testing.F) (ca, leaf Pair) {
	f.Helper()
	ca, err := NewAuthority("fuzz CA", time.Now)
	assert.NilError(f, err)
	leaf, err = Issue(ca, Request{Hosts: []string{"localhost", "127.0.0.1", "::1"}})
	assert.NilError(f, err)
	return ca, leaf
}

func assertOneLine(t *testing.T, err error) {
	t.Helper()
	for _, char := range err.Error() {
		assert.Assert(t, unicode.IsPrint(char), "%q in %q", char, err.Error())
	}
}

// FuzzInspect: what can be inspected is the first certificate of the text and the same after it is written again.
func FuzzInspect(f *testing.F) {
	ca, leaf := fuzzPair(f)
	for _, seed := range [][]byte{
		ca.Cert, leaf.Cert, slices.Concat(leaf.Key, leaf.Cert, ca.Cert), leaf.Key, leaf.Cert[:len(leaf.Cert)/2],
		bytes.ReplaceAll(leaf.Cert, []byte("\n"), []byte("\r\n")), []byte("not PEM"), nil,
		[]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"),
		[]byte("-----BEGIN CERTIFICATE-----\nX: y\n\nMAA=\n-----END CERTIFICATE-----\n"),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		info, err := Inspect(Pair{Cert: data})
		if err != nil {
			assertOneLine(t, err)
			return
		}
		cert, err := parseCert(data)
		assert.NilError(t, err)
		again, err := Inspect(Pair{Cert: encodeCert(cert)})
		assert.NilError(t, err)
		assert.DeepEqual(t, again, info)
		assert.Equal(t, len(info.Hosts), len(cert.DNSNames)+len(cert.IPAddresses))
		// Renewal reads the names again as hosts: they are taken as they are or refused, in one line.
		if _, err := normalize(info.Hosts); err != nil {
			assertOneLine(t, err)
		}
	})
}

// FuzzParseKey: a key that can be read is the same key after it is written the way ours are.
func FuzzParseKey(f *testing.F) {
	_, leaf := fuzzPair(f)
	for _, seed := range [][]byte{
		leaf.Key, slices.Concat(leaf.Cert, leaf.Key), leaf.Cert, leaf.Key[:len(leaf.Key)/2], []byte("not PEM"), nil,
		[]byte("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"),
		[]byte("-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMAA=\n-----END EC PRIVATE KEY-----\n"),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := parseKey(data)
		if err != nil {
			assertOneLine(t, err)
			return
		}
		written, err := pair(nil, key)
		assert.NilError(t, err)
		again, err := parseKey(written.Key)
		assert.NilError(t, err)
		assert.Assert(t, keyFits(&x509.Certificate{PublicKey: key.Public()}, again))
	})
}

// FuzzTamperedLeaf changes a byte of an issued certificate. Whatever of its signed part is touched, it is refused.
func FuzzTamperedLeaf(f *testing.F) {
	ca, leaf := fuzzPair(f)
	issued, err := parseCert(leaf.Cert)
	assert.NilError(f, err)
	for _, offset := range []uint16{0, 4, 20, 60, 100, 150, 200, 300, 400} {
		f.Add(offset, byte(1))
		f.Add(offset, byte(0x80))
	}
	f.Fuzz(func(t *testing.T, offset uint16, flip byte) {
		der := bytes.Clone(issued.Raw)
		der[int(offset)%len(der)] ^= flip
		changed := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		err := Verify(ca, Pair{Cert: changed, Key: leaf.Key}, "localhost", time.Now())
		if err != nil {
			assertOneLine(t, err)
			assert.Assert(t, flip != 0, "refused as issued: %v", err)
			return
		}
		accepted, err := parseCert(changed)
		assert.NilError(t, err)
		assert.Assert(t, bytes.Equal(accepted.RawTBSCertificate, issued.RawTBSCertificate), "byte %d ^ %#x is accepted", int(offset)%len(der), flip)
	})
}

// FuzzHosts: an accepted host is a DNS name or an address, and the certificate covers it and nothing else. cfssl would
// put what looks like an e-mail address or a URI into other fields.
func FuzzHosts(f *testing.F) {
	ca, _ := fuzzPair(f)
	for _, seed := range []string{
		"localhost", "LOCALHOST.", "127.0.0.1", "::1", "[::1]", "::ffff:127.0.0.1", "fe80::1%eth0", "10.0.0.256", "010.0.0.1", "1.2.3", "*.example.com",
		"*", "*.", "a.*.b", "a@b.c", "https://localhost", "localhost:8082", "a..b", ".", "", " a", "a\nb", "a\x00b", "xn--bcher-kva.example", "bücher.example",
		"K", "a_b", "-a", strings.Repeat("a", 64), strings.Repeat("a.", 126) + "a", strings.Repeat("a.", 127), "0x7f.1", "127.1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		hosts, err := normalize([]string{host, "localhost"})
		if err != nil {
			assertOneLine(t, err)
			return
		}
		again, err := normalize(hosts)
		assert.NilError(t, err)
		assert.DeepEqual(t, again, hosts)

		leaf, err := Issue(ca, Request{Hosts: []string{host, "localhost"}})
		assert.NilError(t, err)
		cert, err := parseCert(leaf.Cert)
		assert.NilError(t, err)
		assert.DeepEqual(t, hostsOf(cert), hosts)
		assert.Equal(t, len(cert.EmailAddresses)+len(cert.URIs), 0)
		for _, covered := range hosts {
			address, err := netip.ParseAddr(covered)
			if err == nil {
				assert.Equal(t, address.Zone(), "")
			}
			probe := strings.Replace(covered, "*", "any", 1)
			assert.NilError(t, Verify(ca, leaf, probe, time.Now()))
		}
	})
}
