package cardinality

// hashSet counts distinct hashes. Its memory is used again: a report makes a thousand sets, and a map of Go would take five
// times as long for each. Open addressing, because the keys are hashes already.
type hashSet struct {
	slots []uint64
	other []uint64 // to grow into
	keys  []uint64
}

// smallest is what a set begins with where few keys are expected: most labels have few values, and clearing room for one a
// series costs more than counting.
const smallest = 1 << 10

// few counts keys that mostly repeat: the values of a label.
func (s *hashSet) few(keys []uint64) int { return s.distinct(keys, smallest) }

// many counts keys that mostly differ: label sets. To grow into the room that they need costs half as much as counting.
func (s *hashSet) many(keys []uint64) int {
	size := smallest
	for size < 2*len(keys) {
		size *= 2
	}
	return s.distinct(keys, size)
}

// scratch has room for so many keys, until the next call.
func (s *hashSet) scratch(rows int) []uint64 {
	if cap(s.keys) < rows {
		s.keys = make([]uint64, rows+rows/4)
	}
	return s.keys[:rows]
}

// distinct begins with so many slots, a power of two.
func (s *hashSet) distinct(keys []uint64, size int) int {
	slots := room(&s.slots, size)
	count, zero := 0, 0
	for _, key := range keys {
		if key == 0 {
			zero = 1
			continue
		}
		if !insert(slots, key) {
			continue
		}
		count++
		if 2*count > len(slots) {
			slots = s.grow(slots)
		}
	}
	return count + zero
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
	larger := room(&s.other, 4*len(slots))
	for _, key := range slots {
		if key != 0 {
			insert(larger, key)
		}
	}
	s.slots, s.other = s.other, s.slots
	return larger
}

// room returns so many empty slots of a slice, which it makes longer where it is too short.
func room(slots *[]uint64, size int) []uint64 {
	if len(*slots) < size {
		*slots = make([]uint64, size)
		return *slots
	}
	clear((*slots)[:size])
	return (*slots)[:size]
}
