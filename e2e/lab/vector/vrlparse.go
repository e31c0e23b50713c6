package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// program is a remap or filter program in the part of VRL this stand-in reads. It is no VRL: see
// README.md. Statements it does not understand are passed over and listed in skipped.
type program struct {
	statements  []expr
	skipped     []string
	filter      bool
	dropOnError bool
}

// compile reads src statement by statement, so that one foreign line does not take the others away.
func compile(src string) *program {
	p := &program{}
	for _, text := range splitStatements(src) {
		e, err := parseStatement(text)
		if err != nil {
			p.skipped = append(p.skipped, fmt.Sprintf("%s (%v)", strings.Join(strings.Fields(text), " "), err))
			continue
		}
		p.statements = append(p.statements, e)
	}
	return p
}

type token struct {
	kind string // ident, string, number, regex, op, newline, end
	text string
}

var tokenPattern = regexp.MustCompile(`^(?:` + strings.Join([]string{
	`(?P<space>[ \t\r]+|#[^\n]*)`,
	`(?P<newline>\n)`,
	`(?P<regex>r'(?:[^'\\]|\\.)*')`,
	`(?P<string>"(?:[^"\\]|\\.)*")`,
	`(?P<number>-?[0-9]+(?:\.[0-9]+)?)`,
	`(?P<ident>[A-Za-z_][A-Za-z0-9_]*)`,
	`(?P<op>\?\?|\|\||&&|==|!=|[-+.,:;=!(){}\[\]|])`,
}, "|") + `)`)

func tokenize(src string) ([]token, error) {
	var out []token
	names := tokenPattern.SubexpNames()
	for src != "" {
		m := tokenPattern.FindStringSubmatch(src)
		if m == nil {
			return nil, fmt.Errorf("unknown sign %q", src[:1])
		}
		src = src[len(m[0]):]
		for i := 1; i < len(m); i++ {
			if m[i] != "" && names[i] != "space" {
				out = append(out, token{names[i], m[i]})
			}
		}
	}
	return append(out, token{kind: "end"}), nil
}

// splitStatements cuts at line ends outside of brackets and strings, and keeps `} else {` together.
func splitStatements(src string) []string {
	var out []string
	var cur strings.Builder
	depth, quote := 0, byte(0)
	for i := 0; i < len(src); i++ {
		c := src[i]
		switch {
		case quote != 0:
			if c == '\\' && i+1 < len(src) {
				cur.WriteByte(c)
				i++
				c = src[i]
			} else if c == quote {
				quote = 0
			}
		case c == '"' || (c == '\'' && i > 0 && src[i-1] == 'r'):
			quote = c
		case c == '#':
			for i+1 < len(src) && src[i+1] != '\n' {
				i++
			}
			continue
		case strings.IndexByte("({[", c) >= 0:
			depth++
		case strings.IndexByte(")}]", c) >= 0:
			depth--
		case c == '\n' && depth <= 0:
			if s := strings.TrimSpace(cur.String()); s != "" {
				out = append(out, s)
			}
			cur.Reset()
			continue
		}
		cur.WriteByte(c)
	}
	if s := strings.TrimSpace(cur.String()); s != "" {
		out = append(out, s)
	}
	return out
}

type parser struct {
	tokens []token
	pos    int
}

func parseStatement(text string) (e expr, err error) {
	tokens, err := tokenize(text)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	if e, err = p.statement(); err != nil {
		return nil, err
	}
	p.newlines()
	if t := p.peek(); t.kind != "end" {
		return nil, fmt.Errorf("unexpected %q", t.text)
	}
	return e, nil
}

func (p *parser) peek() token { return p.tokens[p.pos] }

func (p *parser) next() token {
	t := p.tokens[p.pos]
	if t.kind != "end" {
		p.pos++
	}
	return t
}

func (p *parser) newlines() {
	for p.peek().kind == "newline" {
		p.pos++
	}
}

func (p *parser) accept(op string) bool {
	if t := p.peek(); t.kind == "op" && t.text == op {
		p.pos++
		return true
	}
	return false
}

func (p *parser) expect(op string) error {
	if !p.accept(op) {
		return fmt.Errorf("expected %q, got %q", op, p.peek().text)
	}
	return nil
}

// statement is an `if`, an assignment, or an expression.
func (p *parser) statement() (expr, error) {
	if t := p.peek(); t.kind == "ident" && t.text == "if" {
		return p.conditional()
	}
	start := p.pos
	target, err := p.unary()
	if err != nil {
		return nil, err
	}
	switch t := target.(type) {
	case pathExpr, varExpr:
		if p.accept(",") {
			errName := p.next()
			if errName.kind != "ident" {
				return nil, fmt.Errorf("expected a variable for the error")
			}
			if err := p.expect("="); err != nil {
				return nil, err
			}
			value, err := p.expression()
			return assignExpr{target: t, errName: errName.text, value: value}, err
		}
		if p.accept("=") {
			p.newlines()
			value, err := p.expression()
			return assignExpr{target: t, value: value}, err
		}
	}
	p.pos = start
	return p.expression()
}

