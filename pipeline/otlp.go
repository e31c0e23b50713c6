package pipeline

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Signals of OTLP.
const (
	Logs    = "logs"
	Metrics = "metrics"
	Traces  = "traces"
)

// OTLP sends marked events as an application does: OTLP over HTTP, in the JSON of its specification ("OTLP/HTTP",
// "JSON Protobuf Encoding": ids are hexadecimal, 64-bit integers are strings).
type OTLP struct {
	Endpoint string // without a final slash: "https://localhost:4318"
	Token    string // bearer token, "" for none
	HTTP     *http.Client
	Now      func() time.Time
}

// Names of what a probe leaves in the stores.
const (
	// ProbeService is service.name of a probe, and so the label job of its metric.
	ProbeService = "docker-telemetry"
	// ProbeMetric is a gauge whose value is the mark: a label would make a series of each probe.
	ProbeMetric = "telemetry.probe"
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
	body, err := json.Marshal(o.body(signal, mark))
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, o.Endpoint+"/v1/"+signal, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
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

type object = map[string]any

func (o OTLP) body(signal string, mark Mark) object {
	now := strconv.FormatInt(o.Now().UnixNano(), 10)
	resource := object{"attributes": []object{
		attribute("service.name", ProbeService), attribute("service.instance.id", "probe"),
	}}
	marked := []object{attribute(ProbeAttribute, mark.String())}
	switch signal {
	case Logs:
		record := object{
			"timeUnixNano": now, "observedTimeUnixNano": now, "severityNumber": 9, "severityText": "INFO",
			"body": object{"stringValue": "a probe of docker telemetry"}, "attributes": marked,
		}
		return object{"resourceLogs": []object{{"resource": resource, "scopeLogs": []object{{"logRecords": []object{record}}}}}}
	case Traces:
		span := object{
			"traceId": randomHex(16), "spanId": randomHex(8), "name": "probe", "kind": 1,
			"startTimeUnixNano": now, "endTimeUnixNano": now, "attributes": marked,
		}
		return object{"resourceSpans": []object{{"resource": resource, "scopeSpans": []object{{"spans": []object{span}}}}}}
	default:
		point := object{"timeUnixNano": now, "asInt": mark.String()}
		metric := object{"name": ProbeMetric, "gauge": object{"dataPoints": []object{point}}}
		return object{"resourceMetrics": []object{{"resource": resource, "scopeMetrics": []object{{"metrics": []object{metric}}}}}}
	}
}

func attribute(key, value string) object {
	return object{"key": key, "value": object{"stringValue": value}}
}

func randomHex(length int) string {
	raw := make([]byte, length)
	_, _ = rand.Read(raw) // never fails
	return hex.EncodeToString(raw)
}
