package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

const (
	contentProto = "application/x-protobuf"
	contentJSON  = "application/json"
)

var errBadRequest = errors.New("Bad Request") //nolint:staticcheck // the real server's words

// otlpAnswer is what goes back: the HTTP status, the content type and the encoded response.
type otlpAnswer struct {
	status      int
	contentType string
	body        []byte
}

// otlpUnmarshaler is what the three request types have in common.
type otlpUnmarshaler interface {
	UnmarshalProto([]byte) error
	UnmarshalJSON([]byte) error
}

func decodeOTLP(req otlpUnmarshaler, contentType string, body []byte) error {
	switch contentType {
	case contentProto:
		if err := req.UnmarshalProto(body); err != nil {
			return fmt.Errorf("Invalid proto: %w", err) //nolint:staticcheck // the real server's words
		}
	case contentJSON:
		if err := req.UnmarshalJSON(body); err != nil {
			return fmt.Errorf("Invalid json: %w", err) //nolint:staticcheck // the real server's words
		}
	default:
		return errBadRequest
	}
	return nil
}

// numberOf is a JSON number; NaN and infinities have none.
func numberOf(f float64) (json.Number, bool) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return "", false
	}
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		s = strconv.FormatFloat(f, 'f', 1, 64)
	}
	return json.Number(s), true
}

// typed keeps the type of an attribute; nested maps and lists are flattened later like any JSON.
func typed(v pcommon.Value) any { return jsonValue(v.AsRaw()) }

func jsonValue(v any) any {
	switch v := v.(type) {
	case int64:
		return number(v)
	case float64:
		if n, ok := numberOf(v); ok {
			return n
		}
		return nil
	case []byte:
		return string(v)
	case []any:
		for i := range v {
			v[i] = jsonValue(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = jsonValue(v[k])
		}
	}
	return v
}

// textual turns scalars into text, as the real server does with a log body and with span and metric attributes.
func textual(v pcommon.Value) any {
	switch v.Type() {
	case pcommon.ValueTypeMap, pcommon.ValueTypeSlice:
		return typed(v)
	case pcommon.ValueTypeEmpty:
		return nil
	}
	return v.AsString()
}

func unsigned(n uint64) json.Number { return json.Number(strconv.FormatUint(n, 10)) }

// otlpLogs stores a logs request in one stream, "default" when no header names another.
func (s *server) otlpLogs(org, name, contentType string, body []byte) (otlpAnswer, error) {
	req := plogotlp.NewExportRequest()
	if err := decodeOTLP(req, contentType, body); err != nil {
		return otlpAnswer{}, err
	}
	key := streamKey{org: org, kind: kindLogs, name: formatStreamName(orDefault(name, "default"))}
	span := newWindow(s.cfg, s.now())
	var status recordStatus
	var records []record
	for _, rl := range req.Logs().ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				rec, err := s.logRecord(rl.Resource(), sl.Scope(), lr, span)
				if err != nil {
					status.fail(err)
					s.metrics.ingestErrors.WithLabelValues(org, kindLogs, key.name, errorTimestamp).Inc()
					continue
				}
				records = append(records, rec)
			}
		}
	}
	if _, err := s.write(key, records); err != nil {
		return otlpAnswer{}, err
	}
	// The answer is protobuf whatever was asked, under the request's content type: a quirk of the real server.
	answer := otlpAnswer{status: 200, contentType: contentType}
	if status.Failed == 0 {
		return answer, nil
	}
	resp := plogotlp.NewExportResponse()
	resp.PartialSuccess().SetRejectedLogRecords(int64(status.Failed))
	resp.PartialSuccess().SetErrorMessage(status.Error)
	var err error
	answer.body, err = resp.MarshalProto()
	return answer, err
}

