package credentials

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
)

// A rotation is a file with the passwords that are on their way in. It is written before the first store is touched
// and emptied after the last secret was replaced, each in one step. While it holds anything, a store may have the old
// password or the new one, and both are on disk.
const rotationFile = folder + "rotation"

// Begin writes down a new password for each named log-in and returns the whole of what is on its way in: a rotation
// that was interrupted goes on with the passwords it had. The secrets themselves stay.
func Begin(files Files, names []string, rand io.Reader) (Set, error) {
	next, err := Pending(files)
	if err != nil {
		return nil, err
	}
	if next == nil {
		next = Set{}
	}
	for _, login := range (Set{}).Logins() {
		if _, underWay := next[login.passwordName]; underWay || !slices.Contains(names, login.Name) {
			continue
		}
		if next[login.passwordName], err = newPassword(rand); err != nil {
			return nil, err
		}
	}
	raw, err := json.Marshal(map[string]string(next))
	if err != nil {
		return nil, err
	}
	return next, files.WriteFile(rotationFile, raw, 0o600)
}

// Pending returns the passwords of a rotation that is under way or was interrupted, nil when there is none.
func Pending(files interface {
	ReadFile(rel string) ([]byte, error)
},
) (Set, error) {
	raw, err := files.ReadFile(rotationFile)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(raw) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var next Set
	if err := json.Unmarshal(raw, &next); err != nil || len(next) == 0 {
		return nil, &brokenRotationError{}
	}
	for name, password := range next {
		if !passwordName(name) || unusable(entry{name: name}, password) != "" {
			return nil, &brokenRotationError{}
		}
	}
	return next, nil
}

func passwordName(name string) bool {
	return slices.ContainsFunc((Set{}).Logins(), func(login Login) bool { return login.passwordName == name })
}

// Commit replaces the secrets with those of the rotation and ends it. Call it when the stores were seen to take them.
func Commit(files Files, next Set) error {
	for _, name := range slices.Sorted(maps.Keys(next)) {
		if err := files.WriteFile(folder+name, []byte(next[name]), 0o600); err != nil {
			return err
		}
	}
	return Abandon(files)
}

// Abandon ends a rotation and leaves the secrets as they are. Call it when the stores were seen to take those.
func Abandon(files Files) error { return files.WriteFile(rotationFile, nil, 0o600) }

// Rotated returns the names of the log-ins whose passwords a set holds.
func (s Set) Rotated() []string {
	var names []string
	for _, login := range s.Logins() {
		if login.Password != "" {
			names = append(names, login.Name)
		}
	}
	return names
}

// brokenRotationError is a rotation's file that cannot be what Begin wrote. It never quotes the content.
type brokenRotationError struct{}

func (*brokenRotationError) Error() string {
	return fmt.Sprintf("secret %q cannot be read as a rotation that was begun", rotationFile)
}

// Hint says the way out.
func (*brokenRotationError) Hint() string {
	return "restore the file from a backup, or empty it and set new passwords: docker telemetry credentials rotate"
}
