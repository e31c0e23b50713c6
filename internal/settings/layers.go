package settings

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/profiles"
	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/stack/bundle"
)

// Catalog returns the profiles that this user can switch on.
func Catalog(root state.Root) (profiles.Catalog, error) { return profiles.Load(ProfileFolder(root)) }

// ProfileFolder is where a user's own profiles stand.
func ProfileFolder(root state.Root) string { return filepath.Join(root.Config, "profiles") }

// layer works out which profiles and overlays are on, and puts their compose files into the settings.
func (s Source) layer(result *Result, request Request) error {
	file := &result.File
	switch {
	case slices.Equal(request.Profiles, []string{profiles.None}):
		file.Profiles = nil // reads no profile: a broken one must not be in the way of switching it off
	case len(file.Profiles) > 0 || len(request.Profiles) > 0:
		if err := s.selectProfiles(result, request); err != nil {
			return err
		}
	}
	if err := s.refuseIdleOptions(result, request); err != nil {
		return err
	}
	ruled, err := s.rulesLayer()
	if err != nil {
		return err
	}
	result.Settings.Layers = append(result.Settings.Layers, ruled...)
	if len(request.Overlays) > 0 {
		overlays, err := absolute(request.Overlays)
		if err != nil {
			return err
		}
		file.Overlays = overlays
	}
	for _, path := range file.Overlays {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return &stack.Error{
				Text:   fmt.Sprintf("there is no overlay file %q", path),
				Advice: "put it back, or go on without: docker telemetry up -f none", Usage: len(request.Overlays) > 0,
			}
		}
		result.Settings.Layers = append(result.Settings.Layers, stack.Layer{
			Name: path, File: filepath.Base(path), Files: profiles.Folder(filepath.Dir(path)), Dir: filepath.Dir(path),
		})
	}
	result.Settings.Scale = with(result.Selection.Scale(), file.Scale)
	return nil
}

func absolute(paths []string) ([]string, error) {
	if slices.Contains(paths, profiles.None) {
		if len(paths) > 1 {
			return nil, &stack.Error{Text: "-f none leaves all overlays out and stands alone", Advice: "leave one of the two out", Usage: true}
		}
		return nil, nil
	}
	var all []string
	for _, path := range paths {
		if path == "" {
			return nil, &stack.Error{Text: "-f names no file", Advice: "docker telemetry up -f overlay.yaml", Usage: true}
		}
		whole, err := filepath.Abs(path)
		if err != nil {
			return nil, fmt.Errorf("find overlay %q: %w", path, err)
		}
		if !slices.Contains(all, whole) {
			all = append(all, whole)
		}
	}
	return all, nil
}

func (s Source) selectProfiles(result *Result, request Request) error {
	catalog, err := Catalog(s.Root)
	if err != nil {
		return err
	}
	file := &result.File
	before := remembered(catalog, file.Profiles)
	asked := request.Profiles
	if len(asked) == 0 {
		asked = file.Profiles
		if err := refuseGone(catalog, asked); err != nil {
			return err
		}
	}
	selection, err := catalog.Select(asked)
	if err != nil {
		return err
	}
	options, err := selection.Options(file.Options)
	if err != nil {
		return err
	}
	if err := s.needs(selection, file); err != nil {
		return err
	}
	// A number of replicas that was asked for before a profile brought its own is older than the profile.
	for component := range selection.Scale() {
		if _, now := request.Scale[component]; !now && before.Scale()[component] != selection.Scale()[component] {
			file.Scale = maps.Clone(file.Scale)
			delete(file.Scale, component)
		}
	}
	file.Profiles, result.Selection = selection.Asked, selection
	result.Settings.Options = options
	fragments, notes := selection.Fragments(options, s.host(file.Features))
	result.Notes = notes
	for _, fragment := range fragments {
		result.Settings.Layers = append(result.Settings.Layers, layerOf(fragment))
	}
	return nil
}

