// Package escape makes what a store or a container says safe to show, on a terminal or in a page.
package escape

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text makes control characters, bidirectional overrides and invalid UTF-8 visible. It is applied once, where a value enters
// what is written. It knows nothing of HTML.
func Text(value string) string {
	if plain(value) {
		return value
	}
	var out strings.Builder
	for len(value) > 0 {
		char, size := utf8.DecodeRuneInString(value)
		switch {
		case char == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\x%02x`, value[0])
		case !hazardous(char):
			out.WriteRune(char)
		case char < 0x100:
			fmt.Fprintf(&out, `\x%02x`, char)
		default:
			fmt.Fprintf(&out, `\u%04x`, char)
		}
		value = value[size:]
	}
	return out.String()
}

func plain(value string) bool {
	for _, char := range value {
		if char == utf8.RuneError || hazardous(char) {
			return false
		}
	}
	return true
}

// hazardous: C0, C1 and DEL steer a terminal; bidirectional controls and line separators change what a reader sees.
func hazardous(char rune) bool {
	return unicode.IsControl(char) || unicode.Is(unicode.Bidi_Control, char) || char == '\u2028' || char == '\u2029'
}
