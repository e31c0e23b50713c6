package logs

import (
	"strconv"
	"strings"

	"github.com/docker-telemetry/docker-telemetry/internal/document"
)

// FindingsTitle is that of the section which a page shows in its own way.
const FindingsTitle = "Findings"

// Document is the report as people read it: what to do stands last, where a terminal ends.
func (r Report) Document() document.Document {
	return document.Document{
		Title: "Logs and traces",
		Sections: document.Present(
			r.summarySection(), r.streamsSection(), r.servicesSection(), r.fieldsSection(), r.familiesSection(), r.findingsSection(), document.NotTold(r.Notes),
		),
		Flat: r.flat(),
	}
}

func (r Report) summarySection() document.Section {
	s := r.Summary
	section := document.Section{Title: "Summary", Table: document.Table{Header: []string{"", "", ""}, Right: []int{1}}}
	add := func(what, figure, about string) { section.Rows = append(section.Rows, []string{what, figure, about}) }
	add("streams", number(s.Streams), "")
	add("records", number(s.Records), "counted, "+r.window())
	add("fields", number(s.Fields), "of the schemas")
	if s.OriginalBytes > 0 {
		add("records as JSON", document.Size(s.OriginalBytes), "all that is kept, as the store reports it")
		add("on the disk", document.Size(s.StoredBytes+s.IndexBytes), ratio(s.OriginalBytes, s.StoredBytes+s.IndexBytes)+" of that, the index among it")
	}
	return section
}

func ratio(original, stored float64) string {
	if original <= 0 {
		return ""
	}
	return document.Percent(stored / original)
}

func (r Report) window() string {
	return "from " + r.From.Format("2006-01-02 15:04") + " to " + r.To.Format("2006-01-02 15:04") + " UTC"
}

func (r Report) streamsSection() document.Section {
	section := document.Section{
		Title: "Streams",
		Note: "Records of the time are counted, what is kept is reported by the store, which is some minutes behind and tells nothing of a new stream. " +
			"Used are the fields that a record of the time has.",
		Table: document.Table{
			Header: []string{"store", "stream", "records", "share", "kept", "as JSON", "compressed", "index", "fields", "used"},
			Right:  []int{2, 4, 5, 6, 7, 8, 9}, Optional: []int{7, 4, 9, 3, 5},
		},
	}
	for _, s := range r.Streams {
		records, part, used := "", "", ""
		if s.Records != nil {
			records, part = number(*s.Records), document.Bar(s.Share)
		}
		if s.UsedFields != nil {
			used = number(*s.UsedFields)
		}
		row := []string{s.Store, s.Name, records, part, "", "", "", "", number(s.FieldCount), used}
		if s.KeptRecords > 0 {
			row[4], row[5], row[6], row[7] = number(s.KeptRecords), document.Size(s.OriginalBytes), document.Size(s.StoredBytes), document.Size(s.IndexBytes)
		}
		section.Rows = append(section.Rows, row)
	}
	if len(section.Rows) == 0 {
		section.Note = "There is none."
	}
	return section
}

func (r Report) servicesSection() document.Section {
	section := document.Section{
		Title: "Who writes them",
		Table: document.Table{Header: []string{"stream", "by", "value", "records", "share", "text"}, Right: []int{3, 5}, Optional: []int{1, 5, 4}},
	}
	for _, s := range r.Streams {
		for _, service := range s.Services {
			text := ""
			if service.TextBytes != nil {
				text = document.Size(float64(*service.TextBytes))
			}
			section.Rows = append(section.Rows, []string{s.Name, s.ServiceField, orNone(service.Name), number(service.Records), document.Bar(service.Share), text})
		}
	}
	return section
}

func orNone(name string) string {
	if name == "" {
		return "(not said)"
	}
	return name
}

