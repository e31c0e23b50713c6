package plugin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/pipeline"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

type upOptions struct {
	bind, socket     string
	port             int
	scale            []string
	layers           layerOptions
	noVerify, noWait bool
	dryRun, watch    bool
	disk             string
	timeout          time.Duration
}

func newUpCommand(a *app) *cobra.Command {
	var opts upOptions
	cmd := &cobra.Command{
		Use:   "up [OPTIONS]",
		Short: "Start the pipeline, or bring a running one up to date",
		Long: `Start the pipeline, or bring a running one up to date. Running it again changes nothing.

Certificates and credentials are made on the first run and kept. The command ends when every component is healthy
and every route was proven, as verify does it: a marked event was seen at each hop, and what the profiles add was seen
to work. Port, bind address, socket, replicas, profiles and overlays are remembered: an up without --profile keeps
those that are on, --profile none switches all off.`,
		Example: `  docker telemetry up
  docker telemetry up --profile otel --profile demo
  docker telemetry up -f overlay.yaml
  docker telemetry up --port 9443 --scale aggregator=3
  docker telemetry --name second up --port 8083`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return runUp(cmd.Context(), a, opts) },
	}
	flags := cmd.Flags()
	flags.IntVar(&opts.port, "port", 0, "Port of the gateway (default 8082)")
	flags.StringVar(&opts.bind, "bind", "", "Address that the gateway is published on (default 127.0.0.1)")
	flags.StringVar(&opts.socket, "docker-socket", "", "Path of the Docker socket on the engine's host (default: found)")
	flags.StringArrayVar(&opts.scale, "scale", nil, "Replicas, as COMPONENT=N")
	opts.layers.addTo(a, cmd)
	flags.StringVar(&opts.disk, "disk", "", "Budget of the disk, such as 5G, or none: see retention budget")
	flags.BoolVar(&opts.noVerify, "no-verify", false, "Do not prove that data arrives")
	flags.BoolVar(&opts.noWait, "no-wait", false, "Return when the containers are started")
	flags.BoolVar(&opts.dryRun, "dry-run", false, "Say what would be done and do nothing")
	flags.BoolVar(&opts.watch, "watch", false, "Stay, and bring in containers that ask to be scraped as they start")
	flags.DurationVar(&opts.timeout, "timeout", 2*time.Minute, "How long to wait for health, and for the proof")
	_ = cmd.RegisterFlagCompletionFunc("scale", completeScale)
	return cmd
}

func runUp(ctx context.Context, a *app, opts upOptions) error {
	scale, err := stack.ParseScale(opts.scale)
	if err != nil {
		return err
	}
	disk, err := opts.budget()
	if err != nil {
		return err
	}
	s, err := a.open(ctx, "up")
	if err != nil {
		return err
	}
	defer s.close()
	request := settings.Request{Bind: opts.bind, Port: opts.port, DockerSocket: opts.socket, Scale: scale}
	opts.layers.into(&request)
	s.source.Feature = s.feature(ctx)
	if opts.dryRun {
		return dryRun(ctx, s, request)
	}
	unlock, err := s.lock(ctx, "up")
	if err != nil {
		return err
	}
	defer unlock()
	byHand := func(file *state.File) { file.ForProjects = false }
	result, project, err := s.bring(ctx, request, stack.UpOptions{Wait: !opts.noWait, WaitTimeout: opts.timeout}, byHand)
	if err != nil {
		return err
	}
	s.restoreJoins(ctx, result.File)
	var proof []pipeline.RouteResult
	if !opts.noVerify && !opts.noWait {
		if err := s.refuseOtherPassword(ctx, result, project.ServiceNames()); err != nil {
			return err
		}
		if proof, err = s.prove(ctx, result, project, opts.timeout); err != nil {
			return leftRunning(ctx, a.name, err)
		}
	}
	if !opts.noWait {
		if err := s.keepStreams(ctx, result); err != nil {
			return leftRunning(ctx, a.name, err)
		}
		if err := s.bringInTargets(ctx); err != nil {
			return leftRunning(ctx, a.name, err)
		}
		if err := s.budgetOfUp(ctx, disk, opts.timeout); err != nil {
			return leftRunning(ctx, a.name, err)
		}
	}
	if err := s.sayWhatStays(ctx, project); err != nil {
		return err
	}
	s.close()
	if err := s.printCard(ctx, proof); err != nil || !opts.watch {
		return err
	}
	unlock()
	return s.watchTargets(ctx)
}

