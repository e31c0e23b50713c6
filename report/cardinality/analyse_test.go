package cardinality_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
	webpage "github.com/docker-telemetry/docker-telemetry/report/cardinality/page"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// store is a Store in memory that notes in which order it is asked.
type store struct {
	series  []series
	usage   map[string]uint64
	since   time.Time
	queries map[string]uint64
	types   map[string]string
	self    map[string]float64 // by a part of the expression
	days    map[string]map[string]uint64
	partial bool
	counted uint64           // series that it says it has of each metric, beside those it has
	fail    map[string]error // by what is asked
	listed  victoriametrics.SeriesRequest
	mu      sync.Mutex
	asked   []string
}

func now() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

func (s *store) ask(what string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, what)
	return s.fail[what]
}

func (s *store) Usage(context.Context) (victoriametrics.Usage, error) {
	usage := victoriametrics.Usage{Since: s.since, Metrics: map[string]victoriametrics.MetricUsage{}}
	for name, requests := range s.usage {
		usage.Metrics[name] = victoriametrics.MetricUsage{Requests: requests}
	}
	return usage, s.ask("usage")
}

func (s *store) RecentQueries(context.Context) (map[string]uint64, error) {
	return s.queries, s.ask("queries")
}

func (s *store) Types(context.Context) (map[string]string, error) { return s.types, s.ask("types") }

func (s *store) Status(_ context.Context, request victoriametrics.StatusRequest) (victoriametrics.TSDBStatus, error) {
	if err := s.ask("status"); err != nil {
		return victoriametrics.TSDBStatus{}, err
	}
	var status victoriametrics.TSDBStatus
	add := func(list *[]victoriametrics.Count, name string, value uint64) {
		*list = append(*list, victoriametrics.Count{Name: name, Value: value})
	}
	if day := request.Date.Format(time.DateOnly); day != now().Format(time.DateOnly) {
		for name, value := range s.days[day] {
			status.Series += value
			add(&status.ByMetric, name, value)
		}
		return status, nil
	}
	metrics, labels, values, focus := map[string]uint64{}, map[string]uint64{}, map[string]map[string]bool{}, map[string]uint64{}
	for _, one := range s.series {
		status.Series++
		metrics[one["__name__"]]++
		for name, value := range one {
			labels[name]++
			if values[name] == nil {
				values[name] = map[string]bool{}
			}
			values[name][value] = true
			if name == request.Focus {
				focus[value]++
			}
		}
	}
	for _, name := range keys(metrics) {
		add(&status.ByMetric, name, metrics[name]+s.counted)
		status.Series += s.counted
	}
	slices.SortStableFunc(status.ByMetric, func(a, b victoriametrics.Count) int { return int(b.Value) - int(a.Value) })
	for _, name := range keys(labels) {
		status.LabelValuePairs += labels[name]
		add(&status.ByLabel, name, labels[name])
		add(&status.ValuesByLabel, name, uint64(len(values[name])))
	}
	for _, name := range keys(focus) {
		add(&status.ByFocus, name, focus[name])
	}
	return status, nil
}

