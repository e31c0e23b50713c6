package dashboards

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metricsql"
	"gotest.tools/v3/assert"
)

const root = "../.."

// What a healthy stack may lack: counters that start with the first failure, and what OpenObserve
// only knows after it has written its first file. Only these may fall back to zero.
var mayBeMissing = regexp.MustCompile(`_errors_total\{job=~?"vector-|_discarded_events_total|http_client_errors_total|` +
	`zo_ingest_errors|zo_storage_|zo_ingest_wal_used_bytes|status!~|> 0 or on\(\)|` +
	// Of the collector: signals that nobody has sent yet, and failures. Block I/O: some kernels count none.
	`otelcol_[a-z_]+_(?:log_records|spans)|otelcol_(?:receiver_refused|exporter_send_failed|exporter_enqueue_failed)|` +
	`otelcol_receiver_\(\?:refused|container_blockio_|` +
	// A broker need not have queues.
	`rabbitmq_detailed_queue_`)

func TestCommittedFilesAreCurrent(t *testing.T) {
	want := map[string]int{}
	for _, d := range All() {
		dir := filepath.Join(root, filepath.FromSlash(d.Folder()))
		want[dir]++
		content, err := d.JSON()
		assert.NilError(t, err)
		committed, err := os.ReadFile(filepath.Join(dir, d.FileName()))
		assert.NilError(t, err, "run: go run ./hack/dashgen")
		assert.Assert(t, bytes.Equal(committed, content), "%s is not what the generator makes; run: go run ./hack/dashgen", d.FileName())
	}
	for dir, count := range want {
		files, err := filepath.Glob(filepath.Join(dir, "*.json"))
		assert.NilError(t, err)
		assert.Equal(t, len(files), count, "files without a dashboard in %s; run: go run ./hack/dashgen", dir)
	}
}

func TestDashboards(t *testing.T) {
	uids := map[string]bool{}
	for _, d := range All() {
		t.Run(d.UID, func(t *testing.T) {
			assert.Assert(t, !uids[d.UID], "uid is used twice")
			uids[d.UID] = true
			assert.Assert(t, len(d.UID) <= 40, "Grafana refuses longer uids")
			assert.Assert(t, !d.Editable)
			assert.DeepEqual(t, d.Tags, []string{"docker-telemetry"})
			assert.DeepEqual(t, d.Links[0].Tags, d.Tags)
			assert.Equal(t, d.Refresh, "15s")
			content, err := d.JSON()
			assert.NilError(t, err)
			// The bundle's files are templates with these delimiters.
			assert.Assert(t, !bytes.Contains(content, []byte("[[")), "a template action in the JSON")
			assert.Assert(t, !bytes.Contains(content, []byte("${DS_")), "an import-only data source")
			checkPanels(t, d.Panels)
		})
	}
}

func checkPanels(t *testing.T, panels []Panel) {
	t.Helper()
	ids, titles, cells := map[int]bool{}, map[string]bool{}, map[[2]int]string{}
	for _, p := range panels {
		assert.Assert(t, !ids[p.ID], "id %d is used twice", p.ID)
		ids[p.ID] = true
		assert.Assert(t, p.Title != "")
		// A stat and the graph of the same figure may share a title.
		assert.Assert(t, p.Type == "stat" || !titles[p.Title], "title %q is used twice", p.Title)
		titles[p.Title] = p.Type != "stat"
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				assert.Assert(t, x < gridWidth, "%q sticks out of the grid", p.Title)
				assert.Equal(t, cells[[2]int{x, y}], "", "%q covers another panel", p.Title)
				cells[[2]int{x, y}] = p.Title
			}
		}
		for _, target := range p.Targets {
			assert.DeepEqual(t, target.Datasource, datasource{Type: "prometheus", UID: "victoriametrics"})
			assert.Assert(t, target.Instant != target.Range)
		}
	}
}

func TestQueriesParse(t *testing.T) {
	for _, query := range allQueries(t) {
		_, err := metricsql.Parse(query.Expr)
		assert.NilError(t, err, "%s %s: %s", query.Panel, query.RefID, query.Expr)
	}
}

