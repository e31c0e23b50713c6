package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cloudflare/cfssl/config"
	"github.com/cloudflare/cfssl/csr"
	"github.com/cloudflare/cfssl/log"
	"github.com/cloudflare/cfssl/signer"
	"github.com/cloudflare/cfssl/signer/local"
)

const organization = "docker telemetry"

// quiet silences cfssl, which logs each signature to stderr, where our progress is. Its level is a bare global, so a
// second write would race with a signature in another goroutine; errors reach us as values anyway.
//
//nolint:gochecknoglobals // it guards a global of cfssl, and must be as global as that
var quiet = sync.OnceFunc(func() { log.Level = log.LevelFatal })

// Request is a server certificate to issue.
type Request struct {
	CommonName string        // default: the first DNS name
	Hosts      []string      // DNS names and IP addresses, at least one
	Lifetime   time.Duration // default DefaultLifetime, at most MaxLifetime; never beyond the authority's end
	NotBefore  time.Time     // default: five minutes ago
}

// NewAuthority makes a self-signed authority for ten years that signs server certificates only, no other authorities.
// A name beyond the 64 characters that X.509 allows is cut.
func NewAuthority(name string, now func() time.Time) (Pair, error) {
	key, err := newKey()
	if err != nil {
		return Pair{}, err
	}
	return selfSign(key, name, now())
}

func selfSign(key crypto.Signer, name string, now time.Time) (Pair, error) {
	if name == "" {
		return Pair{}, errors.New("certificate authority: the name is empty")
	}
	notBefore, notAfter := window(now.Add(-backdate), AuthorityLifetime)
	profile := newProfile(AuthorityLifetime, "cert sign", "crl sign")
	profile.CAConstraint = config.CAConstraint{IsCA: true, MaxPathLenZero: true}
	cert, err := sign(signing{
		by: key, subject: key, name: name, profile: profile, notBefore: notBefore, notAfter: notAfter,
	})
	if err != nil {
		return Pair{}, err
	}
	return pair(cert, key)
}

// Issue makes a new key and a certificate for TLS servers, signed by the authority.
func Issue(ca Pair, req Request) (Pair, error) {
	hosts, err := normalize(req.Hosts)
	if err != nil {
		return Pair{}, err
	}
	if req.Lifetime == 0 {
		req.Lifetime = DefaultLifetime
	}
	if req.Lifetime < 0 || req.Lifetime > MaxLifetime {
		return Pair{}, fmt.Errorf("certificate lifetime %s: use at most %d days", req.Lifetime, MaxLifetime/day)
	}
	if req.NotBefore.IsZero() {
		req.NotBefore = time.Now().Add(-backdate)
	}
	if req.CommonName == "" {
		req.CommonName = hosts[0]
	}
	caCert, caKey, err := authority(ca)
	if err != nil {
		return Pair{}, err
	}
	notBefore, notAfter := window(req.NotBefore, req.Lifetime)
	if notAfter.After(caCert.NotAfter) {
		notAfter = caCert.NotAfter
	}
	if !notAfter.After(notBefore) {
		return Pair{}, expired("certificate authority", caCert)
	}

	key, err := newKey()
	if err != nil {
		return Pair{}, err
	}
	cert, err := sign(signing{
		by: caKey, authority: caCert, subject: key, name: req.CommonName, hosts: hosts,
		profile: newProfile(req.Lifetime, "digital signature", "server auth"), notBefore: notBefore, notAfter: notAfter,
	})
	if err != nil {
		return Pair{}, err
	}
	issued, err := pair(cert, key)
	issued.Issuer = encodeCert(caCert)
	return issued, err
}

// authority parses a pair that is to sign.
func authority(ca Pair) (*x509.Certificate, crypto.Signer, error) {
	cert, err := parseCert(ca.Cert)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate authority: %w", err)
	}
	if !cert.IsCA {
		return nil, nil, &problem{fmt.Sprintf("certificate %q is not an authority", cert.Subject.CommonName), ErrNotCA, restoreHint}
	}
	if len(ca.Key) == 0 {
		return nil, nil, &problem{"certificate authority: the private key is missing", ErrNoKey, restoreHint}
	}
	key, err := parseKey(ca.Key)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate authority: %w", err)
	}
	if !keyFits(cert, key) {
		return nil, nil, &problem{"certificate authority: the private key belongs to another certificate", ErrKeyMismatch, restoreHint}
	}
	return cert, key, nil
}

// window counts as relying parties do, with both ends included, hence the second.
func window(from time.Time, lifetime time.Duration) (notBefore, notAfter time.Time) {
	notBefore = from.UTC().Truncate(time.Second)
	return notBefore, notBefore.Add(lifetime - time.Second)
}

// newProfile sets the lifetime twice because cfssl takes a policy for invalid unless text and value are both there.
func newProfile(lifetime time.Duration, usages ...string) *config.SigningProfile {
	return &config.SigningProfile{Usage: usages, Expiry: lifetime, ExpiryString: lifetime.String()}
}

type signing struct {
	by, subject         crypto.Signer
	authority           *x509.Certificate // nil: self-signed
	name                string
	hosts               []string
	profile             *config.SigningProfile
	notBefore, notAfter time.Time
}

// sign is the only way into cfssl. The profile goes in as the default and no name is ever asked for: cfssl answers an
// unknown name with the default profile and no error.
func sign(s signing) ([]byte, error) {
	quiet()
	request, err := csr.Generate(s.subject, &csr.CertificateRequest{
		CN:    clip(s.name),
		Names: []csr.Name{{O: organization}},
	})
	if err != nil {
		return nil, translate("certificate request", err)
	}
	policy := &config.Signing{Default: s.profile, Profiles: map[string]*config.SigningProfile{}}
	engine, err := local.NewSigner(s.by, s.authority, signer.DefaultSigAlgo(s.by), policy)
	if err != nil {
		return nil, translate("certificate", err)
	}
	cert, err := engine.Sign(signer.SignRequest{
		Hosts:     s.hosts,
		Request:   string(request),
		NotBefore: s.notBefore,
		NotAfter:  s.notAfter,
	})
	if err != nil {
		return nil, translate("certificate", err)
	}
	return cert, nil
}

// clip cuts a common name at X.509's upper bound of 64 characters, which OpenSSL and GnuTLS enforce.
func clip(name string) string {
	runes := []rune(name)
	if len(runes) > 64 {
		return string(runes[:64])
	}
	return name
}

func newKey() (crypto.Signer, error) {
	quiet()
	generated, err := (&csr.KeyRequest{A: "ecdsa", S: 256}).Generate()
	if err != nil {
		return nil, translate("private key", err)
	}
	key, ok := generated.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("private key: want ecdsa, got %T", generated)
	}
	return key, nil
}

// pair encodes the key as PKCS#8; cfssl itself writes the older SEC 1 form, which some readers do not know.
func pair(cert []byte, key crypto.Signer) (Pair, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("private key: %w", err)
	}
	return Pair{Cert: cert, Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}, nil
}

func encodeCert(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}
