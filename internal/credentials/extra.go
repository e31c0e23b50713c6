package credentials

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

const (
	userSuffix     = "_user"
	passwordSuffix = "_password"
)

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
