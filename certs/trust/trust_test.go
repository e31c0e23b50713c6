package trust

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/certs"
)

const roleVariable = "TRUST_TEST_ROLE"

// TestMain is a browser's user in a process of its own: the library reads HOME when it is loaded.
func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) == "" {
		os.Exit(m.Run())
	}
	if err := roundTrip(os.Args[1]); err != nil {
		fmt.Fprint(os.Stderr, err)
		os.Exit(1)
	}
}

func roundTrip(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(data)
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	store := browsers{}
	want := func(want bool) error {
		trusts, err := store.Trusts(ca)
		if err == nil && trusts != want {
			err = errors.New("the store does not say what was done")
		}
		return err
	}
	return errors.Join(want(false), store.Add(ca), want(true), store.Add(ca), want(true), store.Remove(ca), want(false), store.Remove(ca))
}

func authority(t *testing.T) (ca *x509.Certificate, file string) {
	t.Helper()
	pair, err := certs.NewAuthority("trust test", time.Now, "localhost", "127.0.0.1")
	assert.NilError(t, err)
	block, _ := pem.Decode(pair.Cert)
	ca, err = x509.ParseCertificate(block.Bytes)
	assert.NilError(t, err)
	file = filepath.Join(t.TempDir(), "ca.crt")
	assert.NilError(t, os.WriteFile(file, pair.Cert, 0o600))
	return ca, file
}

// inHome runs the round trip in a home of its own: the real one is never touched.
func inHome(t *testing.T, home string) (string, error) {
	t.Helper()
	_, file := authority(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], file)
	cmd.Env = append(os.Environ(), roleVariable+"=1", "HOME="+home)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestBrowsersStore(t *testing.T) {
	home := t.TempDir()
	out, err := inHome(t, home)
	assert.Assert(t, err != nil, "there is no store in an empty home")
	assert.Assert(t, strings.Contains(out, ErrAbsent.Error()), out)

	certutil, err := exec.LookPath("certutil")
	if err != nil {
		assert.Assert(t, strings.Contains(out, "certutil"), out)
		return
	}
	database := filepath.Join(home, ".pki", "nssdb")
	assert.NilError(t, os.MkdirAll(database, 0o700))
	made, err := exec.CommandContext(t.Context(), certutil, "-N", "--empty-password", "-d", "sql:"+database).CombinedOutput()
	assert.NilError(t, err, "%s", made)
	out, err = inHome(t, home)
	assert.NilError(t, err, out)
}

func TestSystemDoesNotTrustAStranger(t *testing.T) {
	ca, file := authority(t)
	trusts, err := system{}.Trusts(ca)
	assert.NilError(t, err)
	assert.Assert(t, !trusts)
	for _, store := range Stores() {
		add, remove := store.Manual(file)
		assert.Assert(t, len(add) > 0 && len(remove) > 0)
		assert.Assert(t, strings.Contains(strings.Join(add, "\n"), file))
		assert.Assert(t, store.Name() != "")
	}
}

// The library shows a failed helper's name only; what the helper said is what helps.
func TestExplain(t *testing.T) {
	assert.NilError(t, explain(nil))
	plain := errors.New("plain")
	assert.ErrorIs(t, explain(plain), plain)
}
