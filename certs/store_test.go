package certs

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/docker-telemetry/docker-telemetry/internal/state"
)

// memory is a folder that keeps its files, and fails the write with that number (from one).
type memory struct {
	files   map[string][]byte
	modes   map[string]fs.FileMode
	writes  int
	failing int
}

func newMemory() *memory { return &memory{files: map[string][]byte{}, modes: map[string]fs.FileMode{}} }

func (m *memory) ReadFile(rel string) ([]byte, error) {
	content, ok := m.files[rel]
	if !ok {
		return nil, &fs.PathError{Op: "read", Path: rel, Err: fs.ErrNotExist}
	}
	return content, nil
}

func (m *memory) WriteFile(rel string, data []byte, perm fs.FileMode) error {
	m.writes++
	if m.writes == m.failing {
		return errors.New("no space")
	}
	m.files[rel], m.modes[rel] = data, perm
	return nil
}

type store struct {
	ca, stack *memory
	hosts     []string
}

func newStore() *store {
	return &store{newMemory(), newMemory(), []string{"localhost", "127.0.0.1"}}
}

func ensure(authority, stack Files, hosts []string, now func() time.Time) (ca []byte, leaf Pair, changed bool, err error) {
	result, err := Store{Authority: authority, Stack: stack, Hosts: hosts, Now: now}.Ensure()
	return result.CA, result.Leaf, result.AuthorityChanged || result.LeafChanged, err
}

// ensure calls Ensure and checks what always holds after it.
func (s *store) ensure(t *testing.T, now time.Time) (Pair, bool) {
	t.Helper()
	ca, leaf, changed, err := ensure(s.ca, s.stack, s.hosts, at(now))
	assert.NilError(t, err)
	assert.Equal(t, string(ca), string(s.ca.files[AuthorityCert]))
	assert.Equal(t, string(leaf.Cert), string(s.stack.files[LeafCert]))
	assert.Equal(t, string(leaf.Key), string(s.stack.files[LeafKey]))
	assert.Equal(t, string(leaf.Chain()), string(leaf.Cert)+string(ca))
	for _, host := range s.hosts {
		assert.NilError(t, Verify(Pair{Cert: ca}, leaf, host, now))
	}
	return leaf, changed
}

func (s *store) authority() Pair {
	return Pair{Cert: s.ca.files[AuthorityCert], Key: s.ca.files[AuthorityKey]}
}

func TestEnsureMakesThenKeeps(t *testing.T) {
	s := newStore()
	leaf, changed := s.ensure(t, start)
	assert.Assert(t, changed)
	assert.Assert(t, maps.Equal(s.ca.modes, map[string]fs.FileMode{"ca.crt": 0o644, "ca.key": 0o400}))
	assert.Assert(t, maps.Equal(s.stack.modes, map[string]fs.FileMode{"certs/server.crt": 0o644, "certs/server.key": 0o600}))
	info, err := Inspect(s.authority())
	assert.NilError(t, err)
	key, err := parseKey(s.authority().Key)
	assert.NilError(t, err)
	name, err := authorityName(key)
	assert.NilError(t, err)
	assert.Equal(t, info.Subject, clip(name))
	assert.DeepEqual(t, info.Permitted, []string{"localhost", "127.0.0.1"})

	writes := s.ca.writes + s.stack.writes
	again, changed := s.ensure(t, start.Add(59*day))
	assert.Assert(t, !changed)
	assert.DeepEqual(t, again, leaf)
	s.hosts = []string{"127.0.0.1", "LOCALHOST", "localhost"}
	_, changed = s.ensure(t, start)
	assert.Assert(t, !changed, "the same hosts, written differently")
	assert.Equal(t, s.ca.writes+s.stack.writes, writes)
}

func TestEnsureReplacesTheLeaf(t *testing.T) {
	for _, tc := range []struct {
		name   string
		spoil  func(*store)
		after  time.Duration
		sameCA bool
	}{
		{name: "due", spoil: func(*store) {}, after: 61 * day, sameCA: true},
		{name: "expired", spoil: func(*store) {}, after: 100 * day, sameCA: true},
		{name: "host added, which the authority must permit", spoil: func(s *store) { s.hosts = append(s.hosts, "box") }},
		{name: "host below a permitted one", spoil: func(s *store) { s.hosts = append(s.hosts, "a.localhost", "*.localhost") }, sameCA: true},
		{name: "host dropped", spoil: func(s *store) { s.hosts = s.hosts[:1] }, sameCA: true},
		{name: "no key", spoil: func(s *store) { delete(s.stack.files, LeafKey) }, sameCA: true},
		{name: "no certificate", spoil: func(s *store) { delete(s.stack.files, LeafCert) }, sameCA: true},
		{name: "other key", spoil: func(s *store) { s.stack.files[LeafKey] = s.ca.files[AuthorityKey] }, sameCA: true},
		{name: "empty files", spoil: func(s *store) { s.stack.files[LeafKey], s.stack.files[LeafCert] = []byte{}, []byte{} }, sameCA: true},
		{name: "new authority", spoil: func(s *store) { clear(s.ca.files) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newStore()
			old, _ := s.ensure(t, start)
			ca := string(s.ca.files[AuthorityCert])
			tc.spoil(s)
			leaf, changed := s.ensure(t, start.Add(tc.after))
			assert.Assert(t, changed)
			assert.Assert(t, string(leaf.Cert) != string(old.Cert) && string(leaf.Key) != string(old.Key))
			assert.Equal(t, string(s.ca.files[AuthorityCert]) == ca, tc.sameCA)
			_, changed = s.ensure(t, start.Add(tc.after))
			assert.Assert(t, !changed, "settled")
		})
	}
}

