package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	recordHeader = 8         // length and CRC-32C of the payload, big endian
	maxRecord    = 128 << 20 // Vector's largest record, bytes
	segmentSize  = 8 << 20   // smaller than Vector's 128 MiB, so that acknowledged data leaves soon
	syncEvery    = 500 * time.Millisecond
	ledgerSize   = 20 // segment, offset, CRC-32C
)

var (
	errRecord = errors.New("corrupt record")
	errShort  = errors.New("incomplete record")
)

// appendRecord frames one payload.
func appendRecord(b, payload []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(payload, castagnoli()))
	return append(b, payload...)
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// readRecord reads the record at off. It returns io.EOF at the end of the data, errShort for a torn
// tail and errRecord for bytes that are no record.
func readRecord(r io.ReaderAt, off int64) (payload []byte, size int64, err error) {
	var head [recordHeader]byte
	n, err := r.ReadAt(head[:], off)
	if n == 0 && errors.Is(err, io.EOF) {
		return nil, 0, io.EOF
	}
	if n < recordHeader {
		return nil, 0, errShort
	}
	length := binary.BigEndian.Uint32(head[:4])
	// No event encodes to nothing; a hole of zeros after a crash of the machine must not read as records.
	if length == 0 || length > maxRecord {
		return nil, 0, errRecord
	}
	payload, err = io.ReadAll(io.NewSectionReader(r, off+recordHeader, int64(length)))
	if err != nil {
		return nil, 0, err
	}
	if len(payload) < int(length) {
		return nil, 0, errShort
	}
	if crc32.Checksum(payload, castagnoli()) != binary.BigEndian.Uint32(head[4:]) {
		return nil, 0, errRecord
	}
	return payload, recordHeader + int64(length), nil
}

// segment is one data file. The reader's file is its own: the writer only appends.
type segment struct {
	id     uint64
	file   *os.File
	size   int64
	sealed bool
}

// position is a place in the buffer: everything before it was acknowledged.
type position struct {
	segment uint64
	offset  int64
}

// record is a handed-out record; records leave the ledger in the order they were read, like Vector's.
type record struct {
	end  position
	size int64
	done bool
}

// diskBuffer survives the death of its process: put returns after write(2), which a SIGKILL cannot
// take back, and a sync every 500 ms bounds what a power cut can. Acknowledged records are removed a
// segment at a time.
type diskBuffer struct {
	dir   string
	max   int64
	drop  bool
	stats *bufferStats
	lock  *os.File
	book  *os.File

	mu       sync.Mutex
	segments []*segment
	used     int64 // bytes of all segments
	flying   []*record
	acked    position
	closed   bool
	dirty    bool
	broken   error

	changed chan struct{} // closed and replaced on every append, removal and close
	out     chan item
	stop    chan struct{}
	wg      sync.WaitGroup
	fatal   func(error)
}

// openDiskBuffer opens dir, which it locks. fatal is called when the disk fails: Vector exits then.
func openDiskBuffer(dir string, conf bufferConf, c *component, fatal func(error)) (*diskBuffer, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("failed to create buffer directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "buffer.lock"), os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, fmt.Errorf("failed to open buffer.lock: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("failed to lock buffer.lock; is there another process using %q? %w", dir, err)
	}
	b := &diskBuffer{
		dir: dir, max: conf.maxSize, drop: conf.drop, stats: newBufferStats(c, conf), lock: lock, fatal: fatal,
		changed: make(chan struct{}), out: make(chan item), stop: make(chan struct{}),
	}
	if err := b.recover(); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("disk buffer %q: %w", dir, err)
	}
	b.wg.Add(2)
	go b.readLoop()
	go b.syncLoop()
	return b, nil
}

func (b *diskBuffer) segmentPath(id uint64) string {
	return filepath.Join(b.dir, fmt.Sprintf("buffer-data-%d.dat", id))
}

// recover finds what an earlier process left: it starts at the ledger's position, cuts a torn tail
// and counts what is still to be delivered.
func (b *diskBuffer) recover() error {
	var err error
	if b.book, err = os.OpenFile(filepath.Join(b.dir, "buffer.db"), os.O_CREATE|os.O_RDWR, 0o640); err != nil {
		return err
	}
	b.acked = b.readLedger()
	names, err := filepath.Glob(filepath.Join(b.dir, "buffer-data-*.dat"))
	if err != nil {
		return err
	}
	var ids []uint64
	for _, name := range names {
		var id uint64
		if _, err := fmt.Sscanf(filepath.Base(name), "buffer-data-%d.dat", &id); err == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		if id < b.acked.segment {
			if err := os.Remove(b.segmentPath(id)); err != nil {
				return err
			}
			continue
		}
		if err := b.recoverSegment(id); err != nil {
			return err
		}
	}
	if len(b.segments) == 0 {
		return b.grow(b.acked.segment)
	}
	for _, s := range b.segments[:len(b.segments)-1] {
		s.sealed = true
	}
	if first := b.segments[0]; first.id > b.acked.segment {
		b.acked = position{segment: first.id}
	}
	b.acked.offset = min(b.acked.offset, b.segments[0].size)
	return nil
}

