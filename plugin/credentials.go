package plugin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/credentials"
	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

func newCredentialsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "credentials",
		Short: "Show or change the log-ins of the UIs and stores",
		Long: `Show or change the log-ins of the UIs and stores. Their passwords were made at random for this stack; they are in its
state, readable to you alone, and in files inside the containers that need them.`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCredentialsShowCommand(a), newCredentialsEnvCommand(a), newCredentialsRotateCommand(a))
	return cmd
}

func newCredentialsShowCommand(a *app) *cobra.Command {
	format := "table"
	cmd := &cobra.Command{
		Use:   "show [NAME]",
		Short: "Print the log-ins of the UIs and stores",
		Long: `Print the log-ins of the UIs and stores, or of one. The table is for a terminal: into a pipe or a file goes only what
was asked for with --format, so that no password ends in a build's log by accident. --format env prints lines as in
a .env file.`,
		Example: `  docker telemetry credentials show
  docker telemetry credentials show grafana --format json`,
		Args:              argsBetween(0, 1, ""),
		ValidArgsFunction: completeWords(credentials.Names()...),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("format") && !a.deps.stdoutTerminal() {
				return &usageError{
					err:    errors.New("passwords are printed to a terminal only, and this is none"),
					advice: "say so if you want them here: docker telemetry credentials show --format json",
				}
			}
			return runCredentialsShow(cmd.Context(), a, args, format)
		},
	}
	addFormat(cmd, &format, "table", "json", "env")
	return cmd
}

func newCredentialsEnvCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "env [NAME]",
		Short: "Print the log-ins as export lines for a shell",
		Long: `Print the log-ins of the UIs and stores, or of one, as export lines: TELEMETRY_GRAFANA_USER, TELEMETRY_GRAFANA_PASSWORD
and so on. With the profile otel also what an OpenTelemetry SDK reads to send to this stack: OTEL_EXPORTER_OTLP_ENDPOINT,
_PROTOCOL, _CERTIFICATE and _HEADERS. The quoting is that of sh, bash, zsh and fish alike.`,
		Example: `  eval "$(docker telemetry credentials env)"
  docker telemetry credentials env | source      # fish`,
		Args:              argsBetween(0, 1, ""),
		ValidArgsFunction: completeWords(credentials.Names()...),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runCredentialsEnv(cmd.Context(), a, args)
		},
	}
}

// loginArgs takes names of log-ins, at most so many, -1 for any number.
func loginArgs(most int) cobra.PositionalArgs {
	count := argsBetween(0, most, "")
	return func(cmd *cobra.Command, args []string) error {
		if err := count(cmd, args); err != nil {
			return err
		}
		for _, name := range args {
			if !slices.Contains(credentials.Names(), name) {
				return usage(cmd, fmt.Errorf("there is no log-in %q: choose %s", name, orWords(credentials.Names())))
			}
		}
		return nil
	}
}

// loginJSON is part of the contract in docs/reference/json.md.
type loginJSON struct {
	Name     string `json:"name"`
	User     string `json:"user"`
	Password string `json:"password"`
}

func runCredentialsShow(_ context.Context, a *app, names []string, format string) error {
	logins, err := readLogins(a, names)
	if err != nil {
		return err
	}
	switch format {
	case "json":
		shown := make([]loginJSON, 0, len(logins))
		for _, login := range logins {
			shown = append(shown, loginJSON{login.Name, login.User, login.Password})
		}
		return render.JSON(a.deps.stdout, map[string]any{"schemaVersion": 1, "credentials": shown})
	case "env":
		for _, variable := range variables(logins) {
			fmt.Fprintf(a.deps.stdout, "%s=%s\n", variable[0], variable[1])
		}
		return nil
	}
	rows := make([][]string, 0, len(logins))
	for _, login := range logins {
		rows = append(rows, []string{login.Name, login.User, login.Password})
	}
	render.Table(a.deps.stdout, []string{"name", "user", "password"}, rows)
	return nil
}

