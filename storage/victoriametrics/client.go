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
	Body   int64         // bytes of an answer that is read whole, after decompression, 16 MiB
	Values int           // values in such an answer, 500,000: a few bytes of JSON can be many of memory
	Stream int64         // bytes of a streamed list of series after decompression, 64 GiB
	Series int64         // series of one streamed list, 100 million
	Object int           // bytes of one series with all of its labels, 1 MiB
	Depth  int           // nesting of an answer, or of what stands beside the series, 32
	Idle   time.Duration // of waiting for the next Pace bytes, 60 s; for the first one twice that
	Pace   int           // 64 KiB
	Time   time.Duration // of one answer from the request to its end, 30 min
}

// OrDefaults has the default for each limit that is zero.
func (l Limits) OrDefaults() Limits {
	pick(&l.Body, 16<<20)
	pick(&l.Values, 500_000)
	pick(&l.Stream, 64<<30)
	pick(&l.Series, 100_000_000)
	pick(&l.Object, 1<<20)
	pick(&l.Depth, 32)
	pick(&l.Idle, time.Minute)
	pick(&l.Pace, 64<<10)
	pick(&l.Time, 30*time.Minute)
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

// Missing reports whether an error is that a store does not have what was asked for.
func Missing(err error) bool {
	var answer *StatusError
	return errors.As(err, &answer) && answer.Missing()
}

// Reason says in a report why something of a store is not in it.
func Reason(err error) string {
	if Missing(err) {
		return "this store does not tell"
	}
	return err.Error()
}

// LimitError is an answer that is larger than what was allowed for it.
type LimitError struct {
	What  string // "bytes", "values", "series", "bytes of one series", "levels of nesting"
	Limit int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("the store's answer is over the limit of %d %s", e.Limit, e.What)
}

// SlowError is an answer that takes longer than what was allowed for it.
type SlowError struct {
	What  string // "its first byte", "its next 65536 bytes", "all of it"
	Limit time.Duration
}

func (e *SlowError) Error() string {
	return fmt.Sprintf("the store's answer is over the limit of %s for %s", e.Limit, e.What)
}

// AnswerError is an answer that is of no use, from a store that is there.
type AnswerError struct {
	Path string
	Err  error
}

func (e *AnswerError) Error() string { return fmt.Sprintf("read %s: %s", e.Path, e.Err) }
func (e *AnswerError) Unwrap() error { return e.Err }

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

// open sends a request and returns the body of a success, which the limits of time hold for. A store that takes the request and
// never begins to answer is given up on: it works for up to -search.maxLabelsAPIDuration before the first byte, so twice the
// idle time.
func (c *Client) open(ctx context.Context, path string, query url.Values) (*answer, error) {
	limits := c.Limits.OrDefaults()
	ctx, cancel := context.WithCancelCause(ctx)
	whole := time.AfterFunc(limits.Time, func() { cancel(&SlowError{What: "all of it", Limit: limits.Time}) })
	end := func() {
		whole.Stop()
		cancel(nil)
	}
	request, err := c.request(ctx, path, query)
	if err != nil {
		end()
		return nil, err
	}
	silent := time.AfterFunc(2*limits.Idle, func() { cancel(&SlowError{What: "its first byte", Limit: 2 * limits.Idle}) })
	response, err := c.HTTP.Do(request)
	silent.Stop()
	if err != nil {
		err = plain(cause(ctx, err))
		end()
		return nil, err
	}
	body := newAnswer(ctx, response.Body, limits, cancel, end)
	if response.StatusCode == http.StatusOK {
		return body, nil
	}
	defer body.Close()
	// What came of it, if not all.
	raw, _ := io.ReadAll(io.LimitReader(body, 64<<10))
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

// refusal is what every answer may be, whatever its status.
type refusal struct {
	Status    string `json:"status"`
	Error     string `json:"error"`
	IsPartial bool   `json:"isPartial"`
}

func (r *refusal) refused() error {
	if r.Status != "error" {
		return nil
	}
	return refused(r.Error)
}

// refused is an error that came with the status of a success: what was asked failed after the store had begun to answer.
func refused(reason string) error {
	if reason == "" {
		reason = "no reason given"
	}
	return fmt.Errorf("the store ended its answer with an error: %s", shorten(reason))
}

// get reads a whole answer of JSON.
func (c *Client) get(ctx context.Context, path string, query url.Values, into interface{ refused() error }) error {
	body, err := c.open(ctx, path, query)
	if err != nil {
		return err
	}
	defer body.Close()
	limits := c.Limits.OrDefaults()
	raw, err := readWhole(body, limits.Body)
	if err == nil {
		err = measure(raw, limits)
	}
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err == nil {
		err = into.refused()
	}
	if err != nil {
		return &AnswerError{Path: path, Err: err}
	}
	return nil
}

// readWhole doubles its room up to the limit and no further, so that both are at most one and a half times that.
func readWhole(from io.Reader, limit int64) ([]byte, error) {
	raw := make([]byte, 0, min(limit+1, 64<<10))
	for {
		n, err := from.Read(raw[len(raw):cap(raw)])
		raw = raw[:len(raw)+n]
		switch {
		case errors.Is(err, io.EOF):
			return raw, nil
		case err != nil:
			return nil, err
		case int64(len(raw)) > limit:
			return nil, &LimitError{What: "bytes", Limit: limit}
		case len(raw) == cap(raw):
			grown := make([]byte, len(raw), min(2*int64(cap(raw)), limit+1))
			copy(grown, raw)
			raw = grown
		}
	}
}

// measure counts the values and the depth of a JSON text before memory is given to them. Of a text that is no JSON it may be
// wrong; reading it is an error then.
func measure(raw []byte, limits Limits) error {
	values, depth := 0, 0
	for at := 0; at < len(raw); at++ {
		switch raw[at] {
		case '"':
			for at++; at < len(raw) && raw[at] != '"'; at++ {
				if raw[at] == '\\' {
					at++
				}
			}
		case '{', '[':
			depth++
			values++
		case '}', ']':
			depth--
		case ',':
			values++
		}
		if depth > limits.Depth {
			return &LimitError{What: "levels of nesting", Limit: int64(limits.Depth)}
		}
		if values > limits.Values {
			return &LimitError{What: "values", Limit: int64(limits.Values)}
		}
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

// answer is a body that is given up when its bytes come too slowly: a store that drips, or a network that is gone. Only
// waiting counts: the time between two reads is ours.
type answer struct {
	ctx    context.Context //nolint:containedctx // of the request; it says why a read was ended
	body   io.ReadCloser
	limits Limits
	timer  *time.Timer
	end    func()
	waited time.Duration // for the bytes since the last Pace of them
	got    int
}

func newAnswer(ctx context.Context, body io.ReadCloser, limits Limits, cancel context.CancelCauseFunc, end func()) *answer {
	slow := &SlowError{What: fmt.Sprintf("its next %d bytes", limits.Pace), Limit: limits.Idle}
	timer := time.AfterFunc(limits.Idle, func() { cancel(slow) })
	timer.Stop()
	return &answer{ctx: ctx, body: body, limits: limits, timer: timer, end: end}
}

func (a *answer) Read(into []byte) (int, error) {
	began := time.Now()
	a.timer.Reset(max(0, a.limits.Idle-a.waited))
	n, err := a.body.Read(into)
	a.timer.Stop()
	a.waited += time.Since(began)
	if a.got += n; a.got >= a.limits.Pace {
		a.waited, a.got = 0, 0
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = cause(a.ctx, err)
	}
	return n, err
}

func (a *answer) Close() error {
	defer a.end()
	return a.body.Close()
}
