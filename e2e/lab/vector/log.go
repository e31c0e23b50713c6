package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// repeatWindow is how long a repeated message is held back, as Vector does by default.
const repeatWindow = 10 * time.Second

type level int

const (
	levelDebug level = iota
	levelInfo
	levelWarn
	levelError
)

func (l level) String() string {
	return [...]string{"DEBUG", " INFO", " WARN", "ERROR"}[l]
}

func parseLevel(s string) level {
	switch strings.ToLower(s) {
	case "trace", "debug":
		return levelDebug
	case "warn":
		return levelWarn
	case "error", "off":
		return levelError
	}
	return levelInfo
}

// logger writes lines in Vector's text format: `<time> <LEVEL> <target>: <message> key=value`.
type logger struct {
	mu   sync.Mutex
	out  io.Writer
	min  level
	seen map[string]*repeat
}

type repeat struct {
	until time.Time
	held  int
}

func newLogger(out io.Writer, lowest level) *logger {
	return &logger{out: out, min: lowest, seen: map[string]*repeat{}}
}

func (l *logger) debug(target, msg string, kv ...any) { l.write(levelDebug, target, msg, kv) }
func (l *logger) info(target, msg string, kv ...any)  { l.write(levelInfo, target, msg, kv) }

// warn and fail hold back a message already said for the same target within repeatWindow: an outage
// must not turn the log into the loudest producer of the pipeline.
func (l *logger) warn(target, msg string, kv ...any) { l.limited(levelWarn, target, msg, kv) }
func (l *logger) fail(target, msg string, kv ...any) { l.limited(levelError, target, msg, kv) }

func (l *logger) limited(lv level, target, msg string, kv []any) {
	key := target + "\x00" + msg
	l.mu.Lock()
	r := l.seen[key]
	now := time.Now()
	if r != nil && now.Before(r.until) {
		r.held++
		first := r.held == 1
		l.mu.Unlock()
		if first {
			l.write(lv, target, fmt.Sprintf("Internal log [%s] is being suppressed to avoid flooding.", msg), nil)
		}
		return
	}
	held := 0
	if r != nil {
		held = r.held
	}
	l.seen[key] = &repeat{until: now.Add(repeatWindow)}
	l.mu.Unlock()
	if held > 0 {
		kv = append(kv[:len(kv):len(kv)], "suppressed", held)
	}
	l.write(lv, target, msg, kv)
}

func (l *logger) write(lv level, target, msg string, kv []any) {
	if lv < l.min {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s vector::%s: %s", time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"), lv, target, msg)
	for i := 0; i+1 < len(kv); i += 2 {
		fmt.Fprintf(&b, " %v=%s", kv[i], logValue(kv[i+1]))
	}
	b.WriteByte('\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = io.WriteString(l.out, b.String())
}

func logValue(v any) string {
	switch v := v.(type) {
	case error:
		return fmt.Sprintf("%q", v.Error())
	case string:
		return fmt.Sprintf("%q", v)
	case fmt.Stringer:
		return fmt.Sprintf("%q", v.String())
	}
	return fmt.Sprint(v)
}