// refuseGone stops where a remembered profile is there no more: a user's own that was removed or renamed.
func refuseGone(catalog profiles.Catalog, names []string) error {
	var gone, left []string
	for _, name := range names {
		if _, err := catalog.Find(name); err != nil {
			gone = append(gone, name)
		} else {
			left = append(left, name)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	if len(left) == 0 {
		left = []string{profiles.None}
	}
	return &stack.Error{
		Text:   fmt.Sprintf("profile %s is on, and is there no more", strings.Join(gone, " and ")),
		Advice: "put it back, or go on without: docker telemetry up --profile " + strings.Join(left, ","),
	}
}

// refuseIdleOptions stops where an option is asked for whose profile is off: it would be remembered and do nothing.
func (s Source) refuseIdleOptions(result *Result, request Request) error {
	for _, name := range slices.Sorted(maps.Keys(request.Options)) {
		if _, used := result.Settings.Options[name]; used {
			continue
		}
		catalog, err := Catalog(s.Root)
		if err != nil {
			return err
		}
		for _, profile := range catalog {
			if _, has := profile.Options[name]; has {
				return &stack.Error{
					Text:   fmt.Sprintf("--%s is an option of profile %s, which is off", name, profile.Name),
					Advice: fmt.Sprintf("docker telemetry up --profile %s --%s %s", profile.Name, name, request.Options[name]), Usage: true,
				}
			}
		}
		return &stack.Error{Text: fmt.Sprintf("no profile has an option %q", name), Advice: "docker telemetry profiles ls", Usage: true}
	}
	return nil
}

// remembered is the selection of an earlier up; one that cannot be had any more counts as none.
func remembered(catalog profiles.Catalog, names []string) profiles.Selection {
	selection, err := catalog.Select(names)
	if err != nil {
		return profiles.Selection{}
	}
	return selection
}

// needs finds out what the profiles ask of the engine's host, and refuses when something that one cannot do without is
// not there. Only `up` looks; other commands go by what it found.
func (s Source) needs(selection profiles.Selection, file *state.File) error {
	if s.Feature == nil {
		return nil
	}
	found := map[string]bool{}
	for _, feature := range selection.Features() {
		there, err := s.Feature(feature)
		if err != nil {
			return err
		}
		found[feature] = there
	}
	if len(found) > 0 || len(file.Features) > 0 {
		file.Features = found
	}
	needs := selection.Needs()
	for _, need := range slices.Sorted(maps.Keys(needs)) {
		if !found[need] {
			who := "profile " + needs[need][0] + " needs"
			if len(needs[need]) > 1 {
				who = "profiles " + strings.Join(needs[need], " and ") + " need"
			}
			return &stack.Error{
				Text:   fmt.Sprintf("%s %s, and %s has none", who, profiles.Features()[need], s.Engine.Name),
				Advice: "leave it out: docker telemetry profiles ls", Usage: true,
			}
		}
	}
	return nil
}

// host answers whether the engine's host is of a kind, or has a feature.
func (s Source) host(features map[string]bool) func(string) bool {
	return func(word string) bool { return word == profiles.Native && s.Engine.Native() || features[word] }
}

func layerOf(fragment profiles.Fragment) stack.Layer {
	profile := fragment.Profile
	layer := stack.Layer{
		Name: "profile " + profile.Name, File: fragment.File, Files: profile.Files, Dir: profile.Origin, Shipped: profile.Origin == "",
	}
	if !layer.Shipped {
		layer.Name = filepath.Join(profile.Origin, fragment.File)
	}
	return layer
}

// On returns the profiles that a stack remembers; one that cannot be had any more counts as off.
func On(catalog profiles.Catalog, stored *state.Stack) (profiles.Selection, error) {
	file, err := stored.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return profiles.Selection{}, nil
	}
	if err != nil {
		return profiles.Selection{}, err
	}
	return remembered(catalog, file.Profiles), nil
}

// Change tells what profiles change in the base stack on an engine of the common kind. It asks none.
func Change(ctx context.Context, catalog profiles.Catalog, names ...string) (stack.Change, error) {
	plain, err := Nominal(catalog)
	if err != nil {
		return stack.Change{}, err
	}
	layered, err := Nominal(catalog, names...)
	if err != nil {
		return stack.Change{}, err
	}
	base, err := stack.Load(ctx, bundle.FS(), plain)
	if err != nil {
		return stack.Change{}, err
	}
	changed, err := stack.Load(ctx, bundle.FS(), layered)
	if err != nil {
		return stack.Change{}, err
	}
	return stack.Compare(base, changed), nil
}

// Nominal returns the settings of a stack with profiles as it would be on a native engine with every feature, with
// placeholders for what is made at random. It is for showing and for tests.
func Nominal(catalog profiles.Catalog, names ...string) (stack.Settings, error) {
	selection, err := catalog.Select(names)
	if err != nil {
		return stack.Settings{}, err
	}
	options, err := selection.Options(nil)
	if err != nil {
		return stack.Settings{}, err
	}
	nominal := stack.Settings{
		Name: "telemetry", Bind: DefaultBind, Port: DefaultPort, Host: "laptop", DockerSocket: "/var/run/docker.sock", EngineAPI: stack.OldestAPI,
		Scale: selection.Scale(), Secrets: placeholders(selection.Logins()), Options: options,
	}
	fragments, _ := selection.Fragments(options, func(string) bool { return true })
	for _, fragment := range fragments {
		nominal.Layers = append(nominal.Layers, layerOf(fragment))
	}
	return nominal, nil
}
