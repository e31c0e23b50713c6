package dashboards

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Query is one expression of one panel, ready to be sent to the store.
type Query struct {
	Panel   string // title of the panel
	RefID   string // letter of the query in its panel
	Expr    string // with Grafana's built-in intervals replaced
	Instant bool   // evaluated at one moment, not over a range
}

// Queries lists the queries of a dashboard file, panels inside collapsed rows included. Grafana's
// built-in intervals become what Grafana makes of them for 15 s scrapes and the default range of
// 30 minutes. Any other variable is an error: nobody outside Grafana could give it a value.
func Queries(dashboard []byte) ([]Query, error) {
	var d struct {
		Panels []Panel `json:"panels"`
	}
	if err := json.Unmarshal(dashboard, &d); err != nil {
		return nil, fmt.Errorf("decode dashboard: %w", err)
	}
	return panelQueries(d.Panels)
}

func panelQueries(panels []Panel) ([]Query, error) {
	var out []Query
	for _, p := range panels {
		for _, t := range p.Targets {
			expr, err := concrete(t.Expr)
			if err != nil {
				return nil, fmt.Errorf("panel %q, query %s: %w", p.Title, t.RefID, err)
			}
			out = append(out, Query{Panel: p.Title, RefID: t.RefID, Expr: expr, Instant: t.Instant})
		}
		inner, err := panelQueries(p.Panels)
		if err != nil {
			return nil, err
		}
		out = append(out, inner...)
	}
	return out, nil
}

func concrete(expr string) (string, error) {
	expr = strings.NewReplacer(
		"$__rate_interval", "1m",
		"$__interval", "15s",
		"$__range", "30m",
	).Replace(expr)
	// "$1" is a capture group of label_replace, and Grafana leaves it alone, too.
	if rest := strings.ReplaceAll(expr, `"$1"`, ""); strings.Contains(rest, "$") {
		return "", fmt.Errorf("variable without a value in %q", expr)
	}
	return expr, nil
}
