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
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"gotest.tools/v3/assert"
)

func testInfo() Info {
	return Info{
		Stack: "telemetry", CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Version: "test", Engine: "host",
		Volumes: []Volume{{Name: "data", Component: "store", Image: "store:1", Method: MethodStopped}},
	}
}

// written is a small archive of a file in the state, and a volume with a root, a folder and two files.
func written(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, testInfo())
	assert.NilError(t, err)
	add := func(entry Entry, content string) {
		entry.Size = int64(len(content))
		assert.NilError(t, w.Add(entry, strings.NewReader(content)))
	}
	add(Entry{Name: "state/state.json", Mode: 0o600}, "{}")
	assert.NilError(t, w.Add(Entry{Name: "volumes/data", Dir: true, Mode: 0o770, UID: 472}, nil))
	assert.NilError(t, w.Add(Entry{Name: "volumes/data/d", Dir: true, Mode: 0o750, UID: 472}, nil))
	add(Entry{Name: "volumes/data/d/a", Mode: 0o640, UID: 472, GID: 1}, strings.Repeat("abc", 1000))
	add(Entry{Name: "volumes/data/d/ü", Mode: 0o600}, "")
	assert.NilError(t, w.Close())
	return out.Bytes()
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	got := map[string]string{}
	summary, err := Read(bytes.NewReader(written(t)), DefaultLimits(), func(entry Entry, content io.Reader) error {
		raw, err := io.ReadAll(content)
		got[entry.Name] = fmt.Sprintf("%v %o %d:%d %d", entry.Dir, entry.Mode, entry.UID, entry.GID, len(raw))
		return err
	})
	assert.NilError(t, err)
	assert.DeepEqual(t, got, map[string]string{
		"state": "true 755 0:0 0", "state/state.json": "false 600 0:0 2", "volumes": "true 755 0:0 0", "volumes/data": "true 770 472:0 0",
		"volumes/data/d": "true 750 472:0 0", "volumes/data/d/a": "false 640 472:1 3000", "volumes/data/d/ü": "false 600 0:0 0",
	})
	want := testInfo()
	want.SchemaVersion = SchemaVersion
	assert.DeepEqual(t, summary.Info, want)
	assert.Equal(t, summary.Entries, 8) // snapshot.json as well
	info, err := ReadInfo(bytes.NewReader(written(t)))
	assert.NilError(t, err)
	assert.DeepEqual(t, info, want)
}

// A file that is cut off anywhere, or has any one byte changed, is refused, whoever reads how much of it.
func TestEveryCutAndEveryChangeIsRefused(t *testing.T) {
	whole := written(t)
	for cut := range len(whole) {
		_, err := Read(bytes.NewReader(whole[:cut]), DefaultLimits(), nil)
		assert.Assert(t, err != nil, "the first %d bytes of %d pass", cut, len(whole))
	}
	// zstd says some things in more than one way: where a change passes, all that comes out must be the same.
	same, err := digest(whole)
	assert.NilError(t, err)
	passed := 0
	for at := range whole {
		for bit := range 8 {
			changed := bytes.Clone(whole)
			changed[at] ^= 1 << bit
			got, err := digest(changed)
			if err == nil {
				passed++
				assert.Equal(t, got, same, "a change of bit %d of byte %d", bit, at)
			}
		}
	}
	assert.Assert(t, passed*20 < len(whole)*8, "%d changes of %d bits pass", passed, len(whole)*8)
	_, err = Read(bytes.NewReader(append(bytes.Clone(whole), 0)), DefaultLimits(), nil)
	assert.Assert(t, err != nil, "a byte after the end passes")
	_, err = Read(bytes.NewReader(append(bytes.Clone(whole), whole...)), DefaultLimits(), nil)
	assert.ErrorContains(t, err, "goes on after its end")
}

// hostile is an archive by somebody who knows the format: headers and content, then a manifest that agrees with them
// unless it is given.
type hostile struct {
	info    string
	headers []tar.Header
	content map[string]string
	list    func(*manifest)
	after   []tar.Header
	bare    bool // no manifest
}

