package certs

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/cloudflare/cfssl/csr"
	"github.com/cloudflare/cfssl/log"
)

const organization = "docker telemetry"

// quiet silences cfssl, which logs each key to stderr, where our progress is. Its level is a bare global, so a
// second write would race with a key made in another goroutine; errors reach us as values anyway.
//
//nolint:gochecknoglobals // it guards a global of cfssl, and must be as global as that
var quiet = sync.OnceFunc(func() { log.Level = log.LevelFatal })

// Request is a server certificate to issue.
type Request struct {
	CommonName string        // default: the first DNS name
	Hosts      []string      // DNS names and IP addresses, at least one
	Lifetime   time.Duration // default DefaultLifetime, at most MaxLifetime; never beyond the authority's end
	NotBefore  time.Time     // default: five minutes ago

	// cfssl's own formats, all optional: a CSR JSON, whose hosts are added, and a signing configuration with the name
	// of a profile in it. What they say comes before the fields above and the defaults.
	CSR, Signing []byte
	Profile      string
}

// NewAuthority makes a self-signed authority for five years that signs server certificates only, no other authorities,
// and only for the permitted DNS names, those below them, and addresses; a kind of which none is given is not
// restricted. A name beyond the 64 characters that X.509 allows is cut.
func NewAuthority(name string, now func() time.Time, permitted ...string) (Pair, error) {
	key, err := newKey()
	if err != nil {
		return Pair{}, err
	}
	return selfSign(key, name, permitted, now())
}

func selfSign(key crypto.Signer, name string, permitted []string, now time.Time) (Pair, error) {
	if name == "" {
		return Pair{}, errors.New("certificate authority: the name is empty")
	}
	notBefore, notAfter := window(now.Add(-backdate), AuthorityLifetime)
	cert, err := sign(signing{
		by: key, subject: key, name: name, permitted: permitted, notBefore: notBefore, notAfter: notAfter,
		profile: profile{keyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign},
	})
	if err != nil {
		return Pair{}, err
	}
	return pair(cert, key)
}

// Issue makes a new key and a certificate for TLS servers, signed by the authority.
func Issue(ca Pair, req Request) (Pair, error) {
	leaf, err := plan(req)
	if err != nil {
		return Pair{}, err
	}
	caCert, caKey, err := authority(ca)
	if err != nil {
		return Pair{}, err
	}
	if host := firstRefused(caCert, leaf.hosts); host != "" {
		return Pair{}, notPermitted(caCert, host)
	}
	leaf.by, leaf.authority = caKey, caCert
	if leaf.notAfter.After(caCert.NotAfter) {
		leaf.notAfter = caCert.NotAfter
	}
	if !leaf.notAfter.After(leaf.notBefore) {
		return Pair{}, expired("certificate authority", caCert)
	}
	leaf.subject, err = generate(leaf.key)
	if err != nil {
		return Pair{}, err
	}
	cert, err := sign(leaf)
	if err != nil {
		return Pair{}, err
	}
	issued, err := pair(cert, leaf.subject)
	issued.Issuer = encodeCert(caCert)
	return issued, err
}

// plan fills a request's gaps.
func plan(req Request) (signing, error) {
	form, err := formOf(req.CSR)
	if err != nil {
		return signing{}, err
	}
	own, err := profileOf(req.Signing, req.Profile)
	if err != nil {
		return signing{}, err
	}
	used := serverProfile(orElse(req.Lifetime, DefaultLifetime))
	if own != nil {
		used = *own
	}
	if used.lifetime < 0 || used.lifetime > MaxLifetime {
		return signing{}, fmt.Errorf("certificate lifetime %s: use at most %d days", used.lifetime, MaxLifetime/day)
	}
	planned := signing{name: req.CommonName, profile: used, hosts: req.Hosts}
	if form != nil {
		planned.name, planned.names, planned.key = orElse(form.CN, req.CommonName), form.Names, form.KeyRequest
		planned.hosts = slices.Concat(req.Hosts, form.Hosts)
	}
	planned.hosts, err = normalize(planned.hosts)
	if err != nil {
		return signing{}, err
	}
	planned.name = orElse(planned.name, planned.hosts[0])
	if req.NotBefore.IsZero() {
		req.NotBefore = time.Now().Add(-backdate)
	}
	planned.notBefore, planned.notAfter = window(req.NotBefore, used.lifetime)
	return planned, nil
}

func orElse[T comparable](first, second T) T {
	var zero T
	if first != zero {
		return first
	}
	return second
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

type signing struct {
	by, subject         crypto.Signer
	authority           *x509.Certificate // nil: self-signed, an authority
	key                 *csr.KeyRequest   // nil: P-256
	name                string
	names               []csr.Name // nil: our organization
	hosts               []string
	permitted           []string // hosts that an authority may issue for, none: any
	profile             profile
	notBefore, notAfter time.Time
}

// sign uses the standard library. cfssl's signer does the same behind zlint and zcrypto, whose initialization is a
// quarter of the time in which the plugin answers `docker --help` (docs/adr/0004-cfssl-v1.6.5.md).
func sign(s signing) ([]byte, error) {
	// RFC 5280, 4.1.2.2: positive and at most 20 octets.
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 159))
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	subject, err := s.subjectName()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: subject, NotBefore: s.notBefore, NotAfter: s.notAfter,
		BasicConstraintsValid: true, KeyUsage: s.profile.keyUsage, ExtKeyUsage: s.profile.extUsage,
	}
	for _, host := range s.hosts {
		if address := net.ParseIP(host); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
			continue
		}
		template.DNSNames = append(template.DNSNames, host)
	}
	parent := s.authority
	if parent == nil {
		parent = template
		template.IsCA, template.MaxPathLenZero = true, true
		permit(template, s.permitted)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, s.subject.Public(), s.by)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return encodeCert(&x509.Certificate{Raw: der}), nil
}

func (s signing) subjectName() (pkix.Name, error) {
	names := s.names
	if names == nil {
		names = []csr.Name{{O: organization}}
	}
	name, err := (&csr.CertificateRequest{CN: clip(s.name), Names: names}).Name()
	if err != nil {
		return pkix.Name{}, translate("certificate request", err)
	}
	return name, nil
}

// clip cuts a common name at X.509's upper bound of 64 characters, which OpenSSL and GnuTLS enforce.
func clip(name string) string {
	runes := []rune(name)
	if len(runes) > 64 {
		return string(runes[:64])
	}
	return name
}

func newKey() (crypto.Signer, error) { return generate(nil) }

func generate(request *csr.KeyRequest) (crypto.Signer, error) {
	quiet()
	if request == nil {
		request = csr.NewKeyRequest()
	}
	generated, err := request.Generate()
	if err != nil {
		return nil, translate("private key", err)
	}
	key, ok := generated.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("private key: %T cannot sign", generated)
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
