//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// The gateway must let in what a UI, a report and a client need, and nothing else of the stores.
func TestGateway(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.up("--no-verify")
	t.Run("speaks TLS 1.2 and later, HTTP/2, and redirects plain HTTP", func(t *testing.T) { speaksTLS(t, e) })
	t.Run("sends security headers", func(t *testing.T) { sendsHeaders(t, e) })
	t.Run("refuses pages of another origin", func(t *testing.T) { refusesOtherOrigins(t, e) })
	t.Run("serves VictoriaMetrics' API with a log-in", func(t *testing.T) { servesMetrics(t, e) })
	t.Run("refuses VictoriaMetrics' other endpoints in any spelling", func(t *testing.T) { refusesSpellings(t, e) })
	t.Run("VictoriaMetrics wants keys that nobody has", func(t *testing.T) { storeIsKeyed(t, e) })
	t.Run("proxies no status page", func(t *testing.T) { proxiesNoStatusPage(t, e) })
	t.Run("passes paths unchanged", func(t *testing.T) { passesPathsUnchanged(t, e) })
	t.Run("limits requests", func(t *testing.T) { limitsRequests(t, e) })
}

func speaksTLS(t *testing.T, e *env) {
	for version, works := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		connection, err := e.dialTLS(&tls.Config{MinVersion: version, MaxVersion: version, NextProtos: []string{"h2"}})
		assert.Equal(t, err == nil, works, "%s: %v", tls.VersionName(version), err)
		if err != nil {
			continue
		}
		assert.Equal(t, connection.ConnectionState().NegotiatedProtocol, "h2")
		assert.NilError(t, connection.Close())
	}
	plain, err := net.Dial("tcp", e.address())
	assert.NilError(t, err)
	defer plain.Close()
	response := exchange(t, plain, http.MethodPost, "/grafana/a%2Fb?c=d", "localhost:"+strconv.Itoa(e.port), nil)
	assert.Equal(t, response.StatusCode, http.StatusPermanentRedirect)
	assert.Equal(t, response.Header.Get("Location"), fmt.Sprintf("https://localhost:%d/grafana/a%%2Fb?c=d", e.port))
}

func sendsHeaders(t *testing.T, e *env) {
	for _, path := range []string{"/", "/grafana/login", "/openobserve/web/", "/victoriametrics/api/v1/labels", "/victoriametrics/flags", "/absent"} {
		header := e.request(t, http.MethodGet, path, nil).Header
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "X-Frame-Options": "SAMEORIGIN", "Server": "nginx",
		} {
			assert.Assert(t, slices.Contains(header.Values(name), want), "%s of %s is %q", name, path, header.Values(name))
		}
		// It would hold for all ports of localhost.
		assert.Equal(t, header.Get("Strict-Transport-Security"), "", path)
	}
	first, second := e.request(t, http.MethodGet, "/", nil), e.request(t, http.MethodGet, "/", nil)
	policy := first.Header.Get("Content-Security-Policy")
	assert.Assert(t, strings.Contains(policy, "default-src 'none'") && strings.Contains(policy, "script-src 'nonce-"), policy)
	assert.Assert(t, policy != second.Header.Get("Content-Security-Policy"), "the nonce is used twice")
}

