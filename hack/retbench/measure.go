//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/docker-telemetry/docker-telemetry/hack/process"
	"github.com/docker-telemetry/docker-telemetry/report/retention"
)

// reportArguments are the command with what it does by itself, but for the format: JSON has all that was found.
func reportArguments() []string {
	return []string{"--progress", "quiet", "report", "retention", "--format", "json"}
}

// side is one of those that take turns.
type side struct {
	took    []time.Duration
	cpu     []time.Duration
	peakMiB float64
	asked   int // requests of the gateway, of the last run
}

func (s *side) add(used process.Usage, asked int) {
	s.took, s.cpu = append(s.took, used.Took), append(s.cpu, used.CPU)
	s.peakMiB, s.asked = max(s.peakMiB, used.PeakMiB), asked
}

// measure has the program's bare start take turns with the report: what the report can not be faster than.
func measure(ctx context.Context, w *world, o options, stderr io.Writer) (table, error) {
	var first, report, start side
	if err := w.whole(ctx, o, &first); err != nil {
		return nil, err
	}
	if err := w.listRequests(o, "the first", stderr); err != nil {
		return nil, err
	}
	for range o.runs {
		used, err := w.run(ctx, nil, "version")
		if err != nil {
			return nil, err
		}
		start.add(used, 0)
		w.gateway.forget()
		if used, err = w.run(ctx, nil, reportArguments()...); err != nil {
			return nil, err
		}
		report.add(used, w.gateway.asked())
	}
	if err := w.listRequests(o, "the last", stderr); err != nil {
		return nil, err
	}
	row := func(what string, s *side) row {
		return row{
			what: what, series: o.shape().Series(), streams: o.streams, seconds: slices.Min(s.took).Seconds(),
			median: process.Median(s.took).Seconds(), cpu: slices.Min(s.cpu).Seconds(), peakMiB: s.peakMiB, asked: s.asked, runs: len(s.took),
		}
	}
	judged := row("report retention", &report)
	if o.whole() {
		judged.budget, judged.peakBudget = budgetSeconds, budgetPeakMiB
	}
	return table{row("version, the bare start", &start), row("report retention, the first", &first), judged}, nil
}

func (w *world) listRequests(o options, which string, out io.Writer) error {
	if !o.requests {
		return nil
	}
	fmt.Fprintf(out, "%s report asked:\n", which)
	return w.gateway.print(out)
}

// whole is the first report. It is held against what was written: what is measured must be all of it.
func (w *world) whole(ctx context.Context, o options, into *side) error {
	var out bytes.Buffer
	w.gateway.forget()
	used, err := w.run(ctx, &out, reportArguments()...)
	if err != nil {
		return err
	}
	into.add(used, w.gateway.asked())
	if into.asked > gatewayBurst {
		return fmt.Errorf("the report asked %d times, and the gateway of a stack lets %d requests through at once", into.asked, gatewayBurst)
	}
	return errors.Join(checkReport(out.Bytes(), o.streams, w.since), checkStore(ctx, w.metrics, o.shape(), w.now))
}

// gatewayBurst is the burst of limit_req in stack/bundle/config/gateway. What takes turns here is not limited.
const gatewayBurst = 200

// checkReport finds what is missing in a report: of all metrics, whose oldest sample is of the time given, and of each stream.
func checkReport(raw []byte, streams int, since time.Time) error {
	var report retention.Report
	if err := json.Unmarshal(raw, &report); err != nil {
		return fmt.Errorf("the report: %w", err)
	}
	if !report.Complete || len(report.Streams) != streams+1 {
		return fmt.Errorf("the report is not whole: complete %t, %d streams of %d; %s",
			report.Complete, len(report.Streams)-1, streams, strings.Join(report.Notes, "; "))
	}
	for _, stream := range report.Streams {
		switch {
		case stream.Records == nil, stream.Bytes == nil, stream.Oldest == nil, stream.Retention == nil:
			return fmt.Errorf("the report lacks figures of %s %s", stream.Store, stream.Name)
		case stream.Store != retention.Metrics:
		case stream.Oldest.At.Sub(since).Abs() > time.Minute:
			return fmt.Errorf("the report has the oldest sample of %s, written from %s", stream.Oldest.At, since)
		case len(stream.Rates) != allRates:
			return fmt.Errorf("the report has %d rates of metrics", len(stream.Rates))
		}
	}
	if len(report.Limits) == 0 {
		return errors.New("the report knows no disk")
	}
	return nil
}

// allRates are those of an hour, a day, a week, and of all.
const allRates = 4

// row is one line of the table. A budget of 0 is none.
type row struct {
	what       string
	series     int
	streams    int
	seconds    float64 // the fastest: what else the machine does can only make one slower
	median     float64
	cpu        float64 // seconds of processors, the least
	budget     float64 // of seconds
	peakMiB    float64 // the most of all runs
	peakBudget float64
	asked      int // requests of the gateway
	runs       int
}

func (r row) missed() bool {
	return r.budget > 0 && r.seconds > r.budget || r.peakBudget > 0 && r.peakMiB > r.peakBudget
}

type table []row

func (t table) missed() bool { return slices.ContainsFunc(t, row.missed) }

func (t table) print(out io.Writer) error {
	if len(t) == 0 {
		return nil
	}
	columns := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(columns, "MEASUREMENT\tSERIES\tSTREAMS\tSECONDS\tMEDIAN\tCPU\tBUDGET\tPEAK MIB\tBUDGET\tRESULT\tREQUESTS\tRUNS")
	for _, row := range t {
		fmt.Fprintln(columns, strings.Join(row.cells(), "\t"))
	}
	return columns.Flush()
}

func (r row) cells() []string {
	verdict, budget, peakBudget := "-", "-", "-"
	if r.budget > 0 {
		verdict, budget, peakBudget = "pass", fmt.Sprintf("%.2f", r.budget), fmt.Sprintf("%.0f", r.peakBudget)
	}
	if r.missed() {
		verdict = "FAIL"
	}
	return []string{
		r.what, strconv.Itoa(r.series), strconv.Itoa(r.streams), fmt.Sprintf("%.2f", r.seconds), fmt.Sprintf("%.2f", r.median),
		fmt.Sprintf("%.2f", r.cpu), budget, fmt.Sprintf("%.0f", r.peakMiB), peakBudget, verdict, strconv.Itoa(r.asked), strconv.Itoa(r.runs),
	}
}
