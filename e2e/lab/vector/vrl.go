package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// scope is what one run of a program sees: the event as a tree, and the local variables.
type scope struct {
	root map[string]any
	vars map[string]any
}

type expr interface {
	eval(s *scope) (any, error)
}

type (
	literal  struct{ value any }
	listExpr []expr
	pathExpr []string
	varExpr  struct {
		name string
		path pathExpr
	}
	notExpr    struct{ of expr }
	binaryExpr struct {
		op          string
		left, right expr
	}
	ifExpr struct {
		cond        expr
		then, other []expr
	}
	assignExpr struct {
		target  expr
		errName string
		value   expr
	}
	callExpr struct {
		name  string
		fn    function
		bang  bool
		args  []expr
		named map[string]expr
	}
)

// run applies p and says whether the event goes on. A failing program leaves the event as it was,
// unless drop_on_error is set.
func (p *program) run(e event) (event, bool, error) {
	s := &scope{root: e.tree(), vars: map[string]any{}}
	var last any
	for _, st := range p.statements {
		v, err := st.eval(s)
		if err != nil {
			// A filter condition that fails is false, as in Vector.
			return e, !p.filter && !p.dropOnError, err
		}
		last = v
	}
	if p.filter {
		return e, last == true || len(p.statements) == 0, nil
	}
	return e.fromTree(s.root), true, nil
}

// tree shows the event to a program; it shares nothing with the event a program may change.
func (e event) tree() map[string]any {
	if e.metric == nil {
		return cloneValue(e.log).(map[string]any)
	}
	tags := make(map[string]any, len(e.metric.tags))
	for k, v := range e.metric.tags {
		tags[k] = v
	}
	root := map[string]any{"name": e.metric.name, "tags": tags}
	if e.metric.namespace != "" {
		root["namespace"] = e.metric.namespace
	}
	return root
}

// fromTree takes back what Vector lets a program change: all of a log, and the name, the namespace
// and the tags of a metric.
func (e event) fromTree(root map[string]any) event {
	if e.metric == nil {
		e.log = root
		return e
	}
	m := *e.metric
	m.name, _ = root["name"].(string)
	m.namespace, _ = root["namespace"].(string)
	m.tags = map[string]string{}
	tags, _ := root["tags"].(map[string]any)
	for k, v := range tags {
		if s, ok := v.(string); ok {
			m.tags[k] = s
		}
	}
	e.metric = &m
	return e
}

func (l literal) eval(*scope) (any, error) { return l.value, nil }