// A query that names a job or a component which the bundle does not have can only stay empty.
func TestQueriesNameWhatTheBundleHas(t *testing.T) {
	bundle := bundleText(t)
	components := names(bundle, `(?m)^  ([a-z_]+):$`)
	jobs := append(names(bundle, `\.tags\.job = "([^"]+)"`), "victoriametrics")
	jobs = append(jobs, names(bundle, `\{key: job, value: ([^,]+),`)...)

	used := map[string]bool{}
	for _, query := range allQueries(t) {
		expr, err := metricsql.Parse(query.Expr)
		assert.NilError(t, err)
		metricsql.VisitAll(expr, func(e metricsql.Expr) {
			m, ok := e.(*metricsql.MetricExpr)
			if !ok {
				return
			}
			for _, filters := range m.LabelFilterss {
				hasJob := false
				for _, f := range filters {
					switch f.Label {
					case "job":
						hasJob = true
						for job := range strings.SplitSeq(f.Value, "|") {
							used[job] = true
							assert.Assert(t, slices.Contains(jobs, job), "%s: no job %q in the bundle", query.Panel, job)
						}
					case "component_id":
						for component := range strings.SplitSeq(f.Value, "|") {
							assert.Assert(t, slices.Contains(components, component), "%s: no component %q in the bundle", query.Panel, component)
						}
					}
				}
				assert.Assert(t, hasJob, "%s: a selector without job: %s", query.Panel, query.Expr)
			}
		})
	}
	for _, job := range jobs {
		assert.Assert(t, used[job], "job %q is collected and shown nowhere", job)
	}
}

func TestZeroFallbacks(t *testing.T) {
	for _, query := range allQueries(t) {
		falls := strings.Contains(query.Expr, "vector(0)")
		assert.Equal(t, falls, mayBeMissing.MatchString(query.Expr),
			"%s %s: a fallback to zero belongs on counters of failures, and there always: %s", query.Panel, query.RefID, query.Expr)
	}
}

func TestPanelVersionIsThePinnedGrafana(t *testing.T) {
	env, err := os.ReadFile(filepath.Join(root, "stack/bundle/images.env"))
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(string(env), "\nGRAFANA_IMAGE=grafana/grafana:"+grafanaVersion+"\n"),
		"set grafanaVersion to the tag in images.env and run: go run ./hack/dashgen")
}

func TestQueriesRefuse(t *testing.T) {
	for name, tc := range map[string]struct{ json, want string }{
		"not JSON":           {`{`, "decode dashboard"},
		"a user's variable":  {`{"panels":[{"title":"P","targets":[{"refId":"A","expr":"up{job=\"$job\"}"}]}]}`, `panel "P", query A: variable without a value`},
		"in a collapsed row": {`{"panels":[{"panels":[{"title":"P","targets":[{"refId":"B","expr":"up[$range]"}]}]}]}`, `panel "P", query B`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Queries([]byte(tc.json))
			assert.ErrorContains(t, err, tc.want)
		})
	}
}

func TestQueriesReplaceIntervals(t *testing.T) {
	got, err := Queries([]byte(`{"panels":[{"title":"P","targets":[
		{"refId":"A","expr":"rate(x[$__rate_interval])","range":true},
		{"refId":"B","expr":"increase(x[$__range]) / delta(x[$__interval])","instant":true}]}]}`))
	assert.NilError(t, err)
	assert.DeepEqual(t, got, []Query{
		{Panel: "P", RefID: "A", Expr: "rate(x[1m])"},
		{Panel: "P", RefID: "B", Expr: "increase(x[30m]) / delta(x[15s])", Instant: true},
	})
}

func allQueries(t *testing.T) []Query {
	t.Helper()
	var out []Query
	for _, d := range All() {
		content, err := d.JSON()
		assert.NilError(t, err)
		queries, err := Queries(content)
		assert.NilError(t, err)
		assert.Assert(t, len(queries) > 10, "%s: only %d queries", d.UID, len(queries))
		out = append(out, queries...)
	}
	return out
}

func bundleText(t *testing.T) string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"stack/bundle/config/ag*/*.yaml", "profiles/*/config/ag*/*.yaml", "profiles/*/config/collector/docker.yaml", "profiles/mongodb/config/collector/*.yaml"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		assert.NilError(t, err)
		files = append(files, found...)
	}
	var b strings.Builder
	for _, f := range files {
		if strings.Contains(filepath.ToSlash(f), "profiles/template/") {
			continue // what a user begins a profile of their own with
		}
		content, err := os.ReadFile(f)
		assert.NilError(t, err)
		b.Write(content)
	}
	return b.String()
}

func names(text, pattern string) []string {
	var out []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}
