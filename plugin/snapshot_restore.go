package plugin

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/internal/snapshot"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

type snapshotRestoreOptions struct {
	bind    string
	port    int
	socket  string
	layers  layerOptions
	yes     bool
	timeout time.Duration
}

func newSnapshotRestoreCommand(a *app) *cobra.Command {
	opts := snapshotRestoreOptions{timeout: startTimeout}
	cmd := &cobra.Command{
		Use:   "restore SNAPSHOT",
		Short: "Make the stack what a snapshot holds, and start it",
		Long: `Make the stack what a snapshot holds, and start it: its data, its settings and
its passwords. SNAPSHOT is a file, or a name that "docker telemetry snapshot ls"
lists. With --name the stack may be another one, beside the one it was taken of.

The whole file is checked before anything is touched, and its data goes into new
volumes while the stack runs on. One step then makes them the stack's. Killed
before it, the stack is the old one; after it, the next up finishes the new one.
The old data is removed when the new stack is healthy.

What the stack had is gone after that: data, settings and passwords. A snapshot
is as powerful as who wrote it, so restore only what you trust.`,
		Example: `  docker telemetry snapshot restore telemetry-20261130-150405
  docker telemetry --name second snapshot restore /backup/telemetry.tar.zst --port 8083`,
		Args:              argsBetween(1, 1, "a file, or the name of a snapshot"),
		ValidArgsFunction: a.completeSnapshots(cobra.ShellCompDirectiveDefault),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runSnapshotRestore(cmd.Context(), a, args[0], opts)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&opts.port, "port", 0, "Port of the gateway (default that of the snapshot)")
	flags.StringVar(&opts.bind, "bind", "", "Address that the gateway is published on (default that of the snapshot)")
	flags.StringVar(&opts.socket, "docker-socket", "", "Path of the Docker socket on the engine's host (default: that of the stack, or found)")
	opts.layers.addTo(a, cmd)
	flags.BoolVarP(&opts.yes, "yes", "y", false, "Do not ask")
	flags.DurationVar(&opts.timeout, "timeout", opts.timeout, "How long to wait for health, and for the proof")
	return cmd
}

func runSnapshotRestore(ctx context.Context, a *app, name string, opts snapshotRestoreOptions) error {
	s, err := a.open(ctx, "restore")
	if err != nil {
		return err
	}
	defer s.close()
	file, err := snapshot.Find(s.source.Root, name)
	if err != nil {
		return err
	}
	defer file.Close()
	contents, err := s.verifySnapshot(ctx, file)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	unlock, err := s.lock(ctx, "snapshot restore")
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.clearForRestore(ctx); err != nil {
		return err
	}
	request := settings.Request{Bind: opts.bind, Port: opts.port, DockerSocket: opts.socket}
	opts.layers.into(&request)
	plan, err := s.planRestore(ctx, contents, request)
	if err != nil {
		return err
	}
	if err := s.agreeToRestore(ctx, contents, plan, opts.yes); err != nil {
		return err
	}
	if err := s.stageRestore(ctx, file, contents, plan); err != nil {
		return err
	}
	if err := s.switchTo(ctx, plan.restore); err != nil {
		return restoreLeft(ctx, err)
	}
	return s.startRestored(ctx, plan.restore, opts.timeout)
}

// verifySnapshot reads the whole file. Nothing of the stack is touched or even locked by then.
func (s *session) verifySnapshot(ctx context.Context, file *os.File) (snapshot.Contents, error) {
	const id = "Snapshot"
	s.manager.Copied(id, "Checking", false)
	contents, err := snapshot.Verify(ctx, file, func(part float64) {
		s.manager.Copied(id, fmt.Sprintf("Checking, %.0f %%", part*100), false)
	})
	if err != nil {
		s.progress.Failed(id)
		return contents, err
	}
	s.manager.Copied(id, fmt.Sprintf("Checked, %d files", contents.Entries), true)
	return contents, nil
}

