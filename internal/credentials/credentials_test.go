package credentials

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	mathrand "math/rand/v2"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/docker-telemetry/docker-telemetry/internal/state"
)

// memory is a folder that keeps its files, and fails the write with that number (from one).
type memory struct {
	files   map[string]string
	writes  int
	failing int
}

func newMemory() *memory { return &memory{files: map[string]string{}} }

func (m *memory) ReadFile(rel string) ([]byte, error) {
	content, ok := m.files[rel]
	if !ok {
		return nil, &fs.PathError{Op: "read", Path: rel, Err: fs.ErrNotExist}
	}
	return []byte(content), nil
}

func (m *memory) WriteFile(rel string, data []byte, perm fs.FileMode) error {
	m.writes++
	if m.writes == m.failing {
		return errors.New("no space")
	}
	if perm != 0o600 {
		return fmt.Errorf("%s: mode %04o", rel, perm)
	}
	m.files[rel] = string(data)
	return nil
}

func TestEnsure(t *testing.T) {
	files := newMemory()
	_, err := Read(files)
	assert.Assert(t, errors.Is(err, fs.ErrNotExist), err)

	first, created, err := Ensure(files, rand.Reader)
	assert.NilError(t, err)
	assert.Assert(t, created)
	assert.DeepEqual(t, slices.Sorted(maps.Keys(first)), []string{
		"grafana_admin_password", "grafana_admin_user", "openobserve_password", "openobserve_user",
		"victoriametrics_password", "victoriametrics_snapshot_key", "victoriametrics_user",
	})
	assert.Equal(t, first["openobserve_user"], "root@telemetry.local")
	assert.Equal(t, first["victoriametrics_user"], "telemetry")
	assert.Equal(t, first["grafana_admin_user"], "admin")
	for name, value := range first {
		assert.Equal(t, files.files["secrets/"+name], value, "byte for byte: the stores read the file")
	}

	writes := files.writes
	second, created, err := Ensure(files, strings.NewReader(""))
	assert.NilError(t, err, "needs no random numbers")
	assert.Assert(t, !created)
	assert.Equal(t, files.writes, writes)
	assert.Assert(t, maps.Equal(first, second))
	read, err := Read(files)
	assert.NilError(t, err)
	assert.Assert(t, maps.Equal(first, read))

	delete(files.files, "secrets/grafana_admin_password")
	third, created, err := Ensure(files, rand.Reader)
	assert.NilError(t, err)
	assert.Assert(t, created)
	assert.Assert(t, third["grafana_admin_password"] != first["grafana_admin_password"])
	third["grafana_admin_password"] = first["grafana_admin_password"]
	assert.Assert(t, maps.Equal(first, third), "the others stay")
}

func TestEnsureFinishesAnInterruptedRun(t *testing.T) {
	files := newMemory()
	files.failing = 4
	_, _, err := Ensure(files, rand.Reader)
	assert.Error(t, err, "no space")
	kept := maps.Clone(files.files)
	assert.Equal(t, len(kept), 3)
	set, created, err := Ensure(files, rand.Reader)
	assert.NilError(t, err)
	assert.Assert(t, created)
	for path, value := range kept {
		assert.Equal(t, set[strings.TrimPrefix(path, "secrets/")], value)
	}
}

func TestDamagedSecrets(t *testing.T) {
	whole := newMemory()
	set, _, err := Ensure(whole, rand.Reader)
	assert.NilError(t, err)
	good := set["grafana_admin_password"]
	for _, tc := range []struct{ name, file, content, want string }{
		{"empty", "grafana_admin_password", "", "is empty"},
		{"only a newline", "grafana_admin_password", "\n", "is empty"},
		{"cut by one", "grafana_admin_password", good[:43], "is cut short: 43 of 44 characters"},
		{"cut in half", "openobserve_password", good[:20], "is cut short: 20 of 44 characters"},
		{"quote", "grafana_admin_password", good + `"`, "is not a password that docker telemetry made"},
		{"two lines", "grafana_admin_password", good + "\nx\n", "is not a password that docker telemetry made"},
		{"nul bytes after a crash", "victoriametrics_password", strings.Repeat("\x00", 44), "is not a password that docker telemetry made"},
		{"no digit", "openobserve_password", strings.Repeat("aA-", 20), "is not a password that docker telemetry made"},
		{"too long", "openobserve_password", strings.Repeat("aA-1", 40), "is not a password that docker telemetry made"},
		{"empty user", "victoriametrics_user", "", "is empty"},
		{"user with a colon", "grafana_admin_user", "ad:min", "holds characters that a user name must not have"},
		{"not an e-mail", "openobserve_user", "root", "is not an e-mail address that OpenObserve accepts"},
		{"capital in the e-mail", "openobserve_user", "Root@telemetry.local", "is not an e-mail address that OpenObserve accepts"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files := newMemory()
			files.files = maps.Clone(whole.files)
			files.files["secrets/"+tc.file] = tc.content
			delete(files.files, "secrets/openobserve_user") // would be made, were all else well
			if tc.file == "openobserve_user" {
				files.files["secrets/openobserve_user"] = tc.content
			}
			before := maps.Clone(files.files)
			_, _, err := Ensure(files, rand.Reader)
			assert.Error(t, err, fmt.Sprintf("secret %q %s", "secrets/"+tc.file, tc.want))
			var hinter interface{ Hint() string }
			assert.Assert(t, errors.As(err, &hinter))
			assert.Assert(t, is.Contains(hinter.Hint(), "restore the file"))
			assert.Assert(t, maps.Equal(before, files.files), "nothing was written")

			files.files["secrets/openobserve_user"] = before["secrets/openobserve_user"]
			_, err = Read(files)
			assert.Assert(t, err != nil)
		})
	}
}

