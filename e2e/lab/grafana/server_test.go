package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/assert/cmp"
)

func startServer(t *testing.T, st state) (config, string) {
	t.Helper()
	cfg, err := loadConfig([]string{
		"GF_PATHS_DATA=" + t.TempDir(), "GF_SERVER_ROOT_URL=https://localhost:8082/grafana",
		"GF_SERVER_SERVE_FROM_SUB_PATH=true", "GF_SECURITY_ADMIN_PASSWORD=first-pass",
	})
	assert.NilError(t, err)
	assert.NilError(t, ensureAdmin(cfg))
	web := httptest.NewServer(newServer(cfg, st).handler())
	t.Cleanup(web.Close)
	return cfg, web.URL
}

func call(t *testing.T, method, url, login string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	assert.NilError(t, err)
	if user, pass, ok := strings.Cut(login, ":"); ok {
		req.SetBasicAuth(user, pass)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	assert.NilError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	assert.NilError(t, err)
	return resp, string(body)
}

// prometheusFake answers 1+1 to those who know the password, under a path prefix.
func prometheusFake(t *testing.T) *httptest.Server {
	t.Helper()
	fake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, pass, _ := r.BasicAuth()
		if user != "vm" || pass != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path != "/victoriametrics/api/v1/query" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, `{"status":"success","query":"`+r.FormValue("query")+`"}`)
	}))
	t.Cleanup(fake.Close)
	return fake
}

func testState(promURL string) state {
	prom := func(uid, password, path string) datasource {
		return datasource{
			ID: 1, OrgID: 1, Name: uid, UID: uid, Type: "prometheus", Access: "proxy", URL: promURL + path, BasicAuth: true,
			BasicAuthUser: "vm", SecureJSONData: map[string]string{"basicAuthPassword": password},
		}
	}
	return state{
		datasources: []datasource{
			prom("good", "secret", "/victoriametrics"), prom("wrong", "guess", "/victoriametrics"),
			prom("nowhere", "secret", ""),
			{UID: "loki", Type: "loki"},
		},
		dashboards: []dashboard{{ID: 1, UID: "abc", Title: "My Board", Folder: "F", File: "/x/b.json", JSON: map[string]any{"title": "My Board"}}},
	}
}

func TestAPI(t *testing.T) {
	fake := prometheusFake(t)
	_, base := startServer(t, testState(fake.URL))
	const admin = "admin:first-pass"
	tests := []struct {
		path, login string
		want        int
		contains    string
	}{
		{"/grafana/api/health", "", 200, `"database":"ok"`},
		{"/grafana/login", "", 200, "stand-in"},
		{"/grafana/metrics", "", 200, "grafana_build_info"},
		{"/grafana/", "", 302, ""},
		{"/grafana", "", 302, ""},
		{"/api/health", "", 301, ""},
		{"/", "", 301, ""},
		{"/grafanax", "", 301, ""},
		{"/grafana/api/user", "", 401, "Unauthorized"},
		{"/grafana/api/user", "admin:nope", 401, "Invalid username or password"},
		{"/grafana/api/user", "root:first-pass", 401, ""},
		{"/grafana/api/user", admin, 200, `"login":"admin"`},
		{"/grafana/api/datasources", admin, 200, `"uid":"good"`},
		{"/grafana/api/datasources/uid/good", admin, 200, `"secureJsonFields":{"basicAuthPassword":true}`},
		{"/grafana/api/datasources/uid/none", admin, 404, ""},
		{"/grafana/api/datasources/uid/good/health", admin, 200, `"status":"OK"`},
		{"/grafana/api/datasources/uid/wrong/health", admin, 400, "401 Unauthorized"},
		{"/grafana/api/datasources/uid/nowhere/health", admin, 400, "400 Bad Request"},
		{"/grafana/api/datasources/uid/loki/health", admin, 501, ""},
		{"/grafana/api/datasources/proxy/uid/good/api/v1/query?query=up", admin, 200, `"query":"up"`},
		{"/grafana/api/datasources/proxy/uid/good/api/v1/query?query=up", "", 401, ""},
		{"/grafana/api/datasources/proxy/uid/wrong/api/v1/query?query=up", admin, 401, ""},
		{"/grafana/api/search", admin, 200, `"url":"/grafana/d/abc/my-board"`},
		{"/grafana/api/search?query=other", admin, 200, "[]"},
		{"/grafana/api/dashboards/uid/abc", admin, 200, `"provisioned":true`},
		{"/grafana/api/dashboards/uid/none", admin, 404, ""},
		{"/grafana/api/nothing", admin, 404, "Not found"},
	}
	for _, tt := range tests {
		t.Run(tt.path+" "+tt.login, func(t *testing.T) {
			resp, body := call(t, "GET", base+tt.path, tt.login)
			assert.Equal(t, resp.StatusCode, tt.want, body)
			assert.Assert(t, cmp.Contains(body, tt.contains))
			assert.Assert(t, !strings.Contains(body, "secret\""), "a secret is shown")
		})
	}
	resp, _ := call(t, "GET", base+"/d/abc?x=1", "")
	assert.Equal(t, resp.Header.Get("Location"), "https://localhost:8082/grafana/d/abc?x=1")
}

