package stack

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"
	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/stack/bundle"
)

func TestArchiveHoldsWhatIsMounted(t *testing.T) {
	mode := types.FileMode(0o400)
	project := &types.Project{
		Configs: types.Configs{"nginx": {Content: "worker_processes 1;"}},
		Secrets: types.Secrets{"key": {Content: "k"}, "password": {Content: "p"}, "token": {Content: "t"}},
	}
	service := types.ServiceConfig{Name: "gateway"}
	service.Configs = []types.ServiceConfigObjConfig{{Source: "nginx", Target: "/etc/nginx/nginx.conf"}}
	service.Secrets = []types.ServiceSecretConfig{
		{Source: "key"}, {Source: "password", Target: "renamed", Mode: &mode}, {Source: "token", Target: "/etc/token"},
	}
	files, modes := unpack(t, project, service)
	assert.DeepEqual(t, files, map[string]string{
		"etc/nginx/nginx.conf": "worker_processes 1;", "run/secrets/key": "k", "run/secrets/renamed": "p", "etc/token": "t",
	})
	assert.Equal(t, modes["run/secrets/key"], int64(0o444))
	assert.Equal(t, modes["run/secrets/renamed"], int64(0o400))

	service.Secrets[0].UID = "472"
	_, err := archiveOf(project, service)
	assert.Error(t, err, "/run/secrets/key of gateway: uid and gid are not supported")
}

// What the SDK is given to start must be the project in all but the files, or it would start something else.
func TestWithoutFilesChangesNothingElse(t *testing.T) {
	project, err := Load(t.Context(), bundle.FS(), Settings{
		Name: "telemetry", Bind: "127.0.0.1", Port: 8082, DockerSocket: "/s", EngineAPI: "1.41", Secrets: everySecret(t),
	})
	assert.NilError(t, err)
	bare := withoutFiles(project)
	assert.Equal(t, len(bare.Services), len(project.Services))
	for name, service := range project.Services {
		assert.Equal(t, len(bare.Services[name].Configs)+len(bare.Services[name].Secrets), 0)
		service.Configs, service.Secrets = nil, nil
		assert.DeepEqual(t, bare.Services[name], service)
	}
	assert.Assert(t, len(project.Services[Gateway].Configs) > 0, "the project itself keeps its files")
}

func unpack(t *testing.T, project *types.Project, service types.ServiceConfig) (files map[string]string, modes map[string]int64) {
	t.Helper()
	archive, err := archiveOf(project, service)
	assert.NilError(t, err)
	files, modes = map[string]string{}, map[string]int64{}
	for reader := tar.NewReader(archive); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files, modes
		}
		assert.NilError(t, err)
		var content strings.Builder
		_, err = io.Copy(&content, reader)
		assert.NilError(t, err)
		files[header.Name], modes[header.Name] = content.String(), header.Mode
	}
}

// everySecret gives each secret of the bundle a content.
func everySecret(t *testing.T) map[string]string {
	t.Helper()
	raw, err := fs.ReadFile(bundle.FS(), "compose.yaml")
	assert.NilError(t, err)
	compose, err := parseDocument(Layer{Shipped: true}, raw, nil)
	assert.NilError(t, err)
	secrets := map[string]string{}
	assert.NilError(t, each(compose.find("secrets"), func(name, _ *yaml.Node) error {
		secrets[name.Value] = "content of " + name.Value
		return nil
	}))
	return secrets
}
