package retention

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker-telemetry/docker-telemetry/storage/openobserve"
)

// Options say what to make of what was collected.
type Options struct {
	// WhatIf are other retentions to forecast with.
	WhatIf []Wanted
	// MaxDisk is a budget in bytes for both stores, 0 for none; Budget is one that they are held to already.
	MaxDisk, Budget float64
}

// UnknownStreamError is an option that names a stream which is not there.
type UnknownStreamError struct{ Store, Name string }

func (e *UnknownStreamError) Error() string {
	return fmt.Sprintf("there is no stream %s of %s", strconv.Quote(e.Name), e.Store)
}

// analysis is a report in the making. courses go with Report.Streams, by their place.
type analysis struct {
	Collected
	options Options
	report  *Report
	courses []course
}

// Analyse makes a report. An error is an *UnknownStreamError.
func Analyse(c Collected, options Options) (Report, error) {
	now := c.Request.Now.UTC()
	report := Report{
		SchemaVersion: SchemaVersion, At: now, HorizonDays: inDays(c.Request.Horizon), Complete: !c.Incomplete,
		Notes: slices.Clone(c.Notes), Streams: []Stream{}, Limits: []Limit{}, Growth: []Cause{}, Others: []Other{}, Curve: []Size{},
	}
	a := &analysis{Collected: c, options: options, report: &report}
	if c.Metrics != nil {
		a.add(a.ofMetrics(c.Metrics))
	}
	if c.Logs != nil {
		for _, held := range c.Logs.Streams {
			a.add(a.ofStream(held))
		}
	}
	report.Total = total(a.courses, now, c.Request.Horizon)
	report.Limits = a.limits(a.courses)
	report.Growth = a.growth()
	report.Others = a.others()
	report.Curve = a.curve()
	var err error
	if report.WhatIf, err = a.whatIf(); err != nil {
		return report, err
	}
	report.Findings = a.findings()
	if report.Notes == nil {
		report.Notes = []string{}
	}
	return report, nil
}

func (a *analysis) add(s Stream, c course) {
	c.rate = spread(s.Rates)
	// What is not deleted by its rules now is not taken to be deleted by them later.
	if s.Leaving == LeavingNo {
		c.keep.days = 0
	}
	s.AtRetention = c.atRetention()
	a.report.Streams = append(a.report.Streams, s)
	a.courses = append(a.courses, c)
}

func (a *analysis) note(text string) { a.report.Notes = append(a.report.Notes, text) }

func (a *analysis) now() time.Time { return a.Request.Now.UTC() }

// youngest is the least of a store's age that says something of a day.
const youngest = time.Hour

// settled is an age of which a day, the error where only the day of the oldest is known, is a twentieth.
const settled = 20 * day

func (a *analysis) ofMetrics(m *MetricsHeld) (Stream, course) {
	s := Stream{Store: Metrics, Rates: []Rate{}, Leaving: LeavingUnknown}
	keep := keeping{monthly: true}
	if kept, err := days(m.Flag); m.Flag != "" && err == nil {
		keep.days = kept
		s.Retention = &Setting{Days: kept, Text: m.Flag, Source: "default of -retentionPeriod", KeptDays: keep.longest()}
		if m.FlagSet {
			s.Retention.Source = "flag -retentionPeriod"
		}
	}
	oldest := a.oldestOfMetrics(&s, m)
	if !m.Newest.IsZero() {
		s.Newest = &Moment{At: m.Newest, Precision: "minute", How: Reported, Over: "when it last took a sample, by its own counter"}
	}
	c := course{oldest: oldest, keep: keep}
	if m.Samples == nil || m.DataBytes == nil {
		return s, c
	}
	index := 0.0
	if m.IndexBytes != nil {
		index = *m.IndexBytes
		s.IndexBytes = &Figure{index, Reported, "now"}
	}
	c.bytes = *m.DataBytes + index
	s.Records = &Figure{*m.Samples, Reported, "now"}
	s.Bytes = &Figure{c.bytes, Reported, "now, with the index"}
	if *m.Samples > 0 {
		s.BytesPerRecord = &Figure{c.bytes / *m.Samples, Estimated, "bytes of now by samples of now, with the index"}
	}
	s.Rates = a.ratesOfMetrics(m, oldest, index)
	a.leaving(&s, c)
	return s, c
}

