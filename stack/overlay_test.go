package stack_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/rogpeppe/go-internal/txtar"
	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/profiles"
	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/stack/bundle"
)

// overlayFolder is a folder with an overlay and what it may name, and links that lead out of it.
func overlayFolder(t testing.TB, overlay string) string {
	t.Helper()
	outer := t.TempDir()
	dir := filepath.Join(outer, "overlay")
	for name, text := range map[string]string{
		"../secret.txt": "outside", "overlay.yaml": overlay, "config.txt": "[[ .Project ]] $HOME", "folder/deep.env": "A=deep\n",
		"template.txt": "of [[ .Project ]]", "broken.txt": "a\nb [[ .Nope ]]", "settings.env": "A=settings\n",
		"other.yaml":   "services:\n  o: {image: other, env_file: settings.env}\n  p: {extends: o, command: [p]}\n",
		"chain.yaml":   "services:\n  c:\n    extends: {service: o, file: other.yaml}\n",
		"built.yaml":   "x-b: &b {build: .}\nservices:\n  b: *b\n",
		"leads.yaml":   "services:\n  l: {image: a, env_file: [../secret.txt]}\n",
		"asks.yaml":    "services:\n  a: {image: \"$IMAGE\"}\n",
		"nothing.yaml": "",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		assert.NilError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		assert.NilError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	assert.NilError(t, os.Symlink("../secret.txt", filepath.Join(dir, "link.txt")))
	assert.NilError(t, os.Symlink("..", filepath.Join(dir, "up")))
	return dir
}

func withOverlay(t testing.TB, overlay string) stack.Settings {
	t.Helper()
	dir := overlayFolder(t, overlay)
	settings := testSettings()
	settings.Layers = []stack.Layer{{Name: "overlay.yaml", File: "overlay.yaml", Files: profiles.Folder(dir), Dir: dir}}
	return settings
}

const (
	showsTheBase = "docker telemetry config --profile none -f none shows the project that an overlay is merged onto"
	onlyFile     = "configs:\n  mine:\n    file: %s\nservices:\n  agent:\n    configs: [{source: mine, target: /etc/mine}]\n"
)

// The table of bad overlays is testdata/bad-overlays.txtar: each with its error, which is one line with file, line, key
// and cause, and its hint, where that is not the one that most have.
func TestBadOverlays(t *testing.T) {
	table, err := txtar.ParseFile("testdata/bad-overlays.txtar")
	assert.NilError(t, err)
	assert.Assert(t, len(table.Files) > 100, "only %d", len(table.Files))
	for _, row := range table.Files {
		t.Run(row.Name, func(t *testing.T) {
			overlay, want, found := strings.Cut("\n"+string(row.Data), "\n=> ")
			assert.Assert(t, found, "it says no error")
			want, hint, _ := strings.Cut(strings.TrimSuffix(want, "\n"), "\nhint: ")
			_, err := stack.Load(t.Context(), bundle.FS(), withOverlay(t, strings.TrimPrefix(overlay+"\n", "\n")))
			assert.Error(t, err, want)
			said := assertRefusal(t, err)
			if start, cut := strings.CutSuffix(hint, "..."); cut {
				assert.Assert(t, strings.HasPrefix(said, start), said)
				return
			}
			assert.Equal(t, said, cmp.Or(hint, showsTheBase))
		})
	}
}

func TestAnOverlayThatIsNoText(t *testing.T) {
	_, err := stack.Load(t.Context(), bundle.FS(), withOverlay(t, "services: \xff\n"))
	assert.Error(t, err, "overlay.yaml: not a compose file: invalid leading UTF-8 octet")
	_ = assertRefusal(t, err)
}

// assertRefusal: an overlay is the user's request, so what is wrong with it is a usage error of one line with a hint.
func assertRefusal(t *testing.T, err error) (hint string) {
	t.Helper()
	var refusal *stack.Error
	assert.Assert(t, errors.As(err, &refusal), "%T: %v", err, err)
	assert.Assert(t, refusal.Usage && refusal.Advice != "" && refusal.Text == err.Error(), "%+v", refusal)
	assert.Assert(t, !strings.ContainsFunc(refusal.Text, func(r rune) bool { return r == '\n' || r == '\r' }), "%q", refusal.Text)
	return refusal.Advice
}

func loadOverlay(t *testing.T, overlay string) *types.Project {
	t.Helper()
	return load(t, withOverlay(t, overlay))
}

// goodOverlay uses everything that an overlay may.
const goodOverlay = `
x-more: &more
  environment: {MORE: "yes"}
x-labels: &labels {labels: {team: mine}}
services:
  agent:
    <<: [*more, *labels]
    command: !override [--config-dir, /etc/vector, --verbose]
    configs:
      - {source: mine, target: /etc/vector/mine.yaml}
      - {source: rendered, target: /etc/vector/rendered.yaml}
      - {source: inline, target: /etc/vector/inline.yaml}
      - {source: dashboard, target: /nowhere}
    secrets: [mine]
    volumes: !reset null
  grafana: !reset null
  openobserve: {environment: {ZO_MEMORY_CACHE_MAX_SIZE: !reset null}}
  aggregator: {scale: 3}
  mine:
    extends: {service: p, file: ./other.yaml}
    privileged: true
    networks: [pipeline, front]
    ports: ["127.0.0.1:9000-9001:9000-9001", "9000"]
    env_file: [{path: folder/deep.env}, {path: nope.env, required: false}]
    image: ${IMAGE:-mine}:${TELEMETRY_PORT}$$1
    environment: {PRICE: $$HOME}
    x-ui: {name: Mine, path: /mine/, about: what it is, rank: 5}
networks:
  front: {external: true}
configs:
  mine: {file: ./config.txt}
  rendered: {file: template.txt, x-template: true}
  inline: {content: "[[ .Host ]]", x-template: true}
  dashboard: {file: config.txt, x-for: grafana}
  agent-logs: {file: !reset null, content: other}
secrets:
  mine: {environment: mine, x-content: 'user = [[ secret "openobserve_user" ]]'}
  gateway_cert: {environment: !reset null, file: config.txt}
`

func TestOverlayChangesTheStack(t *testing.T) {
	project := loadOverlay(t, goodOverlay)
	agent, mine := project.Services[stack.Agent], project.Services["mine"]
	assert.DeepEqual(t, []string(agent.Command), []string{"--config-dir", "/etc/vector", "--verbose"})
	assert.Equal(t, len(agent.Volumes), 0)
	assert.Equal(t, *agent.Environment["MORE"], "yes")
	assert.Equal(t, agent.Labels["team"], "mine")
	assert.Assert(t, agent.Environment["VECTOR_GRACEFUL_SHUTDOWN_LIMIT_SECS"] != nil, "what is not named stays")
	assert.Equal(t, stack.Replicas(project)[stack.Aggregator], 3)
	_, there := project.Services[stack.OpenObserve].Environment["ZO_MEMORY_CACHE_MAX_SIZE"]
	assert.Assert(t, !there)
	_, there = project.Services[stack.Grafana]
	assert.Assert(t, !there)

	assert.Equal(t, mine.Image, "mine:8082$1")
	assert.Assert(t, mine.Privileged, "an overlay is the user's own")
	assert.Equal(t, *mine.Environment["A"], "deep", "the file of what is extended comes first")
	assert.DeepEqual(t, []string(mine.Command), []string{"p"})
	assert.Equal(t, mine.Labels[stack.ComponentLabel], "mine")
	uis, err := stack.UIs(project)
	assert.NilError(t, err)
	assert.Equal(t, uis[0], stack.UI{Service: "mine", Name: "Mine", Path: "/mine/", About: "what it is", Rank: 5})

	for name, want := range map[string]string{"mine": "[[ .Project ]] $HOME", "rendered": "of telemetry", "inline": "laptop", "agent-logs": "other"} {
		assert.Equal(t, project.Configs[name].Content, want, name)
	}
	assert.Equal(t, project.Secrets["mine"].Content, "user = ou")
	assert.Equal(t, project.Secrets["gateway_cert"].Content, "[[ .Project ]] $HOME")
	for _, mount := range agent.Configs {
		assert.Assert(t, mount.Source != "dashboard", "it is for a component that is not there")
	}
	assert.Assert(t, !slices.ContainsFunc(agent.Configs, func(m types.ServiceConfigObjConfig) bool { return m.Target == "/nowhere" }))
}

// Text survives the way through YAML and back as it was written.
func TestOverlayKeepsTexts(t *testing.T) {
	for _, text := range []string{"a\n  b\n\n", "\n\n  leading", "trailing  \n", "tab\t", "- a: b # c\n", "'\"\\", "\u00e4\u2028\u0085", "yes", "0x1f", "  ", "|\n", "%", "\u0007"} {
		quoted := strings.NewReplacer("\\", `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`, "\u2028", `\u2028`, "\u0085", `\N`, "\u0007", `\a`).Replace(text)
		project := loadOverlay(t, "configs:\n  mine: {content: \""+quoted+"\"}\nservices:\n  agent: {configs: [{source: mine, target: /mine}]}\n")
		assert.Equal(t, project.Configs["mine"].Content, text)
	}
	block := "configs:\n  mine:\n    content: |2\n        two more\n      none\n\n      end\nservices:\n  agent: {configs: [{source: mine, target: /mine}]}\n"
	assert.Equal(t, loadOverlay(t, block).Configs["mine"].Content, "  two more\nnone\n\nend\n")
}

// Of two layers that break, or of one that breaks what another does, the one to blame is named.
func TestTheRightLayerIsBlamed(t *testing.T) {
	for _, tc := range []struct{ name, first, second, want string }{
		{"the second", "services:\n  x: {image: a}\n", "services:\n\n  x: {networks: [front]}\n", `second.yaml:3: services.x.networks: there is no network "front"`},
		{"the first", "services:\n  x: {image: a, imgae: b}\n", "services:\n  y: {image: a}\n", "first.yaml:2: services.x.imgae: it is not known here"},
		{
			"the second, though the first alone breaks too", "services:\n  x: {restart: always}\n", "services:\n  x: {image: a, volumes: [\"data:/x\"]}\n",
			`second.yaml:2: services.x.volumes: there is no volume "data"`,
		},
		{
			"the port of the second", "services:\n  x: {image: a, ports: [\"9000:80\"]}\n", "services:\n  b: {image: a, ports: [\"9000:80\"]}\n",
			"first.yaml:2: services.x.ports: port 9000 is published by b already",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			settings := testSettings()
			for name, text := range map[string]string{"first.yaml": tc.first, "second.yaml": tc.second} {
				settings.Layers = append(settings.Layers, layerIn(overlayFolder(t, text), name))
			}
			slices.SortFunc(settings.Layers, func(a, b stack.Layer) int { return strings.Compare(a.Name, b.Name) })
			_, err := stack.Load(t.Context(), bundle.FS(), settings)
			assert.Error(t, err, tc.want)
			_ = assertRefusal(t, err)
		})
	}
}

