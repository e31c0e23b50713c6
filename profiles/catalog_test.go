package profiles_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/profiles"
)

func TestShipped(t *testing.T) {
	catalog, err := profiles.Shipped()
	assert.NilError(t, err)
	for _, want := range []string{"minimal", "otel", "quiet-logs", "scaled-aggregators"} {
		assert.Assert(t, slices.Contains(catalog.Names(), want), "%s is not among %v", want, catalog.Names())
	}
	words := map[string]string{}
	for _, profile := range catalog {
		assert.Equal(t, profile.Origin, "")
		for _, word := range append([]string{profile.Name}, profile.Aliases...) {
			assert.Equal(t, words[word], "", "%s is a word for two profiles", word)
			words[word] = profile.Name
			found, err := catalog.Find(word)
			assert.NilError(t, err)
			assert.Equal(t, found.Name, profile.Name)
		}
		if len(profile.Checks) == 0 {
			t.Errorf("nothing proves profile %s", profile.Name)
		}
	}
	for _, profile := range catalog {
		for _, conflict := range profile.Conflicts {
			assert.Assert(t, words[conflict.Profile] != "", "%s conflicts with %s, which is no profile", profile.Name, conflict.Profile)
		}
		for _, word := range profile.Includes {
			assert.Assert(t, words[word] != "", "%s includes %s, which is no profile", profile.Name, word)
		}
	}
}

// What people type may not change its meaning from one release to the next.
func TestWordsOfShippedProfiles(t *testing.T) {
	catalog, err := profiles.Shipped()
	assert.NilError(t, err)
	for word, want := range map[string]string{
		"otel": "otel", "with-otel": "otel", "traces": "otel", "scaled-aggregators": "scaled-aggregators", "scaled": "scaled-aggregators",
	} {
		found, err := catalog.Find(word)
		assert.NilError(t, err)
		assert.Equal(t, found.Name, want, word)
	}
}

// write makes files, by their slash-separated path, below a folder of the test's.
func write(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		assert.NilError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		assert.NilError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return dir
}

func TestLoadAddsTheUsersOwn(t *testing.T) {
	shipped, err := profiles.Shipped()
	assert.NilError(t, err)
	none, err := profiles.Load(filepath.Join(t.TempDir(), "nothing"))
	assert.NilError(t, err)
	assert.DeepEqual(t, none.Names(), shipped.Names())

	dir := write(t, t.TempDir(), map[string]string{
		"mine/profile.yaml":     "name: mine\naliases: [my]\nadds: x\n",
		"mine/compose.yaml":     "services: {}\n",
		"template/profile.yaml": "name: template\nadds: a name like any other\n",
		"template/compose.yaml": "services: {}\n",
		"notes/readme.md":       "no profile\n",
		".git/HEAD":             "no profile\n",
		"stray.yaml":            "no folder\n",
	})
	catalog, err := profiles.Load(dir)
	assert.NilError(t, err)
	assert.Equal(t, len(catalog), len(shipped)+2)
	profile, err := catalog.Find("my")
	assert.NilError(t, err)
	assert.Equal(t, profile.Origin, filepath.Join(dir, "mine"))
	text, err := fs.ReadFile(profile.Files, "compose.yaml")
	assert.NilError(t, err)
	assert.Equal(t, string(text), "services: {}\n")
}

func TestLoadRefuses(t *testing.T) {
	good := func(name string) string { return "name: " + name + "\nadds: x\n" }
	for _, tc := range []struct {
		name       string
		make       func(t *testing.T, dir string)
		want, hint string // %s is the folder
	}{
		{"a file for a folder", func(t *testing.T, dir string) {
			assert.NilError(t, os.Remove(dir))
			assert.NilError(t, os.WriteFile(dir, nil, 0o600))
		}, "cannot read the folder of profiles %[1]s: not a directory", "it is a folder that you can read, or is not there"},
		{"a broken one", func(t *testing.T, dir string) {
			write(t, dir, map[string]string{"mine/profile.yaml": "name: mine\n"})
		}, "%[1]s/mine/profile.yaml: adds: say in one line what it adds", "mend it, or remove it: docker telemetry profiles rm mine"},
		{"another name than the folder's", func(t *testing.T, dir string) {
			write(t, dir, map[string]string{"mine/profile.yaml": good("yours"), "mine/compose.yaml": ""})
		}, `%[1]s/mine/profile.yaml: name: "yours" is not the name of its folder`, "rename one of the two"},
		{"the name of a shipped one", func(t *testing.T, dir string) {
			write(t, dir, map[string]string{"otel/profile.yaml": good("otel"), "otel/compose.yaml": ""})
		}, `the profile in %[1]s/otel takes the name "otel", which is that of profile otel`, "give it another name, or remove it: docker telemetry profiles rm otel"},
		{"the alias of a shipped one", func(t *testing.T, dir string) {
			write(t, dir, map[string]string{"with-otel/profile.yaml": good("with-otel"), "with-otel/compose.yaml": ""})
		}, `the profile in %[1]s/with-otel takes the name "with-otel", which is that of profile otel`, "give it another name, or remove it: docker telemetry profiles rm with-otel"},
		{"an alias that is another's", func(t *testing.T, dir string) {
			write(t, dir, map[string]string{
				"a/profile.yaml": good("a"), "a/compose.yaml": "",
				"b/profile.yaml": good("b") + "aliases: [a]\n", "b/compose.yaml": "",
			})
		}, `the profile in %[1]s/b takes the name "a", which is that of profile a`, "give it another name, or remove it: docker telemetry profiles rm b"},
		{"a profile.yaml that leads out", func(t *testing.T, dir string) {
			elsewhere := write(t, t.TempDir(), map[string]string{"profile.yaml": good("mine")})
			write(t, dir, map[string]string{"mine/compose.yaml": ""})
			assert.NilError(t, os.Symlink(filepath.Join(elsewhere, "profile.yaml"), filepath.Join(dir, "mine", "profile.yaml")))
		}, "cannot read %[1]s/mine/profile.yaml: path escapes from parent", "mend it, or remove it: docker telemetry profiles rm mine"},
		{"a part that leads out", func(t *testing.T, dir string) {
			elsewhere := write(t, t.TempDir(), map[string]string{"compose.yaml": "services: {}\n"})
			write(t, dir, map[string]string{"mine/profile.yaml": good("mine")})
			assert.NilError(t, os.Symlink(filepath.Join(elsewhere, "compose.yaml"), filepath.Join(dir, "mine", "compose.yaml")))
		}, `%[1]s/mine/profile.yaml: parts[0].file: there is no file "compose.yaml" in the profile's folder`, "mend it, or remove it: docker telemetry profiles rm mine"},
		{"a folder that leads out", func(t *testing.T, dir string) {
			elsewhere := write(t, t.TempDir(), map[string]string{"profile.yaml": good("mine"), "compose.yaml": ""})
			assert.NilError(t, os.Symlink(elsewhere, filepath.Join(dir, "mine")))
		}, "profile %[1]s/mine is a symbolic link", "put the folder itself there: its files are read from nowhere else"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "profiles")
			assert.NilError(t, os.Mkdir(dir, 0o755))
			tc.make(t, dir)
			_, err := profiles.Load(dir)
			assert.Error(t, err, fmt.Sprintf(tc.want+"%.0[1]s", dir))
			var refusal *profiles.Error
			assert.Assert(t, errors.As(err, &refusal))
			assert.Equal(t, refusal.Hint(), tc.hint)
		})
	}
}

