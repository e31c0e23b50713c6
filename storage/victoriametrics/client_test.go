package victoriametrics_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

func client(t *testing.T, limits victoriametrics.Limits, answer http.HandlerFunc) *victoriametrics.Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	return &victoriametrics.Client{BaseURL: server.URL, HTTP: server.Client(), Limits: limits}
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// drips says a byte every few milliseconds, so that there is never a time without one.
func drips(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, " ")
			_ = http.NewResponseController(w).Flush()
			<-tick.C
		}
	}
}

func TestDefaultLimits(t *testing.T) {
	assert.DeepEqual(t, victoriametrics.Limits{Depth: 3}.OrDefaults(), victoriametrics.Limits{
		Body: 16 << 20, Values: 500_000, Stream: 64 << 30, Series: 100_000_000, Object: 1 << 20, Depth: 3,
		Idle: time.Minute, Pace: 64 << 10, Time: 30 * time.Minute,
	})
}

func TestADripIsGivenUp(t *testing.T) {
	limits := victoriametrics.Limits{Idle: 100 * time.Millisecond}
	var slow *victoriametrics.SlowError
	dripping := client(t, limits, drips(http.StatusOK))
	_, err := dripping.Usage(t.Context())
	assert.Assert(t, errors.As(err, &slow), "%v", err)
	assert.ErrorContains(t, err, "over the limit of 100ms for its next 65536 bytes")
	_, err = dripping.Series(t.Context(), victoriametrics.SeriesRequest{}, nil)
	assert.Assert(t, errors.As(err, &slow), "%v", err)

	var status *victoriametrics.StatusError
	_, err = client(t, limits, drips(http.StatusInternalServerError)).Usage(t.Context())
	assert.Assert(t, errors.As(err, &status), "the refusal is known, what it says is not: %v", err)

	_, err = client(t, victoriametrics.Limits{Time: 100 * time.Millisecond}, drips(http.StatusOK)).Usage(t.Context())
	assert.ErrorContains(t, err, "over the limit of 100ms for all of it")
}

// What a reader does with a series takes its time, which is not the store's.
func TestOurOwnTimeIsNotTheStores(t *testing.T) {
	limits := victoriametrics.Limits{Idle: 50 * time.Millisecond}
	store := client(t, limits, says(`{"data":[`+strings.Repeat(`{"a":"`+strings.Repeat("x", 1000)+`"},`, 1000)+`{"a":"b"}]}`))
	stream, err := store.Series(t.Context(), victoriametrics.SeriesRequest{}, func([]victoriametrics.Label) error {
		<-time.After(500 * time.Microsecond)
		return nil
	})
	assert.NilError(t, err)
	assert.Equal(t, stream.Series, int64(1001))
}

func TestWholeAnswersAreBounded(t *testing.T) {
	limits := victoriametrics.Limits{Body: 1000, Values: 100, Depth: 5}
	for body, want := range map[string]string{
		`{"records":[{"metricName":"` + strings.Repeat("x", 1000):             "limit of 1000 bytes",
		`{"records":[` + strings.Repeat("{},", 60) + `{}]}`:                   "limit of 100 values",
		`{"x":` + strings.Repeat("[", 5):                                      "limit of 5 levels of nesting",
		`{"statsCollectedSince":1,"x":"` + strings.Repeat(`[,\"`, 200) + `"}`: "",
		`{"statsCollectedSince":0,"records":[]}`:                              "the store does not note it", // as VictoriaMetrics 1.145 was seen to say
		`{"x":"\`:                                                             "in string escape code",
		`{"status":"error","error":"disk full"}`:                              "disk full",
		`{"status":"error"}`:                                                  "no reason given",
		`{"records":[{"metricName":"up"}]}`:                                   "",
	} {
		usage, err := client(t, limits, says(body)).Usage(t.Context())
		if want == "" {
			assert.NilError(t, err, body)
			continue
		}
		assert.ErrorContains(t, err, want, body)
		assert.Equal(t, len(usage.Metrics), 0, body)
		var answer *victoriametrics.AnswerError
		assert.Assert(t, errors.As(err, &answer), "%v", err)
	}
}

func TestAnInterruptionIsOne(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	store := client(t, victoriametrics.Limits{}, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	_, err := store.Usage(ctx)
	assert.ErrorIs(t, err, context.Canceled)
}
