package victoriametrics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// Count is a name and how many series, or values, it has.
type Count struct {
	Name  string `json:"name"`
	Value uint64 `json:"value"`
	// Of a metric, where the store tracks them: how many series queries have read, and when last (Unix seconds).
	Requests    *uint64 `json:"requestsCount,omitempty"`
	LastRequest *int64  `json:"lastRequestTimestamp,omitempty"`
}

// TSDBStatus is the store's own count of a UTC day. It is near-exact: a series can be counted twice across index
// blocks, so it is for lists and totals, not for savings.
// https://docs.victoriametrics.com/victoriametrics/#tsdb-stats
type TSDBStatus struct {
	Series          uint64  `json:"totalSeries"`
	LabelValuePairs uint64  `json:"totalLabelValuePairs"`
	ByMetric        []Count `json:"seriesCountByMetricName"`
	ByLabel         []Count `json:"seriesCountByLabelName"`
	ByPair          []Count `json:"seriesCountByLabelValuePair"`
	ValuesByLabel   []Count `json:"labelValueCountByLabelName"`
	ByFocus         []Count `json:"seriesCountByFocusLabelValue"` // by the values of StatusRequest.Focus

	Partial bool `json:"-"` // a part of a cluster, or of what a Thanos asks, did not answer

	// Prometheus always reports the head block; some of its versions spell this differently.
	PairsOfPrometheus []Count `json:"seriesCountByLabelPair"`
	HeadStats         *struct {
		Series uint64 `json:"numSeries"`
	} `json:"headStats"`
}

// StatusRequest asks for a day; the zero time is the current one.
type StatusRequest struct {
	Date  time.Time
	Top   int
	Match []string
	Focus string // a label; "" for none
}

// Status asks for the store's own counts.
func (c *Client) Status(ctx context.Context, request StatusRequest) (TSDBStatus, error) {
	top := strconv.Itoa(max(1, request.Top))
	// Prometheus calls it limit.
	query := url.Values{"topN": {top}, "limit": {top}}
	if !request.Date.IsZero() {
		query.Set("date", request.Date.UTC().Format(time.DateOnly))
	}
	for _, selector := range request.Match {
		query.Add("match[]", selector)
	}
	if request.Focus != "" {
		query.Set("focusLabel", request.Focus)
	}
	var answer struct {
		refusal
		Data     TSDBStatus `json:"data"`
		Warnings []string   `json:"warnings"`
	}
	if err := c.get(ctx, "/api/v1/status/tsdb", query, &answer); err != nil {
		return TSDBStatus{}, err
	}
	status := answer.Data
	status.Partial = answer.IsPartial || len(answer.Warnings) > 0
	if status.HeadStats != nil {
		status.Series = status.HeadStats.Series
	}
	if status.ByPair == nil {
		status.ByPair = status.PairsOfPrometheus
	}
	return status, nil
}

// Usage is what queries have read since a time. The counter grows by one for each series that a query fetched.
type Usage struct {
	Since   time.Time
	Full    bool // the tracker's memory, or the list, is full: a name that is not here may be in use
	Metrics map[string]MetricUsage
}

// MetricUsage is how often series of a metric were read, and when last.
type MetricUsage struct {
	Requests uint64
	Last     time.Time // zero for never
}

// mostNames fit into an answer with all that is said of them. The store begins with those that are read least.
const mostNames = 100_000

const pathUsage = "/api/v1/status/metric_names_stats"

// errUntracked is for a store that would otherwise look like one whose metrics nobody reads.
var errUntracked = errors.New("the store does not note it (-storage.trackMetricNamesStats=false)")

