package plugin

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/certs"
	"github.com/docker-telemetry/docker-telemetry/certs/trust"
	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/stack/stacktest"
)

// certified is a stack in memory whose gateway serves a certificate, and a clock.
type certified struct {
	t              *testing.T
	app            *app
	engine         *stacktest.Engine
	root           state.Root
	state          *state.Stack
	now            time.Time
	stdout, stderr *bytes.Buffer
}

func newCertified(t *testing.T) *certified {
	t.Helper()
	c := &certified{t: t, engine: stacktest.New(), now: time.Now(), stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}
	t.Cleanup(func() { _ = c.engine.Close() })
	c.root = state.Root{Config: t.TempDir(), State: t.TempDir()}
	no := func() bool { return false }
	c.app = &app{name: "telemetry", progress: "quiet", deps: deps{
		stdin: strings.NewReader(""), stdout: c.stdout, stderr: c.stderr, stdinTerminal: no, stdoutTerminal: no, stderrTerminal: no,
		context: func() string { return "default" },
		root:    func() (state.Root, error) { return c.root, nil },
		manager: func(*render.Progress) (*stack.Manager, error) { return c.engine.Manager(), nil },
		now:     func() time.Time { return c.now },
		random:  rand.NewChaCha8([32]byte{1}),
	}}
	var err error
	c.state, err = c.root.Stack("default", "telemetry")
	assert.NilError(t, err)
	return c
}

func (c *certified) up() {
	c.t.Helper()
	assert.NilError(c.t, runUp(c.t.Context(), c.app, upOptions{port: 18082, noVerify: true, timeout: 10 * time.Second}))
	c.engine.Forget()
}

func (c *certified) change(verb string, wish change) error {
	c.stdout.Reset()
	c.stderr.Reset()
	return runCertsChange(c.t.Context(), c.app, verb, wish)
}

func (c *certified) served() string {
	c.t.Helper()
	cert, err := c.engine.Manager().ServedCertificate(c.t.Context(), "telemetry")
	assert.NilError(c.t, err)
	return cert.SerialNumber.Text(16)
}

// kept requires that the gateway serves what the state has, and returns it.
func (c *certified) kept() certs.Info {
	c.t.Helper()
	data, err := c.state.ReadFile(certs.LeafCert)
	assert.NilError(c.t, err)
	info, err := certs.Inspect(certs.Pair{Cert: data})
	assert.NilError(c.t, err)
	assert.Equal(c.t, c.served(), info.Serial)
	return info
}

// verify returns each check's result, and the error.
func (c *certified) verify() (map[string]findingJSON, error) {
	c.t.Helper()
	c.stdout.Reset()
	err := runCertsVerify(c.t.Context(), c.app, "json")
	holdsContract(c.t, "certs verify", c.stdout.String())
	var report struct{ Findings []findingJSON }
	assert.NilError(c.t, json.Unmarshal(c.stdout.Bytes(), &report), "%s", c.stdout)
	found := map[string]findingJSON{}
	for _, finding := range report.Findings {
		found[finding.Check] = finding
	}
	return found, err
}

func (c *certified) file(name string) string {
	return filepath.Join(c.state.Dir, filepath.FromSlash(name))
}

func TestCertsRenew(t *testing.T) {
	c := newCertified(t)
	c.up()
	first := c.kept()
	assert.Assert(t, strings.Contains(strings.Join(first.Hosts, " "), "engine.test"), "the remote engine's host: %v", first.Hosts)

	assert.NilError(t, c.change("certs renew", change{}))
	assert.Equal(t, c.kept().Serial, first.Serial, "it is good for long")
	assert.NilError(t, c.change("certs renew", change{force: true}))
	second := c.kept()
	assert.Assert(t, second.Serial != first.Serial)
	assert.Assert(t, strings.Contains(c.stdout.String(), "no connection was ended"), c.stdout)

	assert.NilError(t, c.change("certs renew", change{hosts: []string{"box.test"}}))
	assert.Assert(t, strings.Contains(c.stderr.String(), "trust this one"), c.stderr)
	c.up()
	assert.NilError(t, c.change("certs renew", change{force: true}))
	assert.Assert(t, strings.Contains(strings.Join(c.kept().Hosts, " "), "box.test"), "it is remembered")
}

