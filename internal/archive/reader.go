package archive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
)

const (
	// window is more than the writer's 8 MiB; what asks for more to be held in memory is not from there.
	window = 32 << 20
	// nameLimit is Linux's own for a path.
	nameLimit = 4096
)

// Summary is what a whole archive came to.
type Summary struct {
	Info    Info
	Entries int
	Bytes   int64 // uncompressed
}

// ReadInfo reads what an archive says of itself, and believes it.
func ReadInfo(in io.Reader) (Info, error) {
	r, err := newReader(in, DefaultLimits())
	if err != nil {
		return Info{}, err
	}
	defer r.close()
	return r.info()
}

// Read reads an archive to its end and gives each entry but the two that describe it to visit. Only when Read returns
// without an error was what visit got what was written: a change shows at the file it is in, or with the manifest at the
// very end. So visit may do nothing that cannot be undone. Errors of visit are returned as they are.
func Read(in io.Reader, limits Limits, visit func(Entry, io.Reader) error) (Summary, error) {
	r, err := newReader(in, limits)
	if err != nil {
		return Summary{}, err
	}
	defer r.close()
	info, err := r.info()
	if err != nil {
		return Summary{}, err
	}
	for {
		header, err := r.tar.Next()
		if errors.Is(err, io.EOF) {
			return Summary{}, broken("ends before its manifest")
		}
		if err != nil {
			return Summary{}, r.cause(err)
		}
		if header.Name == manifestName {
			return Summary{Info: info, Entries: len(r.seen), Bytes: r.bytes}, r.finish(header)
		}
		if err := r.entry(header, visit); err != nil {
			return Summary{}, err
		}
	}
}

type reader struct {
	limits     Limits
	compressed *counter
	expanded   *zstd.Decoder
	tar        *tar.Reader
	seen       []Entry
	kinds      map[string]bool // of each name seen: whether it is a folder
	bytes      int64
}

// counter counts what was read of the file, so that a small file cannot become an endless one.
type counter struct {
	in   io.Reader
	read int64
}

func (c *counter) Read(into []byte) (int, error) {
	n, err := c.in.Read(into)
	c.read += int64(n)
	return n, err
}

func newReader(in io.Reader, limits Limits) (*reader, error) {
	r := &reader{limits: limits, compressed: &counter{in: in}, kinds: map[string]bool{}}
	var err error
	r.expanded, err = zstd.NewReader(r.compressed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(window))
	if err != nil {
		return nil, r.cause(err)
	}
	r.tar = tar.NewReader(&bounded{reader: r})
	return r, nil
}

func (r *reader) close() { r.expanded.Close() }

// bounded ends a file that expands too far.
type bounded struct {
	reader *reader
	out    int64
}

func (b *bounded) Read(into []byte) (int, error) {
	r := b.reader
	if b.out > r.limits.Free && b.out/r.limits.Expanded > r.compressed.read {
		return 0, broken("expands to more than %d times its size", r.limits.Expanded)
	}
	n, err := r.expanded.Read(into)
	b.out += int64(n)
	return n, err
}

// cause words what is wrong with the bytes; an error of the disk is one of the disk.
func (r *reader) cause(err error) error {
	var ours *Error
	var disk *fs.PathError
	switch {
	case errors.As(err, &ours), errors.As(err, &disk):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return broken("is cut short")
	case r.compressed.read < 1<<10 && errors.Is(err, zstd.ErrMagicMismatch):
		return broken("is none: the file is not compressed with zstd")
	default:
		return broken("is damaged: %v", err)
	}
}

func (r *reader) info() (Info, error) {
	var info Info
	header, err := r.tar.Next()
	if errors.Is(err, io.EOF) {
		return info, broken("is empty")
	}
	if err != nil {
		return info, r.cause(err)
	}
	if header.Name != infoName || header.Size > infoLimit {
		return info, broken("is none: it does not begin with %s", infoName)
	}
	var raw bytes.Buffer
	if err := r.entry(header, func(_ Entry, content io.Reader) error {
		_, err := raw.ReadFrom(content)
		return err
	}); err != nil {
		return info, err
	}
	// The version first and alone: a later schema may have changed the type of any other field.
	var head struct {
		SchemaVersion int `json:"schemaVersion"`
	}
	if err := json.Unmarshal(raw.Bytes(), &head); err != nil || head.SchemaVersion < 1 {
		return info, broken("is damaged: %s cannot be read", infoName)
	}
	if head.SchemaVersion > SchemaVersion {
		return info, &NewerError{Found: head.SchemaVersion}
	}
	if err := json.Unmarshal(raw.Bytes(), &info); err != nil {
		return info, broken("is damaged: %s cannot be read", infoName)
	}
	return info, nil
}

