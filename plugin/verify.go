package plugin

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/escape"
	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/pipeline"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

type verifyOptions struct {
	routes  []string
	timeout time.Duration
	format  string
	watch   bool
}

func newVerifyCommand(a *app) *cobra.Command {
	opts := verifyOptions{timeout: 15 * time.Second, format: "table"}
	cmd := &cobra.Command{
		Use:   "verify [OPTIONS]",
		Short: "Prove every route, hop by hop, and say why one is broken",
		Long: `Prove every route, hop by hop, and say why one is broken.

A marked event is sent on each route that the running profiles promise, and looked
for at every hop: a container's log line, a target's sample, what applications send
by OTLP. Each aggregator gets one of its own. The way back is checked as well: the
query goes through the gateway, whose certificate and log-ins must hold.

A route stops at its first silent hop. The cause is derived from what the engine,
the component's counters and its log say, with the command that mends it. Marked
events have a stream of their own in OpenObserve, telemetry_probe, and one metric
of that name. Containers and targets of the proof are gone when it ends.

--watch has a container print a numbered line each second, by the route logs, until
Ctrl-C. It prints how long the lines take, and how many are lost, come twice or out
of order, and writes the same to VictoriaMetrics: telemetry_verify_*.

Exit code 3: a route is broken. 4: it could not be checked.`,
		Example: `  docker telemetry verify
  docker telemetry verify --route logs --route metrics --timeout 5s
  docker telemetry verify --format junit > verify.xml
  docker telemetry verify --watch`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return runVerify(cmd.Context(), a, opts) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&opts.routes, "route", nil, "Only this route; may be given more than once (default: all)")
	flags.DurationVar(&opts.timeout, "timeout", opts.timeout, "How long to look for each route's marked event")
	flags.BoolVar(&opts.watch, "watch", false, "Keep sending log lines, and tell latency, loss, duplicates and order until Ctrl-C")
	addFormat(cmd, &opts.format, "table", "json", "junit")
	_ = cmd.RegisterFlagCompletionFunc("route", completeWords(routeLogs, routeMetrics, routeHost))
	return cmd
}

func runVerify(ctx context.Context, a *app, opts verifyOptions) error {
	if opts.timeout <= 0 {
		return &usageError{err: errors.New("--timeout takes a duration above 0, such as 15s")}
	}
	if opts.watch && (opts.format == "junit" || len(opts.routes) > 0) {
		return &usageError{err: errors.New("--watch has the formats table and json, and one route, logs")}
	}
	s, err := a.open(ctx, "verify")
	if err != nil {
		return unchecked(ctx, err)
	}
	defer s.close()
	result, err := s.remembered()
	if err != nil {
		return unchecked(ctx, err)
	}
	if s.outOfReach(result) {
		return unchecked(ctx, &stack.Error{
			Text:   fmt.Sprintf("the gateway is on the loopback of %s, where this machine cannot ask", s.engine.Name),
			Advice: s.tunnel(result) + " reaches it; docker telemetry up --bind opens it to others",
		})
	}
	project, err := stack.Load(ctx, s.manager.Bundle, result.Settings)
	if err != nil {
		return unchecked(ctx, err)
	}
	if opts.watch {
		return s.watch(ctx, result, project, opts.format)
	}
	began := time.Now()
	results, err := s.verify(ctx, result, project, opts.routes, opts.timeout)
	s.close()
	if err != nil {
		return unchecked(ctx, err)
	}
	if err := printVerified(a, results, time.Since(began), opts.format); err != nil {
		return err
	}
	if broken := brokenOf(results); broken != nil {
		return &codeError{code: exitFindings, err: broken}
	}
	return nil
}

// unchecked ends with the code for what could not be checked, unless the words of the command were wrong.
func unchecked(ctx context.Context, err error) error {
	var usage *usageError
	if ctx.Err() != nil || errors.As(err, &usage) {
		return err
	}
	return &codeError{code: exitUnchecked, err: err}
}

func printVerified(a *app, results []pipeline.RouteResult, took time.Duration, format string) error {
	switch format {
	case "json":
		return render.JSON(a.deps.stdout, verifiedJSON(a, results, took))
	case "junit":
		return writeJUnit(a.deps.stdout, results, took)
	default:
		printHops(a, results)
		return nil
	}
}

// verifyJSON is the answer of `verify`: documented in docs/reference/json.md, only added to.
type verifyJSON struct {
	SchemaVersion int         `json:"schemaVersion"`
	Stack         string      `json:"stack"`
	Proven        bool        `json:"proven"`
	TookSeconds   float64     `json:"tookSeconds"`
	Routes        []routeJSON `json:"routes"`
}

type routeJSON struct {
	Name        string     `json:"name"`
	About       string     `json:"about"`
	Proven      bool       `json:"proven"`
	TookSeconds float64    `json:"tookSeconds"`
	Hops        []hopJSON  `json:"hops"`
	Cause       *causeJSON `json:"cause,omitempty"`
}

