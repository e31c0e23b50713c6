package cardinality

import (
	"iter"
	"sync"
)

// blockRows is how many rows a block has: small enough that a metric with a thousand labels and few series takes little.
const blockRows = 1024

type block [blockRows]uint64

// room has the blocks of all metrics that are in memory at a time. There are only so many: who needs one when all are taken
// waits until a metric is counted.
type room struct {
	mu    sync.Mutex
	freed *sync.Cond
	free  []*block
	rest  int // that were not made yet
}

func newRoom(blocks int) *room {
	r := &room{rest: blocks}
	r.freed = sync.NewCond(&r.mu)
	return r
}

// take returns a block with anything in it.
func (r *room) take() *block {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.free) == 0 && r.rest == 0 {
		r.freed.Wait()
	}
	if len(r.free) == 0 {
		r.rest--
		return new(block)
	}
	last := len(r.free) - 1
	taken := r.free[last]
	r.free = r.free[:last]
	return taken
}

func (r *room) give(blocks []*block) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range blocks {
		if one != nil {
			r.free = append(r.free, one)
		}
	}
	r.freed.Broadcast()
}

// cells are hashes by row. A row that got none has 0, and so has each of a block that is nil.
type cells struct {
	blocks []*block
	filled int // rows that are written
}

// add writes a row behind all others. take is called for a block that is not there.
func (c *cells) add(row int, hash uint64, take func() *block) {
	if c.filled != row {
		c.fill(row)
	}
	at := row / blockRows
	for len(c.blocks) <= at {
		c.blocks = append(c.blocks, nil)
	}
	if c.blocks[at] == nil {
		c.blocks[at] = take()
		clear(c.blocks[at][:row%blockRows])
	}
	c.blocks[at][row%blockRows] = hash
	c.filled = row + 1
}

// fill writes 0 to the rows before this one that were not written.
func (c *cells) fill(rows int) {
	for c.filled < rows {
		at, from := c.filled/blockRows, c.filled%blockRows
		to := min(blockRows, from+rows-c.filled)
		if at < len(c.blocks) && c.blocks[at] != nil {
			clear(c.blocks[at][from:to])
		}
		c.filled += to - from
	}
}

// all are so many rows, which are filled: some of them at a time, with the first one's number.
func (c *cells) all(rows int) iter.Seq2[int, []uint64] {
	return func(yield func(int, []uint64) bool) {
		var none block
		for row := 0; row < rows; row += blockRows {
			hashes := &none
			if at := row / blockRows; at < len(c.blocks) && c.blocks[at] != nil {
				hashes = c.blocks[at]
			}
			if !yield(row, hashes[:min(blockRows, rows-row)]) {
				return
			}
		}
	}
}

// at is one row of those that are filled.
func (c *cells) at(row int) uint64 {
	at := row / blockRows
	if at >= len(c.blocks) || c.blocks[at] == nil {
		return 0
	}
	return c.blocks[at][row%blockRows]
}

// copyTo and the others work on as many rows as there are keys.
func (c *cells) copyTo(keys []uint64) {
	for row, hashes := range c.all(len(keys)) {
		copy(keys[row:], hashes)
	}
}

func (c *cells) addTo(keys []uint64) {
	for row, hashes := range c.all(len(keys)) {
		part := keys[row : row+len(hashes)]
		for i, hash := range hashes {
			part[i] += hash
		}
	}
}

func (c *cells) subtractFrom(keys []uint64) {
	for row, hashes := range c.all(len(keys)) {
		part := keys[row : row+len(hashes)]
		for i, hash := range hashes {
			part[i] -= hash
		}
	}
}
