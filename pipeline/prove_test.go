package pipeline_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/pipeline"
)

// route is a pipeline of one line: what is written comes out after delay, the first lost lines never.
type route struct {
	delay   time.Duration
	lost    int
	refuses error // what the store says as long as it has no line

	written []string
	arrived map[string]time.Time
}

func (r *route) probe() pipeline.LogProbe {
	r.arrived = map[string]time.Time{}
	return pipeline.LogProbe{
		Write: func(_ context.Context, line string) error {
			r.written = append(r.written, line)
			if len(r.written) > r.lost {
				r.arrived[line] = time.Now().Add(r.delay)
			}
			return nil
		},
		Find: func(_ context.Context, marker string) (bool, error) {
			at, sent := r.arrived[marker]
			if sent && !time.Now().Before(at) {
				return true, nil
			}
			return false, r.refuses
		},
	}
}

func TestProveLogs(t *testing.T) {
	for _, tc := range []struct {
		name   string
		route  route
		writes int
		took   time.Duration // of the proof
		whole  time.Duration // of the call
	}{
		{"at once", route{}, 1, 0, 0},
		{"after a while", route{delay: 2 * time.Second}, 1, 2 * time.Second, 2 * time.Second},
		{"from a store that has no stream yet", route{delay: 2 * time.Second, refuses: errors.New("no such stream")}, 1, 2 * time.Second, 2 * time.Second},
		// The time of a proof is that of the line which was found, not of those that were lost.
		{"after a lost line", route{lost: 1, delay: time.Second}, 2, time.Second, 6 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				route, began := tc.route, time.Now()
				proof, err := pipeline.ProveLogs(t.Context(), route.probe(), time.Minute)
				assert.NilError(t, err)
				assert.Equal(t, len(route.written), tc.writes)
				assert.Assert(t, strings.HasPrefix(proof.Marker, "level=warn probe-"), proof.Marker)
				assert.Equal(t, proof.Marker, route.written[0])
				assert.Equal(t, proof.Took, tc.took)
				assert.Equal(t, time.Since(began), tc.whole)
			})
		})
	}
}

func TestProveLogsMarksEachProofAnew(t *testing.T) {
	first, err := pipeline.ProveLogs(t.Context(), (&route{}).probe(), time.Minute)
	assert.NilError(t, err)
	second, err := pipeline.ProveLogs(t.Context(), (&route{}).probe(), time.Minute)
	assert.NilError(t, err)
	assert.Assert(t, first.Marker != second.Marker, "an old line would prove a broken route")
}

func TestProveLogsSaysWhatTheStoreSaidLast(t *testing.T) {
	for _, tc := range []struct {
		name    string
		refuses error
		want    string
	}{
		{"nothing", nil, "a marked log line did not arrive in OpenObserve within 18s"},
		{"an error", errors.New("OpenObserve answered 401"), "a marked log line did not arrive in OpenObserve within 18s: OpenObserve answered 401"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				route := route{delay: time.Hour, refuses: tc.refuses}
				_, err := pipeline.ProveLogs(t.Context(), route.probe(), 18*time.Second)
				assert.Error(t, err, tc.want)
				var late *pipeline.NotArrivedError
				assert.Assert(t, errors.As(err, &late))
				assert.Equal(t, late.Hint(), "see which component complains: docker telemetry logs agent aggregator")
				assert.Equal(t, late.Marker, route.written[0])
				assert.Equal(t, len(route.written), 4, "a line every 5 s")
			})
		})
	}
}

func TestProveLogsEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer time.AfterFunc(3*time.Second, cancel).Stop()
		began := time.Now()
		_, err := pipeline.ProveLogs(ctx, (&route{delay: time.Hour}).probe(), time.Minute)
		assert.ErrorIs(t, err, context.Canceled)
		var late *pipeline.NotArrivedError
		assert.Assert(t, !errors.As(err, &late), "the user stopped it, nothing was late")
		assert.Equal(t, time.Since(began), 3*time.Second)
	})
}

func TestProveLogsNamesAFailedWrite(t *testing.T) {
	broken := errors.New("create the probe: no space left on device")
	_, err := pipeline.ProveLogs(t.Context(), pipeline.LogProbe{
		Write: func(context.Context, string) error { return broken },
	}, time.Minute)
	assert.Error(t, err, "write the marked log line: create the probe: no space left on device")
	assert.ErrorIs(t, err, broken)
}

// An engine that hangs while the probe is made must not hide that the time was up.
func TestProveLogsThatIsLateWhileWriting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := pipeline.ProveLogs(t.Context(), pipeline.LogProbe{
			Write: func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() },
		}, 10*time.Second)
		var late *pipeline.NotArrivedError
		assert.Assert(t, errors.As(err, &late), "%v", err)
	})
}
