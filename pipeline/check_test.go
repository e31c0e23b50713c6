package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/pipeline"
)

// promise is a check whose data is there delay after it was sent (or after the start where nothing is sent).
type promise struct {
	name    string
	sends   bool
	refused int // how many sends fail first
	lost    int // how many that succeed get lost
	delay   time.Duration
	says    error // of the store, as long as it has nothing
	sent    int
	arrives time.Time
}

func (p *promise) check() pipeline.Check {
	if !p.sends {
		p.arrives = time.Now().Add(p.delay)
	}
	check := pipeline.Check{Name: p.name, Find: func(context.Context) (bool, error) {
		if !p.arrives.IsZero() && !time.Now().Before(p.arrives) {
			return true, nil
		}
		return false, p.says
	}}
	if p.sends {
		check.Send = func(context.Context) error {
			p.sent++
			switch {
			case p.sent <= p.refused:
				return errors.New("connection refused")
			case p.sent > p.refused+p.lost:
				p.arrives = time.Now().Add(p.delay)
			}
			return nil
		}
	}
	return check
}

func prove(t *testing.T, timeout time.Duration, promises ...*promise) (map[string]time.Duration, error) {
	t.Helper()
	var checks []pipeline.Check
	for _, p := range promises {
		checks = append(checks, p.check())
	}
	held := map[string]time.Duration{}
	err := pipeline.ProveChecks(t.Context(), checks, timeout, func(check pipeline.Check, took time.Duration) { held[check.Name] = took })
	return held, err
}

func TestProveChecksRunsThemAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		held, err := prove(t, time.Minute, &promise{name: "a", delay: 8 * time.Second}, &promise{name: "b", delay: 9 * time.Second}, &promise{name: "c"})
		assert.NilError(t, err)
		assert.DeepEqual(t, held, map[string]time.Duration{"a": 8 * time.Second, "b": 9 * time.Second, "c": 0})
		assert.Equal(t, time.Since(began), 9*time.Second)
	})
}

func TestProveChecksSendsAgain(t *testing.T) {
	for _, tc := range []struct {
		name    string
		promise promise
		sent    int
		took    time.Duration
	}{
		{"what listens starts late", promise{sends: true, refused: 4, delay: time.Second}, 5, 2 * time.Second},
		{"an event is lost", promise{sends: true, lost: 1, delay: time.Second}, 2, 11250 * time.Millisecond},
		{"all is well", promise{sends: true}, 1, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := tc.promise
				held, err := prove(t, time.Minute, &p)
				assert.NilError(t, err)
				assert.Equal(t, p.sent, tc.sent)
				assert.Equal(t, held[""], tc.took)
			})
		})
	}
}

func TestProveChecksNamesWhatDidNotHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held, err := prove(t, 30*time.Second,
			&promise{name: "silent", delay: time.Hour},
			&promise{name: "sound"},
			&promise{name: "refused", sends: true, refused: 1000},
			&promise{name: "broken", delay: time.Hour, says: errors.New("OpenObserve answered 401")})
		assert.Error(t, err, "not proven within 30s: silent; refused (connection refused); broken (OpenObserve answered 401)")
		var unproven *pipeline.UnprovenError
		assert.Assert(t, errors.As(err, &unproven))
		assert.Equal(t, len(unproven.Failed), 3)
		_, sound := held["sound"]
		assert.Assert(t, sound, "one that fails must not hide one that holds")
	})
}

func TestProveChecksEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer time.AfterFunc(3*time.Second, cancel).Stop()
		p := promise{delay: time.Hour}
		err := pipeline.ProveChecks(ctx, []pipeline.Check{p.check()}, time.Minute, func(pipeline.Check, time.Duration) {})
		assert.ErrorIs(t, err, context.Canceled)
	})
}

// collector records what an OTLP receiver gets.
func collector(t *testing.T, status int) (sender pipeline.OTLP, got *[]string) {
	t.Helper()
	got = &[]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*got = append(*got, r.URL.Path+" "+r.Header.Get("Content-Type")+" "+r.Header.Get("Authorization")+" "+string(body))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "because\xff of this")
	}))
	t.Cleanup(server.Close)
	now := func() time.Time { return time.Unix(1700000000, 5) }
	return pipeline.OTLP{Endpoint: server.URL, Token: "tok", HTTP: server.Client(), Now: now}, got
}

// That a real collector takes each of them, and what it makes of them, is the scenario of the profile otel.
func TestOTLPSendsEachSignalToItsPath(t *testing.T) {
	sender, got := collector(t, http.StatusOK)
	mark := pipeline.NewMark()
	for _, signal := range []string{pipeline.Logs, pipeline.Metrics, pipeline.Traces} {
		assert.NilError(t, sender.Send(t.Context(), signal, mark))
	}
	assert.Equal(t, len(*got), 3)
	for i, want := range []struct{ path, field string }{
		{"/v1/logs", "resourceLogs"}, {"/v1/metrics", "resourceMetrics"}, {"/v1/traces", "resourceSpans"},
	} {
		words := strings.SplitN((*got)[i], " ", 5)
		assert.Equal(t, words[0], want.path)
		assert.Equal(t, words[1]+" "+words[2]+" "+words[3], "application/json Bearer tok")
		var body map[string]any
		assert.NilError(t, json.Unmarshal([]byte(words[4]), &body))
		_, has := body[want.field]
		assert.Assert(t, has, words[4])
		assert.Assert(t, strings.Contains(words[4], strconv.Quote(mark.String())), "no mark in %s", words[4])
		assert.Assert(t, strings.Contains(words[4], `"1700000000000000005"`), words[4])
	}
}

func TestOTLPSaysWhatTheCollectorSaid(t *testing.T) {
	sender, _ := collector(t, http.StatusUnauthorized)
	assert.Error(t, sender.Send(t.Context(), pipeline.Logs, pipeline.NewMark()), "OTLP answered 401: because of this")
}

func TestMarkIsExactAsAFloat(t *testing.T) {
	for range 1000 {
		mark := pipeline.NewMark()
		assert.Equal(t, pipeline.Mark(float64(mark)), mark)
	}
}
