package stack

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"
	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/stack/bundle"
)

// assertUsage: a word that is not understood is a usage error of one printable line, with a way out.
func assertUsage(t *testing.T, err error) {
	t.Helper()
	var refusal *Error
	assert.Assert(t, errors.As(err, &refusal), "%T", err)
	assert.Assert(t, refusal.Usage && refusal.Advice != "", "%+v", refusal)
	for _, char := range refusal.Text {
		assert.Assert(t, unicode.IsPrint(char), "%q in %q", char, refusal.Text)
	}
}

// FuzzComponent: a word means a component only when it is its name or the plural of it.
func FuzzComponent(f *testing.F) {
	for _, name := range Components() {
		f.Add(name)
		f.Add(name + "s")
	}
	for _, word := range []string{"", "s", "Agent", "agentss", " agent", "agent\n", "agent\x1b[31m", "\u202eagent", "a\xff"} {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		name, err := Component(word)
		if err != nil {
			assertUsage(t, err)
			return
		}
		assert.Assert(t, slices.Contains(Components(), name), name)
		assert.Assert(t, word == name || word == name+"s", "%q is taken for %s", word, name)
	})
}

// FuzzParseScale: what is accepted is a number of replicas that the component can have, and reads the same again.
func FuzzParseScale(f *testing.F) {
	for _, pair := range []string{
		"aggregator=3", "aggregators=1", "aggregator=64", "aggregator=65", "aggregator=0", "aggregator=-1", "aggregator=+3", "aggregator=03",
		"aggregator=3=4", "aggregator= 3", "aggregator=3\n", "aggregator=0x3", "aggregator=1_0", "aggregator=99999999999999999999",
		"aggregator", "=", "=3", "", "grafana=2", "agent=1", "aggregator=٣", "x\x1b=\u202e",
	} {
		f.Add(pair)
	}
	f.Fuzz(func(t *testing.T, pair string) {
		scale, err := ParseScale([]string{pair})
		if err != nil {
			assertUsage(t, err)
			return
		}
		assert.Equal(t, len(scale), 1)
		for name, replicas := range scale {
			assert.Assert(t, slices.Contains(Components(), name), name)
			assert.Assert(t, replicas >= 1 && replicas <= MaxReplicas, "%d", replicas)
			again, err := ParseScale([]string{fmt.Sprintf("%s=%d", name, replicas)})
			assert.NilError(t, err)
			assert.DeepEqual(t, again, scale)
		}
	})
}

// FuzzAnswer: of an answer every address is taken in order, without its port, the last one as who took the batch unless
// nobody did; and nothing is made up.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []struct{ addresses, noise, status string }{
		{"\x0a\x00\x00\x01\x0a\x00\x00\x02", "", "0"},
		{"\x0a\x00\x00\x01\x0a\x00\x00\x01\x0a\x00\x00\x03", ", ", "14"},
		{"", "aggregators_logs", "14"},
		{"", ",,", ""},
		{"", "10.0.0.1:6000, 10.0.0.2:6000 : unix:/x", "0"},
		{"\x0a\x00\x00\x01", ", \xff:\x1b[31m", "-1"},
	} {
		f.Add([]byte(seed.addresses), seed.noise, seed.status)
	}
	f.Fuzz(func(t *testing.T, addresses []byte, noise, status string) {
		var want, header []string
		for quad := range slices.Chunk(addresses, 4) {
			if len(quad) == 4 {
				want = append(want, netip.AddrFrom4([4]byte(quad)).String())
				header = append(header, want[len(want)-1]+":6001")
			}
		}
		said := strings.Join(header, ", ") + noise
		answer := answerOf(&http.Response{
			StatusCode: http.StatusOK, Header: http.Header{replicaHeader: {said}, "Grpc-Status": {status}},
		})
		all := answer.tried
		if answer.replica != "" {
			all = append(slices.Clone(all), answer.replica)
		}
		assert.Assert(t, answer.replica == "" || status != "14")
		assert.Assert(t, !answer.well() || status == "0")
		for _, host := range all {
			assert.Assert(t, strings.Contains(said, host), "%q is made up", host)
		}
		if noise == "" {
			assert.Assert(t, slices.Equal(all, want), "%q of %q", all, said)
		}
	})
}

