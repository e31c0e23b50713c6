// Package credentials makes and keeps the logins of one stack: three users and their random passwords.
package credentials

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strings"
)

// The names of the logins' parts; they become the file names under /run/secrets.
const (
	OpenObserveUser         = "openobserve_user"
	OpenObservePassword     = "openobserve_password"
	VictoriaMetricsUser     = "victoriametrics_user"
	VictoriaMetricsPassword = "victoriametrics_password"
	GrafanaUser             = "grafana_admin_user"
	GrafanaPassword         = "grafana_admin_password"
	// VictoriaMetricsSnapshotKey opens VictoriaMetrics' snapshots and nothing else. It is no log-in; stacks of releases
	// before snapshots have none until their next up.
	VictoriaMetricsSnapshotKey = "victoriametrics_snapshot_key"
)

const folder = "secrets/"

// entry is one file; one without a fixed value is a password.
type entry struct{ name, value string }

func entries() []entry {
	return []entry{
		{OpenObserveUser, "root@telemetry.local"},
		{OpenObservePassword, ""},
		{VictoriaMetricsUser, "telemetry"},
		{VictoriaMetricsPassword, ""},
		{GrafanaUser, "admin"},
		{GrafanaPassword, ""},
	}
}

// snapshotKey has the shape of a password.
func snapshotKey() entry { return entry{name: VictoriaMetricsSnapshotKey} }

// Files is the folder of a stack. WriteFile replaces a file in one step; a missing file is fs.ErrNotExist.
type Files interface {
	ReadFile(rel string) ([]byte, error)
	WriteFile(rel string, data []byte, perm fs.FileMode) error
}

// Set is the logins by name.
type Set map[string]string

// String hides the values, so that a set printed by mistake gives nothing away.
func (s Set) String() string { return fmt.Sprintf("credentials(%d hidden)", len(s)) }

// GoString hides the values from %#v.
func (s Set) GoString() string { return s.String() }

// Read returns the stack's logins. If one is missing the error is an fs.ErrNotExist; if one cannot be what Ensure
// wrote, an error with a hint.
func Read(files interface {
	ReadFile(rel string) ([]byte, error)
},
) (Set, error) {
	set := Set{}
	for _, e := range entries() {
		value, err := readOne(files.ReadFile, e)
		if err != nil {
			return nil, err
		}
		set[e.name] = value
	}
	key, err := readOne(files.ReadFile, snapshotKey())
	switch {
	case err == nil:
		set[VictoriaMetricsSnapshotKey] = key
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	return set, nil
}

// Ensure returns the stack's logins and makes those that are missing, with passwords from the random source; created
// tells that it made one. A file that is cut short or empty is an error and stays: the store still has the old password.
func Ensure(files Files, rand io.Reader) (set Set, created bool, err error) {
	set = Set{}
	var missing []entry
	// All are read before one is written, so that a damaged file leaves the folder as it was.
	for _, e := range append(entries(), snapshotKey()) {
		value, err := readOne(files.ReadFile, e)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, e)
		case err != nil:
			return nil, false, err
		default:
			set[e.name] = value
		}
	}
	for _, e := range missing {
		if set[e.name], err = makeOne(files, e, rand); err != nil {
			return nil, created, err
		}
		created = true
	}
	return set, created, nil
}

func readOne(readFile func(string) ([]byte, error), e entry) (string, error) {
	data, err := readFile(folder + e.name)
	if err != nil {
		return "", err
	}
	// An editor adds a newline; more than one is not ours to judge away.
	value := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if reason := unusable(e, value); reason != "" {
		return "", &DamagedError{Name: folder + e.name, Reason: reason}
	}
	return value, nil
}

func makeOne(files Files, e entry, rand io.Reader) (string, error) {
	value := e.value
	if value == "" {
		var err error
		if value, err = newPassword(rand); err != nil {
			return "", err
		}
	}
	return value, files.WriteFile(folder+e.name, []byte(value), 0o600)
}

// OpenObserveEnv is the dotenv file that `openobserve -c` reads; it knows no file for the password alone.
func (s Set) OpenObserveEnv() []byte {
	return fmt.Appendf(nil, "ZO_ROOT_USER_EMAIL=%s\nZO_ROOT_USER_PASSWORD=%s\n", s[OpenObserveUser], s[OpenObservePassword])
}

// DamagedError is a secret's file that cannot be what was written. It never quotes the content.
type DamagedError struct{ Name, Reason string }

func (e *DamagedError) Error() string { return fmt.Sprintf("secret %q %s", e.Name, e.Reason) }

// Hint says the way out.
func (e *DamagedError) Hint() string {
	return "restore the file from a backup; the store still expects the old value. " +
		`Without one, "docker telemetry down --volumes" starts over and deletes the stored data`
}

const (
	// randomBytes is a multiple of three, so base64 gives whole characters, each of them uniform, and no padding.
	randomBytes    = 33
	passwordLength = randomBytes / 3 * 4
	maxLength      = 128 // OpenObserve's limit
)

// newPassword draws until OpenObserve would take the password and it begins with a letter (no option, no YAML number).
// Drawing anew keeps all that remain equally likely; mending one would not. Six of ten draws pass, so 263 of 264 bits are left.
func newPassword(rand io.Reader) (string, error) {
	const tries = 1000 // all of them fail only when the source is broken
	raw := make([]byte, randomBytes)
	for range tries {
		if _, err := io.ReadFull(rand, raw); err != nil {
			return "", fmt.Errorf("random source: %w", err)
		}
		if password := base64.RawURLEncoding.EncodeToString(raw); strong(password) {
			return password, nil
		}
	}
	return "", errors.New("random source: gives no usable password")
}

// strong is OpenObserve's policy for passwords plus the shape of ours. Without it OpenObserve refuses to start.
func strong(password string) bool {
	return passwordShape().MatchString(password) &&
		strings.ContainsAny(password, "abcdefghijklmnopqrstuvwxyz") &&
		strings.ContainsAny(password, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") &&
		strings.ContainsAny(password, "0123456789") &&
		strings.ContainsAny(password, "_-")
}

// unusable says why a stored value cannot be right, "" if it can.
func unusable(e entry, value string) string {
	switch {
	case value == "":
		return "is empty"
	case e.name == OpenObserveUser && !emailShape().MatchString(value):
		return "is not an e-mail address that OpenObserve accepts"
	case e.name == OpenObserveUser:
		return ""
	case e.value != "" && !userShape().MatchString(value):
		return "holds characters that a user name must not have"
	case e.value != "":
		return ""
	case len(value) < passwordLength:
		return fmt.Sprintf("is cut short: %d of %d characters", len(value), passwordLength)
	case len(value) > maxLength || !strong(value):
		return "is not a password that docker telemetry made"
	}
	return ""
}

func emailShape() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*@[a-z0-9][a-z0-9.-]*\.[a-z]{2,6}$`)
}

// passwordShape has the alphabet of base64url: 64 characters, so no modulo bias, and nothing that means something in YAML, dotenv,
// shell or the user part of a URL, into all of which the values are pasted as text.
func passwordShape() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`) }

func userShape() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`) }
