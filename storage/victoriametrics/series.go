package victoriametrics

import (
	"context"
	"net/url"
	"strconv"
	"time"
)

// SeriesRequest asks for the series that have samples between two times. VictoriaMetrics decides by its index of UTC
// days, so a window inside a day is the whole day; Prometheus and its kin are exact, to the pieces they store.
type SeriesRequest struct {
	Match    []string
	From, To time.Time
	// ByMetric has the series of each metric one after the other from a store that lists them otherwise. VictoriaMetrics does so
	// by itself, in one answer.
	ByMetric bool
	// Size has a store that lists series by metric asked for some whole metrics at a time: it says, about, how many series one
	// has. A store collects and sorts in memory what it is asked for, which takes longer by the series the more there are. Nil asks
	// for all at once.
	Size func(metric string) uint64
}

// EverySeries matches all of them.
const EverySeries = `{__name__!=""}`

// Series streams series to yield, whose labels are valid until it returns. It reads the index only: no samples, and
// no usage is counted.
func (c *Client) Series(ctx context.Context, request SeriesRequest, yield func(labels []Label) error) (Stream, error) {
	if request.ByMetric || request.Size != nil {
		return c.seriesByMetric(ctx, request, yield)
	}
	query := request.window()
	query["match[]"] = request.Match
	answer, err := c.open(ctx, pathSeries, query)
	if err != nil {
		return Stream{}, err
	}
	defer answer.Close()
	return DecodeSeries(answer, c.Limits, yield)
}

const pathSeries = "/api/v1/series"

// window ends with the millisecond: a store that is exact would leave out the samples of the last second.
func (r SeriesRequest) window() url.Values {
	return url.Values{
		"start": {strconv.FormatInt(r.From.Unix(), 10)},
		"end":   {strconv.FormatFloat(float64(r.To.UnixMilli())/1000, 'f', 3, 64)},
	}
}