// recoverSegment counts the records of one data file and drops what follows the first damaged one.
func (b *diskBuffer) recoverSegment(id uint64) error {
	f, err := os.OpenFile(b.segmentPath(id), os.O_RDWR, 0o640)
	if err != nil {
		return err
	}
	off, count := int64(0), 0
	if id == b.acked.segment {
		off = b.acked.offset
	}
	start := off
	for {
		_, n, err := readRecord(f, off)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			b.stats.c.log.fail("buffers::disk_v2", "Error encountered during buffer read.", "error", err,
				"segment", id, "offset", off, "action", "the rest of the data file is dropped")
			b.stats.c.reg.get(false, "buffer_errors_total", b.stats.tags("error_code", "corrupted", "error_type", "reader_failed")).add(1)
			if err := f.Truncate(off); err != nil {
				return err
			}
			break
		}
		off += n
		count++
	}
	b.segments = append(b.segments, &segment{id: id, file: f, size: off})
	b.used += off
	b.stats.events.Add(int64(count))
	b.stats.bytes.Add(off - start)
	return nil
}

func (b *diskBuffer) readLedger() position {
	var raw [ledgerSize]byte
	if n, _ := b.book.ReadAt(raw[:], 0); n < ledgerSize {
		return position{}
	}
	if crc32.Checksum(raw[:16], castagnoli()) != binary.BigEndian.Uint32(raw[16:]) {
		return position{}
	}
	return position{binary.BigEndian.Uint64(raw[:8]), int64(binary.BigEndian.Uint64(raw[8:16]))}
}

func (b *diskBuffer) writeLedger() error {
	raw := binary.BigEndian.AppendUint64(nil, b.acked.segment)
	raw = binary.BigEndian.AppendUint64(raw, uint64(b.acked.offset))
	raw = binary.BigEndian.AppendUint32(raw, crc32.Checksum(raw, castagnoli()))
	_, err := b.book.WriteAt(raw, 0)
	return err
}

func (b *diskBuffer) grow(id uint64) error {
	f, err := os.OpenFile(b.segmentPath(id), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o640)
	if err != nil {
		return err
	}
	if n := len(b.segments); n > 0 {
		b.segments[n-1].sealed = true
	}
	b.segments = append(b.segments, &segment{id: id, file: f})
	return nil
}

// signal wakes everyone who waits for a change. Callers hold mu.
func (b *diskBuffer) signal() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// put writes the events and acknowledges them: from here on the buffer answers for them. It blocks
// while the buffer is full, or drops the rest with drop_newest.
func (b *diskBuffer) put(ctx context.Context, events []event) error {
	for len(events) > 0 {
		n, wait, err := b.append(events)
		if err != nil {
			settleAll(events, errored)
			b.fatal(err)
			return err
		}
		settleAll(events[:n], delivered)
		events = events[n:]
		if len(events) == 0 {
			return nil
		}
		if b.drop {
			b.stats.dropped(len(events), sizeOf(events))
			settleAll(events, delivered)
			return nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			settleAll(events, errored)
			return ctx.Err()
		}
	}
	return nil
}

// append writes as many events as fit and returns how many; wait closes on the next change.
func (b *diskBuffer) append(events []event) (n int, wait <-chan struct{}, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken != nil {
		return 0, nil, b.broken
	}
	var data []byte
	for _, e := range events {
		rec := appendRecord(nil, encodeEvent(nil, e))
		if b.used+int64(len(data)+len(rec)) > b.max {
			break
		}
		data = append(data, rec...)
		n++
	}
	if n > 0 {
		err = b.write(data, n)
	}
	return n, b.changed, err
}

func (b *diskBuffer) write(data []byte, count int) error {
	last := b.segments[len(b.segments)-1]
	if last.size >= segmentSize {
		if err := b.grow(last.id + 1); err != nil {
			return err
		}
		last = b.segments[len(b.segments)-1]
	}
	if _, err := last.file.WriteAt(data, last.size); err != nil {
		b.broken = err
		return err
	}
	last.size += int64(len(data))
	b.used += int64(len(data))
	b.dirty = true
	b.stats.in(count, len(data))
	b.signal()
	return nil
}

