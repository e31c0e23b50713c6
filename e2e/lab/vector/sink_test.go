package main

import (
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"google.golang.org/grpc/codes"
	"gotest.tools/v3/assert"
)

func TestRetryTable(t *testing.T) {
	custom := retryTable{mode: "custom", codes: []int{401, 503}}
	for _, tc := range []struct {
		table retryTable
		yes   []int
		no    []int
	}{
		{retryTable{mode: "default"}, []int{408, 429, 500, 502, 503, 504, 599}, []int{301, 400, 401, 403, 404, 413, 501}},
		{retryTable{mode: "none"}, nil, []int{408, 429, 500, 503}},
		{retryTable{mode: "all"}, []int{301, 400, 404, 501}, nil},
		{custom, []int{401, 503}, []int{403, 408, 429, 500}},
	} {
		for _, s := range tc.yes {
			assert.Assert(t, tc.table.retries(s), "%s %d", tc.table.mode, s)
		}
		for _, s := range tc.no {
			assert.Assert(t, !tc.table.retries(s), "%s %d", tc.table.mode, s)
		}
	}
}

func TestRetriesCode(t *testing.T) {
	for c := codes.OK + 1; c <= codes.Unauthenticated; c++ {
		want := map[codes.Code]bool{
			codes.Canceled: true, codes.Unknown: true, codes.DeadlineExceeded: true, codes.ResourceExhausted: true,
			codes.FailedPrecondition: true, codes.Aborted: true, codes.Internal: true, codes.Unavailable: true,
		}[c]
		assert.Equal(t, retriesCode(c), want, "%s", c)
	}
}

func TestBackoff(t *testing.T) {
	b := newBackoff(requestConf{initial: time.Second, longest: 10 * time.Second})
	for _, want := range []time.Duration{1, 1, 2, 3, 5, 8, 10, 10} {
		assert.Equal(t, b.next(), want*time.Second)
	}
	b = newBackoff(requestConf{initial: time.Second, longest: 10 * time.Second, jitter: true})
	for _, most := range []time.Duration{1, 1, 2, 3, 5, 8, 10, 10} {
		d := b.next()
		assert.Assert(t, d > 0 && d <= most*time.Second, "%s", d)
	}
}

func unsnap(s string) ([]byte, error) { return snappy.Decode(nil, []byte(s)) }
