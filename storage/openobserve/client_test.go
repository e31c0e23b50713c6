package openobserve_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/storage/openobserve"
)

func serve(t *testing.T, answer http.HandlerFunc) *openobserve.Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return &openobserve.Client{
		BaseURL: server.URL + "/openobserve", Org: "default", User: "root@telemetry.local", Password: "pass:word", HTTP: server.Client(),
	}
}

func search(ctx context.Context, client *openobserve.Client) ([]map[string]any, error) {
	return client.Search(ctx, `SELECT * FROM "docker"`, time.UnixMicro(1000), time.UnixMicro(2000), 7)
}

func TestSearchAsksAsTheAPIWants(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		got := fmt.Sprint(r.Method, " ", r.URL, " ", r.Header.Get("Content-Type"), " ", user, " ", password, " ", body)
		want := "POST /openobserve/api/default/_search?type=logs application/json root@telemetry.local pass:word " +
			`map[query:map[end_time:2000 from:0 size:7 sql:SELECT * FROM "docker" start_time:1000]]`
		if got != want {
			t.Errorf("asked:\n%s\nwant:\n%s", got, want)
		}
		fmt.Fprint(w, `{"took": 3, "hits": [{"message": "a"}, {"message": "b"}], "total": 2}`)
	})
	hits, err := search(t.Context(), client)
	assert.NilError(t, err)
	assert.DeepEqual(t, hits, []map[string]any{{"message": "a"}, {"message": "b"}})
}

func TestSearchWithoutHits(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"hits": []}`) })
	hits, err := search(t.Context(), client)
	assert.NilError(t, err)
	assert.Equal(t, len(hits), 0)
}

func TestSearchRefused(t *testing.T) {
	for _, tc := range []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"wrong password", 401, `{"code": 401, "message": "Unauthorized Access"}`, "OpenObserve answered 401: Unauthorized Access"},
		{"no stream yet", 404, `{"code": 20002, "message": "Search stream not found: docker"}`, "OpenObserve answered 404: Search stream not found: docker"},
		{"the gateway's page while the store starts", 502, "<html><h1>502 Bad Gateway</h1></html>", "OpenObserve answered 502"},
		{"an overloaded store", 503, "", "OpenObserve answered 503"},
		{"a message that is no text", 500, `{"message": {"deep": 1}}`, "OpenObserve answered 500"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				fmt.Fprint(w, tc.body)
			})
			_, err := search(t.Context(), client)
			assert.Error(t, err, tc.want)
			var refused *openobserve.StatusError
			assert.Assert(t, errors.As(err, &refused))
			assert.Equal(t, refused.Status, tc.status)
			assert.Assert(t, !strings.Contains(err.Error(), "pass:word"))
		})
	}
}

func TestSearchWithAnAnswerThatIsNone(t *testing.T) {
	for _, tc := range []struct{ name, body, want string }{
		{"a page", "<html>log in</html>", "read OpenObserve's answer: invalid character '<'"},
		{"nothing", "", "read OpenObserve's answer: unexpected end of JSON input"},
		{"cut off", `{"hits": [{"message": "a"}`, "read OpenObserve's answer: unexpected end of JSON input"},
		{"another shape", `{"hits": "many"}`, "read OpenObserve's answer: json: cannot unmarshal string"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			client := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, tc.body) })
			_, err := search(t.Context(), client)
			assert.ErrorContains(t, err, tc.want)
		})
	}
}

// The connection breaks in the middle of an answer.
func TestSearchBroken(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, `{"hits"`)
	})
	_, err := search(t.Context(), client)
	assert.ErrorContains(t, err, "read OpenObserve's answer: unexpected EOF")
}

func TestSearchNobodyAnswers(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	client := &openobserve.Client{BaseURL: server.URL, HTTP: http.DefaultClient, Password: "pass:word"}
	_, err := search(t.Context(), client)
	assert.ErrorContains(t, err, "refused")
	assert.Assert(t, !strings.Contains(err.Error(), "pass:word"))
}

func TestSearchEndsInTime(t *testing.T) {
	over := make(chan struct{})
	defer close(over)
	client := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-over:
		case <-r.Context().Done():
		}
	})
	t.Run("the client's timeout", func(t *testing.T) {
		patient := *client.HTTP
		patient.Timeout = 20 * time.Millisecond
		impatient := *client
		impatient.HTTP = &patient
		_, err := search(t.Context(), &impatient)
		var timeout interface{ Timeout() bool }
		assert.Assert(t, errors.As(err, &timeout) && timeout.Timeout(), "%v", err)
	})
	t.Run("the caller's context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer time.AfterFunc(20*time.Millisecond, cancel).Stop()
		_, err := search(ctx, client)
		assert.ErrorIs(t, err, context.Canceled)
	})
}
