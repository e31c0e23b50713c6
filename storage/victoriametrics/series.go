package victoriametrics

import (
	"context"
	"net/url"
	"strconv"
	"time"
)

// SeriesRequest asks for the series that have samples between two times. VictoriaMetrics decides by its index of UTC
// days, so a window inside a day is the whole day; Prometheus and its kin are exact.
type SeriesRequest struct {
	Match    []string
	From, To time.Time
}

// EverySeries matches all of them.
const EverySeries = `{__name__!=""}`

// Series streams series to yield, whose labels are valid until it returns. It reads the index only: no samples, and
// no usage is counted.
func (c *Client) Series(ctx context.Context, request SeriesRequest, yield func(labels []Label) error) (Stream, error) {
	query := url.Values{
		"match[]": request.Match,
		"start":   {strconv.FormatInt(request.From.Unix(), 10)},
		"end":     {strconv.FormatInt(request.To.Unix(), 10)},
	}
	body, err := c.open(ctx, "/api/v1/series", query)
	if err != nil {
		return Stream{}, err
	}
	defer body.Close()
	return DecodeSeries(body, c.Limits, yield)
}
