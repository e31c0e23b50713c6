package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker-telemetry/docker-telemetry/profiles"
	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
	"github.com/docker-telemetry/docker-telemetry/report/cardinality/page"
	"github.com/docker-telemetry/docker-telemetry/report/rules"
	"github.com/docker-telemetry/docker-telemetry/stack/bundle"
)

type cardinalityOptions struct {
	source             string
	given              []string // names of the flags that were
	from               storeOptions
	format, output     string
	fix                string
	fuse               int
	top                int
	match              []string
	metric, date       string
	since              time.Duration
	unused, noSave     bool
	watch              time.Duration
	dashboards         []string
	maxSeries          int
	maxChurn           float64
	limitSet, churnSet bool
	fuseSet            bool
	maxFields          int
}

// What --source takes.
const (
	sourceMetrics = "metrics"
	sourceLogs    = "logs"
)

func newReportCardinalityCommand(a *app) *cobra.Command {
	o := cardinalityOptions{format: "table", source: sourceMetrics}
	cmd := &cobra.Command{
		Use:   "cardinality",
		Short: "Tell what each metric and each label costs in series, or each field of the logs",
		Long: `Tell what each metric and each label costs in series: how many are left when a label is dropped is counted, not
estimated. Only of a metric with more than about a million series it is an estimate within 1 %, marked by a ~.
Reading does not disturb: no metric but the store's own is queried, so that what nobody reads stays unread.
Samples of values are masked: e-mail and IP addresses, tokens and passwords.

A finding has a code (docs/findings), the series that it saves, who reads what would go, and a rule for VictoriaMetrics
that is right for the type of the metric. --fix writes the rules of one code, or all, as files to the folder of -o;
look at them before docker telemetry rules apply puts them into the stack.
--fuse N adds, for each label without end (DTC001), a rule for the agent: N values of the label pass at most, and samples
with any other are lost. It is the fuse for the day that brings more than the pipeline can carry.
A page of html is one file with charts that loads nothing from anywhere.

Each report is remembered by the stack, so that --since can compare with an earlier one; where there is none, the last
two complete UTC days are compared.

--url reports on another store with the API of Prometheus: VictoriaMetrics, single or cluster, Prometheus, Mimir, Thanos. What
it cannot tell is said; docs/stores.md has what each can. Its reports are not remembered.

--source logs reports on the streams of logs and traces instead: records, bytes, fields by their distinct values (approximate,
within about 1 %), who writes the most, schemas that explode; of the records of --since or of the UTC day of --date. Samples of
values are masked. --max-fields makes a gate of it, and --url names another OpenObserve: what stands before /api.`,
		Example: `  docker telemetry report cardinality
  docker telemetry report cardinality --metric http_requests_total
  docker telemetry report cardinality --format html -o cardinality.html
  docker telemetry report cardinality --max-series 50000 --format json -o cardinality.json
  docker telemetry report cardinality --url http://prometheus:9090
  docker telemetry report cardinality --source logs --since 1h
  docker telemetry report cardinality --fix all -o rules && docker telemetry rules apply rules
  docker telemetry report cardinality --fix DTC001 --fuse 5000 -o rules`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.Flags().Visit(func(flag *pflag.Flag) { o.given = append(o.given, flag.Name) })
			o.limitSet, o.churnSet = cmd.Flags().Changed("max-series"), cmd.Flags().Changed("max-churn")
			o.fuseSet = cmd.Flags().Changed("fuse")
			return runReportCardinality(cmd.Context(), a, o)
		},
	}
	flags := cmd.Flags()
	addWord(cmd, flags, &o.source, "source", "Report on", sourceMetrics, sourceLogs)
	o.from.add(flags)
	addFormat(cmd, &o.format, reportFormats()...)
	flags.StringVarP(&o.output, "output", "o", "", "Write to this file instead of stdout; with --fix, the folder for the rules")
	flags.StringVar(&o.fix, "fix", "", "Write the rules of the findings with this code, or of all, to the folder of -o")
	flags.IntVar(&o.fuse, "fuse", 0, "With --fix: also write fuses for the agent, which let so many values of a label without end pass")
	flags.IntVar(&o.top, "top", 20, "How many metrics, labels and sources, or fields and services of a stream, to list")
	flags.StringArrayVar(&o.match, "match", nil, `Only series that match this selector, such as '{job="shop"}'; several are alternatives`)
	flags.StringVar(&o.metric, "metric", "", "Only this metric, with all of its labels")
	flags.StringVar(&o.date, "date", "", "The series, or the records, of this UTC day, as 2006-01-02")
	flags.DurationVar(&o.since, "since", 24*time.Hour, "Compare with the last report that is at least so old; of logs, the records of so long")
	flags.BoolVar(&o.unused, "unused", false, "Only metrics that no query, dashboard or rule reads")
	flags.StringArrayVar(&o.dashboards, "dashboards", nil, "Folder with Grafana dashboards and rule files whose metrics are in use; may be repeated")
	flags.IntVar(&o.maxSeries, "max-series", 0, "End with exit code 3 when there are more series")
	flags.Float64Var(&o.maxChurn, "max-churn", 0, "End with exit code 3 when a day brings more new series for each active one, such as 0.5")
	flags.IntVar(&o.maxFields, "max-fields", 0, "With --source logs, end with exit code 3 when a stream has more fields")
	flags.BoolVar(&o.noSave, "no-save", false, "Do not remember this report")
	flags.DurationVar(&o.watch, "watch", 0, "Draw the table anew on the terminal, every 30s or as given, until Ctrl-C")
	flags.Lookup("watch").NoOptDefVal = "30s"
	_ = cmd.MarkFlagDirname("dashboards")
	return cmd
}

