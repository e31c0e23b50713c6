package pipeline

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Stream counts what becomes of numbered events, 1, 2, 3 and so on, that are sent one after the other.
type Stream struct {
	// LostAfter is the age at which an event that was not found counts as lost.
	LostAfter time.Duration

	written    uint64
	at         map[uint64]time.Time // when it was known that an event was written; forgotten when it is found or lost
	found      map[uint64]int       // how often
	highest    uint64
	reordered  int
	duplicates int
	lost       map[uint64]bool
	latencies  []time.Duration
}

// NewStream returns one without events.
func NewStream(lostAfter time.Duration) *Stream {
	return &Stream{LostAfter: lostAfter, at: map[uint64]time.Time{}, found: map[uint64]int{}, lost: map[uint64]bool{}}
}

// Written tells that all events up to a number were sent by now.
func (s *Stream) Written(upTo uint64, now time.Time) {
	for number := s.written + 1; number <= upTo; number++ {
		if s.found[number] == 0 {
			s.at[number] = now
		}
	}
	s.written = max(s.written, upTo)
}

// Arrival is one record of an event in the store.
type Arrival struct {
	Number  uint64
	Written time.Time // the time in the record
}

// Look takes all records that one search found, and counts those it did not know. Records of one search count as arrived
// in the order of their times: the search cannot tell them apart.
func (s *Stream) Look(arrivals []Arrival, now time.Time) {
	slices.SortStableFunc(arrivals, func(a, b Arrival) int { return a.Written.Compare(b.Written) })
	records := map[uint64]int{}
	for _, arrival := range arrivals {
		records[arrival.Number]++
		if s.found[arrival.Number] > 0 || records[arrival.Number] > 1 {
			continue
		}
		if arrival.Number < s.highest {
			s.reordered++
		}
		s.highest = max(s.highest, arrival.Number)
		s.latencies = append(s.latencies, max(0, now.Sub(arrival.Written)))
		delete(s.lost, arrival.Number) // late, and there
	}
	for number, count := range records {
		if more := count - max(1, s.found[number]); more > 0 {
			s.duplicates += more
		}
		s.found[number] = max(s.found[number], count)
		delete(s.at, number)
	}
	for number, written := range s.at {
		if now.Sub(written) > s.LostAfter {
			s.lost[number] = true
			delete(s.at, number)
		}
	}
	s.written = max(s.written, s.highest)
}

// Summary is what became of the events so far.
type Summary struct {
	Sent, Arrived, Lost, Duplicates, Reordered int
	// OnTheWay are those that were sent and not found yet.
	OnTheWay int
	// Latency is from the writing of an event to its being found; by share of the events, such as 0.5.
	Latency map[float64]time.Duration
	Longest time.Duration
}

// Shares are those that Summary has a latency for.
func Shares() []float64 { return []float64{0.5, 0.9, 0.99} }

// Summary counts up to now.
func (s *Stream) Summary() Summary {
	sum := Summary{
		Sent: int(s.written), Arrived: len(s.found), Lost: len(s.lost), Duplicates: s.duplicates, Reordered: s.reordered, //nolint:gosec // one a second
		Latency: map[float64]time.Duration{},
	}
	sum.OnTheWay = max(0, sum.Sent-sum.Arrived-sum.Lost)
	sorted := slices.Sorted(slices.Values(s.latencies))
	if len(sorted) == 0 {
		return sum
	}
	for _, share := range Shares() {
		// The nearest rank: the smallest latency that this share of the events does not exceed.
		sum.Latency[share] = sorted[max(0, int(math.Ceil(share*float64(len(sorted))))-1)]
	}
	sum.Longest = sorted[len(sorted)-1]
	return sum
}

// Exposition writes a summary in the Prometheus text format, for the series of one stack and route.
func (s Summary) Exposition(stack, route string) string {
	labels := fmt.Sprintf("job=%q,stack=%q,route=%q", ProbeService, stack, route)
	var out strings.Builder
	for _, counter := range []struct {
		name  string
		value int
	}{{"sent", s.Sent}, {"arrived", s.Arrived}, {"lost", s.Lost}, {"duplicates", s.Duplicates}, {"reordered", s.Reordered}} {
		fmt.Fprintf(&out, "telemetry_verify_%s_total{%s} %d\n", counter.name, labels, counter.value)
	}
	for _, share := range Shares() {
		if latency, known := s.Latency[share]; known {
			fmt.Fprintf(&out, "telemetry_verify_latency_seconds{%s,quantile=\"%g\"} %.3f\n", labels, share, latency.Seconds())
		}
	}
	return out.String()
}
