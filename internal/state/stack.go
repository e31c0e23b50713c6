package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Schema is the version of state.json this program writes.
const Schema = 1

// Phases of a stack. "starting" that outlives its process tells an interrupted up.
const (
	PhaseNone     = ""
	PhaseStarting = "starting"
	PhaseRunning  = "running"
	PhaseStopped  = "stopped"
)

// Stack is the folder of one stack: state.json, secrets/, certs/ and the lock.
type Stack struct {
	Context, Name string
	Dir           string // State/<context>/<stack>, both escaped where needed

	// OnNotice, if set, is told what was mended, such as a secret that others could read.
	OnNotice func(message string)

	root string
	path []string
}

// File is the content of state.json.
type File struct {
	SchemaVersion int               `json:"schemaVersion"`
	Version       string            `json:"version"` // of docker telemetry, when last written
	Profiles      []string          `json:"profiles,omitempty"`
	Overlays      []string          `json:"overlays,omitempty"`  // absolute paths of the user's compose files
	Options       map[string]string `json:"options,omitempty"`   // of the profiles
	Features      map[string]bool   `json:"features,omitempty"`  // of the engine's host, as the last up found them
	Scale         map[string]int    `json:"scale,omitempty"`     // replicas by component
	Volumes       map[string]string `json:"volumes,omitempty"`   // names on the engine by key, of those that a restore made beside others
	Retention     map[string]string `json:"retention,omitempty"` // by what it is for: metrics, logs, traces, logs/STREAM
	Disk          *Disk             `json:"disk,omitempty"`      // nil: no budget
	Bind          string            `json:"bind,omitempty"`
	Port          int               `json:"port,omitempty"`
	DockerSocket  string            `json:"dockerSocket,omitempty"`
	Host          string            `json:"host,omitempty"`
	EngineID      string            `json:"engineID,omitempty"`
	// Uses are what Compose projects have asked for and not let go of; ForProjects says that one of them started the stack
	// and nobody did by hand since, so it ends with the last of them.
	Uses        []Use `json:"uses,omitempty"`
	ForProjects bool  `json:"forProjects,omitempty"`

	Phase     string    `json:"phase"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// Use is one service of a Compose project that has this stack for its provider.
type Use struct {
	Project  string    `json:"project"`
	Service  string    `json:"service"`            // the name by which the project's containers reach the collector
	Networks []string  `json:"networks,omitempty"` // to be reached on, as Compose or the engine calls them; none is all of the project's
	Stopped  bool      `json:"stopped,omitempty"`  // by `docker compose stop`
	Since    time.Time `json:"since"`              // of its last up
}

// Disk is a budget of the disk, in bytes, with what followed from it when it was set.
type Disk struct {
	Bytes   int64 `json:"bytes"`   // in all
	Metrics int64 `json:"metrics"` // the parts
	Logs    int64 `json:"logs"`
	Buffers int64 `json:"buffers"`
	Reserve int64 `json:"reserve"`

	MetricsDays int `json:"metricsDays,omitempty"` // retention that fits; 0 leaves it as it was
	LogsDays    int `json:"logsDays,omitempty"`

	MetricsFree    int64 `json:"metricsFree"` // VictoriaMetrics takes no more when its disk has less free
	LogsPercent    int   `json:"logsPercent"` // OpenObserve takes no more when more of its disk is used
	CacheMegabytes int64 `json:"cacheMegabytes"`
}

func (s *Stack) folder() folder {
	return folder{base: s.root, path: s.path, notice: s.OnNotice}
}

// ReadFile reads a file of the stack by its slash-separated path, such as secrets/NAME. A missing file is an
// fs.ErrNotExist inside a *PathError; a secret that others could read is mended and told to OnNotice.
func (s *Stack) ReadFile(rel string) ([]byte, error) { return s.folder().readFile(rel) }

// WriteFile replaces a file of the stack in one step. Secrets and keys lose every permission for others.
func (s *Stack) WriteFile(rel string, data []byte, perm fs.FileMode) error {
	return s.folder().writeFile(rel, data, perm)
}

// Load reads state.json. None yet is fs.ErrNotExist, nonsense a *CorruptError, a later schema a *NewerSchemaError.
func (s *Stack) Load() (File, error) {
	data, err := s.ReadFile(stateFile)
	if err != nil {
		return File{}, err
	}
	return decode(filepath.Join(s.Dir, stateFile), data)
}

func decode(path string, data []byte) (File, error) {
	// The version first and alone: a later schema may have changed the type of any other field.
	var head struct {
		SchemaVersion int `json:"schemaVersion"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return File{}, &CorruptError{Path: path, Err: err}
	}
	if head.SchemaVersion > Schema {
		return File{}, &NewerSchemaError{Path: path, Found: head.SchemaVersion, Known: Schema}
	}
	if head.SchemaVersion < 1 {
		return File{}, &CorruptError{Path: path, Err: fmt.Errorf("schema version %d", head.SchemaVersion)}
	}
	var file File
	if err := json.Unmarshal(data, &file); err != nil {
		return File{}, &CorruptError{Path: path, Err: err}
	}
	return file, nil
}

// Save writes state.json in one step, with the schema version and the times set. It refuses to overwrite the file of a
// newer version: what that one remembers would be lost.
func (s *Stack) Save(file File) error {
	var newer *NewerSchemaError
	if _, err := s.Load(); errors.As(err, &newer) {
		return err
	}
	file.SchemaVersion = Schema
	file.UpdatedAt = time.Now().UTC()
	if file.CreatedAt.IsZero() {
		file.CreatedAt = file.UpdatedAt
	}
	data, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return err
	}
	return s.WriteFile(stateFile, append(data, '\n'), filePerm)
}

// Remove deletes the folder of this stack and nothing else; symbolic links in it are deleted, not followed. Call it
// while holding the lock. Removing what is not there is no error.
func (s *Stack) Remove() error {
	dir, err := s.folder().open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()

	entries, err := fs.ReadDir(dir.FS(), ".")
	if err != nil {
		return fail("list", s.Dir, err)
	}
	for _, entry := range entries {
		if entry.Name() == lockFile {
			continue
		}
		if err := dir.RemoveAll(entry.Name()); err != nil {
			return fail("remove", filepath.Join(s.Dir, entry.Name()), err)
		}
	}
	s.removeEmpty(dir)
	return nil
}

// removeEmpty takes the lock away last and the folders only if they are empty. From the moment the lock is gone the
// next process may make its own in here, so nothing is removed recursively any more. Windows cannot delete the lock
// while we hold it; a folder with only a lock does not count as a stack.
func (s *Stack) removeEmpty(dir *os.Root) {
	if err := dir.Remove(lockFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return
	}
	above := folder{base: s.root, path: s.path[:1]}
	if parent, err := above.open(false); err == nil {
		_ = parent.Remove(s.path[1])
		parent.Close()
	}
	above.path = nil
	if parent, err := above.open(false); err == nil {
		_ = parent.Remove(s.path[0])
		parent.Close()
	}
}