type hopJSON struct {
	Name           string   `json:"name"`
	Component      string   `json:"component"`
	State          string   `json:"state"`
	LatencySeconds *float64 `json:"latencySeconds,omitempty"`
}

type causeJSON struct {
	Hop  string `json:"hop"`
	Text string `json:"text"`
	Mend string `json:"mend"`
}

func verifiedJSON(a *app, results []pipeline.RouteResult, took time.Duration) verifyJSON {
	answer := verifyJSON{SchemaVersion: 1, Stack: a.name, Proven: brokenOf(results) == nil, TookSeconds: milli(took), Routes: []routeJSON{}}
	for _, result := range results {
		route := routeJSON{Name: result.Name, About: result.About, Proven: result.Proven(), TookSeconds: milli(result.Took), Hops: []hopJSON{}}
		for _, hop := range result.Hops {
			one := hopJSON{Name: hop.Name, Component: hop.Component, State: string(hop.State)}
			if hop.State == pipeline.Passed && hop.Latency > 0 {
				latency := milli(hop.Latency)
				one.LatencySeconds = &latency
			}
			route.Hops = append(route.Hops, one)
		}
		if result.Cause != nil {
			route.Cause = &causeJSON{Hop: result.Cause.Hop, Text: result.Cause.Text, Mend: forStack(a.name, result.Cause.Mend)}
		}
		answer.Routes = append(answer.Routes, route)
	}
	return answer
}

// milli is a duration in seconds, to the millisecond.
func milli(took time.Duration) float64 { return math.Round(took.Seconds()*1000) / 1000 }

// printHops prints one line a hop, and for a route that is broken nothing after its silent hop but why.
func printHops(a *app, results []pipeline.RouteResult) {
	var rows [][]string
	for _, result := range results {
		name := result.Name
		for _, hop := range result.Hops {
			if hop.State == pipeline.Unknown {
				continue
			}
			state := string(hop.State)
			if hop.State == pipeline.Silent {
				state = "▲ silent"
			}
			rows = append(rows, []string{name, hop.Name, state, latencyWords(hop)})
			name = ""
		}
		if result.Proven() {
			rows = append(rows, []string{"", "", "● proven", tookWords(result.Took) + " in all"})
		}
	}
	render.Table(a.deps.stdout, []string{"route", "hop", "state", "latency"}, rows)
	for _, result := range results {
		if result.Cause != nil {
			fmt.Fprintf(a.deps.stdout, "\n%s stops at %s: %s\n  %s\n", result.Name, result.Cause.Hop, escape.Text(result.Cause.Text), escape.Text(forStack(a.name, result.Cause.Mend)))
		}
	}
}

func latencyWords(hop pipeline.HopResult) string {
	if hop.State != pipeline.Passed || hop.Latency <= 0 {
		return ""
	}
	return tookWords(hop.Latency)
}

// tookWords is a duration for people: below a tenth of a second in milliseconds.
func tookWords(took time.Duration) string {
	if took < 100*time.Millisecond {
		return fmt.Sprintf("%.0f ms", math.Max(1, float64(took)/float64(time.Millisecond)))
	}
	return fmt.Sprintf("%.1f s", took.Seconds())
}

// The XML that CI systems read test results from: https://github.com/testmoapp/junitxml names the elements they share.
type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitFailure `xml:"failure"`
	Skipped *struct{}     `xml:"skipped"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// writeJUnit writes a suite a route and a case a hop.
func writeJUnit(out io.Writer, results []pipeline.RouteResult, took time.Duration) error {
	all := junitSuites{Name: "docker telemetry verify", Time: seconds(took)}
	for _, result := range results {
		suite := junitSuite{Name: result.Name, Time: seconds(result.Took)}
		for _, hop := range result.Hops {
			suite.add(result, hop)
		}
		all.Tests, all.Failures, all.Skipped = all.Tests+suite.Tests, all.Failures+suite.Failures, all.Skipped+suite.Skipped
		all.Suites = append(all.Suites, suite)
	}
	if _, err := io.WriteString(out, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(out)
	encoder.Indent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(out, "\n")
	return err
}

func (s *junitSuite) add(result pipeline.RouteResult, hop pipeline.HopResult) {
	one := junitCase{Name: hop.Name, Class: "verify." + result.Name, Time: seconds(hop.Latency)}
	switch hop.State {
	case pipeline.Silent:
		s.Failures++
		one.Failure = &junitFailure{}
		if result.Cause != nil {
			one.Failure.Message, one.Failure.Text = escape.Text(result.Cause.Text), escape.Text(result.Cause.Mend)
		}
	case pipeline.Unknown:
		s.Skipped++
		one.Skipped = &struct{}{}
	}
	s.Tests++
	s.Cases = append(s.Cases, one)
}

func seconds(took time.Duration) string { return fmt.Sprintf("%.3f", took.Seconds()) }