// A renewed authority keeps name and key: what browsers trust already stays good for the new leaves.
func TestEnsureRenewsTheAuthority(t *testing.T) {
	for name, after := range map[string]time.Duration{"due": 1300 * day, "expired": 2000 * day} {
		t.Run(name, func(t *testing.T) {
			s := newStore()
			_, _ = s.ensure(t, start)
			old := s.authority()
			now := start.Add(after)
			leaf, changed := s.ensure(t, now)
			assert.Assert(t, changed)
			renewed := s.authority()
			assert.Assert(t, string(renewed.Cert) != string(old.Cert))
			assert.Equal(t, string(renewed.Key), string(old.Key))
			assert.DeepEqual(t, parse(t, renewed).RawSubject, parse(t, old).RawSubject)
			assert.Assert(t, parse(t, renewed).NotAfter.After(now.Add(AuthorityLifetime-day)))
			if name == "due" {
				assert.NilError(t, Verify(old, leaf, "localhost", now))
			}
		})
	}
}

func TestEnsureWithoutTheAuthoritysKey(t *testing.T) {
	s := newStore()
	_, _ = s.ensure(t, start)
	delete(s.ca.files, AuthorityKey)
	_, changed := s.ensure(t, start.Add(80*day))
	assert.Assert(t, !changed, "a good leaf serves to its last day")

	for what, spoil := range map[string]func(){
		"expired": func() {}, "hosts": func() { s.hosts = []string{"box"} },
	} {
		spoil()
		_, _, _, err := ensure(s.ca, s.stack, s.hosts, at(start.Add(91*day)))
		assert.Assert(t, errors.Is(err, ErrNoKey), "%s: %v", what, err)
		assert.Assert(t, is.Contains(hint(err), "restore ca.crt and ca.key"))
	}
}

// The authority has been trusted by people: damage is reported, never papered over with a new one.
func TestDamagedAuthority(t *testing.T) {
	for name, spoil := range map[string]func(*store){
		"empty certificate":   func(s *store) { s.ca.files[AuthorityCert] = []byte{} },
		"half a certificate":  func(s *store) { c := s.ca.files[AuthorityCert]; s.ca.files[AuthorityCert] = c[:len(c)/2] },
		"empty key":           func(s *store) { s.ca.files[AuthorityKey] = []byte{} },
		"half a key":          func(s *store) { k := s.ca.files[AuthorityKey]; s.ca.files[AuthorityKey] = k[:len(k)/2] },
		"key of the leaf":     func(s *store) { s.ca.files[AuthorityKey] = s.stack.files[LeafKey] },
		"leaf as certificate": func(s *store) { s.ca.files[AuthorityCert] = s.stack.files[LeafCert] },
		"damaged key alone":   func(s *store) { delete(s.ca.files, AuthorityCert); s.ca.files[AuthorityKey] = []byte("x") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore()
			_, _ = s.ensure(t, start)
			spoil(s)
			before, writes := maps.Clone(s.ca.files), s.ca.writes+s.stack.writes
			_, _, _, err := ensure(s.ca, s.stack, s.hosts, at(start))
			assert.Assert(t, err != nil)
			assert.Assert(t, is.Contains(hint(err), "restore ca.crt and ca.key"), "%v", err)
			assert.Equal(t, s.ca.writes+s.stack.writes, writes)
			assert.Equal(t, len(before), len(s.ca.files))
		})
	}
}

// Whatever write a kill or a full disk stops, the next run ends well, with the same authority if one was there.
func TestInterruptedAtEachWrite(t *testing.T) {
	for n := 1; n <= 4; n++ {
		t.Run(fmt.Sprint("write ", n), func(t *testing.T) {
			s := newStore()
			total := 0
			stop := func(m *memory) { m.failing = n - total; total += 2 }
			stop(s.ca)
			stop(s.stack)
			_, _, _, err := ensure(s.ca, s.stack, s.hosts, at(start))
			assert.Error(t, err, "no space")
			key := string(s.ca.files[AuthorityKey])
			s.ca.failing, s.stack.failing = 0, 0
			_, changed := s.ensure(t, start)
			assert.Assert(t, changed)
			assert.Assert(t, key == "" || key == string(s.ca.files[AuthorityKey]))
		})
	}
}

