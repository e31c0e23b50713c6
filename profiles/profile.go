// Package profiles knows the named overlays of the bundled stack: what each adds, needs and conflicts with, and which
// compose fragments it brings. Those shipped are embedded; a user's own stand in the config folder.
package profiles

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
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

func (p Profile) is(word string) bool { return p.Name == word || slices.Contains(p.Aliases, word) }

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
		port, err := strconv.Atoi(value)
		// Written as an overlay and a compose file see it: "+80" and "080" are numbers to Go alone.
		if err != nil || port < 1 || port > 65535 || strconv.Itoa(port) != value {
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
	Without string `yaml:"without"` // another profile is off
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
		"journal":            "a systemd journal on the engine's host (journald runs, and keeps it in /var/log or /run/log)",
		"journal-persistent": "a systemd journal in /var/log/journal of the engine's host",
		"journal-volatile":   "a systemd journal in /run/log/journal of the engine's host",
	}
}

// Error is a profile that cannot be used, worded for its user.
type Error struct {
	Text, Advice string
	Usage        bool // the command line was wrong, not a file
}

func (e *Error) Error() string { return e.Text }

// Hint says what helps.
func (e *Error) Hint() string { return e.Advice }
