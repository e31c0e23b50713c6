// Package archive is the file that a snapshot of a stack is kept in: a tar, compressed with zstd, that can be written
// as it streams in and is believed only after it was read to its end.
//
// The first file, snapshot.json, says what it is. Then come the stack's own files below state/ and the volumes below
// volumes/NAME. The last one, manifest.json, lists every entry before it with its size and SHA-256: what is cut off has
// none, what was changed does not agree with it. It is a checksum and no signature: who can write the file can write
// the manifest. Entries are files and folders; links and devices are neither written nor read.
package archive

import (
	"fmt"
	"time"
)

// SchemaVersion is the version of the format that this program writes.
const SchemaVersion = 1

// The folders of an archive.
const (
	StateFolder   = "state"
	VolumesFolder = "volumes"
)

const (
	infoName     = "snapshot.json"
	manifestName = "manifest.json"
	infoLimit    = 1 << 20
)

// Info says what a snapshot holds; it is the first file.
type Info struct {
	SchemaVersion int       `json:"schemaVersion"`
	Stack         string    `json:"stack"`
	CreatedAt     time.Time `json:"createdAt"`
	Version       string    `json:"version"` // of docker telemetry
	Engine        string    `json:"engine"`  // what the engine called itself
	Volumes       []Volume  `json:"volumes"`
}

// Volume is one volume of the stack.
type Volume struct {
	Name      string `json:"name"` // its key in the compose file, for example openobserve-data
	Component string `json:"component"`
	Image     string `json:"image"` // of the component when the snapshot was taken
	Method    string `json:"method"`
}

// Ways in which a volume was made to stand still.
const (
	MethodSnapshot = "snapshot" // the store's own snapshot, while it ran
	MethodStopped  = "stopped"  // nothing had the volume open
)

// Entry is a file or a folder, by its slash-separated path from the archive's root.
type Entry struct {
	Name   string `json:"name"`
	Dir    bool   `json:"dir,omitempty"`
	Mode   uint32 `json:"mode"` // permissions only
	UID    int    `json:"uid"`
	GID    int    `json:"gid"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitempty"` // of a file's content, hexadecimal

	ModTime time.Time `json:"-"`
}

type manifest struct {
	SchemaVersion int     `json:"schemaVersion"`
	Entries       []Entry `json:"entries"`
}

// Limits bound what an archive may make its reader do.
type Limits struct {
	Entries  int   // files and folders
	Manifest int64 // bytes
	// Expanded is how many bytes may come out of each byte of the file, once Free bytes have come out.
	Expanded, Free int64
}

// DefaultLimits are far above what a stack comes to: a store's files compress ten to one, not a thousand.
func DefaultLimits() Limits {
	return Limits{Entries: 1_000_000, Manifest: 512 << 20, Expanded: 1000, Free: 1 << 30}
}

// Error is an archive that cannot be believed.
type Error struct{ Reason string }

func (e *Error) Error() string { return "the snapshot " + e.Reason }

// Hint says the way out.
func (e *Error) Hint() string {
	return "use another one (docker telemetry snapshot ls); this one was cut short or changed after it was written"
}

// NewerError is an archive of a later version.
type NewerError struct{ Found int }

func (e *NewerError) Error() string {
	return fmt.Sprintf("the snapshot has schema %d, this version knows up to %d", e.Found, SchemaVersion)
}

// Hint says the way out.
func (e *NewerError) Hint() string { return "upgrade docker telemetry" }

func broken(format string, args ...any) error { return &Error{Reason: fmt.Sprintf(format, args...)} }