// An authority of the user's own is used, and neither rewritten under another subject nor cut off from its issuer.
func TestForeignAuthorityIsNotRenewed(t *testing.T) {
	for name, tc := range map[string]struct{ subject, issuer pkix.Name }{
		"other subject": {
			pkix.Name{CommonName: "corp", Organization: []string{"Corp"}}, pkix.Name{CommonName: "corp", Organization: []string{"Corp"}},
		},
		"issued by somebody": {
			pkix.Name{CommonName: "corp", Organization: []string{organization}}, pkix.Name{CommonName: "corp root"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore()
			key, err := newKey()
			assert.NilError(t, err)
			template := &x509.Certificate{
				SerialNumber: big.NewInt(1), Subject: tc.subject, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
				NotBefore: start.Add(-100 * day), NotAfter: start.Add(10 * day),
			}
			der, err := x509.CreateCertificate(rand.Reader, template, &x509.Certificate{Subject: tc.issuer}, key.Public(), key)
			assert.NilError(t, err)
			corp, err := pair(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key)
			assert.NilError(t, err)
			s.ca.files[AuthorityCert], s.ca.files[AuthorityKey] = corp.Cert, corp.Key

			_, changed := s.ensure(t, start)
			assert.Assert(t, changed, "the leaf is new")
			assert.Equal(t, s.ca.writes, 0)
			_, _, _, err = ensure(s.ca, s.stack, s.hosts, at(start.Add(11*day)))
			assert.Assert(t, errors.Is(err, ErrExpired), err)
		})
	}
}

func TestEnsureReportsAnUnreadableFolder(t *testing.T) {
	boom := errors.New("permission denied")
	_, _, _, err := ensure(unreadable{boom}, newMemory(), []string{"localhost"}, at(start))
	assert.Assert(t, errors.Is(err, boom))
	_, _, _, err = ensure(newMemory(), unreadable{boom}, []string{"localhost"}, at(start))
	assert.Assert(t, errors.Is(err, boom))
	_, _, _, err = ensure(newMemory(), newMemory(), nil, at(start))
	assert.Error(t, err, "certificate: no hosts")
}

type unreadable struct{ err error }

func (u unreadable) ReadFile(string) ([]byte, error)             { return nil, u.err }
func (u unreadable) WriteFile(string, []byte, fs.FileMode) error { return errors.New("must not write") }

func hint(err error) string {
	var hinter interface{ Hint() string }
	if errors.As(err, &hinter) {
		return hinter.Hint()
	}
	return ""
}

const roleVariable = "CERTS_TEST_STACK"

// TestMain turns the test binary into another `up` when the variable names a stack.
func TestMain(m *testing.M) {
	name := os.Getenv(roleVariable)
	if name == "" {
		os.Exit(m.Run())
	}
	root := state.Root{State: os.Args[1]}
	err := root.WithCALock(context.Background(), func() error {
		stack, err := root.Stack("default", name)
		if err != nil {
			return err
		}
		ca, _, _, err := ensure(root.CAFiles(), stack, []string{"localhost"}, time.Now)
		fmt.Println(fingerprint(ca))
		return err
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func fingerprint(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Six stacks come up at once in an empty home: one authority, and each stack's leaf is issued by it.
func TestSixProcessesMakeOneAuthority(t *testing.T) {
	root := state.Root{State: filepath.Join(t.TempDir(), "state")}
	type result struct {
		out []byte
		err error
	}
	results := make(chan result)
	const processes = 6
	for i := range processes {
		cmd := exec.CommandContext(t.Context(), os.Args[0], root.State)
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=stack%d", roleVariable, i))
		cmd.Stderr = os.Stderr
		go func() {
			out, err := cmd.Output()
			results <- result{out, err}
		}()
	}
	seen := map[string]int{}
	for range processes {
		r := <-results
		assert.Check(t, r.err)
		seen[string(r.out)]++
	}
	ca, err := root.CAFiles().ReadFile(AuthorityCert)
	assert.NilError(t, err)
	assert.DeepEqual(t, seen, map[string]int{fingerprint(ca) + "\n": processes})
	key, err := root.CAFiles().ReadFile(AuthorityKey)
	assert.NilError(t, err)
	_, _, err = authority(Pair{Cert: ca, Key: key})
	assert.NilError(t, err)
	for i := range processes {
		stack, err := root.Stack("default", fmt.Sprint("stack", i))
		assert.NilError(t, err)
		leaf, err := read(stack, LeafCert, LeafKey)
		assert.NilError(t, err)
		assert.NilError(t, Verify(Pair{Cert: ca}, leaf, "localhost", time.Now()))
	}
}
