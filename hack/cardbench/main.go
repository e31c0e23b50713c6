//go:build unix

// Command cardbench measures the report on cardinality against curl, which only reads the list of series, and against the
// queries that other tools ask. All take turns on one store in one run, and it fails when a ratio or a peak of memory misses
// its budget. Times of two machines, or of two days, cannot be compared; the ratio of two programs that took turns can.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/docker-telemetry/docker-telemetry/hack/process"
	"github.com/docker-telemetry/docker-telemetry/hack/series"
)

const (
	// Each store, with its making.
	millionWithin = 15 * time.Minute
	largeWithin   = 50 * time.Minute

	// The report may wait for the store, and for little else.
	mostOfCurl = 1.3
	// Ten times the series, and no more than that in time.
	mostOfMillion  = 10.5
	largeRuns      = 2 // each takes a minute
	millionPeakMiB = 128
	largePeakMiB   = 256

	// The store holds the whole list of ten million series while it sorts it.
	largeMemory, largeDisk = 12 << 30, 10 << 30
)

// largeShape is counted exactly.
func largeShape() series.Shape {
	return series.Shape{Metrics: 40, Each: 250_000, Memory: largeMemory, Disk: largeDisk}
}

// oneMetricShape is counted by sketches.
func oneMetricShape() series.Shape {
	return series.Shape{Metrics: 1, Each: 10_000_000, Memory: largeMemory, Disk: largeDisk}
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the process at once.
	defer context.AfterFunc(ctx, stop)()
	if len(args) > 0 && args[0] == childCommand {
		return failed(stderr, reportOnce(ctx, args[1:], stdout))
	}

	flags := flag.NewFlagSet("cardbench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	large := flags.Bool("large", false, "measure ten million series of 40 metrics as well")
	one := flags.Bool("one", false, "measure ten million series of one metric as well")
	runs := flags.Int("runs", 3, "how often each is measured, at least 3; of ten million series, twice")
	queries := flags.Bool("queries", true, "measure the queries of other tools as well, which takes minutes")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *runs < 3 {
		fmt.Fprintln(stderr, "error: the fastest of less than 3 runs says little")
		return 2
	}
	table, err := bench(ctx, options{runs: *runs, large: *large, one: *one, queries: *queries}, stderr)
	if code := failed(stderr, errors.Join(err, table.print(stdout))); code != 0 {
		return code
	}
	if table.missed() {
		return 1
	}
	return 0
}

func failed(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "error:", err)
	return 1
}

// options are the flags.
type options struct {
	runs                int
	large, one, queries bool
}

// bench returns what was measured until an error, with the error.
func bench(ctx context.Context, o options, stderr io.Writer) (rows, error) {
	var larger []series.Shape
	if o.large {
		larger = append(larger, largeShape())
	}
	if o.one {
		larger = append(larger, oneMetricShape())
	}
	for _, shape := range larger {
		// Before the minutes that the million takes.
		if err := shape.RoomFor(); err != nil {
			return nil, err
		}
	}
	million, err := measureStore(ctx, measuring{shape: series.Million(), runs: o.runs, queries: o.queries, within: millionWithin}, stderr)
	if err != nil {
		return nil, err
	}
	table := million.rows(mostOfCurl, millionPeakMiB)
	for _, shape := range larger {
		ten, err := measureStore(ctx, measuring{shape: shape, runs: largeRuns, within: largeWithin}, stderr)
		if err != nil {
			return table, err
		}
		table = append(table, ten.rows(0, largePeakMiB)...)
		budget := 0.0
		if shape.Metrics > 1 {
			budget = mostOfMillion // one metric is one request, and takes the store as long as it takes
		}
		table = append(table, row{
			what: "report, of that of a million", metrics: shape.Metrics, series: shape.Series(), seconds: ten.report.seconds(),
			median: process.Median(ten.report.took).Seconds(), ratio: ten.report.seconds() / million.report.seconds(),
			budget: budget, runs: largeRuns,
		})
	}
	return table, nil
}

// row is one line of the table. A budget of 0 is none.
type row struct {
	what       string
	metrics    int
	series     int
	seconds    float64 // the fastest
	median     float64
	cpu        float64 // seconds of processors, the least; 0 where it is not measured
	ratio      float64 // to curl, or to what the row says
	budget     float64 // of the ratio
	peakMiB    float64 // the most of all runs; 0 where it is not measured
	peakBudget float64
	bytes      int64
	runs       int
}

func (r row) missed() bool {
	return r.budget > 0 && r.ratio > r.budget || r.peakBudget > 0 && r.peakMiB > r.peakBudget
}

type rows []row

func (r rows) missed() bool {
	for _, row := range r {
		if row.missed() {
			return true
		}
	}
	return false
}

func (r rows) print(out io.Writer) error {
	if len(r) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "MEASUREMENT\tMETRICS\tSERIES\tSECONDS\tMEDIAN\tCPU\tRATIO\tBUDGET\tPEAK MIB\tBUDGET\tRESULT\tMB READ\tRUNS")
	for _, row := range r {
		fmt.Fprintln(table, strings.Join(row.cells(), "\t"))
	}
	return table.Flush()
}

func (r row) cells() []string {
	verdict := "-"
	switch {
	case r.missed():
		verdict = "FAIL"
	case r.budget > 0 || r.peakBudget > 0:
		verdict = "pass"
	}
	return []string{
		r.what, strconv.Itoa(r.metrics), strconv.Itoa(r.series), fmt.Sprintf("%.2f", r.seconds), fmt.Sprintf("%.2f", r.median), orDash("%.2f", r.cpu),
		fmt.Sprintf("%.2f", r.ratio), orDash("%.2f", r.budget), orDash("%.0f", r.peakMiB), orDash("%.0f", r.peakBudget), verdict,
		orDash("%.0f", float64(r.bytes)/1e6), strconv.Itoa(r.runs),
	}
}

func orDash(format string, figure float64) string {
	if figure == 0 {
		return "-"
	}
	return fmt.Sprintf(format, figure)
}
