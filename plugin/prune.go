package plugin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/credentials"
	"github.com/docker-telemetry/docker-telemetry/internal/prune"
	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/internal/snapshot"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

type pruneOptions struct {
	volumes, yes bool
	format       string
}

func newPruneCommand(a *app) *cobra.Command {
	opts := pruneOptions{format: "table"}
	cmd := &cobra.Command{
		Use:   "prune [OPTIONS]",
		Short: "List what stacks have left behind, and remove it",
		Long: `List what stacks have left behind, and remove it: containers of commands that
were killed, networks and volumes of stacks that are no more, images of earlier
pins, snapshots that VictoriaMetrics still holds, halves of snapshot files.

It lists first and asks then. Off a terminal it lists only, unless --yes is
given. Nothing that a container uses is removed, nothing of a stack that another
command is changing, and nothing without our labels or off our list of images.

Data of a stack that is down stays, and so does that of a profile that is off,
unless --volumes says otherwise. A stack that is stopped keeps all of it.`,
		Example: `  docker telemetry prune
  docker telemetry prune --volumes --yes`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return runPrune(cmd.Context(), a, opts) },
	}
	cmd.Flags().BoolVar(&opts.volumes, "volumes", false, "Remove the data of stacks that are down and of profiles that are off, too")
	cmd.Flags().BoolVarP(&opts.yes, "yes", "y", false, "Do not ask")
	addFormat(cmd, &opts.format, "table", "json")
	return cmd
}

// leftJSON is a row of `prune --format json`: documented in docs/reference/json.md, only added to.
type leftJSON struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Stack   string `json:"stack"`
	Why     string `json:"why"`
	Data    bool   `json:"data"`
	Removed bool   `json:"removed"`
	Problem string `json:"problem,omitempty"`
}

func runPrune(ctx context.Context, a *app, opts pruneOptions) error {
	s, err := a.open(ctx, "prune")
	if err != nil {
		return err
	}
	defer s.close()
	items, err := s.leftovers(ctx)
	if err != nil {
		return err
	}
	if opts.format == "table" {
		printLeft(a, items, opts.volumes)
	}
	chosen := slices.DeleteFunc(slices.Clone(items), func(item prune.Item) bool { return item.Data && !opts.volumes })
	remove := len(chosen) > 0 && (opts.yes || a.deps.stdinTerminal())
	if remove {
		if err := a.confirm(ctx, opts.yes, "Remove?", "it is all still there"); err != nil {
			return err
		}
	}
	removed := map[prune.Item]error{}
	if remove {
		// Between the list and the answer a stack may have started.
		now, err := s.leftovers(ctx)
		if err != nil {
			return err
		}
		chosen = slices.DeleteFunc(chosen, func(item prune.Item) bool { return !slices.Contains(now, item) })
		removed = s.removeLeft(ctx, chosen)
	}
	s.close()
	return tellPruned(a, opts, items, chosen, removed, remove)
}

func printLeft(a *app, items []prune.Item, volumes bool) {
	if len(items) == 0 {
		return
	}
	rows := make([][]string, 0, len(items))
	for _, item := range items {
		fate := ""
		if item.Data && !volumes {
			fate = "stays without --volumes"
		}
		rows = append(rows, []string{item.Kind, item.Name, item.Stack, item.Why, fate})
	}
	render.Table(a.deps.stdout, []string{"what", "name", "stack", "why", ""}, rows)
}

func tellPruned(a *app, opts pruneOptions, items, chosen []prune.Item, removed map[prune.Item]error, remove bool) error {
	var failed []error
	rows := make([]leftJSON, 0, len(items))
	for _, item := range items {
		row := leftJSON{Kind: item.Kind, Name: item.Name, Stack: item.Stack, Why: item.Why, Data: item.Data}
		if err, tried := removed[item]; tried {
			row.Removed = err == nil
			if err != nil {
				row.Problem = err.Error()
				failed = append(failed, fmt.Errorf("%s %s stays: %w", item.Kind, item.Name, err))
			}
		}
		rows = append(rows, row)
	}
	if opts.format == "json" {
		if err := render.JSON(a.deps.stdout, map[string]any{"schemaVersion": 1, "left": rows}); err != nil {
			return err
		}
	}
	switch {
	case len(items) == 0:
		fmt.Fprintln(a.deps.stderr, "nothing is left behind")
	case remove:
		fmt.Fprintf(a.deps.stderr, "%d of %d removed\n", len(removed)-len(failed), len(items))
	case len(chosen) > 0:
		fmt.Fprintln(a.deps.stderr, "nothing was removed: this is no terminal to ask at")
		printHint(a.deps.stderr, a.name, "docker telemetry prune --yes removes it")
	}
	return errors.Join(failed...)
}

