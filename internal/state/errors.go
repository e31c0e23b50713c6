package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// ErrSymlink is the cause in a *PathError when a file or folder of the state is a symbolic link.
var ErrSymlink = errors.New("is a symbolic link")

var (
	errNotAbsolute = errors.New("is not an absolute path")
	errNotRegular  = errors.New("is not a regular file")
	errSwapped     = errors.New("was replaced while it was opened")
)

// PathError is a failed read or write of the state, with the whole path.
type PathError struct {
	Op   string // read, write, create, ...
	Path string
	Err  error
}

func (e *PathError) Error() string { return fmt.Sprintf("cannot %s %q: %v", e.Op, e.Path, e.Err) }
func (e *PathError) Unwrap() error { return e.Err }

// Hint says what helps; it is empty for a file that just is not there.
func (e *PathError) Hint() string {
	const elsewhere = "set XDG_STATE_HOME to a folder you can write"
	switch {
	case errors.Is(e.Err, ErrSymlink):
		return "remove the symbolic link: the state is kept in real files and folders only"
	case errors.Is(e.Err, syscall.ENOSPC), errors.Is(e.Err, errQuota):
		return "free some space, or " + elsewhere
	case errors.Is(e.Err, fs.ErrPermission):
		return "make yourself its owner (it may have been created with sudo), or " + elsewhere
	case errors.Is(e.Err, fs.ErrNotExist) && e.Op == "read":
		return ""
	}
	return elsewhere
}

// fail strips the standard library's own path, which is relative to a folder the reader does not know.
func fail(op, path string, err error) error {
	return &PathError{Op: op, Path: path, Err: cause(err)}
}

func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		return link.Err
	}
	return err
}

// NameError is a name the user gave that cannot be used.
type NameError struct{ What, Name, Rule string }

func (e *NameError) Error() string { return fmt.Sprintf("%s name %q is not valid", e.What, e.Name) }

// Hint says the rule.
func (e *NameError) Hint() string { return e.Rule }

type homeError struct{}

func (*homeError) Error() string { return "no home folder: HOME is not set" }
func (*homeError) Hint() string {
	return "set HOME, or XDG_CONFIG_HOME and XDG_STATE_HOME, to absolute paths"
}

// CorruptError is a state file that is there and cannot be understood.
type CorruptError struct {
	Path string
	Err  error
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("state file %q is damaged: %v", e.Path, e.Err)
}
func (e *CorruptError) Unwrap() error { return e.Err }

// Hint says the way out.
func (e *CorruptError) Hint() string {
	return `restore it from a backup, or remove it and run "docker telemetry up" again with the same options; stored data stays`
}

// NewerSchemaError is a state file that a newer version has written.
type NewerSchemaError struct {
	Path         string
	Found, Known int
}

func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("state file %q has schema %d, this version knows up to %d", e.Path, e.Found, e.Known)
}

// Hint says the way out.
func (e *NewerSchemaError) Hint() string { return "upgrade docker telemetry" }

// LockedError says who is changing the stack, or the certificate authority if Stack is empty. PID is 0 if the holder
// has not yet told.
type LockedError struct {
	Stack string
	PID   int
	Host  string
	Verb  string // the whole command, such as "docker telemetry up"
	Since time.Time
}

func (e *LockedError) Error() string {
	what := "the certificate authority"
	if e.Stack != "" {
		what = fmt.Sprintf("stack %q", e.Stack)
	}
	if e.PID == 0 {
		return what + " is being changed by another process"
	}
	where := ""
	if host, _ := os.Hostname(); e.Host != "" && e.Host != host {
		where = fmt.Sprintf(" on %q", e.Host)
	}
	return fmt.Sprintf("%s is being changed by %q (pid %d%s, since %s)",
		what, e.Verb, e.PID, where, e.Since.Local().Format(time.TimeOnly))
}

// Hint says the way out.
func (e *LockedError) Hint() string { return "wait until it has ended, or press Ctrl-C where it runs" }
