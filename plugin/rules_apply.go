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
)

type rulesApplyOptions struct {
	noWait  bool
	measure time.Duration
	timeout time.Duration
	format  string
}

func newRulesApplyCommand(a *app) *cobra.Command {
	opts := rulesApplyOptions{measure: time.Minute, timeout: startTimeout, format: "table"}
	cmd := &cobra.Command{
		Use:   "apply DIR",
		Short: "Put the rules of a folder into the stack, and see whether they keep their promise",
		Long: `Put the rules of a folder into the stack, beside those that it has; one of the same name is replaced. The programs that
get them check them first: VictoriaMetrics, and for a transform the agent's Vector, which also runs the tests that a rule
brings. Only who gets one is brought up anew.

Then the series of each metric that get samples within a minute are counted before and after: exit code 3 says that one has
more left than the report promised, or that none of its samples come to a rule of the agent. Series that are new are counted
too: those of the last hour before, and with the rules those of a minute, or of --measure, times 60. These are queries, so the
metric counts as read.`,
		Example: `  docker telemetry report cardinality --fix all -o rules
  docker telemetry rules apply rules`,
		Args: argsBetween(1, 1, "the folder with the rules"),
		RunE: func(cmd *cobra.Command, args []string) error { return runRulesApply(cmd.Context(), a, args[0], opts) },
	}
	cmd.Flags().BoolVar(&opts.noWait, "no-wait", false, "Do not count what comes of it")
	cmd.Flags().DurationVar(&opts.measure, "measure", opts.measure, "How long to count new series with the rules, from 15s on; 0s does not")
	cmd.Flags().DurationVar(&opts.timeout, "timeout", opts.timeout, "How long to wait for health, and then for the series to become fewer")
	addFormat(cmd, &opts.format, "table", "json")
	return cmd
}

// promise is a rule and how many series of its metric live and are new. Part of the contract in docs/reference/json.md.
type promise struct {
	Rule     string `json:"rule"`
	Metric   string `json:"metric"`
	Before   int    `json:"before"`
	After    *int   `json:"after"` // nil where it was not waited for
	Promised int    `json:"promised"`
	Kept     *bool  `json:"kept"`
	// Approximate: Promised is the most that it can be, by an estimate.
	Approximate bool      `json:"approximate"`
	NewBefore   *arrivals `json:"newBefore"` // nil where they were not counted
	NewAfter    *arrivals `json:"newAfter"`

	rule      rules.Rule
	unreached bool // it is the agent's, and no sample of the metric comes there
}

// arrivals are rules.Arrivals in the JSON.
type arrivals struct {
	Series       int     `json:"series"`
	Seconds      float64 `json:"seconds"`
	PerHour      float64 `json:"perHour"`
	Extrapolated bool    `json:"extrapolated"`
	Young        bool    `json:"young"`
}

// leastMeasure has a sample of each series that is scraped.
const leastMeasure = 15 * time.Second

