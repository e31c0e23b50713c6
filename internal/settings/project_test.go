package settings_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aymanbagabas/go-udiff"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/profiles"
	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/stack/bundle"
)

// The golden file of a profile is the difference that it makes to the base project, whose own golden file is that of
// the package stack; of a profile that includes others it is the difference to the project with those. After a wanted
// change: go test ./internal/settings -run TestLoadedProfiles -update
func TestLoadedProfiles(t *testing.T) {
	catalog, err := profiles.Shipped()
	assert.NilError(t, err)
	for _, name := range catalog.Names() {
		t.Run(name, func(t *testing.T) {
			profile, err := catalog.Find(name)
			assert.NilError(t, err)
			base := loaded(t, catalog, profile.Includes...)
			difference := udiff.Unified("base", name, base, loaded(t, catalog, name))
			assert.Assert(t, difference != "", "profile %s changes nothing", name)
			golden.Assert(t, located(base, difference), filepath.Join("profiles", name+".diff"))
		})
	}
	files, err := filepath.Glob("testdata/profiles/*.diff")
	assert.NilError(t, err)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".diff")
		assert.Assert(t, slices.Contains(catalog.Names(), name), "%s is of no profile; remove it", file)
	}
}

// loaded is the project with some profiles as YAML. Configuration is a digest; those that stand in the services'
// labels are left out, because they say the same once more.
func loaded(t *testing.T, catalog profiles.Catalog, names ...string) string {
	t.Helper()
	nominal, err := settings.Nominal(catalog, names...)
	assert.NilError(t, err)
	project, err := stack.Load(t.Context(), bundle.FS(), nominal)
	assert.NilError(t, err)
	for name, config := range project.Configs {
		config.Content = fmt.Sprintf("sha256:%.12x, %d lines", sha256.Sum256([]byte(config.Content)), strings.Count(config.Content, "\n"))
		project.Configs[name] = config
	}
	for _, service := range project.Services {
		delete(service.Labels, stack.ConfigDigestLabel)
	}
	text, err := project.MarshalYAML()
	assert.NilError(t, err)
	return string(text)
}

var hunk = regexp.MustCompile(`(?m)^@@ -(\d+).*@@$`)

// located writes at each hunk of a difference where in the base it is, instead of line numbers, which would change
// with every line above.
func located(base, difference string) string {
	lines := strings.Split(base, "\n")
	return hunk.ReplaceAllStringFunc(difference, func(header string) string {
		first, _ := strconv.Atoi(hunk.FindStringSubmatch(header)[1])
		return "@@ " + keyOf(lines[:first]) + " @@"
	})
}

// keyOf is the dotted key of the last of some lines of YAML.
func keyOf(lines []string) string {
	var key []string
	indent := len(lines[len(lines)-1])
	for _, line := range slices.Backward(lines) {
		own := len(line) - len(strings.TrimLeft(line, " "))
		name, _, found := strings.Cut(strings.TrimLeft(line, " "), ":")
		if own < indent && found && !strings.HasPrefix(name, "- ") {
			key, indent = append(key, name), own
		}
	}
	slices.Reverse(key)
	return strings.Join(key, ".")
}

// What may be combined loads, on every kind of host, and with every value of an option; what may not is said to be so.
func TestEveryPairOfProfilesLoads(t *testing.T) {
	catalog, err := profiles.Shipped()
	assert.NilError(t, err)
	names := catalog.Names()
	for i, first := range names {
		for _, second := range names[i:] {
			t.Run(first+" "+second, func(t *testing.T) {
				selection, err := catalog.Select([]string{first, second})
				if err != nil {
					assert.ErrorContains(t, err, "cannot be combined")
					return
				}
				assert.Assert(t, first != second || selection.On(first))
				loads(t, settings.Request{Profiles: []string{first, second}}, true)
				if len(selection.Needs()) == 0 {
					loads(t, settings.Request{Profiles: []string{first, second}}, false)
				}
			})
		}
		profile, err := catalog.Find(first)
		assert.NilError(t, err)
		for option := range profile.Options {
			for _, value := range profile.Options[option].Values {
				t.Run(first+" "+option+"="+value, func(t *testing.T) {
					loads(t, settings.Request{Profiles: []string{first}, Options: map[string]string{option: value}}, true)
				})
			}
		}
	}
}

// loads loads what an up with a request would run: on an engine with everything, or on one in WSL2 without anything.
func loads(t *testing.T, request settings.Request, everything bool) {
	t.Helper()
	source := newSource(t)
	if !everything {
		source.Engine.Kernel = "5.15.153.1-microsoft-standard-WSL2"
	}
	source.Feature = func(string) (bool, error) { return everything, nil }
	result, err := source.Remember(request)
	assert.NilError(t, err)
	project, err := stack.Load(t.Context(), bundle.FS(), result.Settings)
	assert.NilError(t, err)
	for name, config := range project.Configs {
		assert.Assert(t, !strings.Contains(config.Content, "<no value>"), "config %s", name)
	}
	if len(request.Profiles) > 1 && request.Profiles[0] != request.Profiles[1] {
		return // each by itself is enough to see that a load depends on its settings alone
	}
	again, err := stack.Load(t.Context(), bundle.FS(), result.Settings)
	assert.NilError(t, err)
	change := stack.Compare(project, again)
	assert.Equal(t, len(change.Services)+len(change.Volumes), 0, "a second load differs: %v", change)
}

// The profile that is created works as it is.
func TestTheTemplateOfAProfileLoads(t *testing.T) {
	source := newSource(t)
	folder, err := profiles.Create(settings.ProfileFolder(source.Root), "mine")
	assert.NilError(t, err)
	result, err := source.Remember(settings.Request{Profiles: []string{"mine"}})
	assert.NilError(t, err)
	project, err := stack.Load(t.Context(), bundle.FS(), result.Settings)
	assert.NilError(t, err)
	content, err := os.ReadFile(filepath.Join(folder, "config", "agent", "agent.yaml"))
	assert.NilError(t, err)
	assert.Equal(t, project.Configs["mine-agent"].Content, string(content))
}

// Whoever sees the Docker socket is root on the engine's host, and a read-only mount keeps nobody from connecting. So no
// profile may mount it, a folder above it, or /proc, where each process has its root folder; node-exporter, which is
// nobody, cannot open it.
func TestNoProfileReachesTheSocket(t *testing.T) {
	catalog, err := profiles.Shipped()
	assert.NilError(t, err)
	for _, name := range catalog.Names() {
		source := newSource(t)
		source.Feature = func(string) (bool, error) { return true, nil }
		result, err := source.Remember(settings.Request{Profiles: []string{name}})
		assert.NilError(t, err)
		project, err := stack.Load(t.Context(), bundle.FS(), result.Settings)
		assert.NilError(t, err)
		for component, service := range project.Services {
			if component == stack.DockerProxy || component == stack.NodeExporter {
				continue
			}
			for _, volume := range service.Volumes {
				assert.Assert(t, volume.Type != "bind" || !reachesSocket(volume.Source), "%s: %s mounts %s", name, component, volume.Source)
			}
		}
	}
}

func reachesSocket(source string) bool {
	for _, path := range []string{"/var/run/docker.sock", "/run/docker.sock", "/proc/1/root"} {
		if source == path || strings.HasPrefix(path, strings.TrimSuffix(source, "/")+"/") {
			return true
		}
	}
	return false
}
