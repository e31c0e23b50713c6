package plugin

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

var (
	jsonHeading = regexp.MustCompile("^`docker telemetry ([a-z ]+?)(?: [A-Z]+)? --format json`$")
	jsonField   = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]+) \\| (.*) \\|$")
)

// contract is what docs/reference/json.md says of each command: the type and the meaning of each field, by its path.
type contract map[string]map[string][2]string

func readContract() (contract, error) {
	page, err := os.ReadFile("../docs/reference/json.md")
	if err != nil {
		return nil, err
	}
	// A Windows checkout may have other line ends.
	text := strings.ReplaceAll(string(page), "\r\n", "\n")
	found := contract{}
	for _, section := range strings.Split(text, "\n## ")[1:] {
		title, body, _ := strings.Cut(section, "\n")
		command := jsonHeading.FindStringSubmatch(title)
		if command == nil {
			continue
		}
		found[command[1]] = map[string][2]string{}
		for _, row := range jsonField.FindAllStringSubmatch(body, -1) {
			found[command[1]][row[1]] = [2]string{row[2], row[3]}
		}
	}
	return found, nil
}

// breaks lists where an answer is not what the contract says: a field that is not documented there, one of another
// type, and one that is documented and absent, unless it may be.
func (c contract) breaks(command, answer string) []string {
	fields, known := c[command]
	if !known {
		return []string{"docs/reference/json.md has no section on " + command + " --format json"}
	}
	var value any
	if err := json.Unmarshal([]byte(answer), &value); err != nil {
		return []string{fmt.Sprintf("%s prints no JSON: %s", command, err)}
	}
	var found []string
	walkJSON("", value, func(object string, members map[string]any) {
		for _, name := range slices.Sorted(maps.Keys(members)) {
			field := strings.TrimPrefix(object+"."+name, ".")
			documented, known := fields[field]
			switch {
			case known && !isA(members[name], documented[0]):
				found = append(found, fmt.Sprintf("%s: %s is no %s", command, field, documented[0]))
			case !known && !strings.Contains(fields[strings.TrimSuffix(object, "[]")][1], "`"+name+"`"):
				found = append(found, fmt.Sprintf("%s: %s is not documented", command, field))
			}
		}
		for field, documented := range fields {
			parent, name := "", field
			if dot := strings.LastIndex(field, "."); dot >= 0 {
				parent, name = field[:dot], field[dot+1:]
			}
			if _, there := members[name]; parent == object && !there && !strings.HasPrefix(documented[1], "absent, or ") {
				found = append(found, fmt.Sprintf("%s: %s is documented and absent", command, field))
			}
		}
	})
	slices.Sort(found)
	return found
}

func holdsContract(t *testing.T, command, answer string) {
	t.Helper()
	documented, err := readContract()
	assert.NilError(t, err)
	assert.Equal(t, strings.Join(documented.breaks(command, answer), "\n"), "")
}

// walkJSON visits each object below a value with its path, as the contract writes it: parent.child, list[].
func walkJSON(path string, value any, visit func(path string, members map[string]any)) {
	switch value := value.(type) {
	case map[string]any:
		visit(path, value)
		for name, member := range value {
			walkJSON(strings.TrimPrefix(path+"."+name, "."), member, visit)
		}
	case []any:
		for _, entry := range value {
			walkJSON(path+"[]", entry, visit)
		}
	}
}

func isA(value any, documented string) bool {
	documented, nullable := strings.CutSuffix(documented, " or null")
	switch value := value.(type) {
	case nil:
		return nullable
	case bool:
		return documented == "boolean"
	case float64:
		return documented == "number" || documented == "number or null"
	case string:
		return documented == "string" || strings.HasPrefix(documented, "time")
	case []any:
		return documented == "array" || documented == "array of strings" && !slices.ContainsFunc(value, func(entry any) bool { _, text := entry.(string); return !text })
	default:
		return strings.HasPrefix(documented, "object")
	}
}

func TestContractIsHeld(t *testing.T) {
	sample := contract{"ls": {
		"n": {"number", ""}, "list": {"array", "with `inside`"}, "list[].name": {"string", ""}, "when": {"time or null", ""},
		"words": {"array of strings", ""}, "why": {"string", "absent, or the reason"},
	}}
	for _, tc := range []struct{ name, command, answer, want string }{
		{"all of it", "ls", `{"n":1,"list":[{"name":"a","inside":1}],"when":null,"words":["a"]}`, ""},
		{"what may be absent", "ls", `{"n":1,"list":[],"when":"2026-01-02T00:00:00Z","words":[],"why":"x"}`, ""},
		{"an unknown field", "ls", `{"n":1,"list":[{"name":"a","extra":1}],"when":null,"words":[],"more":1}`, "ls: list[].extra is not documented; ls: more is not documented"},
		{"another type", "ls", `{"n":"1","list":{},"when":null,"words":[1]}`, "ls: list is no array; ls: n is no number; ls: words is no array of strings"},
		{"null for a list", "ls", `{"n":1,"list":null,"when":null,"words":[]}`, "ls: list is no array"},
		{"a missing field", "ls", `{"n":1,"list":[{}],"when":null}`, "ls: list[].name is documented and absent; ls: words is documented and absent"},
		{"no JSON", "ls", `x`, "ls prints no JSON: invalid character 'x' looking for beginning of value"},
		{"an unknown command", "rm", `{}`, "docs/reference/json.md has no section on rm --format json"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			assert.Equal(t, strings.Join(sample.breaks(tc.command, tc.answer), "; "), tc.want)
		})
	}
}
