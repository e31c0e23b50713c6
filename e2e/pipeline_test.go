//go:build e2e

package e2e

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// A line that a container writes must be searchable within 5 s, after `up` and nothing else.
func TestLogArrives(t *testing.T) {
	e := newEnv(t)
	e.up()
	marker := "marker-" + rand.Text()
	id := e.docker("run", "-d", "--network", "none", busybox, "echo", marker)
	written := time.Now()
	t.Cleanup(func() { e.docker("rm", "-f", id) })
	eventually(t, 5*time.Second, func() error {
		return e.hasOneLine(marker)
	})
	t.Logf("a log line was searchable after %s", time.Since(written).Round(time.Millisecond))
}

// A scraped metric must arrive in VictoriaMetrics, after `up` and nothing else.
func TestMetricArrives(t *testing.T) {
	e := newEnv(t)
	e.up()
	eventually(t, 60*time.Second, func() error {
		body := e.get("victoriametrics", "/victoriametrics/api/v1/query?query=node_uname_info%7Bjob%3D%22node-exporter%22%7D")
		var answer struct{ Data struct{ Result []any } }
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			return fmt.Errorf("%w: %s", err, body)
		}
		if len(answer.Data.Result) == 0 {
			return fmt.Errorf("no series: %s", body)
		}
		return nil
	})
}

// After each scaling the balancer must send to every live replica and to no other, and logs must still arrive.
func TestScale(t *testing.T) {
	e := newEnv(t)
	e.up()
	for _, replicas := range []int{5, 1} {
		e.ok(e.telemetry("scale", fmt.Sprintf("aggregator=%d", replicas)))
		ready := 0
		for _, component := range e.status().Components {
			if component.Name == "aggregator" {
				ready = component.Ready
			}
		}
		assert.Equal(t, ready, replicas)
	}
	e.up()
	assert.Equal(t, len(e.ids(e.name)), 9, "the scale is remembered")
}

// A second `up` must recreate nothing.
func TestUpTwice(t *testing.T) {
	e := newEnv(t)
	e.up()
	before := e.ids(e.name)
	e.up()
	assert.DeepEqual(t, e.ids(e.name), before)
}

// `down` must keep the volumes and touch nothing foreign; `down --volumes` must remove exactly its own.
func TestDown(t *testing.T) {
	e := newEnv(t)
	foreign := e.docker("volume", "create", e.name+"_foreign")
	t.Cleanup(func() { e.docker("volume", "rm", foreign) })
	e.up("--no-verify")
	e.ok(e.telemetry("down"))
	assert.Equal(t, len(e.ids(e.name)), 0)
	assert.Equal(t, e.volumes(), 5)
	e.ok(e.telemetry("down", "--volumes", "--yes"))
	assert.Equal(t, e.volumes(), 1, "the foreign volume alone is left")
}

// A taken port must be refused before anything is made, with its owner and a way out.
func TestPortTaken(t *testing.T) {
	e := newEnv(t)
	id := e.docker("run", "-d", "-p", fmt.Sprintf("127.0.0.1:%d:80", e.port), busybox, "sleep", "60")
	t.Cleanup(func() { e.docker("rm", "-f", id) })
	r := e.fails(e.telemetry("up", "--port", strconv.Itoa(e.port)), 1)
	assert.Equal(t, len(e.ids(e.name)), 0)
	assert.Assert(t, strings.Contains(r.stderr, "is taken by container"), r.stderr)
	assert.Assert(t, strings.Contains(r.stderr, fmt.Sprintf("hint: choose another: docker telemetry up --port %d", e.port+1)), r.stderr)
}

func (e *env) volumes() int {
	e.t.Helper()
	return len(strings.Fields(e.docker("volume", "ls", "-q", "--filter", "name="+e.name+"_")))
}

// hasOneLine asks OpenObserve, through the gateway, for the records with a message; the error says what it answered.
func (e *env) hasOneLine(message string) error {
	e.t.Helper()
	now := time.Now()
	query := fmt.Sprintf(`{"query":{"sql":"SELECT * FROM \"docker\" WHERE message = '%s'","start_time":%d,"end_time":%d,"from":0,"size":10}}`,
		message, now.Add(-time.Hour).UnixMicro(), now.Add(time.Hour).UnixMicro())
	body := e.call("openobserve", http.MethodPost, "/openobserve/api/default/_search?type=logs", query)
	var answer struct{ Hits []any }
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return fmt.Errorf("%w: %s", err, body)
	}
	if len(answer.Hits) != 1 {
		return fmt.Errorf("%d lines with the marker: %.300s", len(answer.Hits), body)
	}
	return nil
}

func (e *env) get(login, path string) string { return e.call(login, http.MethodGet, path, "") }

// call asks the gateway with TLS checked against the CA of this scenario's state, and a log-in.
func (e *env) call(login, method, path, body string) string {
	e.t.Helper()
	var shown struct {
		Credentials []struct{ Name, User, Password string }
	}
	assert.NilError(e.t, json.Unmarshal([]byte(e.ok(e.telemetry("credentials", "show", "--format", "json")).stdout), &shown))
	ca, err := filepath.Glob(filepath.Join(e.home, "state", "docker-telemetry", "ca", "ca.crt"))
	assert.NilError(e.t, err)
	assert.Equal(e.t, len(ca), 1)
	pem, err := os.ReadFile(ca[0])
	assert.NilError(e.t, err)
	pool := x509.NewCertPool()
	assert.Assert(e.t, pool.AppendCertsFromPEM(pem))
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(e.t.Context(), method, fmt.Sprintf("https://localhost:%d%s", e.port, path), strings.NewReader(body))
	assert.NilError(e.t, err)
	request.Header.Set("Content-Type", "application/json")
	for _, one := range shown.Credentials {
		if one.Name == login {
			request.SetBasicAuth(one.User, one.Password)
		}
	}
	response, err := client.Do(request)
	assert.NilError(e.t, err)
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	assert.NilError(e.t, err)
	return string(raw)
}
