//go:build store

package plugin

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics/storetest"
)

// someSeries of one metric have those of another between them, labels with capitals, and a histogram.
func someSeries() []map[string]string {
	var all []map[string]string
	for i := range 300 {
		zone := fmt.Sprintf("z%d", i%3)
		all = append(all,
			map[string]string{"__name__": "orders_total", "job": "shop", "Zone": zone, "user_id": strconv.Itoa(100000 + 7919*i)},
			map[string]string{
				"__name__": "requests_total", "job": "shop", "Zone": zone, "container_id": fmt.Sprintf("c%d", i), "pod": fmt.Sprintf("p%d", i),
			})
		for _, le := range []string{"0.1", "1", "+Inf"} {
			if i < 20 {
				all = append(all, map[string]string{"__name__": "latency_bucket", "job": "web", "le": le, "path": fmt.Sprintf("/u/%d", i)})
			}
		}
	}
	return all
}

func startPrometheus(ctx context.Context, t *testing.T, options storetest.Prometheus) *storetest.Store {
	t.Helper()
	store, err := options.Start(ctx, t.TempDir())
	assert.NilError(t, err)
	t.Cleanup(func() { assert.NilError(t, store.Stop()) })
	assert.NilError(t, store.RemoteWrite(ctx, someSeries(), time.Now()))
	return store
}

// TestStorePrometheusReport has the program report on a real Prometheus: each figure is there, or a line says why not.
func TestStorePrometheusReport(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	store := startPrometheus(ctx, t, storetest.Prometheus{})
	on := func(args ...string) reported { return runReportOn(t, store.URL, victoriametrics.Limits{}, args...) }

	t.Run("all", func(t *testing.T) {
		got := on("--format", "json")
		assert.Equal(t, got.code, exitDone, got.stderr)
		var report cardinality.Report
		assert.NilError(t, json.Unmarshal([]byte(got.stdout), &report))
		assert.Equal(t, report.Summary.Series, 300+300+60)
		assert.Equal(t, *report.Summary.ActiveSeries, float64(report.Summary.Series))
		assert.Equal(t, *report.Summary.LabelPairs, 300*4+300*5+60*4)
		assert.Equal(t, report.Findings[0].Metric+" "+report.Findings[0].Code, "orders_total "+cardinality.UnboundedLabel)
		assert.Equal(t, report.Findings[0].Saved, 297)
		assert.Equal(t, report.LabelNames[0].Name, "container_id")
		assert.Equal(t, report.LabelNames[0].Series, 300)
		assert.Equal(t, *report.LabelNames[0].Values, 300)
		assert.DeepEqual(t, report.Sources[0].Label+"="+report.Sources[0].Value, "job=shop")
		assert.Equal(t, report.Sources[0].Series, 600)
	})
	for _, tc := range []struct {
		args          []string
		code          int
		about, stderr string
	}{
		{args: nil, about: "what queries have read: this store does not tell"},
		{args: nil, about: "new series, samples a second and limits: only VictoriaMetrics tells them"},
		{args: nil, about: "the days before: this store counts its last hours only"},
		{args: []string{"--since", "1h"}, about: "--since: reports on another store are not remembered"},
		{args: []string{"--date", time.Now().UTC().Format(time.DateOnly)}, about: "00:00 to 23:59 UTC"},
		{args: []string{"--date", "2020-02-03"}, about: "There is none."},
		{args: []string{"--match", `orders_total{Zone="z1"}`}, about: "who sends the series: this store counts all of its last hours only"},
		{args: []string{"--metric", "latency_bucket"}, about: "part of the metric"},
		{args: []string{"--metric", "nothing"}, code: exitFailed, stderr: `there is no series of "nothing"`},
		{args: []string{"--unused"}, code: exitUnchecked, stderr: "--unused: this store does not tell what queries have read"},
		{args: []string{"--max-churn", "0.5"}, code: exitUnchecked, stderr: "--max-churn: the store does not tell its new series"},
		{args: []string{"--max-series", "100"}, code: exitFindings, stderr: "660 series are more than --max-series 100"},
		{args: []string{"--match", `{job=`}, code: exitUsage, stderr: "--match takes a selector"},
		{args: []string{"--match", `{}`}, code: exitUnchecked, stderr: "hint: see whether --match"},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			got := on(tc.args...)
			assert.Equal(t, got.code, tc.code, got.stderr)
			assert.Assert(t, strings.Contains(got.stdout, tc.about), got.stdout)
			assert.Assert(t, strings.Contains(got.stderr, tc.stderr), got.stderr)
			assertOneError(t, got)
		})
	}
}

