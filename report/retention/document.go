package retention

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker-telemetry/docker-telemetry/internal/document"
)

// Document is the report as people read it: what to do stands last, where a terminal ends.
func (r Report) Document() document.Document {
	sections := []document.Section{
		r.streamsSection(), r.ratesSection(), r.forecastSection(), r.curveSection(), r.limitsSection("When it is full", r.Limits),
	}
	if r.WhatIf != nil {
		sections = append(sections, r.whatIfSection(), r.limitsSection("When it would be full", r.WhatIf.Limits))
	}
	sections = append(sections, r.growthSection(), r.othersSection(), r.findingsSection(), document.NotTold(r.Notes))
	return document.Document{Title: "Retention", Sections: document.Present(sections...), Flat: r.flat()}
}

func (r Report) streamsSection() document.Section {
	section := document.Section{
		Title: "What is kept",
		Note:  "Bytes are reported by the store; ~ is estimated. Of the oldest only the day is given where its time is not known.",
		Table: document.Table{
			Header: []string{"store", "stream", "retention", "set by", "oldest", "newest", "records", "on disk", "a record", "old data goes", "how it is known"},
			Right:  []int{6, 7, 8}, Prose: []int{9, 3, 10}, Optional: []int{10, 3, 8, 5},
		},
	}
	for _, s := range r.Streams {
		section.Rows = append(section.Rows, []string{
			s.Store, s.Name, s.retention(), s.source(), moment(s.Oldest), moment(s.Newest), count(s.Records), bytes(s.Bytes), perRecord(s.BytesPerRecord),
			s.goes(), s.known(),
		})
	}
	if len(section.Rows) == 0 {
		section.Note = "There is nothing."
	}
	return section
}

func (s Stream) retention() string {
	if s.Retention == nil {
		return ""
	}
	return s.Retention.Text
}

func (s Stream) source() string {
	if s.Retention == nil {
		return ""
	}
	return s.Retention.Source
}

func (s Stream) goes() string {
	if s.Leaves == "" {
		return s.Leaving
	}
	return s.Leaving + ": " + s.Leaves
}

// known says how the figures of a stream were obtained; what was obtained alike is said once.
func (s Stream) known() string {
	var names, ways []string
	say := func(name string, how How, over string) {
		way := string(how) + ", " + over
		if at := slices.Index(ways, way); at >= 0 {
			names[at] += ", " + name
			return
		}
		names, ways = append(names, name), append(ways, way)
	}
	if s.Records != nil {
		say("records", s.Records.How, s.Records.Over)
	}
	if s.Oldest != nil {
		say("oldest", s.Oldest.How, s.Oldest.Over)
	}
	if s.Newest != nil {
		say("newest", s.Newest.How, s.Newest.Over)
	}
	for at := range ways {
		ways[at] = names[at] + ": " + ways[at]
	}
	return strings.Join(ways, "; ")
}

// Label names a stream in one word.
func Label(store, name string) string {
	switch "" {
	case name:
		return store
	case store:
		return name
	default:
		return store + "/" + name
	}
}

func moment(m *Moment) string {
	switch {
	case m == nil:
		return ""
	case m.Precision == "day":
		return m.At.Format(time.DateOnly)
	default:
		return m.At.Format("2006-01-02 15:04")
	}
}

func count(f *Figure) string {
	if f == nil {
		return ""
	}
	return document.Number(int(f.Value))
}

func bytes(f *Figure) string {
	if f == nil {
		return ""
	}
	return size(f.Value)
}

func perRecord(f *Figure) string {
	if f == nil {
		return ""
	}
	return "~" + strconv.FormatFloat(f.Value, 'f', 2, 64) + " B"
}

