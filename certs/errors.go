package certs

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	cferr "github.com/cloudflare/cfssl/errors"
)

// What can be wrong with a certificate; test with errors.Is.
var (
	ErrKeyMismatch = errors.New("the private key belongs to another certificate")
	ErrUntrusted   = errors.New("not issued by this authority")
	ErrExpired     = errors.New("expired")
	ErrNotYetValid = errors.New("not yet valid")
	ErrHost        = errors.New("does not cover the host")
	ErrNotCA       = errors.New("not a certificate authority")
	ErrNotServer   = errors.New("not a certificate for servers")
	ErrNoKey       = errors.New("the private key is missing")
	ErrPermitted   = errors.New("the authority may not issue for the host")
)

// problem is a sentinel with the words for a person and a way out.
type problem struct {
	text string
	kind error
	hint string
}

func (p *problem) Error() string { return p.text }
func (p *problem) Unwrap() error { return p.kind }
func (p *problem) Hint() string  { return p.hint }

const (
	renewHint   = "docker telemetry certs renew"
	restoreHint = "restore " + AuthorityCert + " and " + AuthorityKey + " from a backup, or start a new authority, " +
		"which browsers must trust anew: docker telemetry certs init --force"
	importHint = "give another one: docker telemetry certs init --cert FILE --key FILE; " +
		"or go back to our own: docker telemetry certs renew --force"
)

func notPermitted(ca *x509.Certificate, host string) error {
	return &problem{
		fmt.Sprintf("authority %q may not issue for %q, only for %s", ca.Subject.CommonName, host, strings.Join(permittedBy(ca), ", ")),
		ErrPermitted, "docker telemetry certs init --force starts a new authority of our own, which browsers must trust anew",
	}
}

// translate makes one line of a cfssl error, whose text is JSON.
func translate(what string, err error) error {
	var cf *cferr.Error
	if !errors.As(err, &cf) {
		return fmt.Errorf("%s: %w", what, err)
	}
	message := cf.Message
	if message != "" {
		message = strings.ToLower(message[:1]) + message[1:]
	}
	return fmt.Errorf("%s: %s", what, message)
}
