package retention

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker-telemetry/docker-telemetry/internal/document"
	"github.com/docker-telemetry/docker-telemetry/storage/openobserve"
)

// The codes of findings. They are stable: each has a page in docs/findings, and scripts look for them.
const (
	LongerThanDisk = "DTR001"
	WithoutEffect  = "DTR002"
	DefaultForever = "DTR003"
	NoSetting      = "DTR004"
	KeptLonger     = "DTR005"
	RefusedAsOld   = "DTR006"
	ClockSkew      = "DTR007"
	NoData         = "DTR008"
	SnapshotLeft   = "DTR009"
	BufferNearFull = "DTR010"
	ReadOnly       = "DTR011"
	EndlessLog     = "DTR012"
	LeftOver       = "DTR013"
)

// Codes returns every code, sorted.
func Codes() []string {
	return []string{
		LongerThanDisk, WithoutEffect, DefaultForever, NoSetting, KeptLonger, RefusedAsOld, ClockSkew, NoData, SnapshotLeft, BufferNearFull,
		ReadOnly, EndlessLog, LeftOver,
	}
}

const (
	// A clock that is off by more makes samples late or early for a scrape interval and more.
	offBy = 30 * time.Second
	// Metrics are scraped each 15 s, and Prometheus and its kin take a series for gone after 5 minutes.
	silentMetrics = 5 * time.Minute
	// A stream is silent when so many of its mean gaps passed without a record, and a quarter of an hour at least.
	silentGaps, silentStream = 30, 15 * time.Minute
	// Of a buffer, from where on it is about to be full.
	nearFull = 0.8
	// What is kept longer than asked is worth a word from here on: a part of the store, and bytes.
	worthPart, worthBytes = 0.2, 1 << 20
	// A year and more is for ever on a laptop.
	manyDays = 365
)

func (a *analysis) findings() []Finding {
	found := []Finding{}
	for i, s := range a.report.Streams {
		found = append(found, a.ofKeeping(s, a.courses[i])...)
		found = append(found, a.ofTimes(s)...)
	}
	found = append(found, a.ofDisk()...)
	found = append(found, a.ofDefault()...)
	found = append(found, a.ofGuards()...)
	found = append(found, a.ofLeft()...)
	if a.Metrics != nil {
		found = append(found, a.ofOwnMetrics(a.Metrics)...)
	}
	slices.SortStableFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Store, b.Store), cmp.Compare(a.Name, b.Name))
	})
	return found
}

// ofKeeping compares what is there with what the retention asks for.
func (a *analysis) ofKeeping(s Stream, c course) []Finding {
	if s.Retention == nil || s.Oldest == nil {
		return nil
	}
	over := a.now().Add(-time.Duration(s.Retention.Days * float64(day)))
	age := a.now().Sub(c.oldest)
	beyond := 0.0
	if s.Retention.Days > 0 && age > 0 {
		beyond = c.bytes * max(0, float64(over.Sub(c.oldest))/float64(age))
	}
	switch {
	case s.Leaving == LeavingNo:
		return []Finding{{
			Code: WithoutEffect, Store: s.Store, Name: s.Name, Bytes: beyond,
			Title: fmt.Sprintf("the retention of %s does nothing: %s", s.Retention.Text, s.Leaves),
			Fix:   "see the log of the store for retention and deletion",
		}}
	case s.Leaving == LeavingYes && beyond >= worthBytes && beyond >= worthPart*c.bytes:
		return []Finding{{
			Code: KeptLonger, Store: s.Store, Name: s.Name, Bytes: beyond,
			Title: fmt.Sprintf("about %s are older than the retention of %s, from %s on: the store deletes only wholes, so plan for %s",
				size(beyond), s.Retention.Text, s.Oldest.At.Format(time.DateOnly), daysText(s.Retention.KeptDays)),
			Fix: "nothing is broken; a shorter retention would keep less",
		}}
	}
	return nil
}

