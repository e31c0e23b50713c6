package page

import (
	"bytes"
	"encoding/json"
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
	"gotest.tools/v3/golden"

	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
)

// written is the page without what is the same in each.
func written(t *testing.T, report cardinality.Report, history []Point) string {
	t.Helper()
	var out bytes.Buffer
	same := parts{style: "/* style */", library: "/* charts */", script: "/* script */"}
	assert.NilError(t, same.write(&out, report, history))
	return out.String()
}

func TestGolden(t *testing.T) {
	golden.Assert(t, written(t, small(), smallHistory()), "small.golden.html")
}

func TestEmpty(t *testing.T) {
	page := written(t, cardinality.Report{Complete: true}, nil)
	for _, want := range []string{"None: no label or metric costs more", "There is no metric.", "the store answered all that was asked"} {
		assert.Assert(t, strings.Contains(page, want), "%q", want)
	}
	assert.Assert(t, !strings.Contains(page, "chart-history"), "one point is no line")
}

func TestIncomplete(t *testing.T) {
	assert.Assert(t, strings.Contains(written(t, cardinality.Report{}, nil), "A part of the store did not answer."))
}

type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, errors.New("closed") }

func TestWriterThatFails(t *testing.T) {
	assert.ErrorContains(t, Write(closed{}, small(), nil), "closed")
}

// A browser refuses a script whose hash is another one, silently for who reads the page: the charts would be missing.
func TestPolicyAllowsWhatIsThere(t *testing.T) {
	var out bytes.Buffer
	assert.NilError(t, Write(&out, small(), smallHistory()))
	root := parsed(t, out.String())
	var policy string
	var run []string
	for node := range root.Descendants() {
		switch {
		case node.Data == "meta" && attribute(node, "http-equiv") == "Content-Security-Policy":
			policy = attribute(node, "content")
		case node.Data == "style" && node.Type == html.ElementNode, node.Data == "script" && attribute(node, "type") == "":
			run = append(run, hash(node.FirstChild.Data))
		}
	}
	assert.Equal(t, len(run), 3)
	for _, one := range run {
		assert.Assert(t, strings.Contains(policy, one), "%s in %s", one, policy)
	}
	assert.Assert(t, strings.HasPrefix(policy, "default-src 'none';") && !strings.Contains(policy, "unsafe"), policy)
}

func TestLoadsNothing(t *testing.T) {
	var out bytes.Buffer
	assert.NilError(t, Write(&out, large(), largeHistory()))
	for node := range parsed(t, out.String()).Descendants() {
		for _, a := range node.Attr {
			switch a.Key {
			case "href":
				assert.Assert(t, strings.HasPrefix(a.Val, "#") || a.Val == "data:,", a.Val)
			case "src", "srcset", "action", "formaction", "data", "poster", "ping", "background", "style":
				t.Errorf("%s %s=%q", node.Data, a.Key, a.Val)
			}
		}
	}
	loads := regexp.MustCompile(`(?i)@import|\burl\(|\bfetch\(|\bimport\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon|importScripts`)
	for name, text := range map[string]string{"style": style, "script": script, "layout": layout} {
		assert.Equal(t, loads.FindString(text), "", name)
		assert.Assert(t, !strings.Contains(text, "http://") && !strings.Contains(text, "https://"), name)
	}
	// "url(#" is how SVG names a gradient of the same page.
	for _, found := range loads.FindAllStringIndex(library, -1) {
		assert.Assert(t, strings.HasPrefix(library[found[0]:], "url(#"), library[found[0]:found[1]+40])
	}
	for _, ended := range []string{"</script", "<!--", "\r"} {
		assert.Assert(t, !strings.Contains(strings.ToLower(library+script), ended), "%q", ended)
	}
}