// clearForRestore undoes what an earlier restore left, and refuses where something else is under way.
func (s *session) clearForRestore(ctx context.Context) error {
	pending, err := s.state.PendingRestore()
	if err != nil {
		return err
	}
	if pending != nil && !pending.Switched {
		return s.undoRestore(ctx, *pending)
	}
	return s.source.RefuseUnfinished()
}

// restorePlan is all that a restore comes to, worked out before anything is made.
type restorePlan struct {
	restore state.Restore
	volumes map[string]string // on the engine, by key
	image   string            // for the containers that hold a volume
	port    int
	known   bool // there is a stack of this name
}

// planRestore makes of a snapshot's files a stack that can run here, in a folder of its own, and refuses what could not.
func (s *session) planRestore(ctx context.Context, contents snapshot.Contents, request settings.Request) (plan restorePlan, err error) {
	current, err := s.state.Load()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return plan, err
	}
	plan.known = err == nil
	if err := s.manager.RoomFor(ctx, s.engine, contents.Bytes); err != nil {
		return plan, err
	}
	root, copied, done, err := s.state.Rehearse()
	if err != nil {
		return plan, err
	}
	defer func() { err = errors.Join(err, done()) }()
	if err := settings.Import(copied, contents.Files, s.engine.ID, current.DockerSocket); err != nil {
		return plan, err
	}
	source := s.source
	source.Root.State, source.Stack, source.Feature = root.State, copied, s.feature(ctx)
	result, err := source.Remember(request)
	if err != nil {
		return plan, rewordUp(err)
	}
	if len(result.Credentials) == 0 {
		return plan, &stack.Error{Text: "the snapshot holds no credentials", Advice: "use another one: docker telemetry snapshot ls"}
	}
	project, err := stack.Load(ctx, s.manager.Bundle, result.Settings)
	if err != nil {
		return plan, err
	}
	warnings, err := s.manager.CheckHost(ctx, s.engine, project, result.Settings)
	if err != nil {
		return plan, rewordUp(err)
	}
	for _, warning := range warnings {
		fmt.Fprintln(s.app.deps.stderr, "warning:", warning)
	}
	kept := stack.KeptVolumes(project)
	if err := refuseOtherVolumes(contents, kept); err != nil {
		return plan, err
	}
	s.sayOtherImages(contents, kept)
	if err := s.manager.PullMissing(ctx, project); err != nil {
		return plan, err
	}
	plan.image, plan.port = stack.HolderImage(project), result.File.Port
	if err := s.planVolumes(ctx, &plan, kept); err != nil {
		return plan, err
	}
	result.File.Volumes, result.File.Phase = otherNames(s.state.Name, plan.volumes), state.PhaseStopped
	if err := copied.Save(result.File); err != nil {
		return plan, err
	}
	plan.restore.From = contents.Sum
	plan.restore.Files, err = settings.Export(copied)
	return plan, err
}

// rewordUp makes a hint that was worded for `up` one for this command: its flags are the same.
func rewordUp(err error) error {
	var refusal *stack.Error
	if !errors.As(err, &refusal) {
		return err
	}
	reworded := *refusal
	reworded.Advice = strings.ReplaceAll(refusal.Advice, "docker telemetry up", "docker telemetry snapshot restore SNAPSHOT")
	return &reworded
}

func refuseOtherVolumes(contents snapshot.Contents, kept []stack.KeptVolume) error {
	for _, volume := range contents.Info.Volumes {
		if !slices.ContainsFunc(kept, func(k stack.KeptVolume) bool { return k.Key == volume.Name }) {
			return &stack.Error{
				Text:   fmt.Sprintf("the snapshot has a volume %q of %s, and its stack would have none here", volume.Name, volume.Component),
				Advice: "bring the profile or overlay that has it: --profile, -f",
			}
		}
	}
	return nil
}

// sayOtherImages tells of stores whose data was written by another release: most read older data, none newer.
func (s *session) sayOtherImages(contents snapshot.Contents, kept []stack.KeptVolume) {
	for _, volume := range contents.Info.Volumes {
		for _, now := range kept {
			if now.Key == volume.Name && now.Image != volume.Image {
				fmt.Fprintf(s.app.deps.stderr, "warning: the data of %s was written by %s, this stack runs %s\n",
					render.Escape(volume.Component), render.Escape(volume.Image), now.Image)
			}
		}
	}
}

