package profiles

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Selection is the profiles that are on, in the order they are merged.
type Selection struct {
	Profiles []Profile
	// Asked is the names that were asked for, without those that came by `includes`.
	Asked []string
}

// Select resolves words (names or aliases) with all that they include, and refuses what cannot be combined. No word, or
// None alone, gives an empty selection.
func (c Catalog) Select(asked []string) (Selection, error) {
	if slices.Contains(asked, None) {
		if len(asked) > 1 {
			return Selection{}, &Error{
				Text: "--profile none switches all profiles off and stands alone", Advice: "leave one of the two out", Usage: true,
			}
		}
		return Selection{}, nil
	}
	var selection Selection
	on := map[string]Profile{}
	for _, word := range asked {
		profile, err := c.Find(word)
		if err != nil {
			return Selection{}, err
		}
		if !slices.Contains(selection.Asked, profile.Name) {
			selection.Asked = append(selection.Asked, profile.Name)
		}
		if err := c.include(profile, on); err != nil {
			return Selection{}, err
		}
	}
	slices.Sort(selection.Asked)
	selection.Profiles = slices.SortedFunc(maps.Values(on), func(a, b Profile) int {
		return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(a.Name, b.Name))
	})
	return selection, selection.compatible()
}

// include adds a profile and what it includes; one that is there already ends the walk, so a circle does too.
func (c Catalog) include(profile Profile, on map[string]Profile) error {
	if _, there := on[profile.Name]; there {
		return nil
	}
	on[profile.Name] = profile
	for _, word := range profile.Includes {
		next, known := c.find(word)
		if !known {
			return &Error{
				Text:   fmt.Sprintf("profile %s includes %q, which is no profile", profile.Name, word),
				Advice: "profiles: " + strings.Join(c.Names(), ", "),
			}
		}
		if err := c.include(next, on); err != nil {
			return err
		}
	}
	return nil
}

func (s Selection) compatible() error {
	for _, profile := range s.Profiles {
		for _, conflict := range profile.Conflicts {
			if other, on := Catalog(s.Profiles).find(conflict.Profile); on {
				return &Error{
					Text:   fmt.Sprintf("profiles %s and %s cannot be combined: %s", profile.Name, other.Name, conflict.Because),
					Advice: "choose one: docker telemetry up --profile " + profile.Name,
					Usage:  true,
				}
			}
		}
	}
	return nil
}

// On reports whether the profile of a name or alias is part of the selection.
func (s Selection) On(word string) bool {
	return slices.ContainsFunc(s.Profiles, func(p Profile) bool { return p.is(word) })
}

// Needs lists the host features that the selection needs, each with the profiles that need it.
func (s Selection) Needs() map[string][]string {
	needs := map[string][]string{}
	for _, profile := range s.Profiles {
		for _, need := range profile.Needs {
			needs[need] = append(needs[need], profile.Name)
		}
	}
	return needs
}

// Features lists what must be known of the engine's host: what is needed, and what a part depends on.
func (s Selection) Features() []string {
	asked := map[string]bool{}
	for _, profile := range s.Profiles {
		for _, need := range profile.Needs {
			asked[need] = true
		}
		for _, part := range profile.Parts {
			if part.When.Host != "" && part.When.Host != Native {
				asked[part.When.Host] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(asked))
}

// Scale returns the replicas by component that the profiles ask for; of two that ask, the higher number counts.
func (s Selection) Scale() map[string]int {
	scale := map[string]int{}
	for _, profile := range s.Profiles {
		for component, replicas := range profile.Scale {
			scale[component] = max(scale[component], replicas)
		}
	}
	return scale
}

// Logins returns the users of the log-ins that the profiles need, by the log-in's name.
func (s Selection) Logins() map[string]string {
	logins := map[string]string{}
	for _, profile := range s.Profiles {
		for name, credential := range profile.Credentials {
			logins[name] = credential.User
		}
	}
	return logins
}

// Options returns the value of each option of the selection: the chosen one, else its default. A choice for an option
// that no profile here has is ignored (its profile may come back), a value that it does not know is refused.
func (s Selection) Options(chosen map[string]string) (map[string]string, error) {
	values := map[string]string{}
	for _, profile := range s.Profiles {
		for name, option := range profile.Options {
			value := cmp.Or(chosen[name], option.Default)
			if err := option.takes(value); err != nil {
				return nil, &Error{
					Text:   fmt.Sprintf("--%s %q is %s", name, value, err),
					Advice: "docker telemetry profiles show " + profile.Name, Usage: true,
				}
			}
			values[name] = value
		}
	}
	return values, nil
}

// Fragment is one compose file to merge, with the profile whose folder it stands in.
type Fragment struct {
	Profile Profile
	File    string
}

// Fragments returns the compose files to merge, in order, and notes on those left out for the host's sake. host answers
// whether the engine's host is Native, or has a feature.
func (s Selection) Fragments(options map[string]string, host func(string) bool) (fragments []Fragment, notes []string) {
	for _, profile := range s.Profiles {
		for _, part := range profile.Parts {
			switch {
			case part.When.Profile != "" && !s.On(part.When.Profile):
			case part.When.Without != "" && s.On(part.When.Without):
			case part.When.Option != "" && !chosen(options, part.When.Option):
			case part.When.Host != "" && !host(part.When.Host):
				if part.Otherwise != "" {
					notes = append(notes, part.Otherwise)
				}
			default:
				fragments = append(fragments, Fragment{Profile: profile, File: part.File})
			}
		}
	}
	return fragments, notes
}

func chosen(options map[string]string, pair string) bool {
	name, value, _ := strings.Cut(pair, "=")
	return options[name] == value
}

// Checks returns what proves the selection.
func (s Selection) Checks() []Check {
	var checks []Check
	for _, profile := range s.Profiles {
		checks = append(checks, profile.Checks...)
	}
	return checks
}
