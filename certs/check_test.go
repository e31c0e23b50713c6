package certs

import (
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// Each thing that can be wrong has its own finding, its kind, and a command that mends it.
func TestCheck(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(*testing.T, *store)
		after time.Duration
		check string
		kind  error
	}{
		{name: "good", spoil: func(*testing.T, *store) {}},
		{name: "none yet", spoil: func(_ *testing.T, s *store) { clear(s.stack.files) }, check: "files", kind: ErrMissing},
		{name: "expired", spoil: func(*testing.T, *store) {}, after: 91 * day, check: "dates", kind: ErrExpired},
		{name: "clock off", spoil: func(*testing.T, *store) {}, after: -day, check: "dates", kind: ErrNotYetValid},
		{name: "key of another", spoil: func(_ *testing.T, s *store) { s.stack.files[LeafKey] = s.ca.files[AuthorityKey] }, check: "key", kind: ErrKeyMismatch},
		{name: "no key", spoil: func(_ *testing.T, s *store) { delete(s.stack.files, LeafKey) }, check: "key", kind: ErrNoKey},
		{name: "another authority", spoil: func(t *testing.T, s *store) { s.ca.files[AuthorityCert] = newAuthority(t).Cert }, check: "issuer", kind: ErrUntrusted},
		{name: "a host more", spoil: func(_ *testing.T, s *store) { s.hosts = append(s.hosts, "box.test") }, check: "hosts", kind: ErrHost},
		{name: "half a certificate", spoil: func(_ *testing.T, s *store) {
			s.stack.files[LeafCert] = s.stack.files[LeafCert][:100]
		}, check: "files"},
		{name: "half an authority", spoil: func(_ *testing.T, s *store) {
			s.ca.files[AuthorityCert] = s.ca.files[AuthorityCert][:100]
		}, check: "files"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newStore()
			_, _ = s.ensure(t, start)
			tc.spoil(t, s)
			findings, _ := s.store(start.Add(tc.after)).Check()
			var wrong []string
			for _, finding := range findings {
				if finding.Err == nil {
					continue
				}
				wrong = append(wrong, finding.Check)
				assert.Assert(t, tc.kind == nil || errors.Is(finding.Err, tc.kind), finding.Err)
				assert.Assert(t, hint(finding.Err) != "", "%v", finding.Err)
			}
			if tc.check == "" {
				assert.DeepEqual(t, wrong, []string(nil))
				return
			}
			assert.DeepEqual(t, wrong, []string{tc.check})
		})
	}
}

func TestOpenSSLFindsWhatGoFinds(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		_, err := OpenSSL(t.Context(), Result{}, start)
		assert.Assert(t, errors.Is(err, ErrNoOpenSSL), err)
		return
	}
	s := newStore()
	s.hosts = []string{"localhost", "127.0.0.1", "::1", "*.telemetry.test"}
	_, _ = s.ensure(t, start)
	kept, err := s.store(start).Load()
	assert.NilError(t, err)
	version, err := OpenSSL(t.Context(), kept, start)
	assert.NilError(t, err)
	assert.Assert(t, version != "")

	_, err = OpenSSL(t.Context(), kept, start.Add(100*day))
	assert.ErrorContains(t, err, "expired")
	other := kept
	other.CA = newAuthority(t).Cert
	_, err = OpenSSL(t.Context(), other, start)
	assert.Assert(t, errors.Is(err, ErrUntrusted), err)
	assertOneLine(t, err)
	other = kept
	other.Leaf.Key = newAuthority(t).Key
	_, err = OpenSSL(t.Context(), other, start)
	assert.Assert(t, errors.Is(err, ErrKeyMismatch), err)
	other = kept
	other.Leaf = forge(t, s.authority(), "example.com")
	_, err = OpenSSL(t.Context(), other, start)
	assert.Assert(t, errors.Is(err, ErrUntrusted), "outside of the name constraints: %v", err)
	other.Leaf.Key = slices.Clone([]byte("half"))
	_, err = OpenSSL(t.Context(), other, start)
	assert.Assert(t, err != nil)
	t.Setenv("PATH", t.TempDir())
	_, err = OpenSSL(t.Context(), kept, start)
	assert.Assert(t, errors.Is(err, ErrNoOpenSSL), err)
}

// A clock that is wrong must not make certificates that are wrong.
func TestEnsureWithAClockThatIsOff(t *testing.T) {
	s := newStore()
	_, _ = s.ensure(t, start)
	writes := s.ca.writes + s.stack.writes
	_, err := s.store(start.Add(-day)).Ensure()
	assert.Assert(t, errors.Is(err, ErrNotYetValid), err)
	assert.Assert(t, strings.Contains(hint(err), "certs init --force"), "it is the authority's date: %s", hint(err))
	assert.Equal(t, s.ca.writes+s.stack.writes, writes)
}