// planVolumes chooses the names of the new volumes: Compose's own where none is of that name, and others beside them.
func (s *session) planVolumes(ctx context.Context, plan *restorePlan, kept []stack.KeptVolume) error {
	present, err := s.manager.Volumes(ctx, s.state.Name)
	if err != nil {
		return err
	}
	if plan.restore.ID, err = newRestoreID(s.app.deps.random); err != nil {
		return err
	}
	plan.volumes = map[string]string{}
	for _, volume := range kept {
		usual := usualName(s.state.Name, volume.Key)
		plan.volumes[volume.Key] = usual
		for _, name := range present {
			if name != usual && !strings.HasPrefix(name, usual+".") {
				continue
			}
			plan.restore.Replaced = append(plan.restore.Replaced, name)
			if name == usual {
				plan.volumes[volume.Key] = usual + "." + plan.restore.ID
			}
		}
	}
	return nil
}

// newRestoreID is part of the names of volumes.
func newRestoreID(random io.Reader) (string, error) {
	raw := make([]byte, 4)
	if _, err := io.ReadFull(random, raw); err != nil {
		return "", fmt.Errorf("random source: %w", err)
	}
	return hex.EncodeToString(raw), nil
}

// usualName is what Compose calls a volume that says nothing else.
func usualName(project, key string) string { return project + "_" + key }

// otherNames are those that the state has to remember.
func otherNames(project string, volumes map[string]string) map[string]string {
	other := map[string]string{}
	for key, name := range volumes {
		if name != usualName(project, key) {
			other[key] = name
		}
	}
	return other
}

// agreeToRestore says what is replaced and asks. Off a terminal the word has to be in the command: another command would
// have made it plain that something goes, this one may also make a new stack.
func (s *session) agreeToRestore(ctx context.Context, contents snapshot.Contents, plan restorePlan, yes bool) error {
	stderr := s.app.deps.stderr
	fmt.Fprintf(stderr, "the snapshot of stack %q of %s is whole: %s in %d files\n", contents.Info.Stack,
		contents.Info.CreatedAt.UTC().Format("2006-01-02 15:04:05Z"), units.BytesSize(float64(contents.Bytes)), contents.Entries)
	if !plan.known && len(plan.restore.Replaced) == 0 {
		return nil
	}
	for _, volume := range plan.restore.Replaced {
		fmt.Fprintf(stderr, "replaces for good: volume %s\n", volume)
	}
	fmt.Fprintf(stderr, "replaces for good: the settings and passwords of stack %q\n", s.state.Name)
	if !yes && !s.app.deps.stdinTerminal() {
		return &usageError{
			err:    fmt.Errorf("stack %q is there, and would be replaced", s.state.Name),
			advice: "say that it may: --yes; or restore it beside: docker telemetry --name " + s.state.Name + "2 snapshot restore SNAPSHOT --port PORT",
		}
	}
	return s.app.confirm(ctx, yes, "Replace the stack and all its data?", "restore it beside: docker telemetry --name "+s.state.Name+"2 snapshot restore")
}

// stageRestore fills the new volumes. The stack runs on meanwhile, and stays what it is when this fails.
func (s *session) stageRestore(ctx context.Context, file *os.File, contents snapshot.Contents, plan restorePlan) error {
	if err := s.state.WriteRestore(plan.restore); err != nil {
		return err
	}
	err := snapshot.Fill(ctx, snapshot.Target{
		Manager: s.manager, Stack: s.state.Name, Image: plan.image, ID: plan.restore.ID, Volumes: plan.volumes,
	}, file, contents)
	if err == nil {
		return nil
	}
	undone := s.undoRestore(context.WithoutCancel(ctx), plan.restore)
	if ctx.Err() != nil {
		return errors.Join(&interruptedError{
			left: fmt.Sprintf("stack %q is as it was before", s.state.Name), advice: "docker telemetry snapshot restore begins again", err: ctx.Err(),
		}, undone)
	}
	return errors.Join(fmt.Errorf("the stack is as it was before: %w", err), undone)
}

