// Package logs tells what the streams of logs and traces are made of: which fields have values without end, whose schema explodes,
// who writes the most. Collect asks OpenObserve and changes nothing, Analyse makes a Report of the answers and asks nobody.
package logs

import (
	"time"

	"github.com/docker-telemetry/docker-telemetry/report/shape"
)

// SchemaVersion of the JSON of a Report: docs/schema/logs.json. Fields are only added.
const SchemaVersion = 1

// Report is what was found out, for people and programs. Pointers are nil where the store could not tell; Notes say why.
type Report struct {
	SchemaVersion int       `json:"schemaVersion"`
	At            time.Time `json:"at"`
	From          time.Time `json:"from"` // the records of which were looked at
	To            time.Time `json:"to"`
	Complete      bool      `json:"complete"` // false: a part of the store did not answer
	Notes         []string  `json:"notes"`    // what could not be told, and why

	Summary  Summary   `json:"summary"`
	Streams  []Stream  `json:"streams"` // most records first
	Findings []Finding `json:"findings"`
}

// Summary is the store in a few figures. Bytes are reported by the store, of all that it keeps.
type Summary struct {
	Streams       int     `json:"streams"`
	Records       int64   `json:"records"` // of the time, counted
	Fields        int     `json:"fields"`  // of all streams
	OriginalBytes float64 `json:"originalBytes"`
	StoredBytes   float64 `json:"storedBytes"`
	IndexBytes    float64 `json:"indexBytes"`
}

// The stores by what they hold.
const (
	Logs   = "logs"
	Traces = "traces"
)

// Stream is a stream of OpenObserve.
type Stream struct {
	Store    string `json:"store"` // logs or traces
	Name     string `json:"name"`
	Complete bool   `json:"complete"` // false: not all of it was counted

	Records *int64  `json:"records"` // of the time, counted
	Share   float64 `json:"share"`   // of the records of all streams, 0 to 1
	// KeptRecords and bytes are reported by the store, of all that it keeps: 0 for a stream of which it has moved nothing to its
	// storage yet.
	KeptRecords   int64   `json:"keptRecords"`
	OriginalBytes float64 `json:"originalBytes"` // of the records as JSON
	StoredBytes   float64 `json:"storedBytes"`   // compressed, on the disk
	IndexBytes    float64 `json:"indexBytes"`
	// Estimate is the size of the time's records as JSON, by what a record of all has.
	Estimate *float64 `json:"originalBytesEstimate"`

	FieldCount int  `json:"fieldCount"` // of its schema
	UsedFields *int `json:"usedFields"` // that a record of the time has
	Columns    int  `json:"columns"`    // that a query can name
	Sampled    int  `json:"sampled"`    // records that were looked at for shapes and samples

	ServiceField string    `json:"serviceField"` // that says who writes, "" where none does
	Services     []Service `json:"services"`     // most records first
	Fields       []Field   `json:"fields"`       // most values first, without _timestamp and those of families
	Families     []Family  `json:"families"`     // most fields first
}

// Service is who writes into a stream.
type Service struct {
	Name    string  `json:"name"` // "" for records that do not say
	Records int64   `json:"records"`
	Share   float64 `json:"share"` // of the stream's records, 0 to 1
	// TextBytes are those of the stream's field of text, nil where it has none.
	TextBytes *int64 `json:"textBytes"`
}

// Field is a field of a stream and what its values are like.
type Field struct {
	Name    string      `json:"name"`
	Type    string      `json:"type"`
	Records int64       `json:"records"`        // that have it, counted
	Values  int64       `json:"valuesEstimate"` // by a sketch, within about 1 %
	Shape   shape.Shape `json:"shape"`          // of the sampled values
	// Estimate is the size of its values in the records of the time, by the mean of the sampled ones.
	Estimate *float64 `json:"bytesEstimate"`
	// Person are the sampled values that hold an e-mail address or one of the internet, of Sampled.
	Person  int      `json:"personal"`
	Sampled int      `json:"sampled"`
	Samples []string `json:"samples"` // masked; none of texts and of what its name says to be secret
}

// Family are fields whose names differ in ids only.
type Family struct {
	Name   string `json:"name"` // with * for the ids
	Fields int    `json:"fields"`
}

// Finding is something to do, or to know.
type Finding struct {
	Code   string `json:"code"` // stable: docs/findings/CODE.md
	Title  string `json:"title"`
	Store  string `json:"store"`
	Stream string `json:"stream"`
	Field  string `json:"field"` // "" for none
	// Values are those of the field, estimated; 0 where it is about none.
	Values  int64    `json:"valuesEstimate"`
	Records int64    `json:"records"`       // that it is about
	Bytes   *float64 `json:"bytesEstimate"` // that it is about, nil where that is not known
	Fix     string   `json:"fix"`
}
