package pipeline_test

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/pipeline"
)

func noon() time.Time { return time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC) }

// reading writes a sample as a line: name, labels in pairs, value.
func reading(name string, value float64, labels ...string) pipeline.Reading {
	r := pipeline.Reading{Name: name, Value: value, Labels: map[string]string{}}
	for i := 0; i < len(labels); i += 2 {
		r.Labels[labels[i]] = labels[i+1]
	}
	return r
}

func ofVector(name string, value float64, job, kind, typ, id string, more ...string) pipeline.Reading {
	return reading("vector_"+name, value, append([]string{"job", job, "component_kind", kind, "component_type", typ, "component_id", id}, more...)...)
}

func readings() []pipeline.Reading {
	const agent, aggregator = "vector-agent", "vector-aggregator"
	return []pipeline.Reading{
		ofVector("component_received_events_total", 10, agent, "source", "docker_logs", "docker"),
		ofVector("component_received_event_bytes_total", 1000, agent, "source", "docker_logs", "docker"),
		ofVector("component_received_events_total", 30, agent, "source", "prometheus_scrape", "node_exporter"),
		ofVector("component_received_events_total", 99, agent, "source", "internal_metrics", "counters"),
		ofVector("component_sent_events_total", 99, agent, "sink", "prometheus_exporter", "counters_page"),
		reading("flow_last_seen", float64(noon().Add(-4*time.Second).Unix()), "job", agent, "component_kind", "source", "component_type", "docker_logs", "component_id", "docker"),
		ofVector("component_discarded_events_total", 3, agent, "transform", "filter", "gate", "intentional", "true"),
		ofVector("component_discarded_events_total", 0.5, agent, "sink", "vector", "agg_metrics", "intentional", "false"),
		ofVector("component_errors_total", 0.25, agent, "sink", "vector", "agg_logs"),
		ofVector("component_sent_events_total", 10, agent, "sink", "vector", "agg_logs"),
		ofVector("component_sent_events_total", 29.5, agent, "sink", "vector", "agg_metrics"),
		ofVector("buffer_size_bytes", 100, agent, "sink", "vector", "agg_logs", "buffer_id", "agg_logs"),
		ofVector("buffer_max_size_bytes", 400, agent, "sink", "vector", "agg_logs", "buffer_id", "agg_logs"),
		ofVector("buffer_size_events", 7, agent, "sink", "vector", "agg_logs", "buffer_id", "agg_logs"),
		ofVector("buffer_size_events", 50, agent, "sink", "vector", "agg_metrics", "buffer_id", "agg_metrics"),
		ofVector("buffer_max_size_events", 500, agent, "sink", "vector", "agg_metrics", "buffer_id", "agg_metrics"),
		reading("nginx_http_requests_total", 2, "job", "nginx", "instance", "balancer"),
		ofVector("component_received_events_total", 6, aggregator, "source", "vector", "from_agents_logs", "replica", "b"),
		ofVector("component_received_events_total", 4, aggregator, "source", "vector", "from_agents_logs", "replica", "a"),
		ofVector("component_received_events_total", 20, aggregator, "source", "internal_metrics", "aggregator_self", "replica", "a"),
		ofVector("component_sent_events_total", 4, aggregator, "sink", "http", "openobserve", "replica", "a"),
		ofVector("component_sent_events_total", 5, aggregator, "sink", "http", "openobserve", "replica", "b"),
		ofVector("component_sent_events_total", 1, aggregator, "sink", "http", "openobserve_journal", "replica", "b"),
		ofVector("component_sent_events_total", 50, aggregator, "sink", "prometheus_remote_write", "victoriametrics", "replica", "a"),
		reading("otelcol_receiver_accepted_spans", 8, "job", "otel-collector", "receiver", "otlp"),
		reading("otelcol_receiver_refused_spans", 1, "job", "otel-collector", "receiver", "otlp"),
		reading("otelcol_exporter_sent_spans", 7, "job", "otel-collector", "exporter", "otlp_grpc/openobserve"),
		reading("otelcol_exporter_queue_size", 3, "job", "otel-collector", "exporter", "otlp_grpc/openobserve", "data_type", "traces"),
		reading("otelcol_exporter_queue_capacity", 12, "job", "otel-collector", "exporter", "otlp_grpc/openobserve", "data_type", "traces"),
	}
}

func TestFlowOf(t *testing.T) {
	flow := pipeline.FlowOf(readings(), pipeline.FromStore, noon())
	var names []string
	for _, hop := range flow.Hops {
		names = append(names, hop.Component+hop.Replica)
	}
	assert.DeepEqual(t, names, []string{"agent", "balancer", "aggregatora", "aggregatorb", "collector", "openobserve", "victoriametrics"})

	agent := flow.Hops[0]
	assert.DeepEqual(t, agent.In, &pipeline.Rate{Events: 40, Bytes: 1000})
	assert.DeepEqual(t, agent.Out, &pipeline.Rate{Events: 39.5})
	assert.Equal(t, *agent.Errors, 0.25)
	assert.Equal(t, *agent.Lost, 0.5)
	assert.DeepEqual(t, agent.Buffer, &pipeline.Buffer{Fill: 0.25, Events: 7, Bytes: 100}) // the fullest
	assert.Equal(t, *agent.LastSeen, noon().Add(-4*time.Second))
	for _, part := range agent.Parts {
		assert.Assert(t, !strings.HasPrefix(part.ID, "counters"), "its own page is no part of the way")
		if part.ID == "gate" {
			assert.Equal(t, part.Filtered, 3.0)
		}
	}

	assert.Equal(t, *flow.Hops[1].Requests, 2.0)
	assert.DeepEqual(t, flow.Hops[2].In, &pipeline.Rate{Events: 4}) // what it counts of itself came over no hop
	collector := flow.Hops[4]
	assert.DeepEqual(t, collector.In, &pipeline.Rate{Events: 8})
	assert.Equal(t, *collector.Errors, 1.0)
	assert.Equal(t, collector.Buffer.Fill, 0.25)
	assert.DeepEqual(t, flow.Hops[5].In, &pipeline.Rate{Events: 10}) // by every sink of this store
	assert.DeepEqual(t, flow.Hops[6].In, &pipeline.Rate{Events: 50})

	var sources []string
	for _, part := range flow.Sources {
		sources = append(sources, part.ID)
	}
	assert.DeepEqual(t, sources, []string{"node_exporter", "docker", "otlp"})
	assert.Equal(t, len(pipeline.FlowOf(nil, pipeline.FromStore, noon()).Hops), 0)
}

