package gateway

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
)

// busy refuses so many requests, and keeps the bodies of all.
type busy struct {
	refusals int
	bodies   []string
}

func (b *busy) RoundTrip(request *http.Request) (*http.Response, error) {
	body := ""
	if request.Body != nil {
		text, err := io.ReadAll(request.Body)
		if err != nil {
			return nil, err
		}
		body = string(text)
	}
	b.bodies = append(b.bodies, body)
	status := http.StatusOK
	if len(b.bodies) <= b.refusals {
		status = http.StatusTooManyRequests
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("")), Request: request}, nil
}

func send(ctx context.Context, t *testing.T, server *busy, body io.Reader) (status int, took time.Duration, err error) {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://localhost", body)
	assert.NilError(t, err)
	began := time.Now()
	response, err := patiently(server, request)
	if err != nil {
		return 0, time.Since(began), err
	}
	return response.StatusCode, time.Since(began), response.Body.Close()
}

func TestPatientTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &busy{refusals: 3}
		status, took, err := send(t.Context(), t, server, strings.NewReader("question"))
		assert.NilError(t, err)
		assert.Equal(t, status, http.StatusOK)
		assert.DeepEqual(t, server.bodies, []string{"question", "question", "question", "question"})
		assert.Equal(t, took, 700*time.Millisecond)
	})
}

func TestPatienceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status, took, err := send(t.Context(), t, &busy{refusals: 1000}, nil)
		assert.NilError(t, err)
		assert.Equal(t, status, http.StatusTooManyRequests)
		assert.Assert(t, took >= patience && took < patience+mostPause, "%s", took)
	})
}

func TestPatientEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
		defer cancel()
		_, took, err := send(ctx, t, &busy{refusals: 1000}, nil)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, took, 250*time.Millisecond)
	})
}

func TestBodyThatCannotBeReadAgainIsSentOnce(t *testing.T) {
	server := &busy{refusals: 1}
	status, _, err := send(t.Context(), t, server, io.MultiReader(strings.NewReader("stream")))
	assert.NilError(t, err)
	assert.Equal(t, status, http.StatusTooManyRequests)
	assert.Equal(t, len(server.bodies), 1)
}
