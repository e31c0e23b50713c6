package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"
)

// The grammar is the whole of the SQL that the stand-in answers: what it does not name is refused.
type (
	query struct {
		Star    bool      `parser:"'SELECT' ( @'*'"`
		Items   []item    `parser:"| @@ ( ',' @@ )* )"`
		From    name      `parser:"'FROM' @( Quoted | Ident )"`
		Where   *orExpr   `parser:"( 'WHERE' @@ )?"`
		GroupBy *name     `parser:"( 'GROUP' 'BY' @( Quoted | Ident ) )?"`
		OrderBy *orderBy  `parser:"( 'ORDER' 'BY' @@ )?"`
		Limit   *intValue `parser:"( 'LIMIT' @Int )?"`
		Offset  *intValue `parser:"( 'OFFSET' @Int )?"`
		End     bool      `parser:"@';'?"`
	}
	item struct {
		Func  string `parser:"( ( @Ident '('"`
		Star  bool   `parser:"( @'*'"`
		Text  *name  `parser:"| 'CAST' '(' @( Quoted | Ident ) 'AS' 'VARCHAR' ')'"`
		Bytes *name  `parser:"| 'octet_length' '(' @( Quoted | Ident ) ')'"`
		Arg   *name  `parser:"| @( Quoted | Ident ) ) ')' )"`
		Col   *name  `parser:"| @( Quoted | Ident ) )"`
		Alias *name  `parser:"( 'AS' @( Quoted | Ident ) )?"`
	}
	orderBy struct {
		Key  orderKey `parser:"@@"`
		Desc bool     `parser:"( 'ASC' | @'DESC' )?"`
	}
	orderKey struct {
		Func string `parser:"( @Ident '('"`
		Star bool   `parser:"@'*' ')'"`
		Col  *name  `parser:"| @( Quoted | Ident ) )"`
	}
	orExpr struct {
		Any []andExpr `parser:"@@ ( 'OR' @@ )*"`
	}
	andExpr struct {
		All []notExpr `parser:"@@ ( 'AND' @@ )*"`
	}
	notExpr struct {
		Not   bool     `parser:"@'NOT'?"`
		Group *orExpr  `parser:"( '(' @@ ')'"`
		Match *match   `parser:"| @@"`
		Cmp   *compare `parser:"| @@ )"`
	}
	match struct {
		Func string    `parser:"@( 'match_all' | 'str_match' | 'str_match_ignore_case' ) '('"`
		Col  *name     `parser:"( @( Quoted | Ident ) ',' )?"`
		Text textValue `parser:"@String ')'"`
	}
	compare struct {
		Col   name      `parser:"@( Quoted | Ident )"`
		Null  *nullTest `parser:"( @@"`
		Like  *likeTest `parser:"| @@"`
		Op    string    `parser:"| @Op"`
		Value *literal  `parser:"  @@ )"`
	}
	nullTest struct {
		Not bool `parser:"'IS' @'NOT'? 'NULL'"`
	}
	likeTest struct {
		Not     bool      `parser:"@'NOT'? 'LIKE'"`
		Pattern textValue `parser:"@String"`
	}
	literal struct {
		Text   *textValue `parser:"@String"`
		Number *string    `parser:"| @( Int | Float )"`
		Bool   *string    `parser:"| @( 'TRUE' | 'FALSE' )"`
	}
)

// name is an identifier without its quotes.
type name string

func (n *name) Capture(values []string) error {
	v := values[0]
	if strings.HasPrefix(v, `"`) {
		v = strings.ReplaceAll(v[1:len(v)-1], `""`, `"`)
	}
	*n = name(v)
	return nil
}

// textValue is a string literal without its quotes.
type textValue string

func (t *textValue) Capture(values []string) error {
	v := values[0]
	*t = textValue(strings.ReplaceAll(v[1:len(v)-1], `''`, `'`))
	return nil
}

type intValue int64

func (i *intValue) Capture(values []string) error {
	n, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is not a count", values[0])
	}
	*i = intValue(n)
	return nil
}

const (
	maxSQL     = 64 << 10
	maxNesting = 64
)

var errTooComplex = errors.New("the lab stand-in takes at most 64 KiB of SQL and 64 open parentheses")

type sqlParser struct{ parser *participle.Parser[query] }

func newSQLParser() (*sqlParser, error) {
	lex, err := lexer.NewSimple([]lexer.SimpleRule{
		{Name: "Keyword", Pattern: `(?i)\b(SELECT|FROM|WHERE|GROUP|ORDER|BY|LIMIT|OFFSET|AS|AND|OR|NOT|LIKE|IS|NULL|ASC|DESC|TRUE|FALSE|` +
			`JOIN|UNION|HAVING|DISTINCT|IN|BETWEEN|CASE|WITH|ON)\b`},
		{Name: "Ident", Pattern: `[A-Za-z_][A-Za-z0-9_]*`},
		{Name: "Quoted", Pattern: `"(?:[^"]|"")+"`},
		{Name: "String", Pattern: `'(?:[^']|'')*'`},
		{Name: "Float", Pattern: `[-+]?\d+\.\d+`},
		{Name: "Int", Pattern: `[-+]?\d+`},
		{Name: "Op", Pattern: `<>|!=|<=|>=|=|<|>`},
		{Name: "Punct", Pattern: `[(),*;]`},
		{Name: "space", Pattern: `\s+`},
	})
	if err != nil {
		return nil, err
	}
	parser, err := participle.Build[query](participle.Lexer(lex), participle.CaseInsensitive("Keyword", "Ident"),
		participle.UseLookahead(3))
	if err != nil {
		return nil, err
	}
	return &sqlParser{parser: parser}, nil
}

