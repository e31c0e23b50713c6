package stack

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/stack/bundle"
)

func testSettings() Settings {
	return Settings{
		Name: "telemetry", Bind: "127.0.0.1", Port: 8082, DockerSocket: "/var/run/docker.sock",
		Host: "laptop", EngineAPI: "1.41",
		Secrets: map[string]string{
			"gateway_cert": "cert", "gateway_key": "key", "grafana_admin_password": "gp", "openobserve_env": "oe",
			"openobserve_password": "op", "openobserve_user": "ou", "victoriametrics_password": "vp", "victoriametrics_user": "vu",
		},
	}
}

func TestLoadBundle(t *testing.T) {
	p, err := Load(t.Context(), bundle.FS(), testSettings())
	assert.NilError(t, err)
	out, err := p.MarshalYAML()
	assert.NilError(t, err)
	t.Log(string(out))
}