// ofTimes looks at the newest record: from the future, or long ago.
func (a *analysis) ofTimes(s Stream) []Finding {
	if s.Newest == nil {
		return nil
	}
	ahead := s.Newest.At.Sub(a.now())
	if ahead > offBy {
		return []Finding{{
			Code: ClockSkew, Store: s.Store, Name: s.Name,
			Title: "its newest record is " + long(ahead) + " in the future", Fix: "set the clock of who sends it",
		}}
	}
	limit, usual := silentMetrics, ""
	if s.Store != Metrics {
		// A day may be silent as a whole.
		at := slices.IndexFunc(s.Rates, func(r Rate) bool { return r.Window == "week" || r.Window == whole })
		if at < 0 || s.Rates[at].RecordsPerDay <= 0 {
			return nil
		}
		gap := time.Duration(float64(day) / s.Rates[at].RecordsPerDay)
		limit, usual = max(silentStream, silentGaps*gap), fmt.Sprintf(", and %s a day are usual", document.Number(int(s.Rates[at].RecordsPerDay)))
	}
	if -ahead <= limit {
		return nil
	}
	return []Finding{{
		Code: NoData, Store: s.Store, Name: s.Name, Title: "nothing came for " + long(-ahead) + usual,
		Fix: "see which hop it does not pass: docker telemetry status",
	}}
}

// ofDisk compares what is to come with the volume and the budget.
func (a *analysis) ofDisk() []Finding {
	var found []Finding
	for _, limit := range a.report.Limits {
		if limit.Full == nil || limit.Full.Expected == nil {
			continue
		}
		title := fmt.Sprintf("the %s of %s is full on %s, before the oldest data goes", limit.Name, size(limit.Bytes), limit.Full.Expected.Format(time.DateOnly))
		if most := a.report.Total.AtRetention; most != nil {
			title = fmt.Sprintf("at full retention the stores need %s, the %s has %s: it is full on %s",
				size(most.Expected), limit.Name, size(limit.Bytes), limit.Full.Expected.Format(time.DateOnly))
		}
		found = append(found, Finding{
			Code: LongerThanDisk, Bytes: limit.Bytes, Title: title,
			Fix: "try shorter ones: docker telemetry report retention --what-if metrics=7d,logs=7d; then docker telemetry retention set",
		})
	}
	return found
}

// ofDefault is of OpenObserve's global setting that nobody chose, and of the streams that have no other.
func (a *analysis) ofDefault() []Finding {
	if a.Logs == nil {
		return nil
	}
	global := a.Logs.Keeping.Days
	if global > 0 && global < manyDays {
		return nil
	}
	title := "OpenObserve keeps everything for " + daysText(float64(global))
	switch {
	case global <= 0:
		title = "OpenObserve deletes nothing: its global setting is " + strconv.Itoa(global) + ", which switches off the settings of streams as well"
	case global == openobserve.DefaultDays:
		title = "OpenObserve keeps everything for its default of 3650 days: nobody set a retention"
	}
	found := []Finding{{Code: DefaultForever, Store: Logs, Title: title, Fix: "docker telemetry retention set logs=14d"}}
	for _, s := range a.report.Streams {
		if s.Store != Metrics && s.Retention.Source != ownSetting && s.Records != nil && s.Records.Value > 0 {
			found = append(found, Finding{
				Code: NoSetting, Store: s.Store, Name: s.Name, Bytes: s.Bytes.Value,
				Title: "the stream has no setting of its own, and the global one lets it grow without end", Fix: "docker telemetry retention set " + s.Store + "/" + s.Name + "=14d",
			})
		}
	}
	return found
}

// ofOwnMetrics is what the stores and the agent count of themselves.
func (a *analysis) ofOwnMetrics(m *MetricsHeld) []Finding {
	found := a.thrownAway(m)
	if off := m.Clock.Sub(a.now()); !m.Clock.IsZero() && off.Abs() > offBy {
		found = append(found, Finding{
			Code: ClockSkew, Store: Metrics,
			Title: "the clock of the store and that of this machine are " + long(off.Abs()) + " apart", Fix: "set both by NTP",
		})
	}
	if m.Snapshots != nil && *m.Snapshots > 0 {
		found = append(found, Finding{
			Code: SnapshotLeft, Store: Metrics,
			Title: document.Counted(*m.Snapshots, "snapshot") + " of VictoriaMetrics: what it holds stays on the disk, whatever the retention",
			Fix:   "delete it by /snapshot/delete, or set -snapshotsMaxAge",
		})
	}
	// A store that takes nothing more does not take its own metrics either, so a look at its disk knows better.
	if m.ReadOnly && len(a.Disks) == 0 {
		found = append(found, Finding{
			Code: ReadOnly, Store: Metrics, Title: "VictoriaMetrics takes nothing more: the disk is full", Fix: "make room on the disk, then shorten the retention",
		})
	}
	for _, name := range slices.Sorted(maps.Keys(m.Buffers)) {
		if buffer := m.Buffers[name]; buffer.Most > 0 && buffer.Bytes > nearFull*buffer.Most {
			found = append(found, Finding{
				Code: BufferNearFull, Name: name, Bytes: buffer.Bytes,
				Title: fmt.Sprintf("the agent's buffer %s holds %s of %s", name, size(buffer.Bytes), size(buffer.Most)),
				Fix:   "see why the stores do not take it: docker telemetry status",
			})
		}
	}
	// A store without a sample since it started has no newest one to be measured by.
	if m.Newest.IsZero() && !m.Since.IsZero() && a.now().Sub(m.Since) > silentMetrics {
		found = append(found, Finding{
			Code: NoData, Store: Metrics, Title: "no sample came from outside since the store started, or for a day",
			Fix: "see which hop it does not pass: docker telemetry status",
		})
	}
	return found
}

