package cardinality

import "bytes"

// placeholder is what an id becomes in a template, as OpenAPI and OpenTelemetry's http.route write it.
const placeholder = "{id}"

// step replaces whatever a regular expression of RE2 matches, anywhere in a value.
type step struct{ regex, replacement string }

// templateSteps make a value's template, one after the other: its query goes, if it is a path; UUIDs, numbers and long words
// of hex digits become {id}. A word with another letter or digit in it stays: v2, p99, utf8.
//
// VictoriaMetrics does them as they stand here (replace_all). template does the same by hand, because the report looks at a
// million values while it reads them; tests hold both against the store.
func templateSteps() []step {
	const ids = `(^|[^0-9A-Za-z])(?:[0-9]+|[0-9A-Fa-f]{12,})($|[^0-9A-Za-z])`
	return []step{
		{`(?s)(/[^?]*)\?.*`, "${1}"},
		{`[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}`, placeholder},
		{ids, "${1}" + placeholder + "${2}"},
		// Of two words with one character between them the first has taken that character: /1/2.
		{ids, "${1}" + placeholder + "${2}"},
	}
}

const (
	uuidLength = 36
	leastHex   = 12 // a short id of a container
)

// template appends the template of a value to out. Of a value that is its own template it appends nothing and returns false.
func template(out, value []byte) ([]byte, bool) {
	path := withoutQuery(value)
	copied, word := 0, 0 // so much is in out; where the word began
	for i := 0; i <= len(path); i++ {
		uuid := len(path)-i >= uuidLength && path[i+8] == '-' && isUUIDBytes(path[i:i+uuidLength])
		if !uuid && i < len(path) && isWord(path[i]) {
			continue
		}
		if isID(path[word:i]) {
			out = appendID(out, path[copied:word])
			copied = i
		}
		if uuid {
			out = appendID(out, path[copied:i])
			i += uuidLength - 1
			copied = i + 1
		}
		word = i + 1
	}
	if copied == 0 && len(path) == len(value) {
		return out, false
	}
	return append(out, path[copied:]...), true
}

func appendID(out, before []byte) []byte { return append(append(out, before...), placeholder...) }

func withoutQuery(value []byte) []byte {
	slash := bytes.IndexByte(value, '/')
	if slash < 0 {
		return value
	}
	if query := bytes.IndexByte(value[slash:], '?'); query >= 0 {
		return value[:slash+query]
	}
	return value
}

// isUUIDBytes takes so many bytes as one has, in either case of letters.
func isUUIDBytes(text []byte) bool {
	for i, c := range text {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !isHex(c) {
				return false
			}
		}
	}
	return true
}

// isID takes a whole word.
func isID(word []byte) bool {
	digits := 0
	for digits < len(word) && isDigit(word[digits]) {
		digits++
	}
	if digits == len(word) {
		return digits > 0
	}
	if len(word) < leastHex {
		return false
	}
	for _, c := range word[digits:] {
		if !isHex(c) {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return c-'0' < 10 }

func isHex(c byte) bool { return isDigit(c) || (c|0x20)-'a' < 6 }

func isWord(c byte) bool { return isDigit(c) || (c|0x20)-'a' < 26 }
