//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// After each scaling the balancer must send to every live replica and to no other, and logs must still arrive.
func TestScale(t *testing.T) {
	e := newEnv(t)
	e.up()
	for _, replicas := range []int{5, 1} {
		e.scale(t, replicas)
		assert.Equal(t, e.ready("aggregator"), replicas)
		e.writeLine(t, 5*time.Second)
	}
	e.up()
	assert.Equal(t, e.ready("aggregator"), 1, "the scale is remembered")
}

// Under 1,000 events a second the aggregators go from 2 to 8 to 2 and no event is lost: every line that a container
// wrote while its agent ran, which the agent has taken and owes to the store. Replicas that go end by themselves.
func TestScaleUnderLoad(t *testing.T) {
	e := newEnv(t)
	e.up("--scale", "aggregator=2")
	ended := e.watchEnds("aggregator")
	began := time.Now()
	// 13 lines for each hundredth of a second that has passed: one that had to wait for a processor catches up, so that the
	// rate is that of the scenario and not of the machine.
	load := e.docker("run", "-d", "--network", "none", busybox, "sh", "-c", `trap 'exit 0' TERM
read -r up _ </proc/uptime; start=${up%.*}${up#*.}
n=0; while :; do
	read -r up _ </proc/uptime; due=$(( (${up%.*}${up#*.} - start) * 13 ))
	while [ $n -lt $due ]; do n=$((n+1)); echo "load $n"; done
	sleep 0.05
done`)
	t.Cleanup(func() { e.docker("rm", "-f", load) })
	name := strings.TrimPrefix(e.docker("inspect", "-f", "{{.Name}}", load), "/")
	eventually(t, arrival, func() error { return e.hasOneLine("load 1") })

	e.scale(t, 8)
	e.scale(t, 2)
	e.docker("stop", "--time", "5", load)
	took := time.Since(began)

	written := strings.Split(e.docker("logs", load), "\n")
	rate := float64(len(written)) / took.Seconds()
	t.Logf("%d lines in %s: %.0f a second", len(written), took.Round(time.Second), rate)
	assert.Assert(t, rate >= 1000, "%.0f lines a second", rate)
	eventually(t, time.Minute, func() error { return e.lost(name, written) })
	codes := ended()
	for _, code := range codes {
		assert.Equal(t, code, "0", "an aggregator was killed while it held events")
	}
	assert.Equal(t, len(codes), 6)
}

// scale requires even shares, measured within 5 s of the replicas' being healthy or gone.
func (e *env) scale(t *testing.T, replicas int) {
	t.Helper()
	r := e.ok(e.telemetry("scale", fmt.Sprintf("aggregator=%d", replicas), "--format", "json"))
	var shares struct {
		Even           bool
		SettledSeconds float64
		Replicas       []struct {
			Name  string
			Lanes []struct {
				Lane  string
				Share float64
			}
		}
	}
	assert.NilError(t, json.Unmarshal([]byte(r.stdout), &shares))
	assert.Assert(t, shares.Even)
	assert.Assert(t, shares.SettledSeconds <= 5, "%.1f s", shares.SettledSeconds)
	assert.Equal(t, len(shares.Replicas), replicas)
	worst := 0.0
	for _, replica := range shares.Replicas {
		for _, lane := range replica.Lanes {
			worst = max(worst, math.Abs(lane.Share*float64(replicas)-1))
		}
	}
	t.Logf("%d replicas: only they get requests after %.1f s, worst skew %.0f %%, %s in all", replicas, shares.SettledSeconds, 100*worst, r.took.Round(100*time.Millisecond))
	assert.Assert(t, worst <= 0.2)
}

// lost says, as an error, which lines of a container OpenObserve does not have.
func (e *env) lost(container string, written []string) error {
	e.t.Helper()
	now := time.Now()
	query := fmt.Sprintf(`{"query":{"sql":"SELECT message FROM \"docker\" WHERE container_name = '%s'","start_time":%d,"end_time":%d,"from":0,"size":%d}}`,
		container, now.Add(-time.Hour).UnixMicro(), now.Add(time.Hour).UnixMicro(), 4*len(written))
	body, err := e.call("openobserve", http.MethodPost, "/openobserve/api/default/_search?type=logs", query)
	if err != nil {
		return err
	}
	var answer struct{ Hits []struct{ Message string } }
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return fmt.Errorf("%w: %.300s", err, body)
	}
	stored := make(map[string]bool, len(answer.Hits))
	for _, hit := range answer.Hits {
		stored[hit.Message] = true
	}
	var missing []string
	for _, line := range written {
		if !stored[line] {
			missing = append(missing, strconv.Quote(line))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%d of %d lines are lost, the first is %s", len(missing), len(written), missing[0])
	}
	e.t.Logf("%d lines stored of %d, %d of them more than once", len(stored), len(written), len(answer.Hits)-len(stored))
	return nil
}

// watchEnds returns a function that ends the watch and returns the exit codes of a component's containers that ended since.
// Asked afterwards the engine knows its last 256 events only, and each health check is three.
func (e *env) watchEnds(component string) func() []string {
	e.t.Helper()
	ctx, cancel := context.WithCancel(e.t.Context())
	cmd := e.command(ctx, "docker", "events", "--filter", "event=die", "--filter", "label=io.github.docker-telemetry.stack="+e.name,
		"--filter", "label=io.github.docker-telemetry.component="+component, "--format", `{{index .Actor.Attributes "exitCode"}}`)
	var codes bytes.Buffer
	cmd.Stdout = &codes
	assert.NilError(e.t, cmd.Start())
	return func() []string {
		cancel()
		_ = cmd.Wait() // it was killed
		return strings.Fields(codes.String())
	}
}
