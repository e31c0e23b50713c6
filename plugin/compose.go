package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/provider"
	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

// newComposeCommand is for Compose: people have `up` and `down`. docs/provider.md documents it.
func newComposeCommand(a *app) *cobra.Command {
	var project string
	cmd := &cobra.Command{
		Use:    "compose",
		Short:  "Provide the stack to the services of a Compose project; called by Compose",
		Hidden: true,
		Args:   argsBetween(0, 0, ""),
		RunE:   func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&project, "project-name", "", "Name of the Compose project")
	up := newComposeUpCommand(a, &project)
	cmd.AddCommand(up,
		newComposeEndCommand(a, &project, "down", "Let go of the stack for a service of a Compose project", (*session).release),
		newComposeEndCommand(a, &project, "stop", "Do without the stack until the next up of a Compose project", (*session).pause),
		newComposeMetadataCommand(a, up))
	return cmd
}

// listen makes a run that Compose has started speak Compose's protocol: standard output is for messages alone, and Compose
// throws standard error away. It goes by the arguments because a flag may be refused before any command runs.
func (a *app) listen(args []string) {
	at := slices.Index(args, pluginName) + 1
	if at == 0 || at == len(args) || args[at] != "compose" {
		return
	}
	verb := func(word string) bool { return word == "up" || word == "down" || word == "stop" }
	if !slices.ContainsFunc(args[at:], verb) {
		return
	}
	no := func() bool { return false }
	a.protocol = provider.NewWriter(a.deps.stdout)
	a.deps.stdout, a.deps.stderr = io.Discard, a.protocol
	a.deps.stdinTerminal, a.deps.stdoutTerminal, a.deps.stderrTerminal = no, no, no
}

// end says how a command ended, to whom started it, and returns the exit code.
func (a *app) end(stderr io.Writer, err error) int {
	if a.protocol == nil {
		return finish(stderr, a.name, a.interrupted(), err)
	}
	code := exitCode(a.interrupted(), err)
	if code == exitDone {
		return code
	}
	text, hint := err.Error(), hintOf(err)
	if code == exitInterrupted {
		var left *interruptedError
		text, hint = "interrupted", "the same docker compose command finishes it"
		if errors.As(err, &left) {
			text += ": " + left.left
		}
	}
	detail := ""
	var failed *stack.FailedError
	if errors.As(err, &failed) {
		detail = failed.Tail
	}
	if err := a.protocol.Error(text, forStack(a.name, hint), detail); err != nil {
		fmt.Fprintln(stderr, "error: tell Compose:", err)
	}
	return code
}

// lastWords is for a Compose to read to the end of what it was told.
const lastWords = 250 * time.Millisecond

// hangUp ends standard output before the process ends, for a Compose that may lose what it has not read when the process
// does, and fail with "file already closed": 2.36 waits for the process while it reads. Those that announce their messages
// read first.
func (a *app) hangUp(stdout io.Closer) {
	if a.protocol == nil || a.deps.getenv(provider.MessagesVariable) != "" {
		return
	}
	_ = stdout.Close()
	<-time.After(lastWords)
}

// inProject checks what every command of the protocol is given.
func inProject(project string) error {
	if project == "" {
		return &usageError{err: &needError{"--project-name"}, advice: "Compose calls this: see docs/provider.md"}
	}
	return nil
}

// newComposeEndCommand makes the commands that end a use. Compose 2.36 gives them the options of up.
func newComposeEndCommand(a *app, project *string, verb, short string, end func(*session, context.Context, string) error) *cobra.Command {
	return &cobra.Command{
		Use:                verb + " SERVICE",
		Short:              short,
		Args:               argsBetween(1, 1, "the service's name"),
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := inProject(*project); err != nil {
				return err
			}
			s, err := a.open(cmd.Context(), verb)
			if err != nil {
				return err
			}
			defer s.close()
			unlock, err := s.lock(cmd.Context(), "compose "+verb)
			if err != nil {
				return err
			}
			defer unlock()
			return end(s, cmd.Context(), *project)
		},
	}
}

