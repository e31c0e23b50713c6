package certs

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/json"
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
	// LeafIssuer is there for a certificate of the user's own only: who issued it.
	LeafIssuer  = "certs/issuer.crt"
	OptionsFile = "certs/options.json"
)

// Files is a folder. WriteFile replaces a file in one step; a missing file is fs.ErrNotExist.
type Files interface {
	ReadFile(rel string) ([]byte, error)
	WriteFile(rel string, data []byte, perm fs.FileMode) error
}

// Options is what a stack remembers of how its certificate is to be.
type Options struct {
	SchemaVersion int      `json:"schemaVersion"`
	Hosts         []string `json:"hosts,omitempty"`    // beside those that every gateway has
	Imported      bool     `json:"imported,omitempty"` // the certificate is the user's own and never issued anew
	// cfssl's own formats, see Request.
	CSR     json.RawMessage `json:"csr,omitempty"`
	Signing json.RawMessage `json:"signing,omitempty"`
	Profile string          `json:"profile,omitempty"`
}

const optionsSchema = 1

// Store is where the certificate of a stack is kept, and the authority that the stacks of a user share. Two processes
// that make an authority at once make two: use a Store under the authority's lock.
type Store struct {
	Authority, Stack Files
	Hosts            []string // that every certificate of this stack covers, beside those of its Options
	Now              func() time.Time
}

// Result is what a Store has, or has made.
type Result struct {
	CA               []byte // PEM of the certificates to trust: who issued the leaf comes first
	Leaf             Pair
	Options          Options
	AuthorityChanged bool
	LeafChanged      bool
}

// Ensure returns the authority's certificate and the stack's, having created what was missing and renewed what was in
// the last third of its life. The leaf is also issued anew when the hosts or the authority changed. A damaged authority
// is an error, as people have trusted it; a damaged leaf is replaced.
func (s Store) Ensure() (Result, error) {
	options, err := s.ReadOptions()
	if err != nil {
		return Result{}, err
	}
	result, err := s.Next(options, false)
	if err != nil || !result.LeafChanged {
		return result, err
	}
	return result, s.Save(result.Leaf)
}

// Next is Ensure with these options and without keeping the leaf: for a caller that tries it first. force issues one
// whatever the kept is like, and of our own where there is an imported one.
func (s Store) Next(options Options, force bool) (Result, error) {
	if options.Imported && !force {
		return s.imported(options)
	}
	hosts, err := s.hosts(options)
	if err != nil {
		return Result{}, err
	}
	options.Imported = false
	now := s.Now()
	ca, changed, err := ensureAuthority(s.Authority, hosts, now)
	if err != nil {
		return Result{}, err
	}
	result := Result{CA: ca.Cert, Options: options, AuthorityChanged: changed}
	result.Leaf, result.LeafChanged, err = s.nextLeaf(ca, hosts, options, force, now)
	return result, err
}

func (s Store) hosts(options Options) ([]string, error) {
	form, err := formOf(options.CSR)
	if err != nil {
		return nil, err
	}
	hosts := slices.Concat(s.Hosts, options.Hosts)
	if form != nil {
		hosts = append(hosts, form.Hosts...)
	}
	return normalize(hosts)
}

// Valid refuses what no certificate can be made of.
func (o Options) Valid() error {
	if len(o.Hosts) > 0 {
		if _, err := normalize(o.Hosts); err != nil {
			return err
		}
	}
	if _, err := formOf(o.CSR); err != nil {
		return err
	}
	_, err := profileOf(o.Signing, o.Profile)
	return err
}

// Equal reports whether two are the same to the stack.
func (o Options) Equal(other Options) bool {
	return slices.Equal(o.Hosts, other.Hosts) && o.Imported == other.Imported && bytes.Equal(o.CSR, other.CSR) &&
		bytes.Equal(o.Signing, other.Signing) && o.Profile == other.Profile
}

// Hosted returns the options with more hosts.
func (o Options) Hosted(hosts []string) (Options, error) {
	if len(hosts) == 0 {
		return o, nil
	}
	all, err := normalize(slices.Concat(o.Hosts, hosts))
	o.Hosts = all
	return o, err
}

// SaveOwn keeps a certificate of the user's own, from OwnLeaf.
func (s Store) SaveOwn(leaf Pair) error {
	if err := s.Stack.WriteFile(LeafIssuer, leaf.Issuer, 0o644); err != nil {
		return err
	}
	return s.Save(leaf)
}

// Save keeps a leaf. The key comes first: killed between the two, the next run finds a key that does not fit and issues
// again.
func (s Store) Save(leaf Pair) error {
	if err := s.Stack.WriteFile(LeafKey, leaf.Key, 0o600); err != nil {
		return err
	}
	return s.Stack.WriteFile(LeafCert, leaf.Cert, 0o644)
}

// Load returns what is kept, nil for what is missing, and makes nothing.
func (s Store) Load() (Result, error) {
	options, err := s.ReadOptions()
	if err != nil {
		return Result{}, err
	}
	leaf, err := read(s.Stack, LeafCert, LeafKey)
	if err != nil {
		return Result{}, err
	}
	ca, err := s.issuer(options)
	leaf.Issuer = ca
	return Result{CA: ca, Leaf: leaf, Options: options}, err
}

