package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/report/retention"
	"github.com/docker-telemetry/docker-telemetry/report/retention/page"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

type retentionOptions struct {
	from              storeOptions
	format, output    string
	horizon           string
	whatIf            []string
	minDaysLeft       float64
	maxDisk           string
	exact             bool
	daysSet, limitSet bool
}

func newReportRetentionCommand(a *app) *cobra.Command {
	o := retentionOptions{format: "table", horizon: "30d"}
	cmd := &cobra.Command{
		Use:   "retention",
		Short: "Tell how long data is kept, what it takes, and when the disk is full",
		Long: `Tell how long data is kept, what it takes on the disk, and when the disk is full: for the metrics, and for each stream of
logs and traces. Each figure is measured, reported by the store or estimated, and says which. Where the data does not
go back far enough for a rate, no forecast is made of it.

A store deletes only wholes: VictoriaMetrics months, OpenObserve days. So a retention of 14 days keeps up to 45 days of
metrics, and the forecast plans for that.

Reading does not disturb: no metric is queried but those that the stores and the agent have of themselves. So where the
store's own metrics do not begin on the day of the oldest sample, only the day is told; --exact reads the first samples of
that day, which counts as a use of their metrics.

--what-if answers for other retentions: metrics=30d, logs=7d for OpenObserve's global setting, logs/STREAM=3d for one stream.
--min-days-left and --max-disk make a gate of it: exit code 3 when the volume or the budget is full too soon, by the
expected rate. A budget must last for the horizon.

What else takes room is told as far as the stores and the engine know it: indexes, buffers, the logs of containers, images, and
volumes of the stack that nothing uses any more (docker telemetry prune removes those).

--url reports on another VictoriaMetrics. Its disk and rates are told by its metrics of itself (-selfScrapeInterval).`,
		Example: `  docker telemetry report retention
  docker telemetry report retention --what-if metrics=30d,logs=7d
  docker telemetry report retention --format html -o retention.html
  docker telemetry report retention --min-days-left 14 --max-disk 20GB --format json -o retention.json`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.daysSet, o.limitSet = cmd.Flags().Changed("min-days-left"), cmd.Flags().Changed("max-disk")
			return runReportRetention(cmd.Context(), a, o)
		},
	}
	flags := cmd.Flags()
	o.from.add(flags)
	addFormat(cmd, &o.format, reportFormats()...)
	flags.StringVarP(&o.output, "output", "o", "", "Write to this file instead of stdout")
	flags.StringVar(&o.horizon, "horizon", o.horizon, "How far the forecast and the plot go, such as 30d")
	flags.StringSliceVar(&o.whatIf, "what-if", nil, "Forecast for other retentions: metrics=30d,logs=7d,logs/STREAM=3d")
	flags.Float64Var(&o.minDaysLeft, "min-days-left", 0, "End with exit code 3 when the volume or the budget is full in fewer days")
	flags.StringVar(&o.maxDisk, "max-disk", "", "End with exit code 3 when the stores need more within the horizon, such as 20GB")
	flags.BoolVar(&o.exact, "exact", false, "Read the oldest samples for their exact time: it counts as a use of their metrics")
	return cmd
}

// retentionAsked is what the flags come to.
type retentionAsked struct {
	horizon time.Duration
	whatIf  []retention.Wanted
	maxDisk float64
}

// check refuses what cannot be meant, before anything is asked.
func (o retentionOptions) check() (asked retentionAsked, err error) {
	if err := o.from.check(); err != nil {
		return asked, err
	}
	days, err := retention.ParseDays(o.horizon)
	if err != nil || days < 1 || days > 3650 {
		return asked, &usageError{err: fmt.Errorf("--horizon takes days such as 30d, from 1d to 3650d, not %q", o.horizon)}
	}
	asked.horizon = time.Duration(days * float64(24*time.Hour))
	for _, text := range o.whatIf {
		wanted, err := retention.ParseWanted(strings.TrimSpace(text))
		if err != nil {
			return asked, &usageError{err: fmt.Errorf("--what-if: %w", err)}
		}
		asked.whatIf = append(asked.whatIf, wanted)
	}
	if o.daysSet && (o.minDaysLeft <= 0 || math.IsInf(o.minDaysLeft, 0) || math.IsNaN(o.minDaysLeft)) {
		return asked, &usageError{err: errors.New("--min-days-left takes a number above 0")}
	}
	if !o.limitSet {
		return asked, nil
	}
	bytes, ok := parseSize(o.maxDisk)
	if !ok {
		return asked, &usageError{err: fmt.Errorf("--max-disk takes a size such as 20GB, not %q", o.maxDisk)}
	}
	asked.maxDisk = float64(bytes)
	return asked, nil
}

