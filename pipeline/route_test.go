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

// passes is a hop that sees the event after a while; held ones do not see it go on.
func passes(name string, after time.Duration, held bool) pipeline.RouteHop {
	return pipeline.RouteHop{Name: name, Component: name, Watch: func(ctx context.Context) (pipeline.Sighting, error) {
		select {
		case <-time.After(after):
			return pipeline.Sighting{Latency: after, Held: held}, nil
		case <-ctx.Done():
			return pipeline.Sighting{}, ctx.Err()
		}
	}}
}

// waits is a hop that sees nothing until the end, and what it says then.
func waits(name string, err error) pipeline.RouteHop {
	return pipeline.RouteHop{Name: name, Component: name, Watch: func(ctx context.Context) (pipeline.Sighting, error) {
		<-ctx.Done()
		return pipeline.Sighting{}, err
	}}
}

func down(name string, after time.Duration) pipeline.RouteHop {
	return pipeline.RouteHop{Name: name, Component: name, Watch: func(context.Context) (pipeline.Sighting, error) {
		<-time.After(after)
		return pipeline.Sighting{}, &pipeline.DownError{Err: errors.New("it is paused")}
	}}
}

func of(component string, hop pipeline.RouteHop) pipeline.RouteHop {
	hop.Component = component
	return hop
}

func TestVerifyStopsAtTheFirstSilentHop(t *testing.T) {
	silent := errors.New("nothing was seen")
	for _, tc := range []struct {
		name   string
		hops   []pipeline.RouteHop
		states string // of each hop: P, S, U
		why    string
		took   time.Duration
	}{
		{"all pass", []pipeline.RouteHop{passes("a", time.Second, false), passes("b", 2*time.Second, false)}, "PP", "", 2 * time.Second},
		{"one is silent", []pipeline.RouteHop{passes("a", 0, false), waits("b", silent), passes("c", 0, false)}, "PSU", "nothing was seen", 10 * time.Second},
		{"the first of two", []pipeline.RouteHop{waits("a", silent), waits("b", silent)}, "SU", "nothing was seen", 10 * time.Second},
		{
			"a later hop is why an earlier one holds its event",
			[]pipeline.RouteHop{passes("a", 0, true), passes("b", 0, false), waits("c", silent)},
			"PPS", "nothing was seen", 10 * time.Second,
		},
		{
			"what holds its event and is not explained",
			[]pipeline.RouteHop{passes("a", 0, true), passes("b", 0, false)},
			"SU", "it took the marked event and sent nothing on", 0,
		},
		{
			"the last that holds it",
			[]pipeline.RouteHop{passes("a", 0, true), passes("b", 0, true), passes("c", 0, false)},
			"PSU", "it took the marked event and sent nothing on", 0,
		},
		{
			"the first of replicas that all hold it",
			[]pipeline.RouteHop{passes("a", 0, true), of("b", passes("b-1", 0, true)), of("b", passes("b-2", 0, true)), waits("c", pipeline.ErrNothingCame)},
			"PSUU", "it took the marked event and sent nothing on", 10 * time.Second,
		},
		{"down is known at once", []pipeline.RouteHop{passes("a", 0, false), down("b", 0), waits("c", silent)}, "PSU", "it is paused", 0},
		{"what comes before has a while", []pipeline.RouteHop{passes("a", time.Second, false), down("b", 0), waits("c", silent)}, "PSU", "it is paused", time.Second},
		{"a while has an end", []pipeline.RouteHop{passes("a", time.Minute, false), down("b", 0)}, "US", "it is paused", 3 * time.Second},
		{"nothing came anywhere", []pipeline.RouteHop{passes("a", 0, false), waits("b", pipeline.ErrNothingCame)}, "PS", "nothing came here", 10 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				explained := ""
				results, err := pipeline.Verify(t.Context(), []pipeline.Route{{Name: "r", Hops: tc.hops}}, 10*time.Second,
					func(_ context.Context, _ pipeline.Route, hop pipeline.HopResult) pipeline.Cause {
						explained = hop.Err.Error()
						return pipeline.Cause{Hop: hop.Name}
					}, func(pipeline.RouteResult) {})
				assert.NilError(t, err)
				var states strings.Builder
				for _, hop := range results[0].Hops {
					states.WriteString(strings.ToUpper(string(hop.State[:1])))
				}
				assert.Equal(t, states.String(), tc.states)
				assert.Equal(t, explained, tc.why)
				assert.Equal(t, results[0].Took, tc.took)
				assert.Equal(t, results[0].Proven(), tc.why == "")
				assert.Equal(t, results[0].Cause != nil, tc.why != "")
			})
		})
	}
}

func TestVerifyLooksAtAllRoutesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, ended := time.Now(), []string{}
		results, err := pipeline.Verify(t.Context(), []pipeline.Route{
			{Name: "slow", Hops: []pipeline.RouteHop{passes("a", 9*time.Second, false)}},
			{Name: "fast", Hops: []pipeline.RouteHop{passes("a", time.Second, false)}},
		}, 10*time.Second, nil, func(result pipeline.RouteResult) { ended = append(ended, result.Name) })
		assert.NilError(t, err)
		assert.Equal(t, time.Since(began), 9*time.Second)
		assert.DeepEqual(t, ended, []string{"fast", "slow"})
		assert.Equal(t, results[0].Name, "slow", "in the order they were asked for")
	})
}

func TestVerifyEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := pipeline.Verify(ctx, []pipeline.Route{{Name: "r", Hops: []pipeline.RouteHop{waits("a", errors.New("x"))}}}, time.Minute, nil,
			func(pipeline.RouteResult) { t.Error("an interrupted route has no result") })
		assert.ErrorIs(t, err, context.Canceled)
	})
}

func TestOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outcome := pipeline.NewOutcome[int]()
		_, settled := outcome.Settled()
		assert.Assert(t, !settled)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := outcome.Wait(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		outcome.Note(errors.New("the store says no"))
		_, err = outcome.Wait(ctx)
		assert.Error(t, err, "the store says no")
		outcome.Settle(1)
		outcome.Settle(2)
		value, err := outcome.Wait(ctx)
		assert.NilError(t, err)
		assert.Equal(t, value, 1)
	})
}

func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, tries := time.Now(), 0
		err := pipeline.Until(t.Context(), time.Second, func(context.Context) error {
			tries++
			if tries < 4 {
				return errors.New("not yet")
			}
			return nil
		})
		assert.NilError(t, err)
		assert.Equal(t, time.Since(began), 3*time.Second)

		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		err = pipeline.Until(ctx, time.Second, func(ctx context.Context) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return errors.New("not yet")
		})
		assert.Error(t, err, "not yet")

		began = time.Now()
		err = pipeline.Until(t.Context(), time.Second, func(context.Context) error { return &pipeline.DownError{Err: errors.New("never")} })
		assert.Error(t, err, "never")
		assert.Equal(t, time.Since(began), time.Duration(0))
	})
}
