//go:build e2e

package e2e

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// cardinalityJSON is what a scenario reads of the report.
type cardinalityJSON struct {
	Complete bool
	Notes    []string
	Summary  struct{ Series int }
	Metrics  []struct {
		Name   string
		Series int
		Jobs   []string
		Reads  *int
		Labels []struct {
			Name                string
			Values, Left, Saved int
		}
	}
	Findings []struct {
		Code, Metric string
		Labels       []string
		Saved        int
		Rule         *struct{ Kind, YAML string }
	}
}

func (e *env) cardinality(args ...string) cardinalityJSON {
	e.t.Helper()
	var report cardinalityJSON
	r := e.ok(e.telemetry(append([]string{"report", "cardinality", "--format", "json"}, args...)...))
	assert.NilError(e.t, json.Unmarshal([]byte(r.stdout), &report), "%s", r)
	return report
}

const customers = 700

// shopScript is a service that made the mistake that the report exists for: a counter with the id of a customer in a label.
// Customer i orders i times a second, by the clock at the moment of the scrape, so that their rates are known; and visits as
// often, under a path of its own, of one of three kinds.
func shopScript() string {
	return fmt.Sprintf(`mkdir -p /tmp/www/cgi-bin
cat >/tmp/www/cgi-bin/metrics <<'EOF'
#!/bin/sh
printf 'Content-Type: text/plain\r\n\r\n'
awk 'BEGIN { getline up <"/proc/uptime"; split(up, t, " "); split("users orders carts", kinds, " "); print "# TYPE shop_orders_total counter"
	for (i = 1; i <= %[1]d; i++) printf "shop_orders_total{user_id=\"%%d\",route=\"/cart\"} %%d\n", i*7919+100000, t[1]*i
	print "# TYPE shop_visits_total counter"
	for (i = 1; i <= %[1]d; i++) printf "shop_visits_total{path=\"/%%s/%%d/view\"} %%d\n", kinds[i%%3+1], i*7919+100000, t[1]*i
	print "shop_odd_info{text=\"=1+1 <script>alert(1)</script> | \\\"\\\\\"} 1" }'
EOF
chmod +x /tmp/www/cgi-bin/metrics; exec httpd -f -p 9100 -h /tmp/www`, customers)
}

// shopOverlay adds the shop to the stack, and has the agent scrape it: labels of a container would have every stack on
// the engine do so.
const shopOverlay = `services:
  shop:
    image: %s
    init: true
    command: ["sh", "/shop.sh"]
    networks: [pipeline]
    configs: [{source: shop, target: /shop.sh}]
  agent:
    configs: [{source: agent-shop, target: /etc/vector/shop.yaml}]
configs:
  shop: {file: ./shop.sh}
  agent-shop: {file: ./agent.yaml}
  agent-gate: {file: ./gate.yaml}
`

// requestGate makes a field of the id in a line of JSON, as people do who want to search by it.
const requestGate = `transforms:
  gate:
    type: remap
    inputs: ["logs_*"]
    source: |
      parsed, err = parse_json(string!(.message))
      if err == null && is_object(parsed) {
        o = object!(parsed)
        if is_string(o.request_id) { .request_id = o.request_id }
      }
`

const shopScrape = `sources:
  shop:
    type: prometheus_scrape
    endpoints: ["http://shop:9100/cgi-bin/metrics"]
    scrape_interval_secs: 15
    scrape_timeout_secs: 10
transforms:
  metrics_shop:
    type: remap
    inputs: [shop]
    source: |
      .tags.job = "shop"
      .tags.instance = "shop:9100"
`

