package profiles

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/docker-telemetry/docker-telemetry/internal/credentials"
	"github.com/docker-telemetry/docker-telemetry/internal/syntax"
)

// File is the name of the file that makes a folder a profile.
const File = "profile.yaml"

const (
	maxFile = 1 << 20 // bytes of a profile.yaml
	// MaxReplicas is what `up --scale` takes at most, and so a profile may ask for.
	MaxReplicas = 50
)

// Read parses the profile in a folder. A folder without a profile.yaml is an fs.ErrNotExist; every other error is an
// *Error that names the file, the line where there is one, and the key.
func Read(folder fs.FS, origin string) (Profile, error) {
	file := at(origin, File)
	raw, err := readFile(folder, File)
	if errors.Is(err, fs.ErrNotExist) {
		return Profile{}, err
	}
	if err != nil {
		return Profile{}, &Error{Text: fmt.Sprintf("cannot read %s: %s", file, cause(err)), Advice: readAdvice(origin)}
	}
	profile := Profile{Files: folder, Origin: origin}
	err = decode(raw, &profile)
	if len(profile.Parts) == 0 {
		profile.Parts = []Part{{File: "compose.yaml"}}
	}
	if err == nil {
		err = profile.check()
	}
	if err != nil {
		return Profile{}, &Error{Text: located(file, raw, err), Advice: readAdvice(origin)}
	}
	return profile, nil
}

func readAdvice(origin string) string {
	if origin == "" {
		return "docker telemetry profiles create NAME writes one that works"
	}
	return "mend it, or remove it: docker telemetry profiles rm " + filepath.Base(origin)
}

func at(origin, file string) string {
	if origin == "" {
		return file
	}
	return origin + "/" + file
}

func readFile(folder fs.FS, name string) ([]byte, error) {
	opened, err := folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	raw, err := io.ReadAll(io.LimitReader(opened, maxFile+1))
	if err == nil && len(raw) > maxFile {
		return nil, fmt.Errorf("it has more than %d bytes", maxFile)
	}
	return raw, err
}

// cause is the innermost message of a chain of Go errors.
func cause(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err.Error()
}

// problem is what is wrong with one key of a profile.yaml.
type problem struct{ key, text string }

func (p *problem) Error() string { return p.key + ": " + p.text }

func wrong(key, format string, values ...any) error {
	return &problem{key, fmt.Sprintf(format, values...)}
}

func decode(raw []byte, profile *Profile) error {
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	if err := decoder.Decode(profile); err != nil {
		if errors.Is(err, io.EOF) {
			return nil // an empty file lacks a name, as check says
		}
		return err
	}
	if err := decoder.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return errors.New("it holds more than one document")
	}
	return nil
}

// located words an error with the file, the line and the key.
func located(file string, raw []byte, err error) string {
	var root yaml.Node
	_ = yaml.Unmarshal(raw, &root)
	var known *problem
	if errors.As(err, &known) {
		if line := lineOf(&root, known.key); line > 0 {
			file = fmt.Sprintf("%s:%d", file, line)
		}
		return fmt.Sprintf("%s: %s: %s", file, known.key, known.text)
	}
	line, text := syntax.Where(raw, err)
	var types *yaml.TypeError
	if errors.As(err, &types) && len(types.Errors) > 0 {
		line, text = syntax.Where(raw, errors.New(types.Errors[0]))
	}
	if line > 0 {
		file = fmt.Sprintf("%s:%d", file, line)
	}
	if field := unknownField().FindStringSubmatch(text); field != nil {
		return fmt.Sprintf("%s: %s: it is not known here", file, field[1])
	}
	if kind := wrongType().FindStringSubmatch(text); kind != nil {
		return fmt.Sprintf("%s: %s%s, not %s", file, keyAt(&root, line), article(kind[1], kind[2]), meant(kind[3]))
	}
	return file + ": " + text
}

// article names what stands there: "abc", or a list.
func article(tag, value string) string {
	switch tag {
	case "seq":
		return "it is a list"
	case "map":
		return "it is a mapping"
	default:
		return fmt.Sprintf("it is %q", value)
	}
}

// meant names a Go type as YAML knows it.
func meant(kind string) string {
	switch {
	case strings.HasPrefix(kind, "[]"):
		return "a list"
	case kind == "int":
		return "a whole number"
	case kind == "bool":
		return "true or false"
	case kind == "string":
		return "a text"
	default:
		return "a mapping"
	}
}

// lineOf returns the line of a key such as parts[1].when.host, or of the longest part of it that there is, 0 for none.
func lineOf(root *yaml.Node, key string) int {
	node, line := root, 0
	if node.Kind == yaml.DocumentNode {
		node = node.Content[0]
	}
	for _, step := range strings.FieldsFunc(key, func(r rune) bool { return strings.ContainsRune(".[]", r) }) {
		next := child(node, step)
		if next == nil {
			break
		}
		node, line = next, next.Line
	}
	return line
}

func child(node *yaml.Node, step string) *yaml.Node {
	if node.Kind == yaml.SequenceNode {
		if i, err := strconv.Atoi(step); err == nil && i < len(node.Content) {
			return node.Content[i]
		}
		return nil
	}
	for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == step {
			return node.Content[i+1]
		}
	}
	return nil
}

// keyAt returns the last key at the top of the file that begins at or before a line, with a colon, "" for none.
func keyAt(root *yaml.Node, line int) string {
	key := ""
	if root.Kind != yaml.DocumentNode || root.Content[0].Kind != yaml.MappingNode {
		return key
	}
	for i := 0; i < len(root.Content[0].Content); i += 2 {
		if name := root.Content[0].Content[i]; name.Line <= line {
			key = name.Value + ": "
		}
	}
	return key
}