// undoRestore removes what a restore made before it switched. Nothing else had changed.
func (s *session) undoRestore(ctx context.Context, restore state.Restore) error {
	if err := s.manager.RemoveUnlocked(ctx, s.state.Name); err != nil {
		return err
	}
	made, err := s.manager.RestoredVolumes(ctx, s.state.Name, restore.ID)
	if err != nil {
		return err
	}
	if err := s.manager.RemoveVolumes(ctx, s.state.Name, made); err != nil {
		return err
	}
	if _, err := s.state.Load(); errors.Is(err, fs.ErrNotExist) {
		return s.forget() // there was no stack before
	}
	return s.state.EndRestore()
}

// switchTo makes the stack the restored one: the write is the step, and all after it can be done again.
func (s *session) switchTo(ctx context.Context, restore state.Restore) error {
	restore.Switched = true
	if err := s.state.WriteRestore(restore); err != nil {
		return err
	}
	return s.adoptRestore(ctx, restore)
}

// adoptRestore removes the containers before the files change, so that nothing of the old stack runs with the new one's.
func (s *session) adoptRestore(ctx context.Context, restore state.Restore) error {
	containers, err := s.manager.Containers(ctx, s.state.Name)
	if err != nil {
		return err
	}
	if len(containers) > 0 {
		if err := s.manager.Down(ctx, s.state.Name, false); err != nil {
			return err
		}
	}
	if err := s.state.Adopt(restore); err != nil {
		return err
	}
	s.source.Restoring = true
	return nil
}

// startRestored starts what was restored, proves it, and lets go of the old data.
func (s *session) startRestored(ctx context.Context, restore state.Restore, timeout time.Duration) error {
	result, project, err := s.prepare(ctx, settings.Request{})
	if err == nil {
		err = s.lockImages(ctx, project)
	}
	if err == nil {
		err = s.bringUp(ctx, result.File, project, stack.UpOptions{Wait: true, WaitTimeout: timeout})
	}
	if err != nil {
		return restoreLeft(ctx, err)
	}
	if err := s.endRestore(ctx, &restore); err != nil {
		return err
	}
	if err := s.refuseOtherPassword(ctx, result, project.ServiceNames()); err != nil {
		return err
	}
	proof, err := s.prove(ctx, result, project, timeout)
	if err != nil {
		return leftRunning(ctx, s.state.Name, err)
	}
	s.close()
	return s.printCard(ctx, proof)
}

// restoreLeft words what a failure or Ctrl-C left after the switch.
func restoreLeft(ctx context.Context, err error) error {
	const advice = "docker telemetry up finishes it"
	if ctx.Err() != nil {
		return &interruptedError{left: "the restored stack is half started, and the old data is kept until it runs", advice: advice, err: errors.Join(ctx.Err(), err)}
	}
	return fmt.Errorf("the restored stack does not run yet, and the old data is kept until it does (%s): %w", advice, err)
}

// resumeRestore is for `up`: it undoes a restore that was interrupted before it switched, and takes up one that had. The
// caller ends that when the stack is healthy.
func (s *session) resumeRestore(ctx context.Context) (*state.Restore, error) {
	pending, err := s.state.PendingRestore()
	if err != nil || pending == nil {
		return nil, err
	}
	if !pending.Switched {
		fmt.Fprintln(s.app.deps.stderr, "note: a restore was interrupted before it changed the stack; what it had copied is removed")
		return nil, s.undoRestore(ctx, *pending)
	}
	fmt.Fprintln(s.app.deps.stderr, "note: a restore was interrupted and is finished now")
	return pending, s.adoptRestore(ctx, *pending)
}

// endRestore removes the volumes that were replaced; nil has none.
func (s *session) endRestore(ctx context.Context, restore *state.Restore) error {
	if restore == nil {
		return nil
	}
	if err := s.manager.RemoveVolumes(ctx, s.state.Name, restore.Replaced); err != nil {
		return err
	}
	s.source.Restoring = false
	return s.state.EndRestore()
}