// What the gateway refuses is not kept: the state, the served one and the options are as they were.
func TestCertsRenewRefusedByTheGateway(t *testing.T) {
	c := newCertified(t)
	c.up()
	first := c.kept()
	c.engine.RefusesReload = true
	err := c.change("certs renew", change{hosts: []string{"box.test"}})
	assert.ErrorContains(t, err, "the old one is served on")
	assert.Equal(t, c.kept().Serial, first.Serial)
	c.engine.RefusesReload = false
	assert.NilError(t, c.change("certs renew", change{force: true}))
	assert.DeepEqual(t, c.kept().Hosts, first.Hosts)
}

func TestUpRenewsInTheLastThird(t *testing.T) {
	c := newCertified(t)
	c.up()
	first := c.kept()
	containers := c.engine.Containers()
	c.now = c.now.Add(59 * 24 * time.Hour)
	c.up()
	assert.Equal(t, c.kept().Serial, first.Serial)
	c.now = c.now.Add(2 * 24 * time.Hour)
	assert.NilError(t, runUp(t.Context(), c.app, upOptions{noVerify: true, timeout: 10 * time.Second}))
	assert.Assert(t, c.kept().Serial != first.Serial)
	assert.DeepEqual(t, c.engine.Containers(), containers)
	assert.DeepEqual(t, c.engine.Changes(), []string{"copy to container telemetry-gateway-1"})
}

func TestStatusJudgesTheCertificate(t *testing.T) {
	const day = 24 * time.Hour
	for _, tc := range []struct {
		after time.Duration
		warns string
		fails string
	}{
		{0, "", ""},
		{59 * day, "", ""},
		{61 * day, "ends in 28 days", ""},
		{89*day + 12*time.Hour, "", "ends today"},
		{91 * day, "", "expired on"},
	} {
		c := newCertified(t)
		c.up()
		c.now = c.now.Add(tc.after)
		c.stderr.Reset()
		err := runStatus(t.Context(), c.app, "table")
		if tc.fails == "" {
			assert.NilError(t, err)
			assert.Equal(t, strings.Contains(c.stderr.String(), "certs renew"), tc.warns != "", c.stderr)
			assert.Assert(t, strings.Contains(c.stderr.String(), tc.warns), c.stderr)
			continue
		}
		assert.ErrorContains(t, err, tc.fails)
		assert.Equal(t, exitCode(false, err), exitFindings)
		assert.Equal(t, hintOf(err), "docker telemetry certs renew")
		assert.NilError(t, c.change("certs renew", change{}))
		assert.NilError(t, runStatus(t.Context(), c.app, "table"), "the command mends it")
	}
}

// Each thing that can happen to the files has one answer, with the command that mends it, and that command does.
func TestCertsVerifyTellsAndRenewMends(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(*certified)
		check string
		says  string
		mends change
	}{
		{"expired", func(c *certified) { c.now = c.now.Add(91 * 24 * time.Hour) }, "dates", "expired on", change{}},
		{"half a file", func(c *certified) { c.truncate(c.file(certs.LeafCert)) }, "files", "is damaged", change{}},
		{"half a key", func(c *certified) { c.truncate(c.file(certs.LeafKey)) }, "key", "private key", change{}},
		{"key of another", func(c *certified) { c.copy(filepath.Join(c.root.CADir(), certs.AuthorityKey), c.file(certs.LeafKey)) }, "key", "belongs to another", change{}},
		{"wrong authority", (*certified).otherAuthority, "issuer", "was not issued by", change{}},
		{"half an authority", func(c *certified) { c.truncate(filepath.Join(c.root.CADir(), certs.AuthorityCert)) }, "files", "is damaged", change{authority: &authority{}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCertified(t)
			c.up()
			tc.spoil(c)
			found, err := c.verify()
			assert.Equal(t, exitCode(false, err), exitFindings)
			assert.Equal(t, found[tc.check].Result, "failed", "%v", found)
			assert.Assert(t, strings.Contains(found[tc.check].Detail, tc.says), found[tc.check].Detail)
			assert.Assert(t, strings.Contains(found[tc.check].Hint, "docker telemetry certs "), found[tc.check].Hint)
			assert.NilError(t, c.change("certs renew", tc.mends))
			found, err = c.verify()
			assert.NilError(t, err, "%v", found)
			assert.Equal(t, found["gateway"].Result, "ok")
		})
	}
}

