package plugin

import "github.com/spf13/cobra"

// Root returns the command tree for generators of documentation. Its commands cannot run.
func Root() *cobra.Command { return newRootCommand(&app{}) }
