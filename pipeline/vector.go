package pipeline

import (
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// What Vector's own sink sends: PushEventsRequest of proto/vector/vector.proto and EventWrapper of
// lib/vector-core/proto/event.proto, version 0.59. Fields that Vector fills in by itself are left out.
const (
	requestEvents = 1

	wrapperLog    = 1
	wrapperMetric = 2
	logValue      = 2

	valueBytes     = 1
	valueTimestamp = 2
	valueInteger   = 4
	valueMap       = 7

	metricName      = 1
	metricTimestamp = 2
	metricTagsV1    = 3
	metricKind      = 4 // 1 is absolute
	metricGauge     = 6
	metricTagsV2    = 20
)

// LogBatch is a PushEventsRequest with one log record as the agent would send it, marked.
func LogBatch(mark Mark, host string, at time.Time) []byte {
	fields := mapField(nil, "message", bytesValue("level=warn a marked event of docker telemetry verify"))
	for _, pair := range [][2]string{
		{"level", "warn"}, {"service", ProbeService}, {"project", ""}, {"source", "docker"}, {"host", host}, {ProbeAttribute, mark.String()},
	} {
		fields = mapField(fields, pair[0], bytesValue(pair[1]))
	}
	fields = mapField(fields, "timestamp", message(nil, valueTimestamp, timestamp(at)))
	fields = mapField(fields, "probe_agent_at", integerValue(at.UnixMicro()))
	log := message(nil, logValue, message(nil, valueMap, fields))
	return message(nil, requestEvents, message(nil, wrapperLog, log))
}

// MetricBatch is a PushEventsRequest with the sample ProbeMetricName of this place on the way, whose value is the mark.
func MetricBatch(mark Mark, place string, at time.Time) []byte {
	metric := appendText(nil, metricName, ProbeMetricName)
	metric = message(metric, metricTimestamp, timestamp(at))
	tags := [][2]string{{"job", ProbeService}, {"place", place}}
	for _, tag := range tags {
		metric = message(metric, metricTagsV1, appendText(appendText(nil, 1, tag[0]), 2, tag[1]))
	}
	metric = number(metric, metricKind, 1)
	gauge := protowire.AppendTag(nil, 1, protowire.Fixed64Type)
	gauge = protowire.AppendFixed64(gauge, math.Float64bits(float64(mark)))
	metric = message(metric, metricGauge, gauge)
	for _, tag := range tags {
		values := message(nil, 1, appendText(nil, 1, tag[1]))
		metric = message(metric, metricTagsV2, message(appendText(nil, 1, tag[0]), 2, values))
	}
	return message(nil, requestEvents, message(nil, wrapperMetric, metric))
}

func mapField(fields []byte, name string, value []byte) []byte {
	return message(fields, 1, message(appendText(nil, 1, name), 2, value))
}

func bytesValue(value string) []byte { return appendText(nil, valueBytes, value) }

func integerValue(value int64) []byte { return number(nil, valueInteger, uint64(value)) }

func timestamp(at time.Time) []byte {
	return number(number(nil, 1, uint64(at.Unix())), 2, uint64(at.Nanosecond()))
}

func message(out []byte, num protowire.Number, inner []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(out, num, protowire.BytesType), inner)
}

func appendText(out []byte, num protowire.Number, value string) []byte {
	return protowire.AppendString(protowire.AppendTag(out, num, protowire.BytesType), value)
}

func number(out []byte, num protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(out, num, protowire.VarintType), value)
}
