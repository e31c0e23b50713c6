package main

import (
	"go/ast"
	"html"
	"io"
	"log"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/stack"
)

const reference = "../../docs/reference"

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}

func TestReferenceIsCurrent(t *testing.T) {
	fresh := t.TempDir()
	assert.NilError(t, writeReference(reference, fresh))
	written := pages(t, fresh)
	committed := pages(t, reference)
	for name, text := range written {
		if committed[name] != text {
			t.Errorf("docs/reference/%s is not what the commands say now; run: make docs", name)
		}
		delete(committed, name)
	}
	delete(committed, "json.md") // written by hand
	for name := range committed {
		t.Errorf("docs/reference/%s is of no command; remove it", name)
	}
}

func pages(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.md"))
	assert.NilError(t, err)
	texts := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		assert.NilError(t, err)
		// A Windows checkout may have other line ends.
		texts[filepath.Base(file)] = strings.ReplaceAll(string(text), "\r\n", "\n")
	}
	assert.Assert(t, len(texts) > 0, "no pages in %s", dir)
	return texts
}

// The JSON of the commands is a contract, so a field that json.md does not name is a field nobody may use.
func TestJSONFieldsAreDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(reference, "json.md"))
	assert.NilError(t, err)
	fields := jsonFields(t, "../../plugin")
	assert.Assert(t, len(fields) > 10, "found only %v", fields)
	for field, where := range fields {
		if !documented(string(page), field) {
			t.Errorf("%s has a JSON field %q that docs/reference/json.md does not name", where, field)
		}
	}
}

// documented accepts `field`, `parent.field` and `parents[].field`.
func documented(page, field string) bool {
	return strings.Contains(page, "`"+field+"`") || strings.Contains(page, "."+field+"`")
}

func jsonFields(t *testing.T, dir string) map[string]string {
	t.Helper()
	fields := map[string]string{}
	for _, file := range parse(t, dir) {
		ast.Inspect(file, func(node ast.Node) bool {
			field, ok := node.(*ast.Field)
			if !ok || field.Tag == nil {
				return true
			}
			tag, err := strconv.Unquote(field.Tag.Value)
			assert.NilError(t, err)
			name, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
			if name != "" && name != "-" {
				fields[name] = dir
			}
			return true
		})
	}
	return fields
}

func TestPictureHasEveryComponent(t *testing.T) {
	picture, err := os.ReadFile("../../docs/pipeline.svg")
	assert.NilError(t, err)
	for _, component := range stack.Components() {
		if !strings.Contains(html.UnescapeString(string(picture)), ">"+component) {
			t.Errorf("docs/pipeline.svg does not show %s; add it to docs/pipeline.dot and run: hack/picture.sh", component)
		}
	}
}

func TestManPagesAndCompletions(t *testing.T) {
	man, scripts := t.TempDir(), t.TempDir()
	assert.NilError(t, writeMan(reference, man))
	page, err := os.ReadFile(filepath.Join(man, "docker-telemetry-up.1"))
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(string(page), "no-verify"))

	assert.NilError(t, writeCompletions(scripts))
	for _, name := range []string{"docker-telemetry.bash", "_docker-telemetry", "docker-telemetry.fish", "docker-telemetry.ps1"} {
		script, err := os.ReadFile(filepath.Join(scripts, name))
		assert.NilError(t, err)
		assert.Assert(t, strings.Contains(string(script), "docker-telemetry"), name)
	}
}
