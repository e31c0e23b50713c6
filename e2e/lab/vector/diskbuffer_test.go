package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

func testComponent() *component {
	return &component{id: "c", kind: "sink", typ: "test", reg: newRegistry(), log: newLogger(io.Discard, levelError)}
}

func openTest(t *testing.T, dir string, conf bufferConf) *diskBuffer {
	t.Helper()
	b, err := openDiskBuffer(dir, conf, testComponent(), func(err error) { t.Errorf("fatal: %v", err) })
	assert.NilError(t, err)
	t.Cleanup(func() { _ = b.release() })
	return b
}

func numbered(from, to int) []event {
	var events []event
	for i := from; i < to; i++ {
		events = append(events, event{log: map[string]any{"n": int64(i)}})
	}
	return events
}

func take(t *testing.T, b buffer, n int) []item {
	t.Helper()
	var out []item
	for range n {
		select {
		case it := <-b.items():
			b.took(it)
			out = append(out, it)
		case <-time.After(5 * time.Second):
			t.Fatalf("no item %d of %d", len(out)+1, n)
		}
	}
	return out
}

func assertNumbers(t *testing.T, items []item, from int) {
	t.Helper()
	for i, it := range items {
		assert.Equal(t, it.event.log["n"], int64(from+i))
	}
}

// crash copies the files as a SIGKILL would leave them: everything written, nothing closed.
func crash(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	assert.NilError(t, os.CopyFS(filepath.Join(to, "b"), os.DirFS(dir)))
	return filepath.Join(to, "b")
}

var big = bufferConf{disk: true, maxSize: minDiskBuffer}

func TestDiskBufferSurvivesACrash(t *testing.T) {
	dir := t.TempDir()
	b := openTest(t, dir, big)
	assert.NilError(t, b.put(context.Background(), numbered(0, 10)))
	items := take(t, b, 6)
	// 0, 1, 2 and 4 are acknowledged; 3 is not, so it and all after it must come again.
	for _, i := range []int{0, 1, 4, 2} {
		items[i].done(delivered)
	}

	after := openTest(t, crash(t, dir), big)
	assert.Equal(t, after.stats.events.Load(), int64(7))
	again := take(t, after, 7)
	assertNumbers(t, again, 3)
	for _, it := range again {
		it.done(delivered)
	}
	assert.Equal(t, after.stats.events.Load(), int64(0))
	assert.Equal(t, after.stats.bytes.Load(), int64(0))

	last := openTest(t, crash(t, after.dir), big)
	assert.Equal(t, last.stats.events.Load(), int64(0))
	assert.NilError(t, last.put(context.Background(), numbered(50, 51)))
	assertNumbers(t, take(t, last, 1), 50)
}

func TestDiskBufferDamage(t *testing.T) {
	for _, tc := range []struct {
		name   string
		damage func([]byte) []byte
		want   int
	}{
		{"torn tail", func(b []byte) []byte { return b[:len(b)-3] }, 4},
		{"torn header", func(b []byte) []byte { return append(b, 0, 0, 0) }, 5},
		{"zeros at the end", func(b []byte) []byte { return append(b, make([]byte, 100)...) }, 5},
		{"flipped bit in the third", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			b := openTest(t, dir, big)
			assert.NilError(t, b.put(context.Background(), numbered(0, 5)))
			copied := crash(t, dir)
			path := filepath.Join(copied, "buffer-data-0.dat")
			raw, err := os.ReadFile(path)
			assert.NilError(t, err)
			assert.NilError(t, os.WriteFile(path, tc.damage(raw), 0o600))

			after := openTest(t, copied, big)
			assert.Equal(t, after.stats.events.Load(), int64(tc.want))
			assertNumbers(t, take(t, after, tc.want), 0)
			// New records follow the last good one.
			assert.NilError(t, after.put(context.Background(), numbered(9, 10)))
			assertNumbers(t, take(t, after, 1), 9)
		})
	}
}

func TestDiskBufferLock(t *testing.T) {
	dir := t.TempDir()
	openTest(t, dir, big)
	_, err := openDiskBuffer(dir, big, testComponent(), func(error) {})
	assert.ErrorContains(t, err, "failed to lock buffer.lock")
}