func (s *server) logRecord(res pcommon.Resource, scope pcommon.InstrumentationScope, lr plog.LogRecord, span window) (record, error) {
	nanos := lr.Timestamp()
	if nanos == 0 {
		nanos = lr.ObservedTimestamp()
	}
	ts := int64(nanos) / 1000
	if err := span.check(ts); err != nil {
		return record{}, err
	}
	raw := map[string]any{}
	for k, v := range res.Attributes().All() {
		raw[k] = typed(v)
	}
	if scope.Name() != "" {
		raw["instrumentation_library_name"] = scope.Name()
	}
	if scope.Version() != "" {
		raw["instrumentation_library_version"] = scope.Version()
	}
	raw[timestampField] = number(ts)
	raw["severity"] = number(int64(lr.SeverityNumber()))
	if lr.SeverityText() != "" {
		raw["severity"] = lr.SeverityText()
	}
	raw["body"] = textual(lr.Body())
	raw["dropped_attributes_count"] = number(int64(lr.DroppedAttributesCount()))
	for k, v := range lr.Attributes().All() {
		raw[k] = typed(v)
	}
	if id := lr.TraceID(); !id.IsEmpty() {
		raw["trace_id"] = id.String()
	}
	if id := lr.SpanID(); !id.IsEmpty() {
		raw["span_id"] = id.String()
	}
	flat, err := flatten(raw, s.cfg.flattenLevel)
	if err != nil {
		return record{}, err
	}
	// An attribute of the same name must not move the record out of the window that was checked.
	flat[timestampField] = number(ts)
	return record{ts: ts, fields: flat}, nil
}

// otlpTraces stores a traces request in one stream.
func (s *server) otlpTraces(org, name, contentType string, body []byte) (otlpAnswer, error) {
	req := ptraceotlp.NewExportRequest()
	if err := decodeOTLP(req, contentType, body); err != nil {
		return otlpAnswer{}, err
	}
	key := streamKey{org: org, kind: kindTraces, name: formatStreamName(orDefault(name, "default"))}
	span := newWindow(s.cfg, s.now())
	rejected := 0
	var records []record
	for _, rs := range req.Traces().ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, sp := range ss.Spans().All() {
				rec, err := s.spanRecord(key.name, rs.Resource(), sp, span)
				if err != nil {
					rejected++
					continue
				}
				records = append(records, rec)
			}
		}
	}
	if _, err := s.write(key, records); err != nil {
		return otlpAnswer{}, err
	}
	resp := ptraceotlp.NewExportResponse()
	if rejected > 0 {
		resp.PartialSuccess().SetRejectedSpans(int64(rejected))
		resp.PartialSuccess().SetErrorMessage("Some spans were rejected due to exceeding the allowed retention period")
	}
	return answerOTLP(contentType, rejected > 0, resp)
}

// reservedSpanFields are not overwritten by attributes (traces/mod.rs).
func reservedSpanFields() []string {
	return []string{
		"trace_id", "span_id", "flags", "span_status", "span_kind", "operation_name", "start_time", "end_time",
		"duration", "service_name", "events", "links", timestampField,
	}
}

func (s *server) spanRecord(service string, res pcommon.Resource, sp ptrace.Span, span window) (record, error) {
	if sp.TraceID().IsEmpty() || sp.SpanID().IsEmpty() {
		return record{}, errors.New("invalid trace or span id")
	}
	ts := int64(sp.StartTimestamp()) / 1000
	if err := span.check(ts); err != nil {
		return record{}, err
	}
	raw := map[string]any{}
	for k, v := range res.Attributes().All() {
		if k == "service.name" {
			service = v.AsString()
			continue
		}
		raw["service_"+k] = textual(v)
	}
	for k, v := range sp.Attributes().All() {
		_, taken := raw[k]
		if taken || slices.Contains(reservedSpanFields(), formatKey(k)) {
			k = "attr_" + k
		}
		raw[k] = textual(v)
	}
	if !sp.ParentSpanID().IsEmpty() {
		raw["reference.parent_span_id"] = sp.ParentSpanID().String()
		raw["reference.parent_trace_id"] = sp.TraceID().String()
		raw["reference.ref_type"] = "ChildOf"
	}
	events, err := spanEvents(sp)
	if err != nil {
		return record{}, err
	}
	for k, v := range map[string]any{
		"trace_id": sp.TraceID().String(), "span_id": sp.SpanID().String(), "flags": number(1),
		"span_kind": strconv.Itoa(int(sp.Kind())), "span_status": spanStatus(sp.Status()), "operation_name": sp.Name(),
		"status_code": number(int64(sp.Status().Code())), "status_message": sp.Status().Message(),
		"start_time": unsigned(uint64(sp.StartTimestamp())), "end_time": unsigned(uint64(sp.EndTimestamp())),
		"duration":     number(int64(sp.EndTimestamp()-sp.StartTimestamp()) / 1000),
		"service_name": service, "events": events, "links": "[]", timestampField: number(ts),
	} {
		raw[k] = v
	}
	flat, err := flatten(raw, s.cfg.flattenLevel)
	return record{ts: ts, fields: flat}, err
}

