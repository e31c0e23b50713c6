package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/storage/gateway"
)

func TestAccepts(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if r.URL.Path != "/grafana/api/user" || user != "admin" || password != "pass:word" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	for _, tc := range []struct {
		password string
		status   int
		want     bool
		err      string
	}{
		{"pass:word", 200, true, ""},
		{"password", 200, false, ""},
		{"pass:word", 403, false, ""},
		{"pass:word", 302, false, "/grafana/api/user answered 302"},
		{"pass:word", 502, false, "/grafana/api/user answered 502"},
	} {
		status = tc.status
		got, err := gateway.Accepts(t.Context(), server.Client(), server.URL+"/grafana/api/user", "admin", tc.password)
		assert.Equal(t, got, tc.want)
		if tc.err == "" {
			assert.NilError(t, err)
			continue
		}
		assert.Error(t, err, tc.err)
	}
	server.Close()
	_, err := gateway.Accepts(t.Context(), server.Client(), server.URL, "admin", "pass:word")
	assert.ErrorContains(t, err, "refused")
	assert.Assert(t, !strings.Contains(err.Error(), "pass:word"))
}