func (c *certified) truncate(file string) {
	c.t.Helper()
	info, err := os.Stat(file)
	assert.NilError(c.t, err)
	assert.NilError(c.t, os.Chmod(file, 0o600))
	assert.NilError(c.t, os.Truncate(file, info.Size()/2))
}

func (c *certified) copy(from, to string) {
	c.t.Helper()
	data, err := os.ReadFile(from)
	assert.NilError(c.t, err)
	assert.NilError(c.t, os.WriteFile(to, data, 0o600))
}

func (c *certified) otherAuthority() {
	c.t.Helper()
	other, err := certs.NewAuthority("other", c.app.deps.now, "localhost", "engine.test", "127.0.0.1", "::1")
	assert.NilError(c.t, err)
	assert.NilError(c.t, c.root.CAFiles().WriteFile(certs.AuthorityCert, other.Cert, 0o644))
	assert.NilError(c.t, c.root.CAFiles().WriteFile(certs.AuthorityKey, other.Key, 0o400))
}

func TestCertsVerifyOfLinksAndModes(t *testing.T) {
	c := newCertified(t)
	c.up()
	assert.NilError(t, os.Chmod(c.file(certs.LeafKey), 0o644))
	found, err := c.verify()
	assert.NilError(t, err, "%v", found)
	assert.Assert(t, strings.Contains(c.stderr.String(), "mended to 0600"), "what is mended is said: %s", c.stderr)
	info, err := os.Stat(c.file(certs.LeafKey))
	assert.NilError(t, err)
	assert.Equal(t, info.Mode().Perm(), os.FileMode(0o600))

	assert.NilError(t, os.Rename(c.file(certs.LeafCert), c.file("elsewhere.crt")))
	assert.NilError(t, os.Symlink(c.file("elsewhere.crt"), c.file(certs.LeafCert)))
	found, err = c.verify()
	assert.Equal(t, exitCode(false, err), exitFindings)
	assert.Assert(t, strings.Contains(found["files"].Detail, "symbolic link"), "%v", found)
	assert.Assert(t, strings.Contains(found["files"].Hint, "remove the symbolic link"))
	assert.ErrorIs(t, c.change("certs renew", change{force: true}), state.ErrSymlink)
}

func TestCertsVerifyWhereNothingRuns(t *testing.T) {
	c := newCertified(t)
	found, err := c.verify()
	assert.Equal(t, exitCode(false, err), exitFindings)
	assert.Equal(t, found["files"].Hint, "docker telemetry certs init")
	assert.NilError(t, c.change("certs init", change{}))
	assert.Assert(t, strings.Contains(c.stdout.String(), "next start"), c.stdout)
	found, err = c.verify()
	assert.NilError(t, err, "%v", found)
	assert.Equal(t, found["gateway"].Result, "unchecked")

	c.engine.Fails = errors.New("connection refused")
	found, err = c.verify()
	assert.Equal(t, exitCode(false, err), exitUnchecked)
	assert.Equal(t, found["issuer"].Result, "ok", "what needs no engine is checked")
}

// The gateway serves something else than the state has: a restored state, another computer's change.
func TestCertsVerifySeesWhatIsServed(t *testing.T) {
	c := newCertified(t)
	c.up()
	_, store, err := c.app.kept()
	assert.NilError(t, err)
	store.Hosts = append(store.Hosts, "engine.test")
	next, err := store.Next(certs.Options{}, true)
	assert.NilError(t, err)
	assert.NilError(t, store.Save(next.Leaf))
	found, err := c.verify()
	assert.Equal(t, exitCode(false, err), exitFindings)
	assert.Assert(t, strings.Contains(found["gateway"].Detail, "serves another certificate"), "%v", found)
	c.up()
	_, err = c.verify()
	assert.NilError(t, err, "up brings it about")
}

