package stack_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/compose/v5/pkg/api"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/stack/bundle"
)

func testSettings() stack.Settings {
	return stack.Settings{
		Name: "telemetry", Bind: "127.0.0.1", Port: 8082, DockerSocket: "/var/run/docker.sock",
		Host: "laptop", EngineAPI: "1.41",
		Secrets: map[string]string{
			"gateway_cert": "cert", "gateway_key": "key", "grafana_admin_password": "gp", "openobserve_env": "oe",
			"openobserve_password": "op", "openobserve_user": "ou", "victoriametrics_password": "vp", "victoriametrics_snapshot_key": "vk", "victoriametrics_user": "vu",
		},
	}
}

func load(t *testing.T, settings stack.Settings) *types.Project {
	t.Helper()
	return loadFrom(t, bundle.FS(), settings)
}

func loadFrom(t *testing.T, from fs.FS, settings stack.Settings) *types.Project {
	t.Helper()
	project, err := stack.Load(t.Context(), from, settings)
	assert.NilError(t, err)
	return project
}

// bundleCopy is the bundle, for a test to change.
func bundleCopy(t *testing.T) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	assert.NilError(t, fs.WalkDir(bundle.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(bundle.FS(), path)
		files[path] = &fstest.MapFile{Data: content}
		return err
	}))
	return files
}

// The golden file is what Compose gets. After a wanted change: go test ./stack -run TestLoadedProject -update
func TestLoadedProject(t *testing.T) {
	project := load(t, testSettings())
	for name, config := range project.Configs {
		config.Content = fmt.Sprintf("sha256:%.12x, %d lines", sha256.Sum256([]byte(config.Content)), strings.Count(config.Content, "\n"))
		project.Configs[name] = config
	}
	text, err := project.MarshalYAML()
	assert.NilError(t, err)
	golden.Assert(t, string(text), "project.golden.yaml")
}

func TestLoadIsTheSameEachTime(t *testing.T) {
	first, err := load(t, testSettings()).MarshalYAML()
	assert.NilError(t, err)
	second, err := load(t, testSettings()).MarshalYAML()
	assert.NilError(t, err)
	assert.Equal(t, string(first), string(second))
}

func TestLoadIgnoresTheCallersEnvironment(t *testing.T) {
	want, err := load(t, testSettings()).MarshalYAML()
	assert.NilError(t, err)

	leaks := map[string]string{
		"COMPOSE_PROJECT_NAME": "other", "COMPOSE_PROFILES": "otel", "COMPOSE_FILE": "other.yaml", "TELEMETRY_PORT": "1",
		"AGENT_IMAGE": "evil", "AGGREGATOR_REPLICAS": "9", "gateway_key": "leaked",
	}
	var dotenv strings.Builder
	for name, value := range leaks {
		t.Setenv(name, value)
		fmt.Fprintf(&dotenv, "%s=%s\n", name, value)
	}
	t.Chdir(t.TempDir())
	assert.NilError(t, os.WriteFile(".env", []byte(dotenv.String()), 0o600))
	assert.NilError(t, os.WriteFile("compose.override.yaml", []byte("services: {evil: {image: evil}}\n"), 0o600))

	got, err := load(t, testSettings()).MarshalYAML()
	assert.NilError(t, err)
	assert.Equal(t, string(got), string(want))
}

func TestLoadSetsWhatComposeFindsContainersBy(t *testing.T) {
	settings := testSettings()
	settings.Name = "second"
	project := load(t, settings)
	assert.DeepEqual(t, project.ServiceNames(), slices.Sorted(slices.Values(stack.Components())))
	for name, service := range project.Services {
		assert.Equal(t, service.CustomLabels[api.ProjectLabel], "second")
		assert.Equal(t, service.CustomLabels[api.ServiceLabel], name)
		assert.Equal(t, service.CustomLabels[api.OneoffLabel], "False")
		assert.Equal(t, service.Labels[stack.StackLabel], "second")
		assert.Equal(t, service.Labels[stack.ComponentLabel], name)
	}
	for _, volume := range project.Volumes {
		assert.Equal(t, volume.Labels[stack.StackLabel], "second")
		assert.Assert(t, strings.HasPrefix(volume.Name, "second_"), volume.Name)
	}
	for _, network := range project.Networks {
		assert.Equal(t, network.Labels[stack.StackLabel], "second")
	}
}

func TestLoadRefuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(fstest.MapFS, *stack.Settings)
		want   string
	}{
		{"a secret without content", func(_ fstest.MapFS, s *stack.Settings) { s.Secrets["gateway_key"] = "" }, "secrets.gateway_key: it has no content"},
		{"a config file that is missing", func(b fstest.MapFS, _ *stack.Settings) {
			delete(b, "config/agent/logs.yaml")
		}, `configs.agent-logs.file: cannot read "./config/agent/logs.yaml": file does not exist`},
		{"a template that asks for what nobody gives", func(b fstest.MapFS, _ *stack.Settings) {
			b["config/agent/logs.yaml"].Data = []byte("[[.Nothing]]")
		}, `configs.agent-logs.file: its template, line 1: <.Nothing>: map has no entry for key "Nothing"`},
		{"an image that is not pinned", func(b fstest.MapFS, _ *stack.Settings) { b["images.env"].Data = []byte("") }, "AGENT_IMAGE"},
		{"a compose file with an unknown key", func(b fstest.MapFS, _ *stack.Settings) {
			b["compose.yaml"].Data = append(b["compose.yaml"].Data, "\nnonsense: 1\n"...)
		}, "nonsense"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files, settings := bundleCopy(t), testSettings()
			tc.change(files, &settings)
			_, err := stack.Load(t.Context(), files, settings)
			assert.ErrorContains(t, err, tc.want)
		})
	}
}

// Compose leaves the content of configs and secrets out of its hash, so the digest alone decides who is recreated.
func TestConfigDigestChangesWithTheContentThatIsMounted(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(fstest.MapFS, *stack.Settings)
		want   []string
	}{
		{"nothing", func(fstest.MapFS, *stack.Settings) {}, nil},
		{"a config of one component", func(b fstest.MapFS, _ *stack.Settings) { appendTo(b, "config/aggregator/logs.yaml") }, []string{stack.Aggregator}},
		{"a secret of one component", func(_ fstest.MapFS, s *stack.Settings) { s.Secrets["openobserve_env"] += "!" }, []string{stack.OpenObserve}},
		{"the certificate, which is rotated in place", func(_ fstest.MapFS, s *stack.Settings) {
			s.Secrets["gateway_cert"] += "!"
			s.Secrets["gateway_key"] += "!"
		}, nil},
		{"a secret of three components", func(_ fstest.MapFS, s *stack.Settings) { s.Secrets["victoriametrics_password"] += "!" }, []string{
			stack.Aggregator, stack.Grafana, stack.VictoriaMetrics,
		}},
		{"a file of the bundle that nobody mounts", func(b fstest.MapFS, _ *stack.Settings) {
			b["config/agent/unused.yaml"] = &fstest.MapFile{Data: []byte("x")}
		}, nil},
		{"the port", func(_ fstest.MapFS, s *stack.Settings) { s.Port = 9443 }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := digests(load(t, testSettings()))
			files, settings := bundleCopy(t), testSettings()
			tc.change(files, &settings)
			after := digests(loadFrom(t, files, settings))
			var changed []string
			for _, name := range slices.Sorted(maps.Keys(before)) {
				if before[name] != after[name] {
					changed = append(changed, name)
				}
			}
			assert.DeepEqual(t, changed, tc.want)
		})
	}
}

func appendTo(files fstest.MapFS, path string) {
	files[path] = &fstest.MapFile{Data: append(slices.Clone(files[path].Data), "# more\n"...)}
}

func digests(project *types.Project) map[string]string {
	found := map[string]string{}
	for name, service := range project.Services {
		found[name] = service.Labels[stack.ConfigDigestLabel]
	}
	return found
}

