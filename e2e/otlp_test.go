//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/log/logtest"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/credentials"
	"gotest.tools/v3/assert"
)

// otlpTarget is where and how an application sends. The exporters are the OpenTelemetry SDK's own, without its batches
// and retries: what Export returns is what the collector answered, so a nil error is an acknowledgement.
type otlpTarget struct {
	protocol string // grpc or http
	address  string // host:port
	tls      *tls.Config
	headers  map[string]string

	environment bool // nothing of the above but protocol: the SDK reads its variables
}

func (o otlpTarget) logs(ctx context.Context) (sdklog.Exporter, error) {
	if o.protocol == "grpc" {
		secured := otlploggrpc.WithInsecure()
		if o.tls != nil {
			secured = otlploggrpc.WithTLSCredentials(credentials.NewTLS(o.tls))
		}
		return otlploggrpc.New(ctx, otlploggrpc.WithEndpoint(o.address), secured, otlploggrpc.WithHeaders(o.headers),
			otlploggrpc.WithRetry(otlploggrpc.RetryConfig{}))
	}
	if o.environment {
		return otlploghttp.New(ctx)
	}
	secured := otlploghttp.WithInsecure()
	if o.tls != nil {
		secured = otlploghttp.WithTLSClientConfig(o.tls)
	}
	return otlploghttp.New(ctx, otlploghttp.WithEndpoint(o.address), secured, otlploghttp.WithHeaders(o.headers),
		otlploghttp.WithRetry(otlploghttp.RetryConfig{}))
}

func (o otlpTarget) metrics(ctx context.Context) (metric.Exporter, error) {
	if o.protocol == "grpc" {
		secured := otlpmetricgrpc.WithInsecure()
		if o.tls != nil {
			secured = otlpmetricgrpc.WithTLSCredentials(credentials.NewTLS(o.tls))
		}
		return otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(o.address), secured, otlpmetricgrpc.WithHeaders(o.headers),
			otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{}))
	}
	if o.environment {
		return otlpmetrichttp.New(ctx)
	}
	secured := otlpmetrichttp.WithInsecure()
	if o.tls != nil {
		secured = otlpmetrichttp.WithTLSClientConfig(o.tls)
	}
	return otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpoint(o.address), secured, otlpmetrichttp.WithHeaders(o.headers),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{}))
}

func (o otlpTarget) traces(ctx context.Context) (sdktrace.SpanExporter, error) {
	if o.protocol == "grpc" {
		secured := otlptracegrpc.WithInsecure()
		if o.tls != nil {
			secured = otlptracegrpc.WithTLSCredentials(credentials.NewTLS(o.tls))
		}
		return otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(o.address), secured, otlptracegrpc.WithHeaders(o.headers),
			otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{}))
	}
	if o.environment {
		return otlptracehttp.New(ctx)
	}
	secured := otlptracehttp.WithInsecure()
	if o.tls != nil {
		secured = otlptracehttp.WithTLSClientConfig(o.tls)
	}
	return otlptracehttp.New(ctx, otlptracehttp.WithEndpoint(o.address), secured, otlptracehttp.WithHeaders(o.headers),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}))
}

// otlpSender holds one exporter a signal, as an application does.
type otlpSender struct {
	logs    sdklog.Exporter
	metrics metric.Exporter
	traces  sdktrace.SpanExporter
}

func newSender(t *testing.T, target otlpTarget) otlpSender {
	t.Helper()
	sender, err := target.sender(t.Context())
	assert.NilError(t, err)
	t.Cleanup(func() { sender.close() })
	return sender
}

func (o otlpTarget) sender(ctx context.Context) (otlpSender, error) {
	logs, err := o.logs(ctx)
	if err != nil {
		return otlpSender{}, err
	}
	metrics, err := o.metrics(ctx)
	if err != nil {
		return otlpSender{}, err
	}
	traces, err := o.traces(ctx)
	return otlpSender{logs, metrics, traces}, err
}

func signals() []string { return []string{"logs", "metrics", "traces"} }

// sendByVariables is the variable that makes the test program send one item of each signal, with its value as the id, by
// what the environment says of OTLP and nothing else.
const sendByVariables = "DT_SEND_BY_VARIABLES"

func sendAll(id string) error {
	ctx := context.Background()
	sender, err := otlpTarget{protocol: "http", environment: true}.sender(ctx)
	if err != nil {
		return err
	}
	defer sender.close()
	for _, signal := range signals() {
		if err := sender.send(ctx, signal, id); err != nil {
			return fmt.Errorf("%s: %w", signal, err)
		}
	}
	return nil
}

