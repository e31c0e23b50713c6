// Package syntax says where a YAML file is broken.
package syntax

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Where returns the line of an error that yaml/v3 gave for a file, 0 where there is none, and its cause. v3 leaves out
// the line of some errors and counts others from zero, so v4, which Compose links anyway, is asked for the place.
func Where(raw []byte, err error) (line int, cause string) {
	if again := firstError(raw); again != nil {
		if found := exact().FindStringSubmatch(again.Error()); found != nil {
			line, _ = strconv.Atoi(found[1])
			cause = firstLine(found[3])
			// A mapping or a text that is broken by its next line: where it began is of no help.
			if end, bad := strconv.Atoi(found[2]); bad == nil && brokenByTheNext(cause) {
				line = end
			}
			return line, cause
		}
	}
	found := rough().FindStringSubmatch(firstLine(err.Error()))
	line, _ = strconv.Atoi(found[1])
	return line, found[2]
}

func firstError(raw []byte) error {
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func brokenByTheNext(cause string) bool {
	return cause == "did not find expected key" || strings.Contains(cause, "indentation")
}

func firstLine(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	return text
}

// exact is how v4 says where: "... at L4.C7-L5.C7: did not find expected key".
func exact() *regexp.Regexp {
	return regexp.MustCompile(`(?s) at L(\d+)\.C\d+(?:-(?:L(\d+)\.)?C\d+)?: (.*)$`)
}

func rough() *regexp.Regexp { return regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(.*)$`) }
