package certs

import (
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

const renewHint = `run "docker telemetry certs renew"`

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
