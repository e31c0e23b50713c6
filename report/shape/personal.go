package shape

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Masker finds what may be about a person inside values: e-mail addresses, and addresses of machines; and what opens doors: tokens and
// passwords. Its zero value is not usable.
type Masker struct {
	mail, address *regexp.Regexp
	secrets       []secret
}

// secret is what is written in the place of what an expression finds.
type secret struct {
	found *regexp.Regexp
	into  string
}

// NewMasker returns a Masker; one can be used by several goroutines.
func NewMasker() *Masker {
	return &Masker{
		mail: regexp.MustCompile(`[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+`),
		// What it finds is parsed: of times, versions and hardware addresses most look alike.
		address: regexp.MustCompile(`[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f.]*`),
		secrets: []secret{
			// A JSON web token, and what its makers gave a beginning to be found by: keys of AWS, GitHub, GitLab, Slack, Stripe.
			{regexp.MustCompile(`\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\b(?:gh[pousr]_|github_pat_|glpat-)[\w-]{20,}` +
				`|\bxox[abprs]-[\w-]{10,}|\b[sr]k[_-](?:live_|test_|proj-)?\w{16,}`), MaskedSecret},
			{regexp.MustCompile(`(?i)\b(bearer +)[\w.~+/-]{16,}=*`), "${1}" + MaskedSecret},
			{regexp.MustCompile(`(?i)\b(basic +)[a-z0-9+/]{6,}={1,2}`), "${1}" + MaskedSecret},
			{regexp.MustCompile(`(://)[^/\s:@]*:[^/\s@]+@`), "${1}" + MaskedSecret + "@"},
			{regexp.MustCompile(`(?i)((?:token|password|passwd|secret|api_?key|access_?key|signature)=)[^&\s"']+`), "${1}" + MaskedSecret},
		},
	}
}

// SecretName reports whether the name of a label or a field says that its values are secret.
func SecretName(name string) bool {
	words := []string{"password", "passwd", "secret", "token", "authorization", "cookie", "credential", "api_key", "apikey", "private_key"}
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(name, word) })
}

// What stands in the place of what was found; MaskedSecret also in that of a value whose label says that it is one.
const (
	maskedMail    = "[e-mail]"
	maskedAddress = "[ip]"
	MaskedSecret  = "[secret]"
)

// Mask writes [e-mail] and [ip] in the place of addresses, and [secret] in that of secrets, which may hold what looks like one.
func (m *Masker) Mask(value string) string {
	for _, secret := range m.secrets {
		value = secret.found.ReplaceAllString(value, secret.into)
	}
	value = m.mail.ReplaceAllString(value, maskedMail)
	return m.address.ReplaceAllStringFunc(value, func(found string) string {
		if _, is := addressOf(found); is {
			return maskedAddress
		}
		return found
	})
}

// Person reports whether a value holds an e-mail address, or the address of a machine on the internet: those of a network of
// one's own are of no person.
func (m *Masker) Person(value string) bool {
	if m.mail.MatchString(value) {
		return true
	}
	for _, found := range m.address.FindAllString(value, -1) {
		if address, is := addressOf(found); is && address.IsGlobalUnicast() && !address.IsPrivate() {
			return true
		}
	}
	return false
}

// addressOf takes what the expression found, which may have the full stop of a sentence or the colon of a port at its end.
func addressOf(found string) (netip.Addr, bool) {
	const shortest = len("::1")
	// d:: would be one, and std::string is full of them.
	for len(found) >= shortest && strings.ContainsAny(found, "0123456789") {
		if address, err := netip.ParseAddr(found); err == nil {
			return address, true
		}
		last := found[len(found)-1]
		if last != '.' && last != ':' {
			break
		}
		found = strings.TrimSuffix(found, string(last))
	}
	return netip.Addr{}, false
}
