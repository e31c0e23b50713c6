package page

import (
	"fmt"
	"strconv"
	"time"

	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
	"github.com/docker-telemetry/docker-telemetry/report/rules"
	"github.com/docker-telemetry/docker-telemetry/report/shape"
)

func testTime() time.Time { return time.Date(2026, 3, 14, 9, 26, 0, 0, time.UTC) }

func pointer[T any](value T) *T { return &value }

// small has one of everything.
func small() cardinality.Report {
	at := testTime()
	return cardinality.Report{
		SchemaVersion: cardinality.SchemaVersion, At: at, From: at.Add(-time.Hour), To: at,
		Match: []string{`{job="shop"}`}, Complete: true, Notes: []string{"the types of metrics: this store does not tell"},
		Summary: cardinality.Summary{
			Series: 1200, Metrics: 2, TopTenShare: 1, ActiveSeries: pointer(1100.0), SeriesYesterday: pointer(1000),
			SeriesDayBefore: pointer(900), LabelPairs: pointer(5000), NewPerHour: pointer(10.0), NewPerDay: pointer(550.0),
			Churn: pointer(0.5), SamplesPerSecond: pointer(80.0), IndexBytes: pointer(2.5e6),
			Limits:     []cardinality.Limit{{Per: "day", Series: 1200, Most: 2000}},
			UsageSince: pointer(at.AddDate(0, 0, -10)),
		},
		Metrics: []cardinality.Metric{
			{
				Name: "http_requests_total", Type: cardinality.TypeCounter, Series: 1000, Share: 1000.0 / 1200, Before: pointer(900),
				Now: pointer(1000), Jobs: []string{"shop"}, SamplesPerSecond: pointer(66.7), Reads: pointer(uint64(3)),
				LastRead: pointer(at.Add(-time.Hour)), UsedBy: []string{"dashboard shop.json, panel Requests"},
				Labels: []cardinality.Label{
					{
						Name: "session", Series: 1000, Values: 500, Left: 2, Saved: 998, Shape: shape.UUID,
						Samples: []string{"0195a8f2-0c1e-7d3b-9f40-6a1b2c3d4e5f", "", "c", "d", "e"},
					},
					{Name: "code", Series: 1000, Values: 2, Left: 500, Saved: 500, Read: true, Samples: []string{"200", "500"}},
					{Name: "job", Series: 1000, Values: 1, Left: 1000, Constant: true, Repeats: []string{"app"}, Samples: []string{"shop"}},
				},
				Pairs:   []cardinality.Pair{{First: "code", Second: "session", Left: 1, Saved: 999}},
				Verdict: "session has no end, 500 values so far: without it 2 of 1,000 series are left",
			},
			{Name: "up", Type: cardinality.TypeGauge, Series: 200, Share: 200.0 / 1200, Reads: pointer(uint64(0)), Verdict: "not read so far"},
		},
		LabelNames: []cardinality.LabelName{{Name: "session", Series: 1000, Values: pointer(500)}, {Name: "job", Series: 1200}},
		LabelPairs: []cardinality.NamedCount{{Name: "job=shop", Series: 1200}},
		Sources:    []cardinality.Source{{Label: "job", Value: "shop", Series: 1200, Share: 1}},
		Findings: []cardinality.Finding{
			{
				Code: cardinality.UnboundedLabel, Metric: "http_requests_total", Labels: []string{"session"}, Saved: 998, Bound: true,
				Title: "session has no end, 500 values so far: without it 2 of 1,000 series are left",
				Lost:  []string{"dashboard shop.json, panel Sessions"},
				Rule: &cardinality.Rule{
					Kind: rules.Aggregation, Why: "a counter: its increases are summed, so that rate() stays right",
					YAML: "- match: \"{__name__=\\\"http_requests_total\\\"}\"\n  interval: 30s\n  without: [\"session\"]\n" +
						"  outputs: [total]\n  keep_metric_names: true\n",
				},
			},
			{Code: cardinality.NearLimit, Title: "60 % of the limit per day is used"},
		},
	}
}

func smallHistory() []Point {
	return []Point{{testTime().AddDate(0, 0, -1), 1000}, {testTime(), 1200}}
}

