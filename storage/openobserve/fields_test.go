package openobserve_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/storage/openobserve"
)

func TestFields(t *testing.T) {
	for _, tc := range []struct {
		name, answer string
		want         []openobserve.Field
	}{
		{
			"all", `{"schema":[{"name":"_timestamp","type":"Int64"},{"name":"a","type":"Utf8"}],"settings":{"defined_schema_fields":[]}}`,
			[]openobserve.Field{{Name: "_timestamp", Type: "Int64"}, {Name: "a", Type: "Utf8"}},
		},
		{
			"a user-defined schema", `{"schema":[{"name":"_timestamp","type":"Int64"},{"name":"a","type":"Utf8"},{"name":"b","type":"Utf8"}],"settings":{"defined_schema_fields":["b"]}}`,
			[]openobserve.Field{{Name: "_timestamp", Type: "Int64"}, {Name: "b", Type: "Utf8"}},
		},
		{"none", `{}`, []openobserve.Field{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.String() != "/openobserve/api/default/streams/a%2Fb/schema?type=logs" {
					t.Errorf("asked %s", r.URL)
				}
				fmt.Fprint(w, tc.answer)
			})
			fields, err := client.Fields(t.Context(), "logs", "a/b")
			assert.NilError(t, err)
			assert.DeepEqual(t, fields, tc.want)
		})
	}
}

// asked serves one answer and checks for what query.
func asked(t *testing.T, sql string, size int, answer string) *openobserve.Client {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Query struct {
				SQL   string
				Size  int
				Start int64 `json:"start_time"`
				End   int64 `json:"end_time"`
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		if body.Query.SQL != sql || body.Query.Size != size || body.Query.Start != 1e6 || body.Query.End != 2e6 || r.URL.RawQuery != "type=logs" {
			t.Errorf("asked %s %+v", r.URL, body)
		}
		fmt.Fprint(w, answer)
	})
}

func between() (from, to time.Time) { return time.Unix(1, 0), time.Unix(2, 0) }

func TestDistinct(t *testing.T) {
	const sql = `SELECT count(*) AS records, count("_timestamp") AS n0, approx_distinct("_timestamp") AS d0, count("a""b") AS n1, approx_distinct("a""b") AS d1, ` +
		`count("part") AS n2, approx_distinct(CAST("part" AS VARCHAR)) AS d2, count("ok") AS n3, approx_distinct(CAST("ok" AS VARCHAR)) AS d3 FROM "s"`
	fields := []openobserve.Field{{Name: "_timestamp", Type: "Int64"}, {Name: `a"b`, Type: "Utf8"}, {Name: "part", Type: "Float64"}, {Name: "ok", Type: "Boolean"}}
	for _, tc := range []struct {
		name, answer, err string
		want              openobserve.Distinct
	}{
		{"counts", `{"hits":[{"records":10,"n0":10,"d0":10,"n1":7,"d1":3,"n2":0,"d2":0,"n3":10,"d3":2}]}`, "", openobserve.Distinct{
			Records: 10, Fields: []openobserve.FieldCount{{Records: 10, Values: 10}, {Records: 7, Values: 3}, {}, {Records: 10, Values: 2}},
		}},
		{"an estimate above what can be", `{"hits":[{"records":10,"n0":10,"d0":11,"n1":12,"d1":13}]}`, "", openobserve.Distinct{
			Records: 10, Fields: []openobserve.FieldCount{{Records: 10, Values: 10}, {Records: 10, Values: 10}, {}, {}},
		}},
		{"no line", `{"hits":[],"is_partial":true}`, "", openobserve.Distinct{Fields: make([]openobserve.FieldCount, 4), Partial: true}},
		{"null", `{"hits":[{"records":null}]}`, "", openobserve.Distinct{Fields: make([]openobserve.FieldCount, 4)}},
		{"below zero", `{"hits":[{"records":-1}]}`, `read OpenObserve's answer: records is "-1", which is no count`, openobserve.Distinct{}},
		{"no whole number", `{"hits":[{"records":1.5}]}`, `read OpenObserve's answer: records is "1.5", which is no count`, openobserve.Distinct{}},
		{"no number", `{"hits":[{"records":"many"}]}`, "read OpenObserve's answer: json: ", openobserve.Distinct{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			from, to := between()
			found, err := asked(t, sql, 1, tc.answer).Distinct(t.Context(), "logs", "s", fields, from, to)
			if tc.err != "" {
				assert.ErrorContains(t, err, tc.err)
				return
			}
			assert.NilError(t, err)
			assert.DeepEqual(t, found, tc.want)
		})
	}
}

