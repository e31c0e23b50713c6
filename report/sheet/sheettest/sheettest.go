// Package sheettest holds what is tested of the page of each report: that it loads nothing, and that no value of a store becomes more
// than text.
package sheettest

import (
	"errors"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/net/html"
	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/sheet"
)

// AllowsWhatIsThere holds the policy of a page against its scripts and style. A browser refuses a script whose hash is another one,
// silently for who reads the page: the charts would be missing.
func AllowsWhatIsThere(t testing.TB, page string) {
	t.Helper()
	root := parsed(t, page)
	var policy string
	var run []string
	for node := range root.Descendants() {
		switch {
		case node.Data == "meta" && attribute(node, "http-equiv") == "Content-Security-Policy":
			policy = attribute(node, "content")
		case node.Data == "style" && node.Type == html.ElementNode, node.Data == "script" && attribute(node, "type") == "":
			run = append(run, sheet.Hash(node.FirstChild.Data))
		}
	}
	assert.Equal(t, len(run), 3)
	for _, one := range run {
		assert.Assert(t, strings.Contains(policy, one), "%s in %s", one, policy)
	}
	assert.Assert(t, strings.HasPrefix(policy, "default-src 'none';") && !strings.Contains(policy, "unsafe"), policy)
}

// LoadsNothing looks at each attribute of a page that could.
func LoadsNothing(t testing.TB, page string) {
	t.Helper()
	for node := range parsed(t, page).Descendants() {
		for _, a := range node.Attr {
			switch a.Key {
			case "href":
				assert.Assert(t, strings.HasPrefix(a.Val, "#") || a.Val == "data:,", a.Val)
			case "src", "srcset", "action", "formaction", "data", "poster", "ping", "background", "style":
				t.Errorf("%s %s=%q", node.Data, a.Key, a.Val)
			}
		}
	}
}

// Loads is what makes a browser ask for something.
func Loads() *regexp.Regexp {
	return regexp.MustCompile(`(?i)@import|\burl\(|\bfetch\(|\bimport\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon|importScripts`)
}

// NamesNoAddress looks at texts of ours that become a part of a page.
func NamesNoAddress(t testing.TB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		assert.Equal(t, Loads().FindString(text), "")
		assert.Assert(t, !strings.Contains(text, "http://") && !strings.Contains(text, "https://"))
		Embeddable(t, text)
	}
}

// Embeddable refuses what would end a script, and line ends that a browser would change before it takes a hash.
func Embeddable(t testing.TB, script string) {
	t.Helper()
	for _, ended := range []string{"<!--", "\r"} {
		assert.Assert(t, !strings.Contains(script, ended), "%q", ended)
	}
}

