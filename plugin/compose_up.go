package plugin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/provider"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

// otelProfile is always on for a project: it is what takes OTLP.
const otelProfile = "otel"

type composeUpOptions struct {
	layers   layerOptions
	port     int
	networks []string
	protocol string
	verify   bool
	timeout  time.Duration
}

func newComposeUpCommand(a *app, project *string) *cobra.Command {
	opts := composeUpOptions{protocol: provider.ProtocolHTTP}
	cmd := &cobra.Command{
		Use:   "up SERVICE",
		Short: "Start or reuse the stack for a service of a Compose project",
		Args:  argsBetween(1, 1, "the service's name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := inProject(*project); err != nil {
				return err
			}
			return runComposeUp(cmd.Context(), a, state.Use{Project: *project, Service: args[0], Networks: opts.networks}, opts)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&opts.layers.profiles, "profile", []string{otelProfile}, "Profiles to switch on beside those that are, separated by commas; otel is always one")
	flags.StringSliceVar(&opts.networks, "network", nil, "Networks to be reached on, separated by commas (default: all of the project's)")
	addWord(cmd, flags, &opts.protocol, "protocol", "OTLP protocol of the variables", provider.ProtocolHTTP, provider.ProtocolGRPC)
	flags.IntVar(&opts.port, "port", 0, "Port of the gateway (default 8082)")
	flags.IntVar(&opts.layers.otlpGRPC, "otlp-grpc-port", 0, "Port of OTLP over gRPC on this machine (default 4317)")
	flags.IntVar(&opts.layers.otlpHTTP, "otlp-http-port", 0, "Port of OTLP over HTTP on this machine (default 4318)")
	flags.BoolVar(&opts.verify, "verify", true, "Prove that data arrives when the stack was started for this")
	flags.DurationVar(&opts.timeout, "timeout", 2*time.Minute, "How long to wait for health, and for the proof")
	return cmd
}

func runComposeUp(ctx context.Context, a *app, use state.Use, opts composeUpOptions) error {
	announced := a.deps.getenv(provider.MessagesVariable)
	variables := func(token string) ([]provider.Message, error) {
		return provider.Messages(announced, use.Service, provider.Variables(use.Project, use.Service, opts.protocol, token))
	}
	// Before anything is started for it.
	if _, err := variables(""); err != nil {
		return err
	}
	if use.Project == a.name {
		return &stack.Error{
			Text:   fmt.Sprintf("the Compose project and the stack are both called %q, and Compose would take one for the other", a.name),
			Advice: "give the stack another name in the provider's options: name: " + a.name + "2", Usage: true,
		}
	}
	s, err := a.open(ctx, "up")
	if err != nil {
		return err
	}
	defer s.close()
	began := time.Now()
	if err := s.manager.AwaitNetworks(ctx, joinOf(use), a.deps.settle); err != nil {
		return err
	}
	s.source.Feature = s.feature(ctx)
	unlock, err := s.lock(ctx, "compose up")
	if err != nil {
		return err
	}
	defer unlock()
	token, err := s.provide(ctx, use, opts)
	if err != nil {
		return err
	}
	if err := s.joinSince(ctx, began); err != nil {
		return err
	}
	s.close()
	messages, err := variables(token)
	if err != nil {
		return err
	}
	out := a.protocol
	if out == nil { // a person, with a flag before the command as Compose puts none
		out = provider.NewWriter(a.deps.stdout)
	}
	for _, message := range messages {
		if err := out.Send(message); err != nil {
			return err
		}
	}
	return nil
}

// joinSince joins the networks that Compose has made since the provider began: only the first was waited for, and how many
// there are to be is something that Compose tells no provider. It makes them beside each other, so a moment later is enough.
func (s *session) joinSince(ctx context.Context, began time.Time) error {
	if !sleep(ctx, s.app.deps.settle/10-time.Since(began)) {
		return ctx.Err()
	}
	file, err := s.state.Load()
	if err != nil {
		return err
	}
	return s.joinProjects(ctx, file)
}

func joinOf(use state.Use) stack.Join {
	return stack.Join{Project: use.Project, Alias: use.Service, Networks: use.Networks}
}

// provide starts the stack for a use, or takes the one that runs, and returns the token of OTLP. The use is remembered before anything is started: whatever ends this, `down` lets go of it.
func (s *session) provide(ctx context.Context, use state.Use, opts composeUpOptions) (token string, err error) {
	file, err := s.state.Load()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	runs, err := s.runs(ctx)
	if err != nil {
		return "", err
	}
	uses, err := s.live(ctx, file.Uses)
	if err != nil {
		return "", err
	}
	request := settings.Request{Port: opts.port}
	opts.layers.into(&request)
	request.Profiles = union(file.Profiles, opts.layers.profiles)
	others := provider.Active(provider.Drop(uses, use.Project))
	if runs && (len(others) > 0 || !file.ForProjects) {
		if err := s.refuseChange(request, reasonToRun(state.File{Uses: others, ForProjects: file.ForProjects})); err != nil {
			return "", err
		}
	}
	use.Since = s.app.deps.now().UTC()
	owns := func(file *state.File) {
		file.Uses, file.ForProjects = provider.Put(file.Uses, use), file.ForProjects || !runs
	}
	result, project, err := s.bring(ctx, request, stack.UpOptions{Wait: true, WaitTimeout: opts.timeout}, owns)
	if err != nil {
		return "", err
	}
	// One whose start was interrupted has not been proven yet.
	if opts.verify && (!runs || file.Phase != state.PhaseRunning) {
		if err := s.refuseOtherPassword(ctx, result, project.ServiceNames()); err != nil {
			return "", err
		}
		if _, err := s.prove(ctx, result, project, opts.timeout); err != nil {
			return "", leftRunning(ctx, s.app.name, err)
		}
	}
	return result.Credentials.Login(otlpLogin).Password, nil
}

// union keeps what is on: a project adds profiles, and takes none away from who uses the stack beside it.
func union(on, asked []string) []string {
	all := slices.Concat(on, asked, []string{otelProfile})
	slices.Sort(all)
	return slices.Compact(all)
}

// refuseChange stops where a project asks for something else than what a stack has that runs for others as well.
func (s *session) refuseChange(request settings.Request, others string) error {
	now, err := s.source.Remember(settings.Request{})
	if err != nil {
		return err
	}
	asked := maps.Clone(request.Options)
	has := maps.Clone(now.Settings.Options)
	if request.Port != 0 {
		asked = with(asked, "port", strconv.Itoa(request.Port))
		has = with(has, "port", strconv.Itoa(now.File.Port))
	}
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		value, set := has[name]
		if !set || value == asked[name] {
			continue
		}
		return &stack.Error{
			Text: fmt.Sprintf("option %s is %s here, and stack %s runs with %s for %s", name, asked[name], s.state.Name, value, others),
			Advice: fmt.Sprintf("leave the option out, or have a stack of your own by the options name and port: name: %s2",
				strings.TrimSuffix(s.state.Name, "2")), Usage: true,
		}
	}
	return nil
}

func with(values map[string]string, name, value string) map[string]string {
	if values == nil {
		values = map[string]string{}
	}
	values[name] = value
	return values
}
