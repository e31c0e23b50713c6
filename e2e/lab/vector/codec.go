package main

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers from Vector's lib/vector-core/proto/event.proto and proto/vector/vector.proto.
const (
	requestEvents = 1 // PushEventsRequest.events

	wrapperLog    = 1 // EventWrapper
	wrapperMetric = 2
	wrapperTrace  = 3

	logFields = 1 // Log; the old form, read but never written
	logValueF = 2

	valueBytes     = 1 // Value
	valueTimestamp = 2
	valueInteger   = 4
	valueFloat     = 5
	valueBoolean   = 6
	valueMap       = 7
	valueArray     = 8
	valueNull      = 9

	metricName       = 1 // Metric
	metricTimestamp  = 2
	metricTagsV1     = 3
	metricKindF      = 4
	metricCounter    = 5
	metricGauge      = 6
	metricSet        = 7
	metricNamespace  = 11
	metricDist2      = 12
	metricHistogram2 = 13
	metricSummary2   = 14
	metricHistogram3 = 16
	metricSummary3   = 17
	metricInterval   = 18
	metricTagsV2     = 20
)

// maxDepth bounds nesting in foreign bytes: decoding recurses.
const maxDepth = 64

var errTrace = errors.New("trace events are not supported by the stand-in")

// encodeEvent appends e as an EventWrapper.
func encodeEvent(b []byte, e event) []byte {
	if e.metric != nil {
		return putMessage(b, wrapperMetric, encodeMetric(nil, e.metric))
	}
	return putMessage(b, wrapperLog, putMessage(nil, logValueF, encodeValue(nil, e.log)))
}

// encodeRequest returns a PushEventsRequest.
func encodeRequest(events []event) []byte {
	var b []byte
	for _, e := range events {
		b = putMessage(b, requestEvents, encodeEvent(nil, e))
	}
	return b
}

func putMessage(b []byte, num protowire.Number, msg []byte) []byte {
	b = protowire.AppendTag(b, num, protowire.BytesType)
	return protowire.AppendBytes(b, msg)
}

func putString(b []byte, num protowire.Number, s string) []byte {
	b = protowire.AppendTag(b, num, protowire.BytesType)
	return protowire.AppendString(b, s)
}

func putVarint(b []byte, num protowire.Number, v uint64) []byte {
	b = protowire.AppendTag(b, num, protowire.VarintType)
	return protowire.AppendVarint(b, v)
}

func putDouble(b []byte, num protowire.Number, f float64) []byte {
	b = protowire.AppendTag(b, num, protowire.Fixed64Type)
	return protowire.AppendFixed64(b, math.Float64bits(f))
}

func encodeTime(t time.Time) []byte {
	var b []byte
	if s := t.Unix(); s != 0 {
		b = putVarint(b, 1, uint64(s))
	}
	if n := t.Nanosecond(); n != 0 {
		b = putVarint(b, 2, uint64(n))
	}
	return b
}

func encodeValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return putString(b, valueBytes, v)
	case time.Time:
		return putMessage(b, valueTimestamp, encodeTime(v))
	case int64:
		return putVarint(b, valueInteger, uint64(v))
	case float64:
		return putDouble(b, valueFloat, v)
	case bool:
		return putVarint(b, valueBoolean, protowire.EncodeBool(v))
	case map[string]any:
		var m []byte
		for _, k := range slices.Sorted(maps.Keys(v)) {
			m = putMessage(m, 1, putMessage(putString(nil, 1, k), 2, encodeValue(nil, v[k])))
		}
		return putMessage(b, valueMap, m)
	case []any:
		var m []byte
		for _, e := range v {
			m = putMessage(m, 1, encodeValue(nil, e))
		}
		return putMessage(b, valueArray, m)
	}
	return putVarint(b, valueNull, 0)
}

func encodeMetric(b []byte, m *metric) []byte {
	b = putString(b, metricName, m.name)
	if !m.time.IsZero() {
		b = putMessage(b, metricTimestamp, encodeTime(m.time))
	}
	for _, k := range m.sortedTags() {
		b = putMessage(b, metricTagsV1, putString(putString(nil, 1, k), 2, m.tags[k]))
	}
	if m.kind == absolute {
		b = putVarint(b, metricKindF, 1)
	}
	b = encodeMetricValue(b, m.value)
	if m.namespace != "" {
		b = putString(b, metricNamespace, m.namespace)
	}
	if m.intervalMS != 0 {
		b = putVarint(b, metricInterval, uint64(m.intervalMS))
	}
	for _, k := range m.sortedTags() {
		values := putMessage(nil, 1, putString(nil, 1, m.tags[k]))
		b = putMessage(b, metricTagsV2, putMessage(putString(nil, 1, k), 2, values))
	}
	return b
}

func encodeMetricValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case counterValue:
		return putMessage(b, metricCounter, putDouble(nil, 1, float64(v)))
	case gaugeValue:
		return putMessage(b, metricGauge, putDouble(nil, 1, float64(v)))
	case setValue:
		var m []byte
		for _, s := range v {
			m = putString(m, 1, s)
		}
		return putMessage(b, metricSet, m)
	case distributionValue:
		var m []byte
		for _, s := range v.samples {
			m = putMessage(m, 1, putVarint(putDouble(nil, 1, s.value), 2, uint64(s.rate)))
		}
		if v.summary {
			m = putVarint(m, 2, 1)
		}
		return putMessage(b, metricDist2, m)
	case histogramValue:
		var m []byte
		for _, k := range v.buckets {
			m = putMessage(m, 1, putVarint(putDouble(nil, 1, k.limit), 2, k.count))
		}
		return putMessage(b, metricHistogram3, putDouble(putVarint(m, 2, v.count), 3, v.sum))
	case summaryValue:
		var m []byte
		for _, q := range v.quantiles {
			m = putMessage(m, 1, putDouble(putDouble(nil, 1, q.quantile), 2, q.value))
		}
		return putMessage(b, metricSummary3, putDouble(putVarint(m, 2, v.count), 3, v.sum))
	}
	return b
}

// field is one decoded protobuf field; num of a varint or a double, or the raw bytes of the rest.
type field struct {
	num  protowire.Number
	typ  protowire.Type
	bits uint64
	raw  []byte
}

func (f field) double() float64 { return math.Float64frombits(f.bits) }

