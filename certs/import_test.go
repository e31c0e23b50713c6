package certs

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
	"software.sslmate.com/src/go-pkcs12"
)

func (s *store) store(now time.Time) Store {
	return Store{Authority: s.ca, Stack: s.stack, Hosts: s.hosts, Now: at(now)}
}

func TestImportAuthority(t *testing.T) {
	s := newStore()
	corp := newAuthority(t)
	assert.NilError(t, s.store(start).ImportAuthority(corp, false))
	leaf, _ := s.ensure(t, start)
	assert.NilError(t, Verify(corp, leaf, "localhost", start))
	assert.Equal(t, int(s.ca.modes[AuthorityKey]), 0o400)
	assert.NilError(t, s.store(start).ImportAuthority(corp, false), "the same again")

	other := newAuthority(t)
	err := s.store(start).ImportAuthority(other, false)
	assert.Assert(t, errors.Is(err, ErrExists), err)
	assert.Assert(t, is.Contains(hint(err), "--force"))
	assert.NilError(t, s.store(start).ImportAuthority(other, true))
	leaf, changed := s.ensure(t, start)
	assert.Assert(t, changed, "issued by the new one")
	assert.NilError(t, Verify(other, leaf, "localhost", start))

	narrow, err := NewAuthority("narrow", at(start), "corp.example", "10.0.0.1")
	assert.NilError(t, err)
	for name, tc := range map[string]struct {
		pair Pair
		kind error
	}{
		"a server's":     {Pair{Cert: leaf.Cert, Key: leaf.Key}, ErrNotCA},
		"key of another": {Pair{Cert: corp.Cert, Key: other.Key}, ErrKeyMismatch},
		"no key":         {Pair{Cert: corp.Cert}, ErrNoKey},
		"other hosts":    {narrow, ErrPermitted},
	} {
		writes := s.ca.writes
		err := s.store(start).ImportAuthority(tc.pair, true)
		assert.Assert(t, errors.Is(err, tc.kind), "%s: %v", name, err)
		assert.Equal(t, s.ca.writes, writes, name)
	}
	err = s.store(start.Add(AuthorityLifetime)).ImportAuthority(corp, true)
	assert.Assert(t, errors.Is(err, ErrExpired), err)
}

func TestOwnLeafIsKept(t *testing.T) {
	s := newStore()
	corp := newAuthority(t)
	leaf := issue(t, corp, "telemetry.corp.example")
	own, err := OwnLeaf(Pair{Cert: slices.Concat(leaf.Cert, corp.Cert), Key: leaf.Key}, nil, start)
	assert.NilError(t, err)
	assert.Equal(t, string(own.Cert), string(leaf.Cert))
	assert.Equal(t, string(own.Issuer), string(corp.Cert))
	apart, err := OwnLeaf(Pair{Cert: leaf.Cert, Key: leaf.Key}, corp.Cert, start)
	assert.NilError(t, err)
	assert.DeepEqual(t, apart, own)

	assert.NilError(t, s.store(start).SaveOwn(own))
	assert.NilError(t, s.store(start).WriteOptions(Options{Imported: true}))
	kept, err := s.store(start.Add(80 * day)).Ensure()
	assert.NilError(t, err)
	assert.Assert(t, !kept.LeafChanged)
	assert.Equal(t, string(kept.Leaf.Cert), string(leaf.Cert))
	assert.Equal(t, string(kept.CA), string(corp.Cert), "who trusts it trusts its issuer")
	assert.Equal(t, s.ca.writes, 0, "no authority of our own is made for it")

	_, err = s.store(start.Add(91 * day)).Ensure()
	assert.Assert(t, errors.Is(err, ErrExpired), err)
	assert.Assert(t, is.Contains(hint(err), "certs init --cert"))
	back, err := s.store(start).Next(kept.Options, true)
	assert.NilError(t, err)
	assert.Assert(t, back.LeafChanged && s.ca.files[AuthorityCert] != nil)
}

