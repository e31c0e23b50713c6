package plugin

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/credentials"
	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/internal/snapshot"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

type snapshotCreateOptions struct {
	format  string
	timeout time.Duration
}

func newSnapshotCreateCommand(a *app) *cobra.Command {
	opts := snapshotCreateOptions{format: "table", timeout: startTimeout}
	cmd := &cobra.Command{
		Use:   "create [FILE]",
		Short: "Take the data and the state of the stack into one file",
		Long: `Take the data and the state of the stack into one file, and print its path. It
streams from the engine, which may be another machine, and is compressed on the
way; nothing needs room for a second copy.

VictoriaMetrics runs on, on a snapshot of its own. OpenObserve, Grafana and the
stores of profiles each stand still while their own data is copied; the agent
keeps meanwhile what is sent to them. A stack that is stopped stays so. Buffers
on the way to a store are left out, and so is a volume with x-snapshot: false.

The file holds the passwords of the stack, and all that its logs say. Only its
owner can read it (0600). Without FILE it goes to the snapshots that
"docker telemetry snapshot ls" lists. No file is ever replaced.`,
		Example: `  docker telemetry snapshot create
  docker telemetry snapshot create /backup/telemetry.tar.zst`,
		Args: argsBetween(0, 1, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runSnapshotCreate(cmd.Context(), a, strings.Join(args, ""), opts)
		},
	}
	cmd.Flags().DurationVar(&opts.timeout, "timeout", opts.timeout, "How long a component that stood still may take to be ready again")
	addFormat(cmd, &opts.format, "table", "json")
	return cmd
}

// snapshotJSON is a snapshot in the JSON of `snapshot create` and `snapshot ls`: documented in docs/reference/json.md,
// only added to.
type snapshotJSON struct {
	Name      string               `json:"name"`
	File      string               `json:"file"`
	Stack     string               `json:"stack"`
	CreatedAt *time.Time           `json:"createdAt"` // nil where the file cannot be read
	SizeBytes int64                `json:"sizeBytes"`
	Version   string               `json:"version"` // of docker telemetry that took it
	Volumes   []snapshotVolumeJSON `json:"volumes"`
	Problem   string               `json:"problem,omitempty"`
}

type snapshotVolumeJSON struct {
	Name      string `json:"name"`
	Component string `json:"component"`
	Image     string `json:"image"`
	Method    string `json:"method"` // snapshot or stopped
}

func runSnapshotCreate(ctx context.Context, a *app, name string, opts snapshotCreateOptions) error {
	s, err := a.open(ctx, "snapshot")
	if err != nil {
		return err
	}
	defer s.close()
	unlock, err := s.lock(ctx, "snapshot create")
	if err != nil {
		return err
	}
	defer unlock()
	source, err := s.snapshotSource(ctx, opts.timeout)
	if err != nil {
		return err
	}
	if name == "" {
		name = snapshot.DefaultFile(s.source.Root, a.name, source.Now)
	}
	file, err := snapshot.NewFile(name)
	if err != nil {
		return err
	}
	taken, err := snapshot.Create(ctx, source, file)
	if err != nil {
		return errors.Join(interruptedSnapshot(ctx, err), file.Discard())
	}
	size, err := file.Commit()
	if err != nil {
		return err
	}
	s.close()
	return a.tellSnapshot(name, size, taken, opts.format)
}

// interruptedSnapshot words Ctrl-C: what stood still was started again, and no file stays.
func interruptedSnapshot(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return &interruptedError{
		left: "no snapshot was kept, and what stood still was started again", advice: "docker telemetry status", err: errors.Join(ctx.Err(), err),
	}
}

// snapshotSource says what there is to keep. A stack between two states is refused: its snapshot would be of neither.
func (s *session) snapshotSource(ctx context.Context, wait time.Duration) (snapshot.Source, error) {
	result, err := s.remembered()
	if err != nil {
		return snapshot.Source{}, err
	}
	if err := s.source.RefuseUnfinished(); err != nil {
		return snapshot.Source{}, err
	}
	if len(result.Credentials) == 0 {
		return snapshot.Source{}, noCredentials(s.state.Name)
	}
	project, err := stack.Load(ctx, s.manager.Bundle, result.Settings)
	if err != nil {
		return snapshot.Source{}, err
	}
	if err := s.manager.PullMissing(ctx, project); err != nil {
		return snapshot.Source{}, err
	}
	// Those of a snapshot that was killed.
	if err := s.manager.RemoveUnlocked(ctx, s.state.Name); err != nil {
		return snapshot.Source{}, err
	}
	return snapshot.Source{
		Manager: s.manager, State: s.state, Engine: s.engine.Name, Image: stack.HolderImage(project), Volumes: stack.KeptVolumes(project),
		MetricsKey: result.Credentials[credentials.VictoriaMetricsSnapshotKey], Now: s.app.deps.now(), Wait: wait,
	}, nil
}

func (a *app) tellSnapshot(name string, size int64, taken snapshot.Result, format string) error {
	whole, err := filepath.Abs(name)
	if err != nil {
		return err
	}
	if format == "json" {
		err = render.JSON(a.deps.stdout, map[string]any{"schemaVersion": 1, "snapshot": snapshotRow(snapshot.Listed{
			Name: strings.TrimSuffix(filepath.Base(whole), snapshot.Extension), File: whole, Size: size, Info: taken.Info,
		})})
	} else {
		fmt.Fprintln(a.deps.stdout, whole)
	}
	for _, left := range taken.Left {
		fmt.Fprintf(a.deps.stderr, "warning: not kept, it is no file: %s\n", render.Escape(left))
	}
	if taken.Warning != nil {
		fmt.Fprintf(a.deps.stderr, "warning: %s\n", render.Escape(taken.Warning.Error()))
	}
	fmt.Fprintf(a.deps.stderr, "%s of data in %d files are %s\n", units.BytesSize(float64(taken.Bytes)), taken.Entries, units.BytesSize(float64(size)))
	fmt.Fprintln(a.deps.stderr, "warning: the file holds the passwords of the stack and all that its logs say; only you can read it (0600), keep it so")
	printHint(a.deps.stderr, a.name, "docker telemetry snapshot restore "+whole)
	return errors.Join(err, taken.Unready)
}

func snapshotRow(one snapshot.Listed) snapshotJSON {
	row := snapshotJSON{
		Name: one.Name, File: one.File, SizeBytes: one.Size, Stack: one.Info.Stack, Version: one.Info.Version, Volumes: []snapshotVolumeJSON{},
	}
	if one.Problem != nil {
		row.Problem = one.Problem.Error()
		return row
	}
	created := one.Info.CreatedAt.UTC()
	row.CreatedAt = &created
	for _, volume := range one.Info.Volumes {
		row.Volumes = append(row.Volumes, snapshotVolumeJSON{Name: volume.Name, Component: volume.Component, Image: volume.Image, Method: volume.Method})
	}
	return row
}
