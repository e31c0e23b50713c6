package plugin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/credentials"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/storage/gateway"
)

func newCredentialsRotateCommand(a *app) *cobra.Command {
	timeout := startTimeout
	cmd := &cobra.Command{
		Use:   "rotate [NAME...]",
		Short: "Set new passwords in the running stores",
		Long: `Set new random passwords in the running stores: all, or those that are named. Everything that uses a password is
recreated with the new one; meanwhile the agent's buffer keeps what is sent. The command ends when the new passwords
were seen to work, the old ones were seen to be refused, and a marked log line and a marked sample arrived.

When anything fails the old passwords are put back. After Ctrl-C or a crash both are kept, and the next up or rotate
finishes it. It also mends a store that refuses its password, since no old password is needed.`,
		Example: `  docker telemetry credentials rotate
  docker telemetry credentials rotate grafana`,
		Args:              loginArgs(-1),
		ValidArgsFunction: completeWords(credentials.Names()...),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runCredentialsRotate(cmd.Context(), a, args, timeout)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", timeout, "How long to wait for health, and for each proof")
	return cmd
}

func runCredentialsRotate(ctx context.Context, a *app, names []string, timeout time.Duration) error {
	s, err := a.open(ctx, "rotate")
	if err != nil {
		return err
	}
	defer s.close()
	unlock, err := s.lock(ctx, "credentials rotate")
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.source.RefuseRestore(); err != nil {
		return err
	}
	names, err = s.rotatable(ctx, names)
	if err != nil {
		return err
	}
	next, err := credentials.Begin(s.state, names, a.deps.random)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := s.rotate(ctx, settings.Request{}, next, timeout); err != nil {
		return err
	}
	s.close()
	fmt.Fprintf(a.deps.stdout, "%s: new passwords after %.1f s, seen to work; the old ones are refused\n",
		strings.Join(next.Rotated(), ", "), time.Since(began).Seconds())
	printHint(a.deps.stderr, a.name, "docker telemetry credentials show")
	return nil
}

// rotatable refuses where a rotation could not be carried out or not be proven, before anything is written down. It
// returns the names of the stores: without a word all that the stack runs.
func (s *session) rotatable(ctx context.Context, names []string) ([]string, error) {
	containers, err := s.manager.Containers(ctx, s.state.Name)
	if err != nil {
		return nil, err
	}
	if len(containers) == 0 {
		return nil, stack.NotRunning(s.state.Name)
	}
	names, err = running(containers, names)
	if err != nil {
		return nil, err
	}
	remembered, err := s.remembered()
	if err != nil {
		return nil, err
	}
	if len(remembered.Credentials) == 0 {
		return nil, noCredentials(s.state.Name)
	}
	return names, s.gatewayAnswers(ctx, remembered)
}

// running keeps to the stores that have a container: the profile minimal leaves Grafana out.
func running(containers []stack.Container, names []string) ([]string, error) {
	has := func(name string) bool {
		return slices.ContainsFunc(containers, func(c stack.Container) bool { return c.Component == name })
	}
	if len(names) == 0 {
		return slices.DeleteFunc(credentials.Names(), func(name string) bool { return !has(name) }), nil
	}
	for _, name := range names {
		if !has(name) {
			return nil, &stack.Error{Text: "the stack does not run " + name, Advice: "docker telemetry ps lists what it runs"}
		}
	}
	return names, nil
}

func (s *session) gatewayAnswers(ctx context.Context, result settings.Result) error {
	client, err := gatewayClient(result, 5*time.Second)
	if err != nil {
		return err
	}
	base := gateway.URL(result.File.Bind, result.File.Port)
	_, err = gateway.Accepts(ctx, client, base+"/", "", "")
	var unreachable *url.Error
	if !errors.As(err, &unreachable) {
		return nil // it answers, whatever it says
	}
	advice := "start it: docker telemetry up"
	if !s.engine.Local() {
		advice = fmt.Sprintf("ssh -L %d:localhost:%d %s reaches it", result.File.Port, result.File.Port, s.engine.Name)
	}
	return &stack.Error{
		Text: fmt.Sprintf("new passwords could not be tried: the gateway at %s does not answer: %v", base, unreachable.Err), Advice: advice, Err: err,
	}
}

// finishRotation ends a rotation that was interrupted, with the passwords that it had begun with: a store may have
// them already.
func (s *session) finishRotation(ctx context.Context, request settings.Request, timeout time.Duration) error {
	next, err := credentials.Pending(s.state)
	if err != nil || next == nil {
		return err
	}
	fmt.Fprintf(s.app.deps.stderr, "note: a rotation of %s was interrupted and is finished now\n", strings.Join(next.Rotated(), ", "))
	return s.rotate(ctx, request, next, timeout)
}

// rotate brings the new passwords in and replaces the secrets when they are proven. When that fails it brings the old
// ones back, unless it was told to stop: then both stay on disk for the next command.
func (s *session) rotate(ctx context.Context, request settings.Request, next credentials.Set, timeout time.Duration) error {
	current, err := credentials.Read(s.state)
	if errors.Is(err, fs.ErrNotExist) {
		return noCredentials(s.state.Name)
	}
	if err != nil {
		return err
	}
	previous := credentials.Set{}
	for name := range next {
		previous[name] = current[name]
	}
	names := strings.Join(next.Rotated(), ", ")
	failed := s.bringIn(ctx, request, next, previous, timeout)
	if failed == nil {
		return credentials.Commit(s.state, next)
	}
	if ctx.Err() != nil {
		return &interruptedError{left: "the rotation of " + names + " is half done", advice: "docker telemetry up finishes it", err: errors.Join(ctx.Err(), failed)}
	}
	fmt.Fprintf(s.app.deps.stderr, "warning: the rotation failed, the old passwords are put back: %s\n", hideIn(failed.Error(), next, previous))
	if err := s.bringIn(ctx, request, previous, next, timeout); err != nil {
		return &stack.Error{
			Text:   fmt.Sprintf("the passwords of %s could not be put back: %s", names, hideIn(err.Error(), next, previous)),
			Advice: "mend the cause, then docker telemetry up finishes the rotation; both passwords are kept until then", Err: err,
		}
	}
	if err := credentials.Abandon(s.state); err != nil {
		return err
	}
	return &stack.Error{
		Text:   fmt.Sprintf("%s: the old passwords are back and work, the new ones failed: %s", names, hideIn(failed.Error(), next, previous)),
		Advice: "see what the store says: docker telemetry logs " + strings.Join(next.Rotated(), " "), Err: failed,
	}
}

// bringIn makes the stack use the wanted passwords instead of the others and proves it. It may be done again after it
// was interrupted anywhere. The secrets come first, by the ordinary way of up, because the stores' own commands read
// them from there; until the store has followed, what is sent to it is refused, kept and sent again.
func (s *session) bringIn(ctx context.Context, request settings.Request, wanted, unwanted credentials.Set, timeout time.Duration) error {
	s.source.Passwords = wanted
	defer func() { s.source.Passwords = nil }()
	result, project, err := s.prepare(ctx, request)
	if err != nil {
		return err
	}
	if err := s.bringUp(ctx, result.File, project, stack.UpOptions{Wait: true, WaitTimeout: timeout}); err != nil {
		return err
	}
	s.restoreJoins(ctx, result.File)
	for _, name := range wanted.Rotated() {
		if _, runs := project.Services[name]; !runs {
			continue // a profile left it out while the rotation was interrupted
		}
		if err := s.adopt(ctx, result, name, unwanted, timeout); err != nil {
			return err
		}
	}
	_, err = s.prove(ctx, result, project, timeout, routeLogs, routeMetrics)
	return err
}

// adopt makes one store take the password of the result's credentials and proves it.
func (s *session) adopt(ctx context.Context, result settings.Result, name string, unwanted credentials.Set, timeout time.Duration) error {
	said, err := s.manager.AdoptPassword(ctx, s.state.Name, name, timeout)
	if err != nil {
		return err
	}
	err = s.proveLogin(ctx, result, name, unwanted, timeout)
	var refused *refusedError
	if errors.As(err, &refused) {
		refused.said = said
	}
	return err
}

// refusedError is a store that does not use the password it was given.
type refusedError struct {
	name, problem, said string
}

func (e *refusedError) Error() string {
	if e.said == "" {
		return fmt.Sprintf("%s %s", e.name, e.problem)
	}
	return fmt.Sprintf("%s %s; its command said: %s", e.name, e.problem, lastLine(e.said))
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// proveLogin sees that a store accepts its password and refuses the one before. A refusal counts at once, because
// Grafana locks an account after five of them; only silence is waited out.
func (s *session) proveLogin(ctx context.Context, result settings.Result, name string, unwanted credentials.Set, timeout time.Duration) error {
	client, err := gatewayClient(result, 10*time.Second)
	if err != nil {
		return err
	}
	wanted := result.Credentials
	accepted, err := s.tryLogin(ctx, client, result, name, wanted, timeout)
	if err != nil {
		return err
	}
	if !accepted {
		return &refusedError{name: name, problem: "refuses the password"}
	}
	before := maps.Clone(wanted)
	maps.Copy(before, unwanted)
	if before.Login(name) == wanted.Login(name) {
		return nil // an interrupted rotation that had come as far as the secrets
	}
	accepted, err = s.tryLogin(ctx, client, result, name, before, timeout)
	if err == nil && accepted {
		return &refusedError{name: name, problem: "still accepts the password before"}
	}
	return err
}

const (
	tryLoginEvery = 250 * time.Millisecond
	// findsWithin is when the gateway knows where each container is: it asks Docker's DNS every 2 s.
	findsWithin = 6 * time.Second
)

// tryLogin asks a store through the gateway until it says yes or no. The gateway needs a moment to find a container
// that was recreated.
func (s *session) tryLogin(
	ctx context.Context, client *http.Client, result settings.Result, name string, set credentials.Set, timeout time.Duration,
) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		accepted, err := acceptsLogin(ctx, client, result, name, set)
		if err == nil {
			return accepted, nil
		}
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("%s does not answer: %w", name, err)
		case <-time.After(tryLoginEvery):
		}
	}
}

