package openobserve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Keeping is how long the store keeps the records of streams without a setting of their own.
type Keeping struct {
	Version string
	// Days is ZO_COMPACT_DATA_RETENTION_DAYS, 3650 where nobody set it; at 0 and below nothing is ever deleted, whatever the
	// settings of streams are. Source: src/compaction/src/retention.rs of 0.92.2.
	Days int
}

// DefaultDays is what a store has that was told nothing, and LeastDays what it takes at least.
const (
	DefaultDays = 3650
	LeastDays   = 3
)

// Keeping reads the global setting. It needs no log-in.
func (c *Client) Keeping(ctx context.Context) (Keeping, error) {
	var answer struct {
		Version string `json:"version"`
		Days    *int   `json:"data_retention_days"`
	}
	if err := c.read(ctx, "/config", nil, &answer); err != nil {
		return Keeping{}, err
	}
	if answer.Days == nil {
		return Keeping{}, fmt.Errorf("OpenObserve %s does not tell how long it keeps data", answer.Version)
	}
	return Keeping{Version: answer.Version, Days: *answer.Days}, nil
}

// Held is a stream and what the store says of it. The figures are of the files that were moved to the storage, and are
// refreshed each ZO_CALCULATE_STATS_INTERVAL (10 minutes), so a new stream has none yet.
type Held struct {
	Kind, Name string
	Created    time.Time
	// Oldest and Newest are zero for a stream without files.
	Oldest, Newest time.Time
	Records        int64
	// Stored and Index are bytes on the disk, Original those of the records as JSON.
	Stored, Index, Original float64
	// Days is the stream's own setting, 0 for the global one.
	Days int
	// Fields are those of its schema: all that a record ever had.
	Fields int
}

// Held lists the streams of a kind: "logs" or "traces". The API gives sizes as MB of 1024*1024 bytes and times in microseconds.
// Source: transform_stats in src/stream/src/lib.rs of 0.92.2.
func (c *Client) Held(ctx context.Context, kind string) ([]Held, error) {
	var answer struct {
		List []struct {
			Name  string `json:"name"`
			Stats struct {
				Created  int64   `json:"created_at"`
				Oldest   int64   `json:"doc_time_min"`
				Newest   int64   `json:"doc_time_max"`
				Records  int64   `json:"doc_num"`
				Original float64 `json:"storage_size"`
				Stored   float64 `json:"compressed_size"`
				Index    float64 `json:"index_size"`
			} `json:"stats"`
			Settings struct {
				Days int `json:"data_retention"`
			} `json:"settings"`
			Fields int `json:"total_fields"`
		} `json:"list"`
	}
	path := "/api/" + c.Org + "/streams"
	if err := c.read(ctx, path, url.Values{"type": {kind}, "fetchSchema": {"false"}}, &answer); err != nil {
		return nil, err
	}
	const mega = 1024 * 1024
	held := make([]Held, 0, len(answer.List))
	for _, one := range answer.List {
		held = append(held, Held{
			Kind: kind, Name: one.Name, Created: micro(one.Stats.Created), Oldest: micro(one.Stats.Oldest), Newest: micro(one.Stats.Newest),
			Records: one.Stats.Records, Original: one.Stats.Original * mega, Stored: one.Stats.Stored * mega, Index: one.Stats.Index * mega,
			Days: one.Settings.Days, Fields: one.Fields,
		})
	}
	return held, nil
}

func micro(at int64) time.Time {
	if at <= 0 {
		return time.Time{}
	}
	return time.UnixMicro(at).UTC()
}

// Extent is what a stream holds between two times, counted by the store.
type Extent struct {
	Records        int64
	Oldest, Newest time.Time // zero without records
	// Partial: a part of the store did not answer.
	Partial bool
}

// Extent counts the records of a stream, those that were not moved to the storage yet among them.
func (c *Client) Extent(ctx context.Context, kind, stream string, from, to time.Time) (Extent, error) {
	sql := "SELECT min(_timestamp) AS oldest, max(_timestamp) AS newest, count(*) AS records FROM " + quoted(stream)
	var answer struct {
		Hits []struct {
			Oldest  *int64 `json:"oldest"`
			Newest  *int64 `json:"newest"`
			Records int64  `json:"records"`
		} `json:"hits"`
		Partial bool `json:"is_partial"`
	}
	if err := c.ask(ctx, kind, sql, from, to, 1, &answer); err != nil {
		return Extent{}, err
	}
	extent := Extent{Partial: answer.Partial}
	if len(answer.Hits) == 0 || answer.Hits[0].Records == 0 {
		return extent, nil
	}
	hit := answer.Hits[0]
	extent.Records = hit.Records
	if hit.Oldest != nil && hit.Newest != nil {
		extent.Oldest, extent.Newest = micro(*hit.Oldest), micro(*hit.Newest)
	}
	return extent, nil
}

// quoted is a name in SQL, whatever it holds.
func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func (c *Client) read(ctx context.Context, path string, query url.Values, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.BaseURL+path, http.NoBody)
	if err != nil {
		return err
	}
	request.URL.RawQuery = query.Encode()
	request.SetBasicAuth(c.User, c.Password)
	return c.do(request, into)
}

// SetDays gives a stream a retention of its own, 0 takes it away. The API takes any number: below LeastDays the store was seen to
// delete too early (issue 8907), so they are refused here.
func (c *Client) SetDays(ctx context.Context, kind, stream string, days int) error {
	if days != 0 && days < LeastDays {
		return fmt.Errorf("a stream is kept for %d days at least, not %d", LeastDays, days)
	}
	body, err := json.Marshal(map[string]int{"data_retention": days})
	if err != nil {
		return err
	}
	address := c.BaseURL + "/api/" + c.Org + "/streams/" + url.PathEscape(stream) + "/settings?type=" + kind
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.SetBasicAuth(c.User, c.Password)
	var answer json.RawMessage
	return c.do(request, &answer)
}
