package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/report/rules"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

func newRulesCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Apply the rules that a report wrote, list them, undo them",
		Long: `Apply the rules that a report wrote, list them, undo them. They are part of the stack from then on, as up, config and
eject show it; only VictoriaMetrics, or the agent, is brought up anew with them, and what is stored already stays as it is.`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRulesApplyCommand(a), newRulesLsCommand(a), newRulesUndoCommand(a))
	return cmd
}

func newRulesLsCommand(a *app) *cobra.Command {
	format := "table"
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the rules of the stack",
		Args:  argsBetween(0, 0, ""),
		RunE:  func(cmd *cobra.Command, _ []string) error { return runRulesLs(cmd.Context(), a, format) },
	}
	addFormat(cmd, &format, "table", "json")
	return cmd
}

// ruleRow is a rule in the JSON of `rules ls`: documented in docs/reference/json.md, only added to.
type ruleRow struct {
	Name   string   `json:"name"`
	Code   string   `json:"code"`
	About  string   `json:"about"`
	Metric string   `json:"metric"`
	Labels []string `json:"labels"`
	Left   *int     `json:"left"`
	// Approximate: Left is the most that it can be, by an estimate.
	Approximate bool      `json:"approximate"`
	Kind        string    `json:"kind"`
	Config      string    `json:"config"`
	Tests       string    `json:"tests"`
	AppliedAt   time.Time `json:"appliedAt"`
}

func ruleRows(applied []settings.AppliedRule) []ruleRow {
	rows := make([]ruleRow, 0, len(applied))
	for _, r := range applied {
		labels := append([]string{}, r.Labels...) // [], not null
		rows = append(rows, ruleRow{r.Name, r.Code, r.About, r.Metric, labels, r.Left, r.Approximate, r.Kind, r.Config, r.Tests, r.AppliedAt})
	}
	return rows
}

func runRulesLs(ctx context.Context, a *app, format string) error {
	s, err := a.open(ctx, "")
	if err != nil {
		return err
	}
	if _, err := s.remembered(); err != nil {
		return err
	}
	applied, err := settings.ReadRules(s.state)
	if err != nil {
		return err
	}
	if format == "json" {
		return render.JSON(a.deps.stdout, map[string]any{"schemaVersion": 1, "rules": ruleRows(applied)})
	}
	if len(applied) == 0 {
		fmt.Fprintln(a.deps.stderr, "this stack has no rules")
		printHint(a.deps.stderr, a.name, "a report writes them: docker telemetry report cardinality --fix all -o DIR")
		return nil
	}
	rows := make([][]string, 0, len(applied))
	for _, rule := range applied {
		rows = append(rows, []string{rule.Name, rule.Kind, rule.AppliedAt.Format(time.DateTime), rule.About})
	}
	render.Prose(a.deps.stdout, []string{"name", "kind", "applied", "what for"}, rows)
	return nil
}

func newRulesUndoCommand(a *app) *cobra.Command {
	all, timeout := false, startTimeout
	cmd := &cobra.Command{
		Use:   "undo [NAME...]",
		Short: "Take rules off again",
		Long: `Take rules off again, by the names that rules ls shows. What was stored meanwhile stays as it was stored; from now on
the series are as their sources send them.`,
		Args:              argsBetween(0, -1, ""),
		ValidArgsFunction: a.completeRules,
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return &usageError{err: errors.New("give the names of rules, or --all"), advice: "docker telemetry rules ls"}
			}
			return runRulesUndo(cmd.Context(), a, args, timeout)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "All of them")
	cmd.Flags().DurationVar(&timeout, "timeout", timeout, "How long to wait for health")
	return cmd
}

func (a *app) completeRules(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	root, err := a.deps.root()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	kept, err := root.Stack(a.deps.context(), a.name)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	applied, _ := settings.ReadRules(kept)
	return ruleNames(applied), cobra.ShellCompDirectiveNoFileComp
}

func ruleNames(applied []settings.AppliedRule) []string {
	var names []string
	for _, rule := range applied {
		names = append(names, rule.Name)
	}
	return names
}

func runRulesUndo(ctx context.Context, a *app, names []string, timeout time.Duration) error {
	s, err := a.open(ctx, "rules undo")
	if err != nil {
		return err
	}
	defer s.close()
	unlock, err := s.lock(ctx, "rules undo")
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := s.state.Load(); err != nil {
		_, err = s.remembered()
		return err
	}
	var left []settings.AppliedRule
	if len(names) > 0 {
		applied, err := settings.ReadRules(s.state)
		if err != nil {
			return err
		}
		for _, name := range names {
			if !slices.Contains(ruleNames(applied), name) {
				return &usageError{err: fmt.Errorf("there is no rule %s", quoted(name)), advice: "docker telemetry rules ls"}
			}
		}
		left = slices.DeleteFunc(applied, func(rule settings.AppliedRule) bool { return slices.Contains(names, rule.Name) })
	}
	if err := s.bringInRules(ctx, left, timeout); err != nil {
		return err
	}
	s.close()
	fmt.Fprintf(a.deps.stderr, "the stack has %s\n", rulesCounted(len(left)))
	return nil
}

func rulesCounted(count int) string {
	if count == 1 {
		return "1 rule"
	}
	return fmt.Sprintf("%d rules", count)
}

// bringInRules keeps the rules and brings up who gets them. A stack that does not run gets them with its next up.
func (s *session) bringInRules(ctx context.Context, applied []settings.AppliedRule, timeout time.Duration) error {
	if err := settings.WriteRules(s.state, applied); err != nil {
		return err
	}
	containers, err := s.manager.Containers(ctx, s.state.Name)
	if err != nil || len(containers) == 0 {
		return err
	}
	result, project, err := s.prepare(ctx, settings.Request{})
	if err != nil {
		return err
	}
	if err := s.bringUp(ctx, result.File, project, stack.UpOptions{Wait: true, WaitTimeout: timeout}); err != nil {
		return leftRunning(ctx, s.state.Name, err)
	}
	s.restoreJoins(ctx, result.File)
	return nil
}

// twice refuses a rule that aggregates the same series as another: each sample would be counted in both.
func twice(applied []settings.AppliedRule) error {
	all := make([]rules.Rule, 0, len(applied))
	for _, one := range applied {
		all = append(all, one.Rule)
	}
	one, other := rules.Twice(all)
	if one == "" {
		return nil
	}
	return &stack.Error{
		Text:   fmt.Sprintf("rules %s and %s aggregate the same series, and each sample would count in both", quoted(one), quoted(other)),
		Advice: "leave one out, or docker telemetry rules undo " + one,
	}
}
