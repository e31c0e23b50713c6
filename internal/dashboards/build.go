package dashboards

import (
	"bytes"
	"encoding/json"
	"fmt"
)

const (
	// grafanaVersion is written into every panel: Grafana runs a panel's migrations when it differs
	// from the running one. A test compares it with the pinned image.
	grafanaVersion = "13.1.4"

	// schemaVersion is the last one of the classic model; Grafana 13 still provisions it as it is.
	schemaVersion = 42

	tag = "docker-telemetry"

	gridWidth = 24

	// win is the range of every rate. Grafana makes it at least four scrapes of 15 s, so a window
	// always holds two samples and one lost scrape leaves no hole.
	win = "$__rate_interval"
)

// Dir is where the generated files of the base stack are kept, from the root of the module.
const Dir = "stack/bundle/config/grafana/dashboards"

// All returns every dashboard of the bundle and of the profiles, in the order in which they are listed to people.
func All() []Dashboard {
	return []Dashboard{pipeline(), host(), victoriaMetrics(), logsVolume(), containers(), collector(), rabbitmq(), valkey(), mongodb()}
}

// Folder is where the generated file is kept, from the root of the module: a profile's dashboard is one of its files.
func (d Dashboard) Folder() string {
	if d.folder == "" {
		return Dir
	}
	return d.folder
}

// FileName is the name of the generated file.
func (d Dashboard) FileName() string { return d.UID + ".json" }

// JSON renders the dashboard: indented, fields in a fixed order, one final newline.
func (d Dashboard) JSON() ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // queries hold < and >; the file is read by people
	enc.SetIndent("", "  ")
	if err := enc.Encode(d); err != nil {
		return nil, fmt.Errorf("encode dashboard %q: %w", d.UID, err)
	}
	return buf.Bytes(), nil
}

// section is a row header and its panels, which flow from left to right. The first section of a
// dashboard has no title and so no header.
type section struct {
	title  string
	height int
	panels []panelSpec
}

// panelSpec is a panel before it has an id and a place.
type panelSpec struct {
	width int
	panel Panel
}

func newDashboard(uid, title, description string, sections ...section) Dashboard {
	return Dashboard{
		UID:           uid,
		Title:         title,
		Description:   description,
		Tags:          []string{tag},
		GraphTooltip:  1, // one crosshair over all panels: a stall is seen at every hop at once
		SchemaVersion: schemaVersion,
		Refresh:       "15s",
		Time:          timeRange{From: "now-30m", To: "now"},
		Timezone:      "browser",
		Links: []link{{
			Type: "dashboards", Title: "Telemetry", Tags: []string{tag},
			KeepTime: true, Icon: "external link",
		}},
		Annotations: annotations{List: []struct{}{}},
		Templating:  templating{List: []struct{}{}},
		Panels:      layout(sections),
	}
}

func layout(sections []section) []Panel {
	var out []Panel
	y := 0
	for _, s := range sections {
		if s.title != "" {
			open := false
			out = append(out, Panel{
				ID: len(out) + 1, Type: "row", Title: s.title, Collapsed: &open, Panels: []Panel{},
				GridPos: gridPos{H: 1, W: gridWidth, Y: y},
			})
			y++
		}
		x := 0
		for _, spec := range s.panels {
			if x+spec.width > gridWidth {
				x, y = 0, y+s.height
			}
			p := spec.panel
			p.ID = len(out) + 1
			p.GridPos = gridPos{H: s.height, W: spec.width, X: x, Y: y}
			out = append(out, p)
			x += spec.width
		}
		y += s.height
	}
	return out
}

// query is one line of a graph: its expression and its legend.
type query struct {
	expr   string
	legend string
}

func q(expr, legend string) query { return query{expr: expr, legend: legend} }

// option changes a panel after the defaults of its type.
type option func(*Panel)

func graph(width int, title, unit string, queries []query, opts ...option) panelSpec {
	p := dataPanel("timeseries", title, unit, queries, false)
	zero := 0.0
	p.FieldConfig.Defaults.Min = &zero
	p.FieldConfig.Defaults.Custom = graphStyle{
		DrawStyle: "line", LineWidth: 1, FillOpacity: 10, ShowPoints: "never",
		Stacking: stacking{Group: "A", Mode: "none"},
	}
	p.Options = graphOptions{
		Legend:  legend{Calcs: []string{"lastNotNull", "max"}, DisplayMode: "table", Placement: "bottom", ShowLegend: true},
		Tooltip: tooltip{Mode: "multi", Sort: "desc"},
	}
	return finish(width, p, opts)
}

// statWidth puts six in the 24 columns of a row.
const statWidth = 4

func stat(title, unit, expr string, opts ...option) panelSpec {
	p := dataPanel("stat", title, unit, []query{q(expr, "")}, false)
	p.FieldConfig.Defaults.Color.Mode = "thresholds"
	p.FieldConfig.Defaults.Thresholds = steps("blue")
	p.Options = statOptions{
		ColorMode: "value", GraphMode: "area", JustifyMode: "auto", Orientation: "auto", PercentChangeColorMode: "standard",
		ReduceOptions: lastValue(), TextMode: "value", WideLayout: true,
	}
	return finish(statWidth, p, opts)
}