func (e *env) shop() (overlay string) {
	e.t.Helper()
	dir := e.t.TempDir()
	for name, content := range map[string]string{"shop.sh": shopScript(), "agent.yaml": shopScrape, "gate.yaml": requestGate, "overlay.yaml": fmt.Sprintf(shopOverlay, busybox)} {
		assert.NilError(e.t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	return filepath.Join(dir, "overlay.yaml")
}

// TestCardinality: the label that does it is the first finding, with the exact number of series, and reading it disturbs nothing.
func TestCardinality(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.up("--no-verify", "-f", e.shop())
	eventually(t, 90*time.Second, func() error { // by the report: a query would read the metric
		r := e.telemetry("report", "cardinality", "--format", "json", "--metric", "shop_orders_total")
		if r.code != 0 || !strings.Contains(r.stdout, fmt.Sprintf(`"series": %d`, customers)) {
			return fmt.Errorf("%s", r)
		}
		return nil
	})
	t.Run("first finding", func(t *testing.T) {
		report := e.cardinality()
		assert.Assert(t, report.Complete)
		first := report.Findings[0]
		assert.Equal(t, first.Code+" "+first.Metric+" "+strings.Join(first.Labels, ","), "DTC001 shop_orders_total user_id")
		assert.Equal(t, first.Saved, customers-1)
		assert.Equal(t, first.Rule.Kind, "aggregation")
	})
	t.Run("nothing is read", func(t *testing.T) {
		for range 3 {
			e.cardinality()
		}
		report := e.cardinality("--metric", "shop_orders_total")
		assert.Assert(t, report.Metrics[0].Reads != nil && *report.Metrics[0].Reads == 0, "a report must not read: %+v", report.Metrics[0])
		// Not at once: the store lists a series some seconds before it finds its first sample. A query that finds none reads none.
		eventually(t, 20*time.Second, func() error { return e.hasSeries("shop_orders_total") })
		report = e.cardinality("--metric", "shop_orders_total")
		assert.Equal(t, *report.Metrics[0].Reads, customers, "a query does")
	})
	t.Run("the store takes each rule", func(t *testing.T) {
		rules := map[string]string{}
		for _, finding := range e.cardinality("--top", "100").Findings {
			if finding.Rule != nil {
				rules[finding.Rule.Kind] += finding.Rule.YAML
			}
		}
		for kind, yaml := range rules {
			e.dryRun(t, kind, yaml)
			t.Logf("%s:\n%s", kind, yaml)
		}
		assert.Equal(t, len(rules), 2)
	})
	t.Run("formats", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "report.csv")
		e.ok(e.telemetry("report", "cardinality", "--format", "csv", "-o", file, "--metric", "shop_odd_info"))
		raw, err := os.ReadFile(file)
		assert.NilError(t, err)
		rows, err := csv.NewReader(strings.NewReader(string(raw))).ReadAll()
		assert.NilError(t, err)
		assert.Assert(t, strings.Contains(string(raw), `'=1+1 <script>`), "%s", raw)
		assert.Assert(t, len(rows) > 3, "%s", raw)
		markdown := e.ok(e.telemetry("report", "cardinality", "--format", "markdown", "--metric", "shop_odd_info")).stdout
		assert.Assert(t, strings.Contains(markdown, `\<script\>`) && !strings.Contains(markdown, "<script>"), markdown)
		table := e.ok(e.telemetry("report", "cardinality")).stdout
		assert.Assert(t, strings.Contains(table, "FINDINGS\n") && strings.Contains(table, "user_id has no end"), table)
	})
	t.Run("gates", func(t *testing.T) {
		e.ok(e.telemetry("report", "cardinality", "--max-series", "1000000"))
		r := e.fails(e.telemetry("report", "cardinality", "--max-series", "10"), 3)
		assert.Assert(t, strings.Contains(r.stderr, "are more than --max-series 10"), "%s", r)
		assert.Assert(t, strings.Contains(r.stdout, "FINDINGS"), "the report is printed all the same")
		r = e.fails(e.telemetry("report", "cardinality", "--metric", "no_such_metric"), 1)
		assert.Assert(t, strings.Contains(r.stderr, `there is no series of "no_such_metric"`), "%s", r)
	})
	t.Run("by its address", func(t *testing.T) {
		password := filepath.Join(t.TempDir(), "password")
		assert.NilError(t, os.WriteFile(password, []byte(e.credentials()["victoriametrics"][1]+"\n"), 0o600))
		address := fmt.Sprintf("https://localhost:%d/victoriametrics", e.port)
		report := e.cardinality("--url", address, "--user", "telemetry", "--password-file", password, "--ca-file", e.authorityFile(),
			"--metric", "shop_orders_total")
		assert.Equal(t, report.Metrics[0].Series, customers)
		r := e.fails(e.telemetry("report", "cardinality", "--url", address, "--ca-file", e.authorityFile()), 4)
		assert.Assert(t, strings.Contains(r.stderr, "answered 401") && strings.Contains(r.stderr, "hint: give the log-in"), "%s", r)
	})
	t.Run("logs", e.logFields)
	t.Run("rules", e.rules)
	t.Run("a fuse", e.fuse)
	t.Run("the store stopped", func(t *testing.T) {
		e.ok(e.telemetry("stop", "victoriametrics"))
		r := e.fails(e.telemetry("report", "cardinality"), 4)
		assert.Assert(t, strings.Contains(r.stderr, "the metrics store cannot be read"), "%s", r)
		assert.Assert(t, r.took < 30*time.Second, "%s", r)
		assert.Equal(t, r.stdout, "")
		e.ok(e.telemetry("stop", "openobserve"))
		r = e.fails(e.telemetry("report", "cardinality", "--source", "logs"), 4)
		assert.Assert(t, strings.Contains(r.stderr, "the store of logs cannot be read"), "%s", r)
		assert.Equal(t, r.stdout, "")
	})
}