func TestFolderKeepsInside(t *testing.T) {
	outer := write(t, t.TempDir(), map[string]string{"secret": "s", "inner/file": "f", "inner/deep/file": "d"})
	inner := filepath.Join(outer, "inner")
	assert.NilError(t, os.Symlink("deep/file", filepath.Join(inner, "inside")))
	assert.NilError(t, os.Symlink("../secret", filepath.Join(inner, "outside")))
	assert.NilError(t, os.Symlink(outer, filepath.Join(inner, "up")))
	for _, name := range []string{"file", "deep/file", "inside"} {
		_, err := fs.ReadFile(profiles.Folder(inner), name)
		assert.NilError(t, err, name)
	}
	for _, name := range []string{"../secret", "outside", "up/secret", "/etc/passwd", "deep/../file", ""} {
		_, err := fs.ReadFile(profiles.Folder(inner), name)
		assert.Assert(t, err != nil, "%q was read", name)
	}
}

func TestCreate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "profiles")
	folder, err := profiles.Create(dir, "mine")
	assert.NilError(t, err)
	assert.Equal(t, folder, filepath.Join(dir, "mine"))
	catalog, err := profiles.Load(dir)
	assert.NilError(t, err)
	profile, err := catalog.Find("mine")
	assert.NilError(t, err)
	assert.Equal(t, profile.Adds, "logs of the service mine, as an example")
	for _, part := range profile.Parts {
		text, err := fs.ReadFile(profile.Files, part.File)
		assert.NilError(t, err)
		assert.Assert(t, len(text) > 0)
	}

	write(t, dir, map[string]string{"occupied/mine.txt": "mine"})
	for name, want := range map[string]string{
		"mine":     `there is a profile "mine" already (mine)`,
		"scaled":   `there is a profile "scaled" already (scaled-aggregators)`,
		"none":     `"none" is not a name for a profile`,
		"../mine":  `"../mine" is not a name for a profile`,
		"":         `"" is not a name for a profile`,
		"occupied": fmt.Sprintf("%q is there already and is no profile", filepath.Join(dir, "occupied")),
	} {
		_, err := profiles.Create(dir, name)
		assert.Error(t, err, want)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "occupied"))
	assert.NilError(t, err)
	assert.Equal(t, len(entries), 1)
}

// The hint of a broken profile says `profiles create` and `profiles rm`, so both work beside one.
func TestABrokenProfileIsNoDeadEnd(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"broken/profile.yaml": "name: [\n", "other/notes": "x"})
	_, err := profiles.Load(dir)
	assert.ErrorContains(t, err, "broken/profile.yaml:")
	_, err = profiles.Create(dir, "fresh")
	assert.NilError(t, err)

	for _, name := range []string{"other", "absent", "../broken", ""} {
		_, there := profiles.Broken(dir, name)
		assert.Assert(t, !there, name)
	}
	broken, there := profiles.Broken(dir, "broken")
	assert.Assert(t, there)
	assert.NilError(t, profiles.Remove(broken))
	catalog, err := profiles.Load(dir)
	assert.NilError(t, err)
	assert.Assert(t, slices.Contains(catalog.Names(), "fresh"))
}

func TestRemoveLeavesTheShipped(t *testing.T) {
	catalog, err := profiles.Shipped()
	assert.NilError(t, err)
	assert.Error(t, profiles.Remove(catalog[0]), "profile "+catalog[0].Name+" is not a user's own")
}