// budget is what --disk comes to, nil without it.
func (o upOptions) budget() (*int64, error) {
	switch {
	case o.disk == "":
		return nil, nil //nolint:nilnil // no budget was asked for, which is no error
	case o.noWait || o.dryRun:
		return nil, &usageError{err: errors.New("--disk is split by what runs, so it goes with neither --no-wait nor --dry-run")}
	}
	size, err := parseBudget(o.disk)
	return &size, err
}

// budgetOfUp gives the running stack a budget that it does not have yet: a second up does not split it again.
func (s *session) budgetOfUp(ctx context.Context, size *int64, timeout time.Duration) error {
	if size == nil {
		return nil
	}
	before, err := s.remembered()
	if err != nil {
		return err
	}
	kept := int64(0)
	if before.File.Disk != nil {
		kept = before.File.Disk.Bytes
	}
	if kept == *size {
		return nil
	}
	_, err = s.giveBudget(ctx, before, *size, retentionSetOptions{timeout: timeout})
	return err
}

// bring makes the engine run what is asked for. owns says, in what is remembered, for whom. The caller holds the lock.
func (s *session) bring(
	ctx context.Context, request settings.Request, options stack.UpOptions, owns func(*state.File),
) (settings.Result, *types.Project, error) {
	restored, err := s.resumeRestore(ctx)
	if err != nil {
		return settings.Result{}, nil, err
	}
	if err := s.finishRotation(ctx, request, options.WaitTimeout); err != nil {
		return settings.Result{}, nil, err
	}
	before, err := s.source.Remember(request)
	if err != nil {
		return settings.Result{}, nil, err
	}
	result, project, err := s.prepare(ctx, request)
	if err != nil {
		return settings.Result{}, nil, err
	}
	if err := s.lockImages(ctx, project); err != nil {
		return settings.Result{}, nil, err
	}
	if result.File.Uses, err = s.live(ctx, result.File.Uses); err != nil {
		return settings.Result{}, nil, err
	}
	owns(&result.File)
	if err := s.bringUp(ctx, result.File, project, options); err != nil {
		return settings.Result{}, nil, leftRunning(ctx, s.app.name, err)
	}
	if options.Wait {
		if err := s.endRestore(ctx, restored); err != nil {
			return settings.Result{}, nil, err
		}
	}
	return result, project, s.rotateCertificate(ctx, before.CA, result, options.Wait)
}

// sayWhatStays names the volumes of components that are not part of the stack any more: a profile that was switched
// off, an overlay that was left out. Its data is the user's to keep or to remove.
func (s *session) sayWhatStays(ctx context.Context, project *types.Project) error {
	volumes, err := s.manager.Volumes(ctx, s.state.Name)
	if err != nil {
		return err
	}
	for _, volume := range stack.Left(project, volumes) {
		fmt.Fprintf(s.app.deps.stderr, "note: volume %s stays, though nothing uses it now; remove it with its data: docker volume rm %s\n", volume, volume)
	}
	return nil
}

