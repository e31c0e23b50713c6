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
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	query := url.Values{
		"match[]": request.Match,
		"start":   {strconv.FormatInt(request.From.Unix(), 10)},
		"end":     {strconv.FormatInt(request.To.Unix(), 10)},
	}
	body, err := c.open(ctx, cancel, "/api/v1/series", query)
	if err != nil {
		return Stream{}, cause(ctx, err)
	}
	defer body.Close()
	limits := c.Limits.orDefaults()
	watched := watch(body, limits.Idle, cancel)
	defer watched.stop()
	stream, err := DecodeSeries(watched, limits, yield)
	if err != nil {
		err = cause(ctx, err)
	}
	return stream, err
}
