package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

const (
	metricsPort = "8428"
	metricsPath = "http://victoriametrics/victoriametrics/snapshot/"
	// A snapshot is made of hard links, but what is in memory is written first.
	snapshotIn = 2 * time.Minute
)

// MetricSnapshots are VictoriaMetrics' own snapshots in a running stack. They are reached through a command in its
// container, since the gateway serves none of it; the key travels in a request's body, so that it is in no argument.
type MetricSnapshots struct {
	http *http.Client
	key  string
}

// snapshotAnswer is what VictoriaMetrics says: docs "How to work with snapshots", lib/storage and app/vmstorage.
type snapshotAnswer struct {
	Status    string   `json:"status"`
	Msg       string   `json:"msg"`
	Snapshot  string   `json:"snapshot"`
	Snapshots []string `json:"snapshots"`
}

// MetricSnapshots finds the running VictoriaMetrics of a stack. key is the one that it was started with.
func (m *Manager) MetricSnapshots(ctx context.Context, name, key string) (*MetricSnapshots, error) {
	id, err := m.running(ctx, name, VictoriaMetrics, "it has no snapshots")
	if err != nil {
		return nil, err
	}
	return &MetricSnapshots{key: key, http: &http.Client{Timeout: snapshotIn, Transport: &http.Transport{
		DisableKeepAlives: true, // each connection is a process in the container
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return m.netcat(ctx, id, "127.0.0.1", metricsPort)
		},
	}}}, nil
}

// Create makes a snapshot, consistent and at once, and returns its name, which is that of its folder.
func (s *MetricSnapshots) Create(ctx context.Context) (string, error) {
	answer, err := s.call(ctx, "create", url.Values{})
	if err != nil {
		return "", err
	}
	if !snapshotName().MatchString(answer.Snapshot) {
		return "", fmt.Errorf("victoriametrics named its snapshot %q", answer.Snapshot)
	}
	return answer.Snapshot, nil
}

// List names the snapshots that are there.
func (s *MetricSnapshots) List(ctx context.Context) ([]string, error) {
	answer, err := s.call(ctx, "list", url.Values{})
	return answer.Snapshots, err
}

// Delete removes a snapshot; what it alone held on the disk is freed.
func (s *MetricSnapshots) Delete(ctx context.Context, snapshot string) error {
	_, err := s.call(ctx, "delete", url.Values{"snapshot": {snapshot}})
	return err
}

func snapshotName() *regexp.Regexp { return regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z-]{0,127}$`) }

func (s *MetricSnapshots) call(ctx context.Context, verb string, form url.Values) (snapshotAnswer, error) {
	var answer snapshotAnswer
	form.Set("authKey", s.key)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, metricsPath+verb, strings.NewReader(form.Encode()))
	if err != nil {
		return answer, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := s.http.Do(request)
	if err != nil {
		return answer, fmt.Errorf("%s a snapshot of victoriametrics: %w", verb, err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return answer, fmt.Errorf("%s a snapshot of victoriametrics: %w", verb, err)
	}
	if response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden {
		return answer, &Error{
			Text:   "victoriametrics does not take this stack's key for snapshots: an earlier release started it",
			Advice: "docker telemetry up brings it up to date",
		}
	}
	if err := json.Unmarshal(raw, &answer); err != nil || response.StatusCode != http.StatusOK || answer.Status != "ok" {
		return answer, fmt.Errorf("%s a snapshot of victoriametrics: it answers %s: %.200s", verb, response.Status, strings.TrimSpace(string(raw)))
	}
	return answer, nil
}
