//go:build e2e

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gotest.tools/v3/assert"
)

// hasOneLine says, as an error, that OpenObserve does not have exactly one record with a message.
func (e *env) hasOneLine(message string) error {
	e.t.Helper()
	found, err := e.lines(message)
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("%d lines %q: %v", len(found), message, found)
	}
	return err
}

// hasLine is for what may come more than once.
func (e *env) hasLine(message string) error {
	e.t.Helper()
	found, err := e.lines(message)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("no line %q", message)
	}
	return err
}

// lines are the records with a message in OpenObserve.
func (e *env) lines(message string) ([]map[string]any, error) {
	e.t.Helper()
	return e.search("logs", fmt.Sprintf(`SELECT * FROM "docker" WHERE message = '%s'`, message))
}

// series is one answer of a PromQL query: its labels.
type series map[string]string

// metrics runs an instant PromQL query on VictoriaMetrics, through the gateway. By itself the store leaves out the last 30 s
// (-search.latencyOffset), for which each scenario would wait.
func (e *env) metrics(query string) ([]series, error) {
	e.t.Helper()
	body, err := e.call("victoriametrics", http.MethodGet, "/victoriametrics/api/v1/query?latency_offset=1ms&query="+url.QueryEscape(query), "")
	if err != nil {
		return nil, err
	}
	var answer struct {
		Status string
		Error  string
		Data   struct{ Result []struct{ Metric series } }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return nil, fmt.Errorf("%w: %s", err, body)
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("query %s: %s", query, answer.Error)
	}
	var found []series
	for _, result := range answer.Data.Result {
		found = append(found, result.Metric)
	}
	return found, nil
}

// hasSeries says, as an error, that a query finds nothing.
func (e *env) hasSeries(query string) error {
	e.t.Helper()
	found, err := e.metrics(query)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("no series: %s", query)
	}
	return err
}

// call asks the gateway with TLS checked against the CA of this scenario's state, and a log-in.
// The error is the transport's: a store may not be there while it is recreated.
func (e *env) call(login, method, path, body string) (string, error) {
	e.t.Helper()
	text, _, err := e.ask(login, method, path, body)
	return text, err
}

// ask is call with the status of the answer; no login is none.
func (e *env) ask(login, method, path, body string) (answer string, status int, err error) {
	e.t.Helper()
	if e.client == nil {
		e.client, e.logins = e.newClient(), e.credentials()
	}
	request, err := http.NewRequestWithContext(e.t.Context(), method, fmt.Sprintf("https://localhost:%d%s", e.port, path), strings.NewReader(body))
	assert.NilError(e.t, err)
	request.Header.Set("Content-Type", "application/json")
	if login != "" {
		request.SetBasicAuth(e.logins[login][0], e.logins[login][1])
	}
	response, err := e.client.Do(request)
	if err != nil {
		return "", 0, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	return string(raw), response.StatusCode, err
}

func (e *env) newClient() *http.Client {
	e.t.Helper()
	pem, err := os.ReadFile(filepath.Join(e.home, "state", "docker-telemetry", "ca", "ca.crt"))
	assert.NilError(e.t, err)
	pool := x509.NewCertPool()
	assert.Assert(e.t, pool.AppendCertsFromPEM(pem))
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	e.t.Cleanup(client.CloseIdleConnections)
	return client
}

// credentials are user and password by the name of the log-in.
func (e *env) credentials() map[string][2]string {
	e.t.Helper()
	var shown struct {
		Credentials []struct{ Name, User, Password string }
	}
	assert.NilError(e.t, json.Unmarshal([]byte(e.ok(e.telemetry("credentials", "show", "--format", "json")).stdout), &shown))
	logins := map[string][2]string{}
	for _, one := range shown.Credentials {
		logins[one.Name] = [2]string{one.User, one.Password}
	}
	return logins
}