// logFields has a container log the id of each request: the field is the first finding, with about so many values as there were.
func (e *env) logFields(t *testing.T) {
	const requests = 3000
	id := e.docker("run", "-d", "--network", "none", busybox, "awk", fmt.Sprintf(
		`BEGIN { for (i = 0; i < %d; i++) printf "{\"msg\":\"order %%d\",\"request_id\":\"%%08x-2b6c-4f0e-9a53-0d4e6f7a8b9c\"}\n", i, i*7919 }`, requests))
	t.Cleanup(func() { e.docker("rm", "-f", id) })
	eventually(t, time.Minute, func() error {
		found, err := e.search("logs", `SELECT count(request_id) AS n FROM "docker"`)
		if err == nil && (len(found) != 1 || found[0]["n"].(float64) < requests) {
			err = fmt.Errorf("%v of %d lines", found, requests)
		}
		return err
	})
	r := e.ok(e.telemetry("report", "cardinality", "--source", "logs", "--since", "1h", "--format", "json"))
	var report struct {
		Complete bool
		Notes    []string
		Findings []struct {
			Code, Stream, Field string
			ValuesEstimate      float64
		}
	}
	assert.NilError(t, json.Unmarshal([]byte(r.stdout), &report))
	assert.Assert(t, report.Complete, "%q", report.Notes)
	first := report.Findings[0]
	assert.Equal(t, first.Code+" "+first.Stream+" "+first.Field, "DTL001 docker request_id", "%+v", report.Findings)
	off := first.ValuesEstimate/requests - 1
	assert.Assert(t, off >= -0.02 && off <= 0.02, "%g values of %d", first.ValuesEstimate, requests)

	file := filepath.Join(t.TempDir(), "logs.html")
	e.ok(e.telemetry("report", "cardinality", "--source", "logs", "--format", "html", "-o", file))
	page, err := os.ReadFile(file)
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(string(page), "<code>request_id</code>"))
	r = e.fails(e.telemetry("report", "cardinality", "--source", "logs", "--max-fields", "3"), 3)
	assert.Assert(t, strings.Contains(r.stderr, "are more than --max-fields 3") && strings.Contains(r.stdout, "FINDINGS"), "%s", r)
}