// Usage asks for the metric names statistics. A store that keeps none is an error: it answers as one where nothing was read. There is no data envelope, and the documentation has another name for
// lastQueryRequestTimestamp; both as VictoriaMetrics 1.145 was seen to answer.
func (c *Client) Usage(ctx context.Context) (Usage, error) {
	var answer struct {
		refusal
		Since   int64 `json:"statsCollectedSince"`
		Most    int64 `json:"trackerMemoryMaxSizeBytes"`
		Current int64 `json:"trackerCurrentMemoryUsageBytes"`
		Records []struct {
			Name     string `json:"metricName"`
			Requests uint64 `json:"queryRequestsCount"`
			Last     int64  `json:"lastQueryRequestTimestamp"`
		} `json:"records"`
	}
	if err := c.get(ctx, pathUsage, url.Values{"limit": {strconv.Itoa(mostNames)}}, &answer); err != nil {
		return Usage{}, err
	}
	if answer.Since == 0 && len(answer.Records) == 0 {
		return Usage{}, &AnswerError{Path: pathUsage, Err: errUntracked}
	}
	usage := Usage{Metrics: make(map[string]MetricUsage, len(answer.Records))}
	if answer.Since > 0 {
		usage.Since = time.Unix(answer.Since, 0).UTC()
	}
	// The tracker stops at its limit less one record, so "almost" is full.
	usage.Full = answer.Most > 0 && answer.Current > answer.Most-answer.Most/100 || len(answer.Records) >= mostNames
	for _, record := range answer.Records {
		one := MetricUsage{Requests: record.Requests}
		if record.Last > 0 {
			one.Last = time.Unix(record.Last, 0).UTC()
		}
		usage.Metrics[record.Name] = one
	}
	return usage, nil
}

// RecentQueries returns the texts of the queries in the store's ring, most frequent first, with how often each ran.
func (c *Client) RecentQueries(ctx context.Context) (map[string]uint64, error) {
	var answer struct {
		refusal
		Top []struct {
			Query string `json:"query"`
			Count uint64 `json:"count"`
		} `json:"topByCount"`
	}
	query := url.Values{"topN": {"1000"}, "maxLifetime": {"30d"}}
	if err := c.get(ctx, "/api/v1/status/top_queries", query, &answer); err != nil {
		return nil, err
	}
	texts := make(map[string]uint64, len(answer.Top))
	for _, top := range answer.Top {
		texts[top.Query] += top.Count
	}
	return texts, nil
}

// Types returns the type of each metric that writers sent metadata for. It is in memory only and forgets after an
// hour, so it is a hint. A metric with several types has the first.
func (c *Client) Types(ctx context.Context) (map[string]string, error) {
	var answer struct {
		refusal
		Data map[string][]struct {
			Type string `json:"type"`
		} `json:"data"`
	}
	if err := c.get(ctx, "/api/v1/metadata", url.Values{"limit": {strconv.Itoa(mostNames)}}, &answer); err != nil {
		return nil, err
	}
	types := make(map[string]string, len(answer.Data))
	for name, entries := range answer.Data {
		if len(entries) > 0 {
			types[name] = entries[0].Type
		}
	}
	return types, nil
}

// Sample is one value of an instant query.
type Sample struct {
	Labels map[string]string
	Value  float64
}

// Query runs an instant query. It counts as usage of every series that it reads: for the store's own metrics only.
func (c *Client) Query(ctx context.Context, expression string) ([]Sample, error) {
	return c.query(ctx, url.Values{"query": {expression}})
}

// QueryLatest is Query up to now. By itself VictoriaMetrics leaves out the last 30 s (-search.latencyOffset), in which
// some replicas of a series may be missing; a proof looks for what arrived a second ago. Other stores ignore the parameter.
func (c *Client) QueryLatest(ctx context.Context, expression string) ([]Sample, error) {
	return c.query(ctx, url.Values{"query": {expression}, "latency_offset": {"1ms"}})
}

func (c *Client) query(ctx context.Context, query url.Values) ([]Sample, error) {
	var answer struct {
		refusal
		Data struct {
			Result []struct {
				Metric map[string]string  `json:"metric"`
				Value  [2]json.RawMessage `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := c.get(ctx, "/api/v1/query", query, &answer); err != nil {
		return nil, err
	}
	samples := make([]Sample, 0, len(answer.Data.Result))
	for _, result := range answer.Data.Result {
		var text string
		if err := json.Unmarshal(result.Value[1], &text); err != nil {
			return nil, fmt.Errorf("read the value of a query: %w", err)
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("read the value of a query: %w", err)
		}
		samples = append(samples, Sample{Labels: result.Metric, Value: value})
	}
	return samples, nil
}
