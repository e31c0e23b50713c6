package cardinality

import (
	"cmp"
	"slices"
	"unicode/utf8"
)

// sample keeps so many values: those with the smallest hashes, which are spread evenly over all, whatever their order. The
// series come sorted, so the first would look alike.
type sample struct {
	most   int
	values []sampled
}

type sampled struct {
	hash  uint64
	value string
}

// add takes a value with its hash, cut where it is longer, and returns by how many bytes the sample has grown.
func (s *sample) add(hash uint64, value []byte, longest int) (bytes int) {
	if len(s.values) == s.most && (s.most == 0 || hash > s.values[len(s.values)-1].hash) {
		return 0
	}
	at, known := slices.BinarySearchFunc(s.values, hash, func(one sampled, hash uint64) int { return cmp.Compare(one.hash, hash) })
	if known {
		return 0
	}
	if len(s.values) == s.most {
		bytes -= len(s.values[s.most-1].value)
		s.values = s.values[:s.most-1]
	}
	one := sampled{hash, cut(value, longest)}
	s.values = slices.Insert(s.values, at, one)
	return bytes + len(one.value)
}

// cut ends a long value where a character does.
func cut(value []byte, longest int) string {
	if len(value) <= longest {
		return string(value)
	}
	end := longest
	for end > longest-utf8.UTFMax && !utf8.RuneStart(value[end]) {
		end--
	}
	return string(value[:end]) + "…"
}

// few is how many different values there were, if the sample has them all.
func (s *sample) few() (values int, all bool) { return len(s.values), len(s.values) < s.most }

// sorted are so many of them at most.
func (s *sample) sorted(most int) []string {
	most = min(most, len(s.values))
	values := make([]string, 0, most)
	for _, one := range s.values[:most] {
		values = append(values, one.value)
	}
	slices.Sort(values)
	return values
}
