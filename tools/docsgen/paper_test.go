package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"gotest.tools/v3/assert"
)

const repository = "../.."

var (
	codeSpan   = regexp.MustCompile("`([^`\n]+)`")
	filePath   = regexp.MustCompile(`^[\w.-]+(/[\w.-]+)+$|^[\w.-]+\.(md|yml|yaml|sh)$`)
	link       = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	makeTarget = regexp.MustCompile(`^make ([a-z][a-z0-9-]*)`)
	subcommand = regexp.MustCompile(`^(?:docker telemetry|docker-telemetry) ([a-z][a-z-]*)`)
	fieldRow   = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")
	codeRow    = regexp.MustCompile(`(?m)^\| (\d+) \|`)
)

func TestArchitectureNamesWhatExists(t *testing.T) {
	checked := 0
	for _, span := range codeSpan.FindAllStringSubmatch(read(t, "docs/ARCHITECTURE.md"), -1) {
		if !filePath.MatchString(span[1]) {
			continue
		}
		checked++
		if _, err := os.Stat(filepath.Join(repository, span[1])); err != nil {
			t.Errorf("docs/ARCHITECTURE.md names %s, which does not exist", span[1])
		}
	}
	assert.Assert(t, checked > 30, "found only %d paths", checked)
}

func TestArchitectureListsEveryPackage(t *testing.T) {
	page := read(t, "docs/ARCHITECTURE.md")
	for _, dir := range packages(t) {
		if !strings.Contains(page, "\n| `"+dir+"` |") {
			t.Errorf("docs/ARCHITECTURE.md has no line for package %s", dir)
		}
	}
}

// packages are the folders of this module that have Go code beside tests.
func packages(t *testing.T) []string {
	t.Helper()
	var dirs []string
	walk(t, func(name string) {
		dir := path.Dir(name)
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") &&
			!strings.HasPrefix(dir, "e2e/") && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	})
	assert.Assert(t, slices.Contains(dirs, "plugin"), "found only %v", dirs)
	return dirs
}

func TestDecisionsAreListed(t *testing.T) {
	list := read(t, "docs/adr/README.md")
	walk(t, func(name string) {
		file, inside := strings.CutPrefix(name, "docs/adr/")
		if !inside || file == "README.md" {
			return
		}
		title, _, _ := strings.Cut(strings.TrimPrefix(read(t, name), "# "), "\n")
		number, text, _ := strings.Cut(title, ": ")
		if want := "| [" + number + "](" + file + ") | " + text + " |"; !strings.Contains(list, want) {
			t.Errorf("docs/adr/README.md lacks the line %s", want)
		}
		for _, part := range []string{"\nContext. ", "\nDecision. ", "\nConsequence. "} {
			if !strings.Contains(read(t, name), part) {
				t.Errorf("%s has no part %q", name, part)
			}
		}
	})
}

// What people are told to type, and where they are sent, must be there.
func TestMarkdownNamesWhatExists(t *testing.T) {
	makefile := "\n" + read(t, "Makefile")
	targets, commands, links := 0, 0, 0
	walk(t, func(name string) {
		if path.Ext(name) != ".md" {
			return
		}
		text := read(t, name)
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			links++
			if _, err := os.Stat(filepath.Join(repository, path.Dir(name), found[1])); err != nil {
				t.Errorf("%s links to %s, which does not exist", name, found[1])
			}
		}
		for _, line := range code(text) {
			if found := makeTarget.FindStringSubmatch(line); found != nil {
				targets++
				if !strings.Contains(makefile, "\n"+found[1]+":") {
					t.Errorf("%s says %q, and the Makefile has no such target", name, found[0])
				}
			}
			if found := subcommand.FindStringSubmatch(line); found != nil {
				commands++
				if cmd, _, _ := tree().Find([]string{"telemetry", found[1]}); cmd.Name() != found[1] {
					t.Errorf("%s says %q, and there is no such command", name, found[0])
				}
			}
		}
	})
	assert.Assert(t, targets > 10 && commands > 20 && links > 10, "found only %d targets, %d commands, %d links", targets, commands, links)
}

// code is what a Markdown text shows as code: spans, and lines of blocks.
func code(text string) []string {
	var found []string
	for line := range strings.Lines(text) {
		found = append(found, strings.TrimPrefix(strings.TrimSpace(line), "$ "))
	}
	for _, span := range codeSpan.FindAllStringSubmatch(text, -1) {
		found = append(found, span[1])
	}
	return found
}

func TestDocumentedFieldsExist(t *testing.T) {
	known := jsonFields(t, "../../plugin")
	// A flow is printed as it is.
	maps.Copy(known, jsonFields(t, "../../pipeline"))
	for _, file := range parse(t, "../../plugin") {
		ast.Inspect(file, func(node ast.Node) bool {
			if pair, ok := node.(*ast.KeyValueExpr); ok {
				if key, ok := pair.Key.(*ast.BasicLit); ok && key.Kind == token.STRING {
					known[strings.Trim(key.Value, `"`)] = ""
				}
			}
			return true
		})
	}
	rows := fieldRow.FindAllStringSubmatch(read(t, "docs/reference/json.md"), -1)
	assert.Assert(t, len(rows) > 20, "found only %v", rows)
	for _, row := range rows {
		name := row[1][strings.LastIndex(row[1], ".")+1:]
		if _, found := known[name]; !found {
			t.Errorf("docs/reference/json.md documents %s, which no command prints", row[1])
		}
	}
}

// What each of them prints is held against its section where the command is tested, see plugin/json_test.go.
func TestJSONCommandsHaveASection(t *testing.T) {
	page := read(t, "docs/reference/json.md")
	found := 0
	each(tree(), func(cmd *cobra.Command) {
		format := cmd.Flags().Lookup("format")
		if format == nil || !strings.Contains(format.Usage, "json") {
			return
		}
		found++
		if name := "\n## `" + cmd.CommandPath() + " "; !strings.Contains(page, name) {
			t.Errorf("docs/reference/json.md has no section on %s --format json", cmd.CommandPath())
		}
	})
	assert.Equal(t, found, strings.Count(page, " --format json`\n"), "docs/reference/json.md has a section of no command")
}

func TestExitCodesAreDocumented(t *testing.T) {
	var declared, documented []string
	for _, file := range parse(t, "../../plugin") {
		ast.Inspect(file, func(node ast.Node) bool {
			if spec, ok := node.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "exit") && len(spec.Values) == 1 {
				if value, ok := spec.Values[0].(*ast.BasicLit); ok {
					declared = append(declared, value.Value)
				}
			}
			return true
		})
	}
	for _, row := range codeRow.FindAllStringSubmatch(read(t, "docs/reference/json.md"), -1) {
		documented = append(documented, row[1])
	}
	byNumber := func(a, b string) int { x, _ := strconv.Atoi(a); y, _ := strconv.Atoi(b); return x - y }
	slices.SortFunc(declared, byNumber)
	assert.DeepEqual(t, declared, documented)
}

func parse(t *testing.T, dir string) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	assert.NilError(t, err)
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		assert.NilError(t, err)
		files = append(files, file)
	}
	return files
}

// walk calls visit with the slash-separated path of each file that belongs to the repository.
func walk(t *testing.T, visit func(name string)) {
	t.Helper()
	generated := []string{".git", ".artifacts", "bin", "dist", "node_modules", "completions", "man"}
	err := fs.WalkDir(os.DirFS(repository), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains(generated, entry.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		visit(name)
		return nil
	})
	assert.NilError(t, err)
}

// read returns a file of the repository. A Windows checkout may have other line ends.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, name))
	assert.NilError(t, err)
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}
