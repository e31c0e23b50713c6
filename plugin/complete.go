package plugin

import (
	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/internal/snapshot"
	"github.com/docker-telemetry/docker-telemetry/profiles"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

// Completion starts the plugin at each press of the key, so these read the disk at most and never the engine.

func completeWords(words ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
}

func completeComponents(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return stack.Components(), cobra.ShellCompDirectiveNoFileComp
}

func completeScale(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{stack.Aggregator + "="}, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeProfiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	root, err := a.deps.root()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	catalog, err := settings.Catalog(root)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return append(catalog.Names(), profiles.None), cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeStacks(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	root, err := a.deps.root()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, err := root.Stacks(a.deps.context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeSnapshots knows those of the folder by their names; the directive says whether a file is one too.
func (a *app) completeSnapshots(files cobra.ShellCompDirective) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		root, err := a.deps.root()
		if err != nil {
			return nil, files
		}
		names, err := snapshot.Names(root)
		if err != nil {
			return nil, files
		}
		return names, files
	}
}
