package victoriametrics

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// HasSeries reports whether a series has a sample between two times of the same calendar month (UTC). VictoriaMetrics has an
// index for each month with the series of each day, so a part of a day is the whole day; it knows what is still on the disk,
// which may be older than what a query shows. The index alone is read, and no usage is counted: as 1.145 was seen to do.
func (c *Client) HasSeries(ctx context.Context, from, to time.Time) (bool, error) {
	var answer struct {
		refusal
		Data []string `json:"data"`
	}
	query := url.Values{"start": {seconds(from)}, "end": {seconds(to)}, "limit": {"1"}}
	if err := c.get(ctx, "/api/v1/labels", query, &answer); err != nil {
		return false, err
	}
	return len(answer.Data) > 0, nil
}

// QueryAt is QueryLatest at another time than now. The same holds for it: for the store's own metrics only.
func (c *Client) QueryAt(ctx context.Context, expression string, at time.Time) ([]Sample, error) {
	return c.query(ctx, url.Values{"query": {expression}, "time": {seconds(at)}, "latency_offset": {"1ms"}})
}

// Point is a value at a time.
type Point struct {
	At    time.Time
	Value float64
}

// QueryRange evaluates an expression of one series at each step between two times, without those that have no value. It counts
// as usage, as Query does.
func (c *Client) QueryRange(ctx context.Context, expression string, from, to time.Time, step time.Duration) ([]Point, error) {
	var answer struct {
		refusal
		Data struct {
			Result []struct {
				Values [][2]json.RawMessage `json:"values"`
			} `json:"result"`
		} `json:"data"`
	}
	query := url.Values{
		"query": {expression}, "start": {seconds(from)}, "end": {seconds(to)}, "step": {strconv.Itoa(int(step.Seconds())) + "s"},
	}
	if err := c.get(ctx, "/api/v1/query_range", query, &answer); err != nil {
		return nil, err
	}
	if len(answer.Data.Result) == 0 {
		return nil, nil
	}
	points := make([]Point, 0, len(answer.Data.Result[0].Values))
	for _, pair := range answer.Data.Result[0].Values {
		point, err := pointOf(pair)
		if err != nil {
			return nil, err
		}
		points = append(points, point)
	}
	return points, nil
}

func pointOf(pair [2]json.RawMessage) (Point, error) {
	var at float64
	var text string
	if err := json.Unmarshal(pair[0], &at); err != nil {
		return Point{}, fmt.Errorf("read the time of a query: %w", err)
	}
	if err := json.Unmarshal(pair[1], &text); err != nil {
		return Point{}, fmt.Errorf("read the value of a query: %w", err)
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return Point{}, fmt.Errorf("read the value of a query: %w", err)
	}
	return Point{At: time.UnixMilli(int64(at * 1000)).UTC(), Value: value}, nil
}

// Snapshots lists what /snapshot/create left; each pins the data of its time on the disk.
// https://docs.victoriametrics.com/victoriametrics/#how-to-work-with-snapshots
func (c *Client) Snapshots(ctx context.Context) ([]string, error) {
	var answer struct {
		refusal
		Snapshots []string `json:"snapshots"`
	}
	if err := c.get(ctx, "/snapshot/list", nil, &answer); err != nil {
		return nil, err
	}
	return answer.Snapshots, nil
}

func seconds(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