// prepare checks the host, makes what is missing and loads the project. After it nothing on the engine has changed.
func (s *session) prepare(ctx context.Context, request settings.Request) (settings.Result, *types.Project, error) {
	remembered, err := s.source.Remember(request)
	if err != nil {
		return settings.Result{}, nil, err
	}
	if err := s.refuseStranger(ctx, remembered); err != nil {
		return settings.Result{}, nil, err
	}
	preview, err := stack.Load(ctx, s.manager.Bundle, remembered.Settings)
	if err != nil {
		return settings.Result{}, nil, err
	}
	warnings, err := s.manager.CheckHost(ctx, s.engine, preview, remembered.Settings)
	if err != nil {
		return settings.Result{}, nil, err
	}
	for _, warning := range warnings {
		fmt.Fprintln(s.app.deps.stderr, "warning:", warning)
	}
	for _, note := range remembered.Notes {
		fmt.Fprintln(s.app.deps.stderr, "note:", note)
	}
	if err := s.manager.PullMissing(ctx, preview); err != nil {
		return settings.Result{}, nil, err
	}
	result, err := s.source.Prepare(ctx, request)
	if err != nil {
		return settings.Result{}, nil, err
	}
	if reflect.DeepEqual(result.Settings, remembered.Settings) {
		return result, preview, nil // all was made before, and the same settings give the same project
	}
	project, err := stack.Load(ctx, s.manager.Bundle, result.Settings)
	return result, project, err
}

// refuseStranger stops where the engine has this stack's data and this machine has no credentials for it: stores
// read theirs on the first start only, so new ones would lock everybody out.
func (s *session) refuseStranger(ctx context.Context, remembered settings.Result) error {
	if len(remembered.Credentials) > 0 {
		return nil
	}
	volumes, err := s.manager.Volumes(ctx, s.state.Name)
	if err != nil || len(volumes) == 0 {
		return err
	}
	return &stack.Error{
		Text: fmt.Sprintf("the engine has data of a stack %q (%d volumes) whose credentials are not on this machine",
			s.state.Name, len(volumes)),
		Advice: fmt.Sprintf("start another beside it: docker telemetry --name %s2 up --port %d; "+
			"or remove that data: docker telemetry --name %s down --volumes", s.state.Name, remembered.File.Port+1, s.state.Name),
	}
}

// lockImages keeps what the tags of the project stand for, where that is not kept already.
func (s *session) lockImages(ctx context.Context, project *types.Project) error {
	locked, err := settings.ReadImages(s.state)
	if err != nil {
		return err
	}
	images, err := s.manager.LockImages(ctx, project, locked)
	if err != nil || maps.Equal(images, locked) {
		return err
	}
	return settings.WriteImages(s.state, images)
}

// bringUp records that an up is under way, does it, and records the end. A state that says "starting" is how the
// next command knows that one was interrupted.
func (s *session) bringUp(ctx context.Context, file state.File, project *types.Project, options stack.UpOptions) error {
	file.Phase = "starting"
	if err := s.state.Save(file); err != nil {
		return err
	}
	if err := s.manager.Up(ctx, project, options); err != nil {
		return err
	}
	file.Phase = "running"
	return s.state.Save(file)
}

// dryRun says what `up` would do, from what is and what is to be; it makes nothing, neither here nor on the engine.
func dryRun(ctx context.Context, s *session, request settings.Request) error {
	remembered, err := s.source.Remember(request)
	if err != nil {
		return err
	}
	project, err := stack.Load(ctx, s.manager.Bundle, remembered.Settings)
	if err != nil {
		return err
	}
	warnings, err := s.manager.CheckHost(ctx, s.engine, project, remembered.Settings)
	if err != nil {
		return err
	}
	plan, err := s.manager.Plan(ctx, project)
	if err != nil {
		return err
	}
	for _, warning := range warnings {
		fmt.Fprintln(s.app.deps.stderr, "warning:", warning)
	}
	for _, note := range remembered.Notes {
		fmt.Fprintln(s.app.deps.stderr, "note:", note)
	}
	for _, step := range plan {
		fmt.Fprintln(s.app.deps.stdout, step)
	}
	return nil
}

// leftRunning words an interruption: what is left and the commands that finish or undo it.
func leftRunning(ctx context.Context, name string, err error) error {
	if ctx.Err() == nil || !errors.Is(err, context.Canceled) {
		return err
	}
	return &interruptedError{
		left:   fmt.Sprintf("stack %q is half started", name),
		advice: "docker telemetry up finishes it, docker telemetry down removes it",
		err:    err,
	}
}
