package plugin

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"syscall"

	cliplugin "github.com/docker/cli/cli-plugins/plugin"
	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/provider"
	"github.com/docker-telemetry/docker-telemetry/internal/render"
)

// app is one run of the program: what it needs, and the flags that every command has.
type app struct {
	deps     deps
	name     string
	progress string
	// protocol is set where Compose has started this run.
	protocol *provider.Writer
	// stopped reports whether the command's context was cancelled; nil until a command starts.
	stopped func() error
}

// interrupted covers both ways to be stopped: a signal of our own, and the Docker CLI, which on SIGTERM tells its
// plugins over a socket. When a whole process group is signalled either may come first.
func (a *app) interrupted() bool { return a.stopped != nil && a.stopped() != nil }

func newRootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   pluginName,
		Short: "A local telemetry pipeline in one command",
		Long: `A local telemetry pipeline in one command.

Logs of every container and metrics of the host and the services go through a
Vector agent, an nginx balancer and Vector aggregators into OpenObserve and
VictoriaMetrics; Grafana and the UIs are behind one TLS gateway.`,
		Example: `  docker telemetry up                    start it, prove that a log line arrives
  docker telemetry status                URLs, health, replicas, retention
  docker telemetry verify                prove every route, hop by hop
  docker telemetry scale aggregator=3    three aggregators, remembered
  docker telemetry down                  stop and remove it; the data stays`,
		// Without it a mistyped subcommand would run the root and exit 0.
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return usage(cmd, unknownCommand(cmd, args[0]))
		},
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error { return a.start(cmd, args) },
		SilenceUsage:      true,
		SilenceErrors:     true,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.name, "name", "telemetry", "Name of the stack")
	_ = root.RegisterFlagCompletionFunc("name", a.completeStacks)
	a.progress = "auto"
	addWord(root, flags, &a.progress, "progress", "Progress on stderr", render.ProgressModes()...)
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(
		newUpCommand(a), newDownCommand(a), newStartCommand(a), newStopCommand(a), newRestartCommand(a),
		newScaleCommand(a), newPullCommand(a), newVerifyCommand(a),
		newStatusCommand(a), newFlowCommand(a), newDoctorCommand(a), newSupportBundleCommand(a),
		newPsCommand(a), newLogsCommand(a), newOpenCommand(a), newCredentialsCommand(a), newCertsCommand(a),
		newProfilesCommand(a), newTargetsCommand(a), newReportCommand(a), newRetentionCommand(a), newRulesCommand(a), newConfigCommand(a), newEjectCommand(a), newVersionCommand(a),
		newComposeCommand(a),
		newSnapshotCommand(a), newPruneCommand(a),
	)
	return root
}

// start runs before every command: it lets the Docker CLI prepare, then takes the signals.
// On a terminal Ctrl-C reaches the plugin itself and the CLI does not cancel the context, so it is done here.
func (a *app) start(cmd *cobra.Command, args []string) error {
	if err := cliplugin.PersistentPreRunE(cmd, args); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		// A second one has the default effect again: it ends the process.
		signal.Stop(signals)
		cancel()
	}()
	a.stopped = ctx.Err
	cmd.SetContext(ctx)
	return nil
}

func usage(cmd *cobra.Command, err error) error {
	return &usageError{err: err, advice: cmd.CommandPath() + " --help"}
}

// argsBetween checks the number of arguments and words the refusal as an instruction.
func argsBetween(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usage(cmd, &needError{what})
		case most >= 0 && len(args) > most:
			return usage(cmd, &tooManyError{args[most]})
		default:
			return nil
		}
	}
}

type needError struct{ what string }

func (e *needError) Error() string { return "give " + e.what }

type tooManyError struct{ word string }

func (e *tooManyError) Error() string { return "unexpected argument " + quoted(e.word) }

type unknownError struct{ word, near string }

func (e *unknownError) Error() string {
	text := "there is no command " + quoted(e.word)
	if e.near != "" {
		text += ", did you mean " + e.near + "?"
	}
	return text
}

func unknownCommand(cmd *cobra.Command, word string) error {
	cmd.SuggestionsMinimumDistance = 2
	return &unknownError{word: word, near: strings.Join(cmd.SuggestionsFor(word), " or ")}
}
