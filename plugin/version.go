package plugin

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/internal/version"
)

func newVersionCommand(a *app) *cobra.Command {
	format := "table"
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show the version of this plugin",
		Args:  argsBetween(0, 0, ""),
		// In place of the root's: an answer that needs neither the Docker configuration nor an engine waits for neither,
		// and tells which version it is where the configuration is what is broken.
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
		RunE: func(*cobra.Command, []string) error {
			if format == "json" {
				return render.JSON(a.deps.stdout, map[string]any{
					"schemaVersion": 1, "version": version.Version, "commit": version.Commit,
				})
			}
			_, err := fmt.Fprintln(a.deps.stdout, "docker telemetry", version.Version)
			return err
		},
	}
	addFormat(cmd, &format, "table", "json")
	return cmd
}