// The certificate of the recipes that people had followed: self-signed, CA:TRUE, the host in the common name only.
func TestOldRecipeIsRefused(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	assert.NilError(t, err)
	made := func(ca bool, hosts ...string) Pair {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: hosts, IsCA: ca, BasicConstraintsValid: true,
			NotBefore: start.Add(-time.Hour), NotAfter: start.Add(365 * day),
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		assert.NilError(t, err)
		written, err := pair(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key)
		assert.NilError(t, err)
		return written
	}
	for name, tc := range map[string]struct {
		leaf Pair
		kind error
		want string
	}{
		"as the recipe made it": {made(true), ErrNotServer, "CA:TRUE"},
		"with a host":           {made(true, "localhost"), ErrNotServer, "CA:TRUE"},
		"no authority":          {made(false), ErrHost, "no subject alternative name"},
		"self-signed":           {made(false, "localhost"), ErrUntrusted, "issuer"},
	} {
		_, err := OwnLeaf(tc.leaf, nil, start)
		assert.Assert(t, errors.Is(err, tc.kind), "%s: %v", name, err)
		assert.ErrorContains(t, err, tc.want, name)
		assert.Assert(t, hint(err) != "", name)
	}
	assert.Assert(t, errors.Is(Verify(made(true), made(true), "localhost", start), ErrNotServer))
}

func TestOwnLeafRefuses(t *testing.T) {
	corp, other := newAuthority(t), newAuthority(t)
	leaf := issue(t, corp, "localhost")
	for name, tc := range map[string]struct {
		leaf    Pair
		issuers []byte
		now     time.Time
		kind    error
	}{
		"no issuer":      {leaf, nil, start, ErrUntrusted},
		"another issuer": {leaf, other.Cert, start, ErrUntrusted},
		"key of another": {Pair{Cert: leaf.Cert, Key: other.Key}, corp.Cert, start, ErrKeyMismatch},
		"expired":        {leaf, corp.Cert, start.Add(100 * day), ErrExpired},
		"not yet valid":  {leaf, corp.Cert, start.Add(-day), ErrNotYetValid},
	} {
		_, err := OwnLeaf(tc.leaf, tc.issuers, tc.now)
		assert.Assert(t, errors.Is(err, tc.kind), "%s: %v", name, err)
	}
	_, err := OwnLeaf(Pair{Cert: leaf.Cert[:len(leaf.Cert)/2], Key: leaf.Key}, corp.Cert, start)
	assert.ErrorContains(t, err, "no PEM block CERTIFICATE")
}

func TestCFSSLFormats(t *testing.T) {
	s := newStore()
	form := `{"CN": "team", "hosts": ["team.test"], "key": {"algo": "rsa", "size": 2048}, "names": [{"O": "Team", "C": "DE"}]}`
	policy := `{"signing": {"default": {"expiry": "1h", "usages": ["signing", "server auth"]},
		"profiles": {"www": {"expiry": "720h", "usages": ["signing", "key encipherment", "server auth"]}, "none": {"expiry": "1h", "usages": ["client auth"]},
		"ca": {"expiry": "1h", "usages": ["server auth"], "ca_constraint": {"is_ca": true}},
		"long": {"expiry": "43800h", "usages": ["server auth"]}}}}`
	options := Options{CSR: json.RawMessage(form), Signing: json.RawMessage(policy), Profile: "www"}
	assert.NilError(t, s.store(start).WriteOptions(options))
	s.hosts = []string{"localhost", "127.0.0.1"}
	made, err := s.store(start).Ensure()
	assert.NilError(t, err)
	cert := parse(t, made.Leaf)
	assert.Equal(t, cert.Subject.CommonName, "team")
	assert.DeepEqual(t, cert.Subject.Organization, []string{"Team"})
	assert.DeepEqual(t, cert.DNSNames, []string{"localhost", "team.test"})
	assert.Equal(t, cert.PublicKeyAlgorithm, x509.RSA)
	assert.Equal(t, cert.NotAfter.Sub(cert.NotBefore), 720*time.Hour-time.Second)
	assert.Equal(t, cert.KeyUsage, x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment)
	again, err := s.store(start).Ensure()
	assert.NilError(t, err)
	assert.Assert(t, !again.LeafChanged, "settled")

	for name, tc := range map[string]struct {
		options Options
		want    string
	}{
		"no JSON":            {Options{CSR: json.RawMessage(`{`)}, "cfssl CSR"},
		"an authority's CSR": {Options{CSR: json.RawMessage(`{"ca": {"expiry": "1h"}}`)}, "an authority"},
		"a key browsers refuse": {
			Options{CSR: json.RawMessage(`{"key": {"algo": "ed25519", "size": 0}}`)}, "use ecdsa or rsa",
		},
		"a host that is none": {Options{CSR: json.RawMessage(`{"hosts": ["a@b.c"]}`)}, "neither a DNS name"},
		"no such profile":     {Options{Signing: json.RawMessage(policy), Profile: "wwww"}, `no profile "wwww"`},
		"not for servers":     {Options{Signing: json.RawMessage(policy), Profile: "none"}, `no "server auth"`},
		"makes authorities":   {Options{Signing: json.RawMessage(policy), Profile: "ca"}, "makes authorities"},
		"too long":            {Options{Signing: json.RawMessage(policy), Profile: "long"}, "at most 825 days"},
		"no signing":          {Options{Signing: json.RawMessage(`{}`)}, "signing"},
	} {
		err := s.store(start).WriteOptions(tc.options)
		assert.ErrorContains(t, err, tc.want, name)
		assertOneLine(t, err)
	}
}