func runRulesApply(ctx context.Context, a *app, folder string, opts rulesApplyOptions) error {
	if opts.measure != 0 && opts.measure < leastMeasure {
		return &usageError{err: fmt.Errorf("--measure takes a time from %s on", leastMeasure)}
	}
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return &usageError{
			err: fmt.Errorf("there is no folder %s", quoted(folder)), advice: "docker telemetry report cardinality --fix all -o " + folder,
		}
	}
	read, err := rules.Read(os.DirFS(folder))
	if err != nil {
		return fmt.Errorf("%s: %w", folder, err)
	}
	s, result, end, err := a.begin(ctx, "rules apply", "rules apply")
	if err != nil {
		return err
	}
	defer end()
	applied, err := s.withRules(read)
	if err != nil {
		return err
	}
	files, err := settings.RuleFiles(applied)
	if err != nil {
		return err
	}
	if err := s.manager.CheckRules(ctx, a.name, files); err != nil {
		return err
	}
	client, err := gatewayClient(result, 30*time.Second)
	if err != nil {
		return err
	}
	store := victoriaMetrics(result, client)
	promises, err := s.promisesOf(ctx, store, read)
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
		if err := s.measure(ctx, store, promises, opts.measure); err != nil {
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

func (s *session) promisesOf(ctx context.Context, store rules.Store, read []rules.Rule) ([]promise, error) {
	promises := []promise{}
	for _, rule := range read {
		if rule.Metric == "" || rule.Left == nil {
			continue
		}
		id := "Series of " + rule.Metric + " before"
		s.progress.Waiting(id)
		before, err := rules.Living(ctx, store, rule.Metric)
		if err != nil {
			s.progress.Failed(id)
			return nil, err
		}
		p := promise{Rule: rule.Name, Metric: rule.Metric, Before: before, Promised: *rule.Left, Approximate: rule.Approximate, rule: rule}
		p.NewBefore = s.arrived(ctx, store, rule.Metric, time.Hour)
		promises = append(promises, p)
		s.progress.Found(id)
	}
	return promises, ctx.Err()
}

// arrived counts what is new. It reads hours of samples, which a store may refuse: then that figure is missing, and the rules
// go on.
func (s *session) arrived(ctx context.Context, store rules.Store, metric string, since time.Duration) *arrivals {
	arrived, err := rules.Arrived(ctx, store, metric, since)
	if err != nil {
		if ctx.Err() == nil {
			s.warn(fmt.Sprintf("new series of %s are not counted: %v", metric, err))
		}
		return nil
	}
	return (*arrivals)(&arrived)
}

// look counts whether the promise is kept now.
func (p *promise) look(ctx context.Context, store rules.Store) (bool, error) {
	after, err := rules.Living(ctx, store, p.Metric)
	if err != nil {
		return false, err
	}
	if p.rule.Kind == rules.Transform {
		reached, err := rules.Reached(ctx, store, p.rule)
		if err != nil {
			return false, err
		}
		p.unreached = !reached
	}
	kept := !p.unreached && after <= p.Promised && (after > 0 || p.Promised == 0 || p.Before == 0)
	p.After, p.Kept = &after, &kept
	return kept, nil
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
func (s *session) watchPromises(ctx context.Context, store rules.Store, promises []promise, timeout time.Duration) error {
	began := time.Now()
	for i := range promises {
		p := &promises[i]
		id := "Series of " + p.Metric
		s.progress.Waiting(id)
		for {
			// A store that does not answer now may do so in a moment.
			kept, err := p.look(ctx, store)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err == nil && kept {
				s.progress.Found(id)
				break
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

// measure counts what is new from now on. Not from when the rules were applied: each summed series is new once.
func (s *session) measure(ctx context.Context, store rules.Store, promises []promise, during time.Duration) error {
	if during == 0 || len(promises) == 0 {
		return nil
	}
	id := "New series in " + during.String()
	s.progress.Waiting(id)
	began := time.Now()
	if !sleep(ctx, during) {
		return ctx.Err()
	}
	for i := range promises {
		promises[i].NewAfter = s.arrived(ctx, store, promises[i].Metric, time.Since(began))
	}
	s.progress.Found(id)
	return ctx.Err()
}

func printPromises(a *app, read []rules.Rule, promises []promise, format string) error {
	var broken *promise
	rows := make([][]string, 0, len(promises))
	for i := range promises {
		p := &promises[i]
		after, verdict := "", "not waited for"
		if p.Kept != nil {
			after, verdict = strconv.Itoa(*p.After), "kept"
			if !*p.Kept {
				verdict, broken = "not kept", p
			}
		}
		rows = append(rows, []string{
			p.Rule, strconv.Itoa(p.Before), after, p.most(), verdict, perHour(p.NewBefore), perHour(p.NewAfter),
		})
	}
	switch {
	case format == "json":
		if err := render.JSON(a.deps.stdout, map[string]any{"schemaVersion": 1, "rules": names(read), "promises": promises}); err != nil {
			return err
		}
	case len(promises) > 0:
		render.Table(a.deps.stdout, []string{"rule", "series before", "with it", "promised", "promise", "new/h before", "with it"}, rows)
		noteMeasure(a, promises)
	}
	fmt.Fprintf(a.deps.stderr, "%s applied\n", rulesCounted(len(read)))
	if broken == nil {
		return nil
	}
	text := fmt.Sprintf("rule %s did not keep its promise", quoted(broken.Rule))
	if broken.unreached {
		text = fmt.Sprintf("no sample of %s comes to the agent, so rule %s does nothing", quoted(broken.Metric), quoted(broken.Rule))
	}
	return &codeError{code: exitFindings, err: &stack.Error{
		Text: text, Advice: "docker telemetry rules undo " + broken.Rule, Err: errors.New("more series than promised"),
	}}
}

// perHour is marked where it is not counted over an hour.
func perHour(a *arrivals) string {
	switch {
	case a == nil:
		return ""
	case a.Extrapolated:
		return fmt.Sprintf("~%.0f", a.PerHour)
	}
	return fmt.Sprintf("%.0f", a.PerHour)
}

// noteMeasure says what the figures of new series are made of.
func noteMeasure(a *app, promises []promise) {
	seconds := 0.0
	var young []string
	for _, p := range promises {
		if p.NewAfter != nil {
			seconds = p.NewAfter.Seconds
		}
		if p.NewBefore != nil && p.NewBefore.Young && !slices.Contains(young, p.Metric) {
			young = append(young, p.Metric)
		}
	}
	if seconds > 0 {
		fmt.Fprintf(a.deps.stderr, "note: new series were counted in the hour before, and in %.0f s with the rules: ~ is that times %.0f\n",
			seconds, time.Hour.Seconds()/seconds)
	}
	for _, metric := range young {
		fmt.Fprintf(a.deps.stderr, "note: %s is younger than an hour, so each of its series was new\n", render.Escape(metric))
	}
}

func names(read []rules.Rule) []string {
	all := make([]string, 0, len(read))
	for _, rule := range read {
		all = append(all, rule.Name)
	}
	return all
}
