package profiles_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/profiles"
)

// folder is a profile's folder with a profile.yaml of the given text.
func folder(text string) fstest.MapFS {
	return fstest.MapFS{
		profiles.File:  {Data: []byte(text)},
		"compose.yaml": {Data: []byte("services: {}\n")},
		"more/b.yaml":  {Data: []byte("services: {}\n")},
	}
}

func TestReadTakesEverything(t *testing.T) {
	profile, err := profiles.Read(folder(`
name: mine
aliases: [my-own]
adds: one line
includes: [otel]
conflicts: [{profile: minimal, because: it has no Grafana}]
needs: [journal]
scale: {aggregator: 3}
options:
  way: {default: a, values: [a, b], about: which}
  way-port: {default: "4317", port: true, about: where}
credentials: {store: {user: me}}
parts:
  - {file: compose.yaml}
  - {file: more/b.yaml, when: {profile: otel, option: way=b, host: native}, otherwise: left out}
checks:
  - {metric: up}
  - {log: {stream: docker, where: "1 = 1"}}
  - {otlp: logs}
rank: 7
`), "/home/me/mine")
	assert.NilError(t, err)
	assert.Equal(t, profile.Name, "mine")
	assert.Equal(t, profile.Rank, 7)
	assert.Equal(t, profile.Origin, "/home/me/mine")
	assert.DeepEqual(t, profile.Parts[1].When, profiles.When{Profile: "otel", Option: "way=b", Host: "native"})
	var said []string
	for _, check := range profile.Checks {
		said = append(said, check.String())
	}
	assert.DeepEqual(t, said, []string{"metric up", "log in stream docker where 1 = 1", "OTLP logs"})
}

func TestReadTakesTheLeast(t *testing.T) {
	profile, err := profiles.Read(folder("{name: mine, adds: one line}"), "")
	assert.NilError(t, err)
	assert.DeepEqual(t, profile.Parts, []profiles.Part{{File: "compose.yaml"}})
}