func (l listExpr) eval(s *scope) (any, error) {
	out := make([]any, len(l))
	for i, e := range l {
		v, err := e.eval(s)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

func (p pathExpr) eval(s *scope) (any, error) { return lookup(s.root, p), nil }

func (v varExpr) eval(s *scope) (any, error) {
	val, ok := s.vars[v.name]
	if !ok {
		return nil, fmt.Errorf("undefined variable %q", v.name)
	}
	return lookup(val, v.path), nil
}

func lookup(v any, path []string) any {
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[p]
	}
	return v
}

func (n notExpr) eval(s *scope) (any, error) {
	v, err := n.of.eval(s)
	if err != nil {
		return nil, err
	}
	b, ok := v.(bool)
	if !ok {
		return nil, fmt.Errorf("! of %T", v)
	}
	return !b, nil
}

func (b binaryExpr) eval(s *scope) (any, error) {
	left, err := b.left.eval(s)
	switch {
	case b.op == "??":
		if err != nil {
			return b.right.eval(s)
		}
		return left, nil
	case err != nil:
		return nil, err
	case b.op == "||":
		if left == nil || left == false {
			return b.right.eval(s)
		}
		return left, nil
	case b.op == "&&":
		if left == nil || left == false {
			return false, nil
		}
		return b.right.eval(s)
	}
	right, err := b.right.eval(s)
	if err != nil {
		return nil, err
	}
	return reflect.DeepEqual(left, right) == (b.op == "=="), nil
}

func (i ifExpr) eval(s *scope) (any, error) {
	cond, err := i.cond.eval(s)
	if err != nil {
		return nil, err
	}
	body := i.other
	if cond == true {
		body = i.then
	}
	var last any
	for _, e := range body {
		if last, err = e.eval(s); err != nil {
			return nil, err
		}
	}
	return last, nil
}

func (a assignExpr) eval(s *scope) (any, error) {
	v, err := a.value.eval(s)
	if err != nil && a.errName == "" {
		return nil, err
	}
	if a.errName != "" {
		s.vars[a.errName] = nil
		if err != nil {
			s.vars[a.errName] = err.Error()
		}
	}
	switch t := a.target.(type) {
	case varExpr:
		s.vars[t.name] = v
	case pathExpr:
		assign(s.root, t, v)
	}
	return v, nil
}

func assign(root map[string]any, path []string, v any) {
	for _, p := range path[:len(path)-1] {
		next, ok := root[p].(map[string]any)
		if !ok {
			next = map[string]any{}
			root[p] = next
		}
		root = next
	}
	root[path[len(path)-1]] = v
}

// checkCall refuses what eval could not do, so that it shows at start.
func checkCall(c callExpr) error {
	if c.name == "del" || c.name == "exists" {
		if len(c.args) != 1 {
			return fmt.Errorf("%s takes one path", c.name)
		}
		if p, ok := c.args[0].(pathExpr); !ok || len(p) == 0 {
			return fmt.Errorf("%s takes a path", c.name)
		}
	}
	return nil
}

func (c callExpr) eval(s *scope) (any, error) {
	if c.name == "del" {
		return remove(s.root, c.args[0].(pathExpr)), nil
	}
	if c.name == "exists" {
		return exists(s.root, c.args[0].(pathExpr)), nil
	}
	args := make([]any, len(c.args))
	for i, e := range c.args {
		v, err := e.eval(s)
		if err != nil {
			return nil, err
		}
		args[i] = v
	}
	named := map[string]any{}
	for k, e := range c.named {
		v, err := e.eval(s)
		if err != nil {
			return nil, err
		}
		named[k] = v
	}
	v, err := c.fn(args, named)
	if err != nil {
		err = fmt.Errorf("function call error for %q: %w", c.name, err)
	}
	return v, err
}

func remove(root map[string]any, path []string) any {
	for _, p := range path[:len(path)-1] {
		next, ok := root[p].(map[string]any)
		if !ok {
			return nil
		}
		root = next
	}
	last := path[len(path)-1]
	v := root[last]
	delete(root, last)
	return v
}

func exists(root map[string]any, path []string) bool {
	for _, p := range path[:len(path)-1] {
		next, ok := root[p].(map[string]any)
		if !ok {
			return false
		}
		root = next
	}
	_, has := root[path[len(path)-1]]
	return has
}

// fnCompact takes null, "" and what is empty out of a list.
func fnCompact(args []any, named map[string]any) (any, error) {
	if len(args) != 1 || len(named) > 0 {
		return nil, errArgs
	}
	list, ok := args[0].([]any)
	if !ok {
		return nil, fmt.Errorf("expected an array, got %T", args[0])
	}
	return slices.DeleteFunc(slices.Clone(list), func(v any) bool {
		return v == nil || v == "" || reflect.DeepEqual(v, []any{}) || reflect.DeepEqual(v, map[string]any{})
	}), nil
}

func fnJoin(args []any, _ map[string]any) (any, error) {
	if len(args) == 0 || len(args) > 2 {
		return nil, errArgs
	}
	list, ok := args[0].([]any)
	if !ok {
		return nil, fmt.Errorf("expected an array, got %T", args[0])
	}
	separator := ""
	if len(args) == 2 {
		if separator, ok = args[1].(string); !ok {
			return nil, fmt.Errorf("expected a string, got %T", args[1])
		}
	}
	words := make([]string, len(list))
	for i, item := range list {
		if words[i], ok = item.(string); !ok {
			return nil, errors.New("all array items must be strings")
		}
	}
	return strings.Join(words, separator), nil
}

type function func(args []any, named map[string]any) (any, error)

var errArgs = errors.New("wrong arguments")

// functions are those the bundle's programs call.
var functions = map[string]function{
	"compact":                 fnCompact,
	"exists":                  func([]any, map[string]any) (any, error) { return nil, nil },
	"join":                    fnJoin,
	"del":                     func([]any, map[string]any) (any, error) { return nil, nil },
	"now":                     func([]any, map[string]any) (any, error) { return time.Now().UTC(), nil },
	"get_hostname":            func([]any, map[string]any) (any, error) { return os.Hostname() },
	"to_int":                  fnToInt,
	"to_string":               fnToString,
	"to_syslog_level":         fnToSyslogLevel,
	"downcase":                onString(func(s string) (any, error) { return strings.ToLower(s), nil }),
	"encode_json":             fnEncodeJSON,
	"strip_ansi_escape_codes": onString(func(s string) (any, error) { return ansiPattern().ReplaceAllString(s, ""), nil }),
	"parse_json":              onString(parseJSON),
	"parse_url":               onString(parseURL),
	"parse_regex":             fnParseRegex,
	"parse_timestamp":         fnParseTimestamp,
	"includes":                fnIncludes,
	"is_object":               isType[map[string]any],
	"is_string":               isType[string],
	"is_timestamp":            isType[time.Time],
	"object":                  asType[map[string]any],
	"string":                  asType[string],
	"timestamp":               asType[time.Time],
	"to_unix_timestamp":       fnToUnix,
}

func onString(fn func(string) (any, error)) function {
	return func(args []any, _ map[string]any) (any, error) {
		if len(args) != 1 {
			return nil, errArgs
		}
		s, ok := args[0].(string)
		if !ok {
			return nil, fmt.Errorf("expected a string, got %T", args[0])
		}
		return fn(s)
	}
}

func isType[T any](args []any, _ map[string]any) (any, error) {
	if len(args) != 1 {
		return nil, errArgs
	}
	_, ok := args[0].(T)
	return ok, nil
}

func asType[T any](args []any, _ map[string]any) (any, error) {
	if len(args) != 1 {
		return nil, errArgs
	}
	if _, ok := args[0].(T); !ok {
		return nil, fmt.Errorf("expected %T, got %T", *new(T), args[0])
	}
	return args[0], nil
}

func fnToInt(args []any, _ map[string]any) (any, error) {
	if len(args) != 1 {
		return nil, errArgs
	}
	switch v := args[0].(type) {
	case nil:
		return int64(0), nil
	case int64:
		return v, nil
	case string:
		return strconv.ParseInt(v, 10, 64)
	}
	return nil, fmt.Errorf("unable to coerce %T into integer", args[0])
}

func fnToSyslogLevel(args []any, _ map[string]any) (any, error) {
	levels := []string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}
	if len(args) != 1 {
		return nil, errArgs
	}
	number, is := args[0].(int64)
	if !is || number < 0 || number >= int64(len(levels)) {
		return nil, fmt.Errorf("severity level %v not valid", args[0])
	}
	return levels[number], nil
}

