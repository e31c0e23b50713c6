package profiles_test

import (
	"errors"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/profiles"
)

// sample is a catalog with one of everything; the files are not looked at.
func sample() profiles.Catalog {
	return profiles.Catalog{
		{Name: "a", Aliases: []string{"alpha"}, Includes: []string{"beta"}, Rank: 5, Scale: map[string]int{"aggregator": 2, "a": 1}},
		{Name: "b", Aliases: []string{"beta"}, Includes: []string{"c"}, Scale: map[string]int{"aggregator": 4}},
		{Name: "c", Includes: []string{"a"}, Needs: []string{"journal"}},
		{Name: "d", Conflicts: []profiles.Conflict{{Profile: "beta", Because: "both want the port"}}},
		{Name: "e", Includes: []string{"e"}, Needs: []string{"journal", "journal-volatile"}, Rank: -1},
		{Name: "lost", Includes: []string{"nowhere"}},
		{Name: "z", Includes: []string{"e", "d"}, Rank: -1},
	}
}

func names(selection profiles.Selection) string {
	var all []string
	for _, profile := range selection.Profiles {
		all = append(all, profile.Name)
	}
	return strings.Join(all, " ")
}

func TestSelect(t *testing.T) {
	for _, tc := range []struct{ name, asked, want, remembered string }{
		{"nothing", "", "", ""},
		{"none", "none", "", ""},
		{"one", "d", "d", "d"},
		{"by its alias, which is not remembered", "beta", "b c a", "b"},
		{"twice, by two words", "b beta b", "b c a", "b"},
		{"what it includes, round in a circle", "c", "b c a", "c"},
		{"what includes itself", "e", "e", "e"},
		{"merged by rank, then by name", "d e z", "e z d", "d e z"},
		{"remembered in one order", "z d e", "e z d", "d e z"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			selection, err := sample().Select(strings.Fields(tc.asked))
			assert.NilError(t, err)
			assert.Equal(t, names(selection), tc.want)
			assert.Equal(t, strings.Join(selection.Asked, " "), tc.remembered)
		})
	}
}

func TestSelectRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, asked, want, hint string
		usage                   bool
	}{
		{"an unknown word", "a nope", `there is no profile "nope"`, "profiles: a, b, c, d, e, lost, z", true},
		{"none beside another", "a none", "--profile none switches all profiles off and stands alone", "leave one of the two out", true},
		{"an include that is nowhere", "lost", `profile lost includes "nowhere", which is no profile`, "profiles: a, b, c, d, e, lost, z", false},
		{"two in conflict", "b d", "profiles d and b cannot be combined: both want the port", "choose one: docker telemetry up --profile d", true},
		{"the same in the other order", "d b", "profiles d and b cannot be combined: both want the port", "choose one: docker telemetry up --profile d", true},
		{"a conflict by what is included", "z c", "profiles d and b cannot be combined: both want the port", "choose one: docker telemetry up --profile d", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := sample().Select(strings.Fields(tc.asked))
			assert.Error(t, err, tc.want)
			var refusal *profiles.Error
			assert.Assert(t, errors.As(err, &refusal))
			assert.Equal(t, refusal.Hint(), tc.hint)
			assert.Equal(t, refusal.Usage, tc.usage)
		})
	}
}

func TestSelectionKnowsItsOwn(t *testing.T) {
	selection, err := sample().Select([]string{"alpha", "e"})
	assert.NilError(t, err)
	for word, want := range map[string]bool{"a": true, "alpha": true, "b": true, "beta": true, "e": true, "d": false, "": false} {
		assert.Equal(t, selection.On(word), want, word)
	}
	assert.DeepEqual(t, selection.Scale(), map[string]int{"aggregator": 4, "a": 1}) // of two, the higher
	assert.DeepEqual(t, selection.Needs(), map[string][]string{"journal": {"e", "c"}, "journal-volatile": {"e"}})
	assert.DeepEqual(t, selection.Features(), []string{"journal", "journal-volatile"})
}

