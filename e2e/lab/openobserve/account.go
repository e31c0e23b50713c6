package main

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

const (
	emailPattern = `^([a-z0-9_+]([a-z0-9_+.-]*[a-z0-9_+])?)@([a-z0-9]+([\-\.]{1}[a-z0-9]+)*\.[a-z]{2,6})`
	policyHint   = "Password must be 8-128 characters and contain at least one lowercase letter, " +
		"one uppercase letter, one digit, and one special character."
)

// account is the only user. Argon2 rather than bcrypt, because bcrypt stops at 72 bytes and the policy allows 128
// characters.
type account struct {
	Email string `json:"email"`
	Salt  []byte `json:"salt"`
	Hash  []byte `json:"hash"`
}

func checkPassword(password string) error {
	n := utf8.RuneCountInString(password)
	if n < 8 || n > 128 {
		return errors.New(policyHint)
	}
	var lower, upper, digit, special bool
	for _, c := range password {
		switch {
		case c >= 'a' && c <= 'z':
			lower = true
		case c >= 'A' && c <= 'Z':
			upper = true
		case c >= '0' && c <= '9':
			digit = true
		default:
			// Non-ASCII letters count as special in the real policy too.
			special = true
		}
	}
	if !lower || !upper || !digit || !special {
		return errors.New(policyHint)
	}
	return nil
}

func newAccount(email, password string) (account, error) {
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return account{}, fmt.Errorf("salt: %w", err)
	}
	return account{Email: email, Salt: salt, Hash: derive(password, salt)}, nil
}

func derive(password string, salt []byte) []byte {
	return argon2.IDKey([]byte(password), salt, 2, 19*1024, 1, 32)
}

// firstAccount makes the root user of an empty data directory, with the checks that make the real start-up panic.
func firstAccount(cfg config) (account, error) {
	valid := regexp.MustCompile(emailPattern).MatchString(cfg.rootEmail)
	if !valid || cfg.rootPassword == "" {
		return account{}, errors.New("Please set root user email-id & password using ZO_ROOT_USER_EMAIL & " + //nolint:staticcheck // the real server's words
			"ZO_ROOT_USER_PASSWORD environment variables. This can also indicate an invalid email ID. " +
			"Email ID must comply with " + strings.TrimPrefix(emailPattern, "^"))
	}
	if err := checkPassword(cfg.rootPassword); err != nil {
		return account{}, fmt.Errorf("ZO_ROOT_USER_PASSWORD is too weak: %w", err)
	}
	return newAccount(cfg.rootEmail, cfg.rootPassword)
}

func accountPath(cfg config) string { return filepath.Join(standinDir(cfg), "root.json") }

func standinDir(cfg config) string { return filepath.Join(cfg.dataDir, "lab-standin") }

// openAccount returns the stored root user, or makes it from the environment when there is none: later changes of the
// variables do not change the login.
func openAccount(cfg config) (account, error) {
	var a account
	raw, err := os.ReadFile(accountPath(cfg))
	if errors.Is(err, os.ErrNotExist) {
		if a, err = firstAccount(cfg); err != nil {
			return a, err
		}
		return a, saveJSON(accountPath(cfg), a)
	}
	if err != nil {
		return a, fmt.Errorf("root user: %w", err)
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return a, fmt.Errorf("root user %s: %w", accountPath(cfg), err)
	}
	return a, nil
}

// resetRoot is `openobserve reset -c root`: the password of the environment becomes that of the stored user. A running
// server keeps the old one until it restarts, because it read the user at start.
func resetRoot(cfg config, stdout io.Writer) error {
	if err := checkPassword(cfg.rootPassword); err != nil {
		return fmt.Errorf("ZO_ROOT_USER_PASSWORD does not meet policy: %w", err)
	}
	raw, err := os.ReadFile(accountPath(cfg))
	if err != nil {
		return fmt.Errorf("reset root user failed: %w", err)
	}
	var old account
	if err := json.Unmarshal(raw, &old); err != nil {
		return fmt.Errorf("reset root user failed: %w", err)
	}
	if old.Email != cfg.rootEmail {
		return fmt.Errorf("reset root user failed: user %q not found", cfg.rootEmail)
	}
	next, err := newAccount(cfg.rootEmail, cfg.rootPassword)
	if err != nil {
		return err
	}
	if err := saveJSON(accountPath(cfg), next); err != nil {
		return err
	}
	fmt.Fprintln(stdout, "command reset root execute succeeded")
	return nil
}

// saveJSON replaces a file as a whole: a reader sees the old or the new content, also after SIGKILL.
func saveJSON(path string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(raw)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(tmp.Name(), path)
}

// verifier checks credentials. It remembers the digest of the last good pair, because argon2 on each of Vector's
// batches would cost more than the ingestion.
type verifier struct {
	account account
	mu      sync.Mutex
	good    [sha256.Size]byte
	known   bool
}

func (v *verifier) ok(email, password string) bool {
	if !strings.EqualFold(email, v.account.Email) {
		return false
	}
	digest := sha256.Sum256(append(append([]byte{}, v.account.Salt...), password...))
	v.mu.Lock()
	hit := v.known && subtle.ConstantTimeCompare(digest[:], v.good[:]) == 1
	v.mu.Unlock()
	if hit {
		return true
	}
	if subtle.ConstantTimeCompare(derive(password, v.account.Salt), v.account.Hash) != 1 {
		return false
	}
	v.mu.Lock()
	v.good, v.known = digest, true
	v.mu.Unlock()
	return true
}
