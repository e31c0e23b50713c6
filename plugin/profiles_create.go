package plugin

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/profiles"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

func newProfilesCreateCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "create NAME",
		Short: "Make a profile of your own from a commented template",
		Long: `Make a profile of your own from a commented template in the config folder. It works as it is; change it to what you
need and switch it on: docker telemetry up --profile NAME.`,
		Args: argsBetween(1, 1, "a name"),
		RunE: func(_ *cobra.Command, args []string) error { return runProfilesCreate(a, args[0]) },
	}
}

func runProfilesCreate(a *app, name string) error {
	root, err := a.deps.root()
	if err != nil {
		return err
	}
	folder, err := profiles.Create(settings.ProfileFolder(root), name)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.deps.stdout, folder)
	printHint(a.deps.stderr, a.name, "docker telemetry up --profile "+name)
	return nil
}

func newProfilesRmCommand(a *app) *cobra.Command {
	yes := false
	cmd := &cobra.Command{
		Use:               "rm NAME",
		Short:             "Remove a profile of your own",
		Long:              "Remove a profile of your own: its folder with all files in it. One that a stack has on is refused.",
		Args:              argsBetween(1, 1, "a profile of your own: docker telemetry profiles ls"),
		ValidArgsFunction: a.completeProfiles,
		RunE:              func(cmd *cobra.Command, args []string) error { return runProfilesRm(cmd.Context(), a, args[0], yes) },
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "Do not ask")
	return cmd
}

func runProfilesRm(ctx context.Context, a *app, name string, yes bool) error {
	profile, on, err := a.findToRemove(name)
	if err != nil {
		return err
	}
	switch {
	case profile.Origin == "":
		return &stack.Error{Text: fmt.Sprintf("profile %s is part of docker telemetry", profile.Name), Advice: "switch it off: docker telemetry up --profile none", Usage: true}
	case on.On(profile.Name):
		return &stack.Error{Text: fmt.Sprintf("profile %s is on in stack %q", profile.Name, a.name), Advice: "switch it off first: docker telemetry up --profile none"}
	}
	fmt.Fprintf(a.deps.stderr, "removes for good: %s\n", profile.Origin)
	if err := a.confirm(ctx, yes, "Remove the profile and all its files?", "docker telemetry profiles ls"); err != nil {
		return err
	}
	return profiles.Remove(profile)
}

// findToRemove finds a profile, also one that cannot be read, which keeps every other from being read as well.
func (a *app) findToRemove(name string) (profiles.Profile, profiles.Selection, error) {
	catalog, on, err := a.profiles()
	if err == nil {
		profile, err := catalog.Find(name)
		return profile, on, err
	}
	root, rootErr := a.deps.root()
	if rootErr != nil {
		return profiles.Profile{}, on, rootErr
	}
	if broken, there := profiles.Broken(settings.ProfileFolder(root), name); there {
		return broken, on, nil
	}
	return profiles.Profile{}, on, err
}