// check refuses what cannot be meant, before anything is asked.
func (o cardinalityOptions) check(now time.Time) (day time.Time, err error) {
	if err := o.from.check(); err != nil {
		return day, err
	}
	if err := o.checkSource(); err != nil {
		return day, err
	}
	switch {
	case o.top < 1:
		return day, &usageError{err: errors.New("--top takes a number from 1 on")}
	case o.watch != 0 && o.watch < leastWatch:
		return day, &usageError{err: fmt.Errorf("--watch takes a time from %s on", leastWatch)}
	case o.watch != 0 && (o.format != "table" || o.output != ""):
		return day, &usageError{err: errors.New("--watch draws the table on a terminal, in no other format and to no file")}
	case o.since < 0:
		return day, &usageError{err: errors.New("--since takes a time that is over, such as 24h")}
	case o.limitSet && o.maxSeries < 1:
		return day, &usageError{err: errors.New("--max-series takes a number from 1 on")}
	case o.churnSet && o.maxChurn <= 0:
		return day, &usageError{err: errors.New("--max-churn takes a number above 0")}
	case o.fuseSet && o.fix == "":
		return day, &usageError{err: errors.New("--fuse adds to the rules of --fix"), advice: "docker telemetry report cardinality --fix DTC001 --fuse 5000 -o DIR"}
	case o.fuseSet && o.fuse < 1:
		return day, &usageError{err: errors.New("--fuse takes a number from 1 on")}
	case o.fix != "" && o.output == "":
		return day, &usageError{err: errors.New("--fix writes files: say where with -o DIR")}
	case o.fix != "" && o.fix != cardinality.AllFindings && !slices.Contains(cardinality.Codes(), o.fix):
		return day, &usageError{err: fmt.Errorf("--fix takes all or a code such as %s, not %q", cardinality.UnboundedLabel, o.fix)}
	case o.metric != "" && o.unused:
		return day, &usageError{err: errors.New("--metric and --unused do not go together")}
	case o.date == "":
		return day, nil
	}
	if day, err = time.Parse(time.DateOnly, o.date); err != nil {
		return day, &usageError{err: fmt.Errorf("--date takes a day such as %s, not %q", now.UTC().Format(time.DateOnly), o.date)}
	}
	if day.After(now) {
		return day, &usageError{err: fmt.Errorf("--date %s is in the future; days are those of UTC", o.date)}
	}
	return day, nil
}