func page(value string, at time.Time) string {
	stamp := " " + strconv.FormatInt(at.UnixMilli(), 10) + "\n"
	return "# TYPE vector_component_received_events_total counter\n" +
		`vector_component_received_events_total{component_id="docker",component_kind="source",component_type="docker_logs"} ` + value + stamp +
		"# TYPE vector_buffer_size_events gauge\n" + `vector_buffer_size_events{component_id="agg_logs",component_kind="sink"} 5` + stamp
}

func TestMeter(t *testing.T) {
	var meter pipeline.Meter
	for _, look := range []struct {
		name  string
		value string
		at    time.Duration
		want  float64 // NaN: no rate
	}{
		{"the first has no rate", "100", 0, math.NaN()},
		{"since the look before", "150", 5 * time.Second, 10},
		{"nothing was written since", "150", 5 * time.Second, 10},
		{"still", "150", 10 * time.Second, 5},
		{"a minute later", "180", 70 * time.Second, 0.5},
		{"its process started again", "7", 75 * time.Second, math.NaN()},
		{"and counts", "17", 80 * time.Second, 2},
	} {
		counters, err := pipeline.ReadCounters(strings.NewReader(page(look.value, noon().Add(look.at))), "vector-agent", "")
		assert.NilError(t, err)
		assert.Equal(t, len(counters), 2)
		got, gauge := math.NaN(), 0.0
		for _, r := range meter.Read(counters) {
			switch r.Name {
			case "vector_component_received_events_total":
				got = r.Value
			case "vector_buffer_size_events":
				gauge = r.Value
			}
		}
		assert.Equal(t, gauge, 5.0, look.name)
		assert.Assert(t, got == look.want || math.IsNaN(got) && math.IsNaN(look.want), "%s: %v, want %v", look.name, got, look.want)
	}
}

func TestLooker(t *testing.T) {
	refused := errors.New("connection refused")
	for _, tc := range []struct {
		name   string
		stored []pipeline.Reading
		err    error
		from   string
		note   string
	}{
		{"the store has it", readings(), nil, pipeline.FromStore, ""},
		{"the store is away", nil, refused, pipeline.FromComponents, "VictoriaMetrics cannot be asked, so the components are: connection refused"},
		{"nothing of the agent arrives", readings()[16:], nil, pipeline.FromComponents, "no metrics of the agent reached VictoriaMetrics within a minute, so the components are asked"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			looks := 0
			looker := &pipeline.Looker{
				Now:   noon,
				Query: func(context.Context, string) ([]pipeline.Reading, error) { return tc.stored, tc.err },
				Counters: func(context.Context) ([]pipeline.Counter, []string, error) {
					looks++
					counters, err := pipeline.ReadCounters(strings.NewReader(page(strconv.Itoa(100*looks), noon().Add(time.Duration(looks)*time.Second))), "vector-agent", "")
					return counters, []string{"aggregator-2 does not run"}, err
				},
			}
			flow, err := looker.Look(t.Context())
			assert.NilError(t, err)
			assert.Equal(t, flow.From, tc.from)
			if tc.note == "" {
				assert.Equal(t, len(flow.Notes), 0)
				return
			}
			assert.DeepEqual(t, flow.Notes, []string{tc.note, "aggregator-2 does not run"})
			assert.DeepEqual(t, flow.Hops[0].In, &pipeline.Rate{Events: 100})
			assert.Equal(t, *flow.Hops[0].LastSeen, noon().Add(2*time.Second))
		})
	}
	nothing := &pipeline.Looker{
		Now:   noon,
		Query: func(context.Context, string) ([]pipeline.Reading, error) { return nil, refused },
		Counters: func(context.Context) ([]pipeline.Counter, []string, error) {
			return nil, nil, errors.New("the engine does not answer")
		},
	}
	_, err := nothing.Look(t.Context())
	assert.Error(t, err, "the engine does not answer")
}

// A component's page is as foreign as any other answer.
func FuzzReadCounters(f *testing.F) {
	f.Add(page("1", noon()))
	f.Add("# TYPE a histogram\na_bucket{le=\"1\"} 1\na_sum 1\na_count 1\n")
	f.Add("a{b=\"\\x\"} NaN 99999999999999999999\n")
	f.Fuzz(func(_ *testing.T, text string) {
		counters, err := pipeline.ReadCounters(strings.NewReader(text), "vector-agent", "x")
		if err != nil {
			return
		}
		var meter pipeline.Meter
		meter.Read(counters)
		pipeline.FlowOf(meter.Read(counters), pipeline.FromComponents, noon())
	})
}