// ofGuards names the stores that take no more because their disk is as full as it may be.
func (a *analysis) ofGuards() []Finding {
	var found []Finding
	for _, disk := range a.Disks {
		if disk.Guard <= 0 || disk.Total <= 0 || disk.Free >= disk.Guard {
			continue
		}
		left := fmt.Sprintf("of the %s of its disk %s are free, and it stops below %s", size(disk.Total), size(disk.Free), size(disk.Guard))
		finding := Finding{
			Code: ReadOnly, Store: disk.Store, Bytes: disk.Free,
			Title: "VictoriaMetrics takes nothing more, and says so to who sends: " + left + " (-storage.minFreeDiskSpaceBytes)",
			Fix:   "make room on the disk, or docker telemetry retention budget SIZE for a larger one; a shorter retention frees whole months",
		}
		if disk.Store == Logs {
			finding.Title = "OpenObserve takes nothing more, and what is sent waits in the agent's buffer: " + left + " (ZO_DISK_CIRCUIT_BREAKER_THRESHOLD)"
			finding.Fix = "make room on the disk, or docker telemetry retention set logs=3d, or docker telemetry retention budget SIZE for a larger one"
		}
		found = append(found, finding)
	}
	return found
}

// thrownAway are records that were taken with a success and not kept.
func (a *analysis) thrownAway(m *MetricsHeld) []Finding {
	since := "in a day"
	if a.now().Sub(m.Since) < day {
		since = "since " + m.Since.Format("15:04") + " UTC"
	}
	count := func(value float64) string { return document.Number(int(value)) }
	var found []Finding
	if lost := m.Ignored["small_timestamp"]; lost > 0 {
		found = append(found, Finding{
			Code: RefusedAsOld, Store: Metrics, Title: count(lost) + " samples older than the retention were thrown away " + since + ", with a success",
			Fix: "look for who sends old samples; a longer retention would keep them",
		})
	}
	if lost := m.Ignored["big_timestamp"]; lost > 0 {
		found = append(found, Finding{
			Code: ClockSkew, Store: Metrics, Title: count(lost) + " samples from the future were thrown away " + since,
			Fix: "set the clock of who sends them",
		})
	}
	for _, stream := range slices.Sorted(maps.Keys(m.Refused)) {
		found = append(found, Finding{
			Code: RefusedAsOld, Store: Logs, Name: stream,
			Title: count(m.Refused[stream]) + " records too old or too new were thrown away " + since + ", with a success",
			Fix:   "ZO_INGEST_ALLOWED_UPTO must be longer than an outage that the agent's buffer holds",
		})
	}
	return found
}

// long says a time as people do.
func long(span time.Duration) string {
	switch {
	case span < 2*time.Minute:
		return fmt.Sprintf("%d s", int(span.Seconds()))
	case span < 2*time.Hour:
		return fmt.Sprintf("%d min", int(span.Minutes()))
	case span < 2*day:
		return fmt.Sprintf("%d h", int(span.Hours()))
	default:
		return fmt.Sprintf("%d days", int(span.Hours()/24))
	}
}

func daysText(days float64) string {
	if days <= 0 {
		return "for ever"
	}
	text := strings.TrimSuffix(fmt.Sprintf("%.1f", days), ".0")
	return text + " d"
}

func size(bytes float64) string { return document.Size(bytes) }
