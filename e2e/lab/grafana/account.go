package main

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// account is the administrator. It is read at each login, because the real server reads its database then too: a
// password that the cli resets counts at once.
type account struct {
	Login string `json:"login"`
	Salt  []byte `json:"salt"`
	Hash  []byte `json:"hash"`
}

func accountPath(cfg config) string { return filepath.Join(cfg.dataDir, "lab-standin-admin.json") }

func derive(password string, salt []byte) ([]byte, error) {
	return pbkdf2.Key(sha256.New, password, salt, 10000, 50)
}

// ensureAdmin makes the administrator of an empty data directory; the variables count on the first start only.
func ensureAdmin(cfg config) error {
	_, err := os.Stat(accountPath(cfg))
	if err == nil || !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return saveAdmin(cfg, cfg.adminUser, cfg.adminPass)
}

func saveAdmin(cfg config, login, password string) error {
	a := account{Login: login, Salt: make([]byte, 16)}
	if _, err := rand.Read(a.Salt); err != nil {
		return fmt.Errorf("salt: %w", err)
	}
	var err error
	if a.Hash, err = derive(password, a.Salt); err != nil {
		return fmt.Errorf("hash password: %w", err)
	}
	raw, err := json.Marshal(a)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(cfg.dataDir, ".admin-*")
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(raw)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("write administrator: %w", err)
	}
	return os.Rename(tmp.Name(), accountPath(cfg))
}

func readAdmin(cfg config) (account, error) {
	var a account
	raw, err := os.ReadFile(accountPath(cfg))
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(raw, &a)
}

// resetPassword changes the stored password. Grafana refuses new passwords shorter than four characters.
func resetPassword(cfg config, password string) error {
	if len(password) < 4 {
		return errors.New("new password is too short")
	}
	a, err := readAdmin(cfg)
	if err != nil {
		return fmt.Errorf("could not read user from database: %w", err)
	}
	return saveAdmin(cfg, a.Login, password)
}

func (a account) ok(login, password string) bool {
	if login != a.Login {
		return false
	}
	hash, err := derive(password, a.Salt)
	return err == nil && subtle.ConstantTimeCompare(hash, a.Hash) == 1
}
