package certs

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// Where the files are, in the authority's folder and in the stack's.
const (
	AuthorityCert = "ca.crt"
	AuthorityKey  = "ca.key"
	LeafCert      = "certs/server.crt"
	LeafKey       = "certs/server.key"
)

const restoreHint = "restore " + AuthorityCert + " and " + AuthorityKey +
	" from a backup, or remove both to start a new authority that browsers must trust anew"

// Files is a folder. WriteFile replaces a file in one step; a missing file is fs.ErrNotExist.
type Files interface {
	ReadFile(rel string) ([]byte, error)
	WriteFile(rel string, data []byte, perm fs.FileMode) error
}

// Ensure returns the authority's certificate and the stack's, having created what was missing and renewed what was in
// the last third of its life. The leaf is also issued anew when the hosts or the authority changed. A damaged authority
// is an error, as people have trusted it; a damaged leaf is replaced.
//
// The authority is shared: call Ensure under its lock, or two processes make two.
func Ensure(authority, stack Files, hosts []string, now func() time.Time) (ca []byte, leaf Pair, changed bool, err error) {
	hosts, err = normalize(hosts)
	if err != nil {
		return nil, Pair{}, false, err
	}
	at := now()
	caPair, caChanged, err := ensureAuthority(authority, at)
	if err != nil {
		return nil, Pair{}, false, err
	}
	leaf, leafChanged, err := ensureLeaf(stack, caPair, hosts, at)
	return caPair.Cert, leaf, caChanged || leafChanged, err
}

func ensureAuthority(files Files, now time.Time) (Pair, bool, error) {
	kept, err := read(files, AuthorityCert, AuthorityKey)
	if err != nil {
		return Pair{}, false, err
	}
	if kept.Cert == nil {
		made, err := createAuthority(files, kept.Key, now)
		return made, err == nil, err
	}
	cert, err := parseCert(kept.Cert)
	if err != nil {
		return Pair{}, false, damaged(AuthorityCert, err)
	}
	if kept.Key == nil {
		return kept, false, nil // enough as long as the leaf holds; some people keep the key elsewhere
	}
	_, key, err := authorityOf(kept)
	if err != nil {
		return Pair{}, false, err
	}
	info, err := Inspect(kept)
	if err != nil || !NeedsRenewal(info, now) {
		return kept, false, err
	}
	return renewAuthority(files, kept, cert, key, now)
}

func authorityOf(ca Pair) (*x509.Certificate, crypto.Signer, error) {
	cert, key, err := authority(ca)
	var known *problem
	if err != nil && !errors.As(err, &known) {
		return nil, nil, damaged(AuthorityKey, err)
	}
	return cert, key, err
}

// createAuthority uses a key that is there without its certificate: then we were killed between the two writes, or the
// certificate was deleted, and with the same key the one that browsers trust stays good.
func createAuthority(files Files, keyPEM []byte, now time.Time) (Pair, error) {
	key, err := orphanOrNewKey(keyPEM)
	if err != nil {
		return Pair{}, err
	}
	made, err := selfSign(key, AuthorityName(), now)
	if err != nil {
		return Pair{}, err
	}
	if keyPEM == nil {
		if err := files.WriteFile(AuthorityKey, made.Key, 0o400); err != nil {
			return Pair{}, err
		}
	}
	return made, files.WriteFile(AuthorityCert, made.Cert, 0o644)
}

func orphanOrNewKey(keyPEM []byte) (crypto.Signer, error) {
	if keyPEM == nil {
		return newKey()
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, damaged(AuthorityKey, err)
	}
	return key, nil
}

// renewAuthority keeps key and name, so what the old certificate signed holds under the new one, and the other way
// round until the old one ends. An authority that is not ours (another subject, or issued by somebody) is left alone.
func renewAuthority(files Files, kept Pair, old *x509.Certificate, key crypto.Signer, now time.Time) (Pair, bool, error) {
	made, err := selfSign(key, old.Subject.CommonName, now)
	if err != nil {
		return Pair{}, false, err
	}
	cert, err := parseCert(made.Cert)
	if err != nil {
		return Pair{}, false, err
	}
	if !bytes.Equal(cert.RawSubject, old.RawSubject) || !bytes.Equal(old.RawIssuer, old.RawSubject) {
		return kept, false, nil
	}
	made.Key = kept.Key
	return made, true, files.WriteFile(AuthorityCert, made.Cert, 0o644)
}

func ensureLeaf(files Files, ca Pair, hosts []string, now time.Time) (Pair, bool, error) {
	kept, err := read(files, LeafCert, LeafKey)
	if err != nil {
		return Pair{}, false, err
	}
	kept.Issuer = ca.Cert
	good, fresh := judge(ca, kept, hosts, now)
	// Without the authority's key a good certificate serves to its last day.
	if good && (fresh || ca.Key == nil) {
		return kept, false, nil
	}
	made, err := Issue(ca, Request{Hosts: hosts, NotBefore: now.Add(-backdate)})
	if err != nil {
		return Pair{}, false, err
	}
	made.Issuer = ca.Cert
	if err := files.WriteFile(LeafKey, made.Key, 0o600); err != nil {
		return Pair{}, false, err
	}
	// Killed here, the next run finds a key that does not fit and issues again.
	return made, true, files.WriteFile(LeafCert, made.Cert, 0o644)
}

// judge tells whether a leaf serves now, and whether it will for long enough.
func judge(ca, leaf Pair, hosts []string, now time.Time) (good, fresh bool) {
	if leaf.Cert == nil || Verify(ca, leaf, "", now) != nil {
		return false, false
	}
	info, err := Inspect(leaf)
	if err != nil {
		return false, false
	}
	covered, err := normalize(info.Hosts)
	return err == nil && slices.Equal(covered, hosts), !NeedsRenewal(info, now)
}

// read returns nil for a file that is missing.
func read(files Files, certName, keyName string) (Pair, error) {
	cert, err := readIfThere(files, certName)
	if err != nil {
		return Pair{}, err
	}
	key, err := readIfThere(files, keyName)
	return Pair{Cert: cert, Key: key}, err
}

func readIfThere(files Files, name string) ([]byte, error) {
	data, err := files.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return append([]byte{}, data...), nil // an empty file is damage, not absence
}

func damaged(name string, err error) error {
	return &problem{fmt.Sprintf("certificate authority file %s is damaged: %v", name, err), err, restoreHint}
}
