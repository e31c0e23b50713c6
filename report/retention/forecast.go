package retention

import (
	"slices"
	"time"
)

// window is a time back from now over which a rate is taken.
type window struct {
	name string
	long time.Duration
}

func windows() []window {
	return []window{{"hour", time.Hour}, {"day", day}, {"week", 7 * day}}
}

// whole is the window from the oldest record on.
const whole = "all"

// course is what the forecast of a stream starts from.
type course struct {
	bytes  float64   // now
	oldest time.Time // of what is there now
	keep   keeping
	rate   *Range // bytes a day; nil where none is known
}

// size of a stream at a time to come. What is there now is taken to lie evenly between its oldest and now; what comes lies
// evenly after it. Both lose what is before the store's cut.
func (c course) size(now, at time.Time, perDay float64) float64 {
	from := later(c.oldest, c.keep.cut(at))
	left := c.bytes
	if span := now.Sub(c.oldest); span > 0 {
		left *= max(0, min(1, float64(now.Sub(from))/float64(span)))
	}
	return left + perDay*inDays(at.Sub(later(now, from)))
}

// sizes are those of several streams together, by their lowest, expected and highest rates. A stream without a rate stays as it is.
func sizes(courses []course, now, at time.Time) (low, expected, high float64) {
	for _, c := range courses {
		if c.rate == nil {
			low, expected, high = low+c.bytes, expected+c.bytes, high+c.bytes
			continue
		}
		low += c.size(now, at, c.rate.Low)
		expected += c.size(now, at, c.rate.Expected)
		high += c.size(now, at, c.rate.High)
	}
	return low, expected, high
}

// atRetention is the most that a stream comes to; nil for one that grows for ever or has no rate.
func (c course) atRetention() *Range {
	longest := c.keep.longest()
	if c.rate == nil || longest <= 0 {
		return nil
	}
	return &Range{
		Low: c.rate.Low * longest, Expected: c.rate.Expected * longest, High: c.rate.High * longest, How: Estimated,
		Over: "the rates of " + c.rate.Over + ", " + daysText(longest) + " of them: the retention and what the store deletes only as a whole",
	}
}

// farthest is how far ahead a limit is looked for.
const farthest = 3660

// full finds the days on which courses reach so many bytes; nil where none has a rate.
func full(courses []course, now time.Time, bytes float64) *Full {
	if !slices.ContainsFunc(courses, func(c course) bool { return c.rate != nil }) {
		return nil
	}
	found := &Full{}
	for ahead := range horizonOf(courses) {
		at := now.Add(time.Duration(ahead) * day)
		low, expected, high := sizes(courses, now, at)
		for _, one := range []struct {
			into  **time.Time
			bytes float64
		}{{&found.Earliest, high}, {&found.Expected, expected}, {&found.Latest, low}} {
			if *one.into == nil && one.bytes >= bytes {
				*one.into = &at
			}
		}
		if found.Latest != nil && found.Expected != nil && found.Earliest != nil {
			break
		}
	}
	return found
}

// horizonOf is in how many days all streams have become as large as they get, at most farthest.
func horizonOf(courses []course) int {
	longest := 0.0
	for _, c := range courses {
		if c.rate != nil && c.keep.days <= 0 {
			return farthest
		}
		// Two months more: the largest size comes just before a month is dropped.
		longest = max(longest, c.keep.longest()+62)
	}
	return min(farthest, int(longest)+1)
}

// curve is the forecast as points, from now to the horizon.
func curve(courses []course, now time.Time, horizon time.Duration) []Size {
	const steps = 60
	var points []Size
	for i := range steps + 1 {
		at := now.Add(horizon * time.Duration(i) / steps)
		low, expected, high := sizes(courses, now, at)
		if i == 0 {
			low, expected, high = present(courses), present(courses), present(courses)
		}
		points = append(points, Size{At: at, Low: low, Expected: expected, High: high, Forecast: true})
	}
	return points
}

func present(courses []course) float64 {
	bytes := 0.0
	for _, c := range courses {
		bytes += c.bytes
	}
	return bytes
}

// total adds streams up. Their lowest rates are added to each other, and their highest: the range is the widest.
func total(courses []course, now time.Time, horizon time.Duration) Total {
	sum := Total{Bytes: present(courses)}
	known, ends := false, true
	perDay, full := Range{How: Estimated, Over: "the sum over the streams"}, Range{How: Estimated, Over: "the sum over the streams"}
	for _, c := range courses {
		if c.rate == nil {
			full.Low, full.Expected, full.High = full.Low+c.bytes, full.Expected+c.bytes, full.High+c.bytes
			continue
		}
		known = true
		perDay.Low, perDay.Expected, perDay.High = perDay.Low+c.rate.Low, perDay.Expected+c.rate.Expected, perDay.High+c.rate.High
		most := c.atRetention()
		if most == nil {
			ends = false
			continue
		}
		full.Low, full.Expected, full.High = full.Low+most.Low, full.Expected+most.Expected, full.High+most.High
	}
	if !known {
		return sum
	}
	sum.BytesPerDay = &perDay
	if ends {
		sum.AtRetention = &full
	}
	low, expected, high := sizes(courses, now, now.Add(horizon))
	sum.AtHorizon = &Range{Low: low, Expected: expected, High: high, How: Estimated, Over: "the sum over the streams"}
	return sum
}

// spread makes a range of rates. The expected one is that of the week, which has its quiet days and its loud ones; a stream that
// is younger is told by all that it has, which is longer than a day or an hour.
func spread(rates []Rate) *Range {
	if len(rates) == 0 {
		return nil
	}
	best := rates[len(rates)-1]
	if at := slices.IndexFunc(rates, func(r Rate) bool { return r.Window == "week" }); at >= 0 {
		best = rates[at]
	}
	low, high := best, best
	for _, rate := range rates {
		if rate.BytesPerDay < low.BytesPerDay {
			low = rate
		}
		if rate.BytesPerDay > high.BytesPerDay {
			high = rate
		}
	}
	over := windowText(best.Window)
	if low.Window != high.Window {
		over += ", from " + windowText(low.Window) + " to " + windowText(high.Window)
	}
	return &Range{Low: low.BytesPerDay, Expected: best.BytesPerDay, High: high.BytesPerDay, How: best.How, Over: over}
}

// PerDay is what comes in, in bytes, with the range of the windows; nil where no rate is known.
func (s Stream) PerDay() *Range { return spread(s.Rates) }

// Own reports whether a stream has a retention of its own.
func (s Stream) Own() bool { return s.Retention != nil && s.Retention.Source == ownSetting }

func windowText(name string) string {
	if name == whole {
		return "all that is there"
	}
	return "the last " + name
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func inDays(long time.Duration) float64 { return float64(long) / float64(day) }