func refusesOtherOrigins(t *testing.T, e *env) {
	for _, tc := range []struct {
		site, mode, dest, method string
		passes                   bool
	}{
		{"", "", "", http.MethodPost, true}, // no browser
		{"same-origin", "cors", "empty", http.MethodPost, true},
		{"same-origin", "websocket", "empty", http.MethodGet, true},
		{"none", "navigate", "document", http.MethodGet, true},
		{"cross-site", "navigate", "document", http.MethodGet, true}, // a link
		{"same-site", "navigate", "document", http.MethodGet, true},
		{"cross-site", "navigate", "document", http.MethodPost, false}, // a form
		{"cross-site", "navigate", "iframe", http.MethodGet, false},
		{"cross-site", "no-cors", "image", http.MethodGet, false},
		{"cross-site", "cors", "empty", http.MethodGet, false},
		{"same-site", "cors", "empty", http.MethodGet, false}, // another port of localhost
		{"same-site", "websocket", "empty", http.MethodGet, false},
		{"cross-site", "cors", "empty", http.MethodOptions, false},
	} {
		header := http.Header{}
		for name, value := range map[string]string{"Sec-Fetch-Site": tc.site, "Sec-Fetch-Mode": tc.mode, "Sec-Fetch-Dest": tc.dest} {
			if value != "" {
				header.Set(name, value)
			}
		}
		response := e.request(t, tc.method, "/victoriametrics/api/v1/labels", header)
		assert.Equal(t, response.StatusCode != http.StatusForbidden, tc.passes, "%+v: %s", tc, response.Status)
	}
}

// servedMetrics are the paths that a report, VMUI or a client uses; the lab's VictoriaMetrics has no VMUI files.
func servedMetrics() []string {
	return []string{
		"api/v1/query?query=up", "api/v1/query_range?query=up&start=-1m&step=15s", "api/v1/series?match[]=up&limit=1", "api/v1/series/count",
		"api/v1/labels", "api/v1/label/job/values", "api/v1/label/a%2Fb/values", "api/v1/label/%D0%B6/values", "api/v1/metadata",
		"api/v1/export?match[]=up&max_rows_per_line=1", "api/v1/export/csv?match[]=up&format=__name__", "api/v1/export/native?match[]=up",
		"api/v1/status/tsdb", "api/v1/status/top_queries", "api/v1/status/active_queries", "api/v1/status/metric_names_stats", "api/v1/status/buildinfo",
		"prometheus/api/v1/query?query=up", "prometheus/api/v1/labels", "federate?match[]=up", "vmui/", "vmui/config.json", "graph/",
	}
}

func servesMetrics(t *testing.T, e *env) {
	for _, path := range servedMetrics() {
		anonymous := e.request(t, http.MethodGet, "/victoriametrics/"+path, nil)
		assert.Equal(t, anonymous.StatusCode, http.StatusUnauthorized, path)
		response := e.request(t, http.MethodGet, "/victoriametrics/"+path, e.basic("victoriametrics"))
		assert.Assert(t, reachedStore(response.Header), path)
		vmui := strings.HasPrefix(path, "vmui/") || strings.HasPrefix(path, "graph/")
		assert.Assert(t, response.StatusCode == http.StatusOK || vmui && response.StatusCode == http.StatusNotFound, "%s: %s", path, response.Status)
	}
	name := "written_through_the_gateway"
	_, err := e.call("victoriametrics", http.MethodPost, "/victoriametrics/api/v1/import/prometheus", name+`{a="b/c é"} 1`+"\n")
	assert.NilError(t, err)
	// Not a query: those leave out what is younger than 30 s.
	eventually(t, 30*time.Second, func() error {
		body, err := e.call("victoriametrics", http.MethodGet, "/victoriametrics/api/v1/export?match[]="+name, "")
		if err == nil && !strings.Contains(body, `"a":"b/c é"`) {
			err = fmt.Errorf("not stored yet: %q", body)
		}
		return err
	})
}

// reachedStore tells VictoriaMetrics' own answers from the gateway's: it names its host in each.
func reachedStore(header http.Header) bool { return header.Get("X-Server-Hostname") != "" }

// keyedMetrics are VictoriaMetrics' endpoints that change it, stop it or show its inside, and want a key.
func keyedMetrics() []string {
	return []string{
		"api/v1/admin/tsdb/delete_series", "tags/delSeries", "snapshot/create", "snapshot/list", "snapshot/delete", "snapshot/delete_all",
		"internal/force_merge", "internal/force_flush", "internal/log_new_series", "internal/resetRollupResultCache",
		"api/v1/admin/status/metric_names_stats/reset", "-/reload", "config", "api/v1/status/config",
		"flags", "metrics", "debug/pprof/", "debug/pprof/heap", "debug/pprof/cmdline", "debug/pprof/profile",
	}
}