// parse reads one statement of the subset. The error is for the error_detail of the answer.
func (p *sqlParser) parse(sql string) (*query, error) {
	if len(sql) > maxSQL || nesting(sql) > maxNesting {
		return nil, errTooComplex
	}
	q, err := p.parser.ParseString("", sql)
	if err != nil {
		return nil, fmt.Errorf("the lab stand-in understands a small part of SQL only: %w", err)
	}
	return q, q.check()
}

func nesting(sql string) int {
	depth, deepest := 0, 0
	for _, c := range sql {
		switch c {
		case '(':
			depth++
			deepest = max(deepest, depth)
		case ')':
			depth--
		}
	}
	return deepest
}

// check refuses what the grammar lets through and the executor has no meaning for.
func (q *query) check() error {
	aggregates := 0
	for _, it := range q.Items {
		if it.Func == "" {
			continue
		}
		aggregates++
		if err := it.check(); err != nil {
			return err
		}
	}
	if q.GroupBy == nil && aggregates > 0 && aggregates < len(q.Items) {
		return errors.New("a column beside an aggregate must be in GROUP BY")
	}
	if q.GroupBy != nil {
		return q.checkGroup()
	}
	return nil
}

func (q *query) checkGroup() error {
	if q.Star {
		return errors.New("SELECT * cannot be grouped")
	}
	for _, it := range q.Items {
		if it.Col != nil && *it.Col != *q.GroupBy {
			return fmt.Errorf("column %q must be in GROUP BY", *it.Col)
		}
	}
	return nil
}

func (it item) check() error {
	fn := strings.ToLower(it.Func)
	switch fn {
	case "count", "min", "max", "approx_distinct":
		if it.Star && fn != "count" {
			return fmt.Errorf("%s needs a column", fn)
		}
		if it.Bytes != nil || it.Text != nil && fn != "approx_distinct" {
			return fmt.Errorf("the lab stand-in takes CAST in approx_distinct and octet_length in sum only, not in %s", fn)
		}
	case "sum":
		if it.Bytes == nil {
			return errors.New("the lab stand-in sums octet_length of a column only")
		}
	default:
		return fmt.Errorf("the lab stand-in has no function %q", it.Func)
	}
	// The real name of an unnamed aggregate carries the table; the stand-in does not guess it.
	if it.Alias == nil && !it.Star {
		return fmt.Errorf("the lab stand-in wants a name: %s(...) AS name", fn)
	}
	return nil
}

// argument is the column inside a function, "" for none.
func (it item) argument() string {
	for _, arg := range []*name{it.Arg, it.Text, it.Bytes} {
		if arg != nil {
			return string(*arg)
		}
	}
	return ""
}

// label is the column's name in a hit.
func (it item) label() string {
	switch {
	case it.Alias != nil:
		return string(*it.Alias)
	case it.Col != nil:
		return string(*it.Col)
	}
	return "count(*)"
}

func (k orderKey) label() string {
	if k.Col != nil {
		return string(*k.Col)
	}
	return strings.ToLower(k.Func) + "(*)"
}

func (q *query) aggregate() bool {
	if q.GroupBy != nil {
		return true
	}
	return len(q.Items) > 0 && q.Items[0].Func != ""
}

// columns lists every stored field that the query reads, for the check against the schema.
func (q *query) columns() []string {
	var out []string
	for _, it := range q.Items {
		if it.Col != nil {
			out = append(out, string(*it.Col))
		}
		if arg := it.argument(); arg != "" {
			out = append(out, arg)
		}
	}
	if q.GroupBy != nil {
		out = append(out, string(*q.GroupBy))
	}
	if q.Where != nil {
		out = append(out, q.Where.columns()...)
	}
	return out
}

func (e orExpr) columns() []string {
	var out []string
	for _, a := range e.Any {
		for _, n := range a.All {
			out = append(out, n.columns()...)
		}
	}
	return out
}

func (n notExpr) columns() []string {
	switch {
	case n.Group != nil:
		return n.Group.columns()
	case n.Match != nil && n.Match.Col != nil:
		return []string{string(*n.Match.Col)}
	case n.Cmp != nil:
		return []string{string(n.Cmp.Col)}
	}
	return nil
}

func (e orExpr) usesMatchAll() bool {
	for _, a := range e.Any {
		for _, n := range a.All {
			if n.Group != nil && n.Group.usesMatchAll() || n.Match != nil && strings.EqualFold(n.Match.Func, "match_all") {
				return true
			}
		}
	}
	return false
}

// likePattern turns a LIKE pattern into an anchored expression; a backslash takes the next character literally.
func likePattern(like string) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString(`(?s)^`)
	escaped := false
	for _, c := range like {
		switch {
		case escaped:
			b.WriteString(regexp.QuoteMeta(string(c)))
			escaped = false
		case c == '\\':
			escaped = true
		case c == '%':
			b.WriteString(`.*`)
		case c == '_':
			b.WriteString(`.`)
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	b.WriteString(`$`)
	return regexp.Compile(b.String())
}
