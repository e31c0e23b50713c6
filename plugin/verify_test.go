package plugin

import (
	"bytes"
	"encoding/xml"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/pipeline"
)

func brokenRoute() pipeline.RouteResult {
	return pipeline.RouteResult{
		Name: "logs", About: "a marked log line in OpenObserve", Took: 1500 * time.Millisecond,
		Hops: []pipeline.HopResult{
			{Name: "agent", Component: "agent", State: pipeline.Passed, Latency: 20 * time.Millisecond},
			{Name: "aggregator-2", Component: "aggregator", State: pipeline.Silent},
			{Name: "gateway", Component: "gateway", State: pipeline.Unknown},
		},
		Cause: &pipeline.Cause{Hop: "aggregator-2", Text: "it says <\x1b[31mno\x00> & \"ends\"", Mend: "docker telemetry restart aggregator"},
	}
}

// What a CI system reads must be XML whatever a container's log holds, and say the same as the table.
func TestJUnit(t *testing.T) {
	var out bytes.Buffer
	whole := pipeline.RouteResult{Name: "host", Hops: []pipeline.HopResult{{Name: "node-exporter", State: pipeline.Passed}}}
	assert.NilError(t, writeJUnit(&out, []pipeline.RouteResult{brokenRoute(), whole}, 2*time.Second))
	var read junitSuites
	assert.NilError(t, xml.Unmarshal(out.Bytes(), &read), out.String())
	assert.Equal(t, read.Tests, 4)
	assert.Equal(t, read.Failures, 1)
	assert.Equal(t, read.Skipped, 1)
	assert.Equal(t, read.Time, "2.000")
	logs := read.Suites[0]
	assert.Equal(t, logs.Name+logs.Cases[1].Name+logs.Cases[1].Class, "logsaggregator-2verify.logs")
	assert.Equal(t, logs.Cases[0].Time, "0.020")
	assert.Assert(t, logs.Cases[0].Failure == nil && logs.Cases[0].Skipped == nil && logs.Cases[2].Skipped != nil)
	assert.Equal(t, logs.Cases[1].Failure.Message, `it says <\x1b[31mno\x00> & "ends"`)
	assert.Equal(t, logs.Cases[1].Failure.Text, "docker telemetry restart aggregator")
	assert.Equal(t, read.Suites[1].Failures, 0)
}

func TestHopsArePrinted(t *testing.T) {
	var out bytes.Buffer
	printHops(&app{name: "second", deps: deps{stdout: &out}}, []pipeline.RouteResult{brokenRoute()})
	assert.Equal(t, out.String(), strings.Join([]string{
		"ROUTE   HOP            STATE      LATENCY",
		"logs    agent          passed     20 ms",
		"        aggregator-2   ▲ silent",
		"",
		`logs stops at aggregator-2: it says <\x1b[31mno\x00> & "ends"`,
		"  docker telemetry --name second restart aggregator",
		"",
	}, "\n"))
}

func TestNumberOf(t *testing.T) {
	for line, want := range map[string]uint64{
		"level=warn a marked line of docker telemetry 17": 17, "a 1\n": 1, "": 0, "a": 0, "17": 0, "a 17 b": 0, "a 99999999999999999999999": 0,
	} {
		assert.Equal(t, numberOf(line), want, line)
	}
}
