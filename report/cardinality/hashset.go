package cardinality

// hashSet counts distinct hashes. Its memory is used again: a report makes a thousand sets, and a map of Go would take five
// times as long for each. Open addressing, because the keys are hashes already.
type hashSet struct {
	slots []uint64
	other []uint64 // to grow into
	keys  []uint64
}

const (
	// smallest is what a set begins with where few keys are expected: most labels have few values, and clearing room for one a
	// series costs more than counting.
	smallest = 1 << 10
	// together are so many keys that they are counted at once. More are counted in several passes, each over those that begin
	// with the same bits: a set of 2 MiB stays in the cache of a processor, and one of 16 MiB takes five times as long.
	together = 1 << 17
)

// few counts keys that mostly repeat: the values of a label. Where they turn out to be many it begins again.
func (s *hashSet) few(keys []uint64) int {
	if count, all := s.pass(keys, pass{size: smallest, shift: 64}, together); all {
		return count
	}
	return s.many(keys)
}

// many counts keys that mostly differ: label sets. To grow into the room that they need costs half as much as counting.
func (s *hashSet) many(keys []uint64) int {
	bits := 0
	for len(keys)>>bits > together {
		bits++
	}
	p := pass{size: smallest, shift: 64 - bits}
	for p.size < 2*(len(keys)>>bits) {
		p.size *= 2
	}
	total := 0
	for p.first = range uint64(1) << bits {
		count, _ := s.pass(keys, p, len(keys))
		total += count
	}
	return total
}

// scratch has room for so many keys, until the next call.
func (s *hashSet) scratch(rows int) []uint64 {
	if cap(s.keys) < rows {
		s.keys = make([]uint64, rows+rows/4)
	}
	return s.keys[:rows]
}

// pass is what one pass counts: the keys that begin with some bits. A shift by 64 leaves none, which all keys have in common.
type pass struct {
	size  int // slots to begin with, a power of two
	shift int
	first uint64
}

// pass counts up to so many keys, and reports whether those were all.
func (s *hashSet) pass(keys []uint64, p pass, most int) (count int, all bool) {
	slots := emptied(&s.slots, p.size)
	zero := 0
	for _, key := range keys {
		if key>>p.shift != p.first {
			continue
		}
		if key == 0 {
			zero = 1
			continue
		}
		if !insert(slots, key) {
			continue
		}
		if count == most {
			return count, false
		}
		count++
		if 2*count > len(slots) {
			slots = s.grow(slots)
		}
	}
	return count + zero, true
}

// insert reports whether a key is new. There is always a free slot.
func insert(slots []uint64, key uint64) bool {
	mask := uint64(len(slots) - 1)
	for slot := key & mask; ; slot = (slot + 1) & mask {
		switch slots[slot] {
		case key:
			return false
		case 0:
			slots[slot] = key
			return true
		}
	}
}

func (s *hashSet) grow(slots []uint64) []uint64 {
	larger := emptied(&s.other, 4*len(slots))
	for _, key := range slots {
		if key != 0 {
			insert(larger, key)
		}
	}
	s.slots, s.other = s.other, s.slots
	return larger
}

// emptied returns so many empty slots of a slice, which it makes longer where it is too short.
func emptied(slots *[]uint64, size int) []uint64 {
	if len(*slots) < size {
		*slots = make([]uint64, size)
		return *slots
	}
	clear((*slots)[:size])
	return (*slots)[:size]
}
