package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrExists is the cause when something would be replaced that was not to be.
var ErrExists = errors.New("there is one already")

// ImportAuthority makes a pair of the user's own the authority of all stacks. Another one that is there is replaced
// only by force: what it issued is issued anew by each stack's next `up`, and browsers must trust the new one.
func (s Store) ImportAuthority(ca Pair, force bool) error {
	cert, key, err := authority(ca)
	if err != nil {
		return err
	}
	if cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageCertSign == 0 {
		return &problem{fmt.Sprintf("certificate %q may not sign certificates", cert.Subject.CommonName), ErrNotCA, ""}
	}
	if err := verifyDates("certificate authority", cert, s.Now()); err != nil {
		return err
	}
	hosts, err := normalize(s.Hosts)
	if err != nil {
		return err
	}
	if host := firstRefused(cert, hosts); host != "" {
		return &problem{notPermitted(cert, host).Error(), ErrPermitted, "give an authority that may issue for " + host}
	}
	written, err := pair(allCerts(cert, ca.Cert), key)
	if err != nil {
		return err
	}
	if err := s.replaceable(cert.Raw, force); err != nil {
		return err
	}
	return s.writeAuthority(written)
}

// NewAuthority replaces the authority of all stacks by a new one of our own.
func (s Store) NewAuthority() error {
	hosts, err := normalize(s.Hosts)
	if err != nil {
		return err
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	name, err := authorityName(key)
	if err != nil {
		return err
	}
	made, err := selfSign(key, name, hosts, s.Now())
	if err != nil {
		return err
	}
	return s.writeAuthority(made)
}

// writeAuthority: killed between the two, the next run finds a key that does not fit and says how to begin anew.
func (s Store) writeAuthority(ca Pair) error {
	if err := s.Authority.WriteFile(AuthorityKey, ca.Key, 0o400); err != nil {
		return err
	}
	return s.Authority.WriteFile(AuthorityCert, ca.Cert, 0o644)
}

func (s Store) replaceable(raw []byte, force bool) error {
	kept, err := readIfThere(s.Authority, AuthorityCert)
	if force || err != nil || kept == nil {
		return err
	}
	if cert, err := parseCert(kept); err == nil && bytes.Equal(cert.Raw, raw) {
		return nil
	}
	return &problem{
		"there is an authority already, for all stacks of this user", ErrExists,
		"replace it, which browsers must trust anew: add --force",
	}
}

// allCerts writes the authorities among the certificates, the one that signs first.
func allCerts(first *x509.Certificate, data []byte) []byte {
	out := encodeCert(first)
	for _, cert := range parseCerts(data) {
		if cert.IsCA && !cert.Equal(first) {
			out = append(out, encodeCert(cert)...)
		}
	}
	return out
}

// OwnLeaf checks a certificate and key of the user's own and returns them as they are kept: the certificate alone, and
// its issuers. issuers is PEM and may be empty where the certificate's file has the chain in it.
func OwnLeaf(leaf Pair, issuers []byte, now time.Time) (Pair, error) {
	cert, err := parseCert(leaf.Cert)
	if err != nil {
		return Pair{}, err
	}
	if err := serverCertificate(cert); err != nil {
		return Pair{}, err
	}
	var authorities []*x509.Certificate
	for _, known := range slices.Concat(parseCerts(leaf.Cert), parseCerts(issuers)) {
		if known.IsCA {
			authorities = append(authorities, known)
		}
	}
	at := slices.IndexFunc(authorities, func(ca *x509.Certificate) bool {
		return bytes.Equal(ca.RawSubject, cert.RawIssuer) && cert.CheckSignatureFrom(ca) == nil
	})
	if at < 0 {
		return Pair{}, &problem{
			fmt.Sprintf("the issuer of certificate %q is unknown", cert.Subject.CommonName), ErrUntrusted,
			"append its certificate to the file, or give it with --ca-cert",
		}
	}
	key, err := parseKey(leaf.Key)
	if err != nil {
		return Pair{}, err
	}
	kept, err := pair(encodeCert(cert), key)
	if err != nil {
		return Pair{}, err
	}
	kept.Issuer = allCerts(authorities[at], slices.Concat(leaf.Cert, issuers))
	return kept, Verify(Pair{Cert: kept.Issuer}, kept, "", now)
}

// serverCertificate refuses what older recipes made: one self-signed certificate with CA:TRUE and no host but the
// common name. curl, Go and browsers refuse each of the three.
func serverCertificate(cert *x509.Certificate) error {
	const hint = "leave it out, docker telemetry makes one that is accepted; or issue one with subject alternative names and CA:FALSE"
	name := commonName(cert.Subject.CommonName, cert.Subject.String())
	switch {
	case cert.IsCA:
		return &problem{fmt.Sprintf("certificate %q is an authority itself (CA:TRUE), which clients refuse of a server", name), ErrNotServer, hint}
	case len(hostsOf(cert)) == 0:
		return &problem{fmt.Sprintf("certificate %q names no host: it has no subject alternative name, and clients no longer read the common name", name), ErrHost, hint}
	}
	return nil
}

func parseCerts(data []byte) []*x509.Certificate {
	var found []*x509.Certificate
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return found
		}
		if cert, err := x509.ParseCertificate(block.Bytes); block.Type == "CERTIFICATE" && err == nil {
			found = append(found, cert)
		}
		data = rest
	}
}
