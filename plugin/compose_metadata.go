package plugin

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker-telemetry/docker-telemetry/internal/provider"
	"github.com/docker-telemetry/docker-telemetry/internal/render"
)

func newComposeMetadataCommand(a *app, up *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "metadata",
		Short: "Describe the provider's options",
		Args:  argsBetween(0, 0, ""),
		// In place of the root's: Compose asks before each of its commands, and the answer needs no engine.
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
		RunE: func(cmd *cobra.Command, _ []string) error {
			name := parameter(cmd.Flag("name"))
			ends := provider.Command{Parameters: []provider.Parameter{name}}
			starts := provider.Command{Parameters: []provider.Parameter{name}}
			up.LocalNonPersistentFlags().VisitAll(func(flag *pflag.Flag) {
				if flag.Name != "help" {
					starts.Parameters = append(starts.Parameters, parameter(flag))
				}
			})
			return render.JSON(a.deps.stdout, provider.Metadata{
				Description: "A local telemetry pipeline: OpenTelemetry in, logs, metrics and traces in their stores",
				Up:          starts, Down: ends, Stop: &ends,
			})
		},
	}
}

func parameter(flag *pflag.Flag) provider.Parameter {
	made := provider.Parameter{Name: flag.Name, Description: flag.Usage, Type: "string", Default: flag.DefValue}
	switch flag.Value.Type() {
	case "int":
		made.Type = "integer"
	case "bool":
		made.Type = "boolean"
	case "stringSlice":
		made.Default = flag.DefValue[1 : len(flag.DefValue)-1] // [a,b]
	}
	if made.Default == "0" {
		made.Default = ""
	}
	return made
}