func (a *analysis) oldestOfMetrics(s *Stream, m *MetricsHeld) time.Time {
	switch {
	case !m.First.IsZero() && m.FirstOfAll:
		s.Oldest = &Moment{m.First, "second", Measured, "the samples of its oldest day"}
	case !m.First.IsZero():
		s.Oldest = &Moment{m.First, "second", Measured, "the store's own series on its oldest day"}
	case !m.FirstDay.IsZero():
		s.Oldest = &Moment{m.FirstDay, "day", Measured, "the index, which knows days; the store's own series are not in this one"}
	default:
		return a.now()
	}
	return s.Oldest.At
}

// ratesOfMetrics are the samples of each window, at the bytes that a sample takes on the disk. The index grows with series and
// not with samples, so it is told by its own growth; where a month was dropped meanwhile, by its size and age.
func (a *analysis) ratesOfMetrics(m *MetricsHeld, oldest time.Time, index float64) []Rate {
	rates := []Rate{}
	age := a.now().Sub(oldest)
	if *m.Samples <= 0 || age <= 0 {
		return rates
	}
	perSample := *m.DataBytes / *m.Samples
	indexPerDay := index / max(inDays(age), 1)
	for _, w := range windows() {
		added, known := m.Added[w.name]
		if !known {
			a.note("samples of the last " + w.name + ": the store's own metrics do not go back so far")
			continue
		}
		grown := indexPerDay
		if before, known := m.IndexBefore[w.name]; known && w.long >= day && index >= before {
			grown = (index - before) / inDays(w.long)
		}
		perDay := added / inDays(w.long)
		rates = append(rates, Rate{w.name, a.now().Add(-w.long), perDay, perDay*perSample + grown, Measured})
	}
	switch {
	case age < youngest:
		a.note("samples a day of all metrics: there is less than an hour of them")
		return rates
	case m.First.IsZero() && age < settled:
		a.note("samples a day of all metrics: of the oldest only the day is known, which says too little of so few days")
		return rates
	}
	perDay := *m.Samples / inDays(age)
	return append(rates, Rate{whole, oldest, perDay, perDay*perSample + indexPerDay, Estimated})
}

func (a *analysis) ofStream(held StreamHeld) (Stream, course) {
	s := Stream{Store: held.Kind, Name: held.Name, Rates: []Rate{}, Leaving: LeavingUnknown}
	keep := a.keepingOf(held)
	s.Retention = a.settingOf(held, keep)
	oldest, newest, records := held.Oldest, held.Newest, held.Records
	how, over := Reported, "files in the storage, as of the store's last count"
	if held.All != nil {
		oldest, newest, records = held.All.Oldest, held.All.Newest, held.All.Records
		how, over = Measured, "a search over all records"
	}
	if !oldest.IsZero() {
		s.Oldest, s.Newest = &Moment{oldest, "second", how, over}, &Moment{newest, "second", how, over}
	} else {
		oldest = a.now()
	}
	c := course{bytes: held.Stored + held.Index, oldest: oldest, keep: keep}
	s.Records = &Figure{float64(records), how, over}
	s.Bytes = &Figure{c.bytes, Reported, "files in the storage, as of the store's last count"}
	s.IndexBytes = &Figure{held.Index, Reported, s.Bytes.Over}
	if held.Records > 0 && c.bytes > 0 {
		s.BytesPerRecord = &Figure{c.bytes / float64(held.Records), Estimated, "bytes by records, both as of the store's last count"}
		s.Rates = a.ratesOfStream(held, records, oldest, s.BytesPerRecord.Value)
	} else if records > 0 {
		a.note("bytes of " + held.Kind + " stream " + held.Name + ": the store counts every 10 minutes what is in its storage, and has not yet")
	}
	a.leaving(&s, c)
	return s, c
}

func (a *analysis) keepingOf(held StreamHeld) keeping {
	global := float64(a.Logs.Keeping.Days)
	if global <= 0 { // it switches deletion off, for streams with a setting of their own as well
		return keeping{}
	}
	if held.Days > 0 {
		return keeping{days: float64(held.Days)}
	}
	return keeping{days: global}
}

// ownSetting is the source of a retention that a stream has of its own.
const ownSetting = "setting of the stream"

