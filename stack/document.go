package stack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"

	"github.com/docker-telemetry/docker-telemetry/internal/syntax"
)

// document is a layer's compose file as YAML with its lines, so that an error can name them.
type document struct {
	layer       Layer
	root        *yaml.Node // the mapping at the top
	environment types.Mapping
}

// parseDocument reads a compose file. That of a user comes back without aliases and merge keys, so that what is looked
// for in it cannot hide behind one.
func parseDocument(layer Layer, raw []byte, environment types.Mapping) (document, error) {
	d := document{layer: layer, environment: environment, root: &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: 1}}
	var node, more yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	err := decoder.Decode(&node)
	if errors.Is(err, io.EOF) || err == nil && (len(node.Content) == 0 || node.Content[0].Kind != yaml.MappingNode) {
		err = errNoMapping
	}
	if err != nil {
		return d, d.unreadable(raw, err)
	}
	d.root = node.Content[0]
	if layer.Shipped {
		return d, nil
	}
	switch err := decoder.Decode(&more); {
	case err == nil:
		return d, d.at(&more, "---", "a second document: give each file with its own -f")
	case !errors.Is(err, io.EOF):
		return d, d.unreadable(raw, err)
	}
	d.root, err = (&expansion{document: d, open: map[*yaml.Node]bool{}}).expand(d.root, "", 0)
	return d, err
}

func (d document) unreadable(raw []byte, err error) error {
	where := d.layer.Name
	line, cause := syntax.Where(raw, err)
	if line > 0 {
		where += ":" + strconv.Itoa(line)
	}
	return &Error{Text: where + ": not a compose file: " + cause, Advice: overlayAdvice, Usage: !d.layer.Shipped}
}

// An overlay that cannot be read is remembered, perhaps: the hint must work beside it.
const overlayAdvice = "docker telemetry config --profile none -f none shows the project that an overlay is merged onto"

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

// find returns the node below some keys, nil where there is none or where it is taken away by !reset.
func (d document) find(keys ...string) *yaml.Node {
	node := d.root
	for _, step := range keys {
		_, node = lookup(node, step)
	}
	if node == nil || node.Tag == "!reset" {
		return nil
	}
	return node
}

func (d document) at(node *yaml.Node, key, format string, values ...any) *Error {
	return &Error{
		Text:   fmt.Sprintf("%s:%d: %s: %s", d.layer.Name, node.Line, key, fmt.Sprintf(format, values...)),
		Advice: overlayAdvice, Usage: !d.layer.Shipped,
	}
}

// checked refuses what a user's layer cannot mean here, and returns the file with the paths of its extends and env_file
// made absolute: Compose would look for them in the wrong folder.
func (d document) checked() ([]byte, error) {
	if err := each(d.root, func(name, _ *yaml.Node) error { return d.checkSection(name) }); err != nil {
		return nil, err
	}
	if err := d.checkVariables(); err != nil {
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
		return d.at(name, name.Value, "it is not known here, only services, networks, volumes, configs and secrets")
	}
}

// variable matches a variable, what follows it in braces, and the next bracket: a default, or a value where it is set,
// makes it one that need not be there.
func variable() *regexp.Regexp {
	return regexp.MustCompile(`\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(:?[-+])?|([A-Za-z_][A-Za-z0-9_]*))`)
}

