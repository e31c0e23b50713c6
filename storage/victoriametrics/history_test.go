package victoriametrics_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

func answering(t *testing.T, want, answer string) *victoriametrics.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.String() != want {
			t.Errorf("asked %s, want %s", r.URL, want)
		}
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(server.Close)
	return &victoriametrics.Client{BaseURL: server.URL, HTTP: server.Client()}
}

func TestHasSeries(t *testing.T) {
	for answer, want := range map[string]bool{`{"status":"success","data":["job"]}`: true, `{"status":"success","data":[]}`: false} {
		client := answering(t, "/api/v1/labels?end=90&limit=1&start=60", answer)
		got, err := client.HasSeries(t.Context(), time.Unix(60, 0), time.Unix(90, 0))
		assert.NilError(t, err)
		assert.Equal(t, got, want)
	}
}

func TestQueryAt(t *testing.T) {
	client := answering(t, "/api/v1/query?latency_offset=1ms&query=up&time=60", `{"data":{"result":[{"metric":{},"value":[60,"2"]}]}}`)
	samples, err := client.QueryAt(t.Context(), "up", time.Unix(60, 0))
	assert.NilError(t, err)
	assert.Equal(t, samples[0].Value, 2.0)
}

func TestQueryRange(t *testing.T) {
	const asked = "/api/v1/query_range?end=120&query=up&start=0&step=60s"
	for _, tc := range []struct {
		name, answer, err string
		want              []victoriametrics.Point
	}{
		{"values", `{"data":{"result":[{"values":[[0,"1"],[60.5,"2.5"]]}]}}`, "", []victoriametrics.Point{
			{At: time.Unix(0, 0).UTC(), Value: 1}, {At: time.UnixMilli(60_500).UTC(), Value: 2.5},
		}},
		{"none", `{"data":{"result":[]}}`, "", nil},
		{"no number", `{"data":{"result":[{"values":[[0,"x"]]}]}}`, "read the value of a query", nil},
		{"no text", `{"data":{"result":[{"values":[[0,1]]}]}}`, "read the value of a query", nil},
		{"no time", `{"data":{"result":[{"values":[["a","1"]]}]}}`, "read the time of a query", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := answering(t, asked, tc.answer).QueryRange(t.Context(), "up", time.Unix(0, 0), time.Unix(120, 0), time.Minute)
			if tc.err != "" {
				assert.ErrorContains(t, err, tc.err)
				return
			}
			assert.NilError(t, err)
			assert.DeepEqual(t, got, tc.want)
		})
	}
}

func TestSnapshots(t *testing.T) {
	client := answering(t, "/snapshot/list", `{"status":"ok","snapshots":["a","b"]}`)
	names, err := client.Snapshots(t.Context())
	assert.NilError(t, err)
	assert.DeepEqual(t, names, []string{"a", "b"})
}