// refusedMetrics adds those without a key of their own.
func refusedMetrics() []string {
	return append(keyedMetrics(),
		"", "snapshot", "snapshot/", "health", "-/healthy", "-/ready", "ready", "targets", "api/v1/targets", "service-discovery", "target_response", "target-relabel-debug",
		"api/v1/notifications", "render", "functions", "tags", "metrics/find", "metrics/expand", "metrics/index.json",
		"write", "influx/write", "datadog/api/v1/series", "newrelic/infra/v2/metrics/events/bulk", "zabbixconnector/api/v1/history", "api/put", "vmalert/", "static/",
	)
}

// refusesSpellings tries every refused endpoint in the ways that proxies and servers are known to read differently.
func refusesSpellings(t *testing.T, e *env) {
	prefixes := []string{
		"/victoriametrics/", "/victoriametrics//", "//victoriametrics/", "///victoriametrics///", "/victoriametrics/./", "/./victoriametrics/",
		"/victoriametrics/prometheus/", "/victoriametrics/prometheus//", "/victoriametrics/prometheus/prometheus/", "/victoriametrics/graphite/",
		"/victoriametrics/influx/", "/victoriametrics/select/0/prometheus/", "/victoriametrics/select/0:0/graphite/", "/victoriametrics/insert/0/prometheus/",
		"/victoriametrics/delete/0/prometheus/", "/victoriametrics/admin/", "/victoriametrics/victoriametrics/", "/VICTORIAMETRICS/", "/Victoriametrics/",
		"/victoriametrics/vmui/../", "/victoriametrics/vmui/%2e%2e/", "/victoriametrics/vmui/..%2f", "/victoriametrics/vmui/..%2F", "/victoriametrics/vmui%2f..%2f",
		"/victoriametrics/vmui/.%2e/", "/victoriametrics/vmui/%2E./", "/victoriametrics/vmui/..;/", "/victoriametrics/vmui/..%3b/", "/victoriametrics/vmui/..\\",
		"/victoriametrics/vmui/..%5c", "/victoriametrics/vmui/#/../../", "/victoriametrics/vmui#/../", "/victoriametrics/api/v1/label/../../../",
		"/victoriametrics/api/v1/import/prometheus/metrics/job/../../../../../../../", "/grafana/../victoriametrics/", "/openobserve/%2e%2e/victoriametrics/",
		"/up/../victoriametrics/", "/victoriametrics%2f", "/victoriametrics%2F", "/%76ictoriametrics/", "/victoriametrics;/", "/victoriametrics/;/",
		"/victoriametrics\\", "/victoriametrics/%2F", "/victoriametrics/%00/", "https://localhost/victoriametrics/", "http://victoriametrics:8428/victoriametrics/", "/", "//", "",
	}
	spellings := []func(string) string{
		func(p string) string { return p },
		func(p string) string { return p + "/" },
		func(p string) string { return p + "//" },
		strings.ToUpper,
		func(p string) string { return strings.ReplaceAll(p, "/", "//") },
		func(p string) string { return strings.ReplaceAll(p, "/", "///") },
		func(p string) string { return strings.ReplaceAll(p, "/", "/./") },
		func(p string) string { return strings.ReplaceAll(p, "/", "%2F") },
		func(p string) string { return strings.ReplaceAll(p, "/", "%252f") },
		percentEncode,
		func(p string) string { return percentEncode(percentEncode(p)) },
		func(p string) string { return p + "?authKey=" + e.logins["victoriametrics"][1] },
		func(p string) string { return p + "?match[]=up&authKey=" },
		func(p string) string { return p + ";x=y" },
		func(p string) string { return p + "%00" },
		func(p string) string { return p + "%0a" },
		func(p string) string { return p + "%20" },
		func(p string) string { return p + "#" },
		func(p string) string { return p + "/.." },
		func(p string) string { return p + "/x/../" },
	}
	tried, statuses := 0, map[int]int{}
	connection := e.keptOpen(t)
	for i, endpoint := range refusedMetrics() {
		for j, prefix := range prefixes {
			for k, spelling := range spellings {
				// Every pair for the first, which deletes; for the others every prefix and every spelling.
				if i > 0 && j > 0 && k > 0 || endpoint == "" && servesBelow(prefix) {
					continue
				}
				method, target := []string{http.MethodGet, http.MethodPost}[tried%2], prefix+spelling(endpoint)
				response := connection.exchange(t, method, target, e.basic("victoriametrics"))
				tried++
				statuses[response.StatusCode]++
				if reachedStore(response.Header) {
					t.Errorf("%s %q reached VictoriaMetrics: %s", method, target, response.Status)
				}
			}
		}
	}
	t.Logf("tried %d requests, answers by status: %v", tried, statuses)
	assert.Assert(t, statuses[http.StatusForbidden] > 0 && statuses[http.StatusBadRequest] > 0, "%v", statuses)
}

