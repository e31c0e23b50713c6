// Package retention tells how long the stores keep what they are given, what that takes on the disk, and when the disk is full:
// Collect asks the stores and changes nothing, Analyse makes a Report of the answers and asks nobody.
package retention

import "time"

// SchemaVersion of the JSON of a Report: docs/schema/retention.json. Fields are only added.
const SchemaVersion = 1

// How a figure was obtained.
type How string

const (
	// Measured by this report: counted, or the difference of two counts.
	Measured How = "measured"
	// Reported by the store of itself, or by the engine.
	Reported How = "reported"
	// Estimated from other figures; Figure.Over says from which.
	Estimated How = "estimated"
	// Bound is the most that it can be, where nobody tells what it is.
	Bound How = "bound"
)

// Figure is a number with where it is from.
type Figure struct {
	Value float64 `json:"value"`
	How   How     `json:"how"`
	Over  string  `json:"over"` // the time it covers, or what it was made of
}

// Moment is a time with how exactly it is known.
type Moment struct {
	At        time.Time `json:"at"`
	Precision string    `json:"precision"` // second, minute or day: a day is given by its begin
	How       How       `json:"how"`
	Over      string    `json:"over"`
}

// Report is what was found out, for people and programs. Pointers are nil where a store could not tell; Notes say why.
type Report struct {
	SchemaVersion int       `json:"schemaVersion"`
	At            time.Time `json:"at"`
	HorizonDays   float64   `json:"horizonDays"`
	Complete      bool      `json:"complete"` // false: a store did not answer
	Notes         []string  `json:"notes"`    // what could not be told, and why

	Streams  []Stream  `json:"streams"` // the metrics first, then by bytes
	Total    Total     `json:"total"`
	Limits   []Limit   `json:"limits"`
	Growth   []Cause   `json:"growth"` // the largest first
	Others   []Other   `json:"others"`
	WhatIf   *WhatIf   `json:"whatIf"` // nil where nothing was asked
	Curve    []Size    `json:"curve"`  // what was, then what is to come
	Findings []Finding `json:"findings"`
}

// The stores by what they hold.
const (
	Metrics = "metrics"
	Logs    = "logs"
	Traces  = "traces"
)

// Stream is what is kept under one retention: all metrics, or a stream of OpenObserve.
type Stream struct {
	Store string `json:"store"` // metrics, logs or traces
	Name  string `json:"name"`  // of the stream, "" for all metrics

	Retention *Setting `json:"retention"`
	// Oldest is that on the disk, which may be older than what the store still shows.
	Oldest *Moment `json:"oldest"`
	Newest *Moment `json:"newest"`

	Records        *Figure `json:"records"` // samples, lines or spans
	Bytes          *Figure `json:"bytes"`   // on the disk, with the index
	IndexBytes     *Figure `json:"indexBytes"`
	BytesPerRecord *Figure `json:"bytesPerRecord"` // with the index

	Rates   []Rate `json:"rates"`   // the shortest window first
	Leaving string `json:"leaving"` // one of the Leaving constants
	// Leaves says when the next data goes, or why none does.
	Leaves string `json:"leaves"`
	// AtRetention are the most bytes that it comes to, once the oldest goes as fast as new comes; nil where it is kept for ever or
	// no rate is known.
	AtRetention *Range `json:"bytesAtRetention"`
}

// Whether old data is really going.
const (
	LeavingYes     = "yes"     // the oldest is as young as the retention asks
	LeavingEarly   = "not yet" // there is none that is old enough
	LeavingNo      = "no"      // there is, and it is still there
	LeavingNever   = "never"   // it is kept for ever
	LeavingUnknown = "unknown"
)

// Setting is how long a store keeps data.
type Setting struct {
	Days   float64 `json:"days"` // 0: for ever
	Text   string  `json:"text"` // as the store has it
	Source string  `json:"source"`
	// KeptDays is how long data may stay by the store's rules, for it deletes in wholes: of months, of days.
	KeptDays float64 `json:"keptDays"`
}

