package main

import (
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"
)

// options reads one mapping of a configuration strictly: every key must be asked for, refused or
// unknown, and end reports the unknown ones. Errors collect in errs with the path of the mapping.
type options struct {
	path   string
	values map[string]any
	known  map[string]bool
	errs   *[]error
}

func newOptions(path string, v any, errs *[]error) *options {
	o := &options{path: path, known: map[string]bool{}, errs: errs}
	switch v := v.(type) {
	case nil:
	case map[string]any:
		o.values = v
	default:
		o.fail("expected a mapping, got %s", kindOf(v))
	}
	return o
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case int, int64, uint64:
		return "an integer"
	case float64:
		return "a float"
	case []any:
		return "a sequence"
	case map[string]any:
		return "a mapping"
	}
	return fmt.Sprintf("%T", v)
}

func (o *options) fail(format string, args ...any) {
	*o.errs = append(*o.errs, fmt.Errorf("%s: %s", o.path, fmt.Sprintf(format, args...)))
}

// get returns the value of key; an explicit null counts as absent, as with Vector's options.
func (o *options) get(key string) (any, bool) {
	o.known[key] = true
	v, ok := o.values[key]
	return v, ok && v != nil
}

func (o *options) has(key string) bool {
	_, ok := o.get(key)
	return ok
}

// lacks refuses keys Vector knows and this stand-in does not.
func (o *options) lacks(keys ...string) {
	for _, k := range keys {
		if o.has(k) {
			o.fail("%q is not supported by the stand-in", k)
		}
	}
}

// end reports keys Vector does not know either.
func (o *options) end() {
	for _, k := range slices.Sorted(maps.Keys(o.values)) {
		if !o.known[k] {
			o.fail("unknown field %q", k)
		}
	}
}

func (o *options) str(key, def string) string {
	v, ok := o.get(key)
	if !ok {
		return def
	}
	s, ok := v.(string)
	if !ok {
		o.fail("%q: expected a string, got %s", key, kindOf(v))
	}
	return s
}

func (o *options) needStr(key string) string {
	if !o.has(key) {
		o.fail("missing field %q", key)
		return ""
	}
	return o.str(key, "")
}

func (o *options) oneOf(key, def string, allowed, unsupported []string) string {
	s := o.str(key, def)
	if slices.Contains(unsupported, s) {
		o.fail("%q: %q is not supported by the stand-in", key, s)
		return s
	}
	if s != def && !slices.Contains(allowed, s) {
		o.fail("%q: unknown variant %q, expected one of %s", key, s, strings.Join(slices.Concat([]string{def}, allowed, unsupported), ", "))
	}
	return s
}

func (o *options) boolean(key string, def bool) bool {
	v, ok := o.get(key)
	if !ok {
		return def
	}
	b, ok := v.(bool)
	if !ok {
		o.fail("%q: expected a boolean, got %s", key, kindOf(v))
	}
	return b
}

// integer reads a whole number of at least lowest.
func (o *options) integer(key string, def, lowest int64) int64 {
	v, ok := o.get(key)
	if !ok {
		return def
	}
	n, ok := v.(int)
	if !ok {
		o.fail("%q: expected an unsigned integer, got %s", key, kindOf(v))
		return def
	}
	if int64(n) < lowest {
		o.fail("%q: %d is below the minimum of %d", key, n, lowest)
		return def
	}
	return int64(n)
}

// seconds reads a number of seconds. Vector's whole-second options refuse fractions.
func (o *options) seconds(key string, def time.Duration, fractions bool) time.Duration {
	v, ok := o.get(key)
	if !ok {
		return def
	}
	var f float64
	switch v := v.(type) {
	case int:
		f = float64(v)
	case float64:
		if !fractions {
			o.fail("%q: expected a whole number of seconds, got %v", key, v)
			return def
		}
		f = v
	default:
		o.fail("%q: expected a number of seconds, got %s", key, kindOf(v))
		return def
	}
	if f < 0 || math.IsNaN(f) || f > float64(math.MaxInt64/int64(time.Second)) {
		o.fail("%q: %v is no duration", key, v)
		return def
	}
	return time.Duration(f * float64(time.Second))
}

// number reads a number that has to be there.
func (o *options) number(key string) float64 {
	switch v, _ := o.get(key); v := v.(type) {
	case int:
		return float64(v)
	case float64:
		return v
	default:
		o.fail("%q: expected a number, got %s", key, kindOf(v))
		return 0
	}
}

func (o *options) list(key string) []any {
	v, ok := o.get(key)
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		o.fail("%q: expected a sequence, got %s", key, kindOf(v))
	}
	return list
}

func (o *options) strings(key string) []string {
	var out []string
	for i, e := range o.list(key) {
		s, ok := e.(string)
		if !ok {
			o.fail("%q: item %d: expected a string, got %s", key, i, kindOf(e))
			continue
		}
		out = append(out, s)
	}
	return out
}

// sub returns the mapping under key; absent reads as empty.
func (o *options) sub(key string) *options {
	v, _ := o.get(key)
	return newOptions(o.path+"."+key, v, o.errs)
}

// enabled reads `key: true` and `key: {enabled: true}`, which Vector takes alike.
func (o *options) enabled(key string, def bool) bool {
	if v, ok := o.get(key); ok {
		if b, ok := v.(bool); ok {
			return b
		}
	}
	s := o.sub(key)
	b := s.boolean("enabled", def)
	s.end()
	return b
}

// httpURL reads an absolute http or https URL.
func (o *options) httpURL(key, raw string) *url.URL {
	u, err := url.Parse(raw)
	if err != nil {
		o.fail("%q: invalid URI %q: %v", key, raw, err)
		return nil
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		o.fail("%q: uri must include a scheme and host, e.g. `https://example.com/endpoint`; got %q", key, raw)
		return nil
	}
	if strings.Contains(raw, "{{") {
		o.fail("%q: templates are not supported by the stand-in", key)
		return nil
	}
	if u.User != nil {
		o.fail("%q: credentials in the URI are not supported by the stand-in", key)
		return nil
	}
	return u
}