func (b *diskBuffer) items() <-chan item { return b.out }
func (b *diskBuffer) took(item)          {}

// readLoop hands out records in order, from the ledger's position on.
func (b *diskBuffer) readLoop() {
	defer b.wg.Done()
	defer close(b.out)
	b.mu.Lock()
	at := b.acked
	b.mu.Unlock()
	for {
		seg, wait, end := b.readable(&at)
		if end {
			return
		}
		if seg == nil {
			select {
			case <-wait:
				continue
			case <-b.stop:
				return
			}
		}
		payload, size, err := readRecord(seg.file, at.offset)
		if err != nil {
			b.fatal(fmt.Errorf("disk buffer %q: segment %d at %d: %w", b.dir, seg.id, at.offset, err))
			return
		}
		at.offset += size
		it := b.handOut(at, size, payload)
		select {
		case b.out <- it:
		case <-b.stop:
			return
		}
	}
}

// readable finds the segment that holds the record at at, moving at to the next one when a sealed
// segment is read to its end. end is true when the buffer is closed and empty.
func (b *diskBuffer) readable(at *position) (seg *segment, wait <-chan struct{}, end bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, s := range b.segments {
		if s.id < at.segment {
			continue
		}
		if s.id > at.segment {
			*at = position{segment: s.id}
		}
		if at.offset < s.size {
			return s, nil, false
		}
		if !s.sealed && i == len(b.segments)-1 {
			break
		}
	}
	return nil, b.changed, b.closed
}

func (b *diskBuffer) handOut(end position, size int64, payload []byte) item {
	rec := &record{end: end, size: size}
	b.mu.Lock()
	b.flying = append(b.flying, rec)
	b.mu.Unlock()
	done := func(o outcome) {
		// Abandoned: the process ends with the record undelivered, so it stays for the next one.
		if o != abandoned {
			b.ackRecord(rec)
		}
	}
	e, err := decodeEvent(payload)
	if err != nil {
		b.stats.c.failed("Failed to decode a buffered event.", err, "reader_failed", "processing")
		return item{done: done}
	}
	return item{event: e, size: e.size(), done: done}
}

// ackRecord marks rec and moves the ledger over every leading record that is done.
func (b *diskBuffer) ackRecord(rec *record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rec.done = true
	n, bytes := 0, int64(0)
	for n < len(b.flying) && b.flying[n].done {
		b.acked = b.flying[n].end
		bytes += b.flying[n].size
		n++
	}
	if n == 0 {
		return
	}
	b.flying = slices.Clone(b.flying[n:])
	b.stats.out(n, int(bytes))
	if err := b.writeLedger(); err != nil {
		b.broken = err
		b.fatal(err)
		return
	}
	b.dirty = true
	b.dropSegments()
}

// dropSegments removes the data files that are fully acknowledged. Callers hold mu.
func (b *diskBuffer) dropSegments() {
	for len(b.segments) > 1 {
		s := b.segments[0]
		if b.acked.segment == s.id && b.acked.offset < s.size {
			return
		}
		if b.acked.segment < s.id {
			return
		}
		_ = s.file.Close()
		if err := os.Remove(s.file.Name()); err != nil {
			b.broken = err
			b.fatal(err)
			return
		}
		b.used -= s.size
		b.segments = b.segments[1:]
		b.signal()
	}
	// The last one goes too once it is full and read, or a full buffer of one segment would stay full.
	if s := b.segments[0]; s.size >= segmentSize && b.acked == (position{s.id, s.size}) {
		if err := b.grow(s.id + 1); err != nil {
			b.broken = err
			b.fatal(err)
			return
		}
		b.dropSegments()
	}
}

func (b *diskBuffer) syncLoop() {
	defer b.wg.Done()
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := b.sync(); err != nil {
				b.fatal(err)
				return
			}
		case <-b.stop:
			return
		}
	}
}

func (b *diskBuffer) sync() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.dirty {
		return nil
	}
	b.dirty = false
	if err := b.segments[len(b.segments)-1].file.Sync(); err != nil {
		return err
	}
	return b.book.Sync()
}

// close ends the input: items closes once everything was handed out.
func (b *diskBuffer) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.signal()
	return nil
}

// release stops the loops, syncs and gives the lock back; the sink must have ended.
func (b *diskBuffer) release() error {
	close(b.stop)
	b.wg.Wait()
	err := b.sync()
	for _, s := range b.segments {
		_ = s.file.Close()
	}
	_ = b.book.Close()
	return errors.Join(err, b.lock.Close())
}
