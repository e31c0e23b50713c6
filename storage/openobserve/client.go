// Package openobserve is a client of the OpenObserve API, as version 0.92 speaks it.
package openobserve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// answerLimit bounds what is read of one answer.
const answerLimit = 16 << 20

// Client talks to one organization of an OpenObserve.
type Client struct {
	BaseURL  string // with the base path, without a final slash: "https://localhost:8082/openobserve"
	Org      string
	User     string
	Password string
	HTTP     *http.Client
}

// StatusError is an answer that is not a success.
type StatusError struct {
	Status  int
	Message string
}

func (e *StatusError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("OpenObserve answered %d", e.Status)
	}
	return fmt.Sprintf("OpenObserve answered %d: %s", e.Status, e.Message)
}

// Search runs a SQL query over the log streams between two times and returns the records, at most size.
// The API wants both times (microseconds); there is no "everything". A stream that does not exist yet is a *StatusError.
func (c *Client) Search(ctx context.Context, sql string, from, to time.Time, size int) ([]map[string]any, error) {
	return c.search(ctx, "logs", sql, from, to, size)
}

// SearchTraces is Search over the streams of traces; a record is a span.
func (c *Client) SearchTraces(ctx context.Context, sql string, from, to time.Time, size int) ([]map[string]any, error) {
	return c.search(ctx, "traces", sql, from, to, size)
}

func (c *Client) search(ctx context.Context, kind, sql string, from, to time.Time, size int) ([]map[string]any, error) {
	var answer struct {
		Hits []map[string]any `json:"hits"`
	}
	if err := c.ask(ctx, kind, sql, from, to, size, &answer); err != nil {
		return nil, err
	}
	return answer.Hits, nil
}

func (c *Client) ask(ctx context.Context, kind, sql string, from, to time.Time, size int, into any) error {
	body, err := json.Marshal(map[string]any{"query": map[string]any{
		"sql": sql, "start_time": from.UnixMicro(), "end_time": to.UnixMicro(), "from": 0, "size": size,
	}})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost,
		c.BaseURL+"/api/"+c.Org+"/_search?type="+kind, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.SetBasicAuth(c.User, c.Password)
	return c.do(request, into)
}

func (c *Client) do(request *http.Request, into any) error {
	response, err := c.HTTP.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return fmt.Errorf("read OpenObserve's answer: %w", err)
	}
	if response.StatusCode/100 != 2 {
		var failure struct {
			Message string `json:"message"`
		}
		// A body that is not JSON, such as a proxy's page, says no more than its status.
		_ = json.Unmarshal(raw, &failure)
		return &StatusError{Status: response.StatusCode, Message: failure.Message}
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("read OpenObserve's answer: %w", err)
	}
	return nil
}
