//go:build unix

// Command retbench measures `docker telemetry report retention` as a person runs it: the whole program as a process, on a stack
// of a million series and 500 streams. It fails when the time or the peak of memory misses its budget.
//
// A stack is found by its state folder, its engine and its gateway, so there are all three: a state folder of its own, an engine
// that knows three containers, and a gateway with the real one's paths, certificate and log-ins. Behind it are a real
// VictoriaMetrics and the lab's stand-in for OpenObserve.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/docker-telemetry/docker-telemetry/hack/process"
	"github.com/docker-telemetry/docker-telemetry/hack/series"
)

const (
	// The budget: what it is for, and what it allows.
	budgetStreams = 500
	budgetSeconds = 2
	budgetPeakMiB = 64

	leastRuns = 3
	within    = 20 * time.Minute // with the stores' making
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the process at once.
	defer context.AfterFunc(ctx, stop)()
	if len(args) > 0 && args[0] == childCommand {
		return failed(stderr, child(ctx, args[1:]))
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()

	o := options{}
	flags := flag.NewFlagSet("retbench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.program, "program", "bin/docker-telemetry", "what is measured")
	flags.StringVar(&o.openObserve, "openobserve", "bin/lab-openobserve", "the lab's stand-in for OpenObserve")
	flags.IntVar(&o.metrics, "metrics", series.Million().Metrics, "metrics of 25,000 series each; the budget is for 40")
	flags.IntVar(&o.streams, "streams", budgetStreams, "streams of logs; the budget is for 500")
	flags.IntVar(&o.runs, "runs", 7, "how often the report is measured, at least 3")
	flags.BoolVar(&o.requests, "requests", false, "list what the first and the last report asked of the gateway, and how long each took")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if o.runs < leastRuns || o.metrics < 1 || o.streams < 1 {
		fmt.Fprintln(stderr, "error: there is nothing to measure, or it is measured less than 3 times")
		return 2
	}
	table, err := bench(ctx, o, stderr)
	if err = errors.Join(err, table.print(stdout)); err != nil {
		return failed(stderr, errors.Join(err, context.Cause(ctx)))
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
	program, openObserve string
	metrics, streams     int
	runs                 int
	requests             bool
}

// shape is that of the store of metrics.
func (o options) shape() series.Shape {
	shape := series.Million()
	shape.Metrics = o.metrics
	return shape
}

// whole reports whether it is as large as the budget says.
func (o options) whole() bool {
	return o.shape().Series() >= series.Million().Series() && o.streams >= budgetStreams
}

func bench(ctx context.Context, o options, stderr io.Writer) (found table, err error) {
	fmt.Fprintf(stderr, "%d series, %d streams: writing%s\n", o.shape().Series(), o.streams, process.LoadAverage())
	began := time.Now()
	w, err := newWorld(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	fmt.Fprintf(stderr, "%d series, %d streams: written in %.0f s, measuring%s\n", o.shape().Series(), o.streams, time.Since(began).Seconds(), process.LoadAverage())
	defer func() {
		fmt.Fprintf(stderr, "%d series, %d streams: done%s\n", o.shape().Series(), o.streams, process.LoadAverage())
	}()
	return measure(ctx, w, o, stderr)
}