// servesBelow tells where no endpoint at all is no spelling of a refused one, but the name of something served.
func servesBelow(prefix string) bool {
	return strings.Contains(prefix, "/vmui") || strings.Contains(prefix, "/metrics/job/") || prefix == ""
}

func percentEncode(text string) string {
	var out strings.Builder
	for _, char := range []byte(text) {
		fmt.Fprintf(&out, "%%%02x", char)
	}
	return out.String()
}

// storeIsKeyed asks from inside, where no gateway refuses, with the right password and with it as the key.
func storeIsKeyed(t *testing.T, e *env) {
	password := e.logins["victoriametrics"][1]
	var requests []rawRequest
	for _, endpoint := range keyedMetrics() {
		for _, query := range []string{"", "?authKey=", "?authKey=" + password, "?authKey=secret"} {
			requests = append(requests, rawRequest{http.MethodPost, "/victoriametrics/" + endpoint + query, e.basic("victoriametrics")})
		}
	}
	requests = append(requests, rawRequest{http.MethodGet, "/victoriametrics/api/v1/labels", e.basic("victoriametrics")})
	responses := e.inside(t, "pipeline", "victoriametrics:8428", requests)
	last := len(requests) - 1
	assert.Equal(t, responses[last].StatusCode, http.StatusOK, "the password is right")
	for i, request := range requests[:last] {
		assert.Equal(t, responses[i].StatusCode, http.StatusUnauthorized, request.target)
	}
	t.Logf("tried %d requests", last)
}

func proxiesNoStatusPage(t *testing.T, e *env) {
	for _, target := range []string{
		"/grafana/metrics", "/grafana/metrics/plugins/x", "/grafana/%6detrics", "/grafana//metrics", "/grafana/metrics/", "/grafana/x/../metrics", "/grafana/api/health", "/grafana/healthz",
		"/grafana/debug/pprof/", "/openobserve/metrics", "/openobserve/%6Detrics", "/openobserve//metrics", "/openobserve/./metrics", "/openobserve/healthz", "/openobserve/schedulez",
		"/openobserve/config/reload", "/openobserve/node/status", "/openobserve/node/drain", "/openobserve/debug/profile/cpu", "/openobserve/proxy/default/http://victoriametrics:8428/",
		"/status", "/stub_status", "/nginx_status", "/up/grafana", "/up/victoriametrics", "/up/", "/health/grafana", "/metrics", "/debug/pprof/", "/server-status",
	} {
		response := e.keptOpen(t).exchange(t, http.MethodGet, target, e.basic("openobserve"))
		assert.Assert(t, slices.Contains([]int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound}, response.StatusCode), "%s: %s", target, response.Status)
		assert.Assert(t, strings.Contains(response.body, "nginx") || strings.Contains(response.body, "not served through the gateway"), "%s came from behind the gateway: %s", target, response.body)
	}
}