// eachField calls fn for every field of msg. A wrong wire type yields zero values, not an error:
// the callers check the type where it decides between two readings.
func eachField(msg []byte, fn func(field) error) error {
	for len(msg) > 0 {
		num, typ, n := protowire.ConsumeTag(msg)
		if n < 0 {
			return protowire.ParseError(n)
		}
		msg = msg[n:]
		f := field{num: num, typ: typ}
		switch typ {
		case protowire.VarintType:
			f.bits, n = protowire.ConsumeVarint(msg)
		case protowire.Fixed64Type:
			f.bits, n = protowire.ConsumeFixed64(msg)
		case protowire.BytesType:
			f.raw, n = protowire.ConsumeBytes(msg)
		default:
			n = protowire.ConsumeFieldValue(num, typ, msg)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		msg = msg[n:]
		if err := fn(f); err != nil {
			return err
		}
	}
	return nil
}

// decodeRequest reads a PushEventsRequest.
func decodeRequest(b []byte) ([]event, error) {
	var events []event
	err := eachField(b, func(f field) error {
		if f.num != requestEvents {
			return nil
		}
		e, err := decodeEvent(f.raw)
		if err != nil {
			return err
		}
		events = append(events, e)
		return nil
	})
	return events, err
}

// decodeEvent reads an EventWrapper.
func decodeEvent(b []byte) (event, error) {
	var e event
	err := eachField(b, func(f field) (err error) {
		switch f.num {
		case wrapperLog:
			e.log, err = decodeLog(f.raw)
		case wrapperMetric:
			e.metric, err = decodeMetric(f.raw)
		case wrapperTrace:
			err = errTrace
		}
		return err
	})
	if err != nil {
		return event{}, err
	}
	if (e.log == nil) == (e.metric == nil) {
		return event{}, errors.New("event wrapper holds no single log or metric")
	}
	return e, nil
}

func decodeLog(b []byte) (map[string]any, error) {
	fields := map[string]any{}
	var whole any
	err := eachField(b, func(f field) (err error) {
		switch f.num {
		case logFields:
			return decodeEntry(f.raw, fields, 0)
		case logValueF:
			whole, err = decodeValue(f.raw, 0)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if whole == nil {
		return fields, nil
	}
	m, ok := whole.(map[string]any)
	if !ok {
		// A log whose root is no object; Vector's JSON codec would print the bare value.
		return map[string]any{"message": whole}, nil
	}
	return m, nil
}

func decodeEntry(b []byte, into map[string]any, depth int) error {
	var key string
	var val any
	err := eachField(b, func(f field) (err error) {
		switch f.num {
		case 1:
			key = string(f.raw)
		case 2:
			val, err = decodeValue(f.raw, depth+1)
		}
		return err
	})
	if err == nil {
		into[key] = val
	}
	return err
}

func decodeValue(b []byte, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("value nested deeper than %d levels", maxDepth)
	}
	var v any
	err := eachField(b, func(f field) (err error) {
		switch f.num {
		case valueBytes:
			v = string(f.raw)
		case valueTimestamp:
			v, err = decodeTime(f.raw)
		case valueInteger:
			v = int64(f.bits)
		case valueFloat:
			v = f.double()
		case valueBoolean:
			v = f.bits != 0
		case valueMap:
			m := map[string]any{}
			v = m
			return eachField(f.raw, func(e field) error { return decodeEntry(e.raw, m, depth) })
		case valueArray:
			list := []any{}
			err = eachField(f.raw, func(e field) error {
				item, err := decodeValue(e.raw, depth+1)
				list = append(list, item)
				return err
			})
			v = list
		case valueNull:
			v = nil
		}
		return err
	})
	return v, err
}

func decodeTime(b []byte) (time.Time, error) {
	var sec, nsec int64
	err := eachField(b, func(f field) error {
		switch f.num {
		case 1:
			sec = int64(f.bits)
		case 2:
			nsec = int64(int32(f.bits))
		}
		return nil
	})
	// The range of google.protobuf.Timestamp; beyond it time.Time still works but JSON does not.
	if err == nil && (sec < -62135596800 || sec > 253402300799 || nsec < 0 || nsec > 999999999) {
		err = fmt.Errorf("timestamp %d.%09d out of range", sec, nsec)
	}
	return time.Unix(sec, nsec).UTC(), err
}

func decodeMetric(b []byte) (*metric, error) {
	m := &metric{tags: map[string]string{}}
	err := eachField(b, func(f field) (err error) {
		switch f.num {
		case metricName:
			m.name = string(f.raw)
		case metricNamespace:
			m.namespace = string(f.raw)
		case metricTimestamp:
			m.time, err = decodeTime(f.raw)
		case metricKindF:
			m.kind = metricKind(f.bits & 1)
		case metricInterval:
			m.intervalMS = uint32(f.bits)
		case metricTagsV1:
			return decodeTagV1(f.raw, m.tags)
		case metricTagsV2:
			return decodeTagV2(f.raw, m.tags)
		default:
			return decodeMetricValue(f, m)
		}
		return err
	})
	if err == nil && m.value == nil {
		err = fmt.Errorf("metric %q has no value this stand-in knows", m.name)
	}
	return m, err
}

func decodeTagV1(b []byte, tags map[string]string) error {
	var k, v string
	err := eachField(b, func(f field) error {
		switch f.num {
		case 1:
			k = string(f.raw)
		case 2:
			v = string(f.raw)
		}
		return nil
	})
	tags[k] = v
	return err
}

// decodeTagV2 keeps the last of several values, the one Vector's single-value view shows.
func decodeTagV2(b []byte, tags map[string]string) error {
	var k, v string
	err := eachField(b, func(f field) error {
		switch f.num {
		case 1:
			k = string(f.raw)
		case 2:
			return eachField(f.raw, func(list field) error {
				return eachField(list.raw, func(one field) error {
					v = string(one.raw)
					return nil
				})
			})
		}
		return nil
	})
	tags[k] = v
	return err
}

func decodeMetricValue(f field, m *metric) error {
	switch f.num {
	case metricCounter, metricGauge:
		var n float64
		if err := eachField(f.raw, func(v field) error { n = v.double(); return nil }); err != nil {
			return err
		}
		m.value = gaugeValue(n)
		if f.num == metricCounter {
			m.value = counterValue(n)
		}
	case metricSet:
		set := setValue{}
		if err := eachField(f.raw, func(v field) error { set = append(set, string(v.raw)); return nil }); err != nil {
			return err
		}
		m.value = set
	case metricDist2:
		return decodeDistribution(f.raw, m)
	case metricHistogram2, metricHistogram3:
		var h histogramValue
		count, sum, err := decodeAggregate(f.raw, func(limit, _ float64, n uint64) {
			h.buckets = append(h.buckets, bucket{limit, n})
		})
		h.count, h.sum = count, sum
		m.value = h
		return err
	case metricSummary2, metricSummary3:
		var s summaryValue
		count, sum, err := decodeAggregate(f.raw, func(q, v float64, _ uint64) {
			s.quantiles = append(s.quantiles, quantile{q, v})
		})
		s.count, s.sum = count, sum
		m.value = s
		return err
	}
	return nil
}

// decodeAggregate reads the layout histograms and summaries share: pairs = 1, count = 2, sum = 3.
func decodeAggregate(b []byte, pair func(first, second float64, secondInt uint64)) (count uint64, sum float64, err error) {
	err = eachField(b, func(f field) error {
		switch f.num {
		case 1:
			var first, second field
			err := eachField(f.raw, func(p field) error {
				if p.num == 1 {
					first = p
				} else if p.num == 2 {
					second = p
				}
				return nil
			})
			pair(first.double(), second.double(), second.bits)
			return err
		case 2:
			count = f.bits
		case 3:
			sum = f.double()
		}
		return nil
	})
	return count, sum, err
}

func decodeDistribution(b []byte, m *metric) error {
	var d distributionValue
	err := eachField(b, func(f field) error {
		switch f.num {
		case 1:
			var s sample
			err := eachField(f.raw, func(p field) error {
				if p.num == 1 {
					s.value = p.double()
				} else if p.num == 2 {
					s.rate = uint32(p.bits)
				}
				return nil
			})
			d.samples = append(d.samples, s)
			return err
		case 2:
			d.summary = f.bits == 1
		}
		return nil
	})
	m.value = d
	return err
}
