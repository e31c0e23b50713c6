// Package profiles knows the named overlays of the bundled stack: what each adds, needs and conflicts with, and which
// compose fragments it brings. Those shipped are embedded; a user's own stand in the config folder.
package profiles

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// None is the word that switches all profiles off: `up --profile none`.
const None = "none"

// Profile is one named overlay, as its profile.yaml says it.
type Profile struct {
	Name        string                `yaml:"name"`
	Aliases     []string              `yaml:"aliases"`
	Adds        string                `yaml:"adds"`        // one line: what a person gets
	Includes    []string              `yaml:"includes"`    // profiles that it switches on as well
	Conflicts   []Conflict            `yaml:"conflicts"`   // profiles that it cannot be combined with
	Needs       []string              `yaml:"needs"`       // features of the engine's host, see Features
	Scale       map[string]int        `yaml:"scale"`       // replicas by component, unless --scale says otherwise
	Options     map[string]Option     `yaml:"options"`     // choices of `up`, remembered by the stack
	Credentials map[string]Credential `yaml:"credentials"` // log-ins that it needs, by name
	Parts       []Part                `yaml:"parts"`       // compose fragments in the order they are merged
	Checks      []Check               `yaml:"checks"`      // what proves it
	// Rank orders the merge: lower first, then by name. One that takes services away comes after those that add to them.
	Rank int `yaml:"rank"`

	// Files is the profile's folder.
	Files fs.FS `yaml:"-"`
	// Origin is the folder's path of a user's profile, "" for a shipped one.
	Origin string `yaml:"-"`
}

// Conflict is a profile that another cannot be combined with, and why.
type Conflict struct {
	Profile string `yaml:"profile"`
	Because string `yaml:"because"`
}

// Option is a choice that `up` takes and the stack remembers.
type Option struct {
	Default string   `yaml:"default"`
	Values  []string `yaml:"values"`
	Port    bool     `yaml:"port"` // any TCP port instead of Values; compose files have it as ${OPTION_NAME}
	About   string   `yaml:"about"`
}

// takes says, as an error, what a value of the option may be.
func (o Option) takes(value string) error {
	if o.Port {
		if port, err := strconv.Atoi(value); err != nil || port < 1 || port > 65535 {
			return errors.New("no port: choose one of 1 to 65535")
		}
		return nil
	}
	if !slices.Contains(o.Values, value) {
		return fmt.Errorf("not one of %s", strings.Join(o.Values, ", "))
	}
	return nil
}

// Credential is a log-in to make: the secrets NAME_user, with the user given, and NAME_password, random.
type Credential struct {
	User string `yaml:"user"`
}

// Part is one compose fragment, and when it takes part.
type Part struct {
	File string `yaml:"file"`
	When When   `yaml:"when"`
	// Otherwise is said to the user when the part is left out for a reason that is not of their choice.
	Otherwise string `yaml:"otherwise"`
}

// When is a condition; all that is set must hold.
type When struct {
	Profile string `yaml:"profile"` // another profile is on
	Option  string `yaml:"option"`  // an option has a value, as "otlp=plain"
	Host    string `yaml:"host"`    // Native, or a feature that the engine's host has
}

// Check proves that a profile does what it says; one of Metric, Log and OTLP is set.
type Check struct {
	About  string    `yaml:"about"`  // what it proves in a few words; "" shows the query
	Metric string    `yaml:"metric"` // PromQL that must answer with a series
	Log    *LogCheck `yaml:"log"`
	OTLP   string    `yaml:"otlp"` // logs, metrics or traces: sent to the published port and found in its store
}

// LogCheck is a stream of OpenObserve that must have a record.
type LogCheck struct {
	Stream string `yaml:"stream"`
	Where  string `yaml:"where"` // SQL condition
}

// String names the check for a person.
func (c Check) String() string {
	switch {
	case c.About != "":
		return c.About
	case c.Log != nil:
		return fmt.Sprintf("log in stream %s where %s", c.Log.Stream, c.Log.Where)
	case c.OTLP != "":
		return "OTLP " + c.OTLP
	default:
		return "metric " + c.Metric
	}
}

// Native is the host of an engine that runs on a Linux of its own, not in the machine of Docker Desktop or WSL2.
const Native = "native"

// Features are the words that `needs` and `when.host` may hold, each with what it means for a person.
func Features() map[string]string {
	return map[string]string{
		"journal":            "a systemd journal on the engine's host (/var/log/journal or /run/log/journal)",
		"journal-persistent": "a systemd journal in /var/log/journal of the engine's host",
		"journal-volatile":   "a systemd journal in /run/log/journal of the engine's host",
	}
}