// passesPathsUnchanged puts a server in Grafana's place that answers with the path as it got it.
func passesPathsUnchanged(t *testing.T, e *env) {
	echo := `pid /tmp/e.pid; events {} http { client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;
		server { listen 3000; location / { return 200 "echo $request_method $request_uri"; } location = /grafana/api/health { return 200 ok; } } }`
	e.docker("stop", e.name+"-grafana-1")
	image := e.docker("inspect", "--format", "{{.Config.Image}}", e.name+"-gateway-1")
	id := e.docker("run", "-d", "--network", e.name+"_pipeline", "--network-alias", "grafana", "--entrypoint", "sh", image,
		"-c", `printf '%s' "$1" >/tmp/echo.conf && exec nginx -c /tmp/echo.conf -g 'daemon off;'`, "sh", echo)
	defer e.docker("start", e.name+"-grafana-1")
	defer e.docker("rm", "-f", id)
	eventually(t, time.Minute, func() error {
		if body := e.keptOpen(t).exchange(t, http.MethodGet, "/grafana/x", nil).body; body != "echo GET /grafana/x" {
			return fmt.Errorf("the gateway does not know the new address yet: %.100q", body)
		}
		return nil
	})
	for _, target := range []string{
		"/grafana/a%2Fb", "/grafana/a%2fb/c", "/grafana/queues/%2F/q1", "/grafana/a%20b", "/grafana/a+b", "/grafana/a%2Bb", "/grafana/%C3%A9", "/grafana/é", "/grafana/%25", "/grafana/a//b",
		"/grafana/a;b=c", "/grafana/?q=a%2Fb+c%20d&e=%26", "/grafana/?", "/grafana/a.b/...", "/grafana/~a/@b/$c/!d/'e/(f)/*g/,h/=i/:j", "/grafana/%E2%9C%93?%E2%9C%93=%F0%9F%90%B3", "/grafana/a..b/..c/d..",
	} {
		assert.Equal(t, e.keptOpen(t).exchange(t, http.MethodGet, target, nil).body, "echo GET "+target)
	}
	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions} {
		assert.Equal(t, e.keptOpen(t).exchange(t, method, "/grafana/api/x", nil).body, "echo "+method+" /grafana/api/x")
	}
}

func limitsRequests(t *testing.T, e *env) {
	header := e.basic("victoriametrics")
	header.Set("Content-Length", strconv.Itoa(33<<20))
	response := e.keptOpen(t).exchange(t, http.MethodPost, "/victoriametrics/api/v1/import", header)
	assert.Equal(t, response.StatusCode, http.StatusRequestEntityTooLarge)

	// One address may send 200 at once and 50 each second after.
	statuses := map[int]int{}
	connection := e.keptOpen(t)
	for range 2000 {
		statuses[connection.exchange(t, http.MethodGet, "/victoriametrics/api/v1/labels", nil).StatusCode]++
	}
	t.Logf("answers by status: %v", statuses)
	assert.Assert(t, statuses[http.StatusUnauthorized] >= 200 && statuses[http.StatusTooManyRequests] > 0, "%v", statuses)
}

func (e *env) address() string { return "127.0.0.1:" + strconv.Itoa(e.port) }

// dialTLS opens a connection that is checked against the scenario's CA.
func (e *env) dialTLS(config *tls.Config) (*tls.Conn, error) {
	e.t.Helper()
	pem, err := os.ReadFile(filepath.Join(e.home, "state", "docker-telemetry", "ca", "ca.crt"))
	assert.NilError(e.t, err)
	config.RootCAs = x509.NewCertPool()
	assert.Assert(e.t, config.RootCAs.AppendCertsFromPEM(pem))
	config.ServerName = "localhost"
	return tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", e.address(), config)
}

// basic is the header of a log-in.
func (e *env) basic(login string) http.Header {
	e.t.Helper()
	if e.logins == nil {
		e.logins = e.credentials()
	}
	request := http.Request{Header: http.Header{}}
	request.SetBasicAuth(e.logins[login][0], e.logins[login][1])
	return request.Header
}

// answer is a response that was read to its end.
type answer struct {
	*http.Response
	body string
}