func TestStartIntervalOnlyWhereTheEngineKnowsIt(t *testing.T) {
	for _, tc := range []struct {
		api  string
		want bool
	}{{"1.41", false}, {"1.43", false}, {"1.44", true}, {"1.52", true}, {"2.0", true}, {"", false}, {"new", false}} {
		t.Run(tc.api, func(t *testing.T) {
			settings := testSettings()
			settings.EngineAPI = tc.api
			for name, service := range load(t, settings).Services {
				assert.Equal(t, service.HealthCheck.StartInterval != nil, tc.want, name)
				if tc.want {
					assert.Equal(t, time.Duration(*service.HealthCheck.StartInterval), time.Second, name)
				}
			}
		})
	}
}

func TestScaleOfTheSettingsWinsOverTheBundle(t *testing.T) {
	assert.Equal(t, stack.Replicas(load(t, testSettings()))[stack.Aggregator], 2)
	settings := testSettings()
	settings.Scale = map[string]int{stack.Aggregator: 5}
	assert.Equal(t, stack.Replicas(load(t, settings))[stack.Aggregator], 5)
}

func TestRetentionIsReadFromTheProject(t *testing.T) {
	assert.DeepEqual(t, stack.Retention(load(t, testSettings())), map[string]string{"metrics": "14d", "logs": "14d"})
}

// YAML is for people's eyes and terminals, which is no place for a password.
func TestYAMLHasNoSecrets(t *testing.T) {
	settings := testSettings()
	for name := range settings.Secrets {
		settings.Secrets[name] = "hunter2-" + name
	}
	text, err := stack.YAML(load(t, settings))
	assert.NilError(t, err)
	assert.Assert(t, !strings.Contains(string(text), "hunter2"))
	assert.Assert(t, strings.Contains(string(text), "environment: gateway_key"))
}

// What eject writes must mean the same to `docker compose` as what `up` runs.
func TestEjectedFilesLoadAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ejected")
	project := load(t, testSettings())
	agent := project.Services[stack.Agent]
	agent.Command = append(agent.Command, "--price=$HOME $$5") // a dollar of its own, that means no variable
	project.Services[stack.Agent] = agent
	assert.NilError(t, stack.Eject(project, dir))

	text, err := os.ReadFile(filepath.Join(dir, "compose.yaml"))
	assert.NilError(t, err)
	again, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  dir,
		Environment: types.Mapping{"HOME": "/home/me"},
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(dir, "compose.yaml"), Content: text}},
	})
	assert.NilError(t, err)
	assert.Equal(t, again.Name, project.Name)
	assert.DeepEqual(t, again.ServiceNames(), project.ServiceNames())
	for name, service := range project.Services {
		loaded := again.Services[name]
		assert.DeepEqual(t, []string(loaded.Command), []string(service.Command))
		assert.DeepEqual(t, loaded.HealthCheck.Test, service.HealthCheck.Test)
		assert.Equal(t, loaded.GetScale(), service.GetScale())
		_, stale := loaded.Labels[stack.ConfigDigestLabel]
		assert.Assert(t, !stale, name)
	}
	for name, config := range project.Configs {
		content, err := os.ReadFile(again.Configs[name].File)
		assert.NilError(t, err)
		assert.Equal(t, string(content), config.Content)
	}
	for name, secret := range project.Secrets {
		content, err := os.ReadFile(again.Secrets[name].File)
		assert.NilError(t, err)
		assert.Equal(t, string(content), secret.Content)
	}
	info, err := os.Stat(filepath.Join(dir, "secrets"))
	assert.NilError(t, err)
	assert.Equal(t, info.Mode().Perm(), os.FileMode(0o700))
}

func TestEjectNeverOverwrites(t *testing.T) {
	project := load(t, testSettings())
	full := t.TempDir()
	assert.NilError(t, os.WriteFile(filepath.Join(full, "mine"), []byte("mine"), 0o600))
	assert.Error(t, stack.Eject(project, full), fmt.Sprintf("folder %q is not empty", full))
	assert.Error(t, stack.Eject(project, filepath.Join(full, "mine")),
		fmt.Sprintf("cannot use %q as a folder: not a directory", filepath.Join(full, "mine")))
	entries, err := os.ReadDir(full)
	assert.NilError(t, err)
	assert.Equal(t, len(entries), 1)
}