// checkVariables refuses a variable without a value: the environment of the caller takes no part, so that the project
// is the same for everybody who runs it.
func (d document) checkVariables() error {
	variable := variable()
	return walk(d.root, "", func(key string, node *yaml.Node) error {
		if node.Kind != yaml.ScalarNode {
			return nil
		}
		for _, found := range variable.FindAllStringSubmatch(strings.ReplaceAll(node.Value, "$$", ""), -1) {
			name := found[1] + found[3]
			if _, known := d.environment[name]; known || found[2] != "" {
				continue
			}
			err := d.at(node, key, "there is no variable %s: those of your shell take no part; a dollar is written $$", name)
			err.Advice = "write the value; known are " + strings.Join(slices.Sorted(maps.Keys(d.environment)), ", ")
			return err
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
	for _, extension := range []struct {
		name, tag, want string
	}{{"x-for", "!!str", "a component's name"}, {"x-content", "!!str", "a text"}, {"x-template", "!!bool", "true or false"}} {
		if name, is := lookup(value, extension.name); name != nil && (is.Kind != yaml.ScalarNode || is.Tag != extension.tag) {
			return d.at(is, key+"."+extension.name, "it must be %s", extension.want)
		}
	}
	_, file := lookup(value, "file")
	if file == nil || file.Tag == "!reset" {
		return nil
	}
	return d.inside(key+".file", file)
}

// inside refuses a path that leads out of the layer's folder, or that cannot be read.
func (d document) inside(key string, file *yaml.Node) error {
	switch {
	case file.Kind != yaml.ScalarNode:
		return d.at(file, key, "it must be the path of a file")
	case remote(file.Value):
		return d.at(file, key, "%q is not on this machine: files come from the overlay's own folder", file.Value)
	case strings.Contains(file.Value, "$"):
		return d.at(file, key, "%q: a path here has no variables", file.Value)
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

// refusedKeys are what a service cannot have here, and why.
func refusedKeys() [][2]string {
	return [][2]string{
		{"build", "images are not built here: build it first and name it by image"},
		{"label_file", "write the labels into the overlay"},
		{"provider", "a provider cannot run inside the stack"},
		{"container_name", "a second stack on the same engine could not have it"},
		{"models", "a model cannot run inside the stack"},
		{"profiles", "every service of an overlay runs; leave the overlay out instead"},
	}
}

func (d document) checkService(key string, service *yaml.Node) error {
	for _, refused := range refusedKeys() {
		if name, value := lookup(service, refused[0]); name != nil && value.Tag != "!reset" {
			return d.at(name, key+"."+refused[0], "%s", refused[1])
		}
	}
	if _, restart := lookup(service, "restart"); restart != nil && restart.Tag == "!!str" && !restartPolicy().MatchString(restart.Value) {
		return d.at(restart, key+".restart", "%q is none of no, always, unless-stopped, on-failure", restart.Value)
	}
	if err := d.checkServiceExtensions(key, service); err != nil {
		return err
	}
	if _, extends := lookup(service, "extends"); extends != nil {
		if err := d.checkExtends(key+".extends", extends); err != nil {
			return err
		}
	}
	if _, file := lookup(service, "env_file"); file != nil {
		if err := d.envFiles(key+".env_file", file); err != nil {
			return err
		}
	}
	if err := d.checkEnvironment(key+".environment", service); err != nil {
		return err
	}
	if err := d.checkSecurity(key+".security_opt", service); err != nil {
		return err
	}
	_, volumes := lookup(service, "volumes")
	return d.checkVolumes(key+".volumes", volumes)
}

// An engine says it only when everything before is running already. A variable is left to it.
func restartPolicy() *regexp.Regexp {
	return regexp.MustCompile(`^(no|always|unless-stopped|on-failure(:\d+)?|.*\$.*)$`)
}

// checkServiceExtensions refuses what would be left out in silence because it has the wrong shape.
func (d document) checkServiceExtensions(key string, service *yaml.Node) error {
	for _, extension := range []struct {
		name string
		keys []string
	}{{"x-ui", []string{"name", "path", "about", "rank"}}, {"x-config-args", []string{"prefix", "folder"}}} {
		_, value := lookup(service, extension.name)
		if value == nil || value.Tag == "!reset" {
			continue
		}
		where, keys := key+"."+extension.name, extension.keys
		if value.Kind != yaml.MappingNode {
			return d.at(value, where, "it must be a mapping with %s", strings.Join(keys, ", "))
		}
		if err := each(value, func(name, field *yaml.Node) error {
			switch {
			case !slices.Contains(keys, name.Value):
				return d.at(name, where+"."+name.Value, "it is not known here, only %s", strings.Join(keys, ", "))
			case name.Value == "rank" && field.Tag != "!!int":
				return d.at(field, where+".rank", "it must be a whole number")
			case name.Value != "rank" && field.Tag != "!!str":
				return d.at(field, where+"."+name.Value, "it must be a text")
			default:
				return nil
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

func (d document) checkExtends(key string, extends *yaml.Node) error {
	if extends.Kind == yaml.ScalarNode && extends.Tag == "!!str" {
		return nil
	}
	name, _ := lookup(extends, "service")
	if _, service := lookup(extends, "service"); name == nil || service.Tag != "!!str" {
		return d.at(extends, key, "it must be a service's name, or a mapping with service and file")
	}
	if _, file := lookup(extends, "file"); file != nil {
		return d.extended(key+".file", file)
	}
	return nil
}

// checkEnvironment refuses a name without a value: it would be the shell's, which takes no part, and so be left out.
func (d document) checkEnvironment(key string, service *yaml.Node) error {
	_, entries := lookup(service, "environment")
	missing := func(at *yaml.Node, name string) error {
		if _, known := d.environment[name]; known {
			return nil
		}
		refusal := d.at(at, key+"."+name, "it has no value: your shell's variables take no part")
		refusal.Advice = "write the value; to take one of the stack's away: " + name + ": !reset null"
		return refusal
	}
	if entries != nil && entries.Kind == yaml.SequenceNode {
		for _, entry := range entries.Content {
			if name, _, found := strings.Cut(entry.Value, "="); !found && entry.Kind == yaml.ScalarNode {
				if err := missing(entry, name); err != nil {
					return err
				}
			}
		}
	}
	return each(entries, func(name, value *yaml.Node) error {
		if value.Kind == yaml.ScalarNode && value.Tag == "!!null" {
			return missing(name, name.Value)
		}
		return nil
	})
}

// checkSecurity refuses a seccomp profile in a file: Compose would read it from this machine's root folder.
func (d document) checkSecurity(key string, service *yaml.Node) error {
	_, options := lookup(service, "security_opt")
	if options == nil || options.Kind != yaml.SequenceNode {
		return nil
	}
	for i, option := range options.Content {
		name, value, _ := strings.Cut(strings.Replace(option.Value, "=", ":", 1), ":")
		if name == "seccomp" && value != "unconfined" && value != "builtin" {
			return d.at(option, fmt.Sprintf("%s[%d]", key, i), "%q: a profile in a file is not read here, only unconfined and builtin are known", option.Value)
		}
	}
	return nil
}

// extended checks the file that a service extends, which may extend others in turn, and makes its path absolute.
func (d document) extended(key string, file *yaml.Node) error {
	if err := d.inside(key, file); err != nil {
		return err
	}
	raw, err := d.layer.bytes(file.Value, maxDocument)
	if err != nil {
		return d.at(file, key, "cannot read %q: %s", file.Value, lastCause(err))
	}
	other := d.layer
	other.Name, other.File = path.Join(path.Dir(d.layer.Name), file.Value), file.Value
	parsed, err := parseDocument(other, raw, d.environment)
	if err != nil {
		return err
	}
	if err := parsed.checkVariables(); err != nil {
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
	d.putOnDisk(file)
	return nil
}

func (d document) envFiles(key string, node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode && node.Tag != "!reset" {
		if err := d.inside(key, node); err != nil {
			return err
		}
		d.putOnDisk(node)
		return nil
	}
	for i, entry := range node.Content {
		optional := false
		if entry.Kind == yaml.MappingNode {
			_, required := lookup(entry, "required")
			optional = required != nil && required.Value == "false"
			_, entry = lookup(entry, "path")
		}
		if entry == nil || entry.Kind != yaml.ScalarNode {
			continue // Compose's schema says what is wrong with it
		}
		if _, err := fs.Stat(d.layer.Files, path.Clean(entry.Value)); optional && errors.Is(err, fs.ErrNotExist) {
			d.putOnDisk(entry)
			continue
		}
		if err := d.envFiles(fmt.Sprintf("%s[%d]", key, i), entry); err != nil {
			return err
		}
	}
	return nil
}

// putOnDisk makes a path absolute: Compose would look for it in the wrong folder.
func (d document) putOnDisk(file *yaml.Node) {
	file.SetString(filepath.Join(d.layer.Dir, filepath.FromSlash(file.Value)))
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
