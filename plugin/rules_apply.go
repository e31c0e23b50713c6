package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/report/rules"
	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

type rulesApplyOptions struct {
	noWait  bool
	timeout time.Duration
	format  string
}

func newRulesApplyCommand(a *app) *cobra.Command {
	opts := rulesApplyOptions{timeout: startTimeout, format: "table"}
	cmd := &cobra.Command{
		Use:   "apply DIR",
		Short: "Put the rules of a folder into the stack, and see whether they keep their promise",
		Long: `Put the rules of a folder into the stack, beside those that it has; one of the same name is replaced. VictoriaMetrics' own
program checks them first. Then the series of each metric that get samples within a minute are counted before and after:
exit code 3 says that one has more left than the report promised. The count is a query, so the metric counts as read.`,
		Example: `  docker telemetry report cardinality --fix all -o rules
  docker telemetry rules apply rules`,
		Args: argsBetween(1, 1, "the folder with the rules"),
		RunE: func(cmd *cobra.Command, args []string) error { return runRulesApply(cmd.Context(), a, args[0], opts) },
	}
	cmd.Flags().BoolVar(&opts.noWait, "no-wait", false, "Do not count what comes of it")
	cmd.Flags().DurationVar(&opts.timeout, "timeout", opts.timeout, "How long to wait for health, and then for the series to become fewer")
	addFormat(cmd, &opts.format, "table", "json")
	return cmd
}

// promise is a rule and how many series of its metric live. Part of the contract in docs/reference/json.md.
type promise struct {
	Rule     string `json:"rule"`
	Metric   string `json:"metric"`
	Before   int    `json:"before"`
	After    *int   `json:"after"` // nil where it was not waited for
	Promised int    `json:"promised"`
	Kept     *bool  `json:"kept"`
	// Approximate: Promised is the most that it can be, by an estimate.
	Approximate bool `json:"approximate"`
}

func runRulesApply(ctx context.Context, a *app, folder string, opts rulesApplyOptions) error {
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return &usageError{
			err: fmt.Errorf("there is no folder %s", quoted(folder)), advice: "docker telemetry report cardinality --fix all -o " + folder,
		}
	}
	read, err := rules.Read(os.DirFS(folder))
	if err != nil {
		return fmt.Errorf("%s: %w", folder, err)
	}
	s, err := a.open(ctx, "rules apply")
	if err != nil {
		return err
	}
	defer s.close()
	unlock, err := s.lock(ctx, "rules apply")
	if err != nil {
		return err
	}
	defer unlock()
	result, err := s.remembered()
	if err != nil {
		return err
	}
	applied, err := s.withRules(read)
	if err != nil {
		return err
	}
	if err := s.manager.CheckRules(ctx, a.name, settings.RuleFiles(applied)); err != nil {
		return err
	}
	client, err := gatewayClient(result, 30*time.Second)
	if err != nil {
		return err
	}
	store := victoriaMetrics(result, client)
	promises, err := promisesOf(ctx, store, read)
	if err != nil {
		return &codeError{code: exitUnchecked, err: fmt.Errorf("count the series: %w", err)}
	}
	if err := s.bringInRules(ctx, applied, opts.timeout); err != nil {
		return err
	}
	if !opts.noWait {
		if err := s.watchPromises(ctx, store, promises, opts.timeout); err != nil {
			return err
		}
	}
	s.close()
	return printPromises(a, read, promises, opts.format)
}

// withRules are the stack's rules with some more.
func (s *session) withRules(read []rules.Rule) ([]settings.AppliedRule, error) {
	applied, err := settings.ReadRules(s.state)
	if err != nil {
		return nil, err
	}
	for _, rule := range read {
		applied = slices.DeleteFunc(applied, func(one settings.AppliedRule) bool { return one.Name == rule.Name })
		applied = append(applied, settings.AppliedRule{Rule: rule, AppliedAt: s.source.Now().UTC()})
	}
	return applied, twice(applied)
}

// counted is the time in which each series that lives gets a sample: scrapes are 15 s apart, aggregated ones 30 s.
const counted = "1m"

// living counts the series of a metric that got a sample lately.
func living(ctx context.Context, store *victoriametrics.Client, metric string) (int, error) {
	samples, err := store.QueryLatest(ctx, "count(last_over_time("+victoriametrics.Selector(metric)+"["+counted+"]))")
	if err != nil || len(samples) == 0 {
		return 0, err
	}
	return int(samples[0].Value), nil
}

func promisesOf(ctx context.Context, store *victoriametrics.Client, read []rules.Rule) ([]promise, error) {
	promises := []promise{}
	for _, rule := range read {
		if rule.Metric == "" || rule.Left == nil {
			continue
		}
		before, err := living(ctx, store, rule.Metric)
		if err != nil {
			return nil, err
		}
		promises = append(promises, promise{Rule: rule.Name, Metric: rule.Metric, Before: before, Promised: *rule.Left, Approximate: rule.Approximate})
	}
	return promises, nil
}

// most is what was promised, in words.
func (p promise) most() string {
	if p.Approximate {
		return "≤ " + strconv.Itoa(p.Promised)
	}
	return strconv.Itoa(p.Promised)
}

const countEvery = 5 * time.Second

// watchPromises counts until each metric has no more series than promised, or the time is over. An aggregated metric first
// has none at all: it is seen to come before it is believed.
func (s *session) watchPromises(ctx context.Context, store *victoriametrics.Client, promises []promise, timeout time.Duration) error {
	began := time.Now()
	for i := range promises {
		p := &promises[i]
		id := "Series of " + p.Metric
		s.progress.Waiting(id)
		for {
			after, err := living(ctx, store, p.Metric)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err == nil {
				kept := after <= p.Promised && (after > 0 || p.Promised == 0 || p.Before == 0)
				p.After, p.Kept = &after, &kept
				if kept {
					s.progress.Found(id)
					break
				}
			}
			if time.Since(began) > timeout {
				s.progress.Failed(id)
				break
			}
			if !sleep(ctx, countEvery) {
				return ctx.Err()
			}
		}
	}
	return nil
}

func printPromises(a *app, read []rules.Rule, promises []promise, format string) error {
	broken := ""
	rows := make([][]string, 0, len(promises))
	for _, p := range promises {
		after, verdict := "", "not waited for"
		if p.Kept != nil {
			after, verdict = strconv.Itoa(*p.After), "kept"
			if !*p.Kept {
				verdict, broken = "not kept", p.Rule
			}
		}
		rows = append(rows, []string{p.Rule, p.Metric, strconv.Itoa(p.Before), after, p.most(), verdict})
	}
	switch {
	case format == "json":
		if err := render.JSON(a.deps.stdout, map[string]any{"schemaVersion": 1, "rules": names(read), "promises": promises}); err != nil {
			return err
		}
	case len(promises) > 0:
		render.Table(a.deps.stdout, []string{"rule", "metric", "series before", "now", "promised", ""}, rows)
	}
	fmt.Fprintf(a.deps.stderr, "%s applied\n", rulesCounted(len(read)))
	if broken == "" {
		return nil
	}
	return &codeError{code: exitFindings, err: &stack.Error{
		Text: fmt.Sprintf("rule %s did not keep its promise", quoted(broken)), Advice: "docker telemetry rules undo " + broken,
		Err: errors.New("more series than promised"),
	}}
}

func names(read []rules.Rule) []string {
	all := make([]string, 0, len(read))
	for _, rule := range read {
		all = append(all, rule.Name)
	}
	return all
}
