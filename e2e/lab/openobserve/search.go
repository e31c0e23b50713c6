package main

import (
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// searchError is an answer of the search API: the codes and messages of infra::errors::ErrorCodes.
type searchError struct {
	code    int
	message string
	detail  string
}

func (e searchError) Error() string { return e.message + ": " + e.detail }

func sqlNotValid(err error) error {
	return searchError{code: 20001, message: "Search SQL not valid", detail: err.Error()}
}

func streamNotFound(name string) error {
	return searchError{code: 20002, message: "Search stream not found: " + name}
}

func fieldNotFound(field string) error {
	return searchError{code: 20004, message: "Search field not found: " + field}
}

func notExecutable(format string, args ...any) error {
	return searchError{code: 20008, message: "Search SQL execute error", detail: fmt.Sprintf(format, args...)}
}

func invalidParams(format string, args ...any) error {
	return searchError{code: 20011, message: "Invalid parameters", detail: fmt.Sprintf(format, args...)}
}

// truth is SQL's three-valued logic: a comparison with an absent field is unknown, and NOT keeps it so.
type truth int8

const (
	no truth = iota
	unknown
	yes
)

func toTruth(b bool) truth {
	if b {
		return yes
	}
	return no
}

type predicate func(fields) truth

// compiler turns a parsed condition into a predicate for one schema.
type compiler struct{ schema map[string]fieldType }

func (c compiler) or(e orExpr) (predicate, error) {
	var parts []predicate
	for _, a := range e.Any {
		p, err := c.and(a)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return func(f fields) truth {
		out := no
		for _, p := range parts {
			out = max(out, p(f))
		}
		return out
	}, nil
}

func (c compiler) and(e andExpr) (predicate, error) {
	var parts []predicate
	for _, n := range e.All {
		p, err := c.not(n)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return func(f fields) truth {
		out := yes
		for _, p := range parts {
			out = min(out, p(f))
		}
		return out
	}, nil
}

func (c compiler) not(n notExpr) (predicate, error) {
	p, err := c.atom(n)
	if err != nil || !n.Not {
		return p, err
	}
	return negate(p), nil
}

func negate(p predicate) predicate {
	return func(f fields) truth { return yes - p(f) }
}

func (c compiler) atom(n notExpr) (predicate, error) {
	switch {
	case n.Group != nil:
		return c.or(*n.Group)
	case n.Match != nil:
		return c.match(*n.Match)
	}
	return c.compare(*n.Cmp)
}

func (c compiler) match(m match) (predicate, error) {
	fn, text := strings.ToLower(m.Func), string(m.Text)
	if fn == "match_all" {
		return c.matchAll(m)
	}
	if m.Col == nil {
		return nil, sqlNotValid(fmt.Errorf("%s wants a field and a text", fn))
	}
	col := string(*m.Col)
	if c.schema[col] != typeString {
		return nil, sqlNotValid(fmt.Errorf("%s: field %q is not text", fn, col))
	}
	ignoreCase := fn == "str_match_ignore_case"
	return c.onField(col, func(v any) bool {
		if ignoreCase {
			return strings.Contains(strings.ToLower(textOf(v)), strings.ToLower(text))
		}
		return strings.Contains(textOf(v), text)
	}), nil
}

// fullTextFields are the fields that match_all searches unless the stream's settings say otherwise (config.rs).
func fullTextFields() []string {
	return []string{"log", "message", "msg", "content", "data", "body", "json", "error", "llm_input", "llm_output"}
}

func (c compiler) matchAll(m match) (predicate, error) {
	if m.Col != nil {
		return nil, sqlNotValid(fmt.Errorf("match_all wants a text only"))
	}
	var searched []string
	for _, f := range fullTextFields() {
		if c.schema[f] == typeString {
			searched = append(searched, f)
		}
	}
	if len(searched) == 0 {
		return nil, sqlNotValid(fmt.Errorf("match_all() should only apply to the stream that have full text search fields"))
	}
	needle := strings.ToLower(strings.Trim(strings.TrimPrefix(string(m.Text), "re:"), "*"))
	return func(f fields) truth {
		for _, name := range searched {
			if v, ok := f[name]; ok && strings.Contains(strings.ToLower(textOf(v)), needle) {
				return yes
			}
		}
		return no
	}, nil
}

func (c compiler) onField(col string, test func(any) bool) predicate {
	return func(f fields) truth {
		v, ok := f[col]
		if !ok || v == nil {
			return unknown
		}
		return toTruth(test(v))
	}
}

func (c compiler) compare(cmp compare) (predicate, error) {
	col := string(cmp.Col)
	switch {
	case cmp.Null != nil:
		p := func(f fields) truth { return toTruth(f[col] == nil) }
		if cmp.Null.Not {
			return negate(p), nil
		}
		return p, nil
	case cmp.Like != nil:
		return c.like(col, *cmp.Like)
	}
	// As text when either side is text, as numbers otherwise.
	if c.schema[col] == typeString || cmp.Value.Text != nil || cmp.Value.Bool != nil {
		want := cmp.Value.text()
		return c.onField(col, func(v any) bool { return holds(strings.Compare(textOf(v), want), cmp.Op) }), nil
	}
	want, ok := parseNumber(*cmp.Value.Number)
	if !ok {
		return nil, sqlNotValid(fmt.Errorf("%q is not a number", *cmp.Value.Number))
	}
	return c.onField(col, func(v any) bool {
		got, ok := parseNumber(textOf(castTo(v, c.schema[col])))
		return ok && holds(got.Cmp(want), cmp.Op)
	}), nil
}

// parseNumber keeps 64-bit integers exact: nanoseconds do not fit a float64. Exponents are bounded, because big.Rat
// would write out 1e999999999.
func parseNumber(s string) (*big.Rat, bool) {
	if _, exp, ok := strings.Cut(strings.ToLower(s), "e"); ok {
		if n, err := strconv.Atoi(exp); err != nil || n > 400 || n < -400 {
			return nil, false
		}
	}
	return new(big.Rat).SetString(s)
}

func (l literal) text() string {
	switch {
	case l.Text != nil:
		return string(*l.Text)
	case l.Bool != nil:
		return strings.ToLower(*l.Bool)
	}
	return *l.Number
}

func holds(cmp int, op string) bool {
	switch op {
	case "=":
		return cmp == 0
	case "!=", "<>":
		return cmp != 0
	case "<":
		return cmp < 0
	case "<=":
		return cmp <= 0
	case ">":
		return cmp > 0
	}
	return cmp >= 0
}

func (c compiler) like(col string, l likeTest) (predicate, error) {
	if c.schema[col] != typeString {
		return nil, sqlNotValid(fmt.Errorf("LIKE: field %q is not text", col))
	}
	var re *regexp.Regexp
	re, err := likePattern(string(l.Pattern))
	if err != nil {
		return nil, sqlNotValid(err)
	}
	p := c.onField(col, func(v any) bool { return re.MatchString(textOf(v)) })
	if l.Not {
		return negate(p), nil
	}
	return p, nil
}

// plan is a query made ready for one stream.
type plan struct {
	query      *query
	schema     map[string]fieldType
	where      predicate
	from, size int64
}

// newPlan checks the query against the schema. size is the request's; only when it is 0 or -1 does LIMIT decide, as in
// the real server.
func newPlan(q *query, schema map[string]fieldType, from, size int64) (plan, error) {
	for _, col := range q.columns() {
		if _, ok := schema[col]; !ok {
			return plan{}, fieldNotFound(col)
		}
	}
	if err := q.checkTypes(schema); err != nil {
		return plan{}, err
	}
	p := plan{query: q, schema: schema, from: from, size: size, where: func(fields) truth { return yes }}
	if q.Where != nil {
		var err error
		if p.where, err = (compiler{schema: schema}).or(*q.Where); err != nil {
			return plan{}, err
		}
	}
	if q.Limit != nil && (size <= 0 || int64(*q.Limit) < size) {
		p.size = int64(*q.Limit)
	}
	if q.Offset != nil {
		p.from += int64(*q.Offset)
	}
	return p, p.checkOrder()
}

// checkTypes refuses what DataFusion has no accumulator for (approx_distinct.rs; a Boolean it takes since 2025), and the bytes of
// what is no text.
func (q *query) checkTypes(schema map[string]fieldType) error {
	for _, it := range q.Items {
		t := schema[it.argument()]
		switch {
		case strings.EqualFold(it.Func, "approx_distinct") && it.Text == nil && (t == typeFloat || t == typeBool):
			return notExecutable("This feature is not implemented: Support for 'approx_distinct' for data type %s is not implemented", t)
		case it.Bytes != nil && t != typeString:
			return notExecutable("octet_length: field %q is not text", *it.Bytes)
		}
	}
	return nil
}

func (p plan) checkOrder() error {
	if p.query.OrderBy == nil {
		return nil
	}
	key := p.query.OrderBy.Key.label()
	for _, it := range p.query.Items {
		if it.label() == key {
			return nil
		}
	}
	if _, ok := p.schema[key]; ok && !p.query.aggregate() {
		return nil
	}
	return fieldNotFound(key)
}

// searchResult is what a query found and what it read for it.
type searchResult struct {
	hits           []fields
	records, bytes int64
}

// run reads the stream once. Memory is bounded by the hits asked for, and for GROUP BY by the number of groups.
func (p plan) run(st *stream, start, end int64) (searchResult, error) {
	if p.query.aggregate() {
		return p.runGroups(st, start, end)
	}
	var res searchResult
	var rows []record
	need := p.from + p.size
	less := p.order()
	var err error
	res.records, res.bytes, err = st.scan(start, end, func(r record) (bool, error) {
		if p.where(r.fields) == yes {
			rows = append(rows, r)
		}
		if p.size > 0 && int64(len(rows)) > 2*need+1000 {
			slices.SortStableFunc(rows, less)
			rows = rows[:need]
		}
		return true, nil
	})
	if err != nil {
		return res, err
	}
	slices.SortStableFunc(rows, less)
	for _, r := range page(rows, p.from, p.size) {
		res.hits = append(res.hits, p.project(r.fields))
	}
	return res, nil
}

// order is newest first unless the query says otherwise.
func (p plan) order() func(a, b record) int {
	key, desc := timestampField, true
	if o := p.query.OrderBy; o != nil {
		key, desc = p.source(o.Key.label()), o.Desc
	}
	return func(a, b record) int {
		c := 0
		if key == timestampField {
			c = int(min(1, max(-1, a.ts-b.ts)))
		} else {
			c = compareValues(a.fields[key], b.fields[key], p.schema[key])
		}
		if desc {
			return -c
		}
		return c
	}
}

// source is the stored field behind a label.
func (p plan) source(label string) string {
	for _, it := range p.query.Items {
		if it.label() == label && it.Col != nil {
			return string(*it.Col)
		}
	}
	return label
}

func compareValues(a, b any, t fieldType) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1 // nulls last, ascending
	case b == nil:
		return -1
	}
	if t == typeInt || t == typeFloat {
		x, okX := parseNumber(textOf(castTo(a, t)))
		y, okY := parseNumber(textOf(castTo(b, t)))
		if okX && okY {
			return x.Cmp(y)
		}
	}
	return strings.Compare(textOf(a), textOf(b))
}

func page[T any](rows []T, from, size int64) []T {
	rows = rows[min(from, int64(len(rows))):]
	if size > 0 || size == 0 {
		rows = rows[:min(size, int64(len(rows)))]
	}
	return rows
}

// project makes a hit. The real server adds _timestamp to every plain query.
func (p plan) project(f fields) fields {
	out := fields{timestampField: f[timestampField]}
	if p.query.Star {
		for k, v := range f {
			out[k] = castTo(v, p.schema[k])
		}
		return out
	}
	for _, it := range p.query.Items {
		if v, ok := f[string(*it.Col)]; ok {
			out[it.label()] = castTo(v, p.schema[string(*it.Col)])
		}
	}
	return out
}

// group collects the aggregates of one value of the GROUP BY column.
type group struct {
	value any
	cells []cell
}

type cell struct {
	count    int64
	bytes    int64
	min, max any
	distinct map[string]struct{}
}

func (p plan) newGroup(value any) *group {
	g := &group{value: value, cells: make([]cell, len(p.query.Items))}
	for i, it := range p.query.Items {
		if strings.EqualFold(it.Func, "approx_distinct") {
			g.cells[i].distinct = map[string]struct{}{}
		}
	}
	return g
}

func (p plan) runGroups(st *stream, start, end int64) (searchResult, error) {
	var res searchResult
	groups := map[string]*group{}
	var order []string
	if p.query.GroupBy == nil {
		groups[""], order = p.newGroup(nil), []string{""}
	}
	var err error
	res.records, res.bytes, err = st.scan(start, end, func(r record) (bool, error) {
		if p.where(r.fields) != yes {
			return true, nil
		}
		key, value := "", any(nil)
		if col := p.query.GroupBy; col != nil {
			if v, ok := r.fields[string(*col)]; ok && v != nil {
				value = castTo(v, p.schema[string(*col)])
				key = "v" + textOf(value)
			}
		}
		g := groups[key]
		if g == nil {
			g = p.newGroup(value)
			groups[key], order = g, append(order, key)
		}
		p.add(g, r.fields)
		return true, nil
	})
	if err != nil {
		return res, err
	}
	for _, key := range order {
		res.hits = append(res.hits, p.row(groups[key]))
	}
	p.sortGroups(res.hits)
	res.hits = page(res.hits, p.from, p.size)
	return res, nil
}

func (p plan) add(g *group, f fields) {
	for i, it := range p.query.Items {
		c := &g.cells[i]
		if it.Star {
			c.count++
			continue
		}
		name := it.argument()
		v, ok := f[name]
		if !ok || v == nil {
			continue
		}
		v = castTo(v, p.schema[name])
		c.count++
		if it.Bytes != nil {
			c.bytes += int64(len(textOf(v)))
		}
		if c.distinct != nil {
			c.distinct[textOf(v)] = struct{}{}
		}
		if c.min == nil || compareValues(v, c.min, p.schema[name]) < 0 {
			c.min = v
		}
		if c.max == nil || compareValues(v, c.max, p.schema[name]) > 0 {
			c.max = v
		}
	}
}

func (p plan) row(g *group) fields {
	out := fields{}
	for i, it := range p.query.Items {
		v := g.value
		switch strings.ToLower(it.Func) {
		case "count":
			v = number(g.cells[i].count)
		case "approx_distinct":
			v = number(int64(len(g.cells[i].distinct)))
		case "sum":
			v = nil // of no value it is null
			if g.cells[i].count > 0 {
				v = number(g.cells[i].bytes)
			}
		case "min":
			v = g.cells[i].min
		case "max":
			v = g.cells[i].max
		}
		if v != nil {
			out[it.label()] = v
		}
	}
	return out
}

func number(n int64) json.Number { return json.Number(strconv.FormatInt(n, 10)) }

func (p plan) sortGroups(hits []fields) {
	o := p.query.OrderBy
	if o == nil {
		return
	}
	key := o.Key.label()
	t := typeInt
	for _, it := range p.query.Items {
		if it.label() != key {
			continue
		}
		if it.Col != nil {
			t = p.schema[string(*it.Col)]
		}
		if it.Arg != nil && (strings.EqualFold(it.Func, "min") || strings.EqualFold(it.Func, "max")) {
			t = p.schema[string(*it.Arg)]
		}
	}
	slices.SortStableFunc(hits, func(a, b fields) int {
		c := compareValues(a[key], b[key], t)
		if o.Desc {
			return -c
		}
		return c
	})
}
