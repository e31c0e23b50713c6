package openobserve

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Field is a field of a stream.
type Field struct {
	Name string
	Type string // of Arrow: Utf8, Int64, Float64, Boolean and others
}

// Fields reads those fields of a stream that a query can name, in the order of the store. With a user-defined schema these are
// fewer than it has: the others are in one column. Source: defined_schema_fields in src/config/src/meta/stream.rs of 0.92.2.
func (c *Client) Fields(ctx context.Context, kind, stream string) ([]Field, error) {
	var answer struct {
		Schema []struct {
			Name string `json:"name"`
			Type string `json:"type"`
		} `json:"schema"`
		Settings struct {
			Defined []string `json:"defined_schema_fields"`
		} `json:"settings"`
	}
	path := "/api/" + c.Org + "/streams/" + url.PathEscape(stream) + "/schema"
	if err := c.read(ctx, path, url.Values{"type": {kind}}, &answer); err != nil {
		return nil, err
	}
	fields := make([]Field, 0, len(answer.Schema))
	defined := answer.Settings.Defined
	for _, field := range answer.Schema {
		if len(defined) == 0 || field.Name == timeField || slices.Contains(defined, field.Name) {
			fields = append(fields, Field(field))
		}
	}
	return fields, nil
}

// timeField is the time of a record, in every stream.
const timeField = "_timestamp"

// Distinct is what was counted of a stream between two times.
type Distinct struct {
	Records int64
	Fields  []FieldCount // in the order of the request
	// Partial: a part of the store did not answer, so all counts are too low.
	Partial bool
}

// FieldCount is how many records have a field, exactly, and about how many values it has in them: approx_distinct is a
// HyperLogLog of DataFusion with 2^14 registers, whose standard error is 0.8 %.
type FieldCount struct {
	Records int64
	Values  int64
}

// Distinct counts records and values of fields in one query. The caller bounds their number: each is a sketch of 16 KiB in the
// store. A field that the store does not know is a *StatusError.
func (c *Client) Distinct(ctx context.Context, kind, stream string, fields []Field, from, to time.Time) (Distinct, error) {
	sql := strings.Builder{}
	sql.WriteString("SELECT count(*) AS records")
	for i, field := range fields {
		fmt.Fprintf(&sql, ", count(%s) AS n%d, approx_distinct(%s) AS d%d", quoted(field.Name), i, field.sketched(), i)
	}
	sql.WriteString(" FROM " + quoted(stream))
	var answer struct {
		Hits    []map[string]json.Number `json:"hits"`
		Partial bool                     `json:"is_partial"`
	}
	if err := c.ask(ctx, kind, sql.String(), from, to, 1, &answer); err != nil {
		return Distinct{}, err
	}
	found := Distinct{Fields: make([]FieldCount, len(fields)), Partial: answer.Partial}
	if len(answer.Hits) == 0 {
		return found, nil
	}
	counts := counter{hit: answer.Hits[0]}
	found.Records = counts.of("records")
	for i := range fields {
		at := strconv.Itoa(i)
		found.Fields[i] = FieldCount{Records: min(counts.of("n"+at), found.Records)}
		// An estimate may be above what is possible.
		found.Fields[i].Values = min(counts.of("d"+at), found.Fields[i].Records)
	}
	return found, counts.err
}

// sketched is the argument for approx_distinct, which takes text and whole numbers only: of a Float64 DataFusion says that it
// is not implemented, and of a Boolean it said so until 2025.
func (f Field) sketched() string {
	if f.Type == "Utf8" || f.Type == "Int64" {
		return quoted(f.Name)
	}
	return "CAST(" + quoted(f.Name) + " AS VARCHAR)"
}

// counter reads counts of a hit; the first that is none stays as the error. What is not there is 0.
type counter struct {
	hit map[string]json.Number
	err error
}

func (c *counter) of(name string) int64 {
	text, is := c.hit[name]
	if !is || text == "" { // null is the empty number
		return 0
	}
	count, err := strconv.ParseInt(text.String(), 10, 64)
	if (err != nil || count < 0) && c.err == nil {
		c.err = fmt.Errorf("read OpenObserve's answer: %s is %q, which is no count", name, text)
	}
	return max(0, count)
}

// Group are the records with one value of a field.
type Group struct {
	Value   string // "" where they have none
	Records int64
	// Bytes are those of the text that was asked for, 0 where none was.
	Bytes int64
}

// Groups counts records by a field, those with the most records first, at most so many. Where text names a field of text, its
// bytes are summed up. Partial is as in Distinct.
func (c *Client) Groups(ctx context.Context, kind, stream, by, text string, from, to time.Time, most int) (groups []Group, partial bool, err error) {
	sql := "SELECT " + quoted(by) + " AS value, count(*) AS records"
	if text != "" {
		sql += ", sum(octet_length(" + quoted(text) + ")) AS bytes"
	}
	sql += " FROM " + quoted(stream) + " GROUP BY " + quoted(by) + " ORDER BY records DESC"
	var answer struct {
		Hits []struct {
			Value   Value       `json:"value"`
			Records json.Number `json:"records"`
			Bytes   json.Number `json:"bytes"`
		} `json:"hits"`
		Partial bool `json:"is_partial"`
	}
	if err := c.ask(ctx, kind, sql, from, to, most, &answer); err != nil {
		return nil, false, err
	}
	counts := counter{}
	for _, hit := range answer.Hits[:min(most, len(answer.Hits))] {
		counts.hit = map[string]json.Number{"records": hit.Records, "bytes": hit.Bytes}
		groups = append(groups, Group{Value: string(hit.Value), Records: counts.of("records"), Bytes: counts.of("bytes")})
	}
	return groups, answer.Partial, counts.err
}

// Value is a value of a record as text, "" for null: numbers keep all of their digits.
type Value string

// UnmarshalJSON takes any JSON.
func (v *Value) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '"' {
		return json.Unmarshal(raw, (*string)(v))
	}
	*v = Value(raw)
	if string(raw) == "null" {
		*v = ""
	}
	return nil
}

// Newest returns the newest records between two times, at most so many, with all of their fields; where
// one is named, with that alone, and only records that have it. Partial is as in Distinct.
func (c *Client) Newest(ctx context.Context, kind, stream, field string, from, to time.Time, most int) (records []map[string]Value, partial bool, err error) {
	sql := "SELECT * FROM " + quoted(stream)
	if field != "" {
		sql = "SELECT " + quoted(field) + " FROM " + quoted(stream) + " WHERE " + quoted(field) + " IS NOT NULL"
	}
	var answer struct {
		Hits    []map[string]Value `json:"hits"`
		Partial bool               `json:"is_partial"`
	}
	if err := c.ask(ctx, kind, sql, from, to, most, &answer); err != nil {
		return nil, false, err
	}
	return answer.Hits[:min(most, len(answer.Hits))], answer.Partial, nil
}