// Rate is what came in over a window.
type Rate struct {
	Window        string    `json:"window"` // hour, day, week or all
	From          time.Time `json:"from"`
	RecordsPerDay float64   `json:"recordsPerDay"`
	BytesPerDay   float64   `json:"bytesPerDay"`
	How           How       `json:"how"`
}

// Range is what follows from the lowest, the best and the highest of the rates.
type Range struct {
	Low      float64 `json:"low"`
	Expected float64 `json:"expected"`
	High     float64 `json:"high"`
	How      How     `json:"how"`
	Over     string  `json:"over"` // the window that Expected is of, and those of Low and High
}

// Total is all streams together.
type Total struct {
	Bytes       float64 `json:"bytes"`
	BytesPerDay *Range  `json:"bytesPerDay"`
	// AtHorizon are the bytes at the end of the horizon; AtRetention once all streams are as large as they get.
	AtHorizon   *Range `json:"bytesAtHorizon"`
	AtRetention *Range `json:"bytesAtRetention"`
}

// Limit is something that the data may come to fill.
type Limit struct {
	Name   string   `json:"name"`   // volume or budget
	Stores []string `json:"stores"` // that write there
	// Bytes is what the stores may hold in all, Free what of it is left.
	Bytes float64 `json:"bytes"`
	Free  float64 `json:"free"`
	How   How     `json:"how"`
	Over  string  `json:"over"`
	// Full is the day on which it is full; nil where no rate is known.
	Full *Full `json:"full"`
}

// Full is when a limit is reached, with the range of the rates. A nil time is never: the data stops growing before.
type Full struct {
	Earliest *time.Time `json:"earliest"`
	Expected *time.Time `json:"expected"`
	Latest   *time.Time `json:"latest"`
}

// Cause is what makes the data grow.
type Cause struct {
	Store       string  `json:"store"`
	Name        string  `json:"name"` // a metric or a stream
	BytesPerDay float64 `json:"bytesPerDay"`
	Share       float64 `json:"share"` // of the growth of all, 0 to 1
	How         How     `json:"how"`
	Over        string  `json:"over"`
}

// Other is what takes room besides records.
type Other struct {
	Kind  string  `json:"kind"` // one of the Of constants
	Name  string  `json:"name"`
	Bytes float64 `json:"bytes"`
	How   How     `json:"how"`
	Over  string  `json:"over"`
}

// WhatIf is the forecast for other settings.
type WhatIf struct {
	Changes []Change `json:"changes"`
	Total   Total    `json:"total"`
	Limits  []Limit  `json:"limits"`
}

// Change is another setting for a stream.
type Change struct {
	Store       string  `json:"store"`
	Name        string  `json:"name"`
	DaysBefore  float64 `json:"daysBefore"` // 0: for ever
	Days        float64 `json:"days"`
	BytesBefore *Range  `json:"bytesAtRetentionBefore"`
	Bytes       *Range  `json:"bytesAtRetention"`
	// Freed are the bytes that it would delete of what is there now.
	Freed float64 `json:"bytesFreed"`
	// DeletedBefore: what is older would be deleted as soon as the store looks; nil where nothing is so old.
	DeletedBefore *time.Time `json:"deletedBefore"`
	// HiddenBefore: older samples would be on the disk and in no answer any more; nil where none is so old, and of logs and traces.
	HiddenBefore *time.Time `json:"hiddenBefore"`
}

// Size is the size of all streams at a time. Low and High are equal to Expected for what was.
type Size struct {
	At       time.Time `json:"at"`
	Low      float64   `json:"low"`
	Expected float64   `json:"expected"`
	High     float64   `json:"high"`
	Forecast bool      `json:"forecast"`
}

// Finding is something to do, or to know.
type Finding struct {
	Code  string  `json:"code"` // stable: docs/findings/CODE.md
	Title string  `json:"title"`
	Store string  `json:"store"` // "" for all
	Name  string  `json:"name"`
	Bytes float64 `json:"bytes"` // that it is about, 0 where it is about none
	Fix   string  `json:"fix"`
}
