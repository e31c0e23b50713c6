package logs

import (
	"cmp"
	"slices"

	"github.com/docker-telemetry/docker-telemetry/internal/document"
	"github.com/docker-telemetry/docker-telemetry/report/shape"
)

// Options say what is made of what was collected.
type Options struct {
	Top int // how many fields of each stream are listed
}

// Analyse makes a report of what a store said.
func Analyse(c Collected, options Options) Report {
	a := analysis{Collected: c, options: options, masker: shape.NewMasker()}
	for _, stream := range c.Streams {
		a.records += stream.Records
	}
	report := Report{
		SchemaVersion: SchemaVersion, At: c.Request.Now.UTC(), From: c.Request.From.UTC(), To: c.Request.To.UTC(), Complete: !c.Incomplete,
		Notes: orEmpty(c.Notes), Streams: []Stream{}, Findings: []Finding{},
		Summary: Summary{Streams: len(c.Streams), Records: a.records},
	}
	for _, seen := range c.Streams {
		stream := a.stream(seen)
		report.Summary.Fields += stream.FieldCount
		report.Summary.OriginalBytes += stream.OriginalBytes
		report.Summary.StoredBytes += stream.StoredBytes
		report.Summary.IndexBytes += stream.IndexBytes
		report.Findings = append(report.Findings, ofStream(stream)...)
		stream.Fields = stream.Fields[:min(len(stream.Fields), options.Top)]
		report.Streams = append(report.Streams, stream)
	}
	slices.SortStableFunc(report.Streams, func(a, b Stream) int {
		return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(b.OriginalBytes, a.OriginalBytes), cmp.Compare(a.Name, b.Name))
	})
	report.Findings = append(report.Findings, ofBusiest(report)...)
	rank(report.Findings)
	return report
}

// timeField is the time of a record, in every stream.
const timeField = "_timestamp"

type analysis struct {
	Collected
	options Options
	masker  *shape.Masker
	records int64
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func pointer[T any](value T) *T { return &value }

func share(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

func (a *analysis) stream(seen StreamSeen) Stream {
	s := Stream{
		Store: seen.Kind, Name: seen.Name, Complete: !seen.Partial, Share: share(seen.Records, a.records),
		KeptRecords: seen.Held.Records, OriginalBytes: seen.Original, StoredBytes: seen.Stored, IndexBytes: seen.Index,
		FieldCount: max(seen.Fields, len(seen.Columns)), Columns: len(seen.Columns), Sampled: seen.Sampled,
		ServiceField: seen.By, Services: []Service{}, Fields: []Field{},
	}
	if seen.Looked {
		s.Records = pointer(seen.Records)
		if seen.Held.Records > 0 {
			s.Estimate = pointer(seen.Original / float64(seen.Held.Records) * float64(seen.Records))
		}
	}
	for _, group := range seen.Groups {
		service := Service{Name: group.Value, Records: group.Records, Share: share(group.Records, seen.Records)}
		if seen.Text != "" {
			service.TextBytes = pointer(group.Bytes)
		}
		s.Services = append(s.Services, service)
	}
	names := make([]string, 0, len(seen.Columns))
	for _, column := range seen.Columns {
		names = append(names, column.Name)
	}
	var family func(name string) bool
	s.Families, family = families(names)
	used, all := 0, seen.Looked
	for _, column := range seen.Columns {
		all = all && column.Counted
		if column.Records == 0 {
			continue
		}
		used++
		// The time of a record is no news, and of a family each is like the next.
		if column.Name != timeField && !family(column.Name) {
			s.Fields = append(s.Fields, a.field(column))
		}
	}
	if all {
		s.UsedFields = &used
	}
	slices.SortStableFunc(s.Fields, func(a, b Field) int { return cmp.Or(cmp.Compare(b.Values, a.Values), cmp.Compare(a.Name, b.Name)) })
	return s
}

func (a *analysis) field(seen FieldSeen) Field {
	f := Field{
		Name: seen.Name, Type: seen.Type, Records: seen.Records, Values: seen.Values,
		Shape: shape.Of(seen.Samples), Sampled: len(seen.Samples), Samples: []string{},
	}
	size := 0
	for _, value := range seen.Samples {
		size += len(value)
		if a.masker.Person(value) {
			f.Person++
		}
	}
	if len(seen.Samples) > 0 {
		f.Estimate = pointer(float64(size) / float64(len(seen.Samples)) * float64(f.Records))
	}
	if !f.private() {
		f.Samples = a.shown(seen.Samples)
	}
	return f
}

// private: its values are not shown. A text may hold anything.
func (f Field) private() bool {
	return f.Shape == shape.Text || f.Shape == shape.SQL || slices.Contains(textFields(), f.Name) || shape.SecretName(f.Name)
}

const (
	shownValues = 5
	// longestValue is as many characters as a report has of a value.
	longestValue = 200
)

// shown are some values, without what is about a person.
func (a *analysis) shown(values []string) []string {
	shown := []string{}
	for _, value := range values {
		value = document.Short(a.masker.Mask(value), longestValue)
		if len(shown) < shownValues && !slices.Contains(shown, value) {
			shown = append(shown, value)
		}
	}
	return shown
}
