package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	kindLogs    = "logs"
	kindMetrics = "metrics"
	kindTraces  = "traces"

	errorTimestamp = "timestamp_parsing_failed"
	errorSchema    = "schema_conformance_failed"
)

// recordStatus is one element of status[] in an ingestion answer.
type recordStatus struct {
	Name       string `json:"name"`
	Successful int    `json:"successful"`
	Failed     int    `json:"failed"`
	Error      string `json:"error,omitempty"`
}

type ingestResponse struct {
	Code   int            `json:"code"`
	Status []recordStatus `json:"status,omitempty"`
}

// decodeArray reads the body of _json: an array of records or a single one.
func decodeArray(body []byte) ([]any, error) {
	v, err := decodeValue(body)
	if err != nil {
		return nil, err
	}
	if list, ok := v.([]any); ok {
		return list, nil
	}
	return []any{v}, nil
}

// decodeLines reads the body of _multi. One bad line refuses the whole request.
func decodeLines(body []byte) ([]any, error) {
	var out []any
	for line := range bytes.Lines(body) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		v, err := decodeValue(line)
		if err != nil {
			return nil, fmt.Errorf("Failed processing: %w", err) //nolint:staticcheck // the real server's words
		}
		out = append(out, v)
	}
	return out, nil
}

func decodeValue(raw []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("trailing characters")
	}
	return v, nil
}

// ingestLogs takes decoded records into a log stream. Records that are refused are counted in the status; the answer is
// 200 whatever their number, as in the real server.
func (s *server) ingestLogs(org, rawName string, items []any) (recordStatus, error) {
	status := recordStatus{Name: formatStreamName(rawName)}
	if status.Name == "" {
		return status, errors.New("Stream name is empty") //nolint:staticcheck // the real server's words
	}
	key := streamKey{org: org, kind: kindLogs, name: status.Name}
	span := newWindow(s.cfg, s.now())
	var records []record
	for _, item := range items {
		flat, err := flatten(item, s.cfg.flattenLevel)
		if err != nil {
			status.fail(err)
			continue
		}
		ts, err := span.stamp(flat)
		if err != nil {
			status.fail(err)
			s.metrics.ingestErrors.WithLabelValues(org, kindLogs, key.name, errorTimestamp).Inc()
			continue
		}
		records = append(records, record{ts: ts, fields: flat})
	}
	n, err := s.write(key, records)
	status.Successful = n
	return status, err
}

func (r *recordStatus) fail(err error) {
	r.Failed++
	r.Error = err.Error()
}

// write stores one stream's records and returns how many were taken. A batch with more columns than allowed is dropped
// as a whole and without a trace in the status: the real server only logs it.
func (s *server) write(key streamKey, records []record) (int, error) {
	if len(records) == 0 {
		return 0, nil
	}
	if n := countColumns(records); n > s.cfg.colsLimit {
		s.metrics.ingestErrors.WithLabelValues(key.org, key.kind, key.name, errorSchema).Inc()
		fmt.Fprintf(s.log, "Error while writing %s: Got %d columns for stream %s/%s/%s, only %d columns accept. Data discarded. "+
			"You can adjust ingestion columns limit by setting the environment variable ZO_COLS_PER_RECORD_LIMIT=<max_columns>\n",
			key.kind, n, key.org, key.kind, key.name, s.cfg.colsLimit)
		return 0, nil
	}
	st, err := s.store.create(key)
	if err != nil {
		return 0, err
	}
	written, err := st.append(records)
	if err != nil {
		return 0, err
	}
	s.metrics.ingestRecords.WithLabelValues(key.org, key.kind).Add(float64(len(records)))
	s.metrics.ingestBytes.WithLabelValues(key.org, key.kind).Add(float64(written))
	return len(records), nil
}

func countColumns(records []record) int64 {
	names := map[string]struct{}{}
	for _, r := range records {
		for name := range r.fields {
			names[name] = struct{}{}
		}
	}
	return int64(len(names))
}

// observe counts one API request under the endpoint name of the real server.
func (s *server) observe(endpoint, status, org, kind string, started time.Time) {
	s.metrics.requests.WithLabelValues(endpoint, status, org, kind, "", "").Inc()
	s.metrics.responseTime.WithLabelValues(endpoint, status, org, kind, "", "").Observe(time.Since(started).Seconds())
}

func orDefault(v, fallback string) string {
	if strings.TrimSpace(v) == "" {
		return fallback
	}
	return v
}
