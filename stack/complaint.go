package stack

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// complaint is what Compose says is wrong with a project, as a key and a cause.
type complaint struct{ key, text, advice string }

// explain words an error of Compose with the file, the line and the key. before are the layers that it is merged onto.
func (d document) explain(err error, before documents) error {
	said := d.complaintOf(err)
	key := dotted(said.key)
	if list, after, found := cutItem(key); found && before.have(list) {
		key = list + "[]" + after // Compose counts the items of the merged list
	}
	node := d.nearest(key)
	if key == "" {
		key, node = d.mentioned(said.text)
	}
	refusal := d.at(node, key, "%s", said.text)
	if said.advice != "" {
		refusal.Advice = said.advice
	}
	return refusal
}

// cutItem cuts a key around the number of a list's item.
func cutItem(key string) (list, after string, found bool) {
	at := regexp.MustCompile(`\[\d+\]`).FindStringIndex(key)
	if at == nil {
		return key, "", false
	}
	return key[:at[0]], key[at[1]:], true
}

func (all documents) have(key string) bool {
	return slices.ContainsFunc(all, func(d document) bool { return d.find(strings.Split(key, ".")...) != nil })
}

// wording is one of the shapes that the errors of compose-go have, and what is made of it.
type wording struct {
	shape *regexp.Regexp
	means func(d document, match []string) complaint
}

func says(shape string, means func(match []string) complaint) wording {
	return wording{regexp.MustCompile(shape), func(_ document, match []string) complaint { return means(match) }}
}

// wordings are tried in this order. They were read from compose-go's loader, validation and schema packages; one that
// has changed there falls through to the last, which takes any error that begins with a key.
func wordings() []wording {
	return []wording{
		says(`^(\S+) additional propert(?:y|ies) '([^']*)'.* not allowed$`, func(m []string) complaint {
			if strings.Contains(m[1], ".") {
				return complaint{key: m[1] + "." + m[2], text: "it is not known here"}
			}
			return complaint{key: m[1] + "." + m[2], text: "a name here has only letters, digits, ., _ and -"}
		}),
		says(`^(\S+) false schema$`, func(m []string) complaint { return complaint{key: m[1], text: "it is not known here"} }),
		says(`^(\S+) must be an? (.+)$`, func(m []string) complaint {
			return complaint{key: m[1], text: "it must be " + strings.NewReplacer("array", "a list", "mapping", "a mapping", "string", "a text", "integer", "a whole number",
				"boolean", "true or false", "number", "a number", "null", "nothing").Replace(m[2])}
		}),
		says(`^'(\S+)' (?:time: |strconv\.\w+: parsing )?(.+)$`, func(m []string) complaint {
			return complaint{key: m[1], text: strings.Replace(m[2], ": invalid syntax", " is no number", 1)}
		}),
		says(`^error while interpolating (\S+): .*: parsing (".*"): .*$`, func(m []string) complaint {
			return complaint{key: m[1], text: m[2] + " is no number"}
		}),
		says(`^invalid interpolation format for ([^\s:]+).*$`, func(m []string) complaint {
			return complaint{key: strings.TrimRight(m[1], ".;"), text: "this is no variable", advice: "a variable is written ${NAME}, a dollar $$"}
		}),
		says(`^service "([^"]*)" has neither an image nor a build context specified$`, func(m []string) complaint {
			return complaint{
				key: "services." + m[1], text: "it has no image",
				advice: "add one; if it is meant to change a component: docker telemetry config shows their names",
			}
		}),
		says(`^service "([^"]*)" refers to undefined (\w+) (.*)$`, func(m []string) complaint {
			key := fmt.Sprintf("services.%s.%ss", m[1], m[2])
			if m[3] == "" {
				return complaint{key: key, text: "one has no source"}
			}
			content := "{}"
			if m[2] == "config" || m[2] == "secret" {
				content = "{file: ./" + m[3] + "}"
			}
			return complaint{key: key, text: fmt.Sprintf("there is no %s %q", m[2], m[3]), advice: fmt.Sprintf("define it beside the services: %ss: {%s: %s}", m[2], m[3], content)}
		}),
		says(`^service "([^"]*)" depends on undefined service "?([^"]*)"?$`, func(m []string) complaint {
			return complaint{key: fmt.Sprintf("services.%s.depends_on", m[1]), text: fmt.Sprintf("there is no service %q", m[2])}
		}),
		says("^service (\\S+) declares mutually exclusive `network_mode` and `networks`$", func(m []string) complaint {
			return complaint{
				key: "services." + m[1] + ".network_mode", text: "it cannot stand beside networks, also not those of the stack",
				advice: "take them away: networks: !reset null",
			}
		}),
		says(`^cannot extend service "([^"]*)" in .*: service "([^"]*)" not found.*$`, func(m []string) complaint {
			return complaint{
				key: fmt.Sprintf("services.%s.extends", m[1]), text: fmt.Sprintf("there is no service %q in that file", m[2]),
				advice: "a component of the stack is changed under its own name, without extends",
			}
		}),
		says(`^Circular reference:; *(\S+) in .*$`, func(m []string) complaint {
			return complaint{key: fmt.Sprintf("services.%s.extends", m[1]), text: "services extend each other in a circle"}
		}),
		says(`^dependency cycle detected: ((\S+) -> .*)$`, func(m []string) complaint {
			return complaint{key: fmt.Sprintf("services.%s.depends_on", m[2]), text: "they wait for each other: " + m[1]}
		}),
		{regexp.MustCompile(`^((?:configs|secrets)\.\S+): (\S+) attributes are mutually exclusive$`), document.oneOfTooMany},
		says(`^(\S+): one of (\S+) must be set$`, func(m []string) complaint {
			return complaint{key: m[1], text: "it has none of " + strings.ReplaceAll(m[2], "|", ", ")}
		}),
		says(`^service volume (\S+) is missing a mount target$`, func(m []string) complaint {
			return complaint{key: m[1], text: "it has no target"}
		}),
		says(`^((?:services|networks|volumes|configs|secrets)(?:[.\[][^\s:]+)?):? (.+)$`, func(m []string) complaint {
			return complaint{key: m[1], text: m[2]}
		}),
	}
}