// hostile are values that a store may hold.
func hostile() map[string]string {
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

func TestHostileValues(t *testing.T) {
	for name, value := range hostile() {
		t.Run(name, func(t *testing.T) { assertInert(t, value) })
	}
}

func FuzzPage(f *testing.F) {
	for _, name := range slices.Sorted(maps.Keys(hostile())) {
		f.Add(hostile()[name])
	}
	f.Fuzz(assertInert)
}

// assertInert puts a value wherever the report has a text. The page must have the elements and attributes that it has with a
// harmless one, its text must be harmless, and its data what it was.
func assertInert(t *testing.T, value string) {
	t.Helper()
	if value == "" {
		return
	}
	page := written(t, everywhere(value), smallHistory())
	root := parsed(t, page)
	assert.DeepEqual(t, outline(root), outline(parsed(t, written(t, everywhere(strings.Repeat("x", len(value))), smallHistory()))))
	assert.Assert(t, len(page) < 300_000, "%d bytes", len(page))
	for node := range root.Descendants() {
		if node.Type == html.TextNode {
			assertHarmless(t, node.Data)
		}
		for _, a := range node.Attr {
			assertHarmless(t, a.Val)
		}
		if node.Type == html.ElementNode && attribute(node, "id") == "data" {
			assertData(t, node.FirstChild.Data, value)
		}
	}
}

func assertData(t *testing.T, text, value string) {
	t.Helper()
	var data charts
	assert.NilError(t, json.Unmarshal([]byte(text), &data))
	label := data.Tree[0].Children[0]
	assert.DeepEqual(t, []string{data.Tree[0].Name, label.Name, label.Children[0].Name}, []string{shown(value), shown(value), shown(value)})
}

// assertHarmless names the characters by their numbers, so that a gap in package escape shows.
func assertHarmless(t *testing.T, text string) {
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

// everywhere is a report whose texts are all the same. The list has one of each kind, so a new field is among them.
func everywhere(value string) cardinality.Report {
	report := small()
	fill(reflect.ValueOf(&report).Elem(), value)
	return report
}

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

func parsed(t *testing.T, page string) *html.Node {
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

func TestTooLongRule(t *testing.T) {
	report := small()
	report.Findings[0].Rule.YAML = strings.Repeat("a", longestRule+1)
	page := written(t, report, nil)
	assert.Assert(t, strings.Contains(page, "It is too long for a page"))
	assert.Assert(t, !strings.Contains(page, "<pre"))
}

func TestShown(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"short", "läuft", "läuft"},
		{"empty", "", "(empty)"},
		{"as long as it may be", strings.Repeat("ä", longestValue), strings.Repeat("ä", longestValue)},
		{"longer", strings.Repeat("ä", longestValue+1), strings.Repeat("ä", longestValue) + "…"},
		{"bidirectional override", "a\u202eb", `a\u202eb`},
	} {
		t.Run(tc.name, func(t *testing.T) { assert.Equal(t, shown(tc.in), tc.want) })
	}
}

func TestDays(t *testing.T) {
	report := small()
	for _, tc := range []struct {
		name              string
		at                time.Time
		before, yesterday *int
		want              []day
	}{
		{"now", testTime(), pointer(900), pointer(1000), []day{{"2026-03-12", 900}, {"2026-03-13", 1000}, {"now", 1200}}},
		{
			"a day that is over", testTime().AddDate(0, 0, 9), pointer(900), pointer(1000),
			[]day{{"2026-03-12", 900}, {"2026-03-13", 1000}, {"2026-03-14", 1200}},
		},
		{"before the store", testTime(), pointer(0), pointer(1000), []day{{"2026-03-13", 1000}, {"now", 1200}}},
		{"not told", testTime(), nil, nil, []day{{"now", 1200}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			report.At, report.Summary.SeriesDayBefore, report.Summary.SeriesYesterday = tc.at, tc.before, tc.yesterday
			assert.DeepEqual(t, days(report), tc.want)
		})
	}
}

func TestNumber(t *testing.T) {
	for value, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -999: "-999"} {
		assert.Equal(t, number(value), want)
	}
	assert.Equal(t, percent(0.1234), "12.3 %")
}