func (p *parser) conditional() (expr, error) {
	p.next()
	cond, err := p.expression()
	if err != nil {
		return nil, err
	}
	e := ifExpr{cond: cond}
	if e.then, err = p.block(); err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != "ident" || t.text != "else" {
		return e, nil
	}
	p.next()
	if t := p.peek(); t.kind == "ident" && t.text == "if" {
		nested, err := p.conditional()
		e.other = []expr{nested}
		return e, err
	}
	e.other, err = p.block()
	return e, err
}

func (p *parser) block() ([]expr, error) {
	if err := p.expect("{"); err != nil {
		return nil, err
	}
	var out []expr
	for {
		p.newlines()
		if p.accept("}") {
			return out, nil
		}
		s, err := p.statement()
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
}

// precedence of VRL's binary operators that are read here, loosest first.
var precedence = [][]string{{"??"}, {"||"}, {"&&"}, {"==", "!="}}

func (p *parser) expression() (expr, error) { return p.binary(0) }

func (p *parser) binary(level int) (expr, error) {
	if level == len(precedence) {
		return p.unary()
	}
	left, err := p.binary(level + 1)
	for err == nil {
		op := p.peek().text
		if p.peek().kind != "op" || !contains(precedence[level], op) {
			return left, nil
		}
		p.next()
		p.newlines()
		var right expr
		right, err = p.binary(level + 1)
		left = binaryExpr{op, left, right}
	}
	return nil, err
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

func (p *parser) unary() (expr, error) {
	if p.accept("!") {
		e, err := p.unary()
		return notExpr{e}, err
	}
	t := p.next()
	switch t.kind {
	case "string":
		s, err := unquote(t.text)
		return literal{s}, err
	case "regex":
		re, err := regexp.Compile(t.text[2 : len(t.text)-1])
		return literal{re}, err
	case "number":
		return number64(t.text)
	case "ident":
		return p.identifier(t.text)
	}
	switch t.text {
	case ".":
		return p.path()
	case "(":
		e, err := p.expression()
		if err != nil {
			return nil, err
		}
		return e, p.expect(")")
	case "[":
		return p.list()
	}
	return nil, fmt.Errorf("unexpected %q", t.text)
}

// unquote reads the escapes VRL shares with Go.
func unquote(s string) (string, error) {
	out, err := strconv.Unquote(s)
	if err != nil {
		return "", fmt.Errorf("string %s: %w", s, err)
	}
	return out, nil
}

func number64(s string) (expr, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return literal{n}, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	return literal{f}, err
}

func (p *parser) list() (expr, error) {
	var items listExpr
	for !p.accept("]") {
		e, err := p.expression()
		if err != nil {
			return nil, err
		}
		items = append(items, e)
		if !p.accept(",") {
			return items, p.expect("]")
		}
	}
	return items, nil
}

// path reads what follows the first dot: `.a.b."c.d"`; a lone dot is the whole event.
func (p *parser) path() (expr, error) {
	var segments []string
	for {
		t := p.peek()
		if t.kind != "ident" && t.kind != "string" {
			return pathExpr(segments), nil
		}
		p.next()
		name := t.text
		if t.kind == "string" {
			var err error
			if name, err = unquote(name); err != nil {
				return nil, err
			}
		}
		segments = append(segments, name)
		if !p.accept(".") {
			return pathExpr(segments), nil
		}
	}
}

func (p *parser) identifier(name string) (expr, error) {
	switch name {
	case "true", "false":
		return literal{name == "true"}, nil
	case "null":
		return literal{nil}, nil
	case "if", "else", "for", "while", "return", "abort", "loop":
		return nil, fmt.Errorf("unexpected %q", name)
	}
	bang := p.peek().text == "!" && p.tokens[min(p.pos+1, len(p.tokens)-1)].text == "("
	if bang {
		p.next()
	}
	if p.accept("(") {
		return p.call(name, bang)
	}
	v := varExpr{name: name}
	if p.accept(".") {
		rest, err := p.path()
		if err != nil {
			return nil, err
		}
		v.path = rest.(pathExpr)
	}
	return v, nil
}

func (p *parser) call(name string, bang bool) (expr, error) {
	fn := functions[name]
	if fn == nil {
		return nil, fmt.Errorf("function %q is unknown to the stand-in", name)
	}
	c := callExpr{name: name, fn: fn, bang: bang, named: map[string]expr{}}
	for !p.accept(")") {
		label := ""
		if p.peek().kind == "ident" && p.tokens[p.pos+1].text == ":" {
			label = p.next().text
			p.next()
		}
		e, err := p.expression()
		if err != nil {
			return nil, err
		}
		if label == "" {
			c.args = append(c.args, e)
		} else {
			c.named[label] = e
		}
		if !p.accept(",") {
			if err := p.expect(")"); err != nil {
				return nil, err
			}
			break
		}
	}
	return c, checkCall(c)
}
