package certs

import (
	"encoding/json"
	"errors"

	"github.com/cloudflare/cfssl/csr"
	"software.sslmate.com/src/go-pkcs12"
)

// PKCS12 is the authority in the format of Windows, macOS and Java: its certificates, and its key as well where there
// is one in the pair. Some readers take no file without a password; pkcs12.DefaultPassword is what they expect then.
func PKCS12(ca Pair, password string) ([]byte, error) {
	certificates := parseCerts(ca.Cert)
	if len(certificates) == 0 {
		return nil, damaged(AuthorityCert, errors.New("no PEM block CERTIFICATE"))
	}
	if ca.Key == nil {
		return pkcs12.Modern.EncodeTrustStore(certificates, password)
	}
	_, key, err := authority(ca)
	if err != nil {
		return nil, err
	}
	return pkcs12.Modern.Encode(key, certificates[0], certificates[1:], password)
}

// DefaultPassword is for a PKCS#12 file without a secret in it.
const DefaultPassword = pkcs12.DefaultPassword

// CFSSL writes what is kept as cfssl's own files, by their usual names: the signing configuration, and the CSR JSON of
// the authority and of the stack's certificate. `cfssl gencert` makes the like of ours with them.
func (s Store) CFSSL(kept Result) (map[string][]byte, error) {
	hosts, err := s.hosts(kept.Options)
	if err != nil {
		return nil, err
	}
	info, err := Inspect(Pair{Cert: kept.CA})
	if err != nil {
		return nil, damaged(AuthorityCert, err)
	}
	form := &csr.CertificateRequest{CN: hosts[0], Hosts: hosts, Names: []csr.Name{{O: organization}}, KeyRequest: csr.NewKeyRequest()}
	if own, err := formOf(kept.Options.CSR); err != nil {
		return nil, err
	} else if own != nil {
		form = own
	}
	server := serverProfile(DefaultLifetime)
	if own, err := profileOf(kept.Options.Signing, kept.Options.Profile); err != nil {
		return nil, err
	} else if own != nil {
		server = *own
	}
	written := &signingProfile{Usages: server.usages, Expiry: server.lifetime.String()}
	var signing signingConfig
	signing.Signing.Default, signing.Signing.Profiles = written, map[string]*signingProfile{"server": written}
	root := &csr.CertificateRequest{
		CN: info.Subject, Names: []csr.Name{{O: organization}}, KeyRequest: csr.NewKeyRequest(),
		CA: &csr.CAConfig{Expiry: AuthorityLifetime.String(), PathLenZero: true},
	}
	files := map[string][]byte{"ca.pem": kept.CA}
	for name, content := range map[string]any{"ca-csr.json": plainForm(root), "server-csr.json": plainForm(form), "ca-config.json": signing} {
		data, err := json.MarshalIndent(content, "", "  ")
		if err != nil {
			return nil, err
		}
		files[name] = append(data, '\n')
	}
	return files, nil
}

// plainForm leaves out what is empty, which cfssl would write as null and zero.
func plainForm(form *csr.CertificateRequest) map[string]any {
	plain := map[string]any{"CN": form.CN, "names": form.Names, "key": form.KeyRequest}
	if len(form.Hosts) > 0 {
		plain["hosts"] = form.Hosts
	}
	if form.CA != nil {
		plain["ca"] = map[string]any{"expiry": form.CA.Expiry, "pathlen": 0, "pathlenzero": true}
	}
	return plain
}
