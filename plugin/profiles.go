package plugin

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/profiles"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

func newProfilesCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "profiles",
		Short: "List, explain and make profiles: named overlays of the pipeline",
		Long: `List, explain and make profiles: named overlays that up merges onto the base pipeline, for example
docker telemetry up --profile otel. A profile of your own is a folder with compose fragments and configuration.`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newProfilesLsCommand(a), newProfilesShowCommand(a), newProfilesCreateCommand(a), newProfilesRmCommand(a))
	return cmd
}

func newProfilesLsCommand(a *app) *cobra.Command {
	format := "table"
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the profiles, and which are on",
		Args:  argsBetween(0, 0, ""),
		RunE:  func(*cobra.Command, []string) error { return runProfilesLs(a, format) },
	}
	addFormat(cmd, &format, "table", "json")
	return cmd
}

// profileJSON is part of the contract in docs/reference/json.md.
type profileJSON struct {
	Name    string   `json:"name"`
	Aliases []string `json:"aliases"`
	On      bool     `json:"on"`
	Adds    string   `json:"adds"`
	Folder  string   `json:"folder"` // of a user's own profile
}

func runProfilesLs(a *app, format string) error {
	catalog, on, err := a.profiles()
	if err != nil {
		return err
	}
	rows := make([]profileJSON, 0, len(catalog))
	for _, name := range catalog.Names() {
		profile, err := catalog.Find(name)
		if err != nil {
			return err
		}
		rows = append(rows, profileJSON{
			Name: name, Aliases: append([]string{}, profile.Aliases...), On: on.On(name), Adds: profile.Adds, Folder: profile.Origin,
		})
	}
	if format == "json" {
		return render.JSON(a.deps.stdout, map[string]any{"schemaVersion": 1, "profiles": rows})
	}
	table := make([][]string, 0, len(rows))
	for _, row := range rows {
		state := ""
		if row.On {
			state = "on"
		}
		table = append(table, []string{row.Name, state, strings.Join(row.Aliases, ", "), row.Adds})
	}
	render.Prose(a.deps.stdout, []string{"profile", "state", "alias", "adds"}, table)
	return nil
}

// profiles returns what can be switched on and what is, from the state alone: no engine is asked.
func (a *app) profiles() (profiles.Catalog, profiles.Selection, error) {
	root, err := a.deps.root()
	if err != nil {
		return nil, profiles.Selection{}, err
	}
	catalog, err := settings.Catalog(root)
	if err != nil {
		return nil, profiles.Selection{}, err
	}
	stored, err := storedStack(a)
	if err != nil {
		return nil, profiles.Selection{}, err
	}
	selection, err := settings.On(catalog, stored)
	return catalog, selection, err
}

func newProfilesShowCommand(a *app) *cobra.Command {
	format := "table"
	cmd := &cobra.Command{
		Use:   "show PROFILE",
		Short: "Show what a profile adds to the pipeline, changes and takes away",
		Long: `Show what a profile adds to the base pipeline, changes and takes away: services, ports, memory and volumes, as the
difference of the two loaded projects. No engine is asked.`,
		Example:           `  docker telemetry profiles show otel`,
		Args:              argsBetween(1, 1, "a profile: docker telemetry profiles ls"),
		ValidArgsFunction: a.completeProfiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runProfilesShow(cmd.Context(), a, args[0], format)
		},
	}
	addFormat(cmd, &format, "table", "json")
	return cmd
}

// profileShowJSON is part of the contract in docs/reference/json.md.
type profileShowJSON struct {
	SchemaVersion int `json:"schemaVersion"`
	profileJSON
	Includes  []string            `json:"includes"`
	Needs     []string            `json:"needs"`
	Conflicts []string            `json:"conflicts"`
	Options   []profileOptionJSON `json:"options"`
	Checks    []string            `json:"checks"`
	Services  []serviceChangeJSON `json:"services"`
	Volumes   []string            `json:"volumes"`
	Memory    profileMemoryJSON   `json:"memory"`
}

type profileOptionJSON struct {
	Name    string   `json:"name"`
	Default string   `json:"default"`
	Values  []string `json:"values"`
	About   string   `json:"about"`
}

type serviceChangeJSON struct {
	Name     string   `json:"name"`
	How      string   `json:"how"`
	Image    string   `json:"image"`
	Replicas int      `json:"replicas"`
	Memory   int64    `json:"memoryBytes"`
	Ports    []string `json:"ports"`
	Files    []string `json:"files"`
}

