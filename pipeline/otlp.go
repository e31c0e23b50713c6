package pipeline

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Signals of OTLP.
const (
	Logs    = "logs"
	Metrics = "metrics"
	Traces  = "traces"
)

// Protocols of OTLP.
const (
	GRPC = "grpc"
	HTTP = "http"
)

// Protocols lists them; the first is the one that the SDKs choose most.
func Protocols() []string { return []string{HTTP, GRPC} }

// OTLP sends marked events as an application does, in protobuf: one request each, without retries, so that the answer is
// the collector's.
type OTLP struct {
	Address  string // host:port
	Protocol string
	TLS      *tls.Config // nil for plain text
	Token    string      // bearer token, "" for none
	HTTP     *http.Client
	Now      func() time.Time
}

// Names of what a probe leaves in the stores.
const (
	// ProbeService is service.name of a probe, and so the label job of its metric.
	ProbeService = "docker-telemetry"
	// ProbeMetricName is a gauge whose value is the mark: a label would make a series of each probe.
	ProbeMetricName = "telemetry_probe"
	// ProbeAttribute holds the mark of a log record and of a span.
	ProbeAttribute = "telemetry_probe"
)

// Mark is what one probe is known by. It fits a float64 exactly, so it can be a sample's value.
type Mark uint64

// NewMark returns a random mark.
func NewMark() Mark {
	var raw [8]byte
	_, _ = rand.Read(raw[:]) // never fails
	return Mark(binary.BigEndian.Uint64(raw[:]) >> 12)
}

func (m Mark) String() string { return strconv.FormatUint(uint64(m), 10) }

// Send sends one event of a signal that carries the mark. A nil error says that the collector took it.
func (o OTLP) Send(ctx context.Context, signal string, mark Mark) error {
	request := o.request(signal, mark)
	if o.Protocol == GRPC {
		return o.call(ctx, request)
	}
	return o.post(ctx, signal, request)
}

// call sends by gRPC: service and method are those of opentelemetry-proto's collector services.
func (o OTLP) call(ctx context.Context, request proto.Message) error {
	secured := insecure.NewCredentials()
	if o.TLS != nil {
		secured = credentials.NewTLS(o.TLS.Clone())
	}
	conn, err := grpc.NewClient("passthrough:///"+o.Address, grpc.WithTransportCredentials(secured))
	if err != nil {
		return err
	}
	defer conn.Close()
	if o.Token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+o.Token)
	}
	switch request := request.(type) {
	case *collogs.ExportLogsServiceRequest:
		_, err = collogs.NewLogsServiceClient(conn).Export(ctx, request)
	case *coltrace.ExportTraceServiceRequest:
		_, err = coltrace.NewTraceServiceClient(conn).Export(ctx, request)
	case *colmetrics.ExportMetricsServiceRequest:
		_, err = colmetrics.NewMetricsServiceClient(conn).Export(ctx, request)
	}
	if err != nil {
		said := status.Convert(err)
		return fmt.Errorf("OTLP answered %s: %s", said.Code(), said.Message())
	}
	return nil
}

func (o OTLP) post(ctx context.Context, signal string, message proto.Message) error {
	body, err := proto.Marshal(message)
	if err != nil {
		return err
	}
	scheme := "https://"
	if o.TLS == nil {
		scheme = "http://"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+o.Address+"/v1/"+signal, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-protobuf")
	if o.Token != "" {
		request.Header.Set("Authorization", "Bearer "+o.Token)
	}
	response, err := o.HTTP.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("OTLP answered %d: %s", response.StatusCode, strings.TrimSpace(strings.ToValidUTF8(string(answer), "")))
	}
	return nil
}

func (o OTLP) request(signal string, mark Mark) proto.Message {
	now := uint64(o.Now().UnixNano())
	from := &resource.Resource{Attributes: []*common.KeyValue{
		attribute("service.name", ProbeService), attribute("service.instance.id", "probe"),
	}}
	marked := []*common.KeyValue{attribute(ProbeAttribute, mark.String())}
	switch signal {
	case Logs:
		record := &logs.LogRecord{
			TimeUnixNano: now, ObservedTimeUnixNano: now, SeverityNumber: logs.SeverityNumber_SEVERITY_NUMBER_INFO, SeverityText: "INFO",
			Body: text("a probe of docker telemetry"), Attributes: marked,
		}
		return &collogs.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{
			{Resource: from, ScopeLogs: []*logs.ScopeLogs{{LogRecords: []*logs.LogRecord{record}}}},
		}}
	case Traces:
		span := &trace.Span{
			TraceId: random(16), SpanId: random(8), Name: "probe", Kind: trace.Span_SPAN_KIND_INTERNAL,
			StartTimeUnixNano: now, EndTimeUnixNano: now, Attributes: marked,
		}
		return &coltrace.ExportTraceServiceRequest{ResourceSpans: []*trace.ResourceSpans{
			{Resource: from, ScopeSpans: []*trace.ScopeSpans{{Spans: []*trace.Span{span}}}},
		}}
	default:
		point := &metrics.NumberDataPoint{
			TimeUnixNano: now, Value: &metrics.NumberDataPoint_AsInt{AsInt: int64(mark)},
			Attributes: []*common.KeyValue{attribute("place", "otlp-"+o.Protocol)},
		}
		gauge := &metrics.Metric_Gauge{Gauge: &metrics.Gauge{DataPoints: []*metrics.NumberDataPoint{point}}}
		return &colmetrics.ExportMetricsServiceRequest{ResourceMetrics: []*metrics.ResourceMetrics{
			{Resource: from, ScopeMetrics: []*metrics.ScopeMetrics{{Metrics: []*metrics.Metric{{Name: "telemetry.probe", Data: gauge}}}}},
		}}
	}
}

func attribute(key, value string) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: text(value)}
}

func text(value string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: value}}
}

func random(length int) []byte {
	raw := make([]byte, length)
	_, _ = rand.Read(raw) // never fails
	return raw
}
