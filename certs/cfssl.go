package certs

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/cloudflare/cfssl/csr"
)

const cfsslHint = "docker telemetry certs export --cfssl DIR writes files that work"

// formOf reads a CSR JSON as `cfssl gencert` takes it; nil where there is none. Its hosts, names, CN and key count.
func formOf(data []byte) (*csr.CertificateRequest, error) {
	if len(data) == 0 {
		return nil, nil //nolint:nilnil // no form is a valid one
	}
	var form csr.CertificateRequest
	if err := json.Unmarshal(data, &form); err != nil {
		return nil, &problem{fmt.Sprintf("cfssl CSR: %v", err), err, cfsslHint}
	}
	if form.CA != nil {
		return nil, &problem{"cfssl CSR: it asks for an authority, a gateway needs a server certificate", ErrNotServer, cfsslHint}
	}
	// Browsers take no Ed25519 certificate.
	if form.KeyRequest != nil && form.KeyRequest.A != "ecdsa" && form.KeyRequest.A != "rsa" {
		return nil, &problem{fmt.Sprintf("cfssl CSR: key algorithm %q, use ecdsa or rsa", form.KeyRequest.A), nil, cfsslHint}
	}
	if len(form.Hosts) > 0 {
		if _, err := normalize(form.Hosts); err != nil {
			return nil, err
		}
	}
	return &form, nil
}

// profile is what a certificate may be used for, and for how long.
type profile struct {
	usages   []string // in cfssl's words
	keyUsage x509.KeyUsage
	extUsage []x509.ExtKeyUsage
	lifetime time.Duration
}

func serverProfile(lifetime time.Duration) profile {
	return profile{
		usages:   []string{"digital signature", "server auth"},
		keyUsage: x509.KeyUsageDigitalSignature, extUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, lifetime: lifetime,
	}
}

// signingConfig is the part of cfssl's signing configuration that a local signature needs, and what asks for more.
type signingConfig struct {
	Signing struct {
		Default  *signingProfile            `json:"default"`
		Profiles map[string]*signingProfile `json:"profiles"`
	} `json:"signing"`
}

type signingProfile struct {
	Usages       []string      `json:"usages"`
	Expiry       string        `json:"expiry"`
	CAConstraint caConstraint  `json:"ca_constraint,omitzero"`
	Remote       string        `json:"remote,omitempty"`
	AuthRemote   remoteProfile `json:"auth_remote,omitzero"`
	CTLogServers []string      `json:"ct_log_servers,omitempty"`
}

type caConstraint struct {
	IsCA bool `json:"is_ca"`
}

type remoteProfile struct {
	Remote string `json:"remote"`
}

// profileOf reads a signing configuration as `cfssl gencert -config` takes it and returns the named profile, or its
// default; nil where there is none. An unknown name is refused: cfssl answers it with the default.
func profileOf(data []byte, name string) (*profile, error) {
	if len(data) == 0 {
		return nil, nil //nolint:nilnil // no configuration is a valid one
	}
	refuse := func(format string, args ...any) (*profile, error) {
		return nil, &problem{"cfssl signing config: " + fmt.Sprintf(format, args...), nil, cfsslHint}
	}
	var loaded signingConfig
	if err := json.Unmarshal(data, &loaded); err != nil {
		return refuse("%v", err)
	}
	chosen := loaded.Signing.Default
	if name != "" {
		chosen = loaded.Signing.Profiles[name]
	}
	switch {
	case chosen == nil && name == "":
		return refuse(`it has no "signing" with a "default"`)
	case chosen == nil:
		return refuse("there is no profile %q", name)
	case chosen.CAConstraint.IsCA:
		return refuse("the profile makes authorities, a gateway needs a server certificate")
	case chosen.Remote != "" || chosen.AuthRemote.Remote != "" || len(chosen.CTLogServers) > 0:
		return refuse("the profile asks another server, certificates are signed on this computer only")
	case !slices.Contains(chosen.Usages, "server auth"):
		return refuse(`the profile's usages have no "server auth"`)
	}
	expiry := chosen.Expiry
	if expiry == "" && loaded.Signing.Default != nil {
		expiry = loaded.Signing.Default.Expiry
	}
	lifetime, err := time.ParseDuration(expiry)
	switch {
	case err != nil || lifetime <= 0:
		return refuse("expiry %q is no duration such as 2160h", expiry)
	case lifetime > MaxLifetime:
		return refuse("expiry %s, use at most %d days", expiry, MaxLifetime/day)
	}
	read := &profile{usages: chosen.Usages, lifetime: lifetime}
	for _, usage := range chosen.Usages {
		key, ext := usageOf(usage)
		if key == 0 && ext == nil {
			return refuse("the usage %q is not one of a server certificate", usage)
		}
		read.keyUsage |= key
		read.extUsage = append(read.extUsage, ext...)
	}
	return read, nil
}

// usageOf translates cfssl's words (config.KeyUsage and config.ExtKeyUsage of v1.6.5), those that a server can have.
func usageOf(word string) (x509.KeyUsage, []x509.ExtKeyUsage) {
	switch word {
	case "signing", "digital signature":
		return x509.KeyUsageDigitalSignature, nil
	case "content commitment":
		return x509.KeyUsageContentCommitment, nil
	case "key encipherment":
		return x509.KeyUsageKeyEncipherment, nil
	case "key agreement":
		return x509.KeyUsageKeyAgreement, nil
	case "data encipherment":
		return x509.KeyUsageDataEncipherment, nil
	case "server auth":
		return 0, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	case "client auth":
		return 0, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	case "any":
		return 0, []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	default:
		return 0, nil
	}
}
