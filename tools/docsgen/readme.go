package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/docker/go-units"
	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/profiles"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

// What stands between these lines of the README is written here, all else by hand.
const (
	profilesBegin = "<!-- The table of profiles is written by: make docs -->\n"
	profilesEnd   = "<!-- End of the table of profiles. -->\n"
)

func writeReadme(ctx context.Context, path string) error {
	before, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	catalog, err := profiles.Shipped()
	if err != nil {
		return err
	}
	after, err := withProfiles(ctx, string(before), catalog)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(after), 0o644)
}

// withProfiles returns the text with the table of the catalog between the two lines that mark its place.
func withProfiles(ctx context.Context, text string, catalog profiles.Catalog) (string, error) {
	head, rest, begun := strings.Cut(text, profilesBegin)
	_, tail, ended := strings.Cut(rest, profilesEnd)
	if !begun || !ended {
		return "", fmt.Errorf("lacks one of the lines %q and %q", strings.TrimSpace(profilesBegin), strings.TrimSpace(profilesEnd))
	}
	rows, err := profilesTable(ctx, catalog)
	if err != nil {
		return "", err
	}
	return head + profilesBegin + "\n" + rows + "\n\n" + profilesEnd + tail, nil
}

func profilesTable(ctx context.Context, catalog profiles.Catalog) (string, error) {
	writer := table.NewWriter()
	writer.AppendHeader(table.Row{"Profile", "Adds", "Needs", "Memory limits", "Not with", "Ports"})
	for _, name := range catalog.Names() {
		profile, err := catalog.Find(name)
		if err != nil {
			return "", err
		}
		change, err := settings.Change(ctx, catalog, name)
		if err != nil {
			return "", err
		}
		writer.AppendRow(table.Row{
			words(profile), adds(profile), needs(profile), memory(change), strings.Join(foes(catalog, profile), ", "), strings.Join(ports(change), ", "),
		})
	}
	return writer.RenderMarkdown(), nil
}

// words are what `up --profile` takes for a profile.
func words(profile profiles.Profile) string {
	if len(profile.Aliases) == 0 {
		return span(profile.Name)
	}
	return span(profile.Name) + " (" + strings.Join(spans(profile.Aliases), ", ") + ")"
}

func adds(profile profiles.Profile) string {
	if len(profile.Includes) == 0 {
		return profile.Adds
	}
	return profile.Adds + "; includes " + strings.Join(spans(profile.Includes), ", ")
}

func needs(profile profiles.Profile) string {
	features := profiles.Features()
	var all []string
	for _, need := range profile.Needs {
		all = append(all, features[need])
	}
	return strings.Join(all, "; ")
}

// memory is what the profile alone makes of the sum of all memory limits.
func memory(change stack.Change) string {
	switch more := change.After - change.Before; {
	case more < 0:
		return "-" + units.BytesSize(float64(-more))
	case more == 0:
		return "0"
	default:
		return "+" + units.BytesSize(float64(more))
	}
}

// foes are the profiles that a profile cannot be combined with. One of the two names the other in its profile.yaml; a
// reader looks at either.
func foes(catalog profiles.Catalog, profile profiles.Profile) []string {
	names := map[string]bool{}
	for _, other := range catalog {
		if excludes(profile, other) || excludes(other, profile) {
			names[span(other.Name)] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func excludes(one, other profiles.Profile) bool {
	return slices.ContainsFunc(one.Conflicts, func(conflict profiles.Conflict) bool {
		return conflict.Profile == other.Name || slices.Contains(other.Aliases, conflict.Profile)
	})
}

// ports are those on the engine's host beside the gateway's, which every stack has.
func ports(change stack.Change) []string {
	gateway := fmt.Sprintf("%s:%d", settings.DefaultBind, settings.DefaultPort)
	var all []string
	for _, service := range change.Services {
		for _, port := range service.Ports {
			if port != gateway && service.How != "removed" {
				all = append(all, port)
			}
		}
	}
	slices.Sort(all)
	return all
}

func spans(texts []string) []string {
	var all []string
	for _, text := range texts {
		all = append(all, span(text))
	}
	return all
}

func span(text string) string { return "`" + text + "`" }