func TestCertsInitWishes(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		assert.NilError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	some, empty := write("some.pem", "text"), write("empty.pem", "")
	for _, tc := range []struct {
		opts certsInitOptions
		want string
		code int
	}{
		{certsInitOptions{cert: some}, "--cert and --key go together", exitUsage},
		{certsInitOptions{key: some}, "--cert and --key go together", exitUsage},
		{certsInitOptions{caCert: some}, "--ca-cert and --ca-key go together", exitUsage},
		{certsInitOptions{caKey: some}, "--ca-cert and --ca-key go together", exitUsage},
		{certsInitOptions{cert: some, key: some, caCert: some, caKey: some}, "exclude each other", exitUsage},
		{certsInitOptions{cert: some, key: some, hosts: []string{"a"}}, "taken as it is", exitUsage},
		{certsInitOptions{profile: "www"}, "--config and --profile go together", exitUsage},
		{certsInitOptions{csr: filepath.Join(dir, "absent")}, "no such file", exitFailed},
		{certsInitOptions{csr: empty}, "is empty", exitFailed},
		{certsInitOptions{csr: dir}, "is a directory", exitFailed},
	} {
		_, err := tc.opts.wish()
		assert.ErrorContains(t, err, tc.want)
		assert.Equal(t, exitCode(false, err), tc.code, tc.want)
	}
	wish, err := certsInitOptions{cert: some, key: some, caCert: some}.wish()
	assert.NilError(t, err)
	assert.Assert(t, wish.own != nil && wish.authority == nil && !wish.force)
	assert.Equal(t, string(wish.issuers), "text")
}

func TestCertsInitBringsYourOwn(t *testing.T) {
	c := newCertified(t)
	c.up()
	corp, err := certs.NewAuthority("corp", time.Now)
	assert.NilError(t, err)
	leaf, err := certs.Issue(corp, certs.Request{Hosts: []string{"localhost", "telemetry.corp.example"}})
	assert.NilError(t, err)
	assert.NilError(t, c.change("certs init", change{own: &certs.Pair{Cert: leaf.Cert, Key: leaf.Key}, issuers: corp.Cert}))
	own := c.kept()
	assert.Equal(t, own.Issuer, "corp")
	c.up()
	assert.Equal(t, c.kept().Serial, own.Serial, "up leaves it alone")
	_, err = c.verify()
	assert.NilError(t, err)
	assert.NilError(t, c.change("certs renew", change{}))
	assert.Equal(t, c.kept().Serial, own.Serial)
	assert.NilError(t, c.change("certs renew", change{force: true}))
	assert.Assert(t, c.kept().Issuer != "corp", "back to our own")
	c.up()
	assert.Assert(t, c.kept().Issuer != "corp")

	assert.NilError(t, c.change("certs init", change{authority: &authority{pair: corp, force: true}}))
	assert.Equal(t, c.kept().Issuer, "corp")
	err = c.change("certs init", change{authority: &authority{pair: certs.Pair{Cert: leaf.Cert, Key: leaf.Key}, force: true}})
	assert.Assert(t, errors.Is(err, certs.ErrNotCA), err)
	assert.Equal(t, c.kept().Issuer, "corp")
}