func spanStatus(st ptrace.Status) string {
	switch st.Code() {
	case ptrace.StatusCodeOk:
		return "OK"
	case ptrace.StatusCodeError:
		return "ERROR"
	}
	return "UNSET"
}

func spanEvents(sp ptrace.Span) (string, error) {
	out := []any{}
	for _, ev := range sp.Events().All() {
		one := map[string]any{"name": ev.Name(), timestampField: unsigned(uint64(ev.Timestamp()))}
		for k, v := range ev.Attributes().All() {
			one[k] = textual(v)
		}
		out = append(out, one)
	}
	raw, err := marshal(out)
	return string(raw), err
}

// otlpMetrics stores one record a sample in a stream a metric. The real server checks no time window here.
func (s *server) otlpMetrics(org, contentType string, body []byte) (otlpAnswer, error) {
	req := pmetricotlp.NewExportRequest()
	if err := decodeOTLP(req, contentType, body); err != nil {
		return otlpAnswer{}, err
	}
	byStream := map[string][]record{}
	rejected := 0
	for _, rm := range req.Metrics().ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				samples, ok := metricSamples(rm.Resource(), sm.Scope(), m)
				if !ok {
					rejected++
				}
				for _, f := range samples {
					ts, err := strconv.ParseInt(string(f[timestampField].(json.Number)), 10, 64)
					if err != nil {
						return otlpAnswer{}, fmt.Errorf("metric %q: %w", m.Name(), err)
					}
					name := f["__name__"].(string)
					byStream[name] = append(byStream[name], record{ts: ts, fields: f})
				}
			}
		}
	}
	for name, records := range byStream {
		if _, err := s.write(streamKey{org: org, kind: kindMetrics, name: name}, records); err != nil {
			return otlpAnswer{}, err
		}
	}
	resp := pmetricotlp.NewExportResponse()
	if rejected > 0 {
		resp.PartialSuccess().SetRejectedDataPoints(int64(rejected))
		resp.PartialSuccess().SetErrorMessage("the lab stand-in keeps gauges, sums, histograms and summaries only")
	}
	return answerOTLP(contentType, rejected > 0, resp)
}

// sample makes the records of one metric: base labels, then the point's own.
type sample struct{ base fields }

func newSample(res pcommon.Resource, scope pcommon.InstrumentationScope, name string) sample {
	base := fields{}
	for k, v := range res.Attributes().All() {
		base[formatKey(k)] = labelText(v)
	}
	base["instrumentation_library_name"] = scope.Name()
	base["instrumentation_library_version"] = scope.Version()
	base["__name__"] = formatStreamName(name)
	return sample{base: base}
}

func labelText(v pcommon.Value) any { return v.AsString() }

