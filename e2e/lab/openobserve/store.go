package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

var errStreamName = errors.New("stream name is empty or longer than 200 bytes")

type streamKey struct{ org, kind, name string }

// record is one flattened event with its time in microseconds.
type record struct {
	ts     int64
	fields fields
}

// entry finds one record in its file. The index is the only thing kept in memory: 24 bytes a record.
type entry struct {
	ts, off int64
	size    int32
}

// totals are the true sizes of a stream; stored counts the bytes of its file.
type totals struct {
	docs, min, max int64
	original       int64
	stored         int64
	files          int64
}

type checkpoint struct {
	at time.Time
	totals
}

// stream is one append-only file of JSON lines and its index.
type stream struct {
	mu        sync.RWMutex
	file      *os.File
	size      int64
	index     []entry
	schema    map[string]fieldType
	created   int64
	retention int64 // days, 0: the global setting
	published totals
	history   []checkpoint
	letGoAt   time.Time // when records were last taken from the index that are still in the file
}

type store struct {
	dir     string
	mu      sync.RWMutex
	streams map[streamKey]*stream
	torn    int // records dropped at load
}

// streamMeta is what a stream keeps beside its records.
type streamMeta struct {
	Created   int64 `json:"created"`
	Retention int64 `json:"dataRetention"`
}

// openStore reads every stream under dir. A torn last line, which SIGKILL leaves, is cut off; damage anywhere else is
// an error, because dropping it silently would hide the loss that a test looks for.
func openStore(dir string) (*store, error) {
	s := &store{dir: dir, streams: map[streamKey]*stream{}}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".jsonl") {
			return err
		}
		rel, err := filepath.Rel(dir, strings.TrimSuffix(path, ".jsonl"))
		if err != nil {
			return err
		}
		parts := strings.Split(rel, string(filepath.Separator))
		if len(parts) != 3 {
			return fmt.Errorf("unexpected file %q in the data directory", path)
		}
		return s.loadStream(streamKey{org: parts[0], kind: parts[1], name: parts[2]})
	})
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *store) close() {
	for _, st := range s.streams {
		st.mu.Lock()
		_ = st.file.Close() // every append has been synced
		st.mu.Unlock()
	}
}

func (s *store) path(key streamKey, ext string) string {
	return filepath.Join(s.dir, key.org, key.kind, key.name+ext)
}

func (s *store) loadStream(key streamKey) error {
	st, err := s.openStream(key)
	if err != nil {
		return err
	}
	loaded, err := loadRecords(st.file)
	if err != nil {
		return fmt.Errorf("stream %s/%s/%s: %w", key.org, key.kind, key.name, err)
	}
	if err := st.file.Truncate(loaded.size); err != nil {
		return fmt.Errorf("cut the torn end of %q: %w", st.file.Name(), err)
	}
	s.torn += loaded.torn
	st.size, st.index, st.schema = loaded.size, loaded.index, loaded.schema
	// What is on disk at start counts as moved to storage.
	st.published = st.count()
	s.streams[key] = st
	return nil
}

func (s *store) openStream(key streamKey) (*stream, error) {
	path := s.path(key, ".jsonl")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("stream directory: %w", err)
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open stream: %w", err)
	}
	st := &stream{file: file, schema: map[string]fieldType{}, created: time.Now().UnixMicro()}
	raw, err := os.ReadFile(s.path(key, ".meta"))
	if errors.Is(err, fs.ErrNotExist) {
		return st, saveJSON(s.path(key, ".meta"), streamMeta{Created: st.created})
	}
	var meta streamMeta
	if err == nil {
		err = json.Unmarshal(raw, &meta)
	}
	if err != nil {
		return nil, fmt.Errorf("stream settings: %w", err)
	}
	st.created, st.retention = meta.Created, meta.Retention
	return st, nil
}

type loadedRecords struct {
	index  []entry
	schema map[string]fieldType
	size   int64 // bytes of whole records
	torn   int
}

// loadRecords reads JSON lines up to the end or to a torn last line. A bad line that is not the last is an error.
func loadRecords(r io.Reader) (loadedRecords, error) {
	out := loadedRecords{schema: map[string]fieldType{}}
	in := bufio.NewReaderSize(r, 1<<16)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			if len(line) > 0 {
				out.torn = 1
			}
			return out, nil
		}
		if err != nil {
			return out, err
		}
		rec, err := decodeRecord(line)
		if err != nil {
			if _, peekErr := in.Peek(1); errors.Is(peekErr, io.EOF) {
				out.torn = 1
				return out, nil
			}
			return out, fmt.Errorf("damaged record at byte %d: %w", out.size, err)
		}
		out.index = append(out.index, entry{ts: rec.ts, off: out.size, size: int32(len(line))})
		out.size += int64(len(line))
		learn(out.schema, rec.fields)
	}
}

func decodeRecord(line []byte) (record, error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	var f fields
	if err := dec.Decode(&f); err != nil {
		return record{}, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return record{}, errors.New("more than one value in a line")
	}
	n, ok := f[timestampField].(json.Number)
	if !ok {
		return record{}, errors.New("no _timestamp")
	}
	ts, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil {
		return record{}, fmt.Errorf("_timestamp %q: %w", n, err)
	}
	return record{ts: ts, fields: f}, nil
}