func layerIn(dir, name string) stack.Layer {
	return stack.Layer{Name: name, File: "overlay.yaml", Files: profiles.Folder(dir), Dir: dir}
}

// What one layer gets wrong and the next one mends is right.
func TestALaterLayerMendsAnEarlierOne(t *testing.T) {
	settings := testSettings()
	settings.Layers = []stack.Layer{
		layerIn(overlayFolder(t, "services:\n  x: {restart: always}\n"), "first.yaml"),
		layerIn(overlayFolder(t, "services:\n  x: {image: a}\n"), "second.yaml"),
	}
	assert.Equal(t, load(t, settings).Services["x"].Image, "a")
}

// A file of the same name in two layers comes from the folder of the last that names it.
func TestFilesComeFromTheLayerThatNamesThem(t *testing.T) {
	one, two := overlayFolder(t, fmt.Sprintf(onlyFile, "config.txt")), overlayFolder(t, "configs:\n  mine: {file: config.txt}\n")
	assert.NilError(t, os.WriteFile(filepath.Join(two, "config.txt"), []byte("two"), 0o600))
	settings := testSettings()
	settings.Layers = []stack.Layer{layerIn(one, "one.yaml"), layerIn(two, "two.yaml")}
	assert.Equal(t, load(t, settings).Configs["mine"].Content, "two")
}

