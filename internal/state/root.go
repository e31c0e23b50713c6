// Package state keeps what docker telemetry must remember between two runs: one folder a stack, and the certificate
// authority that all stacks of a user share. Every write is atomic, no symbolic link below the root is followed.
package state

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

const (
	product   = "docker-telemetry"
	caFolder  = "ca"
	snapshots = "snapshots"
	lockFile  = "lock"
	stateFile = "state.json"

	// Most file systems allow 255 bytes a name. One encoded byte takes three, so these leave room.
	maxStackName = 128
	maxSegment   = 160
)

// Root names the two folders of a user.
type Root struct {
	Config string // what people write: their own profiles
	State  string // what the program writes: <context>/<stack>/ and ca/
}

// DefaultRoot follows XDG_CONFIG_HOME and XDG_STATE_HOME on every system and falls back to the system's own convention.
// It fails if neither they nor the home folder are set.
func DefaultRoot(getenv func(string) string) (Root, error) {
	return defaultRoot(runtime.GOOS, getenv)
}

func defaultRoot(goos string, getenv func(string) string) (Root, error) {
	config, state := systemFolders(goos, getenv)
	// The XDG specification: a relative path is invalid and must be ignored.
	if dir := getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		config = filepath.Join(dir, product)
	}
	if dir := getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		state = filepath.Join(dir, product)
	}
	if config == "" || state == "" {
		return Root{}, &homeError{}
	}
	return Root{Config: config, State: state}, nil
}

func systemFolders(goos string, getenv func(string) string) (config, state string) {
	under := func(base string, elem ...string) string {
		if base == "" {
			return ""
		}
		return filepath.Join(append([]string{base}, elem...)...)
	}
	switch goos {
	case "windows":
		return under(getenv("AppData"), product), under(getenv("LocalAppData"), product, "state")
	case "darwin":
		support := under(getenv("HOME"), "Library", "Application Support", product)
		return support, under(support, "state")
	default:
		return under(getenv("HOME"), ".config", product), under(getenv("HOME"), ".local", "state", product)
	}
}

// stackName is Compose's rule for project names: the stack's name becomes the project's.
func stackName() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`) }

// Stack names the folder of a stack; nothing is created. The context may hold any characters, the name follows
// Compose's rule for project names; a bad one is a *NameError.
func (r Root) Stack(context, name string) (*Stack, error) {
	if !stackName().MatchString(name) || len(name) > maxStackName {
		return nil, &NameError{
			What: "stack", Name: name,
			Rule: fmt.Sprintf("use a-z, 0-9, _ and -, begin with a letter or a digit, at most %d characters", maxStackName),
		}
	}
	contextDir, err := contextSegment(context)
	if err != nil {
		return nil, err
	}
	path := []string{contextDir, segment(name)}
	return &Stack{
		Context: context,
		Name:    name,
		Dir:     filepath.Join(append([]string{r.State}, path...)...),
		path:    path,
		root:    r.State,
	}, nil
}

// Stacks lists the stacks that have state in a context, sorted. A folder with nothing but a lock in it is no stack:
// asking for the lock of an unknown stack makes one.
func (r Root) Stacks(context string) ([]string, error) {
	contextDir, err := contextSegment(context)
	if err != nil {
		return nil, err
	}
	dir := folder{base: r.State, path: []string{contextDir}}
	root, err := dir.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()

	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, fail("list", dir.abs(), err)
	}
	var names []string
	for _, entry := range entries {
		name, err := url.PathUnescape(entry.Name())
		if err != nil || !entry.IsDir() || !stackName().MatchString(name) {
			continue
		}
		kept, err := holdsState(root, entry.Name())
		if err != nil {
			return nil, fail("list", filepath.Join(dir.abs(), entry.Name()), err)
		}
		if kept {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// StacksElsewhere names the stacks that have state in other contexts; of those with very long names not all.
func (r Root) StacksElsewhere(context string) ([]string, error) {
	own, err := contextSegment(context)
	if err != nil {
		return nil, err
	}
	root, err := folder{base: r.State}.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, fail("list", r.State, err)
	}
	var names []string
	for _, entry := range entries {
		other, err := url.PathUnescape(entry.Name())
		if err != nil || !entry.IsDir() || entry.Name() == own || entry.Name() == caFolder || entry.Name() == snapshots {
			continue
		}
		found, err := r.Stacks(other)
		if err != nil {
			return nil, err
		}
		names = append(names, found...)
	}
	return names, nil
}

func holdsState(root *os.Root, dir string) (bool, error) {
	entries, err := fs.ReadDir(root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // removed since it was listed
	}
	for _, entry := range entries {
		if entry.Name() != lockFile {
			return true, nil
		}
	}
	return false, err
}

// CADir is the folder of the certificate authority that all stacks of the user share.
func (r Root) CADir() string {
	return filepath.Join(r.State, caFolder)
}

// CAFiles reads and writes inside CADir with the same care as a stack's files. Use it under WithCALock.
func (r Root) CAFiles() *Files {
	return &Files{folder{base: r.State, path: []string{caFolder}}}
}

// SnapshotDir is the folder of the snapshots that were given no file. It is outside of the stacks' folders: a snapshot
// is what stays when its stack is removed.
func (r Root) SnapshotDir() string { return filepath.Join(r.State, snapshots) }

// contextSegment keeps contexts called "ca" or "snapshots" apart from the folders of these names.
func contextSegment(context string) (string, error) {
	if context == "" {
		return "", &NameError{What: "docker context", Name: context, Rule: "name a context, such as default"}
	}
	if context == caFolder || context == snapshots {
		return escapeByte(context[0]) + context[1:], nil
	}
	return segment(context), nil
}

// segment turns a name into one path segment, one to one. Capitals are escaped because macOS and Windows fold case, the
// device names because Windows reserves them, a dot at either end because of "..", hidden files and Windows.
func segment(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '_', c == '-',
			c == '.' && 0 < i && i < len(name)-1:
			b.WriteByte(c)
		default:
			b.WriteString(escapeByte(c))
		}
	}
	s := b.String()
	if windowsDevice().MatchString(s) {
		s = escapeByte(s[0]) + s[1:]
	}
	return shorten(s)
}

func windowsDevice() *regexp.Regexp {
	return regexp.MustCompile(`^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)`)
}

func escapeByte(c byte) string {
	return fmt.Sprintf("%%%02x", c)
}