// large is as a shop of a dozen services has it.
func large() cardinality.Report {
	report := small()
	report.Match = []string{}
	report.Summary.Series, report.Summary.Metrics, report.Summary.TopTenShare = 48_213, 731, 0.64
	report.Summary.SeriesYesterday, report.Summary.SeriesDayBefore = pointer(43_870), pointer(39_114)
	report.Summary.ActiveSeries, report.Summary.SamplesPerSecond = pointer(31_020.0), pointer(3_104.0)
	report.Summary.NewPerHour, report.Summary.NewPerDay, report.Summary.Churn = pointer(812.0), pointer(19_530.0), pointer(0.63)
	report.Summary.LabelPairs = pointer(402_118)
	report.Notes = append(report.Notes, "series by container_name: the store did not answer in 30s")
	report.Metrics, report.Findings = []cardinality.Metric{}, []cardinality.Finding{}
	for i, name := range []string{
		"http_request_duration_seconds_bucket", "http_requests_total", "container_network_receive_bytes_total", "db_query_seconds_bucket",
		"container_fs_reads_bytes_total", "traces_spanmetrics_calls_total", "go_gc_duration_seconds", "cache_hits_total",
		"queue_depth", "container_cpu_usage_seconds_total", "container_memory_working_set_bytes", "process_open_fds",
		"grpc_server_handled_total", "node_cpu_seconds_total", "kafka_consumer_group_lag", "redis_commands_total",
		"jvm_memory_used_bytes", "nginx_connections_active", "postgres_stat_user_tables_seq_scan", "up",
	} {
		report.Metrics = append(report.Metrics, largeMetric(i, name, 9000/(i+1)+40))
	}
	for i, m := range report.Metrics[:6] {
		label := m.Labels[i%2]
		finding := small().Findings[0]
		finding.Metric, finding.Labels, finding.Saved, finding.Bound = m.Name, []string{label.Name}, label.Saved, i == 3
		finding.Code = cardinality.Codes()[i]
		finding.Title = fmt.Sprintf("%s has no end, %d values so far: without it %d of %d series are left",
			label.Name, label.Values, label.Left, m.Series)
		if i > 2 {
			finding.Lost = nil
		}
		report.Findings = append(report.Findings, finding)
	}
	report.Findings = append(report.Findings, small().Findings[1])
	report.Sources = nil
	for i, job := range []string{"shop", "checkout", "payment", "cadvisor", "node", "postgres", "otel-collector"} {
		report.Sources = append(report.Sources, cardinality.Source{Label: "job", Value: job, Series: 16_000 / (i + 1), Share: .33 / float64(i+1)})
	}
	return report
}

func largeMetric(at int, name string, series int) cardinality.Metric {
	m := cardinality.Metric{
		Name: name, Type: cardinality.TypeCounter, Series: series, Share: float64(series) / 48_213, Before: pointer(series * 4 / 5),
		Now: pointer(series), Jobs: []string{"shop", "checkout"}, SamplesPerSecond: pointer(float64(series) / 15),
		Verdict: "nothing to do",
	}
	if at%3 == 0 {
		m.LastRead = pointer(testTime().Add(-time.Duration(at) * time.Hour))
		m.UsedBy = []string{"dashboard shop.json, panel Requests a second", "dashboard shop.json, panel Errors", "rule alerts.yaml, Errors"}
	}
	for i, label := range []string{"session_id", "path", "instance", "le", "code", "job"} {
		left := series * (i + 1) / 7
		one := cardinality.Label{Name: label, Series: series, Values: series / (i*i + 2), Left: left, Saved: series - left}
		if i == 0 {
			one.Shape = shape.UUID
		}
		if i == 5 {
			one.Values, one.Left, one.Saved, one.Constant = 1, series, 0, true
		}
		for value := range min(20, one.Values) {
			one.Samples = append(one.Samples, largeValue(label, value))
		}
		m.Labels = append(m.Labels, one)
	}
	return m
}

func largeValue(label string, at int) string {
	switch label {
	case "session_id":
		return fmt.Sprintf("0195a8f2-0c1e-7d3b-9f40-6a1b2c3d%04x", at*977)
	case "path":
		return fmt.Sprintf("/api/v1/customers/%d/orders/%d", 1000+at*37, at*13)
	case "instance":
		return fmt.Sprintf("10.0.3.%d:8080", at+2)
	default:
		return strconv.Itoa(at)
	}
}

func largeHistory() []Point {
	var history []Point
	for i := range 60 {
		history = append(history, Point{testTime().Add(time.Duration(i-59) * 8 * time.Hour), 30_000 + 300*i + 1200*(i%5)})
	}
	return history
}
