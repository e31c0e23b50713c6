package openobserve

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// answer is an OpenObserve, or what stands in its place, that says one thing.
type answer struct {
	status int
	body   []byte
}

func (a answer) RoundTrip(request *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: a.status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(a.body)), Request: request,
		ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(a.body)),
	}, nil
}

// FuzzSearch: records come only from a success whose body is JSON, and are those of the body; any other status is a
// *StatusError with that status, never an empty result.
func FuzzSearch(f *testing.F) {
	for _, seed := range []struct {
		status int
		body   string
	}{
		{200, `{"took":1,"hits":[{"_timestamp":1764000000000000,"message":"a\u001b[31m"}],"total":1,"from":0,"size":1}`},
		{200, `{"hits":[]}`},
		{200, `{"hits":null}`},
		{200, `{}`},
		{200, `null`},
		{200, ``},
		{200, `{"hits":{}}`},
		{200, `{"hits":[1]}`},
		{200, `{"hits":[null]}`},
		{200, `{"hits":[{"n":1e400}]}`},
		{200, `{"hits":[]} trailing`},
		{200, "{\"hits\":[{\"m\":\"\xff\"}]}"},
		{200, `<html>`},
		{206, `{"hits":[{}],"is_partial":true}`},
		{204, ``},
		{400, `{"code":20002,"message":"Search stream not found: docker"}`},
		{401, ``},
		{403, `{"message":1}`},
		{429, `[]`},
		{500, `{"message":"\u202e\r\n"}`},
		{502, `<html>bad gateway</html>`},
		{302, ``},
		{101, ``},
		{999, `{}`},
	} {
		f.Add(seed.status, []byte(seed.body))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		status = 100 + int(uint(status-100)%900)
		client := Client{BaseURL: "https://localhost/openobserve", Org: "default", HTTP: &http.Client{Transport: answer{status, body}}}
		hits, err := client.Search(t.Context(), "SELECT 1", time.Unix(0, 0), time.Unix(1, 0), 10)
		var refused *StatusError
		if status/100 != 2 {
			assert.Assert(t, errors.As(err, &refused), "%d: %v", status, err)
			assert.Equal(t, refused.Status, status)
			assert.Equal(t, len(hits), 0)
			return
		}
		if err != nil {
			assert.Assert(t, !errors.As(err, &refused), err)
			assert.Equal(t, len(hits), 0)
			return
		}
		assert.Assert(t, json.Valid(body), "%q", body)
		// Read anew in the most general way: the client adds nothing and leaves nothing out.
		var whole struct{ Hits []any }
		assert.NilError(t, json.Unmarshal(body, &whole))
		want, err := json.Marshal(whole.Hits)
		assert.NilError(t, err)
		got, err := json.Marshal(hits)
		assert.NilError(t, err)
		assert.Equal(t, string(got), string(want))
	})
}

// FuzzFields: whatever is answered, counts are those of some records, each at most that of what it is a part of, and lists are no
// longer than was asked for.
func FuzzFields(f *testing.F) {
	for _, seed := range []string{
		`{"hits":[{"records":10,"n0":10,"d0":11,"n1":7,"d1":3}],"is_partial":true}`,
		`{"hits":[{"records":-1,"n0":1e400,"d0":null}]}`,
		`{"hits":[{"records":9223372036854775808}]}`,
		`{"hits":[{"value":"a\u001b[31m","records":2,"bytes":3},{"value":{"x":[1]},"records":1}]}`,
		`{"hits":[{"value":null,"records":1}]}`,
		`{"hits":[null,{}]}`,
		`{"hits":[1]}`,
		`{"schema":[{"name":"a","type":"Utf8"},null],"settings":{"defined_schema_fields":["a"]}}`,
		"{\"hits\":[{\"m\":\"\xff\\u202e\"}]}",
		`null`, ``, `[]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		client := Client{BaseURL: "https://localhost/openobserve", Org: "default", HTTP: &http.Client{Transport: answer{200, body}}}
		from, to := time.Unix(0, 0), time.Unix(1, 0)
		asked := []Field{{Name: "a", Type: "Utf8"}, {Name: "b", Type: "Float64"}}
		if found, err := client.Distinct(t.Context(), "logs", "s", asked, from, to); err == nil {
			assert.Equal(t, len(found.Fields), len(asked))
			for _, field := range found.Fields {
				assert.Assert(t, field.Values >= 0 && field.Values <= field.Records && field.Records <= found.Records, "%+v", found)
			}
		}
		groups, _, err := client.Groups(t.Context(), "logs", "s", "a", "b", from, to, 2)
		assert.Assert(t, err != nil || len(groups) <= 2)
		for _, group := range groups {
			assert.Assert(t, group.Records >= 0 && group.Bytes >= 0)
		}
		records, _, err := client.Newest(t.Context(), "logs", "s", "", from, to, 2)
		assert.Assert(t, err != nil || len(records) <= 2 && json.Valid(body))
		if fields, err := client.Fields(t.Context(), "logs", "s"); err == nil {
			assert.Assert(t, fields != nil)
		}
	})
}
