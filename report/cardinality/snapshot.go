package cardinality

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// Snapshot is what is kept of a report, to compare a later one with.
type Snapshot struct {
	At     time.Time      `json:"at"`
	Series int            `json:"series"`
	Others bool           `json:"others,omitempty"` // there were more metrics than are kept
	Match  []string       `json:"match,omitempty"`
	Metric map[string]int `json:"metric"` // series by name
}

func (s *Snapshot) of(metric string) (series int, known bool) {
	series, known = s.Metric[metric]
	// One that was not there had none, where all are kept.
	return series, known || !s.Others
}

// keptMetrics are the most series' worth: 100 snapshots of them are a megabyte.
const keptMetrics = 2000

// Take makes a snapshot of what was collected.
func Take(c Collected) Snapshot {
	s := Snapshot{
		At: c.Request.Now.UTC(), Match: c.Request.Match, Metric: map[string]int{}, Series: c.Rest.Series,
		Others: len(c.Metrics) > keptMetrics || c.Rest.Metrics > 0,
	}
	for i, metric := range c.Metrics {
		s.Series += metric.Series
		if i < keptMetrics {
			s.Metric[metric.Name] = metric.Series
		}
	}
	return s
}

// History are the snapshots of a store, oldest first.
type History []Snapshot

const (
	keptSnapshots = 100
	// A report that is drawn again every few seconds does not push the older ones out.
	keptApart = 10 * time.Minute
)

// Add returns the history with a snapshot, without those that are too many. Within ten minutes the first one stays: with
// what came before it, it is what a comparison looks for.
func (h History) Add(s Snapshot) History {
	if last := len(h) - 1; last >= 0 && s.At.Sub(h[last].At) < keptApart && slices.Equal(h[last].Match, s.Match) {
		return h
	}
	h = append(slices.Clip(h), s)
	return h[max(0, len(h)-keptSnapshots):]
}

// Before returns the youngest snapshot of the same selection that is at least so old, nil when there is none.
func (h History) Before(now time.Time, age time.Duration, match []string) *Snapshot {
	for i := len(h) - 1; i >= 0; i-- {
		if now.Sub(h[i].At) >= age && slices.Equal(h[i].Match, match) {
			return &h[i]
		}
	}
	return nil
}

// Encode writes a history for the state.
func (h History) Encode() ([]byte, error) {
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	if err := json.NewEncoder(packed).Encode(h); err != nil {
		return nil, err
	}
	if err := packed.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// unpacked is more than Encode writes; a file beyond it was made by somebody else.
const unpacked = 64 << 20

// DecodeHistory reads what Encode wrote.
func DecodeHistory(raw []byte) (History, error) {
	packed, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("read the history of reports: %w", err)
	}
	plain, err := io.ReadAll(io.LimitReader(packed, unpacked))
	if err != nil {
		return nil, fmt.Errorf("read the history of reports: %w", err)
	}
	var h History
	if err := json.Unmarshal(plain, &h); err != nil {
		return nil, fmt.Errorf("read the history of reports: %w", err)
	}
	return h, nil
}
