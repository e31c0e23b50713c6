package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/mail"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const timestampField = "_timestamp"

// fields is one flat record. Numbers are json.Number, so that what came in goes out digit by digit.
type fields map[string]any

// formatKey makes a field name the way v0.92.2 does (flatten.rs, format_key): lower case, and an underscore for all
// that is neither letter, digit nor underscore.
func formatKey(key string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '_' || unicode.IsLower(r) || unicode.IsNumber(r):
			return r
		case unicode.IsUpper(r):
			return unicode.ToLower(r)
		}
		return '_'
	}, key)
}

// formatStreamName makes a stream name as format_stream_name (utils/schema.rs) does: a run of other characters becomes
// one underscore, and all is lower case.
func formatStreamName(name string) string {
	return strings.ToLower(regexp.MustCompile(`[^a-zA-Z0-9_:]+`).ReplaceAllString(name, "_"))
}

// flatten joins nested keys by underscore down to maxLevel (0: all the way); what lies deeper, and every array,
// becomes a JSON string. Nulls and empty containers vanish.
func flatten(v any, maxLevel int64) (fields, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("flatten value must be an object")
	}
	flat := fields{}
	err := flattenInto(flat, m, "", maxLevel, 0)
	return flat, err
}

func flattenInto(flat fields, m map[string]any, prefix string, maxLevel, depth int64) error {
	// Sorted, so that two keys that collide after formatting always resolve the same way.
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		name := formatKey(k)
		if depth > 0 {
			name = prefix + "_" + name
		}
		if err := flattenValue(flat, m[k], name, maxLevel, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func flattenValue(flat fields, v any, name string, maxLevel, depth int64) error {
	switch v := v.(type) {
	case nil:
		return nil
	case map[string]any:
		if len(v) == 0 {
			return nil
		}
		if maxLevel > 0 && depth >= maxLevel {
			return setJSON(flat, name, v)
		}
		return flattenInto(flat, v, name, maxLevel, depth)
	case []any:
		if len(v) == 0 {
			return nil
		}
		return setJSON(flat, name, v)
	}
	flat[name] = v
	return nil
}

func setJSON(flat fields, name string, v any) error {
	raw, err := marshal(v)
	if err != nil {
		return fmt.Errorf("flatten %q: %w", name, err)
	}
	flat[name] = string(raw)
	return nil
}

// marshal is json.Marshal without HTML escapes, which the real server does not write.
func marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// window is the span of event times that are taken, in microseconds. Outside it a record is discarded, and the HTTP
// answer stays 200.
type window struct {
	min, max               int64
	uptoHours, futureHours int64
	now                    int64
}

func newWindow(cfg config, now time.Time) window {
	const hour = 3600 * 1_000_000
	n := now.UnixMicro()
	return window{
		min: n - cfg.allowedUptoHours*hour, max: n + cfg.allowedFutureHours*hour,
		uptoHours: cfg.allowedUptoHours, futureHours: cfg.allowedFutureHours, now: n,
	}
}

func (w window) check(ts int64) error {
	if ts < w.min {
		return fmt.Errorf("Too old data, only last %d hours data can be ingested. Data discarded. You can adjust "+ //nolint:staticcheck // the real server's words
			"ingestion max time by setting the environment variable ZO_INGEST_ALLOWED_UPTO=<max_hours>", w.uptoHours)
	}
	if ts > w.max {
		return fmt.Errorf("Too far data, only future %d hours data can be ingested. Data discarded. You can adjust "+ //nolint:staticcheck // the real server's words
			"ingestion max time by setting the environment variable ZO_INGEST_ALLOWED_IN_FUTURE=<max_hours>", w.futureHours)
	}
	return nil
}

// stamp reads _timestamp (absent: now), checks it against the window and writes it back in microseconds.
func (w window) stamp(f fields) (int64, error) {
	ts := w.now
	if v, ok := f[timestampField]; ok && v != nil {
		var err error
		if ts, err = parseTimestamp(v, w.now); err != nil {
			return 0, errors.New("Can't parse timestamp") //nolint:staticcheck // the real server's words
		}
	}
	if err := w.check(ts); err != nil {
		return 0, err
	}
	f[timestampField] = json.Number(strconv.FormatInt(ts, 10))
	return ts, nil
}

func parseTimestamp(v any, now int64) (int64, error) {
	switch v := v.(type) {
	case string:
		return parseTimeString(v, now)
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return scaleToMicros(n, now), nil
		}
		f, err := v.Float64()
		if err != nil || math.Abs(f) > math.MaxInt64/2 {
			return 0, fmt.Errorf("number %q is out of range", v)
		}
		return scaleToMicros(int64(f), now), nil
	}
	return 0, fmt.Errorf("type %T is no time", v)
}

// scaleToMicros guesses the unit from the size: a value beyond one year after the epoch in a unit is of that unit.
func scaleToMicros(v, now int64) int64 {
	year := time.Date(1971, 1, 1, 0, 0, 0, 0, time.UTC)
	switch {
	case v == 0:
		return now
	case v > year.UnixNano():
		return v / 1000
	case v > year.UnixMicro():
		return v
	case v > year.UnixMilli():
		return v * 1000
	}
	return v * 1_000_000
}

func parseTimeString(s string, now int64) (int64, error) {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return scaleToMicros(n, now), nil
		}
		if math.IsNaN(f) || math.Abs(f) > math.MaxInt64/2 {
			return 0, fmt.Errorf("%q is out of range", s)
		}
		return scaleToMicros(int64(f), now), nil
	}
	t, err := parseTimeText(strings.Trim(s, `"`))
	if err != nil {
		return 0, err
	}
	return t.UnixMicro(), nil
}

func parseTimeText(s string) (time.Time, error) {
	switch {
	case strings.Contains(s, " ") && len(s) == 19:
		return time.Parse("2006-01-02 15:04:05", s)
	case strings.Contains(s, "T") && !strings.Contains(s, " "):
		if len(s) == 19 {
			return time.Parse("2006-01-02T15:04:05", s)
		}
		if _, frac, ok := strings.Cut(s, "."); ok && (len(frac) == 3 || len(frac) == 6) && !strings.HasSuffix(s, "Z") {
			return time.Parse("2006-01-02T15:04:05.999999", s)
		}
		return time.Parse(time.RFC3339Nano, s)
	}
	return mail.ParseDate(s)
}

// fieldType is the Arrow type name that the schema call shows.
type fieldType string

const (
	typeBool   fieldType = "Boolean"
	typeInt    fieldType = "Int64"
	typeFloat  fieldType = "Float64"
	typeString fieldType = "Utf8"
)

func typeOf(v any) fieldType {
	switch v := v.(type) {
	case bool:
		return typeBool
	case json.Number:
		if _, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return typeInt
		}
		return typeFloat
	}
	return typeString
}

// widen joins two types of one field. Boolean, Int64, Float64, Utf8 is the order of is_widening_conversion; a narrower
// value is cast up when it is read.
func widen(a, b fieldType) fieldType {
	order := []fieldType{"", typeBool, typeInt, typeFloat, typeString}
	if slices.Index(order, a) > slices.Index(order, b) {
		return a
	}
	return b
}

// castTo shows a stored value in its stream's type.
func castTo(v any, t fieldType) any {
	if t == typeString {
		return textOf(v)
	}
	b, ok := v.(bool)
	if !ok || t == typeBool {
		return v
	}
	if b {
		return json.Number("1")
	}
	return json.Number("0")
}

func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return v.String()
	}
	return fmt.Sprint(v)
}
