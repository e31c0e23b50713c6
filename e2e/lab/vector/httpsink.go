package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// httpPoster sends prepared bodies for the http and the prometheus_remote_write sink.
type httpPoster struct {
	c       *component
	conf    *sinkConf
	client  *http.Client
	headers map[string]string
	check   string // method of the health check
	address string // of the health check; empty: none
}

func newHTTPPoster(c *component, conf *sinkConf, headers map[string]string) *httpPoster {
	return &httpPoster{c: c, conf: conf, headers: headers, client: newHTTPClient()}
}

// newHTTPClient follows no redirects: hyper, which Vector uses, does not either.
func newHTTPClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: adaptiveConcurrency, IdleConnTimeout: 90 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (p *httpPoster) endpoint() (string, string) {
	return p.conf.endpoint.Scheme, p.conf.endpoint.String()
}

func (p *httpPoster) push(ctx context.Context, payload []byte) error {
	req, err := http.NewRequestWithContext(ctx, p.conf.method, p.conf.endpoint.String(), bytes.NewReader(payload))
	if err != nil {
		return permanentError{err}
	}
	for k, v := range p.headers {
		req.Header.Set(k, v)
	}
	for k, v := range p.conf.headers {
		req.Header.Set(k, v)
	}
	status, body, err := p.do(req)
	if err != nil {
		if p.conf.retry.mode == "none" {
			return permanentError{err}
		}
		return err
	}
	if status >= 200 && status <= 299 {
		return nil
	}
	err = fmt.Errorf("http status %d %s: %s", status, http.StatusText(status), body)
	if p.conf.retry.retries(status) {
		return err
	}
	return permanentError{err}
}

// do sends req and counts it. The returned body is at most 1 KiB of the answer.
func (p *httpPoster) do(req *http.Request) (status int, body string, err error) {
	req.Header.Set("User-Agent", "Vector/"+vectorVersion+" (lab stand-in)")
	if p.conf.auth != nil {
		req.SetBasicAuth(p.conf.auth.user, p.conf.auth.password)
	}
	return doCounted(p.c, p.client, req, func(r io.Reader) (string, error) {
		b, err := io.ReadAll(io.LimitReader(r, 1024))
		_, _ = io.Copy(io.Discard, r)
		return string(b), err
	})
}

// doCounted sends req for c and counts it as Vector's HTTP client does.
func doCounted[T any](c *component, client *http.Client, req *http.Request, read func(io.Reader) (T, error)) (status int, out T, err error) {
	c.count("http_client_requests_sent_total", 1, "method", req.Method)
	res, err := client.Do(req)
	if err != nil {
		c.count("http_client_errors_total", 1, "error_kind", errorKind(err))
		return 0, out, err
	}
	defer func() { _ = res.Body.Close() }()
	c.count("http_client_responses_total", 1, "status", strconv.Itoa(res.StatusCode))
	out, err = read(res.Body)
	return res.StatusCode, out, err
}

// errorKind is the innermost error: the outer ones name addresses and ports, which would make each
// failure a series of its own.
func errorKind(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

func (p *httpPoster) health(ctx context.Context) error {
	if p.address == "" {
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, p.check, p.address, nil)
	if err != nil {
		return err
	}
	status, _, err := p.do(req)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("unexpected status: %d %s", status, http.StatusText(status))
	}
	return nil
}

// logPoster is the http sink: JSON arrays of logs.
type logPoster struct {
	*httpPoster
	pack func([]byte) ([]byte, error)
}

func newLogPoster(c *component, conf *sinkConf) (*logPoster, error) {
	headers := map[string]string{"Content-Type": "application/json"}
	pack, name, err := packer(conf.compression)
	if err != nil {
		return nil, err
	}
	if name != "" {
		headers["Content-Encoding"] = name
	}
	p := &logPoster{newHTTPPoster(c, conf, headers), pack}
	// The http sink has a health check only when its address is given.
	if p.check = http.MethodHead; conf.health.uri != nil {
		p.address = conf.health.uri.String()
	}
	return p, nil
}

// packer returns the compression a configuration names, and its Content-Encoding.
func packer(compression string) (pack func([]byte) ([]byte, error), encoding string, err error) {
	switch compression {
	case "gzip":
		return gzipBytes, "gzip", nil
	case "zstd":
		enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		return func(b []byte) ([]byte, error) { return enc.EncodeAll(b, nil), nil }, "zstd", err
	}
	return func(b []byte) ([]byte, error) { return b, nil }, "", nil
}

func gzipBytes(b []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func (p *logPoster) prepare(events []event) ([]byte, error) {
	body := []byte{'['}
	for _, e := range events {
		if e.log == nil {
			return nil, permanentError{errors.New("the stand-in's http sink takes logs only")}
		}
		b, err := encodeJSON(e.log)
		if err != nil {
			return nil, permanentError{err}
		}
		if len(body) > 1 {
			body = append(body, ',')
		}
		body = append(body, b...)
	}
	return p.pack(append(body, ']'))
}

// encodeJSON prints a log as Vector's JSON codec does: keys in order, no HTML escapes, RFC 3339 times.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(jsonValue(v)); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

func jsonValue(v any) any {
	switch v := v.(type) {
	case time.Time:
		return formatTime(v)
	case string:
		return strings.ToValidUTF8(v, "\uFFFD")
	case float64:
		if v != v || v-v != 0 { // NaN and infinities have no JSON; serde writes null
			return nil
		}
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = jsonValue(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = jsonValue(e)
		}
		return out
	}
	return v
}