func (r Report) ratesSection() document.Section {
	section := document.Section{
		Title: "What comes in",
		Note: "A day, at the rate of each window: records are counted, bytes are by what a record takes. Over all that is there it is estimated, from its age. " +
			"Empty where the data does not go back so far.",
		Table: document.Table{
			Header: []string{"stream", "last hour", "last day", "last week", "all", "bytes a day", "at full retention"}, Right: []int{1, 2, 3, 4, 5, 6},
			Optional: []int{4, 1},
		},
	}
	for _, s := range r.Streams {
		if len(s.Rates) == 0 {
			continue
		}
		row := []string{Label(s.Store, s.Name)}
		for _, window := range []string{"hour", "day", "week", whole} {
			row = append(row, s.perDay(window))
		}
		rate := spread(s.Rates)
		row = append(row, "~"+size(rate.Expected), s.full())
		section.Rows = append(section.Rows, row)
	}
	if len(section.Rows) == 0 {
		section.Note = "Not known yet: there is less than an hour of data."
	}
	return section
}

func (s Stream) perDay(window string) string {
	for _, rate := range s.Rates {
		if rate.Window == window {
			text := document.Number(int(rate.RecordsPerDay))
			if rate.How == Estimated {
				text = "~" + text
			}
			return text
		}
	}
	return ""
}

func (s Stream) full() string {
	if s.AtRetention == nil {
		return "no end"
	}
	return between(s.AtRetention)
}

// between is a range of bytes.
func between(r *Range) string {
	if r == nil {
		return ""
	}
	text := "~" + size(r.Expected)
	if low, high := size(r.Low), size(r.High); low != high {
		text += " (" + low + " to " + high + ")"
	}
	return text
}

func (r Report) forecastSection() document.Section {
	section := document.Section{Title: "Forecast", Table: document.Table{Header: []string{"", "", ""}, Right: []int{1}, Prose: []int{2}}}
	add := func(what, figure, about string) { section.Rows = append(section.Rows, []string{what, figure, about}) }
	add("now", size(r.Total.Bytes), "all streams, as the stores report it")
	if r.Total.BytesPerDay == nil {
		section.Note = "None: no rate is known yet."
		return section
	}
	add("grows a day by", between(r.Total.BytesPerDay), "by the lowest and the highest of the rates")
	add("in "+daysText(r.HorizonDays), between(r.Total.AtHorizon), "")
	if r.Total.AtRetention == nil {
		add("at full retention", "no end", "a stream is kept for ever")
	} else {
		add("at full retention", between(r.Total.AtRetention), "the most that it comes to")
	}
	return section
}

// curveSection is a plot of one line: what was, and the forecast.
func (r Report) curveSection() document.Section {
	const width = 60
	section := document.Section{Title: "Size over time", Table: document.Table{Header: []string{"", "", ""}}}
	if len(r.Curve) < 2 {
		return document.Section{}
	}
	var was, ahead []float64
	most := 0.0
	for _, point := range r.Curve {
		most = max(most, point.Expected)
		if point.Forecast {
			ahead = append(ahead, point.Expected)
		} else {
			was = append(was, point.Expected)
		}
	}
	if len(was) > 1 {
		first := r.Curve[0].At
		section.Rows = append(section.Rows, []string{"was", line(was, most, width), "since " + first.Format("2006-01-02 15:04")})
	}
	if len(ahead) > 1 {
		section.Rows = append(section.Rows, []string{"will be", line(ahead, most, width), "until " + r.Curve[len(r.Curve)-1].At.Format(time.DateOnly)})
	}
	section.Note = "Each line from 0 to " + size(most) + "; what will be is the expected size."
	return section
}

// line draws values from 0 to most with eighths of a character.
func line(values []float64, most float64, width int) string {
	levels := []rune("▁▂▃▄▅▆▇█")
	var out strings.Builder
	for column := range min(width, len(values)) {
		value := values[column*len(values)/min(width, len(values))]
		level := 0
		if most > 0 {
			level = int(math.Round(value / most * float64(len(levels)-1)))
		}
		out.WriteRune(levels[max(0, min(level, len(levels)-1))])
	}
	return out.String()
}

