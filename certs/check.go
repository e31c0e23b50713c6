package certs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Finding is one thing that was checked. Err is nil where it is as it should be.
type Finding struct {
	Check  string
	Detail string // what was seen
	Err    error
}

// Check looks at what is kept from every side: Go's rules, the key, dates and hosts. Each finding stands for itself.
func (s Store) Check() ([]Finding, Result) {
	kept, err := s.Load()
	if err != nil {
		return []Finding{{Check: "files", Err: err}}, kept
	}
	if kept.CA == nil || kept.Leaf.Cert == nil {
		err := &problem{"there is no certificate yet", ErrMissing, "docker telemetry certs init"}
		return []Finding{{Check: "files", Err: err}}, kept
	}
	findings := []Finding{{Check: "files", Detail: "readable, closed to others"}}
	root, rootErr := parseCert(kept.CA)
	cert, err := parseCert(kept.Leaf.Cert)
	if err != nil || rootErr != nil {
		if err != nil {
			err = &problem{fmt.Sprintf("%s is damaged: %v", LeafCert, err), err, renewHint}
		}
		if rootErr != nil {
			rootErr = damaged(AuthorityCert, rootErr)
		}
		findings[0] = Finding{Check: "files", Err: errors.Join(rootErr, err)}
		return findings, kept
	}
	now := s.Now()
	dates := errors.Join(verifyDates("certificate authority", root, now), verifyDates("certificate", cert, now))
	chain := verifyIssuer(root, cert)
	// An expired certificate has one finding, not two.
	if chain == nil && dates == nil {
		chain = verifyChain(root, cert, now)
	}
	info, _ := Inspect(kept.Leaf)
	return append(findings,
		Finding{Check: "issuer", Detail: commonName(root.Subject.CommonName, root.Subject.String()) + ", by Go's rules", Err: chain},
		Finding{Check: "key", Detail: "fits the certificate", Err: verifyKey(cert, kept.Leaf.Key)},
		Finding{Check: "dates", Detail: fmt.Sprintf("%d days left, until %s", info.DaysLeft(now), stamp(cert.NotAfter)), Err: dates},
		Finding{Check: "hosts", Detail: strings.Join(info.Hosts, ", "), Err: s.checkHosts(kept)},
	), kept
}

// ErrMissing is the cause when no certificate was made yet.
var ErrMissing = errors.New("no certificate yet")

func (s Store) checkHosts(kept Result) error {
	hosts, err := s.hosts(kept.Options)
	if err != nil {
		return err
	}
	cert, err := parseCert(kept.Leaf.Cert)
	if err != nil {
		return err
	}
	for _, host := range hosts {
		// One of the user's own covers what its issuer wanted.
		if err := cert.VerifyHostname(strings.Replace(host, "*", "any", 1)); err != nil && !kept.Options.Imported {
			return &problem{fmt.Sprintf("certificate %q does not cover %q", cert.Subject.CommonName, host), ErrHost, renewHint}
		}
	}
	return nil
}

// ErrNoOpenSSL is the cause when there is no openssl program that could be asked.
var ErrNoOpenSSL = errors.New("no openssl program")

// OpenSSL has the openssl program verify a kept certificate with its strict rules, for each of its hosts. The key goes
// by its standard input. It returns the program's version.
func OpenSSL(ctx context.Context, kept Result, now time.Time) (string, error) {
	program, err := exec.LookPath("openssl")
	if err != nil {
		return "", ErrNoOpenSSL
	}
	version, err := openssl(ctx, program, nil, "version")
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoOpenSSL, err)
	}
	cert, err := parseCert(kept.Leaf.Cert)
	if err != nil {
		return version, err
	}
	dir, err := os.MkdirTemp("", "docker-telemetry-verify-")
	if err != nil {
		return version, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	root := filepath.Join(dir, "ca.crt")
	if err := os.WriteFile(root, kept.CA, 0o600); err != nil {
		return version, err
	}
	for _, host := range hostsOf(cert) {
		option := "-verify_hostname"
		if net.ParseIP(host) != nil {
			option = "-verify_ip"
		}
		if _, err := openssl(ctx, program, kept.Leaf.Cert, "verify", "-x509_strict", "-partial_chain", "-purpose", "sslserver",
			"-attime", strconv.FormatInt(now.Unix(), 10), "-CAfile", root, option, strings.Replace(host, "*", "any", 1)); err != nil {
			return version, &problem{fmt.Sprintf("openssl refuses the certificate for %q: %v", host, err), ErrUntrusted, renewHint}
		}
	}
	certified, err := openssl(ctx, program, kept.Leaf.Cert, "x509", "-noout", "-pubkey")
	if err != nil {
		return version, err
	}
	held, err := openssl(ctx, program, kept.Leaf.Key, "pkey", "-pubout")
	if err != nil {
		return version, &problem{fmt.Sprintf("openssl cannot read the private key: %v", err), ErrKeyMismatch, renewHint}
	}
	if certified != held {
		return version, &problem{"openssl: the private key belongs to another certificate", ErrKeyMismatch, renewHint}
	}
	return version, nil
}

func openssl(ctx context.Context, program string, stdin []byte, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	// A configuration of the user's own could load engines or change the rules.
	cmd.Env = append(os.Environ(), "OPENSSL_CONF="+os.DevNull, "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	said := strings.TrimSpace(string(out))
	if err == nil {
		return said, nil
	}
	for line := range strings.Lines(said) {
		// "error 20 at 0 depth lookup: unable to get local issuer certificate"
		if _, cause, found := strings.Cut(line, "lookup:"); found {
			return "", errors.New(strings.TrimSpace(cause))
		}
	}
	return "", errors.New(strings.Join(strings.Fields(said), " "))
}
