package support

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// hidden stands in the place of a secret.
const hidden = "[redacted]"

// shortest is how long a secret must be to be looked for: a shorter one is part of ordinary words.
const shortest = 4

// Redactor takes secrets out of text: those that it knows, in the forms in which programs write them, and what has the shape of a
// secret.
type Redactor struct {
	forms  [][]byte // the longest first, so that no part of one is left
	shapes []shape
}

type shape struct {
	find  *regexp.Regexp
	with  string
	words []string // one of which must be there, in small letters
}

// NewRedactor knows secrets by their value. logins are user and password pairs, which HTTP sends together.
func NewRedactor(secrets []string, logins [][2]string) *Redactor {
	seen := map[string]bool{}
	for _, secret := range secrets {
		for _, form := range formsOf(secret) {
			seen[form] = true
		}
	}
	for _, login := range logins {
		for _, encoding := range encodings() {
			seen[encoding.EncodeToString([]byte(login[0]+":"+login[1]))] = true
		}
	}
	r := &Redactor{shapes: shapes()}
	for form := range seen {
		if len(form) >= shortest {
			r.forms = append(r.forms, []byte(form))
		}
	}
	slices.SortFunc(r.forms, func(a, b []byte) int { return cmp.Or(cmp.Compare(len(b), len(a)), bytes.Compare(a, b)) })
	return r
}

func encodings() []*base64.Encoding {
	return []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding}
}

// formsOf are a secret as it is, and as JSON, URLs, HTML, shells and base64 have it.
func formsOf(secret string) []string {
	if len(secret) < shortest {
		return nil
	}
	forms := []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), html.EscapeString(secret),
		strings.ReplaceAll(secret, "'", "''"), strings.ReplaceAll(secret, "'", `'\''`), strings.ReplaceAll(secret, "$", "$$"),
		strings.Trim(strconv.Quote(secret), `"`), strings.Trim(strconv.QuoteToASCII(secret), `"`),
	}
	var plain bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(secret) == nil {
		forms = append(forms, strings.Trim(strings.TrimSpace(plain.String()), `"`))
	}
	if quoted, err := json.Marshal(secret); err == nil {
		forms = append(forms, strings.Trim(string(quoted), `"`))
	}
	// A line of a secret that has several is a secret too.
	for line := range strings.Lines(secret) {
		if line = strings.TrimRight(line, "\r\n"); line != secret && len(line) >= 2*shortest {
			forms = append(forms, line)
		}
	}
	return append(forms, inBase64(secret)...)
}

// inBase64 is what base64 makes of a secret within a longer text: three of its bytes become four letters, so there are three ways
// to stand in it. The letters at both ends depend on the neighbours and are left out.
func inBase64(secret string) []string {
	var forms []string
	for offset := range 3 {
		padded := append(bytes.Repeat([]byte{0}, offset), secret...)
		first, last := (offset*8+5)/6, len(padded)*8/6
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			if part := encoding.EncodeToString(padded)[first:last]; len(part) >= 2*shortest {
				forms = append(forms, part)
			}
		}
	}
	return forms
}

// shapes are of secrets that nobody told of: those of the user's own programs, in their logs. They rather take too much. Each is
// looked for in lines that have one of its words, in small letters: a log has many lines, and few of them.
func shapes() []shape {
	words := secretWords()
	// A name that says it, and what stands between it and its value, in JSON, YAML, a command or the environment.
	named := `(?i)((?:` + strings.Join(words, "|") + `)[\w.-]*)(\\?["']?[ \t]*[:=][ \t]*)`
	return []shape{
		{regexp.MustCompile(`(?i)\b(bearer|basic|digest|apikey|token)(\s+|%20)[A-Za-z0-9._~+/=-]{8,}`), "$1$2" + hidden, []string{"bearer", "basic", "digest", "apikey", "token"}},
		{
			regexp.MustCompile(`(?i)((?:proxy-)?authorization|cookie|x-api-key)(["']?\s*[:=]\s*["']?)(?:(?:bearer|basic|digest|token)\s+)?[^\s"',;]+`), "$1$2" + hidden,
			[]string{"authorization", "cookie", "x-api-key"},
		},
		// user:password@ in a URL.
		{regexp.MustCompile(`(://[^\s/:@"']*):[^\s/@"']+@`), "$1:" + hidden + "@", []string{"://"}},
		{regexp.MustCompile(named + `"(?:[^"\\]|\\.)*"`), `$1$2"` + hidden + `"`, words},
		{regexp.MustCompile(named + `\\"(?:[^"\\]|\\[^"])*\\"`), `$1$2\"` + hidden + `\"`, words},
		{regexp.MustCompile(named + `'[^']*'`), `$1$2'` + hidden + `'`, words},
		{regexp.MustCompile(named + `[^\s"',;&}\\]+`), "$1$2" + hidden, words},
		// A token of JSON, as of OpenID: three parts in base64.
		{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*`), hidden, []string{"eyj"}},
		{
			regexp.MustCompile(`\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}\b|\bgithub_pat_[A-Za-z0-9_]{20,}\b|\bglpat-[A-Za-z0-9_-]{16,}\b|\bxox[abprs]-[A-Za-z0-9-]{10,}\b`), hidden,
			[]string{"akia", "asia", "gh", "glpat", "xox"},
		},
	}
}

// secretWords are those in the name of what is a secret, most likely.
func secretWords() []string {
	return []string{
		"password", "passwd", "passphrase", "secret", "token", "apikey", "api_key", "api-key", "accesskey", "access_key", "access-key",
		"privatekey", "private_key", "private-key", "credential",
	}
}

// keyShape is a private key, over several lines, and one that is cut off.
func keyShape() *regexp.Regexp {
	return regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)`)
}

// Redact returns a text without its secrets.
func (r *Redactor) Redact(text []byte) []byte {
	for _, form := range r.forms {
		text = bytes.ReplaceAll(text, form, []byte(hidden))
	}
	if bytes.Contains(text, []byte("PRIVATE KEY")) {
		text = keyShape().ReplaceAll(text, []byte(hidden))
	}
	var clean bytes.Buffer
	for line := range bytes.Lines(text) {
		low := bytes.ToLower(line)
		for _, shape := range r.shapes {
			if slices.ContainsFunc(shape.words, func(word string) bool { return bytes.Contains(low, []byte(word)) }) {
				line = shape.find.ReplaceAll(line, []byte(shape.with))
			}
		}
		clean.Write(line)
	}
	return clean.Bytes()
}

// SecretName reports whether a variable or an option of this name holds a secret, most likely.
func SecretName(name string) bool {
	low := strings.ToLower(name)
	return slices.ContainsFunc(secretWords(), func(word string) bool { return strings.Contains(low, word) })
}