// historyFile keeps what earlier reports counted.
const historyFile = "cardinality.json.gz"

func runReportCardinality(ctx context.Context, a *app, o cardinalityOptions) error {
	day, err := o.check(a.deps.now())
	if err != nil {
		return err
	}
	report := a.reportCardinality
	if o.source == sourceLogs {
		report = a.reportLogs
	}
	if o.watch == 0 {
		return report(ctx, o, day)
	}
	if !a.deps.stdoutTerminal() {
		return &usageError{err: errors.New("--watch draws on a terminal, and this is none")}
	}
	a.progress = "quiet" // it would run through the table
	for {
		if err := report(ctx, o, day); err != nil && ctx.Err() == nil {
			printError(a.deps.stderr, a.name, err) // a store may come back
		}
		if !sleep(ctx, o.watch) {
			return nil // Ctrl-C is its ordinary end
		}
	}
}

// leastWatch leaves the store time for others.
const leastWatch = 5 * time.Second

// clearScreen also moves to the top; what was there before stays in the terminal's history.
const clearScreen = "\x1b[H\x1b[2J"

func (a *app) reportCardinality(ctx context.Context, o cardinalityOptions, day time.Time) error {
	now := a.deps.now()
	if err := a.checkReport(o.format, o.output, "cardinality.html"); err != nil {
		return err
	}
	uses, notes, err := o.uses()
	if err != nil {
		return err
	}
	store, err := a.reportStore(ctx, o.from)
	if err != nil {
		return err
	}
	defer store.close()
	request := cardinality.Request{Match: o.match, Date: day, Now: now, Top: o.top, Samples: 20}
	if o.metric != "" {
		request.Metrics = []string{o.metric}
	}
	const counting = "Series"
	store.progress.Waiting(counting)
	collected, err := cardinality.Collect(ctx, store, request)
	if err != nil {
		store.progress.Failed(counting)
		return store.unreadable(ctx, err)
	}
	store.progress.Found(counting)
	store.close()
	history := store.history()
	report := cardinality.Analyse(collected, cardinality.Options{
		Top: o.top, Metric: o.metric, Unused: o.unused, Uses: uses, Before: history.Before(now, o.since, o.match),
	})
	report.Notes = append(report.Notes, notes...)
	if o.unused && collected.Usage == nil {
		return &codeError{code: exitUnchecked, err: &storeError{
			err:    errors.New("--unused: this store does not tell what queries have read"),
			advice: "VictoriaMetrics notes it, from version 1.113 on",
		}}
	}
	if store.session == nil && slices.Contains(o.given, "since") {
		report.Notes = append(report.Notes, "--since: reports on another store are not remembered, so there is none to compare with")
	}
	if o.metric != "" && len(report.Metrics) == 0 {
		return &codeError{code: exitFailed, err: fmt.Errorf("there is no series of %s in this time", quoted(o.metric))}
	}
	if !o.noSave && day.IsZero() && report.Complete {
		store.remember(history.Add(cardinality.Take(collected)))
	}
	if o.fix != "" {
		if !report.Complete { // a label that saves much of a part may save nothing of the whole
			return o.judge(report)
		}
		return a.writeRules(o.output, a.rulesOf(report, o))
	}
	forms := reportForms{
		document: report.Document(), object: report,
		page: func(out io.Writer) error {
			return page.Write(out, report, points(history, report, o.match, day.IsZero() && report.Complete))
		},
	}
	if err := a.drawReport(o, forms); err != nil {
		return err
	}
	return o.judge(report)
}