func (p Profile) check() error {
	if err := checkName("name", p.Name); err != nil {
		return err
	}
	for i, alias := range p.Aliases {
		if err := checkName(fmt.Sprintf("aliases[%d]", i), alias); err != nil {
			return err
		}
	}
	if p.Adds == "" || strings.Contains(p.Adds, "\n") {
		return wrong("adds", "say in one line what it adds")
	}
	for _, check := range []func() error{p.checkOthers, p.checkScale, p.checkOptions, p.checkCredentials, p.checkParts, p.checkChecks} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func checkName(key, name string) error {
	if !nameShape().MatchString(name) || name == None {
		return wrong(key, "%q is not a name: begin with a letter, then a-z, 0-9 and -, at most 40 characters", name)
	}
	return nil
}

// checkOthers looks at what the profile says of other profiles and of the host. Whether those profiles exist shows when
// it is switched on: a user's profile may name one that is yet to be made.
func (p Profile) checkOthers() error {
	for i, conflict := range p.Conflicts {
		key := fmt.Sprintf("conflicts[%d]", i)
		if conflict.Profile == "" || conflict.Because == "" {
			return wrong(key, "set profile and because")
		}
		if p.is(conflict.Profile) || slices.ContainsFunc(p.Includes, func(word string) bool { return word == conflict.Profile }) {
			return wrong(key+".profile", "%q is part of this profile", conflict.Profile)
		}
	}
	for i, need := range p.Needs {
		if _, known := Features()[need]; !known {
			return wrong(fmt.Sprintf("needs[%d]", i), "%q is not known, only %s", need, words(Features()))
		}
	}
	return nil
}

func (p Profile) checkScale() error {
	for _, component := range slices.Sorted(maps.Keys(p.Scale)) {
		if replicas := p.Scale[component]; replicas < 1 || replicas > MaxReplicas {
			return wrong("scale."+component, "%d is not a number of replicas from 1 to %d", replicas, MaxReplicas)
		}
	}
	return nil
}

func (p Profile) checkOptions() error {
	for _, name := range slices.Sorted(maps.Keys(p.Options)) {
		key, option := "options."+name, p.Options[name]
		switch {
		case !nameShape().MatchString(name):
			return wrong(key, "%q is not a name: begin with a letter, then a-z, 0-9 and -, at most 40 characters", name)
		case option.Port == (len(option.Values) > 0):
			return wrong(key, "set values, or port: true")
		}
		if err := option.takes(option.Default); err != nil {
			return wrong(key+".default", "%q is %s", option.Default, err)
		}
	}
	return nil
}

func (p Profile) checkCredentials() error {
	for _, name := range slices.Sorted(maps.Keys(p.Credentials)) {
		if err := credentials.CheckExtra(name, p.Credentials[name].User); err != nil {
			return wrong("credentials."+name, "%s", err)
		}
	}
	return nil
}

func (p Profile) checkParts() error {
	for i, part := range p.Parts {
		if err := p.checkPart(fmt.Sprintf("parts[%d]", i), part); err != nil {
			return err
		}
	}
	return nil
}

func (p Profile) checkPart(key string, part Part) error {
	if !fs.ValidPath(part.File) {
		return wrong(key+".file", "%q is not a path inside the profile's folder", part.File)
	}
	if info, err := fs.Stat(p.Files, part.File); err != nil || !info.Mode().IsRegular() {
		return wrong(key+".file", "there is no file %q in the profile's folder", part.File)
	}
	if _, known := Features()[part.When.Host]; !known && part.When.Host != "" && part.When.Host != Native {
		return wrong(key+".when.host", "%q is not known, only %s and %s", part.When.Host, Native, words(Features()))
	}
	if part.When.Option == "" {
		return nil
	}
	name, value, _ := strings.Cut(part.When.Option, "=")
	if option, known := p.Options[name]; !known || !slices.Contains(option.Values, value) {
		return wrong(key+".when.option", "%q is not a value of an option of this profile", part.When.Option)
	}
	return nil
}

func (p Profile) checkChecks() error {
	for i, check := range p.Checks {
		if err := check.check(fmt.Sprintf("checks[%d]", i)); err != nil {
			return err
		}
	}
	return nil
}

func (c Check) check(key string) error {
	set := 0
	for _, is := range []bool{c.Metric != "", c.Log != nil, c.OTLP != ""} {
		if is {
			set++
		}
	}
	switch {
	case set != 1:
		return wrong(key, "set one of metric, log, otlp")
	case c.OTLP != "" && !slices.Contains([]string{"logs", "metrics", "traces"}, c.OTLP):
		return wrong(key+".otlp", "%q is not one of logs, metrics, traces", c.OTLP)
	case c.Log != nil && (c.Log.Stream == "" || c.Log.Where == ""):
		return wrong(key+".log", "set stream and where")
	default:
		return nil
	}
}

func words[V any](set map[string]V) string { return strings.Join(slices.Sorted(maps.Keys(set)), ", ") }

// nameShape is that of a folder and of a word on the command line.
func nameShape() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`) }

func wrongType() *regexp.Regexp {
	return regexp.MustCompile("^cannot unmarshal !!(\\w+)(?: `(.*)`)? into (\\S+)$")
}

func unknownField() *regexp.Regexp { return regexp.MustCompile(`^field (.*) not found in type \S+$`) }
