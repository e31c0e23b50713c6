package profiles

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed */*.yaml */config
var shipped embed.FS

// FS returns the folders of the shipped profiles.
func FS() fs.FS { return shipped }

// Catalog is every profile that can be switched on, sorted by name.
type Catalog []Profile

// Shipped returns the profiles of this program. Reading them costs a few hundred microseconds, so nothing does it at
// start-up.
func Shipped() (Catalog, error) { return read(shipped, "") }

// Load returns the shipped profiles and the user's own, which stand in one folder each below dir; no folder is no error.
// A user's profile must not have the name of another.
func Load(dir string) (Catalog, error) {
	catalog, err := Shipped()
	if err != nil {
		return nil, err
	}
	own, err := read(Folder(dir), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return catalog, nil
	}
	if err != nil {
		return nil, err
	}
	for _, profile := range own {
		for _, word := range append([]string{profile.Name}, profile.Aliases...) {
			if other, known := catalog.find(word); known {
				return nil, &Error{
					Text:   fmt.Sprintf("the profile in %s takes the name %q, which is that of profile %s", profile.Origin, word, other.Name),
					Advice: "give it another name, or remove it: docker telemetry profiles rm " + filepath.Base(profile.Origin),
				}
			}
		}
		catalog = append(catalog, profile)
	}
	catalog.sort()
	return catalog, nil
}

func read(from fs.FS, dir string) (Catalog, error) {
	entries, err := fs.ReadDir(from, ".")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, &Error{Text: fmt.Sprintf("cannot read the folder of profiles %s: %s", dir, cause(err)), Advice: "it is a folder that you can read, or is not there"}
	}
	var catalog Catalog
	for _, entry := range entries {
		if linked(dir, entry) {
			return nil, &Error{
				Text:   fmt.Sprintf("profile %s is a symbolic link", filepath.Join(dir, entry.Name())),
				Advice: "put the folder itself there: its files are read from nowhere else",
			}
		}
		if !entry.IsDir() || dir == "" && entry.Name() == templateFolder {
			continue
		}
		folder, origin, err := sub(from, dir, entry.Name())
		if err != nil {
			return nil, err
		}
		profile, err := Read(folder, origin)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a folder without a profile.yaml is something else of the user's
		}
		if err != nil {
			return nil, err
		}
		if profile.Name != entry.Name() {
			return nil, &Error{
				Text:   fmt.Sprintf("%s: name: %q is not the name of its folder", at(origin, File), profile.Name),
				Advice: "rename one of the two",
			}
		}
		catalog = append(catalog, profile)
	}
	catalog.sort()
	return catalog, nil
}

// linked reports whether an entry of a user's folder leads to a profile elsewhere.
func linked(dir string, entry fs.DirEntry) bool {
	if entry.Type()&fs.ModeSymlink == 0 {
		return false
	}
	_, err := os.Stat(filepath.Join(dir, entry.Name(), File))
	return err == nil
}

func sub(from fs.FS, dir, name string) (folder fs.FS, origin string, err error) {
	if dir != "" {
		return Folder(filepath.Join(dir, name)), filepath.Join(dir, name), nil
	}
	folder, err = fs.Sub(from, name)
	return folder, "", err
}

// Folder is a folder of the user's disk whose files cannot lie outside of it: a symbolic link that leads out is refused.
type Folder string

// Open opens a file or a folder by its slash-separated path below the folder. Anything else is refused before it is
// opened: that waits for a writer where it is a pipe.
func (f Folder) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	root, err := os.OpenRoot(string(f))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	local := filepath.FromSlash(name)
	info, err := root.Stat(local)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() && !info.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errNoFile}
	}
	return root.Open(local)
}

var errNoFile = errors.New("it is neither a file nor a folder")

func (c Catalog) sort() {
	slices.SortFunc(c, func(a, b Profile) int { return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(a.Name, b.Name)) })
}

func (c Catalog) find(word string) (Profile, bool) {
	for _, profile := range c {
		if profile.is(word) {
			return profile, true
		}
	}
	return Profile{}, false
}

// Find returns the profile that a person means by a word: its name or an alias.
func (c Catalog) Find(word string) (Profile, error) {
	profile, known := c.find(word)
	if !known {
		return Profile{}, &Error{
			Text: fmt.Sprintf("there is no profile %q", word), Advice: "profiles: " + strings.Join(c.Names(), ", "), Usage: true,
		}
	}
	return profile, nil
}

// Names lists the names of all profiles in the alphabet's order.
func (c Catalog) Names() []string {
	names := make([]string, 0, len(c))
	for _, profile := range c {
		names = append(names, profile.Name)
	}
	slices.Sort(names)
	return names
}