func (a *analysis) settingOf(held StreamHeld, keep keeping) *Setting {
	setting := &Setting{Days: keep.days, Text: daysText(keep.days), KeptDays: keep.longest()}
	switch global := a.Logs.Keeping.Days; {
	case global <= 0:
		setting.Text, setting.Source = strconv.Itoa(global)+" d", "ZO_COMPACT_DATA_RETENTION_DAYS, which switches deletion off"
	case held.Days > 0:
		setting.Source = ownSetting
	case global == openobserve.DefaultDays:
		setting.Source = "default of ZO_COMPACT_DATA_RETENTION_DAYS"
	default:
		setting.Source = "ZO_COMPACT_DATA_RETENTION_DAYS"
	}
	return setting
}

func (a *analysis) ratesOfStream(held StreamHeld, records int64, oldest time.Time, perRecord float64) []Rate {
	rates := []Rate{}
	age := a.now().Sub(oldest)
	if held.All != nil {
		for _, w := range windows() {
			if age < w.long {
				continue // the columns of a table show it: a line for each stream would say no more
			}
			perDay := float64(held.Came[w.name]) / inDays(w.long)
			rates = append(rates, Rate{w.name, a.now().Add(-w.long), perDay, perDay * perRecord, Measured})
		}
	}
	if age < youngest {
		return rates
	}
	perDay := float64(records) / inDays(age)
	return append(rates, Rate{whole, oldest, perDay, perDay * perRecord, Estimated})
}

// slack is how late a store may be with what its rules let go: VictoriaMetrics looks each minute, OpenObserve each hour and
// deletes two hours later.
const slack = 5 * time.Hour

// leaving says whether old data is going.
func (a *analysis) leaving(s *Stream, c course) {
	switch {
	case s.Oldest == nil || s.Retention == nil:
		return
	case c.keep.days <= 0:
		s.Leaving, s.Leaves = LeavingNever, "it is kept for ever"
		return
	}
	cut := c.keep.cut(a.now().Add(-slack))
	old := a.now().Add(-time.Duration(c.keep.days * float64(day)))
	switch {
	case s.Oldest.At.Before(cut):
		s.Leaving, s.Leaves = LeavingNo, "there is data of "+s.Oldest.At.Format(time.DateOnly)+", and all before "+cut.Format(time.DateOnly)+" should be gone"
	case s.Oldest.At.Before(old.Add(day)):
		s.Leaving, s.Leaves = LeavingYes, "the next goes on "+a.goes(c).Format(time.DateOnly)
	default:
		s.Leaving, s.Leaves = LeavingEarly, "the first goes on "+a.goes(c).Format(time.DateOnly)
	}
}

