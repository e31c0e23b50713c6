//go:build unix

// Command bench measures the plugin against docker-compose in one run, side by side, and fails when a ratio misses its
// budget. Times of two machines, or of two days, cannot be compared; the ratio of two programs that took turns can.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

const (
	// The whole run, with the removal of what it made.
	measureWithin = 5 * time.Minute
	removeWithin  = time.Minute
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("only", strings.Join(names(), ","), "what to measure, separated by commas")
	format := flags.String("format", "table", "table or json")
	bin := flags.String("bin", "bin", "folder with docker-telemetry and docker-compose")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	wanted := strings.Split(*only, ",")
	for _, name := range wanted {
		if !slices.Contains(names(), name) {
			fmt.Fprintf(stderr, "error: there is no measurement %q\nhint: choose from %s\n", name, strings.Join(names(), ", "))
			return 2
		}
	}
	write := printTable
	switch *format {
	case "table":
	case "json":
		write = printJSON
	default:
		fmt.Fprintf(stderr, "error: %q is no format\nhint: choose from table, json\n", *format)
		return 2
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the process at once.
	defer context.AfterFunc(ctx, stop)()
	report, err := bench(ctx, *bin, wanted, stderr)
	if printErr := write(stdout, report); printErr != nil {
		err = errors.Join(err, printErr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "error:", err)
		return 1
	}
	if report.missed() {
		return 1
	}
	return 0
}

// bench measures what is wanted. Whatever happens, it removes its stacks and folders; the report has what was measured
// until then.
func bench(ctx context.Context, bin string, wanted []string, stderr io.Writer) (report report, err error) {
	w, err := newWorld(bin)
	if err != nil {
		return report, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeWithin)
		defer cancel()
		err = errors.Join(err, w.remove(ctx))
	}()
	ctx, cancel := context.WithTimeout(ctx, measureWithin)
	defer cancel()
	for _, m := range measurements() {
		if !slices.Contains(wanted, m.name) {
			continue
		}
		fmt.Fprintf(stderr, "%s: at most %d pairs of runs\n", m.name, m.pairs)
		result, err := w.measure(ctx, m)
		if err != nil {
			return report, fmt.Errorf("%s: %w", m.name, err)
		}
		report.Results = append(report.Results, result)
	}
	return report, nil
}

// report is what --format json prints.
type report struct {
	SchemaVersion int      `json:"schemaVersion"`
	Results       []result `json:"results"`
}

// result compares the medians of runs that took turns.
type result struct {
	Name    string  `json:"name"`
	Budget  float64 `json:"budget,omitempty"`
	Ratio   float64 `json:"ratio"`
	Pass    bool    `json:"pass"`
	Ours    float64 `json:"pluginMilliseconds"`
	Theirs  float64 `json:"composeMilliseconds"`
	Pairs   int     `json:"pairs"`
	PeakMiB float64 `json:"pluginPeakMiB"` // the most that the plugin, run by itself, had resident
}

func (r report) missed() bool {
	return slices.ContainsFunc(r.Results, func(result result) bool { return !result.Pass })
}

func printJSON(out io.Writer, report report) error {
	report.SchemaVersion = 1
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}

func printTable(out io.Writer, report report) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "MEASUREMENT\tBUDGET\tRATIO\tRESULT\tPLUGIN\tCOMPOSE\tPAIRS\tPLUGIN'S PEAK MIB")
	for _, r := range report.Results {
		budget, verdict := fmt.Sprintf("%.2f", r.Budget), "pass"
		switch {
		case r.Budget == 0:
			budget, verdict = "-", "-"
		case !r.Pass:
			verdict = "FAIL"
		}
		fmt.Fprintf(table, "%s\t%s\t%.2f\t%s\t%.0f ms\t%.0f ms\t%d\t%.0f\n",
			r.Name, budget, r.Ratio, verdict, r.Ours, r.Theirs, r.Pairs, r.PeakMiB)
	}
	return table.Flush()
}
