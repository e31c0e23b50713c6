package plugin

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/keeping"
	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

func newRetentionLsCommand(a *app) *cobra.Command {
	format := "table"
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"show"},
		Short:   "List how long data is kept: asked for, by whom, and in force",
		Long: `List how long data is kept: what is asked for, where that comes from, and what the stores say that they do. It ends with
exit code 3 where a store does otherwise, and 4 where one does not answer.`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return runRetentionLs(cmd.Context(), a, format) },
	}
	addFormat(cmd, &format, "table", "json")
	return cmd
}

func runRetentionLs(ctx context.Context, a *app, format string) error {
	s, err := a.open(ctx, "")
	if err != nil {
		return err
	}
	result, err := s.remembered()
	if err != nil {
		return err
	}
	project, err := stack.Load(ctx, s.manager.Bundle, result.Settings)
	if err != nil {
		return err
	}
	at, err := storesOf(result)
	if err != nil {
		return err
	}
	found := at.inForce(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	policy, asked := keeping.Policy(result.File.Retention), stack.Retention(project)
	if err := printRetention(a, retentionRows(result.File, asked, found), format); err != nil {
		return err
	}
	// What the project starts the stores with counts, whoever asked for it.
	return judgeRetention(a, policy.With(asked), found)
}

func printRetention(a *app, rows []retentionRow, format string) error {
	if format == "json" {
		return render.JSON(a.deps.stdout, map[string]any{"schemaVersion": 1, "retention": rows})
	}
	cells := make([][]string, 0, len(rows))
	for _, row := range rows {
		cells = append(cells, []string{row.Target, row.Asked, row.Source, row.InForce})
	}
	render.Table(a.deps.stdout, []string{"what", "asked", "by", "in force"}, cells)
	return nil
}

// judgeRetention ends with a code where the stores do something else than they are told, or do not say.
func judgeRetention(a *app, policy keeping.Policy, found keeping.InForce) error {
	for _, note := range found.Notes {
		fmt.Fprintln(a.deps.stderr, "note:", render.Escape(note))
	}
	if len(found.Notes) > 0 {
		return &codeError{code: exitUnchecked, err: &stack.Error{Text: "not every store said how long it keeps data", Advice: "docker telemetry status"}}
	}
	missing := policy.Missing(found.Streams)
	for _, target := range found.Differs(policy) {
		if !slices.Contains(missing, target) {
			return &codeError{code: exitFindings, err: &stack.Error{
				Text: target + " is not kept as asked", Advice: "bring it about: docker telemetry up",
			}}
		}
	}
	return nil
}