func TestGroups(t *testing.T) {
	from, to := between()
	client := asked(t, `SELECT "service" AS value, count(*) AS records, sum(octet_length("message")) AS bytes FROM "s" GROUP BY "service" ORDER BY records DESC`, 3,
		`{"hits":[{"value":"shop","records":7,"bytes":70},{"value":12345678901234567890,"records":3,"bytes":null},{"records":1,"bytes":5},{"value":"over","records":1}],"is_partial":true}`)
	groups, partial, err := client.Groups(t.Context(), "logs", "s", "service", "message", from, to, 3)
	assert.NilError(t, err)
	assert.Assert(t, partial)
	assert.DeepEqual(t, groups, []openobserve.Group{{Value: "shop", Records: 7, Bytes: 70}, {Value: "12345678901234567890", Records: 3}, {Records: 1, Bytes: 5}})

	client = asked(t, `SELECT "host" AS value, count(*) AS records FROM "s" GROUP BY "host" ORDER BY records DESC`, 20, `{"hits":[]}`)
	groups, partial, err = client.Groups(t.Context(), "logs", "s", "host", "", from, to, 20)
	assert.NilError(t, err)
	assert.Assert(t, !partial)
	assert.Equal(t, len(groups), 0)
}

func TestNewest(t *testing.T) {
	from, to := between()
	client := asked(t, `SELECT * FROM "s"`, 2, `{"hits":[{"a":"x","_timestamp":1795132800000001,"ok":true,"no":null,"n":1.50},{"a":"<b>"},{"a":"over"}],"is_partial":true}`)
	records, partial, err := client.Newest(t.Context(), "logs", "s", "", from, to, 2)
	assert.NilError(t, err)
	assert.Assert(t, partial)
	assert.DeepEqual(t, records, []map[string]openobserve.Value{{"a": "x", "_timestamp": "1795132800000001", "ok": "true", "no": "", "n": "1.50"}, {"a": "<b>"}})

	client = asked(t, `SELECT "a" FROM "s" WHERE "a" IS NOT NULL`, 2, `{"hits":[]}`)
	records, _, err = client.Newest(t.Context(), "logs", "s", "a", from, to, 2)
	assert.NilError(t, err)
	assert.Equal(t, len(records), 0)
}

func TestFieldsRefused(t *testing.T) {
	from, to := between()
	client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"code":20004,"message":"Search field not found: a"}`)
	})
	const want = "OpenObserve answered 400: Search field not found: a"
	_, err := client.Fields(t.Context(), "logs", "s")
	assert.Error(t, err, want)
	_, err = client.Distinct(t.Context(), "logs", "s", nil, from, to)
	assert.Error(t, err, want)
	_, _, err = client.Groups(t.Context(), "logs", "s", "a", "", from, to, 1)
	assert.Error(t, err, want)
	_, _, err = client.Newest(t.Context(), "logs", "s", "", from, to, 1)
	assert.Error(t, err, want)
}

// An answer that has no end is read no further than the limit.
func TestEndlessAnswer(t *testing.T) {
	from, to := between()
	client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, err := fmt.Fprint(w, `{"hits":[{"a":"`)
		for line := strings.Repeat("x", 1<<20); err == nil; {
			_, err = fmt.Fprint(w, line)
		}
	})
	_, _, err := client.Newest(t.Context(), "logs", "s", "", from, to, 1)
	assert.ErrorContains(t, err, "read OpenObserve's answer: ")
}
