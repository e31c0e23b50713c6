package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"time"
)

// keepRetention runs the retention job until the context ends, each ZO_COMPACT_DATA_RETENTION_INTERVAL. What was let go is off
// the disk ZO_COMPACT_DELETE_FILES_DELAY_MINUTES later.
func (s *server) keepRetention(ctx context.Context) {
	tick := time.NewTicker(s.cfg.retentionInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.expire(); err != nil {
				fmt.Fprintln(s.log, "retention:", err)
			}
		}
	}
}

// expire does what src/compaction/src/retention.rs does: nothing at all where the global setting is 0 or less, whatever the streams
// say; else each stream loses the whole UTC days before the one in which its retention begins. Only what was moved to the storage
// goes, and a stream whose statistics begin later is left alone.
func (s *server) expire() error {
	if s.cfg.retentionDays <= 0 {
		return nil
	}
	now := s.now().UTC()
	for _, key := range s.store.keys("", "") {
		st := s.store.get(key)
		days := s.cfg.retentionDays
		if own := st.ownRetention(); own > 0 {
			days = own
		}
		cut := now.AddDate(0, 0, -int(days)).Truncate(24 * time.Hour)
		if gone := st.letGo(cut.UnixMicro(), now); gone > 0 {
			fmt.Fprintf(s.log, "retention: %s/%s/%s: %d records before %s\n", key.org, key.kind, key.name, gone, cut.Format(time.DateOnly))
		}
		if err := st.deleteFiles(now.Add(-s.cfg.deleteDelay)); err != nil {
			return fmt.Errorf("%s/%s/%s: %w", key.org, key.kind, key.name, err)
		}
	}
	s.metrics.setStorage(s.store)
	return nil
}

func (st *stream) ownRetention() int64 {
	st.mu.RLock()
	defer st.mu.RUnlock()
	return st.retention
}

// letGo takes the records before a time out of the list of files: no search finds them any more, and they are still on the disk.
func (st *stream) letGo(cut int64, now time.Time) int {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.published.docs == 0 || st.published.min >= cut {
		return 0
	}
	moved := min(int(st.published.docs), len(st.index))
	kept := make([]entry, 0, len(st.index))
	still := 0
	for i, e := range st.index {
		if i < moved && e.ts < cut {
			continue
		}
		if i < moved {
			still++
		}
		kept = append(kept, e)
	}
	gone := len(st.index) - len(kept)
	if gone == 0 {
		return 0
	}
	st.index, st.history = kept, nil
	st.published = sum(kept[:still])
	st.letGoAt = now
	return gone
}

// deleteFiles writes the file anew without what was let go before a time.
func (st *stream) deleteFiles(before time.Time) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.letGoAt.IsZero() || st.letGoAt.After(before) {
		return nil
	}
	path := st.file.Name()
	next, err := os.OpenFile(path+".next", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	index, size, err := st.copyTo(next)
	if err == nil {
		err = next.Sync()
	}
	if err == nil {
		err = os.Rename(path+".next", path)
	}
	if err != nil {
		_ = next.Close()
		return err
	}
	// A scan may still read the old one, which is closed when nobody holds it.
	st.file, st.index, st.size, st.letGoAt = reopened(next, path), index, size, time.Time{}
	return nil
}

// reopened has the name that the file has now.
func reopened(file *os.File, path string) *os.File {
	again, err := os.OpenFile(path, os.O_RDWR, 0o600)
	if err != nil {
		return file
	}
	_ = file.Close()
	return again
}

func (st *stream) copyTo(next *os.File) ([]entry, int64, error) {
	out := bufio.NewWriterSize(next, 1<<16)
	index := make([]entry, 0, len(st.index))
	size := int64(0)
	for _, e := range st.index {
		line := make([]byte, e.size)
		if _, err := st.file.ReadAt(line, e.off); err != nil {
			return nil, 0, err
		}
		if _, err := out.Write(line); err != nil {
			return nil, 0, err
		}
		index = append(index, entry{ts: e.ts, off: size, size: e.size})
		size += int64(e.size)
	}
	return index, size, out.Flush()
}
