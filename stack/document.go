package stack

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"
)

// document is a layer's compose file as YAML with its lines, so that an error can name them.
type document struct {
	layer Layer
	root  *yaml.Node // the mapping at the top
}

var yamlLine = regexp.MustCompile(`line (\d+)`)

func parseDocument(layer Layer, raw []byte) (document, error) {
	var node yaml.Node
	err := yaml.Unmarshal(raw, &node)
	if err == nil && (len(node.Content) == 0 || node.Content[0].Kind != yaml.MappingNode) {
		err = errNoMapping
	}
	if err == nil {
		return document{layer: layer, root: node.Content[0]}, nil
	}
	text := strings.TrimPrefix(firstLine(err.Error()), "yaml: ")
	where := layer.Name
	if line := yamlLine.FindStringSubmatch(text); line != nil {
		where += ":" + line[1]
		text = strings.TrimPrefix(strings.Replace(text, line[0], "", 1), ": ")
	}
	return document{}, &Error{Text: where + ": not a compose file: " + text, Advice: overlayAdvice, Usage: !layer.Shipped}
}

const overlayAdvice = "docker telemetry config shows the project that an overlay is merged onto"

// lookup returns the value of a key in a mapping, and the key's own node, nil where there is none.
func lookup(mapping *yaml.Node, key string) (name, value *yaml.Node) {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i], mapping.Content[i+1]
		}
	}
	return nil, nil
}