func runCredentialsEnv(_ context.Context, a *app, names []string) error {
	logins, err := readLogins(a, names)
	if err != nil {
		return err
	}
	all := variables(logins)
	if len(names) == 0 || slices.Contains(names, otlpLogin) {
		otlp, err := a.otlpVariables()
		if err != nil {
			return err
		}
		all = append(all, otlp...)
	}
	for _, variable := range all {
		fmt.Fprintf(a.deps.stdout, "export %s=%s\n", variable[0], shellQuote(variable[1]))
	}
	return nil
}

func (a *app) otlpVariables() ([][2]string, error) {
	root, store, err := a.kept()
	if err != nil {
		return nil, err
	}
	stored, err := storedStack(a)
	if err != nil {
		return nil, err
	}
	return otlpVariables(root, stored, store)
}

// variables are names and values for an environment.
func variables(logins []credentials.Login) [][2]string {
	var all [][2]string
	for _, login := range logins {
		prefix := "TELEMETRY_" + strings.ToUpper(login.Name)
		all = append(all, [2]string{prefix + "_USER", login.User}, [2]string{prefix + "_PASSWORD", login.Password})
	}
	return all
}

// shellQuote makes one word of a text, for sh and fish alike. fish reads a backslash inside the quotes where sh does
// not; none can be in a log-in, whose shape is checked when it is read.
func shellQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// readLogins reads the log-ins of the stack, or those that are named, from the state alone: no engine is asked.
func readLogins(a *app, names []string) ([]credentials.Login, error) {
	stored, err := storedStack(a)
	if err != nil {
		return nil, err
	}
	set, err := credentials.Read(stored)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noCredentials(a.name)
	}
	if err != nil {
		return nil, err
	}
	extra, err := profileLogins(a, stored)
	if err != nil {
		return nil, err
	}
	maps.Copy(set, extra)
	if err := warnOfRotation(a, stored); err != nil {
		return nil, err
	}
	logins := set.Logins()
	if len(names) > 0 {
		known := make([]string, 0, len(logins))
		for _, login := range logins {
			known = append(known, login.Name)
		}
		for _, name := range names {
			if !slices.Contains(known, name) {
				return nil, &usageError{err: fmt.Errorf("there is no log-in %q: choose %s", name, orWords(known))}
			}
		}
		logins = slices.DeleteFunc(logins, func(login credentials.Login) bool { return !slices.Contains(names, login.Name) })
	}
	return logins, nil
}

// profileLogins are those that the stack's profiles brought.
func profileLogins(a *app, stored *state.Stack) (credentials.Set, error) {
	file, err := stored.Load()
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(file.Profiles) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	root, err := a.deps.root()
	if err != nil {
		return nil, err
	}
	catalog, err := settings.Catalog(root)
	if err != nil {
		return nil, err
	}
	selection, err := catalog.Select(file.Profiles)
	if err != nil {
		return nil, err
	}
	return credentials.ReadExtra(stored, selection.Logins())
}

func storedStack(a *app) (*state.Stack, error) {
	root, err := a.deps.root()
	if err != nil {
		return nil, err
	}
	stored, err := root.Stack(a.deps.context(), a.name)
	if err != nil {
		return nil, &usageError{err: err, advice: hintOf(err)}
	}
	return stored, nil
}

func noCredentials(name string) error {
	return &stack.Error{Text: fmt.Sprintf("this machine has no credentials of stack %q", name), Advice: "docker telemetry up makes them"}
}

func warnOfRotation(a *app, stored *state.Stack) error {
	pending, err := credentials.Pending(stored)
	if err != nil || pending == nil {
		return err
	}
	fmt.Fprintf(a.deps.stderr, "warning: a rotation of %s is under way or was interrupted: these may be refused\n",
		strings.Join(pending.Rotated(), ", "))
	printHint(a.deps.stderr, a.name, "docker telemetry up finishes it")
	return nil
}