func TestEditorsNewlineIsForgiven(t *testing.T) {
	files := newMemory()
	set, _, err := Ensure(files, rand.Reader)
	assert.NilError(t, err)
	for i, end := range []string{"\n", "\r\n"} {
		files.files["secrets/grafana_admin_password"] = set["grafana_admin_password"] + end
		again, created, err := Ensure(files, rand.Reader)
		assert.NilError(t, err, i)
		assert.Assert(t, !created)
		assert.Assert(t, maps.Equal(set, again))
	}
}

func TestOpenObserveEnv(t *testing.T) {
	set := Set{OpenObserveUser: "root@telemetry.local", OpenObservePassword: "aB3-"}
	assert.Equal(t, string(set.OpenObserveEnv()), "ZO_ROOT_USER_EMAIL=root@telemetry.local\nZO_ROOT_USER_PASSWORD=aB3-\n")
}

func TestPrintingHidesTheValues(t *testing.T) {
	set := Set{GrafanaPassword: "hunter2"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		assert.Assert(t, !strings.Contains(fmt.Sprintf(format, set), "hunter2"), format)
	}
}

// Ten thousand passwords against the policy as OpenObserve's source states it, and against what would break a paste.
func TestPasswordPolicy(t *testing.T) {
	const draws = 10_000
	seen := map[string]bool{}
	counts := map[byte]int{}
	for range draws {
		password, err := newPassword(rand.Reader)
		assert.NilError(t, err)
		if !openObserveAccepts(password) {
			t.Fatalf("policy: %q", password)
		}
		if strings.ContainsAny(password, "\"'`\\$#:@%/ \t\r\n&*!|>{}[],?=;") {
			t.Fatalf("unsafe as text: %q", password)
		}
		if escaped := url.UserPassword("u", password).String(); escaped != "u:"+password {
			t.Fatalf("changes in a URL: %q", escaped)
		}
		if strings.ContainsAny(password[:1], "-_0123456789") {
			t.Fatalf("looks like an option or a number: %q", password)
		}
		if seen[password] {
			t.Fatalf("twice: %q", password)
		}
		seen[password] = true
		for i := 1; i < len(password); i++ { // the first is a letter
			counts[password[i]]++
		}
	}

	assert.Equal(t, len(counts), 64, "every character of the alphabet")
	// The condition (a digit, a sign, both cases) tilts the shares a little, by a known amount: compare within the
	// classes, where all are alike. Six standard deviations: a false alarm in fewer than one of a million runs.
	for _, class := range []string{"abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", "-_"} {
		total := 0
		for i := range len(class) {
			total += counts[class[i]]
		}
		mean := float64(total) / float64(len(class))
		for i := range len(class) {
			assert.Assert(t, math.Abs(float64(counts[class[i]])-mean) < 6*math.Sqrt(mean), "%q: %d, mean %.0f", class[i], counts[class[i]], mean)
		}
	}
}

// openObserveAccepts is written from the policy's text, apart from the code under test.
func openObserveAccepts(password string) bool {
	var lower, upper, digit, special bool
	for _, c := range password {
		switch {
		case 'a' <= c && c <= 'z':
			lower = true
		case 'A' <= c && c <= 'Z':
			upper = true
		case '0' <= c && c <= '9':
			digit = true
		default:
			special = true
		}
	}
	return 8 <= len(password) && len(password) <= 128 && lower && upper && digit && special
}

func TestBrokenRandomSource(t *testing.T) {
	_, _, err := Ensure(newMemory(), strings.NewReader("too short"))
	assert.Error(t, err, "random source: unexpected EOF")
	_, err = newPassword(zeros{})
	assert.Error(t, err, "random source: gives no usable password")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestAllBytesComeFromTheSource(t *testing.T) {
	seed := [32]byte([]byte("a seed that is no secret at all."))
	first, err := newPassword(mathrand.NewChaCha8(seed))
	assert.NilError(t, err)
	second, err := newPassword(mathrand.NewChaCha8(seed))
	assert.NilError(t, err)
	assert.Equal(t, first, second)
	assert.Equal(t, len(first), 44)
}

// With the real folder: the missing file of the state package is understood, and the files are private.
func TestInAStack(t *testing.T) {
	stack, err := state.Root{State: filepath.Join(t.TempDir(), "state")}.Stack("default", "telemetry")
	assert.NilError(t, err)
	_, err = Read(stack)
	assert.Assert(t, errors.Is(err, fs.ErrNotExist))
	set, created, err := Ensure(stack, rand.Reader)
	assert.NilError(t, err)
	assert.Assert(t, created)
	read, err := Read(stack)
	assert.NilError(t, err)
	assert.Assert(t, maps.Equal(set, read))
}
