package credentials

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
)

const (
	userSuffix     = "_user"
	passwordSuffix = "_password"
)

// extraShape leaves no underscore: it parts a log-in's name from the names of its two files.

// CheckExtra says, as an error, why a log-in of a profile cannot be had: its name or user does not fit, or the name is
// that of one of the stack's own.
func CheckExtra(name, user string) error {
	switch {
	case !extraShape().MatchString(name):
		return fmt.Errorf("%q is not a name: begin with a letter, then a-z, 0-9 and -, at most 40 characters", name)
	case slices.Contains(Names(), name):
		return errors.New("the stack has a log-in of that name already")
	case user == "":
		return errors.New("user: say who logs in")
	case !userShape().MatchString(user):
		return fmt.Errorf("user: %q holds characters that a user name must not have", user)
	default:
		return nil
	}
}

// EnsureExtra returns the log-ins that profiles need beside the stack's own, users by the log-in's name, and makes the
// passwords that are missing. Those of a profile that was switched off stay: its store still has them.
func EnsureExtra(files Files, users map[string]string, rand io.Reader) (Set, error) {
	set := Set{}
	for _, e := range extraEntries(users) {
		value, err := readOne(files.ReadFile, e)
		if errors.Is(err, fs.ErrNotExist) {
			value, err = makeOne(files, e, rand)
		}
		if err != nil {
			return nil, err
		}
		set[e.name] = value
	}
	return set, nil
}

// ReadExtra returns those of the log-ins that were made.
func ReadExtra(files interface {
	ReadFile(rel string) ([]byte, error)
}, users map[string]string,
) (Set, error) {
	set := Set{}
	for _, e := range extraEntries(users) {
		value, err := readOne(files.ReadFile, e)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		set[e.name] = value
	}
	return set, nil
}

func extraEntries(users map[string]string) []entry {
	var all []entry
	for _, name := range slices.Sorted(maps.Keys(users)) {
		all = append(all, entry{name + userSuffix, users[name]}, entry{name + passwordSuffix, ""})
	}
	return all
}

// extraNames lists the log-ins of a set that are not the stack's own.
func (s Set) extraNames() []string {
	own := map[string]bool{OpenObservePassword: true, VictoriaMetricsPassword: true, GrafanaPassword: true}
	var names []string
	for key := range s {
		if name, is := strings.CutSuffix(key, passwordSuffix); is && !own[key] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func extraShape() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`) }
