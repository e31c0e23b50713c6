package certs

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// Verify checks that the authority issued the leaf, that the leaf's key fits, that both are within their dates and that
// the leaf covers the host; an empty host is not checked. The authority's key is not needed. What is wrong can be told
// with errors.Is: ErrNotCA, ErrUntrusted, ErrNotServer, ErrNoKey, ErrKeyMismatch,
// ErrNotYetValid, ErrExpired, ErrHost, in this order.
func Verify(ca, leaf Pair, host string, now time.Time) error {
	root, err := parseCert(ca.Cert)
	if err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	cert, err := parseCert(leaf.Cert)
	if err != nil {
		return err
	}
	if err := verifyIssuer(root, cert); err != nil {
		return err
	}
	if err := verifyKey(cert, leaf.Key); err != nil {
		return err
	}
	if err := verifyDates("certificate authority", root, now); err != nil {
		return err
	}
	if err := verifyDates("certificate", cert, now); err != nil {
		return err
	}
	if err := verifyChain(root, cert, now); err != nil {
		return err
	}
	if host == "" {
		return nil
	}
	if err := cert.VerifyHostname(host); err != nil {
		return &problem{fmt.Sprintf("certificate %q does not cover %q", cert.Subject.CommonName, host), ErrHost, renewHint}
	}
	return nil
}

// verifyIssuer comes first and looks at no dates: what a stranger issued is not made better by a renewal.
func verifyIssuer(root, cert *x509.Certificate) error {
	if !root.IsCA {
		return &problem{fmt.Sprintf("certificate %q is not an authority", root.Subject.CommonName), ErrNotCA, ""}
	}
	if !bytes.Equal(cert.RawIssuer, root.RawSubject) || cert.CheckSignatureFrom(root) != nil {
		return untrusted(root, cert)
	}
	if cert.IsCA || !slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageServerAuth) {
		return &problem{fmt.Sprintf("certificate %q is not one for servers", cert.Subject.CommonName), ErrNotServer, renewHint}
	}
	return nil
}

func untrusted(root, cert *x509.Certificate) error {
	return &problem{
		fmt.Sprintf("certificate %q was not issued by %q", cert.Subject.CommonName, root.Subject.CommonName),
		ErrUntrusted, renewHint,
	}
}

func verifyKey(cert *x509.Certificate, pem []byte) error {
	if len(pem) == 0 {
		return &problem{fmt.Sprintf("certificate %q: the private key is missing", cert.Subject.CommonName), ErrNoKey, renewHint}
	}
	key, err := parseKey(pem)
	if err != nil {
		return &problem{fmt.Sprintf("certificate %q: its %v", cert.Subject.CommonName, err), err, renewHint}
	}
	if !keyFits(cert, key) {
		return &problem{
			fmt.Sprintf("certificate %q: the private key belongs to another certificate", cert.Subject.CommonName),
			ErrKeyMismatch, renewHint,
		}
	}
	return nil
}

func verifyDates(what string, cert *x509.Certificate, now time.Time) error {
	if now.Before(cert.NotBefore) {
		return &problem{
			fmt.Sprintf("%s %q is not valid before %s", what, cert.Subject.CommonName, stamp(cert.NotBefore)),
			ErrNotYetValid, "set the clock of this computer, which says " + stamp(now) + "; if it is right: " + renewHint,
		}
	}
	if now.After(cert.NotAfter) {
		return expired(what, cert)
	}
	return nil
}

func expired(what string, cert *x509.Certificate) error {
	return &problem{fmt.Sprintf("%s %q expired on %s", what, cert.Subject.CommonName, stamp(cert.NotAfter)), ErrExpired, renewHint}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// verifyChain has the last word with the standard library's full set of rules, such as critical extensions and name constraints.
func verifyChain(root, cert *x509.Certificate, now time.Time) error {
	roots := x509.NewCertPool()
	roots.AddCert(root)
	_, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	if err != nil {
		return fmt.Errorf("%w: %w", untrusted(root, cert), err)
	}
	return nil
}
