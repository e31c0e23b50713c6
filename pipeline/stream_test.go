package pipeline_test

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/pipeline"
)

func TestStream(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	record := func(number uint64, written float64) pipeline.Arrival {
		return pipeline.Arrival{Number: number, Written: at(written)}
	}
	for _, tc := range []struct {
		name string
		do   func(s *pipeline.Stream)
		want pipeline.Summary
	}{
		{"nothing", func(*pipeline.Stream) {}, pipeline.Summary{}},
		{"all arrive", func(s *pipeline.Stream) {
			s.Written(2, at(2))
			s.Look([]pipeline.Arrival{record(1, 1), record(2, 2)}, at(3))
			s.Look([]pipeline.Arrival{record(2, 2), record(1, 1)}, at(4))
		}, pipeline.Summary{Sent: 2, Arrived: 2, Longest: 2 * time.Second}},
		{"found before the log was read", func(s *pipeline.Stream) {
			s.Look([]pipeline.Arrival{record(1, 1)}, at(2))
		}, pipeline.Summary{Sent: 1, Arrived: 1, Longest: time.Second}},
		{"on the way", func(s *pipeline.Stream) {
			s.Written(3, at(3))
			s.Look([]pipeline.Arrival{record(1, 1)}, at(3))
		}, pipeline.Summary{Sent: 3, Arrived: 1, OnTheWay: 2, Longest: 2 * time.Second}},
		{"lost", func(s *pipeline.Stream) {
			s.Written(2, at(2))
			s.Look([]pipeline.Arrival{record(2, 2)}, at(3))
			s.Look(nil, at(13))
		}, pipeline.Summary{Sent: 2, Arrived: 1, Lost: 1, Longest: time.Second}},
		{"late, and there", func(s *pipeline.Stream) {
			s.Written(1, at(1))
			s.Look(nil, at(12))
			s.Look([]pipeline.Arrival{record(1, 1)}, at(21))
		}, pipeline.Summary{Sent: 1, Arrived: 1, Longest: 20 * time.Second}},
		{"twice at once", func(s *pipeline.Stream) {
			s.Look([]pipeline.Arrival{record(1, 1), record(1, 1)}, at(2))
			s.Look([]pipeline.Arrival{record(1, 1), record(1, 1)}, at(3))
		}, pipeline.Summary{Sent: 1, Arrived: 1, Duplicates: 1, Longest: time.Second}},
		{"twice, later", func(s *pipeline.Stream) {
			s.Look([]pipeline.Arrival{record(1, 1)}, at(2))
			s.Look([]pipeline.Arrival{record(1, 1), record(1, 1)}, at(3))
		}, pipeline.Summary{Sent: 1, Arrived: 1, Duplicates: 1, Longest: time.Second}},
		{"overtaken", func(s *pipeline.Stream) {
			s.Look([]pipeline.Arrival{record(2, 2)}, at(3))
			s.Look([]pipeline.Arrival{record(1, 1), record(2, 2)}, at(4))
		}, pipeline.Summary{Sent: 2, Arrived: 2, Reordered: 1, Longest: 3 * time.Second}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			stream := pipeline.NewStream(10 * time.Second)
			tc.do(stream)
			got := stream.Summary()
			got.Latency = nil
			assert.DeepEqual(t, got, tc.want)
		})
	}
}

func TestStreamLatencies(t *testing.T) {
	start := time.Unix(1000, 0)
	stream := pipeline.NewStream(time.Minute)
	for number := range uint64(100) {
		stream.Look([]pipeline.Arrival{{Number: number + 1, Written: start}}, start.Add(time.Duration(number+1)*time.Millisecond))
	}
	sum := stream.Summary()
	assert.DeepEqual(t, sum.Latency, map[float64]time.Duration{0.5: 50 * time.Millisecond, 0.9: 90 * time.Millisecond, 0.99: 99 * time.Millisecond})
	assert.Equal(t, sum.Exposition("telemetry", "logs"), `telemetry_verify_sent_total{job="docker-telemetry",stack="telemetry",route="logs"} 100
telemetry_verify_arrived_total{job="docker-telemetry",stack="telemetry",route="logs"} 100
telemetry_verify_lost_total{job="docker-telemetry",stack="telemetry",route="logs"} 0
telemetry_verify_duplicates_total{job="docker-telemetry",stack="telemetry",route="logs"} 0
telemetry_verify_reordered_total{job="docker-telemetry",stack="telemetry",route="logs"} 0
telemetry_verify_latency_seconds{job="docker-telemetry",stack="telemetry",route="logs",quantile="0.5"} 0.050
telemetry_verify_latency_seconds{job="docker-telemetry",stack="telemetry",route="logs",quantile="0.9"} 0.090
telemetry_verify_latency_seconds{job="docker-telemetry",stack="telemetry",route="logs",quantile="0.99"} 0.099
`)
}