func acceptsLogin(ctx context.Context, client *http.Client, result settings.Result, name string, set credentials.Set) (bool, error) {
	// Pages that cost little and are behind the log-in.
	pages := map[string]string{
		stack.Grafana:         "/grafana/api/user",
		stack.OpenObserve:     "/openobserve/api/default/summary",
		stack.VictoriaMetrics: "/victoriametrics/api/v1/query?query=1",
	}
	login := set.Login(name)
	page := gateway.URL(result.File.Bind, result.File.Port) + pages[name]
	return gateway.Accepts(ctx, client, page, login.User, login.Password)
}

// refuseOtherPassword explains a store that refuses this stack's password: its volume is from an earlier life, or
// somebody changed the password by the store's own means. A store that does not answer is for the proof to tell; the gateway,
// which may have started before the store, needs a moment to find it.
func (s *session) refuseOtherPassword(ctx context.Context, result settings.Result, components []string) error {
	if !s.engine.Local() && result.File.Bind == settings.DefaultBind {
		return nil // what answers on this machine's loopback would be another stack
	}
	client, err := gatewayClient(result, 5*time.Second)
	if err != nil {
		return err
	}
	var refusing []string
	asking, cancel := context.WithTimeout(ctx, findsWithin)
	defer cancel()
	for _, name := range credentials.Names() {
		if !slices.Contains(components, name) {
			continue
		}
		accepted, err := s.tryLogin(asking, client, result, name, result.Credentials, findsWithin)
		if err == nil && !accepted {
			refusing = append(refusing, name)
		}
	}
	if len(refusing) == 0 {
		return nil
	}
	names := strings.Join(refusing, " ")
	return &stack.Error{
		Text: names + " refuses the password of this stack: its data is from an earlier life, or the password was changed by hand",
		Advice: "set a new one, the data stays: docker telemetry credentials rotate " + names +
			"; or start over without the data: docker telemetry down --volumes",
	}
}

// hideIn keeps passwords out of a text that a store's command printed.
func hideIn(text string, sets ...credentials.Set) string {
	for _, set := range sets {
		for _, password := range set {
			if password != "" {
				text = strings.ReplaceAll(text, password, "***")
			}
		}
	}
	return text
}
