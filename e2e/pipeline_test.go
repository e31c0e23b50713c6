//go:build e2e

package e2e

import (
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/internal/dashboards"
)

// arrival is how long a line may take where several stacks start beside it; alone it is 5 s, see TestData.
const arrival = 20 * time.Second

// Data must arrive after `up` and nothing else.
func TestData(t *testing.T) {
	e := newEnv(t)
	e.up()
	t.Run("a log line is searchable within 5 s", func(t *testing.T) { logArrives(t, e) })
	t.Run("logs and metrics go through both aggregators", func(t *testing.T) { bothCarry(t, e) })
	t.Run("a scraped metric is in VictoriaMetrics", func(t *testing.T) {
		eventually(t, time.Minute, func() error { return e.hasSeries(`node_uname_info{job="node-exporter"}`) })
	})
	t.Run("no panel is empty", func(t *testing.T) { dashboardsHaveData(t, e, "../stack/bundle/config/grafana/dashboards/*.json", 4) })
	t.Run("nginx accepts its configuration", func(t *testing.T) { nginxAccepts(t, e) })
	t.Run("prune removes what is left, and nothing else", func(t *testing.T) { pruneRemovesWhatIsLeft(t, e) })
	t.Run("flow has figures of each hop, without VictoriaMetrics as well", func(t *testing.T) { flowHasFigures(t, e) })
}

func logArrives(t *testing.T, e *env) {
	marker := e.printLine(t)
	written := time.Now()
	eventually(t, 5*time.Second, func() error { return e.hasOneLine(marker) })
	t.Logf("a log line was searchable after %s", time.Since(written).Round(time.Millisecond))
}

// printLine has a new container print a line of its own.
func (e *env) printLine(t *testing.T) string {
	t.Helper()
	marker := "marker-" + rand.Text()
	id := e.docker("run", "-d", "--network", "none", busybox, "echo", marker)
	t.Cleanup(func() { e.docker("rm", "-f", id) })
	return marker
}

// writeLine requires that a new container's line gets to OpenObserve, once at least: beside other stacks one came twice, for a
// reason that was not found (docs/verified.md). TestData, which runs alone, requires exactly one.
func (e *env) writeLine(t *testing.T, within time.Duration) {
	t.Helper()
	marker := e.printLine(t)
	eventually(t, within, func() error { return e.hasLine(marker) })
}

func bothCarry(t *testing.T, e *env) {
	for range 8 {
		e.writeLine(t, arrival)
	}
	for _, lane := range []string{"from_agents_logs", "from_agents_metrics"} {
		eventually(t, time.Minute, func() error {
			found, err := e.metrics(fmt.Sprintf(`count by (replica) (vector_component_received_events_total{job="vector-aggregator",component_id=%q} > 0)`, lane))
			if err == nil && len(found) != 2 {
				err = fmt.Errorf("%s arrived at %d of 2 aggregators: %v", lane, len(found), found)
			}
			return err
		})
	}
}

// dashboardsHaveData runs every query of every dashboard, which are so many at least, on the real VictoriaMetrics.
func dashboardsHaveData(t *testing.T, e *env, pattern string, least int) {
	queries := queriesOf(t, pattern)
	assert.Assert(t, len(queries) >= least, pattern)
	for _, file := range slices.Sorted(maps.Keys(queries)) {
		for _, query := range queries[file] {
			// A rate needs two scrapes, 15 s apart, and the first is late by the start of its target.
			eventually(t, 90*time.Second, func() error {
				if err := e.hasSeries(query.Expr); err != nil {
					return fmt.Errorf("%s, panel %q, query %s: %w", filepath.Base(file), query.Panel, query.RefID, err)
				}
				return nil
			})
		}
		t.Logf("%s: %d queries have data", filepath.Base(file), len(queries[file]))
	}
}

// queriesOf are the queries of the dashboards, by their file; one without a query is a mistake.
func queriesOf(t *testing.T, pattern string) map[string][]dashboards.Query {
	t.Helper()
	files, err := filepath.Glob(pattern)
	assert.NilError(t, err)
	found := map[string][]dashboards.Query{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		assert.NilError(t, err)
		found[file], err = dashboards.Queries(raw)
		assert.NilError(t, err)
		assert.Assert(t, len(found[file]) > 0, file)
	}
	return found
}

func nginxAccepts(t *testing.T, e *env) {
	for _, component := range []string{"balancer", "gateway", "docker-proxy"} {
		out := e.ok(e.run("docker", "exec", fmt.Sprintf("%s-%s-1", e.name, component), "nginx", "-t"))
		assert.Assert(t, strings.Contains(out.stderr, "test is successful"), out)
		assert.Assert(t, !strings.Contains(out.stderr, "warn"), out)
	}
}