func runReportRetention(ctx context.Context, a *app, o retentionOptions) error {
	asked, err := o.check()
	if err != nil {
		return err
	}
	if err := a.checkReport(o.format, o.output, "retention.html"); err != nil {
		return err
	}
	store, err := a.reportStore(ctx, o.from)
	if err != nil {
		return err
	}
	defer store.close()
	logs, err := store.logs()
	if err != nil {
		return err
	}
	const reading = "Stores"
	store.progress.Waiting(reading)
	collected, err := retention.Collect(ctx, store, logs, retention.Request{Now: a.deps.now().UTC(), Horizon: asked.horizon, Exact: o.exact})
	if err != nil {
		store.progress.Failed(reading)
		return store.unreadable(ctx, err)
	}
	options := retention.Options{WhatIf: asked.whatIf, MaxDisk: asked.maxDisk}
	if err := store.lookAtDisks(ctx, &collected, &options); err != nil {
		return err
	}
	if err := store.lookAtEngine(ctx, &collected); err != nil {
		return err
	}
	store.progress.Found(reading)
	store.close()
	report, err := retention.Analyse(collected, options)
	var unknown *retention.UnknownStreamError
	if errors.As(err, &unknown) {
		return &usageError{err: fmt.Errorf("--what-if: %w", unknown), advice: "the streams: docker telemetry report retention"}
	}
	if err != nil {
		return err
	}
	if store.session != nil && report.Complete && !o.limitSet {
		store.session.keepForecast(report)
	}
	forms := reportForms{
		document: report.Document(), object: report, page: func(out io.Writer) error { return page.Write(out, report) },
	}
	if err := a.writeReport(o.format, o.output, forms); err != nil {
		return err
	}
	return o.judge(report)
}

// lookAtDisks adds what only who reaches the containers of a stack can see: the disks that its stores write to, and the budget.
func (r *reportStore) lookAtDisks(ctx context.Context, collected *retention.Collected, options *retention.Options) error {
	if r.session == nil {
		return nil
	}
	result, err := r.session.remembered()
	if err != nil {
		return err
	}
	if disk := result.File.Disk; disk != nil {
		options.Budget = float64(disk.Metrics + disk.Logs)
	}
	project, err := stack.Load(ctx, r.session.manager.Bundle, result.Settings)
	if err != nil {
		return err
	}
	places, err := r.session.manager.Places(ctx, project)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		collected.Notes = append(collected.Notes, "the disks of the stores: "+err.Error())
		return nil
	}
	collected.Disks = disksOf(places, stack.GuardOf(project))
	return nil
}

// disksOf are the disks of the stores. OpenObserve's guard is a part of its disk.
func disksOf(places []stack.Place, guard stack.Guard) []retention.StoreDisk {
	var disks []retention.StoreDisk
	for _, place := range places {
		disk := retention.StoreDisk{Path: place.Path, Device: place.Device, Total: float64(place.Total), Free: float64(place.Free)}
		switch {
		case place.Component == stack.VictoriaMetrics:
			disk.Store, disk.Guard = retention.Metrics, float64(guard.MetricsFree)
		case place.Component == stack.OpenObserve && guard.LogsPercent > 0:
			disk.Store, disk.Guard = retention.Logs, disk.Total*(1-float64(guard.LogsPercent)/100)
		case place.Component == stack.OpenObserve:
			disk.Store = retention.Logs
		default:
			continue
		}
		disks = append(disks, disk)
	}
	return disks
}

// logs is the stack's store of logs and traces, nil for a store that is not the stack's.
func (r *reportStore) logs() (retention.LogsStore, error) {
	if r.session == nil {
		return nil, nil
	}
	result, err := r.session.remembered()
	if err != nil {
		return nil, err
	}
	client, err := openObserve(result)
	if err != nil {
		return nil, err
	}
	return client, nil
}

// judge makes the report a gate of a build: what is not known cannot have passed.
func (o retentionOptions) judge(report retention.Report) error {
	if !report.Complete {
		return &codeError{code: exitUnchecked, err: errors.New("a store did not answer: the report is not complete")}
	}
	if !o.daysSet && !o.limitSet {
		return nil
	}
	reason, known := report.Judge(o.minDaysLeft)
	switch {
	case !known:
		return &codeError{code: exitUnchecked, err: errors.New("when the disk is full is not known yet: the stores do not tell its free space, or have too little data for a rate")}
	case reason != "":
		return &codeError{code: exitFindings, err: errors.New(reason)}
	default:
		return nil
	}
}
