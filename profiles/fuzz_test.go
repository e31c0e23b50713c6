package profiles_test

import (
	"errors"
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/profiles"
)

// FuzzRead: whatever a profile.yaml says, it is a profile whose names and files can be used as such, or an error of one
// line with a hint.
func FuzzRead(f *testing.F) {
	catalog, err := profiles.Shipped()
	assert.NilError(f, err)
	for _, profile := range catalog {
		text, err := fs.ReadFile(profile.Files, profiles.File)
		assert.NilError(f, err)
		f.Add(string(text))
	}
	for _, seed := range []string{
		"", "- a", "name: mine\nadds: x\n", "name: mine\nadds: x\nparts: [{file: more/b.yaml, when: {option: a=b}}]\noptions: {a: {default: b, values: [b]}}\n",
		"name: &a mine\nadds: *a\n", "name: mine\nadds: x\nscale: {a: 1e1}\n", "name: [\n", "name: mine\n---\n", "<<: {name: mine, adds: x}\n", "? [a]\n: b\n",
		"name: mine\nadds: x\nconflicts:\n- profile\n", "name: mine\nadds: !!binary eA==\n", "name: mine\nadds: x\ncredentials: {a: {user: b}}\nchecks: [{otlp: logs}]",
	} {
		f.Add(seed)
	}
	name := regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)
	f.Fuzz(func(t *testing.T, text string) {
		profile, err := profiles.Read(folder(text), "")
		if err != nil {
			var refusal *profiles.Error
			assert.Assert(t, errors.As(err, &refusal), "%T: %v", err, err)
			assert.Assert(t, refusal.Text != "" && refusal.Advice != "")
			assert.Assert(t, !strings.ContainsAny(refusal.Text, "\n\r"), "%q", refusal.Text)
			return
		}
		assert.Assert(t, name.MatchString(profile.Name), "%q", profile.Name)
		assert.Assert(t, profile.Adds != "" && !strings.Contains(profile.Adds, "\n"))
		for _, part := range profile.Parts {
			_, err := fs.ReadFile(profile.Files, part.File)
			assert.NilError(t, err)
		}
		selection, err := profiles.Catalog{profile}.Select([]string{profile.Name})
		if err != nil {
			return // it includes what is not there
		}
		_, err = selection.Options(nil)
		assert.NilError(t, err, "a default that is refused")
		for login, user := range selection.Logins() {
			assert.Assert(t, name.MatchString(login) && user != "", "%q", login)
		}
	})
}