// goes is the day on which the oldest data is let go: when the whole that it is in is over the retention.
func (a *analysis) goes(c course) time.Time {
	end := c.oldest.Truncate(day).AddDate(0, 0, 1)
	if c.keep.monthly {
		end = time.Date(c.oldest.Year(), c.oldest.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	}
	return later(end.Add(time.Duration(c.keep.days*float64(day))), a.now())
}

// The names of limits.
const (
	volume = "volume"
	budget = "budget"
)

// limits are what the courses may come to fill. Nobody but the stores is taken to write there.
func (a *analysis) limits(courses []course) []Limit {
	list := a.volumes(courses)
	now := a.now()
	if most := a.options.MaxDisk; most > 0 {
		list = append(list, budgetOf(most, courses, now, asAsked))
	}
	if most := a.options.Budget; most > 0 && a.options.MaxDisk <= 0 {
		list = append(list, budgetOf(most, courses, now, "the stores' parts of the stack's budget"))
	}
	return list
}

// asAsked is what a budget of --max-disk is known by.
const asAsked = "as asked"

func budgetOf(most float64, courses []course, now time.Time, over string) Limit {
	return Limit{
		Name: budget, Stores: []string{Metrics, Logs, Traces}, Bytes: most, Free: max(0, most-present(courses)), How: Measured,
		Over: over, Full: full(courses, now, most),
	}
}

func (a *analysis) volumes(courses []course) []Limit {
	if len(a.Disks) > 0 {
		return a.seenVolumes(courses)
	}
	m := a.Metrics
	if m == nil || m.Disk.Free == nil {
		return []Limit{}
	}
	free, over := *m.Disk.Free, "free space of "+m.Disk.Path+", while nothing else writes there"
	if m.Disk.Reserve != nil {
		free = max(0, free-*m.Disk.Reserve)
		over = "free space of " + m.Disk.Path + " without the last " + size(*m.Disk.Reserve) + ", from which on the store takes no more; while nothing else writes there"
	}
	limit := Limit{Name: volume, Stores: []string{Metrics}, Free: free, How: Reported, Over: over}
	if a.Logs != nil {
		limit.Stores = append(limit.Stores, Logs, Traces)
		limit.How = Estimated
		limit.Over += "; OpenObserve does not tell its disk, and is taken to be on the same"
	}
	limit.Bytes = present(courses) + free
	limit.Full = full(courses, a.now(), limit.Bytes)
	return []Limit{limit}
}

// seenVolumes has a limit for each file system that a store writes to. It is full when the first store takes no more.
func (a *analysis) seenVolumes(courses []course) []Limit {
	list := []Limit{}
	for i, disk := range a.Disks {
		if slices.ContainsFunc(a.Disks[:i], func(other StoreDisk) bool { return other.Device == disk.Device }) {
			continue
		}
		limit := Limit{Name: volume, How: Measured}
		guard := 0.0
		var paths []string
		for _, other := range a.Disks {
			if other.Device != disk.Device {
				continue
			}
			guard = max(guard, other.Guard)
			paths = append(paths, other.Path)
			limit.Stores = append(limit.Stores, other.Store)
			if other.Store == Logs {
				limit.Stores = append(limit.Stores, Traces)
			}
		}
		var there []course
		for at, s := range a.report.Streams {
			if slices.Contains(limit.Stores, s.Store) {
				there = append(there, courses[at])
			}
		}
		limit.Free = max(0, disk.Free-guard)
		limit.Over = "free space of " + strings.Join(paths, " and ") + " without the last " + size(guard) + ", from which on a store takes no more; while nothing else writes there"
		limit.Bytes = present(there) + limit.Free
		limit.Full = full(there, a.now(), limit.Bytes)
		list = append(list, limit)
	}
	return list
}

// growth tells what grows most. A metric's part is estimated: to read the samples of each would count as a use of all.
func (a *analysis) growth() []Cause {
	const most = 10
	all := a.report.Total.BytesPerDay
	list := []Cause{}
	if all == nil || all.Expected <= 0 {
		return list
	}
	for i, s := range a.report.Streams {
		rate := a.courses[i].rate
		switch {
		case rate == nil:
		case s.Store != Metrics:
			list = append(list, Cause{s.Store, s.Name, rate.Expected, rate.Expected / all.Expected, rate.How, best(rate)})
		case a.Metrics.Series > 0:
			for _, metric := range a.Metrics.ByMetric {
				bytes := rate.Expected * float64(metric.Value) / float64(a.Metrics.Series)
				list = append(list, Cause{s.Store, metric.Name, bytes, bytes / all.Expected, Estimated, "the share of the series of today, of " + best(rate)})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Cause) int { return cmp.Compare(b.BytesPerDay, a.BytesPerDay) })
	return list[:min(most, len(list))]
}

// best names the window of the expected rate alone.
func best(rate *Range) string {
	window, _, _ := strings.Cut(rate.Over, ", ")
	return window
}

// others is what takes room besides records, as far as the stores, the agent and the engine tell it.
func (a *analysis) others() []Other {
	list := []Other{}
	index := 0.0
	for _, s := range a.report.Streams {
		switch {
		case s.IndexBytes == nil:
		case s.Store == Metrics:
			list = append(list, Other{OfIndex, "index of metrics", s.IndexBytes.Value, Reported, "now; part of the bytes of metrics"})
		default:
			index += s.IndexBytes.Value
		}
	}
	if a.Logs != nil {
		list = append(list, Other{OfIndex, "index of logs and traces", index, Reported, "as of the store's last count; part of the bytes of the streams"})
	}
	if m := a.Metrics; m != nil {
		if m.LogsWAL != nil {
			list = append(list, Other{OfWAL, "OpenObserve's write-ahead log", *m.LogsWAL, Reported, "now"})
		}
		for name, buffer := range m.Buffers {
			over := "now; in memory"
			if buffer.Most > 0 {
				over = "now; it takes " + size(buffer.Most) + " at most"
			}
			list = append(list, Other{OfBuffer, "buffer of the agent's " + name, buffer.Bytes, Reported, over})
		}
	}
	list = append(list, a.ofEngine()...)
	slices.SortStableFunc(list, func(a, b Other) int { return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Name, b.Name)) })
	return list
}

