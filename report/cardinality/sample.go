package cardinality

import "slices"

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

func (s *sample) add(hash uint64, value []byte) {
	if len(s.values) == s.most && (s.most == 0 || hash > s.values[len(s.values)-1].hash) {
		return
	}
	at, known := slices.BinarySearchFunc(s.values, hash, func(one sampled, hash uint64) int {
		switch {
		case one.hash < hash:
			return -1
		case one.hash > hash:
			return 1
		}
		return 0
	})
	if known {
		return
	}
	if len(s.values) == s.most {
		s.values = s.values[:s.most-1]
	}
	s.values = slices.Insert(s.values, at, sampled{hash, string(value)})
}

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