// request sends one request as Go's client does; the body is read and dropped.
func (e *env) request(t *testing.T, method, path string, header http.Header) *http.Response {
	t.Helper()
	return e.keptOpen(t).exchange(t, method, path, header).Response
}

// rawConn sends request targets as they are: Go's client would clean them. It opens a new connection where the other
// side closed the last one, as nginx does after a malformed request.
type rawConn struct {
	e        *env
	sessions tls.ClientSessionCache // thousands of full handshakes take long
	conn     *tls.Conn
}

func (e *env) keptOpen(t *testing.T) *rawConn {
	t.Helper()
	c := &rawConn{e: e, sessions: tls.NewLRUClientSessionCache(0)}
	t.Cleanup(c.close)
	return c
}

func (c *rawConn) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

func (c *rawConn) exchange(t *testing.T, method, target string, header http.Header) answer {
	t.Helper()
	if c.conn == nil {
		var err error
		c.conn, err = c.e.dialTLS(&tls.Config{MinVersion: tls.VersionTLS12, ClientSessionCache: c.sessions})
		assert.NilError(t, err)
	}
	response := exchange(t, c.conn, method, target, "localhost", header)
	if response.Close {
		c.close()
	}
	return response
}

func exchange(t *testing.T, conn net.Conn, method, target, host string, header http.Header) answer {
	t.Helper()
	assert.NilError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	_, err := conn.Write(rawRequest{method, target, header}.bytes(host, false))
	assert.NilError(t, err)
	response, err := readAnswer(bufio.NewReader(conn), method)
	assert.NilError(t, err, "%s %q", method, target)
	return response
}

func readAnswer(reader *bufio.Reader, method string) (answer, error) {
	response, err := http.ReadResponse(reader, &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response, string(body)}, err
}

// rawRequest is a request whose target is sent as it is.
type rawRequest struct {
	method, target string
	header         http.Header
}

func (r rawRequest) bytes(host string, last bool) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.method, r.target, host)
	if r.method != http.MethodGet && r.header.Get("Content-Length") == "" {
		fmt.Fprint(&out, "Content-Length: 0\r\n")
	}
	if last {
		fmt.Fprint(&out, "Connection: close\r\n")
	}
	_ = r.header.Write(&out)
	fmt.Fprint(&out, "\r\n")
	return out.Bytes()
}

// inside sends requests from a container on one of the stack's networks; an answer stands at its request's place. A
// connection that the other side closes early is opened again for the rest.
func (e *env) inside(t *testing.T, network, address string, requests []rawRequest) []answer {
	t.Helper()
	var answers []answer
	for len(answers) < len(requests) {
		got := e.insideOnce(t, network, address, requests[len(answers):])
		assert.Assert(t, len(got) > 0, "no answer from %s to %+v", address, requests[len(answers)])
		answers = append(answers, got...)
	}
	return answers
}

func (e *env) insideOnce(t *testing.T, network, address string, requests []rawRequest) []answer {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	assert.NilError(t, err)
	// An answer without an end would keep it for ever.
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	id := e.docker("create", "-i", "--network", e.name+"_"+network, busybox, "nc", host, port)
	defer e.docker("rm", "-f", id)
	cmd := e.command(ctx, "docker", "start", "-a", "-i", id)
	stdin, err := cmd.StdinPipe()
	assert.NilError(t, err)
	stdout, err := cmd.StdoutPipe()
	assert.NilError(t, err)
	cmd.Stderr = os.Stderr
	assert.NilError(t, cmd.Start())
	defer func() {
		_ = stdin.Close()
		var exit *exec.ExitError
		if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
			t.Error(err)
		}
	}()
	reader := bufio.NewReader(stdout)
	var answers []answer
	for i, request := range requests {
		last := i == len(requests)-1
		if _, err := stdin.Write(request.bytes(host, last)); err != nil {
			return answers
		}
		response, err := readAnswer(reader, request.method)
		if err != nil {
			return answers
		}
		answers = append(answers, response)
		if response.Close {
			return answers
		}
	}
	return answers
}
