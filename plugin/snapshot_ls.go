package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/internal/snapshot"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

func newSnapshotLsCommand(a *app) *cobra.Command {
	format := "table"
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the snapshots that were given no file",
		Long: `List the snapshots that were given no file, of all stacks of this user, without
asking the engine. Whether one is whole is seen by its restore only, which reads
it to its end first.`,
		Args: argsBetween(0, 0, ""),
		RunE: func(*cobra.Command, []string) error { return runSnapshotLs(a, format) },
	}
	addFormat(cmd, &format, "table", "json")
	return cmd
}

func runSnapshotLs(a *app, format string) error {
	root, err := a.deps.root()
	if err != nil {
		return err
	}
	whole, parts, err := snapshot.List(root)
	if err != nil {
		return err
	}
	rows := make([]snapshotJSON, 0, len(whole))
	var total int64
	for _, one := range whole {
		rows = append(rows, snapshotRow(one))
		total += one.Size
	}
	if format == "json" {
		return render.JSON(a.deps.stdout, map[string]any{"schemaVersion": 1, "snapshots": rows})
	}
	for _, path := range parts {
		fmt.Fprintf(a.deps.stderr, "note: %s is half a snapshot, being written or of a process that was killed\n", render.Escape(path))
	}
	if len(rows) == 0 {
		fmt.Fprintln(a.deps.stderr, "there are no snapshots yet")
		printHint(a.deps.stderr, a.name, "docker telemetry snapshot create")
		return nil
	}
	cells := make([][]string, 0, len(rows))
	for _, row := range rows {
		created, holds := "", row.Problem
		if row.CreatedAt != nil {
			created, holds = row.CreatedAt.Format("2006-01-02 15:04:05Z"), holdsOf(row)
		}
		cells = append(cells, []string{row.Name, row.Stack, created, units.BytesSize(float64(row.SizeBytes)), holds})
	}
	render.Table(a.deps.stdout, []string{"snapshot", "stack", "taken", "size", "holds"}, cells)
	fmt.Fprintf(a.deps.stderr, "%s in %s\n", units.BytesSize(float64(total)), render.Escape(root.SnapshotDir()))
	return nil
}

func holdsOf(row snapshotJSON) string {
	var components []string
	for _, volume := range row.Volumes {
		components = append(components, volume.Component)
	}
	return strings.Join(slices.Compact(components), " ")
}

type snapshotRmOptions struct{ yes bool }

func newSnapshotRmCommand(a *app) *cobra.Command {
	var opts snapshotRmOptions
	cmd := &cobra.Command{
		Use:               "rm SNAPSHOT...",
		Short:             "Remove snapshots that ls lists",
		Long:              `Remove snapshots that ls lists, by their names. A file elsewhere is yours to remove.`,
		Args:              argsBetween(1, -1, "the name of a snapshot, as docker telemetry snapshot ls lists it"),
		ValidArgsFunction: a.completeSnapshots(cobra.ShellCompDirectiveNoFileComp),
		RunE:              func(cmd *cobra.Command, args []string) error { return runSnapshotRm(cmd.Context(), a, args, opts) },
	}
	cmd.Flags().BoolVarP(&opts.yes, "yes", "y", false, "Do not ask")
	return cmd
}

func runSnapshotRm(ctx context.Context, a *app, names []string, opts snapshotRmOptions) error {
	root, err := a.deps.root()
	if err != nil {
		return err
	}
	whole, _, err := snapshot.List(root)
	if err != nil {
		return err
	}
	var chosen []snapshot.Listed
	for _, name := range names {
		at := slices.IndexFunc(whole, func(one snapshot.Listed) bool { return one.Name == strings.TrimSuffix(name, snapshot.Extension) })
		if at < 0 {
			return &stack.Error{Text: fmt.Sprintf("there is no snapshot %q", name), Advice: "list them: docker telemetry snapshot ls", Usage: true}
		}
		chosen = append(chosen, whole[at])
	}
	for _, one := range chosen {
		fmt.Fprintf(a.deps.stderr, "removes for good: %s (%s of stack %q)\n", one.Name, units.BytesSize(float64(one.Size)), one.Info.Stack)
	}
	if err := a.confirm(ctx, opts.yes, "Remove?", "they stay"); err != nil {
		return err
	}
	var failed []error
	for _, one := range chosen {
		failed = append(failed, os.Remove(one.File))
	}
	return errors.Join(failed...)
}