// applied is what a scenario reads of `rules apply`.
type applied struct {
	Promises []struct {
		Metric                  string
		Before, After, Promised int
		Kept                    bool
		NewBefore, NewAfter     *struct {
			Series              int
			Seconds, PerHour    float64
			Extrapolated, Young bool
		}
	}
}

func (e *env) applyRules(folder string) applied {
	e.t.Helper()
	r := e.ok(e.telemetry("rules", "apply", folder, "--format", "json", "--measure", "15s"))
	var all applied
	assert.NilError(e.t, json.Unmarshal([]byte(r.stdout), &all))
	e.t.Logf("applied and seen to hold after %s\n%s", r.took, r.stdout)
	return all
}

// rules applies what a report proposes: the series are as few as promised, and tell the same; then undoes it.
func (e *env) rules(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "rules")
	r := e.ok(e.telemetry("report", "cardinality", "--fix", "DTC001", "-o", dir))
	assert.Assert(t, strings.Contains(r.stdout, "DTC001-shop_orders_total-user_id.yaml"), "%s", r)
	assert.Assert(t, strings.Contains(r.stdout, "DTC001-shop_visits_total-path.yaml"), "%s", r)
	wanted := float64(customers * (customers + 1) / 2)
	e.rateIs(t, "shop_orders_total", wanted)
	before := e.ids(e.name)

	broken := t.TempDir()
	assert.NilError(t, os.WriteFile(filepath.Join(broken, "bad.yaml"),
		[]byte("code: DTC001\nkind: aggregation\nconfig: |\n  - match: up\n    interval: 30s\n    outputs: [nonsense]\n"), 0o600))
	r = e.fails(e.telemetry("rules", "apply", broken), 1)
	assert.Assert(t, strings.Contains(r.stderr, "error: VictoriaMetrics does not take these rules: ") && strings.Contains(r.stderr, "nonsense"), "%s", r)
	assert.DeepEqual(t, e.ids(e.name), before)

	for i, p := range e.applyRules(dir).Promises {
		want := []string{"shop_orders_total 700 1 1 true", "shop_visits_total 700 3 3 true"}[i]
		assert.Equal(t, fmt.Sprint(p.Metric, " ", p.Before, " ", p.After, " ", p.Promised, " ", p.Kept), want)
		// The shop is younger than an hour, so each of its series was new; with the rules none is.
		assert.Assert(t, p.NewBefore.Young && p.NewBefore.PerHour == customers && !p.NewBefore.Extrapolated, "%+v", p.NewBefore)
		assert.Assert(t, p.NewAfter.Series == 0 && p.NewAfter.Seconds >= 15 && p.NewAfter.Extrapolated, "%+v", p.NewAfter)
	}
	after := e.ids(e.name)
	for container, id := range before {
		assert.Equal(t, id == after[container], container != e.name+"-victoriametrics-1", "only the component concerned: %s", container)
	}
	e.rateIs(t, "shop_orders_total", wanted)
	e.rateIs(t, "shop_visits_total", wanted)
	found, err := e.metrics(`last_over_time(shop_visits_total{path="/users/{id}/view"}[1m])`)
	assert.NilError(t, err)
	assert.Equal(t, len(found), 1)
	assert.Assert(t, strings.Contains(e.ok(e.telemetry("rules", "ls")).stdout, "DTC001-shop_orders_total-user_id"))
	assert.Assert(t, strings.Contains(e.ok(e.telemetry("config")).stdout, "shop_orders_total"), "it is part of the project")
	e.up("--no-verify")
	assert.DeepEqual(t, e.ids(e.name), after)

	e.ok(e.telemetry("rules", "undo", "DTC001-shop_orders_total-user_id"))
	e.allLive(t, "shop_orders_total")
	e.ok(e.telemetry("rules", "undo", "--all"))
	e.allLive(t, "shop_visits_total")
	assert.Equal(t, e.ok(e.telemetry("rules", "ls")).stdout, "")
}

