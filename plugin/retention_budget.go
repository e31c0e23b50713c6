package plugin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/document"
	"github.com/docker-telemetry/docker-telemetry/internal/keeping"
	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/report/retention"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

func newRetentionBudgetCommand(a *app) *cobra.Command {
	opts := retentionSetOptions{timeout: startTimeout, format: "table"}
	cmd := &cobra.Command{
		Use:   "budget [SIZE|none]",
		Short: "Give the stack a budget of the disk, or show it",
		Long: `Give the stack a budget of the disk, such as 5G (5,000,000,000 bytes), or show it; none removes it. The budget is split between
the stores, what buffers may take, and a tenth for what is written meanwhile. The stores' parts follow from the measured
rates, and are alike as long as none is known: give the budget again later.

A retention that does not fit becomes shorter, but for one that retention set has set; no other becomes longer. What that
deletes is said before it asks; without a terminal it needs --yes.

Before the disk is full the stores refuse, and say why. VictoriaMetrics does when its disk has too little free space, to
the byte; OpenObserve when too many per cent of its disk are used, to a per cent. Both look at the file system that their
volume is on, so a budget is held to that on one of the volume's own. On a disk that is shared it is as long as nobody
else writes there, and else held by the retention alone.`,
		Example: `  docker telemetry retention budget 5G
  docker telemetry retention budget
  docker telemetry retention budget none`,
		Args: argsBetween(0, 1, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return showBudget(cmd.Context(), a, opts.format)
			}
			return runRetentionBudget(cmd.Context(), a, args[0], opts)
		},
	}
	cmd.Flags().BoolVarP(&opts.yes, "yes", "y", false, "Do not ask")
	cmd.Flags().DurationVar(&opts.timeout, "timeout", opts.timeout, "How long to wait for health, and then for the store to say it")
	addFormat(cmd, &opts.format, "table", "json")
	return cmd
}

// parseBudget reads a size, 0 for none.
func parseBudget(text string) (int64, error) {
	if text == "none" {
		return 0, nil
	}
	size, ok := parseSize(text)
	if !ok {
		return 0, &usageError{err: fmt.Errorf("a budget is a size such as 5G, or none, not %q", text)}
	}
	return size, nil
}

// mostSize is an exabyte. What is near the end of int64 becomes another number on each processor, and overflows where it is split.
const mostSize = 1e18

// parseSize reads a size above 0, with units of thousands, as the reports write them.
func parseSize(text string) (bytes int64, ok bool) {
	bytes, err := units.FromHumanSize(text)
	return bytes, err == nil && bytes > 0 && bytes <= mostSize
}

func showBudget(ctx context.Context, a *app, format string) error {
	s, err := a.open(ctx, "")
	if err != nil {
		return err
	}
	result, err := s.remembered()
	if err != nil {
		return err
	}
	return printBudget(a, result.File.Disk, format)
}

func runRetentionBudget(ctx context.Context, a *app, text string, opts retentionSetOptions) error {
	size, err := parseBudget(text)
	if err != nil {
		return err
	}
	s, before, end, err := a.begin(ctx, "budget", "retention budget")
	if err != nil {
		return err
	}
	defer end()
	disk, err := s.giveBudget(ctx, before, size, opts)
	if err != nil {
		return err
	}
	s.close()
	return printBudget(a, disk, opts.format)
}

// giveBudget sets a budget, or removes it with a size of 0, and returns what is remembered then.
func (s *session) giveBudget(ctx context.Context, before settings.Result, size int64, opts retentionSetOptions) (*state.Disk, error) {
	containers, err := s.manager.Containers(ctx, s.app.name)
	if err != nil {
		return nil, err
	}
	switch {
	case size == 0:
		return nil, s.removeBudget(ctx, before, len(containers) > 0, opts.timeout)
	case len(containers) == 0:
		return nil, stack.NotRunning(s.app.name)
	default:
		return s.setBudget(ctx, before, size, opts)
	}
}

// removeBudget takes guard and retention back to the defaults. None of them deletes anything.
func (s *session) removeBudget(ctx context.Context, before settings.Result, runs bool, timeout time.Duration) error {
	if before.File.Disk == nil {
		fmt.Fprintln(s.app.deps.stderr, "there is no budget; nothing was changed")
		return nil
	}
	change, err := s.budgetChange(ctx, before, &state.Disk{})
	if err != nil {
		return err
	}
	if !runs {
		return s.state.Save(change.file)
	}
	return s.bringAbout(ctx, change, timeout)
}

