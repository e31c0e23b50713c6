package gateway

import (
	"io"
	"net/http"
	"time"
)

const (
	// patience is how long a request is tried again, in all. The gateway lets 50 a second pass after a burst of 200
	// (stack/bundle/config/gateway), and a report asks a hundred questions: two of them beside a dashboard go beyond that.
	patience   = 10 * time.Second
	firstPause = 100 * time.Millisecond
	mostPause  = time.Second
)

// Transport waits when the gateway answers 429, and sends the request again. What the gateway has refused, no store has seen.
type Transport struct {
	*http.Transport
}

// RoundTrip is that of http.Transport, and of http.RoundTripper.
func (t Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	return patiently(t.Transport, request)
}

func patiently(next http.RoundTripper, request *http.Request) (*http.Response, error) {
	response, err := next.RoundTrip(request)
	began, pause := time.Now(), firstPause
	for err == nil && response.StatusCode == http.StatusTooManyRequests && time.Since(began) < patience {
		again, can := repeated(request)
		if !can {
			return response, nil
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<16)) // so that the connection can be used again
		_ = response.Body.Close()                                        // it is of no use any more
		select {
		case <-time.After(pause):
		case <-request.Context().Done():
			return nil, request.Context().Err()
		}
		pause = min(2*pause, mostPause)
		response, err = next.RoundTrip(again)
	}
	return response, err
}

// repeated is the request with its body from the beginning, where that can be had.
func repeated(request *http.Request) (again *http.Request, can bool) {
	if request.Body == nil || request.Body == http.NoBody {
		return request, true
	}
	if request.GetBody == nil {
		return nil, false
	}
	body, err := request.GetBody()
	if err != nil {
		return nil, false
	}
	again = request.Clone(request.Context())
	again.Body = body
	return again, true
}
