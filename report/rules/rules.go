// Package rules reads and writes the rules that reports propose: one file each, which a person can read, change and keep
// under version control before it changes what is stored.
package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// The kinds of rules, by what takes them.
const (
	Aggregation = "aggregation" // entries of VictoriaMetrics' -streamAggr.config
	Relabeling  = "relabeling"  // entries of its -relabelConfig
	Transform   = "transform"   // transforms of the agent, see AgentConfig
)

// Kinds returns all of them.
func Kinds() []string { return []string{Aggregation, Relabeling, Transform} }

// Rule is one change of what is stored.
type Rule struct {
	// Name is that of its file, without the extension.
	Name   string   `yaml:"-" json:"name"`
	Code   string   `yaml:"code" json:"code"` // of the finding it mends
	About  string   `yaml:"about" json:"about"`
	Metric string   `yaml:"metric,omitempty" json:"metric"` // "" for several
	Labels []string `yaml:"labels,omitempty" json:"labels"`
	// Left is how many series the metric is to have with the rule at most, nil where it saves none.
	Left *int `yaml:"left,omitempty" json:"left"`
	// Approximate: Left is the most that it can be, by an estimate.
	Approximate bool   `yaml:"approximate,omitempty" json:"approximate"`
	Kind        string `yaml:"kind" json:"kind"`
	// Config are entries of the kind's list, YAML.
	Config string `yaml:"config" json:"config"`
	// Tests are unit tests of Vector for a Transform, YAML, each without insert_at and extract_from where it is for the whole
	// rule: https://vector.dev/docs/reference/configuration/unit-tests/
	Tests string `yaml:"tests,omitempty" json:"tests"`
}

// Error is a rule that cannot be used.
type Error struct {
	File   string
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("rule %q: %s", e.File, e.Reason) }

// Hint says where rules come from.
func (e *Error) Hint() string {
	return "write it anew: docker telemetry report cardinality --fix all -o DIR"
}

// largest is a thousand times the rules that a report writes.
const largest = 1 << 20

// Read reads the rules of a folder, sorted by name. A folder without one is an error, and so is a file that is none.
func Read(folder fs.FS) ([]Rule, error) {
	names, err := fs.Glob(folder, "*.yaml")
	if err != nil {
		return nil, err
	}
	var all []Rule
	for _, name := range names {
		raw, err := readFile(folder, name)
		if err != nil {
			return nil, &Error{name, err.Error()}
		}
		rule, err := Decode(strings.TrimSuffix(name, path.Ext(name)), raw)
		if err != nil {
			return nil, err
		}
		all = append(all, rule)
	}
	if len(all) == 0 {
		return nil, errors.New("there is no rule in this folder, a file that ends in .yaml")
	}
	return all, nil
}

func readFile(folder fs.FS, name string) ([]byte, error) {
	file, err := folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, largest+1))
	if err == nil && len(raw) > largest {
		err = fmt.Errorf("it has more than %d bytes", largest)
	}
	return raw, err
}

// Decode reads one rule. An unknown field is refused: it would be a word that has no effect.
func Decode(name string, raw []byte) (Rule, error) {
	rule := Rule{Name: name}
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	if err := decoder.Decode(&rule); err != nil {
		return Rule{}, &Error{name, err.Error()}
	}
	if reason := rule.wrong(); reason != "" {
		return Rule{}, &Error{name, reason}
	}
	return rule, nil
}

func (r Rule) wrong() string {
	if !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,150}$`).MatchString(r.Name) {
		return "its name takes letters, digits, _, . and -"
	}
	if !slices.Contains(Kinds(), r.Kind) {
		return "its kind is one of " + strings.Join(Kinds(), ", ")
	}
	if r.Kind == Transform {
		if err := (&chain{}).add(r); err != nil {
			return err.Error()
		}
		return ""
	}
	if r.Tests != "" {
		return "tests are for those of kind " + Transform
	}
	var entries []map[string]any
	if err := yaml.Unmarshal([]byte(r.Config), &entries); err != nil {
		return "its config is no list: " + err.Error()
	}
	if len(entries) == 0 {
		return "its config is empty"
	}
	for _, entry := range entries {
		_, match := entry["match"]
		_, condition := entry["if"]
		// A rule without one is for every series of the store.
		if !match && !condition {
			return "an entry of its config says with neither match nor if which series it is for"
		}
	}
	return ""
}

// Encode writes a rule as Decode reads it.
func (r Rule) Encode() ([]byte, error) {
	raw, err := yaml.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("write rule %q: %w", r.Name, err)
	}
	return raw, nil
}

// Config is the content of the file of one kind of VictoriaMetrics: the entries of all rules of it, in the order of their names.
func Config(all []Rule, kind string) string {
	var out strings.Builder
	for _, rule := range of(all, kind) {
		fmt.Fprintf(&out, "# %s\n%s\n", rule.Name, strings.TrimRight(rule.Config, "\n"))
	}
	return out.String()
}

// of are the rules of one kind by name.
func of(all []Rule, kind string) []Rule {
	some := slices.DeleteFunc(slices.Clone(all), func(rule Rule) bool { return rule.Kind != kind })
	slices.SortFunc(some, func(a, b Rule) int { return strings.Compare(a.Name, b.Name) })
	return some
}