// each calls visit for each pair of a mapping; anything else has none.
func each(mapping *yaml.Node, visit func(name, value *yaml.Node) error) error {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if err := visit(mapping.Content[i], mapping.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// withFile lists the keys of a top-level section whose value names a file.
func (d document) withFile(section string) []string {
	var keys []string
	_, entries := lookup(d.root, section)
	_ = each(entries, func(name, value *yaml.Node) error {
		if _, file := lookup(value, "file"); file != nil {
			keys = append(keys, name.Value)
		}
		return nil
	})
	return keys
}

func (d document) at(node *yaml.Node, key, format string, values ...any) error {
	return &Error{
		Text:   fmt.Sprintf("%s:%d: %s: %s", d.layer.Name, node.Line, key, fmt.Sprintf(format, values...)),
		Advice: overlayAdvice, Usage: true,
	}
}

// checked refuses what a user's layer cannot mean here, and returns the file with the paths of its extends and env_file
// made absolute: Compose would look for them in the wrong folder.
func (d document) checked(environment types.Mapping) ([]byte, error) {
	if err := each(d.root, func(name, _ *yaml.Node) error { return d.checkSection(name) }); err != nil {
		return nil, err
	}
	if err := d.checkVariables(environment); err != nil {
		return nil, err
	}
	for _, section := range []string{"configs", "secrets"} {
		_, entries := lookup(d.root, section)
		if err := each(entries, func(name, value *yaml.Node) error { return d.checkContent(section+"."+name.Value, value) }); err != nil {
			return nil, err
		}
	}
	_, services := lookup(d.root, "services")
	if err := each(services, func(name, value *yaml.Node) error { return d.checkService("services."+name.Value, value) }); err != nil {
		return nil, err
	}
	out, err := yaml.Marshal(d.root)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", d.layer.Name, err)
	}
	return out, nil
}

func (d document) checkSection(name *yaml.Node) error {
	switch {
	case name.Value == "include":
		return d.at(name, "include", "an overlay includes no other file: give each with its own -f")
	case name.Value == "name":
		return d.at(name, "name", "the stack's name is set by docker telemetry --name")
	case slices.Contains([]string{"services", "networks", "volumes", "configs", "secrets"}, name.Value), strings.HasPrefix(name.Value, "x-"):
		return nil
	default:
		return d.at(name, name.Value, "not known here, only services, networks, volumes, configs and secrets")
	}
}

// checkVariables refuses a variable without a value: the environment of the caller takes no part, so that the project
// is the same for everybody who runs it.
func (d document) checkVariables(environment types.Mapping) error {
	return walk(d.root, "", func(key string, node *yaml.Node) error {
		if node.Kind != yaml.ScalarNode {
			return nil
		}
		for name, variable := range template.ExtractVariables(map[string]any{"value": node.Value}, template.DefaultPattern) {
			if _, known := environment[name]; !known && variable.DefaultValue == "" && variable.PresenceValue == "" && !strings.Contains(node.Value, name+"-") {
				return d.at(node, key, "there is no variable %s: your shell's variables take no part; known are %s; a dollar is written $$",
					name, strings.Join(slices.Sorted(maps.Keys(environment)), ", "))
			}
		}
		return nil
	})
}

// walk visits each value with its dotted key.
func walk(node *yaml.Node, key string, visit func(key string, node *yaml.Node) error) error {
	if err := visit(key, node); err != nil {
		return err
	}
	switch node.Kind {
	case yaml.MappingNode:
		return each(node, func(name, value *yaml.Node) error {
			return walk(value, strings.TrimPrefix(key+"."+name.Value, "."), visit)
		})
	case yaml.SequenceNode:
		for i, value := range node.Content {
			if err := walk(value, fmt.Sprintf("%s[%d]", key, i), visit); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d document) checkContent(key string, value *yaml.Node) error {
	if name, _ := lookup(value, "external"); name != nil {
		return d.at(name, key+".external", "there is no store of configs and secrets outside of the project")
	}
	if name, _ := lookup(value, "environment"); name != nil && strings.HasPrefix(key, "configs.") {
		return d.at(name, key+".environment", "your shell's variables take no part: use file or content")
	}
	_, file := lookup(value, "file")
	if file == nil {
		return nil
	}
	return d.inside(key+".file", file)
}

// inside refuses a path that leads out of the layer's folder, or that cannot be read.
func (d document) inside(key string, file *yaml.Node) error {
	switch {
	case remote(file.Value):
		return d.at(file, key, "%q is not on this machine: files come from the overlay's own folder", file.Value)
	case filepath.IsAbs(file.Value) || path.IsAbs(file.Value) || !fs.ValidPath(path.Clean(file.Value)):
		return d.at(file, key, "%q leaves the overlay's folder", file.Value)
	}
	opened, err := d.layer.Files.Open(path.Clean(file.Value))
	if err != nil {
		return d.at(file, key, "cannot read %q: %s", file.Value, lastCause(err))
	}
	defer opened.Close()
	if info, err := opened.Stat(); err != nil || !info.Mode().IsRegular() {
		return d.at(file, key, "%q is not a file", file.Value)
	}
	return nil
}

// remote reports whether Compose would fetch what a path names: a URL, an OCI artefact or a Git repository.
func remote(file string) bool {
	return strings.Contains(file, "://") || strings.Contains(file, ".git#") || strings.HasPrefix(file, "git@") || strings.HasPrefix(file, "github.com/")
}

func (d document) checkService(key string, service *yaml.Node) error {
	for _, refused := range [][2]string{
		{"build", "images are not built here: build it first and name it by image"},
		{"label_file", "write the labels into the overlay"},
		{"provider", "a provider cannot run inside the stack"},
		{"container_name", "a second stack on the same engine could not have it"},
	} {
		if name, _ := lookup(service, refused[0]); name != nil {
			return d.at(name, key+"."+refused[0], "%s", refused[1])
		}
	}
	if _, extends := lookup(service, "extends"); extends != nil {
		if _, file := lookup(extends, "file"); file != nil {
			if err := d.extended(key+".extends.file", file); err != nil {
				return err
			}
		}
	}
	if _, file := lookup(service, "env_file"); file != nil {
		if err := d.envFiles(key+".env_file", file); err != nil {
			return err
		}
	}
	_, volumes := lookup(service, "volumes")
	return d.checkVolumes(key+".volumes", volumes)
}

// extended checks the file that a service extends, which may extend others in turn, and makes its path absolute.
func (d document) extended(key string, file *yaml.Node) error {
	if err := d.inside(key, file); err != nil {
		return err
	}
	raw, err := fs.ReadFile(d.layer.Files, path.Clean(file.Value))
	if err != nil {
		return d.at(file, key, "cannot read %q: %s", file.Value, lastCause(err))
	}
	other := d.layer
	other.Name, other.File = path.Join(path.Dir(d.layer.Name), file.Value), file.Value
	parsed, err := parseDocument(other, raw)
	if err != nil {
		return err
	}
	_, services := lookup(parsed.root, "services")
	if err := each(services, func(name, value *yaml.Node) error {
		if _, extends := lookup(value, "extends"); extends != nil {
			if _, next := lookup(extends, "file"); next != nil {
				return parsed.at(next, "services."+name.Value+".extends.file", "a file that is extended extends no other file")
			}
		}
		return parsed.checkService("services."+name.Value, value)
	}); err != nil {
		return err
	}
	file.Value = d.onDisk(file.Value)
	return nil
}

func (d document) envFiles(key string, node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		if err := d.inside(key, node); err != nil {
			return err
		}
		node.Value = d.onDisk(node.Value)
		return nil
	}
	for i, entry := range node.Content {
		if entry.Kind == yaml.MappingNode {
			_, entry = lookup(entry, "path")
		}
		if entry == nil || entry.Kind != yaml.ScalarNode {
			continue // Compose's schema says what is wrong with it
		}
		if err := d.envFiles(fmt.Sprintf("%s[%d]", key, i), entry); err != nil {
			return err
		}
	}
	return nil
}

func (d document) onDisk(file string) string {
	return filepath.Join(d.layer.Dir, filepath.FromSlash(file))
}

// checkVolumes refuses a bind mount by a relative path: the engine may be another machine, and the path would be one there.
func (d document) checkVolumes(key string, volumes *yaml.Node) error {
	if volumes == nil || volumes.Kind != yaml.SequenceNode {
		return nil
	}
	for i, entry := range volumes.Content {
		source := entry
		if entry.Kind == yaml.MappingNode {
			if _, kind := lookup(entry, "type"); kind == nil || kind.Value != "bind" {
				continue
			}
			_, source = lookup(entry, "source")
		}
		if source == nil || source.Kind != yaml.ScalarNode {
			continue
		}
		from, _, _ := strings.Cut(source.Value, ":")
		if strings.HasPrefix(from, ".") || strings.HasPrefix(from, "~") {
			return d.at(source, fmt.Sprintf("%s[%d]", key, i), "%q is a path on this machine, and the engine may be another: use configs, or an absolute path of the engine's host", from)
		}
	}
	return nil
}

var (
	// keyPath finds the key that Compose's error is about.
	keyPath = regexp.MustCompile(`\b(?:services|networks|volumes|configs|secrets)(?:\.[A-Za-z0-9_-]+|\[\d+\])+`)
	// extraKey finds the name of a key that the schema does not know.
	extraKey = regexp.MustCompile(`additional propert(?:y|ies) '?([A-Za-z0-9_.-]+)'?`)
)

// explain words an error of Compose with the file, the line and the key.
func (d document) explain(err error) error {
	text := firstLine(lastCause(err))
	text = strings.TrimPrefix(text, "validating "+d.layer.Name+": ")
	key := keyPath.FindString(text)
	if key == "" {
		key = "services"
	}
	if extra := extraKey.FindStringSubmatch(strings.ToLower(text)); extra != nil {
		key += "." + extra[1]
	}
	node := d.nearest(key)
	text = strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(text, keyPath.FindString(text)), ":"))
	return d.at(node, key, "%s", text)
}

// nearest returns the node of a dotted key, or of the longest part of it that the file has.
func (d document) nearest(key string) *yaml.Node {
	node, at := d.root, d.root
	for _, step := range strings.FieldsFunc(key, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		name, value := lookup(node, step)
		if name == nil {
			break
		}
		at, node = name, value
	}
	return at
}
