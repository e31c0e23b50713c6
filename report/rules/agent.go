package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// What the agent's own files call these: its metrics come from arriving, and its sink takes them from leaving.
const (
	arriving = "metrics_*"
	leaving  = "rules"
)

// AgentConfig is the configuration file of Vector with all rules of kind Transform, and their tests, so that `vector test`
// takes it as it is. Each entry of a rule is a transform with an `if`, a condition in VRL: what it matches goes through the
// transform, the rest past it. The rules stand one after the other in the order of their names, and each event leaves once.
func AgentConfig(all []Rule) (string, error) {
	chain := chain{inputs: []string{arriving}}
	for _, rule := range of(all, Transform) {
		if err := chain.add(rule); err != nil {
			return "", &Error{rule.Name, err.Error()}
		}
	}
	file := mapping("transforms", mapping(append(chain.transforms,
		leaving, mapping("type", "filter", "inputs", chain.inputs, "condition", mapping("type", "vrl", "source", "true")))...))
	if len(chain.tests) > 0 {
		file.Content = append(file.Content, node("tests"), &yaml.Node{Kind: yaml.SequenceNode, Content: chain.tests})
	}
	raw, err := yaml.Marshal(file)
	if err != nil {
		return "", fmt.Errorf("write the agent's rules: %w", err)
	}
	return string(raw), nil
}

// chain is the file so far.
type chain struct {
	transforms []any    // ids and mappings in turn
	inputs     []string // of what comes next
	tests      []*yaml.Node
	ids        []string
}

func (c *chain) add(rule Rule) error {
	var entries []yaml.Node
	if err := yaml.Unmarshal([]byte(rule.Config), &entries); err != nil {
		return fmt.Errorf("its config is no list: %w", err)
	}
	if len(entries) == 0 {
		return errors.New("its config is empty")
	}
	first := ""
	for i := range entries {
		condition, err := takeCondition(&entries[i])
		if err != nil {
			return err
		}
		id := componentID(rule.Name, i)
		if slices.Contains(c.ids, id) {
			return fmt.Errorf("another rule has its name for Vector, %s", id)
		}
		c.ids = append(c.ids, id)
		split := id + "_if"
		if first == "" {
			first = split
		}
		body := mapping("inputs", []string{split + ".matched"})
		body.Content = append(body.Content, entries[i].Content...)
		c.transforms = append(c.transforms,
			split, mapping("type", "route", "inputs", c.inputs, "route", mapping("matched", condition)), id, body)
		c.inputs = []string{id, split + "._unmatched"}
	}
	return c.addTests(rule.Tests, first)
}

// componentID has no dot, which Vector keeps for the outputs of a component.
func componentID(rule string, entry int) string {
	id := "rule_" + strings.ReplaceAll(rule, ".", "_")
	if entry > 0 {
		id = fmt.Sprintf("%s_%d", id, entry+1)
	}
	return id
}

// takeCondition takes `if` out of an entry.
func takeCondition(entry *yaml.Node) (string, error) {
	if entry.Kind != yaml.MappingNode {
		return "", errors.New("an entry of its config is no mapping")
	}
	if value(entry, "inputs") != nil {
		return "", errors.New("an entry of its config has inputs: what comes in is decided by if")
	}
	if kind := value(entry, "type"); kind == nil || kind.Kind != yaml.ScalarNode {
		return "", errors.New("an entry of its config has no type, that of a transform of Vector")
	}
	condition := value(entry, "if")
	if condition == nil || condition.Kind != yaml.ScalarNode || strings.TrimSpace(condition.Value) == "" {
		return "", errors.New("an entry of its config does not say with if which metrics it is for")
	}
	text := condition.Value
	for i := 0; i < len(entry.Content); i += 2 {
		if entry.Content[i].Value == "if" {
			entry.Content = append(entry.Content[:i], entry.Content[i+2:]...)
			break
		}
	}
	return text, nil
}

// addTests has tests that name no component go in where the rule begins and look at all that comes out of it.
func (c *chain) addTests(text, first string) error {
	var tests []yaml.Node
	if err := yaml.Unmarshal([]byte(text), &tests); err != nil {
		return fmt.Errorf("its tests are no list: %w", err)
	}
	for i := range tests {
		test := &tests[i]
		if test.Kind != yaml.MappingNode {
			return errors.New("a test is no mapping")
		}
		for _, input := range items(value(test, "inputs")) {
			fill(input, "insert_at", node(first))
		}
		for _, output := range items(value(test, "outputs")) {
			fill(output, "extract_from", node(c.inputs))
		}
		c.tests = append(c.tests, test)
	}
	return nil
}

func fill(in *yaml.Node, key string, missing *yaml.Node) {
	if in.Kind == yaml.MappingNode && value(in, key) == nil {
		in.Content = append([]*yaml.Node{node(key), missing}, in.Content...)
	}
}

func items(list *yaml.Node) []*yaml.Node {
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil
	}
	return list.Content
}

func value(in *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(in.Content); i += 2 {
		if in.Content[i].Value == key {
			return in.Content[i+1]
		}
	}
	return nil
}

// mapping takes keys and values in turn.
func mapping(pairs ...any) *yaml.Node {
	out := &yaml.Node{Kind: yaml.MappingNode}
	for _, one := range pairs {
		out.Content = append(out.Content, node(one))
	}
	return out
}

func node(of any) *yaml.Node {
	switch of := of.(type) {
	case *yaml.Node:
		return of
	case []string:
		list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, one := range of {
			list.Content = append(list.Content, node(one))
		}
		return list
	}
	out := &yaml.Node{}
	out.SetString(fmt.Sprint(of))
	return out
}