func learn(schema map[string]fieldType, f fields) {
	for name, v := range f {
		if v != nil {
			schema[name] = widen(schema[name], typeOf(v))
		}
	}
}

func (s *store) get(key streamKey) *stream {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.streams[key]
}

// create returns the stream, making it when it is new. Names come formatted; they are file names, so length and
// characters are checked here once more.
func (s *store) create(key streamKey) (*stream, error) {
	if len(key.name) == 0 || len(key.name) > 200 {
		return nil, errStreamName
	}
	if !regexp.MustCompile(`^[a-zA-Z0-9_-]{1,100}$`).MatchString(key.org) {
		return nil, fmt.Errorf("organization %q is not a valid name", key.org)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.streams[key]; st != nil {
		return st, nil
	}
	st, err := s.openStream(key)
	if err != nil {
		return nil, err
	}
	s.streams[key] = st
	return st, nil
}

// keys lists the streams of an organization (empty: of all) and a type (empty: of all), sorted by name.
func (s *store) keys(org, kind string) []streamKey {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []streamKey
	for k := range s.streams {
		if (org == "" || k.org == org) && (kind == "" || k.kind == kind) {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, func(a, b streamKey) int {
		return strings.Compare(a.name+"\x00"+a.kind+"\x00"+a.org, b.name+"\x00"+b.kind+"\x00"+b.org)
	})
	return out
}

// append writes the records in one piece and syncs before it returns, so that what was answered with 200 survives
// SIGKILL and power loss. On failure the file is cut back to the last whole record.
func (st *stream) append(records []record) (written int64, err error) {
	var buf bytes.Buffer
	index := make([]entry, 0, len(records))
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, r := range records {
		line, err := marshal(r.fields)
		if err != nil {
			return 0, fmt.Errorf("encode record: %w", err)
		}
		index = append(index, entry{ts: r.ts, off: st.size + int64(buf.Len()), size: int32(len(line) + 1)})
		buf.Write(line)
		buf.WriteByte('\n')
	}
	_, err = st.file.WriteAt(buf.Bytes(), st.size)
	if err == nil {
		err = st.file.Sync()
	}
	if err != nil {
		return 0, errors.Join(fmt.Errorf("write stream: %w", err), st.file.Truncate(st.size))
	}
	st.size += int64(buf.Len())
	st.index = append(st.index, index...)
	for _, r := range records {
		learn(st.schema, r.fields)
	}
	return int64(buf.Len()), nil
}

// count sums up what is stored now. The caller holds the lock or owns the stream.
func (st *stream) count() totals { return sum(st.index) }

func sum(index []entry) totals {
	t := totals{docs: int64(len(index))}
	if t.docs > 0 {
		t.files, t.min, t.max = 1, index[0].ts, index[0].ts
	}
	for _, e := range index {
		t.min, t.max = min(t.min, e.ts), max(t.max, e.ts)
		t.original += int64(e.size)
	}
	t.stored = t.original
	return t
}

// publish moves the figures that the streams call shows. In the real server they cover files already moved to
// storage, so a record shows up only once it is older than fileRetention and the next statistics run has passed.
func (st *stream) publish(now time.Time, fileRetention time.Duration) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.history = append(st.history, checkpoint{at: now, totals: st.count()})
	for len(st.history) > 0 && now.Sub(st.history[0].at) >= fileRetention {
		st.published = st.history[0].totals
		st.history = st.history[1:]
	}
}

func (st *stream) stats() totals {
	st.mu.RLock()
	defer st.mu.RUnlock()
	return st.published
}

// unstored is how many bytes of records the published figures do not count yet: what is in memory in the real one.
func (st *stream) unstored() int64 {
	st.mu.RLock()
	defer st.mu.RUnlock()
	return st.count().original - st.published.original
}

func (st *stream) schemaCopy() map[string]fieldType {
	st.mu.RLock()
	defer st.mu.RUnlock()
	out := make(map[string]fieldType, len(st.schema))
	for k, v := range st.schema {
		out[k] = v
	}
	return out
}

func (s *store) setRetention(key streamKey, days int64) error {
	st := s.get(key)
	st.mu.Lock()
	defer st.mu.Unlock()
	if err := saveJSON(s.path(key, ".meta"), streamMeta{Created: st.created, Retention: days}); err != nil {
		return err
	}
	st.retention = days
	return nil
}

// scan calls visit for each record with start <= time < end, in order of arrival, until visit returns false. It
// returns how many records and bytes it read.
func (st *stream) scan(start, end int64, visit func(record) (bool, error)) (records, size int64, err error) {
	st.mu.RLock()
	// Append-only, or replaced as a whole with its file: the entries up to this length never change.
	index, file := st.index, st.file
	st.mu.RUnlock()
	buf := []byte{}
	for _, e := range index {
		if e.ts < start || e.ts >= end {
			continue
		}
		buf = slices.Grow(buf[:0], int(e.size))[:e.size]
		if _, err := file.ReadAt(buf, e.off); err != nil {
			return records, size, fmt.Errorf("read stream: %w", err)
		}
		rec, err := decodeRecord(buf)
		if err != nil {
			return records, size, fmt.Errorf("read stream: %w", err)
		}
		records, size = records+1, size+int64(e.size)
		more, err := visit(rec)
		if err != nil || !more {
			return records, size, err
		}
	}
	return records, size, nil
}
