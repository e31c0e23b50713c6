package stack

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

const (
	maxDocument = 1 << 20 // bytes of a compose file
	maxValues   = 50_000  // in one, with all that its aliases stand for
	maxDepth    = 50      // of values in values
)

// expansion copies a document with what its aliases and merge keys stand for in their place.
type expansion struct {
	document document
	values   int
	open     map[*yaml.Node]bool // anchors that are being copied
}

func (e *expansion) expand(node *yaml.Node, key string, depth int) (*yaml.Node, error) {
	if node.Kind == yaml.AliasNode {
		if e.open[node.Alias] {
			return nil, e.document.at(node, key, "the alias *%s stands inside of what it names", node.Value)
		}
		node = node.Alias
	}
	if node.Anchor != "" {
		e.open[node] = true
		defer delete(e.open, node)
	}
	e.values++
	if e.values > maxValues {
		return nil, e.document.at(node, key, "the file has more than %d values, aliases included", maxValues)
	}
	if depth > maxDepth {
		return nil, e.document.at(node, key, "values stand inside of each other more than %d deep", maxDepth)
	}
	// Style and comments stay behind: what is written is for Compose alone.
	copied := &yaml.Node{Kind: node.Kind, Tag: node.Tag, Value: node.Value, Line: node.Line, Column: node.Column}
	switch node.Kind {
	case yaml.ScalarNode:
		if node.Tag == "!!str" {
			copied.Style = yaml.DoubleQuotedStyle
		}
		return copied, nil
	case yaml.SequenceNode:
		for i, item := range node.Content {
			value, err := e.expand(item, fmt.Sprintf("%s[%d]", key, i), depth+1)
			if err != nil {
				return nil, err
			}
			copied.Content = append(copied.Content, value)
		}
		return copied, nil
	default:
		return copied, e.expandMapping(copied, node, key, depth)
	}
}

func (e *expansion) expandMapping(into, node *yaml.Node, key string, depth int) error {
	var merged []*yaml.Node
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		if name.Kind == yaml.ScalarNode && name.Tag == "!!merge" {
			merged = append(merged, value)
			continue
		}
		if name.Kind == yaml.AliasNode {
			name = name.Alias
		}
		if name.Kind != yaml.ScalarNode || name.Tag != "!!str" {
			return e.document.at(name, below(key, name.Value), "a key is a text: put it into quotes")
		}
		if first, _ := lookup(into, name.Value); first != nil {
			return e.document.at(name, below(key, name.Value), "it stands on line %d already", first.Line)
		}
		copied, err := e.expand(value, below(key, name.Value), depth+1)
		if err != nil {
			return err
		}
		into.Content = append(into.Content, &yaml.Node{
			Kind: yaml.ScalarNode, Tag: "!!str", Value: name.Value, Line: name.Line, Column: name.Column, Style: yaml.DoubleQuotedStyle,
		}, copied)
	}
	for _, value := range merged {
		if err := e.merge(into, value, below(key, "<<"), depth); err != nil {
			return err
		}
	}
	return nil
}

// merge adds what << names, a mapping or a list of them, to a mapping; what is there already stays.
func (e *expansion) merge(into, value *yaml.Node, key string, depth int) error {
	copied, err := e.expand(value, key, depth+1)
	if err != nil {
		return err
	}
	mappings := []*yaml.Node{copied}
	if copied.Kind == yaml.SequenceNode {
		mappings = copied.Content
	}
	for _, mapping := range mappings {
		if mapping.Kind != yaml.MappingNode {
			return e.document.at(value, key, "it takes a mapping, or a list of them")
		}
		for pair := range slices.Chunk(mapping.Content, 2) {
			if there, _ := lookup(into, pair[0].Value); there == nil {
				into.Content = append(into.Content, pair...)
			}
		}
	}
	return nil
}

func below(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}
