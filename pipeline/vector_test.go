package pipeline_test

import (
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/pipeline"
)

// at returns what stands at a path of field numbers: a message's or a string's bytes, or a number.
func at(t *testing.T, raw []byte, path ...protowire.Number) (bytes []byte, number uint64) {
	t.Helper()
	for len(raw) > 0 {
		num, typ, n := protowire.ConsumeTag(raw)
		assert.Assert(t, n > 0)
		raw = raw[n:]
		size := protowire.ConsumeFieldValue(num, typ, raw)
		assert.Assert(t, size >= 0)
		if num != path[0] {
			raw = raw[size:]
			continue
		}
		switch typ {
		case protowire.BytesType:
			inner, _ := protowire.ConsumeBytes(raw)
			if len(path) == 1 {
				return inner, 0
			}
			return at(t, inner, path[1:]...)
		case protowire.Fixed64Type:
			value, _ := protowire.ConsumeFixed64(raw)
			return nil, value
		default:
			value, _ := protowire.ConsumeVarint(raw)
			return nil, value
		}
	}
	t.Fatalf("nothing at %v", path)
	return nil, 0
}

// The numbers are those of Vector's vector.proto and event.proto, written out here once more: request.events, wrapper.metric, ...
func TestMetricBatch(t *testing.T) {
	batch := pipeline.MetricBatch(marked, "aggregator-1", time.Unix(1700000000, 5))
	name, _ := at(t, batch, 1, 2, 1)
	assert.Equal(t, string(name), "telemetry_probe")
	_, value := at(t, batch, 1, 2, 6, 1)
	assert.Equal(t, math.Float64frombits(value), float64(marked), "a mark is exact as a sample's value")
	_, seconds := at(t, batch, 1, 2, 2, 1)
	assert.Equal(t, seconds, uint64(1700000000))
	_, absolute := at(t, batch, 1, 2, 4)
	assert.Equal(t, absolute, uint64(1))
	tag, _ := at(t, batch, 1, 2, 20, 1)
	assert.Equal(t, string(tag), "job")
	tag, _ = at(t, batch, 1, 2, 20, 2, 1, 1)
	assert.Equal(t, string(tag), "docker-telemetry")
}

func TestLogBatch(t *testing.T) {
	batch := pipeline.LogBatch(marked, "host", time.Unix(1700000000, 0))
	fields, _ := at(t, batch, 1, 1, 2, 7)
	found := map[string]string{}
	for len(fields) > 0 {
		_, _, n := protowire.ConsumeTag(fields)
		entry, size := protowire.ConsumeBytes(fields[n:])
		fields = fields[n+size:]
		name, _ := at(t, entry, 1)
		value, _ := at(t, entry, 2)
		num, _, n := protowire.ConsumeTag(value)
		found[string(name)] = string(rune('0'+num)) + string(value[n+1:])
	}
	assert.Equal(t, found["telemetry_probe"], "1"+marked.String())
	assert.Equal(t, found["source"], "1docker")
	assert.Equal(t, found["level"], "1warn")
	assert.Equal(t, found["host"], "1host")
	assert.Equal(t, found["timestamp"][0], byte('2'), "a timestamp")
	assert.Equal(t, found["probe_agent_at"][0], byte('4'), "an integer")
}
