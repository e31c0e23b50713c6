package victoriametrics

import (
	"context"
	"io"
	"net/http"
	"strings"
)

// Import writes samples in the Prometheus text format, a line each, with the time of their arrival. The answer to a write
// says that it was taken; it can be read a moment later.
func (c *Client) Import(ctx context.Context, lines string) error {
	const path = "/api/v1/import/prometheus"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.BaseURL+path, strings.NewReader(lines))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "text/plain")
	if c.Authorize != nil {
		c.Authorize(request)
	}
	response, err := c.HTTP.Do(request)
	if err != nil {
		return plain(err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 == 2 {
		return nil
	}
	raw, _ := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	return &StatusError{Status: response.StatusCode, Message: failure(raw), Path: path}
}