func (r Report) fieldsSection() document.Section {
	section := document.Section{
		Title: "Fields",
		Note:  "Values are approximate, within about 1 %: the store counts them by a sketch. What they look like is that of the newest records.",
		Table: document.Table{
			Header: []string{"stream", "field", "type", "values", "records", "bytes", "looks like", "for example"}, Right: []int{3, 4, 5},
			Prose: []int{7}, Optional: []int{7, 2, 5, 4},
		},
	}
	for _, s := range r.Streams {
		for _, f := range s.Fields {
			section.Rows = append(section.Rows, []string{
				s.Name, f.Name, f.Type, "~" + number(f.Values), number(f.Records), estimate(f.Estimate), f.Looks(), strings.Join(few(f.Samples), ", "),
			})
		}
	}
	if len(section.Rows) == 0 {
		section.Note = ""
	}
	return section
}

// Looks says in words what is special about a field, "" for nothing.
func (f Field) Looks() string {
	var words []string
	if f.Shape != "" {
		words = append(words, string(f.Shape))
	}
	if f.Values == 1 && f.Records > 1 {
		words = append(words, "one value")
	}
	if f.Person >= leastPersonal {
		words = append(words, "personal data")
	}
	return strings.Join(words, ", ")
}

func estimate(bytes *float64) string {
	if bytes == nil {
		return ""
	}
	return "~" + document.Size(*bytes)
}

// few are two values, short enough for a table.
func few(values []string) []string {
	const most, long = 2, 40
	short := make([]string, 0, most)
	for _, value := range values[:min(most, len(values))] {
		short = append(short, document.Short(value, long))
	}
	return short
}

func (r Report) familiesSection() document.Section {
	section := document.Section{
		Title: "Fields with ids in their names", Table: document.Table{Header: []string{"stream", "name", "fields"}, Right: []int{2}},
	}
	for _, s := range r.Streams {
		for _, family := range s.Families {
			section.Rows = append(section.Rows, []string{s.Name, family.Name, number(family.Fields)})
		}
	}
	return section
}

func (r Report) findingsSection() document.Section {
	section := document.Section{Title: FindingsTitle, Table: document.Table{
		Header: []string{"code", "stream", "what", "what to do"}, Prose: []int{2, 3}, Optional: []int{3},
	}}
	for _, finding := range r.Findings {
		section.Rows = append(section.Rows, []string{finding.Code, finding.Stream, finding.Title, finding.Fix})
	}
	switch {
	case len(section.Rows) > 0:
	case r.Complete:
		section.Note = "None: no field, schema or service stands out."
	default:
		section.Note = "None, as far as it can be told."
	}
	return section
}

// flat has a row for each field of each stream that is listed, and one for a stream without any.
func (r Report) flat() document.Table {
	flat := document.Table{Header: []string{
		"store", "stream", "stream_records", "kept_records", "original_bytes", "stored_bytes", "index_bytes", "stream_fields", "field", "type",
		"records", "values_estimate", "bytes_estimate", "looks_like", "personal", "sampled", "samples",
	}}
	for _, s := range r.Streams {
		head := []string{
			s.Store, s.Name, "", strconv.FormatInt(s.KeptRecords, 10), figure(s.OriginalBytes), figure(s.StoredBytes), figure(s.IndexBytes), strconv.Itoa(s.FieldCount),
		}
		if s.Records != nil {
			head[2] = strconv.FormatInt(*s.Records, 10)
		}
		for _, f := range s.Fields {
			size := ""
			if f.Estimate != nil {
				size = figure(*f.Estimate)
			}
			flat.Rows = append(flat.Rows, append(head[:len(head):len(head)], f.Name, f.Type, strconv.FormatInt(f.Records, 10), strconv.FormatInt(f.Values, 10), size,
				string(f.Shape), strconv.Itoa(f.Person), strconv.Itoa(f.Sampled), strings.Join(f.Samples, " ")))
		}
		if len(s.Fields) == 0 {
			flat.Rows = append(flat.Rows, append(head, "", "", "", "", "", "", "", "", ""))
		}
	}
	return flat
}

func figure(value float64) string { return strconv.FormatFloat(value, 'f', 0, 64) }

// Widest is the stream with the most fields, and false where there is none.
func (r Report) Widest() (Stream, bool) {
	var widest Stream
	for _, s := range r.Streams {
		if s.FieldCount > widest.FieldCount {
			widest = s
		}
	}
	return widest, widest.FieldCount > 0
}