// setBudget splits a budget by what runs and brings the split about.
func (s *session) setBudget(ctx context.Context, before settings.Result, size int64, opts retentionSetOptions) (*state.Disk, error) {
	plan, err := s.planBudget(ctx, before, size)
	if err != nil {
		return nil, err
	}
	if plan.Same(before.File.Disk) {
		fmt.Fprintln(s.app.deps.stderr, "the budget is set already; nothing was changed")
		return before.File.Disk, nil
	}
	change, err := s.budgetChange(ctx, before, &plan.Disk)
	if err != nil {
		return nil, err
	}
	found := change.stores.inForce(ctx)
	if shorter := change.Shorter(found); len(shorter) > 0 {
		if err := s.consent(ctx, change, shorter, opts.yes); err != nil {
			return nil, err
		}
	}
	if err := s.bringAbout(ctx, change, opts.timeout); err != nil {
		return nil, err
	}
	sayPlan(s.app, plan)
	return &plan.Disk, nil
}

// planBudget asks the stores for their rates and looks at the disks that they are on.
func (s *session) planBudget(ctx context.Context, before settings.Result, size int64) (keeping.Plan, error) {
	project, err := stack.Load(ctx, s.manager.Bundle, before.Settings)
	if err != nil {
		return keeping.Plan{}, err
	}
	at, err := storesOf(before)
	if err != nil {
		return keeping.Plan{}, err
	}
	const reading = "Stores"
	s.progress.Waiting(reading)
	request := retention.Request{Now: s.app.deps.now().UTC(), Horizon: 24 * time.Hour}
	collected, err := retention.Collect(ctx, at.metrics, at.logs, request)
	if err != nil {
		s.progress.Failed(reading)
		return keeping.Plan{}, &codeError{code: exitUnchecked, err: &stack.Error{Text: err.Error(), Advice: "docker telemetry status"}}
	}
	report, err := retention.Analyse(collected, retention.Options{})
	if err != nil {
		return keeping.Plan{}, err
	}
	places, err := s.manager.Places(ctx, project)
	if err != nil {
		s.progress.Failed(reading)
		return keeping.Plan{}, err
	}
	s.progress.Found(reading)
	policy, without := keeping.Policy(before.File.Retention), before.Settings
	without.Keep = stack.Keep{Metrics: policy[retention.Metrics], LogsDays: int(policy.Days(retention.Logs))}
	asked, err := s.startsWith(ctx, without)
	if err != nil {
		return keeping.Plan{}, err
	}
	plan, err := keeping.Split(size, stack.Buffers(project), keeping.RatesOf(report), keeping.AskedOf(policy, asked))
	if err != nil {
		return plan, &usageError{err: err}
	}
	plan, err = plan.Guarded(placesOf(places))
	var small *keeping.TooSmallError
	if errors.As(err, &small) {
		err = &stack.Error{Text: err.Error(), Advice: "a larger one, or less data first: docker telemetry retention set metrics=7d logs=3d"}
	}
	return plan, err
}

func placesOf(list []stack.Place) keeping.Places {
	var places keeping.Places
	for _, one := range list {
		place := keeping.Place{Device: one.Device, Total: one.Total, Free: one.Free, Used: one.Used}
		switch one.Component {
		case stack.VictoriaMetrics:
			places.Metrics = place
		case stack.OpenObserve:
			places.Logs = place
		case stack.Agent:
			places.Buffer = place
		}
	}
	return places
}

// budgetChange is what a budget makes of the retention of the stores.
func (s *session) budgetChange(ctx context.Context, before settings.Result, disk *state.Disk) (retentionChange, error) {
	after, err := s.source.Remember(settings.Request{Disk: disk})
	if err != nil {
		return retentionChange{}, err
	}
	policy := keeping.Policy(before.File.Retention)
	change := retentionChange{Change: keeping.Change{Asked: keeping.Policy{}, Before: policy, After: policy}, file: after.File}
	if change.Was, err = s.startsWith(ctx, before.Settings); err != nil {
		return change, err
	}
	if change.Will, err = s.startsWith(ctx, after.Settings); err != nil {
		return change, err
	}
	for target, value := range change.Will {
		if value != change.Was[target] {
			change.Asked[target] = value
		}
	}
	change.stores, err = storesOf(after)
	return change, err
}