func (h hostile) bytes(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	compressed, err := zstd.NewWriter(&out)
	assert.NilError(t, err)
	archive := tar.NewWriter(compressed)
	list := manifest{SchemaVersion: SchemaVersion}
	put := func(header tar.Header) {
		content := h.content[header.Name]
		if header.Typeflag == 0 {
			header.Typeflag = tar.TypeReg
		}
		if header.Typeflag == tar.TypeReg {
			header.Size = int64(len(content))
		}
		assert.NilError(t, archive.WriteHeader(&header))
		_, err := archive.Write([]byte(content))
		assert.NilError(t, err)
		entry := Entry{
			Name: strings.TrimSuffix(header.Name, "/"), Dir: header.Typeflag == tar.TypeDir, Mode: uint32(header.Mode), UID: header.Uid, GID: header.Gid, Size: header.Size,
		}
		if !entry.Dir {
			entry.SHA256 = sumOf(content)
		}
		list.Entries = append(list.Entries, entry)
	}
	if h.content == nil {
		h.content = map[string]string{}
	}
	if h.info == "" {
		raw, err := json.Marshal(Info{SchemaVersion: 1, Stack: "x"})
		assert.NilError(t, err)
		h.info = string(raw)
	}
	h.content[infoName] = h.info
	put(tar.Header{Name: infoName, Mode: 0o600})
	for _, header := range h.headers {
		put(header)
	}
	if !h.bare {
		if h.list != nil {
			h.list(&list)
		}
		raw, err := json.Marshal(list)
		assert.NilError(t, err)
		h.content[manifestName] = string(raw)
		put(tar.Header{Name: manifestName, Mode: 0o600})
	}
	for _, header := range h.after {
		put(header)
	}
	assert.NilError(t, errors.Join(archive.Close(), compressed.Close()))
	return out.Bytes()
}

func folder(name string) tar.Header {
	return tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755}
}

func hostiles() map[string]hostile {
	state := folder("state")
	file := tar.Header{Name: "state/a", Mode: 0o600}
	return map[string]hostile{
		"path that leads elsewhere: \"../evil\"":    {headers: []tar.Header{{Name: "../evil", Mode: 0o600}}},
		"path that leads elsewhere: \"/etc/x\"":     {headers: []tar.Header{{Name: "/etc/x", Mode: 0o600}}},
		"path that leads elsewhere: \"state/../x\"": {headers: []tar.Header{state, {Name: "state/../x", Mode: 0o600}}},
		"path that leads elsewhere: \"state//x\"":   {headers: []tar.Header{state, {Name: "state//x", Mode: 0o600}}},
		"link or a device in it: \"state/a\"":       {headers: []tar.Header{state, {Typeflag: tar.TypeSymlink, Name: "state/a", Linkname: "/etc/passwd"}}},
		"link or a device in it: \"state/b\"":       {headers: []tar.Header{state, {Typeflag: tar.TypeLink, Name: "state/b", Linkname: "../x"}}},
		"link or a device in it: \"state/c\"":       {headers: []tar.Header{state, {Typeflag: tar.TypeChar, Name: "state/c", Devmajor: 1, Devminor: 3}}},
		"link or a device in it: \"state/d\"":       {headers: []tar.Header{state, {Typeflag: tar.TypeFifo, Name: "state/d"}}},
		"\"state/a\" twice":                         {headers: []tar.Header{state, file, file}},
		"\"state\" twice":                           {headers: []tar.Header{state, state}},
		"\"state/a\", whose folder it has not":      {headers: []tar.Header{file}},
		"\"state/a/b\", whose folder it has not":    {headers: []tar.Header{state, file, {Name: "state/a/b", Mode: 0o600}}},
		"mode or an owner that no snapshot has":     {headers: []tar.Header{state, {Name: "state/s", Mode: 0o4755}}},
		"attributes that no snapshot has": {headers: []tar.Header{state, {
			Name: "state/x", Mode: 0o600, PAXRecords: map[string]string{"SCHILY.xattr.user.a": "b"},
		}}},
		"ends before its manifest":  {headers: []tar.Header{state, file}, bare: true},
		"goes on after its manifes": {headers: []tar.Header{state}, after: []tar.Header{file}},
		"lists 1":                   {headers: []tar.Header{state, file}, list: func(m *manifest) { m.Entries = m.Entries[:1] }},
		"not the checksum that its manifest lists": {headers: []tar.Header{state, file}, list: func(m *manifest) {
			m.Entries[2].SHA256 = sumOf("something else")
		}},
		"\"state/a\" is not what its manifest lists": {headers: []tar.Header{state, file}, list: func(m *manifest) { m.Entries[2].Mode = 0o644 }},
		"a manifest of schema 2":                     {headers: []tar.Header{state}, list: func(m *manifest) { m.SchemaVersion = 2 }},
		"schema 7, this version knows up to 1":       {info: `{"schemaVersion":7,"stack":{"name":"x"}}`},
		"snapshot.json cannot be read":               {info: `{"schemaVersion":1,"stack":7}`},
	}
}

func TestHostileArchivesAreRefused(t *testing.T) {
	for reason, archive := range hostiles() {
		t.Run(reason, func(t *testing.T) {
			_, err := Read(bytes.NewReader(archive.bytes(t)), DefaultLimits(), nil)
			assert.ErrorContains(t, err, reason)
		})
	}
	// The same without anything hostile in it passes, so that each refusal is for its own reason.
	plain := hostile{headers: []tar.Header{folder("state"), {Name: "state/a", Mode: 0o600}}, content: map[string]string{"state/a": "x"}}
	_, err := Read(bytes.NewReader(plain.bytes(t)), DefaultLimits(), nil)
	assert.NilError(t, err)
}