// Aliases are counted while they are resolved, so a file of a few hundred bytes cannot fill the memory.
func TestBombsAreBounded(t *testing.T) {
	var bomb, merges strings.Builder
	fmt.Fprintln(&bomb, "x-a: &a [x, x, x, x, x, x, x, x, x, x]")
	fmt.Fprintln(&merges, "x-a: &a {k0: x, k1: x, k2: x, k3: x, k4: x, k5: x, k6: x, k7: x, k8: x, k9: x}")
	for from, to := 'a', 'b'; to <= 'j'; from, to = to, to+1 {
		ten := strings.TrimSuffix(strings.Repeat("*"+string(from)+", ", 10), ", ")
		fmt.Fprintf(&bomb, "x-%c: &%c [%s]\n", to, to, ten)
		fmt.Fprintf(&merges, "x-%c: &%c {<<: [%s]}\n", to, to, ten)
	}
	deep := "x-a: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "\n"
	for _, tc := range []struct{ name, overlay, want string }{
		{"lists in lists", bomb.String(), "the file has more than 50000 values, aliases included"},
		{"merge keys in merge keys", merges.String(), "the file has more than 50000 values, aliases included"},
		{"deep", deep, "values stand inside of each other more than 50 deep"},
		{"long", "# " + strings.Repeat("x", 1<<20), "cannot read overlay.yaml: it has more than 1048576 bytes"},
		{"many", "x-a: [" + strings.Repeat("1,", 60_000) + "1]\n", "the file has more than 50000 values, aliases included"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			settings := withOverlay(t, tc.overlay)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			done := make(chan error, 1)
			go func() {
				_, err := stack.Load(ctx, bundle.FS(), settings)
				done <- err
			}()
			select {
			case err := <-done:
				assert.ErrorContains(t, err, tc.want)
				_ = assertRefusal(t, err)
			case <-ctx.Done():
				t.Fatal("it takes longer than 10 s")
			}
		})
	}
}

// A file that is no mapping at all, or one that is not there, is named by the path that the user gave.
func TestOverlayThatCannotBeRead(t *testing.T) {
	settings := withOverlay(t, "services: {}\n")
	for file, want := range map[string]string{
		"folder":   "cannot read overlay.yaml: is a directory",
		"nope":     "cannot read overlay.yaml: no such file or directory",
		"link.txt": "cannot read overlay.yaml: path escapes from parent",
	} {
		settings.Layers[0].File = file
		_, err := stack.Load(t.Context(), bundle.FS(), settings)
		assert.Error(t, err, want)
		assert.Equal(t, assertRefusal(t, err), "look at its path")
	}
}

func TestScaleOfWhatIsNotThere(t *testing.T) {
	settings := testSettings()
	settings.Scale = map[string]int{"agregator": 3}
	_, err := stack.Load(t.Context(), bundle.FS(), settings)
	assert.Error(t, err, `there is no component "agregator" to scale`)
	settings.Scale = map[string]int{stack.Grafana: 3}
	_, err = stack.Load(t.Context(), bundle.FS(), settings)
	assert.Error(t, err, "grafana runs once: its data is in one volume")
}