func (r *reader) entry(header *tar.Header, visit func(Entry, io.Reader) error) error {
	entry, err := r.accept(header)
	if err != nil {
		return err
	}
	hash := sha256.New()
	content := &hashed{from: io.TeeReader(r.tar, hash)}
	if visit != nil {
		if err := visit(entry, content); err != nil {
			if content.err != nil {
				return r.cause(content.err)
			}
			return err
		}
	}
	// What visit did not read counts as well.
	if _, err := io.Copy(io.Discard, content); err != nil {
		return r.cause(err)
	}
	r.bytes += entry.Size
	if !entry.Dir {
		entry.SHA256 = hex.EncodeToString(hash.Sum(nil))
	}
	r.seen = append(r.seen, entry)
	return nil
}

// hashed tells a failure to read the archive from one of who asked for its content.
type hashed struct {
	from io.Reader
	err  error
}

func (h *hashed) Read(into []byte) (int, error) {
	n, err := h.from.Read(into)
	if err != nil && !errors.Is(err, io.EOF) {
		h.err = err
	}
	return n, err
}

// accept takes a header for an entry that Writer could have written, or says why not.
func (r *reader) accept(header *tar.Header) (Entry, error) {
	entry := Entry{
		Name: strings.TrimSuffix(header.Name, "/"), Dir: header.Typeflag == tar.TypeDir,
		Mode: uint32(header.Mode), UID: header.Uid, GID: header.Gid, Size: header.Size, ModTime: header.ModTime,
	}
	if err := checkName(entry.Name); err != nil {
		return entry, err
	}
	if !entry.Dir && header.Typeflag != tar.TypeReg {
		return entry, broken("has a link or a device in it: %q", entry.Name)
	}
	if entry.Dir == (entry.Name == header.Name) {
		return entry, broken("has an entry that is neither a file nor a folder: %q", header.Name)
	}
	for key := range header.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse") || strings.HasPrefix(key, "SCHILY") {
			return entry, broken("has a file with attributes that no snapshot has: %q", entry.Name)
		}
	}
	if header.Mode&^0o777 != 0 || header.Uid < 0 || header.Gid < 0 {
		return entry, broken("has a file with a mode or an owner that no snapshot has: %q", entry.Name)
	}
	if _, twice := r.kinds[entry.Name]; twice {
		return entry, broken("has %q twice", entry.Name)
	}
	if parent := path.Dir(entry.Name); parent != "." && !r.kinds[parent] {
		return entry, broken("has %q, whose folder it has not", entry.Name)
	}
	if len(r.seen) >= r.limits.Entries {
		return entry, broken("has more than %d entries", r.limits.Entries)
	}
	r.kinds[entry.Name] = entry.Dir
	return entry, nil
}

// ValidName tells whether an entry may have a name: a path that stays below the root of wherever it is put.
func ValidName(name string) bool { return checkName(name) == nil }

func checkName(name string) error {
	switch {
	case !fs.ValidPath(name), name == ".", strings.Contains(name, "\x00"), !utf8.ValidString(name):
		return broken("has an entry by a path that leads elsewhere: %q", name)
	case len(name) > nameLimit:
		return broken("has an entry by a path of %d bytes", len(name))
	default:
		return nil
	}
}

// finish compares the manifest with what was seen and requires that nothing follows it.
func (r *reader) finish(header *tar.Header) error {
	if header.Typeflag != tar.TypeReg || header.Size > r.limits.Manifest {
		return broken("has a manifest of %d bytes", header.Size)
	}
	var list manifest
	if err := json.NewDecoder(r.tar).Decode(&list); err != nil {
		var syntax *json.SyntaxError
		var kind *json.UnmarshalTypeError
		if errors.As(err, &syntax) || errors.As(err, &kind) {
			return broken("has a manifest that cannot be read")
		}
		return r.cause(err)
	}
	if err := r.compare(list); err != nil {
		return err
	}
	if _, err := r.tar.Next(); !errors.Is(err, io.EOF) {
		return broken("goes on after its manifest")
	}
	// The tar's reader stops at its end; the checksum of the compression is behind it.
	rest, err := io.Copy(io.Discard, io.LimitReader(&bounded{reader: r}, 1))
	if err != nil {
		return r.cause(err)
	}
	if rest > 0 {
		return broken("goes on after its end")
	}
	return nil
}

func (r *reader) compare(list manifest) error {
	if list.SchemaVersion != SchemaVersion {
		return broken("has a manifest of schema %d", list.SchemaVersion)
	}
	if len(list.Entries) != len(r.seen) {
		return broken("has %d entries, its manifest lists %d", len(r.seen), len(list.Entries))
	}
	for i, want := range list.Entries {
		have := r.seen[i]
		have.ModTime = want.ModTime
		if have != want {
			return broken("was changed: %s", difference(have, want))
		}
	}
	return nil
}

func difference(have, want Entry) string {
	if have.Name == want.Name && have.SHA256 != want.SHA256 {
		return fmt.Sprintf("%q has not the checksum that its manifest lists", have.Name)
	}
	return fmt.Sprintf("%q is not what its manifest lists", have.Name)
}