// nameShape is that of a folder and of a word on the command line.
var nameShape = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

// File is the name of the file that makes a folder a profile.
const File = "profile.yaml"

// Read parses the profile in a folder. The error names the file, the line where YAML knows one, and the key.
func Read(folder fs.FS, origin string) (Profile, error) {
	raw, err := fs.ReadFile(folder, File)
	if err != nil {
		return Profile{}, err
	}
	profile := Profile{Files: folder, Origin: origin}
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	if err := decoder.Decode(&profile); err != nil && !errors.Is(err, io.EOF) {
		return Profile{}, &Error{Text: fmt.Sprintf("%s: %s", at(origin, File), yamlCause(err)), Advice: "docker telemetry profiles create NAME writes one that works"}
	}
	if len(profile.Parts) == 0 {
		profile.Parts = []Part{{File: "compose.yaml"}}
	}
	if err := profile.check(); err != nil {
		return Profile{}, &Error{Text: fmt.Sprintf("%s: %s", at(origin, File), err), Advice: "docker telemetry profiles create NAME writes one that works"}
	}
	return profile, nil
}

func at(origin, file string) string {
	if origin == "" {
		return file
	}
	return origin + "/" + file
}

// yamlCause is the first line of what the decoder complains about, without its prefix.
func yamlCause(err error) string {
	lines := strings.Split(err.Error(), "\n")
	text := strings.TrimPrefix(lines[0], "yaml: ")
	if len(lines) > 1 && strings.HasSuffix(text, "unmarshal errors:") {
		text = strings.TrimSpace(lines[1])
	}
	return strings.ReplaceAll(text, " not found in type profiles.Profile", " is not known here")
}

func (p Profile) check() error {
	if !nameShape.MatchString(p.Name) || p.Name == None {
		return fmt.Errorf("name: %q is not a name: begin with a letter, then a-z, 0-9 and -, at most 40 characters", p.Name)
	}
	if p.Adds == "" || strings.Contains(p.Adds, "\n") {
		return errors.New("adds: say in one line what it adds")
	}
	for i, part := range p.Parts {
		if err := p.checkPart(part); err != nil {
			return fmt.Errorf("parts[%d]: %w", i, err)
		}
	}
	for _, need := range p.Needs {
		if _, known := Features()[need]; !known {
			return fmt.Errorf("needs: %q is not known, only %s", need, words(Features()))
		}
	}
	for i, check := range p.Checks {
		if err := check.check(); err != nil {
			return fmt.Errorf("checks[%d]: %w", i, err)
		}
	}
	for name, option := range p.Options {
		if err := option.takes(option.Default); err != nil {
			return fmt.Errorf("options.%s: the default %q is %w", name, option.Default, err)
		}
	}
	return nil
}

func (p Profile) checkPart(part Part) error {
	if !fs.ValidPath(part.File) {
		return fmt.Errorf("file: %q is not a path inside the profile's folder", part.File)
	}
	if _, err := fs.Stat(p.Files, part.File); err != nil {
		return fmt.Errorf("file: %q is not there", part.File)
	}
	if _, known := Features()[part.When.Host]; !known && part.When.Host != "" && part.When.Host != Native {
		return fmt.Errorf("when.host: %q is not known, only %s and %s", part.When.Host, Native, words(Features()))
	}
	if part.When.Option == "" {
		return nil
	}
	name, value, _ := strings.Cut(part.When.Option, "=")
	if option, known := p.Options[name]; !known || !slices.Contains(option.Values, value) {
		return fmt.Errorf("when.option: %q is not a value of an option of this profile", part.When.Option)
	}
	return nil
}

func (c Check) check() error {
	set := 0
	for _, is := range []bool{c.Metric != "", c.Log != nil, c.OTLP != ""} {
		if is {
			set++
		}
	}
	if set != 1 {
		return errors.New("set one of metric, log, otlp")
	}
	if c.OTLP != "" && !slices.Contains([]string{"logs", "metrics", "traces"}, c.OTLP) {
		return fmt.Errorf("otlp: %q is not one of logs, metrics, traces", c.OTLP)
	}
	return nil
}

// Error is a profile that cannot be used, worded for its user.
type Error struct {
	Text, Advice string
	Usage        bool // the command line was wrong, not a file
}

func (e *Error) Error() string { return e.Text }

// Hint says what helps.
func (e *Error) Hint() string { return e.Advice }

func words[V any](set map[string]V) string {
	names := make([]string, 0, len(set))
	for name := range set {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
