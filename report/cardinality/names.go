package cardinality

import "github.com/cespare/xxhash/v2"

// names tells whether a metric came before. Where there are more than are remembered it knows by their order alone: stores sort
// them, except that VictoriaMetrics has an order of its own for odd characters.
type names struct {
	last   string
	hashes []uint64 // slots of a set
	count  int
}

// rememberedNames take 16 MiB.
const rememberedNames = 1 << 20

// add reports whether a name is new.
func (n *names) add(name string) bool {
	ascends := name > n.last
	n.last = name
	if n.count == rememberedNames {
		return ascends
	}
	if 2*(n.count+1) > len(n.hashes) {
		n.grow()
	}
	isNew := insert(n.hashes, max(xxhash.Sum64String(name), 1))
	if isNew {
		n.count++
	}
	return isNew
}

func (n *names) grow() {
	larger := make([]uint64, max(smallest, 2*len(n.hashes)))
	for _, hash := range n.hashes {
		if hash != 0 {
			insert(larger, hash)
		}
	}
	n.hashes = larger
}
