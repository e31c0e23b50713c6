package retention

import (
	"fmt"
	"math"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

func testNow() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

func steady(perDay float64) *Range {
	return &Range{Low: perDay, Expected: perDay, High: perDay, Over: "the last week"}
}

// simulated counts hour by hour: what came in an hour is there until the whole that it is in, a month or a day, is over the retention.
func simulated(c course, now, at time.Time, perDay float64) float64 {
	kept := 0.0
	each := func(came time.Time, bytes float64) {
		end := time.Date(came.Year(), came.Month(), came.Day()+1, 0, 0, 0, 0, time.UTC)
		if c.keep.monthly {
			end = time.Date(came.Year(), came.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		}
		if c.keep.days <= 0 || at.Before(end.Add(time.Duration(c.keep.days*24)*time.Hour)) {
			kept += bytes
		}
	}
	hours := now.Sub(c.oldest).Hours()
	for came := c.oldest; came.Before(now); came = came.Add(time.Hour) {
		each(came, c.bytes/hours)
	}
	for came := now; came.Before(at); came = came.Add(time.Hour) {
		each(came, perDay/24)
	}
	return kept
}

func TestForecastIsThatOfACountByTheHour(t *testing.T) {
	now := testNow()
	for _, age := range []int{2, 12, 40, 200} {
		for _, keep := range []keeping{{7, true}, {14, true}, {60, true}, {365, true}, {3, false}, {14, false}, {90, false}, {0, false}, {0, true}} {
			for _, perDay := range []float64{0, 50, 100, 400} {
				oldest := later(now.AddDate(0, 0, -age), keep.cut(now))
				c := course{bytes: 100 * inDays(now.Sub(oldest)), oldest: oldest, keep: keep, rate: steady(perDay)}
				for _, ahead := range []int{0, 1, 10, 36, 75, 180} {
					at := now.AddDate(0, 0, ahead)
					got, want := c.size(now, at, perDay), simulated(c, now, at, perDay)
					name := fmt.Sprintf("%d days old, %+v, %g a day, in %d days", age, keep, perDay, ahead)
					// An hour of each rate beside the 5 %, for sizes of nearly nothing.
					assert.Assert(t, math.Abs(got-want) <= 0.05*want+perDay/24+100.0/24, "%s: %g, counted %g", name, got, want)
				}
			}
		}
	}
}

func TestMostIsThatOfACountByTheHour(t *testing.T) {
	now := testNow()
	for _, keep := range []keeping{{7, true}, {14, true}, {60, true}, {3, false}, {14, false}, {90, false}} {
		c := course{oldest: now, keep: keep, rate: steady(24)}
		counted := 0.0
		for ahead := range 24 * 220 { // a month of 31 days is among them
			counted = max(counted, simulated(c, now, now.Add(time.Duration(ahead)*time.Hour), 24))
			if ahead > 24*(int(keep.days)+70) {
				break
			}
		}
		got := c.atRetention().Expected
		assert.Assert(t, got >= counted*0.999 && got <= 1.05*counted+24, "%+v: %g, counted %g", keep, got, counted)
	}
	assert.Assert(t, course{rate: steady(24)}.atRetention() == nil, "it is kept for ever")
	assert.Assert(t, course{keep: keeping{days: 7}}.atRetention() == nil, "no rate is known")
}

func TestFull(t *testing.T) {
	now := testNow()
	for _, tc := range []struct {
		name                       string
		courses                    []course
		bytes                      float64
		earliest, expected, latest int // days ahead, -1: never
	}{
		{"for ever", []course{{bytes: 100, oldest: now.AddDate(0, 0, -1), rate: &Range{Low: 1, Expected: 10, High: 100}}}, 1100, 10, 100, 1000},
		{"full already", []course{{bytes: 100, oldest: now, rate: steady(1)}}, 50, 0, 0, 0},
		{
			"steady before",
			[]course{{bytes: 0, oldest: now, keep: keeping{days: 9}, rate: &Range{Low: 1, Expected: 10, High: 100}}},
			800, 8, -1, -1,
		},
		{
			"two together",
			[]course{{oldest: now, rate: steady(10)}, {bytes: 50, oldest: now, rate: steady(10)}},
			1050, 50, 50, 50,
		},
		{"beyond ten years", []course{{oldest: now, rate: steady(1)}}, 5000, -1, -1, -1},
		{"one without a rate", []course{{oldest: now, rate: steady(10)}, {bytes: 500, oldest: now}}, 1000, 50, 50, 50},
	} {
		t.Run(tc.name, func(t *testing.T) {
			found := full(tc.courses, now, tc.bytes)
			for _, one := range []struct {
				got  *time.Time
				want int
			}{{found.Earliest, tc.earliest}, {found.Expected, tc.expected}, {found.Latest, tc.latest}} {
				if one.want < 0 {
					assert.Assert(t, one.got == nil, "%v", one.got)
					continue
				}
				assert.Assert(t, one.got != nil && one.got.Equal(now.AddDate(0, 0, one.want)), "%v, want in %d days", one.got, one.want)
			}
		})
	}
	assert.Assert(t, full([]course{{bytes: 5}}, now, 1) == nil, "no rate tells it")
}

func TestSpread(t *testing.T) {
	rate := func(window string, perDay float64) Rate {
		return Rate{Window: window, BytesPerDay: perDay, How: Measured}
	}
	for _, tc := range []struct {
		name                string
		rates               []Rate
		low, expected, high float64
		over                string
	}{
		{"the week counts", []Rate{rate("hour", 9), rate("day", 1), rate("week", 4), rate("all", 5)}, 1, 4, 9, "the last week, from the last day to the last hour"},
		{"no week yet", []Rate{rate("hour", 9), rate("all", 5)}, 5, 5, 9, "all that is there, from all that is there to the last hour"},
		{"one alone", []Rate{rate("all", 5)}, 5, 5, 5, "all that is there"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := spread(tc.rates)
			assert.DeepEqual(t, *got, Range{tc.low, tc.expected, tc.high, Measured, tc.over})
		})
	}
	assert.Assert(t, spread(nil) == nil)
}

func TestDays(t *testing.T) {
	for text, want := range map[string]float64{"14d": 14, "1": 31, "36h": 1.5, "2w": 14, "1M": 31, "1y": 365, "0.5d": 0.5, "100y": 36500} {
		got, err := days(text)
		assert.NilError(t, err)
		assert.Equal(t, got, want, text)
	}
	for _, text := range []string{"", "d", "x", "-1d", "NaN", "Infd", "1D", "1 d"} {
		_, err := days(text)
		assert.ErrorContains(t, err, "is no retention such as 30d", text)
	}
}

func TestParseWanted(t *testing.T) {
	for text, want := range map[string]Wanted{
		"metrics=30d": {Metrics, "", 30}, "logs=7d": {Logs, "", 7}, "logs/docker=3d": {Logs, "docker", 3}, "traces/a=b=1w": {},
		"traces/default=1w": {Traces, "default", 7}, "metrics=1d": {Metrics, "", 1},
	} {
		got, err := ParseWanted(text)
		if want.Store == "" {
			assert.ErrorContains(t, err, "is no retention")
			continue
		}
		assert.NilError(t, err)
		assert.Equal(t, got, want)
	}
	for text, want := range map[string]string{
		"metrics": "is no setting such as metrics=30d", "metrics=7": "has no unit", "metrics=": "has no unit", "logs=2d": "logs takes a retention of 3 d at least, not 2d",
		"metrics=1h": "metrics takes a retention of 1 d at least", "logs=80h": "logs takes whole days, not 80h", "metrics/up=7d": "is neither", "logs/=7d": "is neither",
		"grafana=7d": "is neither", "metrics=1e308y": "metrics takes a retention of 36500 d at most", "logs=xd": "is no retention such as 30d",
	} {
		_, err := ParseWanted(text)
		assert.ErrorContains(t, err, want, text)
	}
}

// 500 streams of logs are many; the day on which a volume is full is looked for day by day.
func BenchmarkFull(b *testing.B) {
	now := testNow()
	var courses []course
	for i := range 500 {
		courses = append(courses, course{bytes: 1e6, oldest: now.AddDate(0, 0, -i), keep: keeping{days: 3650}, rate: steady(1)})
	}
	for b.Loop() {
		full(courses, now, 1e18)
	}
}
