package shape

import (
	"net/netip"
	"regexp"
	"strings"
)

// Masker finds what may be about a person inside values: e-mail addresses, and addresses of machines. Its zero value is not usable.
type Masker struct{ mail, address *regexp.Regexp }

// NewMasker returns a Masker; one can be used by several goroutines.
func NewMasker() *Masker {
	return &Masker{
		mail: regexp.MustCompile(`[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+`),
		// What it finds is parsed: of times, versions and hardware addresses most look alike.
		address: regexp.MustCompile(`[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f.]*`),
	}
}

// What stands in the place of what was found.
const (
	maskedMail    = "[e-mail]"
	maskedAddress = "[ip]"
)

// Mask writes [e-mail] and [ip] in the place of addresses.
func (m *Masker) Mask(value string) string {
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
