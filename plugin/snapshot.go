package plugin

import (
	"github.com/spf13/cobra"
)

func newSnapshotCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "snapshot COMMAND",
		Short: "Keep the data and the state of the stack in one file, and bring it back",
		Long: `Keep the data and the state of the stack in one file, and bring it back: into
this stack, into a new one, or on another machine.

A snapshot holds the stores, Grafana, the settings and the passwords. It is
checked from its first byte to its last before a restore touches anything.`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSnapshotCreateCommand(a), newSnapshotLsCommand(a), newSnapshotRestoreCommand(a), newSnapshotRmCommand(a))
	return cmd
}
