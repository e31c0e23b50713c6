package openobserve_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/storage/openobserve"
)

func TestKeeping(t *testing.T) {
	for _, tc := range []struct {
		answer, err string
		days        int
	}{
		{`{"version":"v0.92.2","data_retention_days":3650,"telemetry_enabled":true}`, "", 3650},
		{`{"version":"v0.92.2","data_retention_days":0}`, "", 0},
		{`{"version":"v0.1"}`, "OpenObserve v0.1 does not tell how long it keeps data", 0},
	} {
		client := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/openobserve/config" {
				t.Errorf("asked %s", r.URL)
			}
			fmt.Fprint(w, tc.answer)
		})
		keeping, err := client.Keeping(t.Context())
		if tc.err != "" {
			assert.Error(t, err, tc.err)
			continue
		}
		assert.NilError(t, err)
		assert.Equal(t, keeping, openobserve.Keeping{Version: "v0.92.2", Days: tc.days})
	}
}

func TestHeld(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.String() != "/openobserve/api/default/streams?fetchSchema=false&type=traces" {
			t.Errorf("asked %s", r.URL)
		}
		fmt.Fprint(w, `{"list":[{"name":"app","storage_type":"disk","stream_type":"traces","stats":{"created_at":1000000,"doc_time_min":2000000,
			"doc_time_max":3000000,"doc_num":7,"file_num":1,"storage_size":4.0,"compressed_size":0.5,"index_size":0.25},
			"settings":{"data_retention":9},"total_fields":3},
			{"name":"new","stats":{"created_at":1000000,"doc_time_min":0,"doc_time_max":0,"doc_num":0},"settings":{"data_retention":0}}],"total":2}`)
	})
	held, err := client.Held(t.Context(), "traces")
	assert.NilError(t, err)
	const mega = 1024 * 1024
	assert.DeepEqual(t, held, []openobserve.Held{
		{
			Kind: "traces", Name: "app", Created: time.Unix(1, 0).UTC(), Oldest: time.Unix(2, 0).UTC(), Newest: time.Unix(3, 0).UTC(), Records: 7,
			Stored: mega / 2, Index: mega / 4, Original: 4 * mega, Days: 9, Fields: 3,
		},
		{Kind: "traces", Name: "new", Created: time.Unix(1, 0).UTC()},
	})
}

func TestExtent(t *testing.T) {
	for _, tc := range []struct {
		name, answer string
		want         openobserve.Extent
	}{
		{
			"records", `{"hits":[{"oldest":1795132800000001,"newest":1795132800000003,"records":2}],"is_partial":false}`,
			openobserve.Extent{Records: 2, Oldest: time.UnixMicro(1795132800000001).UTC(), Newest: time.UnixMicro(1795132800000003).UTC()},
		},
		{"none", `{"hits":[{"oldest":null,"newest":null,"records":0}]}`, openobserve.Extent{}},
		{"no line", `{"hits":[]}`, openobserve.Extent{}},
		{"a part", `{"hits":[],"is_partial":true}`, openobserve.Extent{Partial: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				var body struct{ Query struct{ SQL string } }
				if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
					t.Error(err)
				}
				want := `SELECT min(_timestamp) AS oldest, max(_timestamp) AS newest, count(*) AS records FROM "a""b"`
				if body.Query.SQL != want || r.URL.RawQuery != "type=logs" {
					t.Errorf("asked %s %s", r.URL, body.Query.SQL)
				}
				fmt.Fprint(w, tc.answer)
			})
			got, err := client.Extent(t.Context(), "logs", `a"b`, time.Unix(1, 0), time.Unix(2, 0))
			assert.NilError(t, err)
			assert.DeepEqual(t, got, tc.want)
		})
	}
}

func TestSetDays(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var body map[string]int
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		if r.Method != http.MethodPut || r.URL.String() != "/openobserve/api/default/streams/a%2Fb/settings?type=traces" || body["data_retention"] != 7 || len(body) != 1 {
			t.Errorf("%s %s %v", r.Method, r.URL, body)
		}
		fmt.Fprint(w, `{"code":200}`)
	})
	assert.NilError(t, client.SetDays(t.Context(), "traces", "a/b", 7))
	assert.Error(t, client.SetDays(t.Context(), "traces", "a", 2), "a stream is kept for 3 days at least, not 2")
	refusing := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"code":404,"message":"stream not found"}`)
	})
	assert.Error(t, refusing.SetDays(t.Context(), "logs", "a", 0), "OpenObserve answered 404: stream not found")
}