// profileMemoryJSON is the sum of the memory limits without and with the profile.
type profileMemoryJSON struct {
	Base int64 `json:"baseBytes"`
	With int64 `json:"withBytes"`
}

func runProfilesShow(ctx context.Context, a *app, word, format string) error {
	catalog, on, err := a.profiles()
	if err != nil {
		return err
	}
	profile, err := catalog.Find(word)
	if err != nil {
		return err
	}
	change, err := settings.Change(ctx, catalog, profile.Name)
	if err != nil {
		return err
	}
	if format == "json" {
		return render.JSON(a.deps.stdout, profileShow(profile, change, on.On(profile.Name)))
	}
	printProfile(a.deps.stdout, profile, change)
	return nil
}

func profileShow(profile profiles.Profile, change stack.Change, on bool) profileShowJSON {
	shown := profileShowJSON{
		SchemaVersion: 1,
		profileJSON: profileJSON{
			Name: profile.Name, Aliases: append([]string{}, profile.Aliases...), On: on, Adds: profile.Adds, Folder: profile.Origin,
		},
		Includes: append([]string{}, profile.Includes...), Needs: append([]string{}, profile.Needs...),
		Conflicts: []string{}, Options: []profileOptionJSON{}, Checks: []string{}, Services: []serviceChangeJSON{},
		Volumes: append([]string{}, change.Volumes...),
		Memory:  profileMemoryJSON{Base: change.Before, With: change.After},
	}
	for _, conflict := range profile.Conflicts {
		shown.Conflicts = append(shown.Conflicts, conflict.Profile)
	}
	for _, name := range slices.Sorted(maps.Keys(profile.Options)) {
		option := profile.Options[name]
		shown.Options = append(shown.Options, profileOptionJSON{Name: name, Default: option.Default, Values: append([]string{}, option.Values...), About: option.About})
	}
	for _, check := range profile.Checks {
		shown.Checks = append(shown.Checks, check.String())
	}
	for _, service := range change.Services {
		shown.Services = append(shown.Services, serviceChangeJSON{
			Name: service.Name, How: service.How, Image: service.Image, Replicas: service.Replicas, Memory: service.Memory,
			Ports: append([]string{}, service.Ports...), Files: append([]string{}, service.Files...),
		})
	}
	return shown
}

// fileCount leaves the paths to `config --diff` and JSON: ten of them do not fit a table. Those that were there before do
// not count.
func fileCount(files []string) string {
	if len(files) == 0 {
		return ""
	}
	return "+" + strconv.Itoa(len(files))
}

func printProfile(out io.Writer, profile profiles.Profile, change stack.Change) {
	fmt.Fprintf(out, "%s: %s\n\n", profile.Name, render.Escape(profile.Adds))
	rows := make([][]string, 0, len(change.Services))
	for _, service := range change.Services {
		rows = append(rows, []string{
			service.How, service.Name, strconv.Itoa(service.Replicas), units.BytesSize(float64(service.Memory)),
			strings.Join(service.Ports, ", "), fileCount(service.Files),
		})
	}
	render.Table(out, []string{"change", "component", "replicas", "memory", "ports", "files"}, rows)
	fmt.Fprintf(out, "\nmemory limits: %s in all, %s without it\n", units.BytesSize(float64(change.After)), units.BytesSize(float64(change.Before)))
	fmt.Fprintf(out, "every line that differs: docker telemetry config --profile %s --diff\n", profile.Name)
	line := func(name string, words []string) {
		if len(words) > 0 {
			fmt.Fprintf(out, "%s: %s\n", name, render.Escape(strings.Join(words, ", ")))
		}
	}
	line("aliases", profile.Aliases)
	line("includes", profile.Includes)
	line("volumes", change.Volumes)
	for _, need := range profile.Needs {
		fmt.Fprintf(out, "needs: %s\n", profiles.Features()[need])
	}
	for _, conflict := range profile.Conflicts {
		fmt.Fprintf(out, "not with %s: %s\n", conflict.Profile, render.Escape(conflict.Because))
	}
	for _, name := range slices.Sorted(maps.Keys(profile.Options)) {
		option := profile.Options[name]
		values := strings.Join(option.Values, "|")
		if option.Port {
			values = "PORT"
		}
		fmt.Fprintf(out, "--%s %s (%s): %s\n", name, values, option.Default, render.Escape(option.About))
	}
	for _, check := range profile.Checks {
		fmt.Fprintf(out, "proven by: %s\n", render.Escape(check.String()))
	}
	line("folder", []string{profile.Origin}[:min(1, len(profile.Origin))])
}
