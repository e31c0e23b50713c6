package support_test

import (
	"archive/tar"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/internal/support"
)

// odd are passwords with the characters that each way of writing has its own form for.
var odd = []string{
	"Tr0ub4dor&3<>", `quo"te'and\back`, "dollar$HOME${x}", "per%cent+plus/slash=", "spaced out pass", "ümläut–dash", "line one of it\nline two of it", "tab\tand\u0007bell",
	"Fs9vP_zk3-QmX1_abcdefghijklmnopqrstuvwxyzABCD",
}

func TestSecretsAreTakenOut(t *testing.T) {
	for _, secret := range odd {
		redactor := support.NewRedactor([]string{secret}, [][2]string{{"root@telemetry.local", secret}})
		quoted, err := json.Marshal(map[string]string{"x": secret})
		assert.NilError(t, err)
		twice, err := json.Marshal(string(quoted))
		assert.NilError(t, err)
		forms := []string{
			"it is " + secret + ".", string(quoted), url.QueryEscape(secret), "https://h/?p=" + url.PathEscape(secret), fmt.Sprintf("%q", secret),
			base64.StdEncoding.EncodeToString([]byte("root@telemetry.local:" + secret)),
			base64.StdEncoding.EncodeToString([]byte(secret)), base64.URLEncoding.EncodeToString([]byte(secret)),
			base64.StdEncoding.EncodeToString([]byte("a:" + secret + "\n")), base64.RawURLEncoding.EncodeToString([]byte("ab:" + secret + "\nmore of it")),
			base64.StdEncoding.EncodeToString([]byte("abc:" + secret)),
			"url https://user:" + url.QueryEscape(secret) + "@host/", `{"password":` + string(twice) + `}`,
		}
		for _, form := range forms {
			clean := string(redactor.Redact([]byte("before " + form + " after")))
			assert.Assert(t, !holds(clean, secret), "%q in %q", secret, clean)
			assert.Assert(t, strings.Contains(clean, "[redacted]"), "%q", clean)
			assert.Assert(t, strings.HasPrefix(clean, "before "), "%q", clean)
		}
	}
}

// holds looks for a secret as a person with a decoder would.
func holds(text, secret string) bool {
	if strings.Contains(text, secret) {
		return true
	}
	for _, word := range strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune(" \"\\{}:?&", c) }) {
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			if plain, err := encoding.DecodeString(strings.TrimRight(word, "=")); err == nil && strings.Contains(string(plain), secret) {
				return true
			}
		}
		if plain, err := url.QueryUnescape(word); err == nil && strings.Contains(plain, secret) {
			return true
		}
	}
	return false
}

// What nobody told of is taken out by its shape.
func TestShapesOfSecrets(t *testing.T) {
	redactor := support.NewRedactor(nil, nil)
	for _, tc := range []struct{ text, gone string }{
		{"Authorization: Bearer abc.def-ghi_jkl", "abc.def-ghi_jkl"},
		{`{"authorization":"Basic dXNlcjpwYXNz"}`, "dXNlcjpwYXNz"},
		{"sent with bearer 0123456789abcdef", "0123456789abcdef"},
		{"postgres://app:hunter2@db/x", "hunter2"},
		{"DB_PASSWORD=hunter2 started", "hunter2"},
		{`"db_password": "hunter 2"`, "hunter 2"},
		{`msg="{\"api_key\":\"hunter2\"}"`, "hunter2"},
		{"client-secret: hunter2", "hunter2"},
		{"Cookie: session=hunter2", "hunter2"},
		{"-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\n", "MHcC"},
		{"cut off -----BEGIN PRIVATE KEY-----\nMHcC\n", "MHcC"},
		{"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-def", "eyJzdWIiOiIxIn0"},
		{"key AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7EXAMPLE"},
	} {
		clean := string(redactor.Redact([]byte(tc.text)))
		assert.Assert(t, !strings.Contains(clean, tc.gone), "%q", clean)
		assert.Assert(t, strings.Contains(clean, "[redacted]"), "%q", clean)
	}
	for _, plain := range []string{"a certificate of the basic kind", "3 tokens were read", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "https://localhost:8082/grafana/"} {
		assert.Equal(t, string(redactor.Redact([]byte(plain))), plain)
	}
}

func TestWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bundle.tar.gz")
	assert.NilError(t, os.WriteFile(file, []byte("an earlier one"), 0o644))
	redactor := support.NewRedactor([]string{"hunter2hunter2"}, nil)
	long := strings.Repeat("a line\n", 700_000) + "the end\n"
	size, err := support.Write(file, []support.Part{
		{Name: "logs/a.txt", What: "the end of a log", Text: []byte(long)},
		{Name: "b.txt", What: "more", Text: []byte("hunter2hunter2")},
		{Name: "c.txt", What: "none", Err: errors.New("refused hunter2hunter2")},
	}, redactor, time.Unix(0, 0))
	assert.NilError(t, err)
	info, err := os.Stat(file)
	assert.NilError(t, err)
	assert.Equal(t, info.Size(), size)
	if runtime.GOOS != "windows" {
		assert.Equal(t, info.Mode().Perm(), os.FileMode(0o600))
	}
	parts := read(t, file)
	assert.Equal(t, parts["support-bundle/b.txt"], "[redacted]")
	assert.Equal(t, parts["support-bundle/MISSING.txt"], "c.txt: refused [redacted]\n")
	assert.Equal(t, parts["support-bundle/CONTENTS.txt"], "logs/a.txt: the end of a log\nb.txt: more\n")
	log := parts["support-bundle/logs/a.txt"]
	assert.Assert(t, len(log) <= 4<<20 && strings.HasPrefix(log, "a line\n") && strings.HasSuffix(log, "the end\n"), "%d", len(log))
	left, err := os.ReadDir(filepath.Dir(file))
	assert.NilError(t, err)
	assert.Equal(t, len(left), 1)

	_, err = support.Write(filepath.Join(file, "not-a-folder"), nil, redactor, time.Unix(0, 0))
	assert.ErrorContains(t, err, "write the bundle")
}

func read(t *testing.T, file string) map[string]string {
	t.Helper()
	raw, err := os.Open(file)
	assert.NilError(t, err)
	defer raw.Close()
	plain, err := gzip.NewReader(raw)
	assert.NilError(t, err)
	parts := map[string]string{}
	archive := tar.NewReader(plain)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return parts
		}
		assert.NilError(t, err)
		text, err := io.ReadAll(archive)
		assert.NilError(t, err)
		parts[header.Name] = string(text)
	}
}

// Whatever stands around a secret, it does not come through.
func FuzzRedact(f *testing.F) {
	f.Add("before ", " after", "hunter2hunter2")
	f.Add("password=", "&x=1", `quo"te'and\back`)
	f.Add("Bearer ", "", "aaaaaaaa")
	f.Fuzz(func(t *testing.T, before, after, secret string) {
		const put = "[redacted]"
		if len(secret) < 8 || strings.Contains(put, secret) {
			t.Skip()
		}
		clean := string(support.NewRedactor([]string{secret}, nil).Redact([]byte(before + secret + after)))
		// What is put in may make a text that reads so again, next to what was there.
		if strings.Contains(strings.ReplaceAll(clean, put, "\x00"), secret) {
			t.Fatalf("%q is in %q", secret, clean)
		}
	})
}
