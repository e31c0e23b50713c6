package logs

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/docker-telemetry/docker-telemetry/internal/document"
	"github.com/docker-telemetry/docker-telemetry/report/shape"
)

// The codes of findings. They are stable: each has a page in docs/findings, and scripts look for them.
const (
	UnboundedField = "DTL001"
	NearFieldLimit = "DTL002"
	IDsInNames     = "DTL003"
	NoisyService   = "DTL004"
	PersonalData   = "DTL005"
)

// Codes returns every code, sorted.
func Codes() []string {
	return []string{UnboundedField, NearFieldLimit, IDsInNames, NoisyService, PersonalData}
}

// ranks are the codes by what they lead to, the worst first: what is lost, what should not be kept, what it costs.
func ranks() []string {
	return []string{NearFieldLimit, PersonalData, UnboundedField, IDsInNames, NoisyService}
}

const (
	// From so many values on it is worth a look whether they have an end.
	worthValues = 100
	// FieldLimit is ZO_SCHEMA_MAX_FIELDS_TO_ENABLE_UDS where nobody set it, and nearLimit the part of it from where on it is near.
	FieldLimit, nearLimit = 1000, 0.8
	// A service is noisy with such a part of all records, of so many.
	noisyShare, noisyRecords = 0.5, 10_000
	// One of 200 records may hold what only looks like an address: the version of a program has four numbers too.
	leastPersonal = 3
)

// rank sorts findings: by their code, then those with the most values or records; the families of a stream are sorted.
func rank(findings []Finding) {
	order := ranks()
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(slices.Index(order, a.Code), slices.Index(order, b.Code)),
			cmp.Compare(b.Values, a.Values), cmp.Compare(b.Records, a.Records), cmp.Compare(a.Stream, b.Stream),
		)
	})
}

func ofStream(s Stream) []Finding {
	var found []Finding
	for _, field := range s.Fields {
		switch {
		case field.Person >= leastPersonal:
			found = append(found, personal(s, field))
		case field.endless():
			found = append(found, unbounded(s, field))
		}
	}
	for _, family := range s.Families {
		found = append(found, Finding{
			Code: IDsInNames, Store: s.Store, Stream: s.Name, Field: family.Name,
			Title: fmt.Sprintf("%s fields are called %s: the names hold ids, so each new one widens the schema", number(family.Fields), family.Name),
			Fix:   "write the id as a value, and not as a key",
		})
	}
	if float64(s.FieldCount) >= nearLimit*FieldLimit {
		found = append(found, Finding{
			Code: NearFieldLimit, Store: s.Store, Stream: s.Name,
			Title: fmt.Sprintf("%s fields%s: from %s on, by default, OpenObserve has columns for some of them only", number(s.FieldCount), s.used(), number(FieldLimit)),
			Fix:   "log fewer fields, or have a stream for each kind of record",
		})
	}
	return found
}

func (s Stream) used() string {
	if s.UsedFields == nil {
		return ""
	}
	return ", " + number(*s.UsedFields) + " in the records of the time"
}

// endless: its values look like ids, or nearly each record has its own. Texts are what logs are for, and a number with a fraction
// was measured.
func (f Field) endless() bool {
	switch {
	case f.Values < worthValues || f.structural() || f.Shape == shape.Text || f.Shape == shape.SQL || f.Type == "Float64":
		return false
	case f.Shape.Unbounded():
		return true
	default:
		return 2*f.Values > f.Records
	}
}

// structural is what a record is for: its time, its text, and what brings logs and traces together.
func (f Field) structural() bool {
	return slices.Contains(textFields(), f.Name) || slices.Contains([]string{
		timeField, "timestamp", "observed_timestamp", "trace_id", "traceid", "span_id", "spanid", "reference_parent_trace_id", "reference_parent_span_id",
		"start_time", "end_time", "duration", "events", "links", "_original", "_all", "_o2_id",
	}, f.Name)
}

func unbounded(s Stream, f Field) Finding {
	each := ""
	if f.Values > 0 && f.Records/f.Values < 2 {
		each = ", nearly one for each record"
	}
	fix := "keep it where somebody searches by it, and never as a label of a metric; else leave it out"
	if f.Shape == shape.Timestamp {
		fix = "leave it out: a record has its time"
	}
	return Finding{
		Code: UnboundedField, Store: s.Store, Stream: s.Name, Field: f.Name, Values: f.Values, Records: f.Records, Bytes: f.Estimate,
		Title: fmt.Sprintf("%s has no end, about %s values in %s records%s", f.Name, number(f.Values), number(f.Records), each) + takes(f.Estimate),
		Fix:   fix,
	}
}

func takes(bytes *float64) string {
	if bytes == nil {
		return ""
	}
	return ": about " + document.Size(*bytes) + " before compression"
}

func personal(s Stream, f Field) Finding {
	what := "e-mail addresses or IP addresses of the internet"
	switch f.Shape {
	case shape.Mail:
		what = "e-mail addresses"
	case shape.Address:
		what = "IP addresses of the internet"
	}
	return Finding{
		Code: PersonalData, Store: s.Store, Stream: s.Name, Field: f.Name, Values: f.Values, Records: f.Records, Bytes: f.Estimate,
		Title: fmt.Sprintf("%s holds %s in %d of %d sampled records", f.Name, what, f.Person, f.Sampled),
		Fix:   "leave it out or hash it where it is logged; what is stored stays until its retention ends",
	}
}

// ofBusiest names who writes most of everything.
func ofBusiest(r Report) []Finding {
	if len(r.Streams) == 0 || len(r.Streams[0].Services) == 0 {
		return nil
	}
	stream := r.Streams[0]
	service := stream.Services[0]
	part := share(service.Records, r.Summary.Records)
	if service.Records < noisyRecords || part < noisyShare || service.Name == "" {
		return nil
	}
	finding := Finding{
		Code: NoisyService, Store: stream.Store, Stream: stream.Name, Field: stream.ServiceField, Records: service.Records,
		Title: fmt.Sprintf("%s writes %s of all records: %s", service.Name, document.Percent(part), number(service.Records)),
		Fix:   "raise its log level, or drop what nobody reads before it is stored",
	}
	if service.TextBytes != nil {
		finding.Bytes = pointer(float64(*service.TextBytes))
		finding.Title += " with " + document.Size(*finding.Bytes) + " of text"
	}
	return []Finding{finding}
}

func number[T int | int64](value T) string { return document.Number(int(value)) }