// What is exported for cfssl is taken back and makes a certificate of the same kind.
func TestCFSSLFilesWork(t *testing.T) {
	s := newStore()
	_, _ = s.ensure(t, start)
	kept, err := s.store(start).Load()
	assert.NilError(t, err)
	files, err := s.store(start).CFSSL(kept)
	assert.NilError(t, err)
	assert.Equal(t, string(files["ca.pem"]), string(kept.CA))
	options := Options{CSR: files["server-csr.json"], Signing: files["ca-config.json"], Profile: "server"}
	made, err := s.store(start).Next(options, true)
	assert.NilError(t, err)
	was, now := parse(t, kept.Leaf), parse(t, made.Leaf)
	assert.DeepEqual(t, hostsOf(now), hostsOf(was))
	assert.Equal(t, now.NotAfter.Sub(now.NotBefore), was.NotAfter.Sub(was.NotBefore))
	assert.DeepEqual(t, now.ExtKeyUsage, was.ExtKeyUsage)
	assert.Equal(t, now.KeyUsage, was.KeyUsage)
	var root struct {
		CN string
		CA struct {
			PathLenZero bool
			Expiry      string
		}
	}
	assert.NilError(t, json.Unmarshal(files["ca-csr.json"], &root))
	assert.Assert(t, root.CA.PathLenZero && root.CA.Expiry == "43800h0m0s")
}

func TestPKCS12(t *testing.T) {
	ca := newAuthority(t)
	data, err := PKCS12(Pair{Cert: ca.Cert}, DefaultPassword)
	assert.NilError(t, err)
	found, err := pkcs12.DecodeTrustStore(data, DefaultPassword)
	assert.NilError(t, err)
	assert.Equal(t, len(found), 1)
	assert.Assert(t, found[0].Equal(parse(t, ca)))
	_, _, err = pkcs12.Decode(data, DefaultPassword)
	assert.Assert(t, err != nil, "there is no key in it")

	data, err = PKCS12(ca, "secret")
	assert.NilError(t, err)
	key, cert, err := pkcs12.Decode(data, "secret")
	assert.NilError(t, err)
	assert.Assert(t, cert.Equal(parse(t, ca)) && key != nil)
	_, _, err = pkcs12.Decode(data, "other")
	assert.Assert(t, err != nil)
	_, err = PKCS12(Pair{Cert: []byte("x")}, "")
	assert.ErrorContains(t, err, "damaged")
}

func TestOptions(t *testing.T) {
	s := newStore()
	options, err := s.store(start).ReadOptions()
	assert.NilError(t, err)
	hosted, err := options.Hosted([]string{"B.test", "a.test", "b.test"})
	assert.NilError(t, err)
	assert.NilError(t, s.store(start).WriteOptions(hosted))
	options, err = s.store(start).ReadOptions()
	assert.NilError(t, err)
	assert.DeepEqual(t, options.Hosts, []string{"a.test", "b.test"})
	made, err := s.store(start).Ensure()
	assert.NilError(t, err)
	assert.DeepEqual(t, hostsOf(parse(t, made.Leaf)), []string{"a.test", "b.test", "localhost", "127.0.0.1"})
	_, err = options.Hosted([]string{"https://c"})
	assert.ErrorContains(t, err, "neither a DNS name")

	for name, tc := range map[string]struct{ text, want string }{
		"half":  {`{"schemaVer`, "damaged"},
		"newer": {`{"schemaVersion": 2}`, "schema 2"},
	} {
		s.stack.files[OptionsFile] = []byte(tc.text)
		_, err := s.store(start).Ensure()
		assert.ErrorContains(t, err, tc.want, name)
		assert.Assert(t, hint(err) != "")
	}
}