// leftovers asks the engine and the state for what is left.
func (s *session) leftovers(ctx context.Context) ([]prune.Item, error) {
	facts, err := s.leftOnEngine(ctx)
	if err != nil {
		return nil, err
	}
	elsewhere, err := s.source.Root.StacksElsewhere(s.app.deps.context())
	if err != nil {
		return nil, err
	}
	for _, name := range elsewhere {
		facts.Stacks[name] = prune.Stack{} // in another context, which may well be this engine
	}
	if err := s.knownStacks(ctx, &facts, func(string) bool { return true }); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(facts.Stacks)) {
		known := facts.Stacks[name]
		if known.Volumes == nil {
			continue // not understood, or in another context
		}
		if known.Snapshots, err = s.heldSnapshots(ctx, name); err != nil {
			s.notLookedFor(name, err)
		}
		facts.Stacks[name] = known
	}
	_, parts, err := snapshot.List(s.source.Root)
	if err != nil {
		return nil, err
	}
	for _, path := range parts {
		if info, err := os.Lstat(path); err == nil {
			facts.Parts = append(facts.Parts, prune.PartFile{Path: path, Changed: info.ModTime()})
		}
	}
	return prune.Analyse(facts), nil
}

// leftOf is what one stack has left on the engine. No store is asked for it, and no lock is taken.
func (s *session) leftOf(ctx context.Context, name string) ([]prune.Item, error) {
	facts, err := s.leftOnEngine(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.knownStacks(ctx, &facts, func(other string) bool { return other == name }); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(prune.Analyse(facts), func(item prune.Item) bool { return item.Stack != name }), nil
}

func (s *session) leftOnEngine(ctx context.Context) (prune.Facts, error) {
	facts := prune.Facts{Now: s.app.deps.now(), Local: s.engine.Local(), Stacks: map[string]prune.Stack{}, Present: map[string]bool{}}
	var err error
	facts.Engine, err = s.manager.Labelled(ctx)
	return facts, err
}

// knownStacks adds what the state knows of the stacks that are asked for. An image that any stack has is none of an earlier pin.
func (s *session) knownStacks(ctx context.Context, facts *prune.Facts, asked func(name string) bool) error {
	names, err := s.source.Root.Stacks(s.app.deps.context())
	if err != nil {
		return err
	}
	current := map[string]bool{}
	for _, name := range names {
		stored, err := s.source.Root.Stack(s.app.deps.context(), name)
		if err != nil {
			return err
		}
		images, err := settings.ReadImages(stored)
		if err != nil {
			return err
		}
		for _, image := range images {
			current[image.ID] = true
		}
		if !asked(name) {
			continue
		}
		if err := s.knownStack(ctx, stored, facts); err != nil {
			return err
		}
	}
	facts.Former = slices.DeleteFunc(facts.Former, func(one prune.FormerImage) bool { return current[one.ID] })
	for _, image := range facts.Former {
		if facts.Present[image.ID], err = s.manager.HasImage(ctx, image.Tag, image.ID); err != nil {
			return err
		}
	}
	return nil
}

// knownStack adds what the state knows of one stack. A stack that cannot be understood keeps all that it has.
func (s *session) knownStack(ctx context.Context, stored *state.Stack, facts *prune.Facts) error {
	former, err := settings.ReadFormerImages(stored)
	if err != nil {
		return err
	}
	for _, image := range former {
		facts.Former = append(facts.Former, prune.FormerImage{Stack: stored.Name, Tag: image.Tag, ID: image.ID})
	}
	known, err := s.describeStack(ctx, stored)
	if err != nil {
		s.notLookedFor(stored.Name, err)
	}
	facts.Stacks[stored.Name] = known
	return nil
}

func (s *session) notLookedFor(name string, err error) {
	fmt.Fprintf(s.app.deps.stderr, "note: what stack %s has left is not looked for: %s\n", name, render.Escape(err.Error()))
}

func (s *session) describeStack(ctx context.Context, stored *state.Stack) (prune.Stack, error) {
	pending, err := stored.PendingRestore()
	if err != nil {
		return prune.Stack{}, err
	}
	source := s.source
	source.Stack = stored
	result, err := source.Remember(settings.Request{})
	if err != nil {
		return prune.Stack{}, err
	}
	project, err := stack.Load(ctx, s.manager.Bundle, result.Settings)
	if err != nil {
		return prune.Stack{}, err
	}
	known := prune.Stack{Volumes: []string{}}
	for _, volume := range project.Volumes {
		known.Volumes = append(known.Volumes, volume.Name)
	}
	if pending != nil {
		known.Restore = pending.ID
	}
	return known, nil
}

// heldSnapshots are those in a running VictoriaMetrics, unless a command is at work that may be making one.
func (s *session) heldSnapshots(ctx context.Context, name string) ([]string, error) {
	containers, err := s.manager.Containers(ctx, name)
	if err != nil || !slices.ContainsFunc(containers, func(c stack.Container) bool { return c.Component == stack.VictoriaMetrics && c.Ready() }) {
		return nil, err
	}
	stored, err := s.source.Root.Stack(s.app.deps.context(), name)
	if err != nil {
		return nil, err
	}
	set, err := credentials.Read(stored)
	if err != nil {
		return nil, err
	}
	unlock, err := stored.Lock(ctx, "docker telemetry prune")
	var held *state.LockedError
	if errors.As(err, &held) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	snapshots, err := s.manager.MetricSnapshots(ctx, name, set[credentials.VictoriaMetricsSnapshotKey])
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	names, err := snapshots.List(ctx)
	return names, errors.Join(err, unlock())
}

// removeLeft removes what was chosen, one stack after the other and each under its lock, and tells what came of each.
func (s *session) removeLeft(ctx context.Context, chosen []prune.Item) map[prune.Item]error {
	removed := map[prune.Item]error{}
	for len(chosen) > 0 {
		name := chosen[0].Stack
		var of []prune.Item
		chosen = slices.DeleteFunc(chosen, func(item prune.Item) bool {
			if item.Stack == name {
				of = append(of, item)
			}
			return item.Stack == name
		})
		unlock, err := s.lockOther(ctx, name)
		for _, item := range of {
			removed[item] = err
			if err == nil {
				removed[item] = s.removeItem(ctx, item)
			}
		}
		if err == nil {
			unlock()
		}
	}
	return removed
}

// lockOther takes the lock of a stack that need not be this command's, nor known. It does not wait: what is being changed
// is not left behind.
func (s *session) lockOther(ctx context.Context, name string) (unlock func(), err error) {
	if name == "" {
		return func() {}, nil
	}
	stored, err := s.source.Root.Stack(s.app.deps.context(), name)
	if err != nil {
		return nil, err
	}
	release, err := stored.Lock(ctx, "docker telemetry prune")
	if err != nil {
		return nil, err
	}
	return func() {
		// The lock alone is no stack, and should leave no folder.
		if files, err := stored.Files(); err == nil && len(files) == 1 {
			err = stored.Remove()
			s.warnOf(err)
		}
		s.warnOf(release())
	}, nil
}

func (s *session) warnOf(err error) {
	if err != nil {
		fmt.Fprintln(s.app.deps.stderr, "warning:", render.Escape(err.Error()))
	}
}

func (s *session) removeItem(ctx context.Context, item prune.Item) error {
	switch item.Kind {
	case prune.Container:
		return s.manager.RemoveProbe(ctx, item.ID)
	case prune.Network:
		return s.manager.RemoveNetwork(ctx, item.ID)
	case prune.Volume:
		return s.manager.RemoveVolumes(ctx, item.Stack, []string{item.ID})
	case prune.Image:
		return s.removeFormer(ctx, item)
	case prune.MetricSnapshot:
		return s.removeMetricSnapshot(ctx, item)
	case prune.File:
		if !strings.HasPrefix(item.ID, s.source.Root.SnapshotDir()) {
			return fmt.Errorf("%s is not in the folder of snapshots", item.ID)
		}
		return os.Remove(item.ID)
	default:
		return fmt.Errorf("%q is nothing that can be removed", item.Kind)
	}
}

func (s *session) removeFormer(ctx context.Context, item prune.Item) error {
	stored, err := s.source.Root.Stack(s.app.deps.context(), item.Stack)
	if err != nil {
		return err
	}
	if err := s.manager.RemoveImage(ctx, item.Name, item.ID); err != nil {
		return err
	}
	return settings.ForgetImages(stored, []settings.FormerImage{{Tag: item.Name, ID: item.ID}})
}

func (s *session) removeMetricSnapshot(ctx context.Context, item prune.Item) error {
	stored, err := s.source.Root.Stack(s.app.deps.context(), item.Stack)
	if err != nil {
		return err
	}
	set, err := credentials.Read(stored)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return s.manager.RemoveMetricSnapshots(ctx, item.Stack, set[credentials.VictoriaMetricsSnapshotKey], []string{item.ID})
}
