package cardinality

import (
	"time"

	"github.com/docker-telemetry/docker-telemetry/report/shape"
)

// SchemaVersion of the JSON of a Report: docs/schema/cardinality.json. Fields are only added.
const SchemaVersion = 1

// Report is what was found out, for people and programs. Pointers are nil where the store could not tell.
type Report struct {
	SchemaVersion int       `json:"schemaVersion"`
	At            time.Time `json:"at"`
	From          time.Time `json:"from"` // the series that had a sample between these; VictoriaMetrics counts whole UTC days
	To            time.Time `json:"to"`
	Match         []string  `json:"match"`
	Exactly       bool      `json:"-"`        // the store knows the time; VictoriaMetrics the UTC day
	Complete      bool      `json:"complete"` // false: a part of the store did not answer
	Notes         []string  `json:"notes"`    // what could not be told, and why

	Summary    Summary     `json:"summary"`
	Metrics    []Metric    `json:"metrics"` // the top ones, most series first
	LabelNames []LabelName `json:"labelNames"`
	// NamesCounted: LabelNames are counted from the series, because the store does not; their values only it can tell.
	NamesCounted bool         `json:"-"`
	LabelPairs   []NamedCount `json:"labelPairs"` // as label=value
	Sources      []Source     `json:"sources"`
	Findings     []Finding    `json:"findings"` // most series saved first
}

// Summary is the store in a few figures.
type Summary struct {
	Series  int `json:"series"` // exact
	Metrics int `json:"metrics"`
	// TopTenShare is that of the ten metrics with the most series, 0 to 1.
	TopTenShare      float64  `json:"topTenShare"`
	ActiveSeries     *float64 `json:"activeSeries"`    // with a sample in this or the last hour, as the store counts
	SeriesYesterday  *int     `json:"seriesYesterday"` // the last complete UTC day before the window
	SeriesDayBefore  *int     `json:"seriesDayBefore"`
	LabelPairs       *int     `json:"labelPairs"`
	NewPerHour       *float64 `json:"newSeriesPerHour"`
	NewPerDay        *float64 `json:"newSeriesPerDay"`
	Churn            *float64 `json:"churn"` // new series of a day for each active one
	SamplesPerSecond *float64 `json:"samplesPerSecond"`
	IndexBytes       *float64 `json:"indexBytes"`
	Limits           []Limit  `json:"limits"`
	// UsageSince is when the store began to note what is queried.
	UsageSince *time.Time `json:"usageSince"`
}

// Limit is how many series the store takes in a time, and how many came.
type Limit struct {
	Per    string  `json:"per"` // hour or day
	Series float64 `json:"series"`
	Most   float64 `json:"most"`
}

// Metric is one of the top metrics.
type Metric struct {
	Name   string   `json:"name"`
	Type   string   `json:"type"`     // counter, gauge, histogram, summary; by its name where nobody said
	Series int      `json:"series"`   // exact
	Share  float64  `json:"share"`    // of all series, 0 to 1
	Before *int     `json:"before"`   // series at the time that it is compared with
	Now    *int     `json:"compared"` // series of the later time of the comparison
	Jobs   []string `json:"jobs"`
	// SamplesPerSecond is an estimate: the store's rate, by the share of the series.
	SamplesPerSecond *float64   `json:"samplesPerSecondEstimate"`
	Reads            *uint64    `json:"reads"` // series that queries fetched since Summary.UsageSince
	LastRead         *time.Time `json:"lastRead"`
	UsedBy           []string   `json:"usedBy"` // dashboards and rules
	Labels           []Label    `json:"labels"`
	Pairs            []Pair     `json:"pairs"`
	Verdict          string     `json:"verdict"`
	// Error is by what part the values and what is left and saved may be off: 0 where they are exact, 0.01 for a metric with
	// more series than are counted so.
	Error float64 `json:"error"`
	// OtherLabels: there are more names of labels than are looked at.
	OtherLabels bool `json:"otherLabels"`
}

// Label is a label of a metric and what dropping it would do.
type Label struct {
	Name   string `json:"name"`
	Series int    `json:"series"` // that have it
	Values int    `json:"values"` // distinct
	Left   int    `json:"left"`   // series without it
	Saved  int    `json:"saved"`
	// Templates are its values with {id} for each id in them, TemplateLeft the series left with those. 0: none has an id.
	Templates    int         `json:"templates"`
	TemplateLeft int         `json:"templateLeft"`
	Halved       int         `json:"-"` // series left with half of the buckets, 0 where it names none
	Shape        shape.Shape `json:"shape"`
	Repeats      []string    `json:"repeats"` // labels that it goes one to one with
	Constant     bool        `json:"constant"`
	Read         bool        `json:"read"` // a dashboard, a rule or a query names it
	Samples      []string    `json:"samples"`
}

// Pair are two labels that save more together than one by one.
type Pair struct {
	First  string `json:"first"`
	Second string `json:"second"`
	Left   int    `json:"left"`
	Saved  int    `json:"saved"`
}

// LabelName is a label over all metrics, as the store counts.
type LabelName struct {
	Name   string `json:"name"`
	Series int    `json:"series"`
	Values *int   `json:"values"`
}

// NamedCount is so many series of something.
type NamedCount struct {
	Name   string `json:"name"`
	Series int    `json:"series"`
}

// Source is who sends series, by one of SourceLabels.
type Source struct {
	Label  string  `json:"label"`
	Value  string  `json:"value"`
	Series int     `json:"series"`
	Share  float64 `json:"share"`
}

// Finding is something to do, or to know.
type Finding struct {
	Code   string   `json:"code"` // stable: docs/findings/CODE.md
	Title  string   `json:"title"`
	Metric string   `json:"metric"`
	Labels []string `json:"labels"`
	Saved  int      `json:"saved"` // series
	// Bound: Saved is the most it can be, not exact: there were too many buckets to look at each.
	Bound bool `json:"bound"`
	// Approximate: Saved comes from a metric with an Error.
	Approximate bool `json:"approximate"`
	// Lost are the dashboards, rules and queries that read what would go.
	Lost []string `json:"lost"`
	// Rule brings it about; nil where there is nothing to drop.
	Rule *Rule `json:"rule"`
}
