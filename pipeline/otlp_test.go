package pipeline_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/pipeline"
)

const marked = pipeline.Mark(4503599627370495)

// collector takes what has the right token, and keeps it.
type collector struct {
	collogs.UnimplementedLogsServiceServer
	colmetrics.UnimplementedMetricsServiceServer
	coltrace.UnimplementedTraceServiceServer
	got proto.Message
}

func (c *collector) take(ctx context.Context, request proto.Message) error {
	if from, _ := metadata.FromIncomingContext(ctx); strings.Join(from.Get("authorization"), "") != "Bearer token" {
		return status.Error(codes.Unauthenticated, "no token")
	}
	c.got = request
	return nil
}

type logsServer struct{ *collector }

func (c logsServer) Export(ctx context.Context, r *collogs.ExportLogsServiceRequest) (*collogs.ExportLogsServiceResponse, error) {
	return &collogs.ExportLogsServiceResponse{}, c.take(ctx, r)
}

type metricsServer struct{ *collector }

func (c metricsServer) Export(ctx context.Context, r *colmetrics.ExportMetricsServiceRequest) (*colmetrics.ExportMetricsServiceResponse, error) {
	return &colmetrics.ExportMetricsServiceResponse{}, c.take(ctx, r)
}

type traceServer struct{ *collector }

func (c traceServer) Export(ctx context.Context, r *coltrace.ExportTraceServiceRequest) (*coltrace.ExportTraceServiceResponse, error) {
	return &coltrace.ExportTraceServiceResponse{}, c.take(ctx, r)
}

func (c *collector) overGRPC(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	assert.NilError(t, err)
	server := grpc.NewServer()
	collogs.RegisterLogsServiceServer(server, logsServer{c})
	colmetrics.RegisterMetricsServiceServer(server, metricsServer{c})
	coltrace.RegisterTraceServiceServer(server, traceServer{c})
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

func (c *collector) overHTTP(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token" {
			http.Error(w, "no token", http.StatusUnauthorized)
			return
		}
		body, _ := io.ReadAll(r.Body)
		into := map[string]proto.Message{
			"/v1/logs": &collogs.ExportLogsServiceRequest{}, "/v1/metrics": &colmetrics.ExportMetricsServiceRequest{}, "/v1/traces": &coltrace.ExportTraceServiceRequest{},
		}[r.URL.Path]
		if r.Header.Get("Content-Type") != "application/x-protobuf" || into == nil || proto.Unmarshal(body, into) != nil {
			http.Error(w, "no OTLP", http.StatusBadRequest)
			return
		}
		c.got = into
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// markOf is where a signal carries its mark.
func markOf(request proto.Message) any {
	switch r := request.(type) {
	case *collogs.ExportLogsServiceRequest:
		return r.GetResourceLogs()[0].GetScopeLogs()[0].GetLogRecords()[0].GetAttributes()[0].GetValue().GetStringValue()
	case *coltrace.ExportTraceServiceRequest:
		return r.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0].GetAttributes()[0].GetValue().GetStringValue()
	case *colmetrics.ExportMetricsServiceRequest:
		return r.GetResourceMetrics()[0].GetScopeMetrics()[0].GetMetrics()[0].GetGauge().GetDataPoints()[0].GetAsInt()
	default:
		return nil
	}
}

func TestOTLP(t *testing.T) {
	for _, protocol := range pipeline.Protocols() {
		t.Run(protocol, func(t *testing.T) {
			var c collector
			sender := pipeline.OTLP{Protocol: protocol, Token: "token", HTTP: http.DefaultClient, Now: time.Now}
			sender.Address = c.overHTTP(t)
			if protocol == pipeline.GRPC {
				sender.Address = c.overGRPC(t)
			}
			for signal, want := range map[string]any{pipeline.Logs: marked.String(), pipeline.Traces: marked.String(), pipeline.Metrics: int64(marked)} {
				c.got = nil
				assert.NilError(t, sender.Send(t.Context(), signal, marked))
				assert.Equal(t, markOf(c.got), want, signal)
			}
			sender.Token = ""
			err := sender.Send(t.Context(), pipeline.Logs, marked)
			assert.ErrorContains(t, err, "no token")
			assert.Assert(t, strings.Contains(err.Error(), "401") || strings.Contains(err.Error(), "Unauthenticated"), err)
		})
	}
}