func keys[T any](of map[string]T) []string {
	var names []string
	for name := range of {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (s *store) Series(
	_ context.Context, request victoriametrics.SeriesRequest, yield func([]victoriametrics.Label) error,
) (victoriametrics.Stream, error) {
	s.listed = request
	sorted := slices.Clone(s.series)
	slices.SortStableFunc(sorted, func(a, b series) int { return strings.Compare(a["__name__"], b["__name__"]) })
	for _, one := range sorted {
		if err := yield(one.labels()); err != nil {
			return victoriametrics.Stream{}, err
		}
	}
	return victoriametrics.Stream{Series: int64(len(sorted)), Partial: s.partial}, s.ask("series")
}

func (s *store) Query(_ context.Context, expression string) ([]victoriametrics.Sample, error) {
	if err := s.ask("query"); err != nil {
		return nil, err
	}
	for part, value := range s.self {
		if strings.Contains(expression, part) {
			return []victoriametrics.Sample{{Value: value}}, nil
		}
	}
	return nil, nil
}

// shop is a store with one of each that can be found.
func shop() *store {
	s := &store{
		since: now().AddDate(0, 0, -9), usage: map[string]uint64{"orders_total": 4},
		queries: map[string]uint64{`sum(rate(orders_total{user_id="7"}[5m]))`: 2},
		types:   map[string]string{"depth": "gauge", "latency_seconds": "histogram"},
		self: map[string]float64{
			"hour_metric_ids": 2000, "[1h]": 50, "[1d]": 2500, "vm_rows_added": 100, "indexdb": 1 << 20,
			"hourly_series_limit_current": 900, "hourly_series_limit_max": 1000,
			"daily_series_limit_current": 100, "daily_series_limit_max": 1000,
		},
		days: map[string]map[string]uint64{"2026-11-24": {"orders_total": 300, "depth": 5}, "2026-11-23": {"orders_total": 100, "depth": 5}},
	}
	add := func(name string, labels ...string) {
		one := series{"__name__": name, "job": "shop", "instance": "shop:9100", "region": "eu"}
		for i := 0; i < len(labels); i += 2 {
			one[labels[i]] = labels[i+1]
		}
		s.series = append(s.series, one)
	}
	for i := range 400 {
		add("orders_total", "user_id", strconv.Itoa(100_000+7919*i), "route", []string{"/cart", "/pay"}[i%2])
		add("mails_total", "to", fmt.Sprintf("u%d@example.com", i))
		add("depth", "container_id", fmt.Sprintf("%012x", 0xabcdef012345+i), "pod", fmt.Sprintf("pod-%d", i))
		add("visits_total", "path", fmt.Sprintf("/%s/%d/cart", []string{"users", "guests", "v2/bots", "shops"}[i%4], i), "code", strconv.Itoa(200+i%2))
		add("unread", "n", fmt.Sprintf("name-%c%c", 'a'+i%20, 'a'+i/20))
	}
	for i := range 300 {
		add("latency_seconds_bucket", "le", strconv.Itoa(i%30), "route", fmt.Sprintf("/r%d", i/30))
	}
	return s
}

func reportOf(t testing.TB, s *store, options cardinality.Options) cardinality.Report {
	t.Helper()
	collected, err := cardinality.Collect(t.Context(), s, cardinality.Request{Now: now(), Top: 10, Samples: 5})
	assert.NilError(t, err)
	if options.Top == 0 {
		options.Top = 10
	}
	return cardinality.Analyse(collected, options)
}

func findingOf(r cardinality.Report, code, metric string) *cardinality.Finding {
	for i := range r.Findings {
		if r.Findings[i].Code == code && r.Findings[i].Metric == metric {
			return &r.Findings[i]
		}
	}
	return nil
}

func TestFindings(t *testing.T) {
	report := reportOf(t, shop(), cardinality.Options{})
	for _, tc := range []struct {
		code, metric string
		saved        int
		labels       string
		rule         string // a part of it
	}{
		{cardinality.UnboundedLabel, "orders_total", 398, "user_id", "outputs: [total]"},
		{cardinality.UnboundedLabel, "visits_total", 396, "path", "replacement: \"{id}\""},
		{cardinality.PersonalData, "mails_total", 399, "to", "outputs: [total]"},
		{cardinality.RepeatedPair, "depth", 399, "container_id pod", "outputs: [sum_samples]"},
		{cardinality.NeverRead, "unread", 400, "", "action: drop"},
		{cardinality.WideHistogram, "latency_seconds_bucket", 150, "le", ""},
		{cardinality.RepeatedLabel, "depth", 0, "pod container_id", "action: labeldrop"},
		{cardinality.ConstantLabel, "", 0, "region", "action: labeldrop"},
		{cardinality.Churning, "", 0, "", ""},
		{cardinality.NearLimit, "", 0, "", ""},
	} {
		found := findingOf(report, tc.code, tc.metric)
		assert.Assert(t, found != nil, "%s %s in %+v", tc.code, tc.metric, report.Findings)
		assert.Equal(t, found.Saved, tc.saved, "%+v", found)
		assert.Equal(t, strings.Join(found.Labels, " "), tc.labels)
		if tc.rule == "" {
			assert.Assert(t, found.Rule == nil, "%+v", found)
			continue
		}
		assert.Assert(t, found.Rule != nil && strings.Contains(found.Rule.YAML, tc.rule), "%+v", found)
		var entries []map[string]any
		assert.NilError(t, yaml.Unmarshal([]byte(found.Rule.YAML), &entries))
		assert.Equal(t, len(entries), 1)
	}
	assert.Equal(t, findingOf(report, cardinality.UnboundedLabel, "visits_total").Title,
		"path has no end, 400 values so far: with {id} for each id in them 4 values and 4 of 400 series are left")
	assert.Assert(t, !findingOf(report, cardinality.WideHistogram, "latency_seconds_bucket").Bound)
	assert.Assert(t, findingOf(report, cardinality.RepeatedPair, "orders_total") == nil, "it saves one series more than user_id alone")
	assert.DeepEqual(t, findingOf(report, cardinality.UnboundedLabel, "orders_total").Lost, []string{`query sum(rate(orders_total{user_id="7"}[5m]))`})
	for i := range report.Findings[1:] {
		assert.Assert(t, report.Findings[i].Saved >= report.Findings[i+1].Saved)
	}
	for _, finding := range report.Findings {
		_, err := os.Stat("../../docs/findings/" + finding.Code + ".md")
		assert.NilError(t, err)
		for _, label := range finding.Labels {
			assert.Assert(t, label != "job" && label != "instance", "%+v", finding)
		}
	}
}

func TestEachCodeHasItsPage(t *testing.T) {
	for _, code := range cardinality.Codes() {
		raw, err := os.ReadFile("../../docs/findings/" + code + ".md")
		assert.NilError(t, err)
		assert.Assert(t, strings.HasPrefix(string(raw), "# "+code+": "))
	}
}

// A store of an hour's age cannot say that nobody reads something.
func TestItIsTooEarlyToCallAMetricUnread(t *testing.T) {
	s := shop()
	s.since = now().Add(-time.Hour)
	report := reportOf(t, s, cardinality.Options{})
	assert.Assert(t, findingOf(report, cardinality.NeverRead, "unread") == nil)
	assert.Equal(t, len(reportOf(t, s, cardinality.Options{Unused: true}).Metrics), 5)
}

func TestAllIsNewOnTheFirstDay(t *testing.T) {
	s := shop()
	s.days = nil
	assert.Assert(t, findingOf(reportOf(t, s, cardinality.Options{}), cardinality.Churning, "") == nil)
}

// What queries have read must be known before the first query of the report's own.
func TestUsageIsReadFirst(t *testing.T) {
	s := shop()
	reportOf(t, s, cardinality.Options{})
	assert.Equal(t, s.asked[0], "usage")
	assert.Assert(t, slices.Index(s.asked, "series") < slices.Index(s.asked, "query"))
}

func TestUses(t *testing.T) {
	uses := &cardinality.Uses{}
	unread, err := cardinality.ReadUses(fstest.MapFS{
		"a/board.json": {Data: []byte(`{"title":"Shop","templating":{"list":[{"name":"n","query":{"query":"label_values(unread, n)"}}]},
			"panels":[{"title":"row","panels":[{"title":"Depth","targets":[{"expr":"max by (pod) (depth{job=~\"$job\"}[$__rate_interval])"}]}]}]}`)},
		"api.json":    {Data: []byte(`{"dashboard":{"title":"Wrapped","panels":[{"title":"M","targets":[{"expr":"rate(mails_total[${window}])"}]}]}}`)},
		"rules.yml":   {Data: []byte("groups: [{name: g, rules: [{alert: Slow, expr: 'sum by (le) (latency_seconds_bucket) > 1'}]}]")},
		"broken.json": {Data: []byte(`{`)},
		"odd.yaml":    {Data: []byte("groups: [{rules: [{alert: Odd, expr: 'sum(('}]}]")},
		"readme.txt":  {Data: []byte("no rules")},
	}, uses)
	assert.NilError(t, err)
	assert.Equal(t, len(unread), 2, "%q", unread)
	assert.DeepEqual(t, uses.Naming("depth", "pod"), []string{"dashboard Shop, panel Depth"})
	assert.DeepEqual(t, uses.Of("mails_total"), []string{"dashboard Wrapped, panel M"})
	assert.DeepEqual(t, uses.Of("latency_seconds_bucket"), []string{"rule Slow"})
	report := reportOf(t, shop(), cardinality.Options{Uses: uses})
	assert.Assert(t, findingOf(report, cardinality.NeverRead, "unread") == nil, "a dashboard's variable reads it")
	assert.DeepEqual(t, findingOf(report, cardinality.RepeatedPair, "depth").Lost, []string{"dashboard Shop, panel Depth"})
}

func TestComparison(t *testing.T) {
	report := reportOf(t, shop(), cardinality.Options{})
	at := slices.IndexFunc(report.Metrics, func(m cardinality.Metric) bool { return m.Name == "orders_total" })
	assert.Equal(t, *report.Metrics[at].Before, 100)
	assert.Equal(t, *report.Metrics[at].Now, 300)

	collected, err := cardinality.Collect(t.Context(), shop(), cardinality.Request{Now: now().Add(-25 * time.Hour), Top: 1})
	assert.NilError(t, err)
	early := cardinality.Take(collected)
	early.Metric["orders_total"] = 250
	history := cardinality.History(nil).Add(early)
	raw, err := history.Encode()
	assert.NilError(t, err)
	history, err = cardinality.DecodeHistory(raw)
	assert.NilError(t, err)
	assert.Assert(t, history.Before(now(), 48*time.Hour, nil) == nil)
	assert.Assert(t, history.Before(now(), 24*time.Hour, []string{"other"}) == nil)
	report = reportOf(t, shop(), cardinality.Options{Before: history.Before(now(), 24*time.Hour, nil)})
	assert.Equal(t, *report.Metrics[at].Before, 250)
	assert.Equal(t, *report.Metrics[at].Now, 400)
}

func TestHistoryIsBounded(t *testing.T) {
	var history cardinality.History
	for i := range 1000 {
		history = history.Add(cardinality.Snapshot{At: now().Add(time.Duration(i) * time.Minute), Metric: map[string]int{}})
	}
	assert.Equal(t, len(history), 100)
	assert.Equal(t, history[99].At.Sub(history[98].At), 10*time.Minute)
	_, err := cardinality.DecodeHistory([]byte("no gzip"))
	assert.ErrorContains(t, err, "history of reports")
}

func TestWhatAStoreCannotTellIsSaid(t *testing.T) {
	missing := &victoriametrics.StatusError{Status: http.StatusNotFound, Path: "/api/v1/status/metric_names_stats"}
	s := shop()
	s.fail = map[string]error{"usage": missing, "queries": missing, "types": missing, "status": errors.New("too slow"), "query": missing}
	report := reportOf(t, s, cardinality.Options{})
	assert.Equal(t, len(report.Notes), 5, "%q", report.Notes)
	assert.Assert(t, slices.Contains(report.Notes, "what queries have read: this store does not tell"))
	assert.Assert(t, slices.Contains(report.Notes, "the counts of the day: too slow"))
	assert.Equal(t, report.Summary.Series, 2300)
	assert.Assert(t, findingOf(report, cardinality.NeverRead, "unread") == nil)

	s.fail["series"] = &victoriametrics.StatusError{Status: http.StatusUnprocessableEntity, Message: "the number of matching timeseries exceeds 30000; ..."}
	_, err := cardinality.Collect(t.Context(), s, cardinality.Request{Now: now(), Top: 10})
	var hinted interface{ Hint() string }
	assert.Assert(t, errors.As(err, &hinted) && strings.Contains(hinted.Hint(), "--match"), "%v", err)
}

// Before version 1.113 VictoriaMetrics did not note what is read.
func TestOldVictoriaMetricsIsNoOtherStore(t *testing.T) {
	s := shop()
	s.fail = map[string]error{"usage": &victoriametrics.StatusError{Status: http.StatusNotFound, Path: "/api/v1/status/metric_names_stats"}}
	report := reportOf(t, s, cardinality.Options{})
	assert.DeepEqual(t, report.Notes, []string{"what queries have read: this store does not tell"})
	assert.Assert(t, !report.Exactly)
	assert.Assert(t, report.Summary.ActiveSeries != nil && report.Summary.SeriesYesterday != nil)
}

// A large store would hold and sort all of its series for one request.
func TestLargeStoreIsAskedInPortions(t *testing.T) {
	s := shop()
	ask := func(match ...string) victoriametrics.SeriesRequest {
		_, err := cardinality.Collect(t.Context(), s, cardinality.Request{Now: now(), Top: 10, Match: match})
		assert.NilError(t, err)
		return s.listed
	}
	assert.Assert(t, ask().Size == nil, "a small one")
	s.counted = 2_000_000
	size := ask().Size
	assert.Assert(t, size != nil && size("requests_total") > s.counted && size("not listed") >= s.counted)
	assert.Assert(t, ask(`{job="shop"}`).Size == nil, "the store refuses to look for the names of so many")
	s.fail = map[string]error{"status": errors.New("too slow")}
	assert.Assert(t, ask().Size == nil, "not known to be large")
}

func TestEmptyStore(t *testing.T) {
	report := reportOf(t, &store{}, cardinality.Options{})
	var out strings.Builder
	render.Document(&out, report.Document())
	golden.Assert(t, out.String(), "empty.txt")
}

func TestFormats(t *testing.T) {
	s := shop()
	s.partial = true
	// What a store may hold, and a terminal, a spreadsheet or a page must not obey.
	for _, value := range []string{"\x1b[31mred", "=1+1", "<script>alert(1)</script>", "a|b`c`", "\u202egnp.exe", "line\r\nnext", "\xff"} {
		s.series = append(s.series, series{"__name__": "hostile", "value": value, "job": "shop"})
	}
	report := reportOf(t, s, cardinality.Options{})
	var text, markdown, csv, object strings.Builder
	render.Document(&text, report.Document())
	render.Markdown(&markdown, report.Document())
	assert.NilError(t, render.CSV(&csv, report.Document().Flat))
	assert.NilError(t, render.JSON(&object, report))
	golden.Assert(t, text.String(), "report.txt")
	golden.Assert(t, markdown.String(), "report.md")
	golden.Assert(t, csv.String(), "report.csv")
	golden.Assert(t, object.String(), "report.json")
	for _, written := range []string{text.String(), markdown.String(), csv.String()} {
		assert.Assert(t, !strings.ContainsAny(written, "\x1b\u202e\r"))
	}
	assert.Assert(t, !strings.Contains(markdown.String(), "<script>"))
	assert.Assert(t, !strings.Contains(csv.String(), ",=1"))
}

func TestJSONHoldsToItsSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../../docs/schema/cardinality.json")
	assert.NilError(t, err)
	unable, missing := errors.New("no"), &victoriametrics.StatusError{Status: http.StatusNotFound}
	for name, s := range map[string]*store{
		"shop": shop(), "empty": {},
		"unable": {fail: map[string]error{"usage": missing, "queries": unable, "types": unable, "status": unable, "query": unable}},
	} {
		raw, err := json.Marshal(reportOf(t, s, cardinality.Options{}))
		assert.NilError(t, err)
		var value any
		assert.NilError(t, json.Unmarshal(raw, &value))
		assert.NilError(t, schema.Validate(value), name)
	}
}

// Reports are pasted into tickets: what they show of values is masked, in each format.
func TestSamplesAreMasked(t *testing.T) {
	counter := cardinality.Counter{Samples: 5}
	for i := range 3 {
		assert.NilError(t, counter.Add(series{
			"__name__": "logins_total", "to": fmt.Sprintf("ann%d@example.org", i), "client": fmt.Sprintf("203.0.113.%d", i), "session_token": fmt.Sprintf("s3cret%d", i),
			"dsn": fmt.Sprintf("postgres://me:hunter%d@db/shop", i), "instance": fmt.Sprintf("192.0.2.%d:9100", i), "plan": fmt.Sprintf("p%d", i),
		}.labels()))
	}
	metrics, _ := counter.Finish()
	report := cardinality.Analyse(cardinality.Collected{
		Request: cardinality.Request{Now: now()}, Metrics: metrics,
		Queries: map[string]uint64{`logins_total{to="ann7@example.org"}`: 1},
		Day: &victoriametrics.TSDBStatus{ByPair: []victoriametrics.Count{
			{Name: "to=ann8@example.org", Value: 2}, {Name: "session_token=s3cret8", Value: 1}, {Name: "plan=p1", Value: 1}, {Name: "instance=192.0.2.1:9100", Value: 1},
		}},
	}, cardinality.Options{Top: 10})
	shown := map[string][]string{}
	for _, label := range report.Metrics[0].Labels {
		shown[label.Name] = label.Samples
	}
	assert.DeepEqual(t, shown, map[string][]string{
		"to": {"[e-mail]"}, "client": {"[ip]"}, "session_token": {"[secret]"}, "dsn": {"postgres://[secret]@db/shop"},
		"instance": {"192.0.2.0:9100", "192.0.2.1:9100", "192.0.2.2:9100"}, "plan": {"p0", "p1", "p2"},
	})
	var pairs []string
	for _, pair := range report.LabelPairs {
		pairs = append(pairs, pair.Name)
	}
	assert.DeepEqual(t, pairs, []string{"to=[e-mail]", "session_token=[secret]", "plan=p1", "instance=192.0.2.1:9100"})
	object, err := json.Marshal(report)
	assert.NilError(t, err)
	var sheet, table, marked, web bytes.Buffer
	render.Document(&table, report.Document())
	render.Markdown(&marked, report.Document())
	assert.NilError(t, render.CSV(&sheet, report.Document().Flat))
	assert.NilError(t, webpage.Write(&web, report, nil))
	for _, written := range []string{string(object), table.String(), marked.String(), sheet.String(), web.String()} {
		for _, secret := range []string{"ann", "203.0.113", "s3cret", "hunter"} {
			assert.Assert(t, !strings.Contains(written, secret), "%s in %s", secret, written)
		}
	}
}