func TestCertsLs(t *testing.T) {
	c := newCertified(t)
	assert.NilError(t, runCertsLs(c.app, "table"))
	assert.Equal(t, c.stdout.String(), "")
	assert.Assert(t, strings.Contains(c.stderr.String(), "certs init"))
	c.up()
	c.stdout.Reset()
	assert.NilError(t, runCertsLs(c.app, "json"))
	holdsContract(t, "certs ls", c.stdout.String())
	var listed struct {
		SchemaVersion int
		Certificates  []listedJSON
	}
	assert.NilError(t, json.Unmarshal(c.stdout.Bytes(), &listed))
	assert.Equal(t, listed.SchemaVersion, 1)
	assert.Equal(t, len(listed.Certificates), 2)
	ca, leaf := listed.Certificates[0], listed.Certificates[1]
	assert.Equal(t, ca.Kind+" "+leaf.Kind, "authority server")
	assert.DeepEqual(t, ca.UsedBy, []string{"telemetry"})
	assert.DeepEqual(t, ca.Hosts, []string{"engine.test", "localhost", "127.0.0.1", "::1"})
	assert.DeepEqual(t, leaf.Hosts, ca.Hosts)
	assert.Equal(t, leaf.Issuer, ca.Subject)
	assert.Equal(t, leaf.DaysLeft, 89)
	assert.Equal(t, leaf.File, c.file(certs.LeafCert))
	c.stdout.Reset()
	c.now = c.now.Add(100 * 24 * time.Hour)
	assert.NilError(t, runCertsLs(c.app, "table"))
	assert.Assert(t, strings.Contains(c.stdout.String(), "expired"), c.stdout)
}

func TestCertsExport(t *testing.T) {
	c := newCertified(t)
	assert.ErrorContains(t, runCertsExport(c.app, certsExportOptions{format: "pem"}), "no authority yet")
	c.up()
	export := func(opts certsExportOptions) string {
		t.Helper()
		c.stdout.Reset()
		assert.NilError(t, runCertsExport(c.app, opts))
		return c.stdout.String()
	}
	ca, err := os.ReadFile(filepath.Join(c.root.CADir(), certs.AuthorityCert))
	assert.NilError(t, err)
	assert.Equal(t, export(certsExportOptions{format: "pem"}), string(ca), "no key")
	assert.Assert(t, strings.Contains(export(certsExportOptions{format: "pem", withKey: true}), "PRIVATE KEY"))
	assert.Assert(t, export(certsExportOptions{format: "p12"}) != "")
	err = runCertsExport(c.app, certsExportOptions{format: "p12", withKey: true})
	assert.Equal(t, exitCode(false, err), exitUsage)
	c.app.deps.stdoutTerminal = func() bool { return true }
	err = runCertsExport(c.app, certsExportOptions{format: "p12"})
	assert.ErrorContains(t, err, "terminal")

	dir := filepath.Join(t.TempDir(), "pki")
	export(certsExportOptions{format: "pem", cfssl: dir})
	entries, err := os.ReadDir(dir)
	assert.NilError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	assert.DeepEqual(t, names, []string{"ca-config.json", "ca-csr.json", "ca.pem", "server-csr.json"})
	// A file that is there and open to others must not get the key.
	assert.NilError(t, os.WriteFile(filepath.Join(dir, "ca-key.pem"), nil, 0o644))
	export(certsExportOptions{format: "pem", cfssl: dir, withKey: true})
	info, err := os.Stat(filepath.Join(dir, "ca-key.pem"))
	assert.NilError(t, err)
	assert.Equal(t, info.Mode().Perm(), os.FileMode(0o600))
	wish, err := certsInitOptions{csr: filepath.Join(dir, "server-csr.json"), config: filepath.Join(dir, "ca-config.json"), profile: "server"}.wish()
	assert.NilError(t, err)
	before := c.kept()
	assert.NilError(t, c.change("certs init", wish))
	assert.Assert(t, c.kept().Serial != before.Serial)
	assert.DeepEqual(t, c.kept().Hosts, before.Hosts)
}

// fakeStore is a trust store in memory.
type fakeStore struct {
	name          string
	trusted       map[string]bool
	fails, absent bool
	forgets       bool // says that it did, and did not
}

func newFakeStore(name string) *fakeStore {
	return &fakeStore{name: name, trusted: map[string]bool{}}
}

func (f *fakeStore) Name() string { return f.name }

func (f *fakeStore) set(ca *x509.Certificate, trusted bool) error {
	switch {
	case f.absent:
		return trust.ErrAbsent
	case f.fails:
		return errors.New("sudo: a password is required")
	case !f.forgets:
		f.trusted[ca.SerialNumber.String()] = trusted
	}
	return nil
}