// FuzzHost gives the engine's host any name. In each file that it is rendered into it stays one VRL string, the rest of
// the file stays as it is, and Vector reads the name unchanged, except for what YAML cannot hold.
func FuzzHost(f *testing.F) {
	for _, host := range []string{
		"laptop", "", "build host", "läuft-日本", "👩‍👩‍👧", "<a&b>", "a'b", `a"b`, `a\b`, `a\`, `a\\`, `"`, `" .x = "`, `\n`, `\u0041`, "%s", "`",
		"{{ message }}", "{{", "}}", "{", "{{{ a }}}", "{{{{ a }}}}", `\{{ a }}`, `\\{{ a }}`, "[[ .Project ]]", "]]", "$HOME ${X} $$",
		"a\nb", "a\r\n  b: c", "\n\nsinks: {}", "a\tb", "a\x00b", "\x1b[31m", "\x7f", "\u0085x", "\u2028x", "\u2029x", "\ufeff", "\ufffe", "\xff",
		"\ufffd", "\u202e", "# a", "a # b", "a: b", "- a", "|", ">",
	} {
		f.Add(host)
	}
	const plain = "plain-host"
	files := hostFiles(f, plain)
	f.Fuzz(func(t *testing.T, host string) {
		for file, want := range files {
			text, err := renderBundled(file, Settings{Name: "telemetry", Host: host})
			assert.NilError(t, err)
			got := map[string]string{}
			assert.NilError(t, flatten(text, got), "%s: %s", file, text)
			assert.Equal(t, len(got), len(want), "%s: %s", file, text)
			for key, value := range want {
				before, after, named := strings.Cut(value, `"`+plain+`"`)
				if !named {
					assert.Equal(t, got[key], value, "%s: %s", file, key)
					continue
				}
				literal, foundBefore := strings.CutPrefix(got[key], before)
				literal, foundAfter := strings.CutSuffix(literal, after)
				assert.Assert(t, foundBefore && foundAfter, "%s: %s: %s", file, key, got[key])
				name, err := readVRLString(literal)
				assert.NilError(t, err, "%s: %s: %s", file, key, literal)
				if holdsInYAML(host) {
					assert.Equal(t, name, host)
				}
			}
		}
	})
}

func renderBundled(file string, settings Settings) (string, error) {
	raw, err := fs.ReadFile(bundle.FS(), file)
	if err != nil {
		return "", err
	}
	data, err := templateData(&types.Project{}, settings)
	if err != nil {
		return "", err
	}
	return renderConfig(string(raw), data)
}

// hostFiles renders each file of the bundle that names the host, and takes it apart.
func hostFiles(f *testing.F, host string) map[string]map[string]string {
	f.Helper()
	files := map[string]map[string]string{}
	err := fs.WalkDir(bundle.FS(), "config", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := renderBundled(file, Settings{Name: "telemetry", Host: host})
		if err != nil || !strings.Contains(text, host) {
			return err
		}
		files[file] = map[string]string{}
		return flatten(text, files[file])
	})
	assert.NilError(f, err)
	assert.Assert(f, len(files) > 0, "no file names the host")
	return files
}

// flatten reads YAML into its scalars by path.
func flatten(text string, into map[string]string) error {
	var node yaml.Node
	if err := yaml.Unmarshal([]byte(text), &node); err != nil {
		return err
	}
	var walk func(path string, node *yaml.Node)
	walk = func(path string, node *yaml.Node) {
		for i, child := range node.Content {
			walk(fmt.Sprintf("%s/%d", path, i), child)
		}
		if len(node.Content) == 0 {
			into[path] = node.Value
		}
	}
	walk("", &node)
	return nil
}

// readVRLString reads what must be one string literal of VRL, as vectordotdev/vrl 0.25 does: it knows these escapes and
// no others, and {{ begins a template where it is not escaped.
func readVRLString(literal string) (string, error) {
	rest, opened := strings.CutPrefix(literal, `"`)
	rest, closed := strings.CutSuffix(rest, `"`)
	if !opened || !closed {
		return "", errors.New("is not in quotes")
	}
	escapes := []struct{ written, meant string }{
		{`\\`, `\`}, {`\"`, `"`}, {`\'`, "'"}, {`\n`, "\n"}, {`\r`, "\r"}, {`\t`, "\t"}, {`\0`, "\x00"}, {`\{{`, "{{"},
	}
	var out strings.Builder
next:
	for rest != "" {
		for _, escape := range escapes {
			if after, found := strings.CutPrefix(rest, escape.written); found {
				out.WriteString(escape.meant)
				rest = after
				continue next
			}
		}
		if rest[0] == '\\' || rest[0] == '"' || strings.HasPrefix(rest, "{{") {
			return "", fmt.Errorf("ends or is a template at %q", rest)
		}
		out.WriteByte(rest[0])
		rest = rest[1:]
	}
	return out.String(), nil
}

// holdsInYAML: the characters that libyaml takes, but for those that break a line.
func holdsInYAML(text string) bool {
	for _, char := range text {
		switch {
		case char >= 0x20 && char <= 0x7e, char >= 0xa0 && char <= 0xfffc && char != 0x2028 && char != 0x2029 && char != 0xfeff, char >= 0x10000:
		default:
			return false
		}
	}
	return true
}