// Every error names the file, the line where there is one, and the key.
func TestReadRefuses(t *testing.T) {
	const good = "name: mine\nadds: one line\n"
	for _, tc := range []struct{ name, text, want string }{
		{"nothing", "", `profile.yaml: name: "" is not a name: begin with a letter, then a-z, 0-9 and -, at most 40 characters`},
		{"a list", "- a\n", "profile.yaml:1: it is a list, not a mapping"},
		{"no YAML", good + "x: [\n", "profile.yaml:4: did not find expected node content"},
		{"a tab", good + "\tx: 1\n", "profile.yaml:3: found a tab character that violates indentation"},
		{"two documents", good + "---\n" + good, "profile.yaml: it holds more than one document"},
		{"a key twice", good + "rank: 1\nrank: 2\n", `profile.yaml:4: mapping key "rank" already defined at line 3`},
		{"an unknown key", good + "author: me\n", "profile.yaml:3: author: it is not known here"},
		{"an unknown key further down", good + "parts:\n  - {file: compose.yaml, unless: x}\n", "profile.yaml:4: unless: it is not known here"},
		{"a word for a list", good + "includes: otel\n", `profile.yaml:3: includes: it is "otel", not a list`},
		{"a list for a word", "name: [mine]\nadds: one line\n", "profile.yaml:1: name: it is a list, not a text"},
		{"a mapping for a list", good + "\n\nneeds: {journal: true}\n", "profile.yaml:5: needs: it is a mapping, not a list"},
		{"a word for a number", good + "scale:\n  aggregator: many\n", `profile.yaml:4: scale: it is "many", not a whole number`},
		{"a name with capitals", "name: Mine\nadds: one line\n", `profile.yaml:1: name: "Mine" is not a name: begin with a letter, then a-z, 0-9 and -, at most 40 characters`},
		{"a name that is a path", "name: ../mine\nadds: x\n", `profile.yaml:1: name: "../mine" is not a name: begin with a letter, then a-z, 0-9 and -, at most 40 characters`},
		{"the word that switches off", "name: none\nadds: x\n", `profile.yaml:1: name: "none" is not a name: begin with a letter, then a-z, 0-9 and -, at most 40 characters`},
		{"an alias that switches off", good + "aliases: [a, none]\n", `profile.yaml:3: aliases[1]: "none" is not a name: begin with a letter, then a-z, 0-9 and -, at most 40 characters`},
		{"nothing said", "name: mine\n", "profile.yaml: adds: say in one line what it adds"},
		{"two lines said", "name: mine\nadds: |\n  a\n  b\n", "profile.yaml:2: adds: say in one line what it adds"},
		{"a conflict without a reason", good + "conflicts: [{profile: otel}]\n", "profile.yaml:3: conflicts[0]: set profile and because"},
		{"a conflict with itself", good + "aliases: [my]\nconflicts:\n- {profile: my, because: x}\n", `profile.yaml:5: conflicts[0].profile: "my" is part of this profile`},
		{"a conflict with what it includes", good + "includes: [otel]\nconflicts: [{profile: otel, because: x}]\n", `profile.yaml:4: conflicts[0].profile: "otel" is part of this profile`},
		{
			"an unknown need", good + "needs: [journal, gpu]\n",
			`profile.yaml:3: needs[1]: "gpu" is not known, only journal, journal-persistent, journal-volatile`,
		},
		{"no replica", good + "scale: {aggregator: 0}\n", "profile.yaml:3: scale.aggregator: 0 is not a number of replicas from 1 to 50"},
		{"too many replicas", good + "scale: {aggregator: 51}\n", "profile.yaml:3: scale.aggregator: 51 is not a number of replicas from 1 to 50"},
		{"an option without values", good + "options: {way: {default: a}}\n", "profile.yaml:3: options.way: set values, or port: true"},
		{"an option of both kinds", good + "options: {way: {port: true, values: [a]}}\n", "profile.yaml:3: options.way: set values, or port: true"},
		{"a default that is no value", good + "options:\n  way: {default: c, values: [a, b]}\n", `profile.yaml:4: options.way.default: "c" is not one of a, b`},
		{"a default that is no port", good + "options: {way: {default: http, port: true}}\n", `profile.yaml:3: options.way.default: "http" is no port: choose one of 1 to 65535`},
		{"a port that Go alone reads", good + "options: {way: {default: \"+80\", port: true}}\n", `profile.yaml:3: options.way.default: "+80" is no port: choose one of 1 to 65535`},
		{
			"an option that is no flag", good + "options: {My Way: {default: a, values: [a]}}\n",
			`profile.yaml:3: options.My Way: "My Way" is not a name: begin with a letter, then a-z, 0-9 and -, at most 40 characters`,
		},
		{"a log-in without a user", good + "credentials: {store: {}}\n", "profile.yaml:3: credentials.store: user: say who logs in"},
		{"a log-in of the stack", good + "credentials: {grafana: {user: me}}\n", "profile.yaml:3: credentials.grafana: the stack has a log-in of that name already"},
		{"a user that a store refuses", good + "credentials: {store: {user: Me Too}}\n", `profile.yaml:3: credentials.store: user: "Me Too" holds characters that a user name must not have`},
		{
			"a log-in that is a path", good + "credentials: {../x: {user: me}}\n",
			`profile.yaml:3: credentials.../x: "../x" is not a name: begin with a letter, then a-z, 0-9 and -, at most 40 characters`,
		},
		{"a part outside", good + "parts: [{file: ../compose.yaml}]\n", `profile.yaml:3: parts[0].file: "../compose.yaml" is not a path inside the profile's folder`},
		{"a part by its whole path", good + "parts: [{file: /etc/passwd}]\n", `profile.yaml:3: parts[0].file: "/etc/passwd" is not a path inside the profile's folder`},
		{"a part without a file", good + "parts: [{when: {host: native}}]\n", `profile.yaml:3: parts[0].file: "" is not a path inside the profile's folder`},
		{"a part that is not there", good + "parts:\n- {file: compose.yaml}\n- {file: c.yaml}\n", `profile.yaml:5: parts[1].file: there is no file "c.yaml" in the profile's folder`},
		{"a part that is a folder", good + "parts: [{file: more}]\n", `profile.yaml:3: parts[0].file: there is no file "more" in the profile's folder`},
		{
			"a host of no kind", good + "parts: [{file: compose.yaml, when: {host: linux}}]\n",
			`profile.yaml:3: parts[0].when.host: "linux" is not known, only native and journal, journal-persistent, journal-volatile`,
		},
		{
			"an option that it has not", good + "parts: [{file: compose.yaml, when: {option: otlp=plain}}]\n",
			`profile.yaml:3: parts[0].when.option: "otlp=plain" is not a value of an option of this profile`,
		},
		{
			"a value that the option has not", good + "options: {way: {default: a, values: [a]}}\nparts: [{file: compose.yaml, when: {option: way=b}}]\n",
			`profile.yaml:4: parts[0].when.option: "way=b" is not a value of an option of this profile`,
		},
		{"an empty check", good + "checks: [{}]\n", "profile.yaml:3: checks[0]: set one of metric, log, otlp"},
		{"a check of two kinds", good + "checks: [{metric: up, otlp: logs}]\n", "profile.yaml:3: checks[0]: set one of metric, log, otlp"},
		{"a check of an unknown signal", good + "checks: [{otlp: profiles}]\n", `profile.yaml:3: checks[0].otlp: "profiles" is not one of logs, metrics, traces`},
		{"a check of no stream", good + "checks: [{log: {where: a}}]\n", "profile.yaml:3: checks[0].log: set stream and where"},
		{"too long", good + "# " + strings.Repeat("x", 1<<20), "cannot read profile.yaml: it has more than 1048576 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := profiles.Read(folder(tc.text), "")
			assert.Error(t, err, tc.want)
			var refusal *profiles.Error
			assert.Assert(t, errors.As(err, &refusal))
			assert.Equal(t, refusal.Hint(), "docker telemetry profiles create NAME writes one that works")
			assert.Assert(t, !refusal.Usage)
		})
	}
}

// The decoder bounds what aliases come to, so nothing of ours has to.
func TestReadBoundsAliases(t *testing.T) {
	var bomb strings.Builder
	fmt.Fprintf(&bomb, "name: mine\nadds: x\noptions:\n  a: &a {default: x, values: [%sx]}\n", strings.Repeat("x,", 5000))
	for i := range 5000 {
		fmt.Fprintf(&bomb, "  a%d: *a\n", i)
	}
	_, err := profiles.Read(folder(bomb.String()), "")
	assert.Error(t, err, "profile.yaml: document contains excessive aliasing")
}

func TestReadWithoutAFileIsNotThere(t *testing.T) {
	_, err := profiles.Read(fstest.MapFS{}, "")
	assert.Assert(t, errors.Is(err, fs.ErrNotExist), err)
}
