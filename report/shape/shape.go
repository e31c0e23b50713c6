// Package shape tells what values look like, and takes out of them what is about a person.
package shape

import (
	"net/mail"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Shape is what the values of a label or a field look like.
type Shape string

// The shapes that say that a label or field has no end. Plain is none of them: a name, a code, a word.
const (
	Plain     Shape = ""
	UUID      Shape = "uuid"
	Address   Shape = "ip address"
	Timestamp Shape = "timestamp"
	Hash      Shape = "hash"
	Number    Shape = "number"
	Path      Shape = "path with ids"
	Mail      Shape = "e-mail address"
	SQL       Shape = "sql"
	Text      Shape = "text" // of an error or a message
)

// Unbounded reports whether new values will come for ever.
func (s Shape) Unbounded() bool { return s != Plain && s != Number }

// Personal reports whether a value may be about a person, which a metric's label should never be: labels are neither deleted
// nor masked one by one.
func (s Shape) Personal() bool { return s == Mail || s == Address }

// Of is the shape of four fifths of some values at least; an empty one tells nothing.
func Of(values []string) Shape {
	counts := map[Shape]int{}
	all := 0
	for _, value := range values {
		if value != "" {
			counts[shapeOf(value)]++
			all++
		}
	}
	for shape, count := range counts {
		if 5*count >= 4*all {
			return shape
		}
	}
	return Plain
}

func shapeOf(value string) Shape {
	switch {
	case isUUID(value):
		return UUID
	case isAddress(value):
		return Address
	case isTime(value):
		return Timestamp
	case isNumber(value):
		return Number
	case isHash(value):
		return Hash
	case isMail(value):
		return Mail
	case isSQL(value):
		return SQL
	case hasIDs(value):
		return Path
	case isText(value):
		return Text
	}
	return Plain
}

func isUUID(value string) bool {
	const written = 36 // the library also takes braces, a urn and bare hex, which is a hash here
	return len(value) == written && uuid.Validate(value) == nil
}

// isAddress takes an address of a machine, with a port or without; a bare "::" or a version number is none.
func isAddress(value string) bool {
	if len(value) < len("1.1.1.1") {
		return false
	}
	if _, err := netip.ParseAddrPort(value); err == nil {
		return true
	}
	_, err := netip.ParseAddr(value)
	return err == nil
}

// isTime takes RFC 3339 and its day, and Unix time in seconds to nanoseconds from 2001 to 2100.
func isTime(value string) bool {
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if _, err := time.Parse(layout, value); err == nil {
			return true
		}
	}
	number, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return false
	}
	const from, to = 1e9, 4102444800
	return slices.ContainsFunc([]float64{1, 1e3, 1e6, 1e9}, func(unit float64) bool {
		return number >= from*unit && number <= to*unit
	})
}

func isNumber(value string) bool {
	_, err := strconv.ParseFloat(value, 64)
	return err == nil
}

// isHash takes hex digits, of which a word of letters has not both kinds.
func isHash(value string) bool {
	const least = 12 // a short id of a container
	value = strings.TrimPrefix(value, "sha256:")
	return len(value) >= least && strings.Trim(value, "0123456789abcdefABCDEF") == "" &&
		strings.ContainsAny(value, "0123456789") && strings.ContainsAny(value, "abcdefABCDEF")
}

func isMail(value string) bool {
	if !strings.Contains(value, "@") || strings.ContainsAny(value, " <>") {
		return false
	}
	address, err := mail.ParseAddress(value)
	if err != nil {
		return false
	}
	_, host, _ := strings.Cut(address.Address, "@")
	return strings.Contains(host, ".")
}

func isSQL(value string) bool {
	first, rest, found := strings.Cut(strings.TrimSpace(value), " ")
	verbs := []string{"select", "insert", "update", "delete", "with", "create", "alter", "drop", "begin", "merge"}
	return found && slices.Contains(verbs, strings.ToLower(first)) &&
		slices.ContainsFunc([]string{" from ", " into ", " set ", " where ", " table ", " as (", "("}, func(word string) bool {
			return strings.Contains(" "+strings.ToLower(rest)+" ", word)
		})
}

// hasIDs takes a path of which a segment is a number or an id.
func hasIDs(value string) bool {
	path, _, _ := strings.Cut(value, "?")
	if !strings.Contains(path, "/") || strings.Contains(path, " ") {
		return false
	}
	for segment := range strings.SplitSeq(path, "/") {
		if isUUID(segment) || isHash(segment) || segment != "" && strings.Trim(segment, "0123456789") == "" {
			return true
		}
	}
	return false
}

// isText takes what has the words of a sentence, or its length.
func isText(value string) bool {
	const words, long = 4, 80
	return len(strings.Fields(value)) >= words || len(value) > long && strings.Contains(value, " ")
}