func (s Store) issuer(options Options) ([]byte, error) {
	if options.Imported {
		return readIfThere(s.Stack, LeafIssuer)
	}
	return readIfThere(s.Authority, AuthorityCert)
}

// ReadOptions returns what the stack remembers; none yet is no error.
func (s Store) ReadOptions() (Options, error) {
	data, err := readIfThere(s.Stack, OptionsFile)
	if err != nil || data == nil {
		return Options{}, err
	}
	var options Options
	if err := json.Unmarshal(data, &options); err != nil {
		return Options{}, &problem{
			fmt.Sprintf("certificate options %s are damaged: %v", OptionsFile, err), err,
			"write them anew: docker telemetry certs init --force",
		}
	}
	if options.SchemaVersion > optionsSchema {
		return Options{}, &problem{
			fmt.Sprintf("certificate options %s have schema %d, this version knows up to %d", OptionsFile, options.SchemaVersion, optionsSchema),
			nil, "upgrade docker telemetry",
		}
	}
	return options, nil
}

// WriteOptions makes the stack remember them. They count from the next Ensure on.
func (s Store) WriteOptions(options Options) error {
	if err := options.Valid(); err != nil {
		return err
	}
	options.SchemaVersion = optionsSchema
	data, err := json.MarshalIndent(options, "", "  ")
	if err != nil {
		return err
	}
	return s.Stack.WriteFile(OptionsFile, append(data, '\n'), 0o600)
}

// imported checks a certificate of the user's own: it is never replaced by one of ours, as others trust its issuer.
func (s Store) imported(options Options) (Result, error) {
	kept, err := read(s.Stack, LeafCert, LeafKey)
	if err != nil {
		return Result{}, err
	}
	kept.Issuer, err = readIfThere(s.Stack, LeafIssuer)
	if err != nil {
		return Result{}, err
	}
	if err := Verify(Pair{Cert: kept.Issuer}, kept, "", s.Now()); err != nil {
		return Result{}, &problem{"imported " + err.Error(), err, importHint}
	}
	return Result{CA: kept.Issuer, Leaf: kept, Options: options}, nil
}

func ensureAuthority(files Files, hosts []string, now time.Time) (Pair, bool, error) {
	kept, err := read(files, AuthorityCert, AuthorityKey)
	if err != nil {
		return Pair{}, false, err
	}
	if kept.Cert == nil {
		made, err := createAuthority(files, kept.Key, hosts, now)
		return made, err == nil, err
	}
	cert, err := parseCert(kept.Cert)
	if err != nil {
		return Pair{}, false, damaged(AuthorityCert, err)
	}
	if now.Before(cert.NotBefore) {
		return Pair{}, false, &problem{
			fmt.Sprintf("certificate authority %q is not valid before %s", cert.Subject.CommonName, stamp(cert.NotBefore)), ErrNotYetValid,
			"set the clock of this computer, which says " + stamp(now) + "; if it is right: docker telemetry certs init --force",
		}
	}
	if kept.Key == nil {
		return kept, false, nil // enough as long as the leaf holds; some people keep the key elsewhere
	}
	_, key, err := authorityOf(kept)
	if err != nil {
		return Pair{}, false, err
	}
	info, err := Inspect(kept)
	if err != nil || !NeedsRenewal(info, now) && firstRefused(cert, hosts) == "" {
		return kept, false, err
	}
	return renewAuthority(files, kept, cert, key, hosts, now)
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
func createAuthority(files Files, keyPEM []byte, hosts []string, now time.Time) (Pair, error) {
	key, err := orphanOrNewKey(keyPEM)
	if err != nil {
		return Pair{}, err
	}
	name, err := authorityName(key)
	if err != nil {
		return Pair{}, err
	}
	made, err := selfSign(key, name, hosts, now)
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
// round until the old one ends. What the old one permitted stays permitted: other stacks may use it. An authority that
// is not ours (another subject, or issued by somebody) is left alone.
func renewAuthority(files Files, kept Pair, old *x509.Certificate, key crypto.Signer, hosts []string, now time.Time) (Pair, bool, error) {
	made, err := selfSign(key, old.Subject.CommonName, slices.Concat(permittedBy(old), hosts), now)
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

func (s Store) nextLeaf(ca Pair, hosts []string, options Options, force bool, now time.Time) (Pair, bool, error) {
	kept, err := read(s.Stack, LeafCert, LeafKey)
	if err != nil {
		return Pair{}, false, err
	}
	kept.Issuer = ca.Cert
	good, fresh := judge(ca, kept, hosts, now)
	// Without the authority's key a good certificate serves to its last day.
	if good && !force && (fresh || ca.Key == nil) {
		return kept, false, nil
	}
	made, err := Issue(ca, Request{
		Hosts: hosts, NotBefore: now.Add(-backdate), CSR: options.CSR, Signing: options.Signing, Profile: options.Profile,
	})
	if err != nil {
		return Pair{}, false, err
	}
	made.Issuer = ca.Cert
	return made, true, Verify(ca, made, "", now)
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
