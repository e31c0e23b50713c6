package cardinality

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"
)

// ReadUses notes what the Grafana dashboards (*.json) and the rule files (*.yaml, *.yml, in the format that Prometheus and
// vmalert share) of a folder read. What it could not read is returned in words: a metric that only stands there looks unused.
func ReadUses(files fs.FS, into *Uses) (unread []string, err error) {
	err = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		read := map[string]func([]byte, func(by, expression string)) error{
			".json": readDashboard, ".yaml": readRules, ".yml": readRules,
		}[strings.ToLower(path.Ext(name))]
		if read == nil {
			return nil
		}
		raw, err := readFile(files, name)
		if err == nil {
			err = read(raw, func(by, expression string) {
				if failed := into.addTemplate(by, expression); failed != nil {
					unread = append(unread, name+": "+failed.Error())
				}
			})
		}
		if err != nil {
			unread = append(unread, name+": "+err.Error())
		}
		return nil
	})
	return unread, err
}

// largest is more than any dashboard; a file beyond it is none.
const largest = 16 << 20

func readFile(files fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(files, name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no file")
	case info.Size() > largest:
		return nil, fmt.Errorf("it is larger than %d MiB", largest>>20)
	}
	return fs.ReadFile(files, name)
}

// panel is what a dashboard has of one; a row has panels of its own.
type panel struct {
	Title   string  `json:"title"`
	Panels  []panel `json:"panels"`
	Targets []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
}

// readDashboard takes the model of Grafana's files, and what its API wraps around it.
func readDashboard(raw []byte, found func(by, expression string)) error {
	type board struct {
		Title      string  `json:"title"`
		Panels     []panel `json:"panels"`
		Templating struct {
			List []struct {
				Name  string          `json:"name"`
				Query json.RawMessage `json:"query"`
			} `json:"list"`
		} `json:"templating"`
	}
	var file struct {
		board
		Dashboard board `json:"dashboard"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		return err
	}
	for _, b := range []board{file.board, file.Dashboard} {
		visitPanels("dashboard "+b.Title, b.Panels, found)
		for _, variable := range b.Templating.List {
			if expression := variableQuery(variable.Query); expression != "" {
				found("dashboard "+b.Title+", variable "+variable.Name, expression)
			}
		}
	}
	return nil
}

func visitPanels(of string, panels []panel, found func(by, expression string)) {
	for _, one := range panels {
		for _, target := range one.Targets {
			if target.Expr != "" {
				found(of+", panel "+one.Title, target.Expr)
			}
		}
		visitPanels(of, one.Panels, found)
	}
}

// variableQuery is the expression in label_values(EXPRESSION, LABEL) or query_result(EXPRESSION), as text or in an object.
func variableQuery(raw json.RawMessage) string {
	var text string
	var object struct {
		Query string `json:"query"`
	}
	if json.Unmarshal(raw, &text) != nil && json.Unmarshal(raw, &object) == nil {
		text = object.Query
	}
	text = strings.TrimSpace(text)
	if inner, found := strings.CutPrefix(text, "query_result("); found {
		return strings.TrimSuffix(inner, ")")
	}
	inner, found := strings.CutPrefix(text, "label_values(")
	if !found {
		return ""
	}
	inner = strings.TrimSuffix(inner, ")")
	comma := strings.LastIndex(inner, ",")
	if comma < 0 {
		return "" // of every metric, and of none
	}
	metric, label := strings.TrimSpace(inner[:comma]), strings.TrimSpace(inner[comma+1:])
	return "count by (" + label + ") (" + metric + ")"
}

func readRules(raw []byte, found func(by, expression string)) error {
	var file struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []struct {
				Alert  string `yaml:"alert"`
				Record string `yaml:"record"`
				Expr   string `yaml:"expr"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal(raw, &file); err != nil {
		return err
	}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			if rule.Expr != "" {
				found("rule "+rule.Alert+rule.Record, rule.Expr)
			}
		}
	}
	return nil
}

// addTemplate is Add for an expression of Grafana's: its variables have no value here. In a selector they are text, and
// stay; elsewhere they stand for a duration or a number.
func (u *Uses) addTemplate(by, expression string) error {
	built := regexp.MustCompile(`\$\{?__[a-z_]+(:[a-z]+)?\}?|\[\[__[a-z_]+\]\]`).ReplaceAllString(expression, "5m")
	if err := u.Add(by, built); err == nil {
		return nil
	}
	own := regexp.MustCompile(`\$\{[A-Za-z0-9_]+(:[^}]*)?\}|\$[A-Za-z_][A-Za-z0-9_]*|\[\[[A-Za-z0-9_]+(:[^\]]*)?\]\]`)
	for _, value := range []string{"5m", "1", "x"} {
		if u.Add(by, own.ReplaceAllString(built, value)) == nil {
			return nil
		}
	}
	return u.Add(by, expression)
}
