package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/klauspost/compress/snappy"
	"google.golang.org/protobuf/encoding/protowire"
)

// PrometheusVariable of the environment names the program to run.
const PrometheusVariable = "PROMETHEUS"

// ErrNoPrometheus is for an environment without PrometheusVariable.
var ErrNoPrometheus = errors.New("no Prometheus is named: set PROMETHEUS to the program that hack/prometheus.sh prints")

// Prometheus is one that is written to and reads nothing.
type Prometheus struct {
	// WebConfig of https://prometheus.io/docs/prometheus/latest/configuration/https/ with TLS, "" for none, and who gets in.
	WebConfig string
	HTTPS     *http.Client
}

// Start runs the program that PrometheusVariable names with a new folder below parent ("" for the system's), and waits until it
// answers. When ctx ends the process is killed; Stop is needed all the same.
func (p Prometheus) Start(ctx context.Context, parent string) (*Store, error) {
	path := os.Getenv(PrometheusVariable)
	if path == "" {
		return nil, ErrNoPrometheus
	}
	return start(ctx, parent, program{name: "Prometheus", path: path, health: "/-/ready", https: p.HTTPS, arguments: p.arguments})
}

func (p Prometheus) arguments(s *Store, address string) ([]string, error) {
	config, web := filepath.Join(s.dir, "prometheus.yml"), filepath.Join(s.dir, "web.yml")
	return []string{
		"--config.file=" + config, "--storage.tsdb.path=" + s.Data, "--web.listen-address=" + address, "--web.config.file=" + web,
		"--web.enable-remote-write-receiver", "--log.level=warn",
	}, errors.Join(os.WriteFile(config, nil, 0o600), os.WriteFile(web, []byte(p.WebConfig), 0o600))
}

// RemoteWrite writes series with one sample in their order. They are found when it returns.
// https://prometheus.io/docs/specs/prw/remote_write_spec/
func (s *Store) RemoteWrite(ctx context.Context, series []map[string]string, at time.Time) error {
	var message []byte
	for _, labels := range series {
		message = appendMessage(message, 1, timeSeries(labels, at))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/api/v1/write", bytes.NewReader(snappy.Encode(nil, message)))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-protobuf")
	request.Header.Set("Content-Encoding", "snappy")
	request.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	response, err := s.HTTP.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNoContent {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	return errors.Join(err, fmt.Errorf("remote write answered %d: %s", response.StatusCode, text))
}

// timeSeries has its labels sorted, as the specification asks for.
func timeSeries(labels map[string]string, at time.Time) []byte {
	var message []byte
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		label := appendMessage(appendMessage(nil, 1, []byte(name)), 2, []byte(labels[name]))
		message = appendMessage(message, 1, label)
	}
	sample := protowire.AppendTag(nil, 1, protowire.Fixed64Type)
	sample = protowire.AppendFixed64(sample, math.Float64bits(1))
	sample = protowire.AppendTag(sample, 2, protowire.VarintType)
	sample = protowire.AppendVarint(sample, uint64(at.UnixMilli())) //nolint:gosec // after 1970
	return appendMessage(message, 2, sample)
}

func appendMessage(to []byte, field protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, field, protowire.BytesType), content)
}
