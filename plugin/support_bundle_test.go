package plugin

import (
	"archive/tar"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/docker-telemetry/docker-telemetry/internal/state"
)

// unpack unpacks a bundle and looks through all of it for the secrets of the stack, as they are and as base64 and URLs have them.
func (b *bench) unpack(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode != 0o600 {
		ts.Fatalf("the bundle has mode %04o", mode)
	}
	raw, err := os.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	defer raw.Close()
	plain, err := gzip.NewReader(raw)
	ts.Check(err)
	var all strings.Builder
	for archive := tar.NewReader(plain); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		ts.Check(err)
		if !filepath.IsLocal(header.Name) || header.Mode != 0o600 {
			ts.Fatalf("%s has mode %04o", header.Name, header.Mode)
		}
		text, err := io.ReadAll(archive)
		ts.Check(err)
		file := ts.MkAbs(filepath.FromSlash(header.Name))
		ts.Check(os.MkdirAll(filepath.Dir(file), 0o700))
		ts.Check(os.WriteFile(file, text, 0o600))
		all.WriteString(header.Name + "\n" + string(text))
	}
	root, err := state.DefaultRoot(ts.Getenv)
	ts.Check(err)
	stored, err := root.Stack("default", "telemetry")
	ts.Check(err)
	secrets, err := stored.Secrets()
	ts.Check(err)
	if len(secrets) < 3 {
		ts.Fatalf("the stack has %d secrets", len(secrets))
	}
	for _, secret := range append(secrets, `odd"p$ss'word&%`, "tok_0123456789abcdef") {
		if form := formIn(all.String(), secret); form != "" {
			ts.Fatalf("the bundle has the secret %q, as %q", secret, form)
		}
	}
	if strings.Contains(all.String(), "PRIVATE KEY") {
		ts.Fatalf("the bundle has a private key")
	}
}

func formIn(text, secret string) string {
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(secret)
	for _, form := range []string{
		secret, quoted, url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)),
		base64.StdEncoding.EncodeToString([]byte("root@telemetry.local:" + secret)), base64.StdEncoding.EncodeToString([]byte("telemetry:" + secret)),
	} {
		if strings.Contains(text, form) {
			return form
		}
	}
	return ""
}