func bars(width int, title, unit string, queries []query, opts ...option) panelSpec {
	p := dataPanel("bargauge", title, unit, queries, true)
	zero := 0.0
	p.FieldConfig.Defaults.Min = &zero
	p.FieldConfig.Defaults.Color.Mode = "thresholds"
	p.FieldConfig.Defaults.Thresholds = steps("blue")
	p.Options = barGaugeOptions{
		DisplayMode: "gradient", NamePlacement: "auto", Orientation: "horizontal",
		Legend:       legend{Calcs: []string{}, DisplayMode: "list", Placement: "bottom"},
		MinVizHeight: 16, MinVizWidth: 8, MaxVizHeight: 300, Sizing: "auto",
		ReduceOptions: lastValue(), ShowUnfilled: true, ValueMode: "color",
	}
	return finish(width, p, opts)
}

// column is one query of a table: its header and its unit.
type column struct {
	title string
	unit  string
	expr  string
}

// table joins the columns' instant queries on the labels that they share.
func table(width int, title string, columns []column, opts ...option) panelSpec {
	queries := make([]query, 0, len(columns))
	for _, c := range columns {
		queries = append(queries, q(c.expr, ""))
	}
	p := dataPanel("table", title, "", queries, true)
	p.FieldConfig.Defaults.Color.Mode = "thresholds"
	p.FieldConfig.Defaults.Thresholds = steps("text")
	rename := map[string]any{}
	for i, c := range columns {
		p.Targets[i].Format = "table"
		field := "Value #" + p.Targets[i].RefID
		rename[field] = c.title
		p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, override{
			Matcher:    matcher{ID: "byName", Options: c.title},
			Properties: []property{{ID: "unit", Value: c.unit}},
		})
	}
	p.Transformations = []transformation{
		{ID: "merge", Options: map[string]any{}},
		{ID: "organize", Options: map[string]any{
			"excludeByName": map[string]any{"Time": true},
			"indexByName":   map[string]any{},
			"renameByName":  rename,
		}},
	}
	p.Options = tableOptions{CellHeight: "sm", ShowHeader: true}
	return finish(width, p, opts)
}

func text(width int, title, markdown string) panelSpec {
	return panelSpec{width: width, panel: Panel{
		Type: "text", Title: title, PluginVersion: grafanaVersion,
		Options: textOptions{Mode: "markdown", Content: markdown},
	}}
}

func dataPanel(kind, title, unit string, queries []query, instant bool) Panel {
	source := datasource{Type: "prometheus", UID: "victoriametrics"}
	targets := make([]Target, 0, len(queries))
	for i, query := range queries {
		targets = append(targets, Target{
			RefID: string(rune('A' + i)), Datasource: source, Expr: query.expr, LegendFormat: query.legend,
			Instant: instant, Range: !instant, EditorMode: "code",
		})
	}
	return Panel{
		Type: kind, Title: title, PluginVersion: grafanaVersion, Datasource: &source, Targets: targets,
		FieldConfig: &fieldConfig{
			Defaults:  fieldDefaults{Unit: unit, Color: color{Mode: "palette-classic"}},
			Overrides: []override{},
		},
	}
}

func finish(width int, p Panel, opts []option) panelSpec {
	for _, o := range opts {
		o(&p)
	}
	return panelSpec{width: width, panel: p}
}

// describe sets the text behind the panel's (i).
func describe(s string) option { return func(p *Panel) { p.Description = s } }

// stacked piles the lines of a graph, for parts of one whole.
func stacked() option {
	return func(p *Panel) {
		style := p.FieldConfig.Defaults.Custom.(graphStyle)
		style.Stacking.Mode = "normal"
		style.FillOpacity = 40
		p.FieldConfig.Defaults.Custom = style
	}
}

func upToOne() option {
	whole := 1.0
	return func(p *Panel) { p.FieldConfig.Defaults.Max = &whole }
}

// warnAt colours green below warn, orange from there and red from bad.
func warnAt(warn, bad float64) option {
	return func(p *Panel) {
		p.FieldConfig.Defaults.Thresholds = steps("green", at("orange", warn), at("red", bad))
	}
}

// badBelow colours red below bad, orange up to warn and green from there.
func badBelow(bad, warn float64) option {
	return func(p *Panel) {
		p.FieldConfig.Defaults.Thresholds = steps("red", at("orange", bad), at("green", warn))
	}
}

// atLeast colours red below good and green from there.
func atLeast(good float64) option {
	return func(p *Panel) { p.FieldConfig.Defaults.Thresholds = steps("red", at("green", good)) }
}

// anyIsBad colours red as soon as there is one.
func anyIsBad() option {
	return func(p *Panel) {
		p.FieldConfig.Defaults.Thresholds = steps("green", at("red", 1))
	}
}

func steps(base string, above ...threshold) *thresholds {
	return &thresholds{Mode: "absolute", Steps: append([]threshold{{Color: base}}, above...)}
}

func at(color string, from float64) threshold { return threshold{Color: color, Value: &from} }

func lastValue() reduceOptions { return reduceOptions{Calcs: []string{"lastNotNull"}} }

// orZero is for counters that do not exist before their first event (errors, discards): nothing is
// then the good answer and must read 0. Never use it on a series that a healthy stack always has.
// `or on()` adds the zero only while the left side is empty, so no stray line stays in the legend.
func orZero(expr string) string { return "(" + expr + ") or on() vector(0)" }

// orNone is orZero for a query that is split by label: the zero carries "none" as that label.
func orNone(expr, label string) string {
	return fmt.Sprintf(`(%s) or on() label_replace(vector(0), %q, "none", "", "")`, expr, label)
}