// Hostile are values that a store may hold.
func Hostile() map[string]string {
	return map[string]string{
		"end of a script": `</script><script>alert(1)</script>`, "comment": `<!--<script>`, "image": `<img src=x onerror=alert(1)>`,
		"end of an attribute": `"><svg onload=alert(1)>`, "apostrophes": `' onmouseover='alert(1)`, "end of a style": `</style><b>`,
		"end of a title": `</title><b>`, "end of a rule": `</pre><b>`, "end of no script": `</noscript><b>`,
		"template": `{{ .Policy }}${alert(1)}{a|b}`,
		"bidi":     "a\u202eb\u2066c", "separators": "a\u2028b\u2029c", "controls": "a\x00b\x1b[31mc\rd\ne", "no UTF-8": "a\xff\xed\xa0\x80",
		"entity": `&lt;b&gt;&#0;`, "address": `javascript:alert(1)`, "prototype": "__proto__", "large": strings.Repeat("<b>", 33_000),
		"percent": "%s%n", "wide": "日本語👩‍👩‍👧", "backslash": `\u003c/script\u003e\`, "CDATA": `]]><![CDATA[`,
	}
}

// WithHostile runs a test with each of them.
func WithHostile(t *testing.T, test func(t *testing.T, value string)) {
	t.Helper()
	for name, value := range Hostile() {
		t.Run(name, func(t *testing.T) { test(t, value) })
	}
}

// FuzzHostile runs a fuzzer that begins with them.
func FuzzHostile(f *testing.F, test func(t *testing.T, value string)) {
	f.Helper()
	hostile := Hostile()
	for _, name := range slices.Sorted(maps.Keys(hostile)) {
		f.Add(hostile[name])
	}
	f.Fuzz(test)
}

// Everywhere puts a value wherever a report has a text, and holds its page against one with harmless texts. It returns the data of
// its script; none for no value, which is no text.
func Everywhere[T any](t testing.TB, value string, small func() T, written func(testing.TB, T) string) string {
	t.Helper()
	if value == "" {
		return "{}"
	}
	hostile, harmless := small(), small()
	Fill(&hostile, value)
	Fill(&harmless, "x")
	page := written(t, hostile)
	Inert(t, page, written(t, harmless))
	const most = 600_000
	assert.Assert(t, len(page) < most, "%d bytes", len(page))
	return Data(t, page)
}

// Closed is a writer that nobody reads from any more.
type Closed struct{}

func (Closed) Write([]byte) (int, error) { return 0, errors.New("closed") }

// Inert holds a page with hostile values against one with harmless ones. It must have the same elements and attributes, and its text
// must be harmless.
func Inert(t testing.TB, page, harmless string) {
	t.Helper()
	root := parsed(t, page)
	assert.DeepEqual(t, outline(root), outline(parsed(t, harmless)))
	for node := range root.Descendants() {
		if node.Type == html.TextNode {
			assertHarmless(t, node.Data)
		}
		for _, a := range node.Attr {
			assertHarmless(t, a.Val)
		}
	}
}

// Says reports whether a text of a page, as a reader sees it, has this in it.
func Says(t testing.TB, page, text string) bool {
	t.Helper()
	for node := range parsed(t, page).Descendants() {
		if node.Type == html.TextNode && strings.Contains(node.Data, text) {
			return true
		}
	}
	return false
}

// Data is the JSON that the script of a page draws.
func Data(t testing.TB, page string) string {
	t.Helper()
	for node := range parsed(t, page).Descendants() {
		if node.Type == html.ElementNode && attribute(node, "id") == "data" {
			return node.FirstChild.Data
		}
	}
	t.Fatal("the page has no data")
	return ""
}

// assertHarmless names the characters by their numbers, so that a gap in package escape shows.
func assertHarmless(t testing.TB, text string) {
	t.Helper()
	assert.Assert(t, utf8.ValidString(text), "%q", text)
	for _, char := range text {
		switch {
		case char == '\n':
		case char < 0x20, char >= 0x7f && char <= 0x9f, char == 0x61c, char == 0x200e, char == 0x200f,
			char >= 0x2028 && char <= 0x202e, char >= 0x2066 && char <= 0x2069:
			t.Fatalf("%U in %q", char, text)
		}
	}
}

// Fill puts a value wherever a report has a text. A list is filled as far as it goes, so a report should have one of each.
func Fill[T any](report *T, value string) { fill(reflect.ValueOf(report).Elem(), value) }

func fill(target reflect.Value, value string) {
	switch target.Kind() {
	case reflect.String:
		target.SetString(value)
	case reflect.Slice:
		for i := range target.Len() {
			fill(target.Index(i), value)
		}
	case reflect.Pointer:
		if !target.IsNil() {
			fill(target.Elem(), value)
		}
	case reflect.Struct:
		if target.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for _, field := range target.Fields() {
			fill(field, value)
		}
	}
}

func parsed(t testing.TB, page string) *html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	assert.NilError(t, err)
	return root
}

// outline are the elements of a page in their order, each with the names of its attributes.
func outline(root *html.Node) []string {
	var list []string
	for node := range root.Descendants() {
		if node.Type == html.TextNode {
			continue
		}
		one := []string{node.Data}
		if node.Type == html.CommentNode {
			one = []string{"comment"}
		}
		for _, a := range node.Attr {
			one = append(one, a.Key)
		}
		list = append(list, strings.Join(one, " "))
	}
	return list
}

func attribute(node *html.Node, key string) string {
	for _, a := range node.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}
