// Package trust makes an operating system and browsers trust an authority, and stop to. It is for a command that a
// person types, never for one that runs by itself.
package trust

import (
	"crypto/x509"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/smallstep/truststore"
)

// Store is where a system, or a group of programs, keeps the authorities that it trusts.
type Store interface {
	// Name is for a person.
	Name() string
	// Add and Remove change the store; they may ask for the password of an administrator. A store that is not on this
	// computer is ErrAbsent.
	Add(ca *x509.Certificate) error
	Remove(ca *x509.Certificate) error
	// Trusts looks whether the store has the authority now.
	Trusts(ca *x509.Certificate) (bool, error)
	// Manual lists the commands that add the certificate in file, and those that remove it.
	Manual(file string) (add, remove []string)
}

// ErrAbsent is the cause when a store is not on this computer.
var ErrAbsent = errors.New("not on this computer")

// Stores are those of this computer: the system's, and that of Firefox and, on Linux, Chromium.
func Stores() []Store { return []Store{system{}, browsers{}} }

type system struct{}

func (system) Name() string { return "the system's trust store" }

func (system) Add(ca *x509.Certificate) error { return explain(truststore.Install(ca)) }

func (system) Remove(ca *x509.Certificate) error { return explain(truststore.Uninstall(ca)) }

// Trusts verifies the authority against the system's roots. Go reads these once a process, so the first question must
// come after the change.
func (system) Trusts(ca *x509.Certificate) (bool, error) {
	_, err := ca.Verify(x509.VerifyOptions{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return false, nil
	}
	return err == nil, err
}

func (system) Manual(file string) (add, remove []string) {
	const name = "docker-telemetry"
	switch runtime.GOOS {
	case "darwin":
		return []string{"sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain " + quoted(file)},
			[]string{"sudo security remove-trusted-cert -d " + quoted(file)}
	case "windows":
		return []string{"certutil -addstore -user Root " + quoted(file)}, []string{`certutil -delstore -user Root "docker telemetry local CA"`}
	default:
		add = []string{
			"Debian, Ubuntu: sudo cp " + quoted(file) + " /usr/local/share/ca-certificates/" + name + ".crt && sudo update-ca-certificates",
			"Fedora, RHEL:   sudo cp " + quoted(file) + " /etc/pki/ca-trust/source/anchors/" + name + ".pem && sudo update-ca-trust extract",
			"Arch:           sudo trust anchor " + quoted(file),
		}
		remove = []string{
			"Debian, Ubuntu: sudo rm /usr/local/share/ca-certificates/" + name + ".crt && sudo update-ca-certificates --fresh",
			"Fedora, RHEL:   sudo rm /etc/pki/ca-trust/source/anchors/" + name + ".pem && sudo update-ca-trust extract",
			"Arch:           sudo trust anchor --remove " + quoted(file),
		}
		return add, remove
	}
}

// browsers is NSS: Firefox everywhere, Chromium and Chrome on Linux. It belongs to the user and needs no administrator.
type browsers struct{}

func (browsers) Name() string { return "the browsers' trust store (NSS)" }

func (browsers) Add(ca *x509.Certificate) error {
	nss, err := openNSS()
	if err != nil {
		return err
	}
	return explain(truststore.Install(ca, truststore.WithNoSystem(), truststore.WithTrust(nss)))
}

func (browsers) Remove(ca *x509.Certificate) error {
	nss, err := openNSS()
	if err != nil {
		return err
	}
	return explain(truststore.Uninstall(ca, truststore.WithNoSystem(), truststore.WithTrust(nss)))
}

func (browsers) Trusts(ca *x509.Certificate) (bool, error) {
	nss, err := openNSS()
	if err != nil {
		return false, err
	}
	return nss.Exists(ca), nil
}

func (browsers) Manual(file string) (add, remove []string) {
	add = []string{
		"Firefox:           Settings > Privacy & Security > View Certificates > Authorities > Import: " + file,
		"Chromium on Linux: certutil -A -d sql:$HOME/.pki/nssdb -t C,, -n docker-telemetry -i " + quoted(file),
	}
	remove = []string{
		"Firefox:           Settings > Privacy & Security > View Certificates > Authorities > Delete",
		"Chromium on Linux: certutil -D -d sql:$HOME/.pki/nssdb -n docker-telemetry",
	}
	return add, remove
}

// openNSS asks for certutil here, as the library leaves a missing one out without a word.
func openNSS() (*truststore.NSSTrust, error) {
	nss, err := truststore.NewNSSTrust()
	if err != nil {
		return nil, fmt.Errorf("%w: there is no certutil program (package libnss3-tools or nss-tools)", ErrAbsent)
	}
	if err := nss.PreCheck(); err != nil {
		return nil, fmt.Errorf("%w: no browser has a certificate database in the home folder", ErrAbsent)
	}
	return nss, nil
}

// explain adds what the library's helper program said, which the library keeps to itself.
func explain(err error) error {
	var failed *truststore.CmdError
	if !errors.As(err, &failed) {
		return err
	}
	if said := strings.Join(strings.Fields(string(failed.Out())), " "); said != "" {
		return fmt.Errorf("%w: %s", err, said)
	}
	return err
}

func quoted(file string) string { return `"` + file + `"` }