// release lets go of the stack for a project, and ends the stack with the last one that has it, unless it was started by
// hand. Its data stays.
func (s *session) release(ctx context.Context, project string) error {
	file, err := s.state.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	file.Uses, err = s.live(ctx, provider.Drop(file.Uses, project))
	if err != nil {
		return err
	}
	// The networks before all else: while the collector is on one, Compose cannot remove it.
	if err := s.joinProjects(ctx, file); err != nil {
		return err
	}
	if err := s.state.Save(file); err != nil {
		return err
	}
	if len(file.Uses) > 0 || !file.ForProjects {
		fmt.Fprintf(s.app.deps.stderr, "stack %s runs on for %s\n", s.state.Name, reasonToRun(file))
		return nil
	}
	containers, err := s.manager.Containers(ctx, s.state.Name)
	if err != nil || len(containers) == 0 {
		return err
	}
	if err := s.manager.Down(ctx, s.state.Name, false); err != nil {
		return downLeft(ctx, s.app.name, err)
	}
	return s.setPhase(state.PhaseStopped)
}

// pause stops the stack when all that have it are stopped, unless it was started by hand.
func (s *session) pause(ctx context.Context, project string) error {
	file, err := s.state.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if file.Uses, err = s.live(ctx, provider.Stop(file.Uses, project)); err != nil {
		return err
	}
	if err := s.state.Save(file); err != nil {
		return err
	}
	runs, err := s.runs(ctx)
	if err != nil || !runs || len(provider.Active(file.Uses)) > 0 || !file.ForProjects {
		return err
	}
	// A container whose network was removed while it was stopped does not start again.
	if err := s.manager.SyncJoins(ctx, s.state.Name, nil); err != nil {
		return err
	}
	if err := s.manager.Stop(ctx, s.state.Name, nil); err != nil {
		return err
	}
	return s.setPhase(state.PhaseStopped)
}

// reasonToRun names who a stack runs for.
func reasonToRun(file state.File) string {
	var who []string
	for _, project := range provider.Projects(file.Uses) {
		who = append(who, "project "+project)
	}
	if !file.ForProjects {
		who = append(who, "who started it by hand")
	}
	return strings.Join(who, " and ")
}

// live leaves out the uses of projects that are gone.
func (s *session) live(ctx context.Context, uses []state.Use) ([]state.Use, error) {
	if len(uses) == 0 {
		return nil, nil
	}
	projects, err := s.manager.ComposeProjects(ctx)
	if err != nil {
		return nil, err
	}
	return provider.Live(uses, projects, s.app.deps.now()), nil
}

// runs reports whether anything of the stack runs.
func (s *session) runs(ctx context.Context) (bool, error) {
	containers, err := s.manager.Containers(ctx, s.state.Name)
	return slices.ContainsFunc(containers, func(c stack.Container) bool { return c.State == "running" }), err
}

// joinProjects puts the collector onto the networks of the projects that use the stack, and off those of others.
func (s *session) joinProjects(ctx context.Context, file state.File) error {
	joins := make([]stack.Join, 0, len(file.Uses))
	for _, use := range provider.Active(file.Uses) {
		joins = append(joins, joinOf(use))
	}
	return s.manager.SyncJoins(ctx, s.state.Name, joins)
}

// restoreJoins is for a command of a person that may have made another container of the collector, or none: what cannot be
// joined is a project's, and no reason to fail.
func (s *session) restoreJoins(ctx context.Context, file state.File) {
	err := s.joinProjects(ctx, file)
	if err != nil {
		fmt.Fprintf(s.app.deps.stderr, "warning: a Compose project does not reach the collector: %s\n", render.Escape(err.Error()))
	}
	projects := provider.Projects(provider.Active(file.Uses))
	if len(projects) == 0 {
		return
	}
	containers, err := s.manager.Containers(ctx, s.state.Name)
	if err == nil && !slices.ContainsFunc(containers, func(c stack.Container) bool { return c.Component == stack.Collector }) {
		fmt.Fprintf(s.app.deps.stderr, "warning: Compose projects send to the profile otel, which is off: %s\n", strings.Join(projects, ", "))
	}
}