func TestPasswordCountsOnFirstStartOnly(t *testing.T) {
	cfg, base := startServer(t, state{})
	status := func(password string) int {
		resp, _ := call(t, "GET", base+"/grafana/api/user", "admin:"+password)
		return resp.StatusCode
	}
	assert.Equal(t, status("first-pass"), 200)
	next := cfg
	next.adminPass = "second-pass"
	assert.NilError(t, ensureAdmin(next))
	assert.Equal(t, status("second-pass"), 401)

	reset := []string{"--homepath", "--password-from-stdin", "admin", "reset-admin-password"}
	assert.NilError(t, runCLI(cfg, reset, strings.NewReader("third-pass\r\nnot this\n"), io.Discard))
	assert.Equal(t, status("third-pass"), 200, "the running server must see it")
	assert.Equal(t, status("first-pass"), 401)
	assert.NilError(t, runCLI(cfg, []string{"admin", "reset-admin-password", "fourth"}, nil, io.Discard))
	assert.Equal(t, status("fourth"), 200)
	assert.ErrorContains(t, runCLI(cfg, []string{"admin", "reset-admin-password", "abc"}, nil, io.Discard), "too short")
	assert.ErrorContains(t, runCLI(cfg, []string{"admin", "reset-admin-password"}, nil, io.Discard), "missing password")
	assert.ErrorContains(t, runCLI(cfg, reset, strings.NewReader(""), io.Discard), "can't read password")
	assert.ErrorContains(t, runCLI(cfg, []string{"plugins", "ls"}, nil, io.Discard), "only has")
	cfg.dataDir = filepath.Join(t.TempDir(), "none")
	assert.ErrorContains(t, resetPassword(cfg, "long-enough"), "could not read user")
}

func TestEnvironment(t *testing.T) {
	dir := files(t, map[string]string{"pass": "from-file\n"})
	file := "GF_SECURITY_ADMIN_PASSWORD__FILE=" + filepath.Join(dir, "pass")
	tests := []struct {
		name, err string
		env       []string
	}{
		{"file", "", []string{file}},
		{"both", "exclusive", []string{file, "GF_SECURITY_ADMIN_PASSWORD=x"}},
		{"both, one empty", "exclusive", []string{file, "GF_SECURITY_ADMIN_PASSWORD="}},
		{"missing file", "no such file", []string{file + "x"}},
		{"root url", "is not a URL", []string{file, "GF_SERVER_ROOT_URL=grafana"}},
		{"boolean", "GF_SERVER_SERVE_FROM_SUB_PATH", []string{file, "GF_SERVER_SERVE_FROM_SUB_PATH=maybe"}},
		{"unknown name", "", []string{file, "GF_NO_SUCH=1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := loadConfig(tt.env)
			if tt.err != "" {
				assert.ErrorContains(t, err, tt.err)
				return
			}
			assert.NilError(t, err)
			assert.Equal(t, cfg.adminPass, "from-file")
		})
	}
}

func TestVersionSaysStandIn(t *testing.T) {
	for _, args := range [][]string{{"--version"}, {"server", "-v"}} {
		var out strings.Builder
		assert.NilError(t, run(args, nil, nil, &out, io.Discard))
		assert.Assert(t, cmp.Contains(out.String(), "lab stand-in"))
	}
	assert.ErrorContains(t, run([]string{"nope"}, nil, nil, io.Discard, io.Discard), "unknown command")
}

func TestHealthIsJSON(t *testing.T) {
	_, base := startServer(t, state{})
	_, body := call(t, "GET", base+"/grafana/api/health", "")
	var got map[string]string
	assert.NilError(t, json.Unmarshal([]byte(body), &got))
	assert.Equal(t, got["version"], version)
}

func TestSettingsFromFiles(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	assert.NilError(t, os.WriteFile(secret, []byte("pa$$w0rd\n"), 0o600))
	for name, environ := range map[string][]string{
		"by the image's script":     {"GF_SECURITY_ADMIN_PASSWORD__FILE=" + secret},
		"by the program":            {"GF_SECURITY_ADMIN_PASSWORD=$__file{" + secret + "}"},
		"from another variable":     {"GF_SECURITY_ADMIN_PASSWORD=${PW}", "PW=pa$$w0rd"},
		"from another, by the name": {"GF_SECURITY_ADMIN_PASSWORD=$__env{PW}", "PW=pa$$w0rd"},
	} {
		cfg, err := loadConfig(environ)
		assert.NilError(t, err, name)
		assert.Equal(t, cfg.adminPass, "pa$$w0rd", name)
	}
	_, err := loadConfig([]string{"GF_SECURITY_ADMIN_PASSWORD=$__file{" + secret + "-none}"})
	assert.ErrorContains(t, err, "GF_SECURITY_ADMIN_PASSWORD: ")
	assert.ErrorContains(t, err, "no such file")
}