// assertOneError: an error is one line, and what helps another.
func assertOneError(t *testing.T, got reported) {
	t.Helper()
	if got.code != exitDone {
		assert.Equal(t, strings.Count(got.stderr, "error: "), 1, got.stderr)
		assert.Assert(t, strings.Count(got.stderr, "hint: ") <= 1, got.stderr)
		assertPlain(t, got.stderr)
	}
}

const (
	thePassword = "storepass"
	// Its bcrypt hash, cost 4.
	theHash = "$2a$04$cSpFpNRMGDHgHgGV3S.OJuDSbp4EreXuoRjjCtoIfP4wwgQvVpDKe"
)

// TestStorePrometheusLogIn has a real Prometheus ask for TLS and a password, and a front of a test for a token.
func TestStorePrometheusLogIn(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	authority := newAuthority(t)
	certificate, key := fileWith(t, authority.certificate), fileWith(t, authority.key)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(authority.certificate))
	https := &http.Client{Transport: withPassword{&http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}}
	store := startPrometheus(ctx, t, storetest.Prometheus{
		HTTPS:     https,
		WebConfig: fmt.Sprintf("tls_server_config: {cert_file: %q, key_file: %q}\nbasic_auth_users: {me: %q}\n", certificate, key, theHash),
	})
	front := httptest.NewServer(tokenFront(t, store))
	defer front.Close()
	password, wrong, token := fileWith(t, thePassword+"\n"), fileWith(t, "wrong"), fileWith(t, aToken)
	other := fileWith(t, newAuthority(t).certificate)
	plain := strings.Replace(store.URL, "https:", "http:", 1)
	for _, tc := range []struct {
		name        string
		url         string
		args        []string
		code        int
		error, hint string
	}{
		{"all right", store.URL, []string{"--user", "me", "--password-file", password, "--ca-file", certificate}, exitDone, "", ""},
		{"no authority", store.URL, []string{"--user", "me", "--password-file", password}, exitUnchecked, "unknown authority", "--ca-file ca.pem"},
		{"another authority", store.URL, []string{"--user", "me", "--password-file", password, "--ca-file", other}, exitUnchecked, "unknown authority", "--ca-file ca.pem"},
		{"wrong password", store.URL, []string{"--user", "me", "--password-file", wrong, "--ca-file", certificate}, exitUnchecked, "answered 401", "look at the log-in"},
		{"wrong user", store.URL, []string{"--user", "you", "--password-file", password, "--ca-file", certificate}, exitUnchecked, "answered 401", "look at the log-in"},
		{"no log-in", store.URL, []string{"--ca-file", certificate}, exitUnchecked, "answered 401", "give the log-in"},
		{"no user", store.URL, []string{"--password-file", password, "--ca-file", certificate}, exitUsage, "a password needs a user", "--user"},
		{"no TLS", plain, []string{"--user", "me", "--password-file", password}, exitUnchecked, "HTTPS server", "--url takes https://"},
		{"token", front.URL, []string{"--token-file", token}, exitDone, "", ""},
		{"wrong token", front.URL, []string{"--token-file", wrong}, exitUnchecked, "answered 401", "look at the log-in"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			args := append([]string{tokenVariable + "=", "--max-series", "1000000"}, tc.args...)
			got := runReportOn(t, tc.url, victoriametrics.Limits{}, args...)
			assert.Equal(t, got.code, tc.code, got.stderr)
			assert.Assert(t, strings.Contains(got.stderr, tc.error) && strings.Contains(got.stderr, tc.hint), got.stderr)
			assert.Assert(t, !strings.Contains(got.stderr+got.stdout, thePassword))
			assertOneError(t, got)
		})
	}
	t.Run("environment", func(t *testing.T) {
		got := runReportOn(t, store.URL, victoriametrics.Limits{}, tokenVariable+"=", userVariable+"=me", passwordVariable+"="+thePassword, caVariable+"="+certificate)
		assert.Equal(t, got.code, exitDone, got.stderr)
	})
}

// withPassword is how the test itself looks at the store.
type withPassword struct{ http.RoundTripper }

func (w withPassword) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.SetBasicAuth("me", thePassword)
	return w.RoundTripper.RoundTrip(request)
}

// tokenFront lets through who has the token.
func tokenFront(t *testing.T, store *storetest.Store) http.Handler {
	t.Helper()
	to, err := url.Parse(store.URL)
	assert.NilError(t, err)
	proxy := &httputil.ReverseProxy{Transport: store.HTTP.Transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+aToken {
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		proxy.ServeHTTP(w, r)
	})
}

type pair struct{ certificate, key string } // PEM

// newAuthority is a certificate of 127.0.0.1 that signs itself.
func newAuthority(t *testing.T) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	assert.NilError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	assert.NilError(t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	assert.NilError(t, err)
	return pair{
		certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})),
		key:         string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})),
	}
}