func (r Report) limitsSection(title string, limits []Limit) document.Section {
	section := document.Section{Title: title, Table: document.Table{
		Header: []string{"limit", "bytes", "free", "full on", "range", "how it is known"}, Right: []int{1, 2}, Prose: []int{5}, Optional: []int{1},
	}}
	for _, limit := range limits {
		on, span := "not known: no rate is", ""
		if limit.Full != nil {
			on = onDay(limit.Full.Expected)
			if first, last := onDay(limit.Full.Earliest), onDay(limit.Full.Latest); first != last {
				span = first + " to " + last
			}
		}
		section.Rows = append(section.Rows, []string{limit.Name, size(limit.Bytes), size(limit.Free), on, span, limit.Over})
	}
	if len(limits) == 0 {
		section.Note = "Not known: no store tells the free space of its disk; give a budget with --max-disk."
	}
	return section
}

func onDay(at *time.Time) string {
	if at == nil {
		return "not in 10 years"
	}
	return at.Format(time.DateOnly)
}

func (r Report) whatIfSection() document.Section {
	section := document.Section{Title: "What if", Table: document.Table{
		Header: []string{"stream", "retention", "would be", "at full retention", "would need", "frees now"}, Right: []int{1, 2, 3, 4, 5},
	}}
	for _, change := range r.WhatIf.Changes {
		section.Rows = append(section.Rows, []string{
			Label(change.Store, change.Name), daysText(change.DaysBefore), daysText(change.Days), orNoEnd(change.BytesBefore, change.DaysBefore), orNoEnd(change.Bytes, change.Days),
			"~" + size(change.Freed),
		})
	}
	section.Note = "In all " + orNoEnd(r.WhatIf.Total.AtRetention, 0) + " at full retention instead of " + orNoEnd(r.Total.AtRetention, 0) + "."
	if len(section.Rows) == 0 {
		section.Note = "Nothing changes."
	}
	return section
}

// orNoEnd is what something kept for so many days comes to. Without an end of them it comes to none; with one, no rate is known.
func orNoEnd(r *Range, days float64) string {
	switch {
	case r != nil:
		return between(r)
	case days > 0:
		return "not known"
	default:
		return "no end"
	}
}

func (r Report) growthSection() document.Section {
	section := document.Section{Title: "What makes it grow", Table: document.Table{
		Header: []string{"store", "metric or stream", "bytes a day", "share", "how it is known"}, Right: []int{2, 3}, Prose: []int{4}, Optional: []int{4},
	}}
	for _, cause := range r.Growth {
		section.Rows = append(section.Rows, []string{
			cause.Store, cause.Name, "~" + size(cause.BytesPerDay), document.Percent(cause.Share), string(cause.How) + ", by " + cause.Over,
		})
	}
	return section
}

func (r Report) othersSection() document.Section {
	section := document.Section{Title: "What else takes room", Table: document.Table{Header: []string{"what", "bytes", "how it is known"}, Right: []int{1}, Prose: []int{2}}}
	for _, other := range r.Others {
		section.Rows = append(section.Rows, []string{other.Name, other.size(), string(other.How) + ", " + other.Over})
	}
	return section
}

func (o Other) size() string {
	if o.How == Bound {
		return "up to " + size(o.Bytes)
	}
	return size(o.Bytes)
}

func (r Report) findingsSection() document.Section {
	section := document.Section{Title: "Findings", Table: document.Table{
		Header: []string{"code", "stream", "what", "what to do"}, Prose: []int{2, 3}, Optional: []int{3},
	}}
	for _, finding := range r.Findings {
		section.Rows = append(section.Rows, []string{finding.Code, Label(finding.Store, finding.Name), finding.Title, finding.Fix})
	}
	switch {
	case len(section.Rows) > 0:
	case r.told():
		section.Note = NoFindings
	default:
		section.Note = "None, as far as it can be told."
	}
	return section
}

// NoFindings is what a report says that has none.
const NoFindings = "None: what is kept goes when it should, and there is room for it."

// told reports whether enough is known to say that nothing is wrong.
func (r Report) told() bool {
	known := func(s Stream) bool { return s.Leaving != LeavingUnknown || s.Records != nil && s.Records.Value == 0 }
	return r.Complete && r.Total.BytesPerDay != nil && len(r.Limits) > 0 && !slices.ContainsFunc(r.Streams, func(s Stream) bool { return !known(s) })
}