// drawReport writes a report, over an earlier one where it is watched.
func (a *app) drawReport(o cardinalityOptions, forms reportForms) error {
	if o.watch > 0 {
		fmt.Fprint(a.deps.stdout, clearScreen)
	}
	return a.writeReport(o.format, o.output, forms)
}

// rulesOf are those that --fix and --fuse ask for.
func (a *app) rulesOf(report cardinality.Report, o cardinalityOptions) []rules.Rule {
	all := report.Rules(o.fix)
	if !o.fuseSet {
		return all
	}
	fuses := report.Fuses(o.fix, o.fuse)
	if len(fuses) == 0 {
		fmt.Fprintln(a.deps.stderr, "note: none of these findings is about a label without end that comes through the agent, so there is no fuse")
	}
	return append(all, fuses...)
}

// points are the series of the earlier reports of the same selection, and of this one where it is one of now and whole: a part
// would look like a fall.
func points(history cardinality.History, report cardinality.Report, match []string, now bool) []page.Point {
	var line []page.Point
	for _, snapshot := range history {
		if slices.Equal(snapshot.Match, match) {
			line = append(line, page.Point{At: snapshot.At, Series: snapshot.Series})
		}
	}
	if now {
		line = append(line, page.Point{At: report.At, Series: report.Summary.Series})
	}
	return line
}

// uses are what the shipped dashboards read, and those that were given.
func (o cardinalityOptions) uses() (*cardinality.Uses, []string, error) {
	uses := &cardinality.Uses{}
	var notes []string
	for _, shipped := range []fs.FS{bundle.FS(), profiles.FS()} {
		unread, err := cardinality.ReadUses(shipped, uses)
		if err != nil {
			return nil, nil, err
		}
		notes = append(notes, unread...)
	}
	for _, folder := range o.dashboards {
		if info, err := os.Stat(folder); err != nil || !info.IsDir() {
			return nil, nil, &usageError{err: fmt.Errorf("--dashboards: there is no folder %q", folder)}
		}
		unread, err := cardinality.ReadUses(os.DirFS(folder), uses)
		if err != nil {
			return nil, nil, fmt.Errorf("--dashboards: %w", err)
		}
		notes = append(notes, unread...)
	}
	return uses, notes, nil
}

// history is empty where there is none, and where it cannot be read: a comparison is lost, no data.
func (s *session) history() cardinality.History {
	raw, err := s.state.ReadFile(historyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var history cardinality.History
	if err == nil {
		history, err = cardinality.DecodeHistory(raw)
	}
	if err != nil {
		s.warn("earlier reports are not compared with: " + err.Error())
	}
	return history
}

func (s *session) remember(history cardinality.History) {
	raw, err := history.Encode()
	if err == nil {
		err = s.state.WriteFile(historyFile, raw, 0o600)
	}
	if err != nil {
		s.warn("this report was not remembered: " + err.Error())
	}
}

func (s *session) warn(text string) {
	s.app.warn(text)
}

// judge makes the report a gate of a build: what was not all seen cannot have passed.
func (o cardinalityOptions) judge(report cardinality.Report) error {
	if !report.Complete {
		return &codeError{code: exitUnchecked, err: errors.New("a part of the store did not answer: the report is not complete")}
	}
	if o.limitSet && report.Summary.Series > o.maxSeries {
		return &codeError{code: exitFindings, err: fmt.Errorf("%d series are more than --max-series %d", report.Summary.Series, o.maxSeries)}
	}
	if !o.churnSet {
		return nil
	}
	if report.Summary.Churn == nil {
		return &codeError{code: exitUnchecked, err: errors.New("--max-churn: the store does not tell its new series, or not yet")}
	}
	if *report.Summary.Churn > o.maxChurn {
		return &codeError{code: exitFindings, err: fmt.Errorf(
			"%.2f new series in a day for each active one are more than --max-churn %g", *report.Summary.Churn, o.maxChurn)}
	}
	return nil
}
