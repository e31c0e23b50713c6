package profiles

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// templateFolder stands beside the shipped profiles and is none.
const templateFolder = "template"

//go:embed template
var template embed.FS

// Create writes a profile of the user's own into dir/name from a template that loads as it is, and returns its folder.
// A name that is taken or cannot be one is refused, and nothing is overwritten.
func Create(dir, name string) (string, error) {
	if !nameShape().MatchString(name) || name == None {
		return "", &Error{
			Text: fmt.Sprintf("%q is not a name for a profile", name), Advice: "begin with a letter, then a-z, 0-9 and -, at most 40 characters", Usage: true,
		}
	}
	catalog, err := Load(dir)
	if err != nil {
		catalog, err = Shipped() // another profile that is broken is no reason not to make this one
	}
	if err != nil {
		return "", err
	}
	if other, taken := catalog.find(name); taken {
		return "", &Error{Text: fmt.Sprintf("there is a profile %q already (%s)", name, other.Name), Advice: "docker telemetry profiles show " + other.Name, Usage: true}
	}
	folder := filepath.Join(dir, name)
	if _, err := os.Lstat(folder); !errors.Is(err, fs.ErrNotExist) {
		return "", &Error{Text: fmt.Sprintf("%q is there already and is no profile", folder), Advice: "choose another name"}
	}
	return folder, fs.WalkDir(template, templateFolder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(folder, filepath.FromSlash(strings.TrimPrefix(strings.TrimPrefix(path, templateFolder), "/")))
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		raw, err := fs.ReadFile(template, path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, []byte(strings.ReplaceAll(string(raw), "NAME", name)), 0o644)
	})
}

// Broken returns a profile of the user's own below dir that cannot be read, so that it can be removed all the same.
func Broken(dir, name string) (Profile, bool) {
	if !nameShape().MatchString(name) {
		return Profile{}, false
	}
	folder := filepath.Join(dir, name)
	if _, err := os.Lstat(filepath.Join(folder, File)); err != nil {
		return Profile{}, false
	}
	return Profile{Name: name, Origin: folder}, true
}

// Remove deletes the folder of a user's own profile.
func Remove(profile Profile) error {
	if profile.Origin == "" {
		return fmt.Errorf("profile %s is not a user's own", profile.Name)
	}
	if err := os.RemoveAll(profile.Origin); err != nil {
		return fmt.Errorf("remove profile %s: %w", profile.Name, err)
	}
	return nil
}