// flat has a row for each stream, and one for each other thing that is no part of the bytes of the streams, by its kind.
func (r Report) flat() document.Table {
	flat := document.Table{Header: []string{
		"store", "stream", "retention_days", "set_by", "oldest", "newest", "records", "bytes", "bytes_per_record", "records_per_day_hour",
		"records_per_day_day", "records_per_day_week", "records_per_day_all", "bytes_per_day", "bytes_at_retention_low",
		"bytes_at_retention_expected", "bytes_at_retention_high", "leaving", "records_how", "oldest_how", "oldest_precision", "bytes_how",
	}}
	for _, s := range r.Streams {
		row := []string{s.Store, s.Name, "", s.source(), at(s.Oldest), at(s.Newest), bare(s.Records), bare(s.Bytes), bare(s.BytesPerRecord)}
		if s.Retention != nil {
			row[2] = figure(s.Retention.Days)
		}
		for _, window := range []string{"hour", "day", "week", whole} {
			row = append(row, s.bareRate(window))
		}
		perDay, low, expected, high, oldestHow, precision := "", "", "", "", "", ""
		if s.Oldest != nil {
			oldestHow, precision = string(s.Oldest.How), s.Oldest.Precision
		}
		if rate := spread(s.Rates); rate != nil {
			perDay = figure(rate.Expected)
		}
		if s.AtRetention != nil {
			low, expected, high = figure(s.AtRetention.Low), figure(s.AtRetention.Expected), figure(s.AtRetention.High)
		}
		flat.Rows = append(flat.Rows, append(row, perDay, low, expected, high, s.Leaving, howOf(s.Records), oldestHow, precision, howOf(s.Bytes)))
	}
	for _, other := range r.Others {
		if other.Kind == OfIndex {
			continue
		}
		row := make([]string, len(flat.Header))
		row[0], row[1], row[7], row[len(row)-1] = other.Kind, other.Name, figure(other.Bytes), string(other.How)
		flat.Rows = append(flat.Rows, row)
	}
	return flat
}

func howOf(f *Figure) string {
	if f == nil {
		return ""
	}
	return string(f.How)
}

func (s Stream) bareRate(window string) string {
	for _, rate := range s.Rates {
		if rate.Window == window {
			return figure(rate.RecordsPerDay)
		}
	}
	return ""
}

func at(m *Moment) string {
	if m == nil {
		return ""
	}
	return m.At.Format(time.RFC3339)
}

func bare(f *Figure) string {
	if f == nil {
		return ""
	}
	return figure(f.Value)
}

func figure(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }

// Judge compares a report with what is asked of it: days until a limit is full, 0 for any, and whether a limit is full within
// the horizon. It returns why the report does not pass, "" where it does; known is false where no rate tells it.
func (r Report) Judge(minDays float64) (reason string, known bool) {
	if len(r.Limits) == 0 {
		return "", false
	}
	horizon := time.Duration(r.HorizonDays * float64(day))
	for _, limit := range r.Limits {
		switch {
		case limit.Free <= 0:
			return fmt.Sprintf("the %s of %s is full", limit.Name, size(limit.Bytes)), true
		case limit.Full == nil:
			return "", false
		case limit.Full.Expected == nil:
			continue
		case minDays > 0 && inDays(limit.Full.Expected.Sub(r.At)) < minDays:
			return fmt.Sprintf("the %s of %s is full in %s, less than --min-days-left %g", limit.Name, size(limit.Bytes),
				daysText(math.Max(0, inDays(limit.Full.Expected.Sub(r.At)))), minDays), true
		case limit.Name == budget && limit.Over == asAsked && limit.Full.Expected.Sub(r.At) <= horizon:
			return fmt.Sprintf("the stores need more than --max-disk %s from %s on", size(limit.Bytes), limit.Full.Expected.Format(time.DateOnly)), true
		}
	}
	return "", true
}