// curve is what was, by the stores' own metrics, and the forecast.
func (a *analysis) curve() []Size {
	points := []Size{}
	if a.Metrics != nil {
		points = a.was()
	}
	if a.report.Total.BytesPerDay == nil {
		return points
	}
	return append(points, curve(a.courses, a.now(), a.Request.Horizon)...)
}

// was has no point where one of the stores has none: a part would look like a fall.
func (a *analysis) was() []Size {
	logs := map[int64]float64{}
	for _, point := range a.Metrics.LogSizes {
		logs[point.At.Unix()] = point.Value
	}
	stored := a.Logs != nil && len(a.Logs.Streams) > 0
	points := []Size{}
	for _, point := range a.Metrics.Sizes {
		bytes, known := logs[point.At.Unix()]
		if stored && !known {
			continue
		}
		bytes += point.Value
		points = append(points, Size{At: point.At, Low: bytes, Expected: bytes, High: bytes})
	}
	if len(points) == 0 && len(a.Metrics.Sizes) > 0 {
		a.note("sizes of before: VictoriaMetrics has no metrics of OpenObserve from then")
	}
	return points
}

// whatIf repeats the forecast with other retentions.
func (a *analysis) whatIf() (*WhatIf, error) {
	if len(a.options.WhatIf) == 0 {
		return nil, nil
	}
	courses := slices.Clone(a.courses)
	found := &WhatIf{Changes: []Change{}}
	// One for a stream counts before one for all of its kind, and that before one for its store.
	general := slices.Clone(a.options.WhatIf)
	slices.SortStableFunc(general, func(a, b Wanted) int { return cmp.Compare(a.rank(), b.rank()) })
	for _, wanted := range general {
		known := wanted.Name == "" // a kind without a stream yet is no mistake
		for i, s := range a.report.Streams {
			if !wanted.is(s) {
				continue
			}
			known = true
			courses[i].keep.days = wanted.Days
		}
		if !known {
			return nil, &UnknownStreamError{wanted.Store, wanted.Name}
		}
	}
	now := a.now()
	for i, s := range a.report.Streams {
		before, after := a.courses[i], courses[i]
		if before.keep == after.keep {
			continue
		}
		gone := max(0, min(inDays(after.keep.cut(now).Sub(before.oldest)), inDays(now.Sub(before.oldest))))
		change := Change{
			Store: s.Store, Name: s.Name, Days: after.keep.days, BytesBefore: before.atRetention(), Bytes: after.atRetention(),
			DeletedBefore: deletedBefore(after, now), HiddenBefore: hiddenBefore(after, now),
		}
		if s.Retention != nil {
			change.DaysBefore = s.Retention.Days
		}
		if age := inDays(now.Sub(before.oldest)); age > 0 {
			change.Freed = before.bytes * gone / age
		}
		found.Changes = append(found.Changes, change)
	}
	found.Total = total(courses, now, a.Request.Horizon)
	found.Limits = a.limits(courses)
	return found, nil
}

// deletedBefore is the time before which a course loses what it has now; nil where nothing is so old.
func deletedBefore(c course, now time.Time) *time.Time {
	cut := c.keep.cut(now)
	if !c.oldest.Before(cut) {
		return nil
	}
	return &cut
}

// hiddenBefore is of metrics: VictoriaMetrics shows nothing over its retention, whatever of it is still on the disk.
func hiddenBefore(c course, now time.Time) *time.Time {
	edge := now.Add(-time.Duration(c.keep.days * float64(day)))
	if !c.keep.monthly || c.keep.days <= 0 || !c.oldest.Before(edge) {
		return nil
	}
	return &edge
}

// rank orders settings from those for the most to those for one.
func (w Wanted) rank() int {
	switch {
	case w.Name != "":
		return 2
	case w.Store == Traces:
		return 1
	default:
		return 0
	}
}

// is reports whether a wanted retention is for a stream. OpenObserve's global one is for those without their own.
func (w Wanted) is(s Stream) bool {
	switch {
	case w.Store == Traces && w.Name == "":
		return s.Store == Traces
	case w.Store == Metrics || w.Name != "":
		return w.Store == s.Store && w.Name == s.Name
	case s.Store == Metrics:
		return false
	default:
		return s.Retention == nil || s.Retention.Source != ownSetting
	}
}
