package stack_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/profiles"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

// What is ejected is the project, profiles and overlays included: `docker compose config` of the files says the same.
func TestEjectedProfilesAndOverlaysAreTheProject(t *testing.T) {
	catalog, err := profiles.Shipped()
	assert.NilError(t, err)
	nominal, err := settings.Nominal(catalog, together(t, catalog)...)
	assert.NilError(t, err)
	nominal.Layers = append(nominal.Layers, withOverlay(t, goodOverlay).Layers...)
	project := load(t, nominal)
	dir := filepath.Join(t.TempDir(), "ejected")
	assert.NilError(t, stack.Eject(project, dir))

	file := filepath.Join(dir, "compose.yaml")
	text, err := os.ReadFile(file)
	assert.NilError(t, err)
	again, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: dir, Environment: types.Mapping{}, ConfigFiles: []types.ConfigFile{{Filename: file, Content: text}},
	})
	assert.NilError(t, err)
	assert.Equal(t, composeText(t, again), composeText(t, project))
	for name, config := range project.Configs {
		assert.Equal(t, contentOf(t, again.Configs[name].File), config.Content, name)
	}
	for name, secret := range project.Secrets {
		assert.Equal(t, contentOf(t, again.Secrets[name].File), secret.Content, name)
	}
}

// together is as many of the shipped profiles as can be on at once.
func together(t *testing.T, catalog profiles.Catalog) []string {
	t.Helper()
	var all []string
	for _, name := range catalog.Names() {
		if _, err := catalog.Select(append(all, name)); err == nil && name != "minimal" {
			all = append(all, name)
		}
	}
	assert.Assert(t, len(all) > 3, "only %v", all)
	return all
}

// composeText is a project as YAML, without the content of configs and secrets and without what eject leaves out: the
// digest of the configuration, which would go stale, and owners of secrets, which a bind mount cannot have.
func composeText(t *testing.T, project *types.Project) string {
	t.Helper()
	plain := *project
	plain.Configs, plain.Secrets, plain.Services = nil, nil, types.Services{}
	for name, service := range project.Services {
		labels := types.Labels{}
		for key, value := range service.Labels {
			if key != stack.ConfigDigestLabel {
				labels[key] = value
			}
		}
		service.Labels = labels
		mounts := make([]types.ServiceSecretConfig, 0, len(service.Secrets))
		for _, mount := range service.Secrets {
			mounts = append(mounts, types.ServiceSecretConfig{Source: mount.Source, Target: mount.Target})
		}
		service.Secrets = mounts
		plain.Services[name] = service
	}
	text, err := plain.MarshalYAML()
	assert.NilError(t, err)
	return string(text)
}

func contentOf(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	assert.NilError(t, err)
	return string(text)
}
