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
	"path"

	"github.com/klauspost/compress/zstd"
)

// Writer writes an archive from its first byte to its last; nothing is held back but the list of entries.
type Writer struct {
	compressed *zstd.Encoder
	tar        *tar.Writer
	folders    map[string]bool
	manifest   manifest
	bytes      int64
}

// NewWriter begins an archive. The caller must Close it; without that it has no manifest and no reader takes it.
func NewWriter(out io.Writer, info Info) (*Writer, error) {
	compressed, err := zstd.NewWriter(out, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	info.SchemaVersion = SchemaVersion
	raw, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return nil, err
	}
	w := &Writer{compressed: compressed, tar: tar.NewWriter(compressed), folders: map[string]bool{}, manifest: manifest{SchemaVersion: SchemaVersion}}
	entry := Entry{Name: infoName, Mode: 0o600, Size: int64(len(raw)), ModTime: info.CreatedAt}
	if err := w.Add(entry, bytes.NewReader(raw)); err != nil {
		return nil, err
	}
	return w, nil
}

// Add writes one entry; the folders above it that were not added are, as root's. A file's size must be right.
func (w *Writer) Add(entry Entry, content io.Reader) error {
	if err := checkName(entry.Name); err != nil {
		return err
	}
	if err := w.addFolders(path.Dir(entry.Name)); err != nil {
		return err
	}
	entry.Mode &= 0o777
	if entry.Dir {
		w.folders[entry.Name] = true
		entry.Size, entry.SHA256 = 0, ""
		w.manifest.Entries = append(w.manifest.Entries, entry)
		return w.tar.WriteHeader(headerOf(entry))
	}
	if err := w.tar.WriteHeader(headerOf(entry)); err != nil {
		return err
	}
	hash := sha256.New()
	written, err := io.Copy(io.MultiWriter(w.tar, hash), content)
	if err != nil {
		return err
	}
	if written != entry.Size {
		return fmt.Errorf("%s has %d bytes, not %d: it changed while it was read", entry.Name, written, entry.Size)
	}
	w.bytes += written
	entry.SHA256 = hex.EncodeToString(hash.Sum(nil))
	w.manifest.Entries = append(w.manifest.Entries, entry)
	return nil
}

func (w *Writer) addFolders(folder string) error {
	if folder == "." || w.folders[folder] {
		return nil
	}
	return w.Add(Entry{Name: folder, Dir: true, Mode: 0o755}, nil)
}

// Bytes is how much was added so far, uncompressed.
func (w *Writer) Bytes() int64 { return w.bytes }

// Entries is how many files and folders were added so far.
func (w *Writer) Entries() int { return len(w.manifest.Entries) }

// Close writes the manifest and ends the archive.
func (w *Writer) Close() error {
	raw, err := json.Marshal(w.manifest)
	if err != nil {
		return err
	}
	header := headerOf(Entry{Name: manifestName, Mode: 0o600, Size: int64(len(raw))})
	if err := w.tar.WriteHeader(header); err != nil {
		return err
	}
	if _, err := w.tar.Write(raw); err != nil {
		return err
	}
	return errors.Join(w.tar.Close(), w.compressed.Close())
}

// Abort frees what the writer holds and leaves an archive that no reader takes.
func (w *Writer) Abort() { w.compressed.Reset(nil) }

func headerOf(entry Entry) *tar.Header {
	header := &tar.Header{
		Typeflag: tar.TypeReg, Name: entry.Name, Mode: int64(entry.Mode), Uid: entry.UID, Gid: entry.GID, Size: entry.Size, ModTime: entry.ModTime,
	}
	if entry.Dir {
		header.Typeflag, header.Name, header.Size = tar.TypeDir, entry.Name+"/", 0
	}
	return header
}