// optional is two profiles with options, one of which depends on everything.
func optional(t *testing.T, words ...string) profiles.Selection {
	t.Helper()
	catalog := profiles.Catalog{
		{Name: "other"},
		{
			Name: "whole", Aliases: []string{"entire"},
			Options: map[string]profiles.Option{
				"way":  {Default: "a", Values: []string{"a", "b"}},
				"port": {Default: "4317", Port: true},
			},
			Credentials: map[string]profiles.Credential{"store": {User: "me"}},
			Parts: []profiles.Part{
				{File: "always"},
				{File: "profile", When: profiles.When{Profile: "other"}},
				{File: "option", When: profiles.When{Option: "way=b"}},
				{File: "native", When: profiles.When{Host: profiles.Native}, Otherwise: "native is left out"},
				{File: "feature", When: profiles.When{Host: "journal"}},
				{File: "all", When: profiles.When{Profile: "other", Option: "way=b", Host: profiles.Native}, Otherwise: "all is left out"},
			},
			Checks: []profiles.Check{{Metric: "up"}},
		},
	}
	selection, err := catalog.Select(words)
	assert.NilError(t, err)
	return selection
}

// Of a part's conditions all that are set must hold; it is said only where the host alone is in the way.
func TestFragments(t *testing.T) {
	for _, tc := range []struct{ name, asked, way, host, want, notes string }{
		{"by default", "whole", "a", "", "always", "native is left out"},
		{"beside another profile", "whole other", "a", "", "always profile", "native is left out"},
		{"with an option", "whole", "b", "", "always option", "native is left out"},
		{"on a host", "entire", "a", "native", "always native", ""},
		{"on a host with a feature", "whole", "a", "native journal", "always native feature", ""},
		{"two of three: no option", "whole other", "a", "native", "always profile native", ""},
		{"two of three: no profile", "whole", "b", "native", "always option native", ""},
		{"two of three: no host", "whole other", "b", "", "always profile option", "native is left out; all is left out"},
		{"all three", "whole other", "b", "native", "always profile option native all", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			selection := optional(t, strings.Fields(tc.asked)...)
			var files []string
			fragments, notes := selection.Fragments(map[string]string{"way": tc.way}, func(word string) bool {
				return strings.Contains(" "+tc.host+" ", " "+word+" ")
			})
			for _, fragment := range fragments {
				files = append(files, fragment.File)
				assert.Equal(t, fragment.Profile.Name, "whole")
			}
			assert.Equal(t, strings.Join(files, " "), tc.want)
			assert.Equal(t, strings.Join(notes, "; "), tc.notes)
		})
	}
}

func TestOptions(t *testing.T) {
	selection := optional(t, "whole")
	assert.DeepEqual(t, selection.Features(), []string{"journal"})
	assert.DeepEqual(t, selection.Logins(), map[string]string{"store": "me"})
	assert.DeepEqual(t, selection.Checks(), []profiles.Check{{Metric: "up"}})
	for _, tc := range []struct {
		name   string
		chosen map[string]string
		want   map[string]string
	}{
		{"defaults", nil, map[string]string{"way": "a", "port": "4317"}},
		{"chosen", map[string]string{"way": "b", "port": "1"}, map[string]string{"way": "b", "port": "1"}},
		{"of a profile that is off", map[string]string{"color": "red"}, map[string]string{"way": "a", "port": "4317"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			options, err := selection.Options(tc.chosen)
			assert.NilError(t, err)
			assert.DeepEqual(t, options, tc.want)
		})
	}
	for chosen, want := range map[[2]string]string{
		{"way", "c"}:      `--way "c" is not one of a, b`,
		{"port", "0"}:     `--port "0" is no port: choose one of 1 to 65535`,
		{"port", "65536"}: `--port "65536" is no port: choose one of 1 to 65535`,
		{"port", "-1"}:    `--port "-1" is no port: choose one of 1 to 65535`,
		{"port", "http"}:  `--port "http" is no port: choose one of 1 to 65535`,
	} {
		_, err := selection.Options(map[string]string{chosen[0]: chosen[1]})
		assert.Error(t, err, want)
		var refusal *profiles.Error
		assert.Assert(t, errors.As(err, &refusal) && refusal.Usage)
		assert.Equal(t, refusal.Hint(), "docker telemetry profiles show whole")
	}
}
