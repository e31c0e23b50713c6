// Package support writes what a person sends to somebody who is to help: one archive of which the secrets were taken out.
package support

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Part is one file of the archive, or why there is none.
type Part struct {
	Name string // with slashes
	What string // for a person: what it holds
	Text []byte
	Err  error
}

// most bounds a part: a log without end fills no disk. What is cut off is its begin, for the end says what happened last.
const most = 4 << 20

// Write writes parts as a tar.gz that only its owner can read, in one step: a file of that name is replaced when all is written,
// and stays as it was when that fails. Every part is redacted, and so are the reasons for those that are missing; they stand in
// MISSING.txt. It returns the size of the file.
func Write(file string, parts []Part, redactor *Redactor, now time.Time) (int64, error) {
	temp, err := os.CreateTemp(filepath.Dir(file), ".support-bundle-")
	if err != nil {
		return 0, fmt.Errorf("write the bundle: %w", err)
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	err = errors.Join(temp.Chmod(0o600), writeTo(temp, parts, redactor, now))
	size, sizeErr := temp.Seek(0, io.SeekEnd)
	if err = errors.Join(err, sizeErr, temp.Close()); err != nil {
		return 0, fmt.Errorf("write the bundle: %w", err)
	}
	if err := os.Rename(temp.Name(), file); err != nil {
		return 0, fmt.Errorf("write the bundle: %w", err)
	}
	return size, nil
}

func writeTo(out io.Writer, parts []Part, redactor *Redactor, now time.Time) error {
	compressed := gzip.NewWriter(out)
	archive := tar.NewWriter(compressed)
	for _, part := range complete(parts) {
		text := redactor.Redact(last(part.Text))
		header := &tar.Header{
			Typeflag: tar.TypeReg, Name: "support-bundle/" + string(redactor.Redact([]byte(part.Name))), Mode: 0o600, Size: int64(len(text)), ModTime: now,
		}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(text); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), compressed.Close())
}

// complete adds what says what is in the archive and what is not, and leaves out what there is none of.
func complete(parts []Part) []Part {
	contents := Part{Name: "CONTENTS.txt"}
	missing := Part{Name: "MISSING.txt"}
	var there []Part
	for _, part := range parts {
		if part.Err != nil {
			missing.Text = fmt.Appendf(missing.Text, "%s: %v\n", part.Name, part.Err)
			continue
		}
		contents.Text = fmt.Appendf(contents.Text, "%s: %s\n", part.Name, part.What)
		there = append(there, part)
	}
	slices.SortFunc(there, func(a, b Part) int { return cmp.Compare(a.Name, b.Name) })
	if len(missing.Text) == 0 {
		missing.Text = []byte("nothing is missing\n")
	}
	return append([]Part{contents, missing}, there...)
}

// last is the end of a text, from a line's begin.
func last(text []byte) []byte {
	if len(text) <= most {
		return text
	}
	text = text[len(text)-most:]
	if at := slices.Index(text, '\n'); at >= 0 {
		text = text[at+1:]
	}
	return text
}