func fnToString(args []any, _ map[string]any) (any, error) {
	if len(args) != 1 {
		return nil, errArgs
	}
	switch v := args[0].(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return formatFloat(v), nil
	case time.Time:
		return formatTime(v), nil
	}
	return nil, fmt.Errorf("unable to coerce %T into string", args[0])
}

func fnEncodeJSON(args []any, _ map[string]any) (any, error) {
	if len(args) != 1 {
		return nil, errArgs
	}
	b, err := encodeJSON(args[0])
	return string(b), err
}

func ansiPattern() *regexp.Regexp { return regexp.MustCompile(`\x1b\[[0-9;?]*[ -/]*[@-~]`) }

func parseJSON(s string) (any, error) {
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("unable to parse json: %w", err)
	}
	if dec.More() {
		return nil, errors.New("unable to parse json: trailing characters")
	}
	return fromJSON(v), nil
}

func fromJSON(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case map[string]any:
		for k, e := range v {
			v[k] = fromJSON(e)
		}
	case []any:
		for i, e := range v {
			v[i] = fromJSON(e)
		}
	}
	return v
}

func parseURL(s string) (any, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" {
		return nil, fmt.Errorf("unable to parse url %q", s)
	}
	// VRL gives the host without the port, which is a field of its own.
	out := map[string]any{"scheme": u.Scheme, "host": u.Hostname(), "path": u.Path, "port": nil}
	if n, err := strconv.ParseInt(u.Port(), 10, 64); err == nil {
		out["port"] = n
	}
	return out, nil
}

func fnParseRegex(args []any, _ map[string]any) (any, error) {
	if len(args) != 2 {
		return nil, errArgs
	}
	s, ok := args[0].(string)
	re, isRegex := args[1].(*regexp.Regexp)
	if !ok || !isRegex {
		return nil, errArgs
	}
	m := re.FindStringSubmatchIndex(s)
	if m == nil {
		return nil, errors.New("could not find any pattern matches")
	}
	out := map[string]any{}
	for i, name := range re.SubexpNames() {
		if name == "" {
			continue
		}
		out[name] = nil
		if m[2*i] >= 0 {
			out[name] = s[m[2*i]:m[2*i+1]]
		}
	}
	return out, nil
}

// fnParseTimestamp knows the one format the bundle uses, `%+`: RFC 3339.
func fnParseTimestamp(args []any, _ map[string]any) (any, error) {
	if len(args) != 2 || args[1] != "%+" {
		return nil, errArgs
	}
	s, ok := args[0].(string)
	if !ok {
		return nil, fmt.Errorf("unable to convert %T to timestamp", args[0])
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	return t.UTC(), err
}

func fnIncludes(args []any, _ map[string]any) (any, error) {
	if len(args) != 2 {
		return nil, errArgs
	}
	list, ok := args[0].([]any)
	if !ok {
		return nil, errArgs
	}
	for _, e := range list {
		if reflect.DeepEqual(e, args[1]) {
			return true, nil
		}
	}
	return false, nil
}

func fnToUnix(args []any, named map[string]any) (any, error) {
	if len(args) != 1 {
		return nil, errArgs
	}
	t, ok := args[0].(time.Time)
	if !ok {
		return nil, errArgs
	}
	switch named["unit"] {
	case nil, "seconds":
		return t.Unix(), nil
	case "milliseconds":
		return t.UnixMilli(), nil
	case "microseconds":
		return t.UnixMicro(), nil
	case "nanoseconds":
		return t.UnixNano(), nil
	}
	return nil, fmt.Errorf("invalid unit %v", named["unit"])
}

// formatTime prints RFC 3339 in UTC with 0, 3, 6 or 9 digits of the second, as Vector's JSON does.
func formatTime(t time.Time) string {
	t = t.UTC()
	switch ns := t.Nanosecond(); {
	case ns == 0:
		return t.Format("2006-01-02T15:04:05Z")
	case ns%1e6 == 0:
		return t.Format("2006-01-02T15:04:05.000Z")
	case ns%1e3 == 0:
		return t.Format("2006-01-02T15:04:05.000000Z")
	}
	return t.Format("2006-01-02T15:04:05.000000000Z")
}

// formatFloat prints f as Rust does: no exponent, no trailing zero.
func formatFloat(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