func TestDiskBufferBlocksWhenFull(t *testing.T) {
	one := int64(len(appendRecord(nil, encodeEvent(nil, numbered(0, 1)[0]))))
	b := openTest(t, t.TempDir(), bufferConf{disk: true, maxSize: 3 * one})
	ack := newDelivery()
	events := numbered(10, 15)
	ack.hold(len(events))
	for i := range events {
		events[i].ack = ack
	}
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	assert.ErrorIs(t, b.put(ctx, events), context.DeadlineExceeded)
	ack.settle(delivered)
	<-ack.done
	assert.Equal(t, outcome(ack.worst.Load()), errored)
	assert.Equal(t, b.stats.events.Load(), int64(3))
}

func TestDiskBufferDropNewest(t *testing.T) {
	one := int64(len(appendRecord(nil, encodeEvent(nil, numbered(0, 1)[0]))))
	b := openTest(t, t.TempDir(), bufferConf{disk: true, maxSize: 3 * one, drop: true})
	assert.NilError(t, b.put(context.Background(), numbered(10, 15)))
	assertNumbers(t, take(t, b, 3), 10)
	tags := b.stats.tags("intentional", "true")
	assert.Equal(t, b.stats.c.reg.get(false, "buffer_discarded_events_total", tags).value(), 2.0)
}

// A buffer that was full must take events again after its records are acknowledged.
func TestDiskBufferFreesSegments(t *testing.T) {
	dir := t.TempDir()
	b := openTest(t, dir, bufferConf{disk: true, maxSize: 3 * segmentSize})
	pad := string(bytes.Repeat([]byte("x"), 1<<20))
	n := 0
	for b.used+(1<<20)+100 < b.max {
		assert.NilError(t, b.put(context.Background(), []event{{log: map[string]any{"n": int64(n), "pad": pad}}}))
		n++
	}
	done := make(chan error)
	go func() { done <- b.put(context.Background(), []event{{log: map[string]any{"n": int64(n), "pad": pad}}}) }()
	items := take(t, b, n)
	select {
	case <-done:
		t.Fatal("put did not block on a full buffer")
	case <-time.After(100 * time.Millisecond):
	}
	for _, it := range items {
		it.done(delivered)
	}
	assert.NilError(t, <-done)
	assertNumbers(t, take(t, b, 1), n)
	files, err := filepath.Glob(filepath.Join(dir, "buffer-data-*.dat"))
	assert.NilError(t, err)
	assert.Assert(t, len(files) <= 2, "%v", files)
}

func TestDiskBufferDrainsOnClose(t *testing.T) {
	b := openTest(t, t.TempDir(), big)
	assert.NilError(t, b.put(context.Background(), numbered(0, 3)))
	assert.NilError(t, b.close())
	assertNumbers(t, take(t, b, 3), 0)
	_, open := <-b.items()
	assert.Assert(t, !open)
}

func FuzzReadRecord(f *testing.F) {
	f.Add([]byte{}, int64(0))
	f.Add(appendRecord(nil, []byte("payload")), int64(0))
	f.Add(appendRecord(appendRecord(nil, []byte("a")), []byte("b")), int64(9))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 1}, int64(0))
	f.Fuzz(func(t *testing.T, b []byte, off int64) {
		if off < 0 {
			return
		}
		payload, n, err := readRecord(bytes.NewReader(b), off)
		if err != nil {
			return
		}
		assert.Assert(t, off+n <= int64(len(b)), "record beyond the end")
		assert.Equal(t, string(appendRecord(nil, payload)), string(b[off:off+n]))
	})
}

func TestMemoryBuffer(t *testing.T) {
	for _, tc := range []struct {
		drop    bool
		dropped float64
		result  outcome
	}{{true, 2, delivered}, {false, 0, errored}} {
		t.Run(fmt.Sprintf("drop_newest %v", tc.drop), func(t *testing.T) {
			c := testComponent()
			b := newMemoryBuffer(bufferConf{maxEvents: 3, drop: tc.drop}, true, c)
			ack := newDelivery()
			events := numbered(0, 5)
			ack.hold(len(events))
			for i := range events {
				events[i].ack = ack
			}
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			err := b.put(ctx, events)
			assert.Equal(t, err == nil, tc.drop)
			assert.Equal(t, b.stats.events.Load(), int64(3))
			items := take(t, b, 3)
			assertNumbers(t, items, 0)
			for _, it := range items {
				it.done(delivered)
			}
			ack.settle(delivered)
			<-ack.done
			assert.Equal(t, outcome(ack.worst.Load()), tc.result)
			assert.Equal(t, c.reg.get(false, "buffer_discarded_events_total", b.stats.tags("intentional", "true")).value(), tc.dropped)
			assert.Equal(t, b.stats.bytes.Load(), int64(0))
		})
	}
}