func (s sample) record(suffix string, attrs pcommon.Map, ts, start pcommon.Timestamp, value float64, extra ...string) (fields, bool) {
	n, ok := numberOf(value)
	if !ok {
		return nil, false
	}
	f := fields{}
	for k, v := range s.base {
		f[k] = v
	}
	for k, v := range attrs.All() {
		f[formatKey(k)] = labelText(v)
	}
	for i := 0; i+1 < len(extra); i += 2 {
		f[extra[i]] = extra[i+1]
	}
	f["__name__"] = s.base["__name__"].(string) + suffix
	f["value"] = n
	f[timestampField] = number(int64(ts) / 1000)
	f["start_time"] = strconv.FormatUint(uint64(start), 10)
	return f, true
}

func metricSamples(res pcommon.Resource, scope pcommon.InstrumentationScope, m pmetric.Metric) ([]fields, bool) {
	s := newSample(res, scope, m.Name())
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		return s.points(m.Gauge().DataPoints()), true
	case pmetric.MetricTypeSum:
		s.base["is_monotonic"] = strconv.FormatBool(m.Sum().IsMonotonic())
		return s.points(m.Sum().DataPoints()), true
	case pmetric.MetricTypeHistogram:
		return s.histogram(m.Histogram().DataPoints()), true
	case pmetric.MetricTypeSummary:
		return s.summary(m.Summary().DataPoints()), true
	}
	return nil, false
}

func (s sample) points(points pmetric.NumberDataPointSlice) []fields {
	var out []fields
	for _, p := range points.All() {
		value := p.DoubleValue()
		if p.ValueType() == pmetric.NumberDataPointValueTypeInt {
			value = float64(p.IntValue())
		}
		if f, ok := s.record("", p.Attributes(), p.Timestamp(), p.StartTimestamp(), value); ok {
			out = append(out, f)
		}
	}
	return out
}

func (s sample) histogram(points pmetric.HistogramDataPointSlice) []fields {
	var out []fields
	for _, p := range points.All() {
		add := func(suffix string, value float64, extra ...string) {
			if f, ok := s.record(suffix, p.Attributes(), p.Timestamp(), p.StartTimestamp(), value, extra...); ok {
				out = append(out, f)
			}
		}
		add("_count", float64(p.Count()))
		if p.HasSum() {
			add("_sum", p.Sum())
		}
		if p.HasMin() {
			add("_min", p.Min())
		}
		if p.HasMax() {
			add("_max", p.Max())
		}
		total := uint64(0)
		for i, n := range p.BucketCounts().All() {
			total += n
			le := "inf" // how Rust prints infinity
			if i < p.ExplicitBounds().Len() {
				le = strconv.FormatFloat(p.ExplicitBounds().At(i), 'f', -1, 64)
			}
			add("_bucket", float64(total), "le", le)
		}
	}
	return out
}

func (s sample) summary(points pmetric.SummaryDataPointSlice) []fields {
	var out []fields
	for _, p := range points.All() {
		add := func(suffix string, value float64, extra ...string) {
			if f, ok := s.record(suffix, p.Attributes(), p.Timestamp(), p.StartTimestamp(), value, extra...); ok {
				out = append(out, f)
			}
		}
		add("_count", float64(p.Count()))
		add("_sum", p.Sum())
		for _, q := range p.QuantileValues().All() {
			add("", q.Value(), "quantile", strconv.FormatFloat(q.Quantile(), 'f', -1, 64))
		}
	}
	return out
}

type otlpMarshaler interface {
	MarshalProto() ([]byte, error)
	MarshalJSON() ([]byte, error)
}

// answerOTLP encodes a traces or metrics answer: JSON says 206 for a partial success, protobuf always 200.
func answerOTLP(contentType string, partial bool, resp otlpMarshaler) (otlpAnswer, error) {
	answer := otlpAnswer{status: 200, contentType: contentType}
	var err error
	switch {
	case contentType == contentJSON && partial:
		answer.status = 206
		answer.body, err = resp.MarshalJSON()
	case contentType == contentJSON:
		answer.body = []byte(`{"partialSuccess":null}`)
	case partial:
		answer.body, err = resp.MarshalProto()
	}
	return answer, err
}