// fuse lets fewer values of a label pass than come: what is left is whole, what is lost is counted, and the agent alone is
// brought up anew.
func (e *env) fuse(t *testing.T) {
	const most = 15
	dir := filepath.Join(t.TempDir(), "rules")
	e.ok(e.telemetry("report", "cardinality", "--fix", "DTC001", "--fuse", strconv.Itoa(most), "-o", dir, "--metric", "shop_orders_total"))
	assert.NilError(t, os.Remove(filepath.Join(dir, "DTC001-shop_orders_total-user_id.yaml")))
	before := e.ids(e.name)
	fuse := filepath.Join(dir, "DTC001-shop_orders_total-user_id-fuse.yaml")
	raw, err := os.ReadFile(fuse)
	assert.NilError(t, err)
	for old, want := range map[string]string{
		"drop_event": `unknown variant "drop"`, "expected_event_count: 2": "expected 3 events",
	} {
		broken := t.TempDir()
		text := strings.Replace(string(raw), old, map[string]string{"drop_event": "drop", "expected_event_count: 2": "expected_event_count: 3"}[old], 1)
		assert.NilError(t, os.WriteFile(filepath.Join(broken, "fuse.yaml"), []byte(text), 0o600))
		r := e.fails(e.telemetry("rules", "apply", broken), 1)
		assert.Assert(t, strings.Contains(r.stderr, "error: the agent does not take these rules: ") && strings.Contains(r.stderr, want), "%s", r)
	}
	assert.DeepEqual(t, e.ids(e.name), before)

	promise := e.applyRules(dir).Promises[0]
	// The one more is the sum that the rules before stored, which has no such label.
	assert.Assert(t, promise.Kept && promise.After == most && promise.Promised == most+1, "%+v", promise)
	assert.Equal(t, promise.NewAfter.Series, 0)
	after := e.ids(e.name)
	for container, id := range before {
		assert.Equal(t, id == after[container], container != e.name+"-agent-1", "only the component concerned: %s", container)
	}
	eventually(t, time.Minute, func() error {
		return e.hasSeries(`vector_component_discarded_events_total{component_id="rule_DTC001-shop_orders_total-user_id-fuse",intentional="true"}`)
	})
	e.allLive(t, "shop_visits_total")
	e.ok(e.telemetry("rules", "undo", "--all"))
	e.allLive(t, "shop_orders_total")
}

// allLive waits until each customer's series of a metric gets samples.
func (e *env) allLive(t *testing.T, metric string) {
	t.Helper()
	eventually(t, time.Minute, func() error {
		found, err := e.metrics(fmt.Sprintf("count(last_over_time(%s[30s])) >= %d", metric, customers))
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("%s has not %d series", metric, customers)
		}
		return err
	})
}

// rateIs waits until the orders of a minute and a half have a sum of rates within 1 % of what is wanted.
func (e *env) rateIs(t *testing.T, metric string, wanted float64) {
	t.Helper()
	eventually(t, 4*time.Minute, func() error {
		found, err := e.metrics(fmt.Sprintf("abs(sum(rate(%s[90s])) / %g - 1) < 0.01", metric, wanted))
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("the sum of the rates is not within 1 %% of %g", wanted)
		}
		return err
	})
}

// dryRun has the store's own program check a rule.
func (e *env) dryRun(t *testing.T, kind, yaml string) {
	t.Helper()
	flag := map[string]string{"aggregation": "-streamAggr.config", "relabeling": "-relabelConfig"}[kind]
	cmd := e.command(t.Context(), "docker", "run", "--rm", "-i", "--network", "none", "--entrypoint", "sh", "victoriametrics/victoria-metrics:v1.145.0",
		"-c", `cat >/tmp/rule.yaml; exec /victoria-metrics-prod -dryRun `+flag+`=/tmp/rule.yaml`)
	cmd.Stdin = strings.NewReader(yaml)
	out, err := cmd.CombinedOutput()
	assert.NilError(t, err, "%s\n%s", yaml, out)
}