// bringAbout remembers a change and brings the stores up with it.
func (s *session) bringAbout(ctx context.Context, change retentionChange, timeout time.Duration) error {
	// Remembered before it is done: after Ctrl-C the next up brings about what was asked for.
	if err := s.state.Save(change.file); err != nil {
		return err
	}
	if err := s.bringRemembered(ctx, timeout); err != nil {
		return err
	}
	if _, err := s.seeTaken(ctx, change, timeout); err != nil {
		return err
	}
	return s.seeGuarded(ctx, change, timeout)
}

// seeGuarded waits until VictoriaMetrics says from when on it takes no more. OpenObserve does not say.
func (s *session) seeGuarded(ctx context.Context, change retentionChange, timeout time.Duration) error {
	result, err := s.remembered()
	if err != nil {
		return err
	}
	project, err := stack.Load(ctx, s.manager.Bundle, result.Settings)
	if err != nil {
		return err
	}
	const id = "Guard: VictoriaMetrics keeps to it"
	s.progress.Waiting(id)
	wanted, began := stack.GuardOf(project).MetricsFree, time.Now()
	for {
		samples, err := change.stores.metrics.QueryLatest(ctx, "vm_free_disk_space_limit_bytes")
		switch {
		case ctx.Err() != nil:
			return leftRunning(ctx, s.app.name, ctx.Err())
		case err == nil && len(samples) == 1 && int64(samples[0].Value) == wanted:
			s.progress.Found(id)
			return nil
		case time.Since(began) > timeout:
			s.progress.Failed(id)
			return &codeError{code: exitUnchecked, err: &stack.Error{
				Text: "VictoriaMetrics does not say whether it keeps to the budget", Advice: "docker telemetry report retention",
			}}
		}
		if !sleep(ctx, time.Second) {
			return leftRunning(ctx, s.app.name, ctx.Err())
		}
	}
}

// sayPlan says what a person would not see from the figures alone.
func sayPlan(a *app, plan keeping.Plan) {
	if !plan.Known {
		fmt.Fprintln(a.deps.stderr, "note: no rate is known yet, so the stores have parts alike; give the budget again when an hour of data is there")
	}
	if !plan.Fits {
		fmt.Fprintf(a.deps.stderr, "warning: at the rates of now the stores come to %s, more than their parts; they will refuse before old data goes\n",
			document.Size(plan.Needs))
		printHint(a.deps.stderr, a.name, "see what grows: docker telemetry report retention")
	}
}

// budgetJSON is the contract of `retention budget --format json`: documented in docs/reference/json.md, only added to.
type budgetJSON struct {
	SchemaVersion int        `json:"schemaVersion"`
	Budget        *budgetRow `json:"budget"`
}

type budgetRow struct {
	Bytes          int64 `json:"bytes"`
	Metrics        int64 `json:"metrics"`
	Logs           int64 `json:"logs"`
	Buffers        int64 `json:"buffers"`
	Reserve        int64 `json:"reserve"`
	MetricsDays    int   `json:"metricsDays,omitempty"`
	LogsDays       int   `json:"logsDays,omitempty"`
	MetricsFree    int64 `json:"metricsFree"`
	LogsPercent    int   `json:"logsPercent"`
	CacheMegabytes int64 `json:"cacheMegabytes"`
}

func printBudget(a *app, disk *state.Disk, format string) error {
	if format == "json" {
		return render.JSON(a.deps.stdout, budgetJSON{SchemaVersion: 1, Budget: (*budgetRow)(disk)})
	}
	if disk == nil {
		fmt.Fprintln(a.deps.stdout, "no budget")
		return nil
	}
	size := func(bytes int64) string { return document.Size(float64(bytes)) }
	render.Prose(a.deps.stdout, []string{"what", "bytes", "held by"}, [][]string{
		{"metrics", size(disk.Metrics), heldBy(disk.MetricsDays, "VictoriaMetrics takes no more when its disk has less than "+size(disk.MetricsFree)+" free")},
		{"logs and traces", size(disk.Logs), heldBy(disk.LogsDays, fmt.Sprintf("OpenObserve takes no more when more than %d %% of its disk are used", disk.LogsPercent))},
		{"buffers", size(disk.Buffers), "their own limits; what sends waits when they are full"},
		{"reserve", size(disk.Reserve), "for what is written meanwhile; not held"},
		{"in all", size(disk.Bytes), ""},
	})
	return nil
}

func heldBy(days int, guard string) string {
	if days == 0 {
		return guard
	}
	return fmt.Sprintf("a retention of %d d; %s", days, guard)
}
