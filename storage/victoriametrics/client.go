// Package victoriametrics is a client of the Prometheus-compatible API that VictoriaMetrics and its kin speak, as far
// as a report needs it: what is stored, what is read, and nothing that changes either. Every answer is bounded in
// size, time, depth and count, and a bound that is hit is an error that says so.
//
// Queries, exports and federation count as usage in the store, one for each series that they touch. So there is one
// method that queries, for the store's own metrics, and a report calls it after it has read the usage figures.
package victoriametrics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Limits bound one answer. A zero field takes the default.
type Limits struct {
	Body   int64         // bytes of an answer that is read whole, 64 MiB
	Stream int64         // bytes of a streamed list of series after decompression, 64 GiB
	Series int64         // series of one streamed list, 100 million
	Object int           // bytes of one series with all of its labels, 1 MiB
	Depth  int           // nesting of what stands beside the series, 32
	Idle   time.Duration // without a single byte, 60 s
}

func (l Limits) orDefaults() Limits {
	pick(&l.Body, 64<<20)
	pick(&l.Stream, 64<<30)
	pick(&l.Series, 100_000_000)
	pick(&l.Object, 1<<20)
	pick(&l.Depth, 32)
	pick(&l.Idle, time.Minute)
	return l
}

func pick[T comparable](field *T, fallback T) {
	var zero T
	if *field == zero {
		*field = fallback
	}
}

// Client talks to one store.
type Client struct {
	// BaseURL is what stands before /api/v1, without a final slash: "https://localhost:8082/victoriametrics", or
	// ".../select/0/prometheus" for a cluster.
	BaseURL string
	HTTP    *http.Client
	// Authorize adds the log-in to a request; nil for none.
	Authorize func(*http.Request)
	Limits    Limits
	// Identity asks for answers without compression. On loopback compressing costs more than it saves.
	Identity bool
}

// StatusError is an answer that is not a success.
type StatusError struct {
	Status  int
	Message string
	Path    string
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("%s answered %d", e.Path, e.Status)
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Down reports whether something before the store answered because the store did not.
func (e *StatusError) Down() bool {
	return e.Status == http.StatusBadGateway || e.Status == http.StatusServiceUnavailable || e.Status == http.StatusGatewayTimeout
}

// Missing reports whether the store does not have the endpoint, as opposed to refusing the request.
func (e *StatusError) Missing() bool {
	return e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed || e.Status == http.StatusNotImplemented
}

// LimitError is an answer that is larger than what was allowed for it.
type LimitError struct {
	What  string // "bytes", "series", "bytes of one series", "levels of nesting", "seconds without data"
	Limit int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("the store's answer is over the limit of %d %s", e.Limit, e.What)
}

// BrokenError is an answer that is not what the API promises.
type BrokenError struct {
	At     int64 // byte of the answer
	Reason string
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("the store's answer is broken at byte %d: %s", e.At, e.Reason)
}

func (c *Client) request(ctx context.Context, path string, query url.Values) (*http.Request, error) {
	address := c.BaseURL + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	if c.Identity {
		request.Header.Set("Accept-Encoding", "identity")
	}
	if c.Authorize != nil {
		c.Authorize(request)
	}
	return request, nil
}

// open sends a request and returns the body of a success. A store that takes the request and never begins to answer is given
// up on: it works for up to -search.maxLabelsAPIDuration before the first byte, so twice the idle time.
func (c *Client) open(ctx context.Context, cancel context.CancelCauseFunc, path string, query url.Values) (io.ReadCloser, error) {
	request, err := c.request(ctx, path, query)
	if err != nil {
		return nil, err
	}
	idle := 2 * c.Limits.orDefaults().Idle
	silent := time.AfterFunc(idle, func() { cancel(&LimitError{What: "seconds without data", Limit: int64(idle.Seconds())}) })
	defer silent.Stop()
	response, err := c.HTTP.Do(request)
	if err != nil {
		return nil, plain(err)
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, nil
	}
	defer response.Body.Close()
	raw, _ := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	return nil, &StatusError{Status: response.StatusCode, Message: failure(raw), Path: path}
}

// plain takes the URL out of the error: its query is long, and the cause stands at the end.
func plain(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// failure is what a refusal says. Most of the API answers in JSON, some endpoints in plain text, a proxy with a page.
func failure(raw []byte) string {
	var answer struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(raw, &answer) == nil {
		return shorten(answer.Error)
	}
	text := strings.TrimSpace(string(raw))
	if strings.HasPrefix(text, "<") {
		return ""
	}
	first, _, _ := strings.Cut(text, "\n")
	return shorten(first)
}

func shorten(text string) string {
	const most = 300
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// get reads a whole answer of JSON.
func (c *Client) get(ctx context.Context, path string, query url.Values, into any) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	body, err := c.open(ctx, cancel, path, query)
	if err != nil {
		return cause(ctx, err)
	}
	defer body.Close()
	limits := c.Limits.orDefaults()
	watched := watch(body, limits.Idle, cancel)
	defer watched.stop()
	raw, err := io.ReadAll(io.LimitReader(watched, limits.Body+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", path, cause(ctx, err))
	}
	if int64(len(raw)) > limits.Body {
		return &LimitError{What: "bytes", Limit: limits.Body}
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// cause prefers why a context was ended over the broken connection that follows from it.
func cause(ctx context.Context, err error) error {
	if why := context.Cause(ctx); why != nil {
		return why
	}
	return err
}

// idleReader ends the request when nothing arrives for a while: a store that drips, or a network that is gone.
type idleReader struct {
	from  io.Reader
	idle  time.Duration
	timer *time.Timer
}

func watch(from io.Reader, idle time.Duration, cancel context.CancelCauseFunc) *idleReader {
	timer := time.AfterFunc(idle, func() {
		cancel(&LimitError{What: "seconds without data", Limit: int64(idle.Seconds())})
	})
	return &idleReader{from: from, idle: idle, timer: timer}
}

func (r *idleReader) Read(into []byte) (int, error) {
	n, err := r.from.Read(into)
	if n > 0 {
		r.timer.Reset(r.idle)
	}
	return n, err
}

func (r *idleReader) stop() { r.timer.Stop() }