func TestABombIsGivenUp(t *testing.T) {
	bomb := hostile{headers: []tar.Header{folder("state"), {Name: "state/zeros", Mode: 0o600}}, content: map[string]string{
		"state/zeros": strings.Repeat("\x00", 32<<20),
	}}
	raw := bomb.bytes(t)
	limits := DefaultLimits()
	_, err := Read(bytes.NewReader(raw), limits, nil)
	assert.NilError(t, err)
	limits.Free, limits.Expanded = 1<<20, 100
	_, err = Read(bytes.NewReader(raw), limits, nil)
	assert.ErrorContains(t, err, "expands to more than 100 times its size")
}

// digest is everything that an archive gives whoever reads it.
func digest(raw []byte) (string, error) {
	hash := sha256.New()
	summary, err := Read(bytes.NewReader(raw), DefaultLimits(), func(entry Entry, content io.Reader) error {
		fmt.Fprintf(hash, "%+v", entry)
		_, err := io.Copy(hash, content)
		return err
	})
	fmt.Fprintf(hash, "%+v", summary)
	return hex.EncodeToString(hash.Sum(nil)), err
}

func TestEntriesAndManifestAreBounded(t *testing.T) {
	limits := DefaultLimits()
	limits.Entries = 3
	_, err := Read(bytes.NewReader(written(t)), limits, nil)
	assert.ErrorContains(t, err, "more than 3 entries")
	limits = DefaultLimits()
	limits.Manifest = 10
	_, err = Read(bytes.NewReader(written(t)), limits, nil)
	assert.ErrorContains(t, err, "has a manifest of")
}

// An error of who puts the files somewhere is that error and not one of the archive.
func TestTheVisitorsErrorIsItsOwn(t *testing.T) {
	full := errors.New("no space left")
	_, err := Read(bytes.NewReader(written(t)), DefaultLimits(), func(Entry, io.Reader) error { return full })
	assert.Assert(t, errors.Is(err, full))
}

func TestAFileThatGrowsIsNoEntry(t *testing.T) {
	w, err := NewWriter(io.Discard, testInfo())
	assert.NilError(t, err)
	err = w.Add(Entry{Name: "volumes/data/x", Size: 5}, strings.NewReader("abc"))
	assert.ErrorContains(t, err, "it changed while it was read")
}

func TestWhatIsNoSnapshot(t *testing.T) {
	for name, raw := range map[string]string{"is empty": "", "is none: the file is not compressed with zstd": "PK\x03\x04 something else"} {
		_, err := Read(strings.NewReader(raw), DefaultLimits(), nil)
		assert.ErrorContains(t, err, name)
	}
}

// FuzzRead feeds the reader anything. What it takes must be what the writer writes: names that stay inside, each once,
// each below a folder; and written again it must be taken again.
func FuzzRead(f *testing.F) {
	f.Add(written(f))
	for _, archive := range hostiles() {
		f.Add(archive.bytes(f))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { readsOnlyWhatIsWritten(t, raw) })
}

// FuzzTar is the same behind the compression, which would keep a fuzzer away from it.
func FuzzTar(f *testing.F) {
	plain, err := zstd.NewReader(nil)
	assert.NilError(f, err)
	add := func(raw []byte) {
		tar, err := plain.DecodeAll(raw, nil)
		assert.NilError(f, err)
		f.Add(tar)
	}
	add(written(f))
	for _, archive := range hostiles() {
		add(archive.bytes(f))
	}
	compressed, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	assert.NilError(f, err)
	f.Fuzz(func(t *testing.T, raw []byte) { readsOnlyWhatIsWritten(t, compressed.EncodeAll(raw, nil)) })
}

func readsOnlyWhatIsWritten(t *testing.T, raw []byte) {
	t.Helper()
	limits := Limits{Entries: 100, Manifest: 1 << 16, Expanded: 1000, Free: 1 << 20}
	var taken []Entry
	var contents []string
	seen := map[string]bool{}
	_, err := Read(bytes.NewReader(raw), limits, func(entry Entry, content io.Reader) error {
		assert.Assert(t, filepath.IsLocal(entry.Name) && !seen[entry.Name], "%q", entry.Name)
		assert.Assert(t, entry.Mode <= uint32(os.ModePerm) && entry.UID >= 0 && entry.GID >= 0, "%+v", entry)
		seen[entry.Name] = true
		text, err := io.ReadAll(content)
		taken, contents = append(taken, entry), append(contents, string(text))
		return err
	})
	if err != nil {
		return
	}
	var again bytes.Buffer
	w, err := NewWriter(&again, testInfo())
	assert.NilError(t, err)
	for i, entry := range taken {
		assert.NilError(t, w.Add(entry, strings.NewReader(contents[i])))
	}
	assert.NilError(t, w.Close())
	_, err = Read(bytes.NewReader(again.Bytes()), DefaultLimits(), nil)
	assert.NilError(t, err)
}

func sumOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}