func (s otlpSender) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = s.logs.Shutdown(ctx)
	_ = s.metrics.Shutdown(ctx)
	_ = s.traces.Shutdown(ctx)
}

const (
	otlpService  = "e2e"
	otlpInstance = "e2e-1"
	otlpMetric   = "e2e.probe.size" // with its unit: e2e_probe_size_bytes
)

func otlpResource() *resource.Resource {
	return resource.NewSchemaless(attribute.String("service.name", otlpService), attribute.String("service.instance.id", otlpInstance))
}

// send exports one item of a signal that carries an id.
func (s otlpSender) send(ctx context.Context, signal, id string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	switch signal {
	case "logs":
		return s.logs.Export(ctx, []sdklog.Record{otlpLog(id)})
	case "metrics":
		return s.metrics.Export(ctx, otlpGauge(id))
	default:
		return s.traces.ExportSpans(ctx, otlpSpan(id))
	}
}

func otlpLog(id string) sdklog.Record {
	return logtest.RecordFactory{
		Timestamp: time.Now(), SeverityText: "INFO", Severity: log.SeverityInfo, Body: attribute.StringValue("probe " + id),
		Attributes: []attribute.KeyValue{attribute.String("probe_id", id)}, Resource: otlpResource(),
	}.NewRecord()
}

func otlpGauge(id string) *metricdata.ResourceMetrics {
	return &metricdata.ResourceMetrics{Resource: otlpResource(), ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: []metricdata.Metrics{{
		Name: otlpMetric, Unit: "By",
		Data: metricdata.Gauge[int64]{DataPoints: []metricdata.DataPoint[int64]{{
			Attributes: attribute.NewSet(attribute.String("probe_id", id)), Time: time.Now(), Value: 7,
		}}},
	}}}}}
}

func otlpSpan(id string) []sdktrace.ReadOnlySpan {
	now := time.Now()
	return tracetest.SpanStubs{{
		Name: "probe " + id,
		SpanContext: trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{1, byte(now.UnixNano()), byte(now.UnixNano() >> 8), 15: 1}, SpanID: trace.SpanID{1, 7: 2}, TraceFlags: trace.FlagsSampled,
		}),
		SpanKind: trace.SpanKindServer, StartTime: now.Add(-time.Millisecond), EndTime: now,
		Attributes: []attribute.KeyValue{attribute.String("probe_id", id)}, Resource: otlpResource(),
	}}.Snapshots()
}

// otlpFound says, as an error, that an item is not in its store.
func (e *env) otlpFound(signal, id string) error {
	e.t.Helper()
	found, err := e.otlpIDs(signal, "probe_id = '"+id+"'", fmt.Sprintf("probe_id=%q", id))
	if err == nil && !found[id] {
		err = fmt.Errorf("%s: no item %q", signal, id)
	}
	return err
}

// otlpIDs are the ids that a store has: of OpenObserve by an SQL condition, of VictoriaMetrics by a label filter.
func (e *env) otlpIDs(signal, where, filter string) (map[string]bool, error) {
	e.t.Helper()
	found := map[string]bool{}
	if signal == "metrics" {
		all, err := e.metrics(fmt.Sprintf(`last_over_time(e2e_probe_size_bytes{job=%q,instance=%q,%s}[1h])`, otlpService, otlpInstance, filter))
		for _, one := range all {
			found[one["probe_id"]] = true
		}
		return found, err
	}
	hits, err := e.search(signal, `SELECT * FROM "otel" WHERE `+where)
	for _, hit := range hits {
		id, _ := hit["probe_id"].(string)
		found[id] = true
	}
	return found, err
}

func localPort(port int) string { return "localhost:" + strconv.Itoa(port) }

// search runs SQL over the streams of one type in OpenObserve, asked through the gateway.
func (e *env) search(kind, sql string) ([]map[string]any, error) {
	e.t.Helper()
	now := time.Now()
	query, err := json.Marshal(map[string]any{"query": map[string]any{
		"sql": sql, "start_time": now.Add(-time.Hour).UnixMicro(), "end_time": now.Add(time.Hour).UnixMicro(), "from": 0, "size": 100_000,
	}})
	if err != nil {
		return nil, err
	}
	body, err := e.call("openobserve", http.MethodPost, "/openobserve/api/default/_search?type="+kind, string(query))
	if err != nil {
		return nil, err
	}
	var answer struct{ Hits []map[string]any }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Hits == nil {
		return nil, fmt.Errorf("no answer: %.300s", body)
	}
	return answer.Hits, nil
}