func (f *fakeStore) Add(ca *x509.Certificate) error    { return f.set(ca, true) }
func (f *fakeStore) Remove(ca *x509.Certificate) error { return f.set(ca, false) }
func (f *fakeStore) Trusts(ca *x509.Certificate) (bool, error) {
	return f.trusted[ca.SerialNumber.String()], nil
}

func (f *fakeStore) Manual(file string) (add, remove []string) {
	return []string{"add " + file}, []string{"remove " + file}
}

func (f *fakeStore) count() int {
	n := 0
	for _, trusted := range f.trusted {
		if trusted {
			n++
		}
	}
	return n
}

func TestCertsTrust(t *testing.T) {
	c := newCertified(t)
	none := func(string) string { return "" }
	system, browsers := newFakeStore("the system"), newFakeStore("browsers")
	with := trusting{stores: []trust.Store{system, browsers}, getenv: none, yes: true}
	assert.ErrorContains(t, runCertsTrust(t.Context(), c.app, with), "no authority yet")
	c.up()
	assert.Equal(t, system.count(), 0, "up never does")

	for _, ci := range []string{"true", "1"} {
		with.getenv = func(name string) string { return map[string]string{"CI": ci}[name] }
		assert.ErrorContains(t, runCertsTrust(t.Context(), c.app, with), "leaves the trust stores of its machine alone")
		assert.ErrorContains(t, runCertsUntrust(t.Context(), c.app, with), "leaves the trust stores of its machine alone")
	}
	with.getenv = none
	asking := with
	asking.yes = false
	err := runCertsTrust(t.Context(), c.app, asking)
	assert.Equal(t, exitCode(false, err), exitUsage, "nobody can be asked")
	c.app.deps.stdinTerminal = func() bool { return true }
	c.app.deps.stdin = strings.NewReader("\n")
	assert.ErrorContains(t, runCertsTrust(t.Context(), c.app, asking), "nothing was changed")
	assert.Equal(t, system.count()+browsers.count(), 0)

	c.stderr.Reset()
	c.app.deps.stdin = strings.NewReader("yes\n")
	assert.NilError(t, runCertsTrust(t.Context(), c.app, asking))
	assert.Equal(t, system.count()+browsers.count(), 2)
	for _, want := range []string{"SHA-256", "localhost", "no other host", "the system", "browsers", "untrust"} {
		assert.Assert(t, strings.Contains(c.stderr.String(), want), c.stderr)
	}

	// After a renewal of the authority the new certificate is trusted and the old one goes.
	assert.NilError(t, c.change("certs renew", change{hosts: []string{"box.test"}}))
	assert.NilError(t, runCertsTrust(t.Context(), c.app, with))
	assert.Equal(t, system.count()+browsers.count(), 2)
	assert.NilError(t, runCertsUntrust(t.Context(), c.app, with))
	assert.Equal(t, system.count()+browsers.count(), 0)
}

func TestCertsTrustWhereItCannot(t *testing.T) {
	for _, tc := range []struct {
		name   string
		spoil  func(system *fakeStore)
		want   string
		manual bool
	}{
		{"refused", func(s *fakeStore) { s.fails = true }, "the system could not be changed", true},
		{"no effect", func(s *fakeStore) { s.forgets = true }, "the system could not be changed", true},
		{"absent", func(s *fakeStore) { s.absent = true }, "no trust store that could be changed", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCertified(t)
			c.up()
			system := newFakeStore("the system")
			tc.spoil(system)
			with := trusting{stores: []trust.Store{system}, getenv: func(string) string { return "" }, yes: true}
			c.stderr.Reset()
			assert.ErrorContains(t, runCertsTrust(t.Context(), c.app, with), tc.want)
			assert.Equal(t, strings.Contains(c.stderr.String(), "add "+filepath.Join(c.root.CADir(), certs.AuthorityCert)), tc.manual, c.stderr)
		})
	}
}