func (d document) complaintOf(err error) complaint {
	text := strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
	text = strings.TrimPrefix(text, "validating "+d.layer.Name+": ")
	text = strings.TrimSuffix(text, ": invalid compose project")
	if _, after, found := strings.Cut(text, "decoding failed due to the following error(s):"); found {
		text, _, _ = strings.Cut(strings.TrimLeft(after, "; "), "; ")
	}
	for _, wording := range wordings() {
		if match := wording.shape.FindStringSubmatch(text); match != nil {
			return wording.means(d, match)
		}
	}
	return complaint{text: text}
}

// oneOfTooMany is the most likely slip in an overlay: it gives a config or a secret of the stack another content.
func (d document) oneOfTooMany(match []string) complaint {
	key, all := match[1], strings.Split(match[2], "|")
	_, entry := lookup(d.find(strings.SplitN(key, ".", 2)[0]), strings.SplitN(key, ".", 2)[1])
	var here, elsewhere []string
	for _, name := range all {
		if set, _ := lookup(entry, name); set != nil {
			here = append(here, name)
		} else {
			elsewhere = append(elsewhere, name+": !reset null")
		}
	}
	if len(here) != 1 {
		return complaint{key: key, text: "only one of " + strings.Join(all, ", ") + " can be set"}
	}
	return complaint{
		key: key + "." + here[0], text: "the stack gives it another content already",
		advice: "take that away, in the same place: " + strings.Join(elsewhere, ", "),
	}
}

// dotted writes services[x].configs[1].mode, services.x.configs.[1].mode and services.x.configs.1.mode in one way,
// services.x.configs[1].mode.
func dotted(key string) string {
	section, rest, found := strings.Cut(strings.NewReplacer("[", ".", "]", "").Replace(key), ".")
	steps := strings.Split(strings.ReplaceAll(rest, "..", "."), ".")
	if !found {
		return section
	}
	for i, step := range steps[1:] {
		if _, err := strconv.Atoi(step); err == nil {
			steps[i+1] = "[" + step + "]"
		}
	}
	return strings.ReplaceAll(section+"."+strings.Join(steps, "."), ".[", "[")
}

// nearest returns the node of a key, or of the longest part of it that the file has. Names may hold dots.
func (d document) nearest(key string) *yaml.Node {
	node, at := d.root, d.root
	for rest := strings.NewReplacer(".[", ".", "[", ".", "]", "").Replace(key); rest != ""; {
		name, value, after := step(node, rest)
		if name == nil {
			break
		}
		node, at, rest = value, name, after
	}
	return at
}

// step finds the longest key of a mapping, or the place in a list, that a dotted path begins with.
func step(node *yaml.Node, path string) (name, value *yaml.Node, rest string) {
	if node.Kind == yaml.SequenceNode {
		first, after, _ := strings.Cut(path, ".")
		for i, item := range node.Content {
			if strconv.Itoa(i) == first {
				return item, item, after
			}
		}
		return nil, nil, ""
	}
	best := -1
	_ = each(node, func(key, of *yaml.Node) error {
		after, is := strings.CutPrefix(path, key.Value)
		if is && (after == "" || after[0] == '.') && len(key.Value) > best {
			best, name, value, rest = len(key.Value), key, of, strings.TrimPrefix(after, ".")
		}
		return nil
	})
	return name, value, rest
}

// mentioned finds the value that an error without a key ends with, such as the port in "invalid hostPort: http".
func (d document) mentioned(text string) (key string, node *yaml.Node) {
	key, node = "services", d.root
	if services, _ := lookup(d.root, "services"); services != nil {
		node = services
	}
	word := text[strings.LastIndexByte(text, ' ')+1:]
	if word == "" {
		return key, node
	}
	found := false
	_ = walk(d.root, "", func(at string, value *yaml.Node) error {
		if !found && value.Kind == yaml.ScalarNode && strings.Contains(value.Value, strings.Trim(word, `"'`)) {
			key, node, found = at, value, true
		}
		return nil
	})
	return key, node
}
