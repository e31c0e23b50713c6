package plugin

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/internal/provider"
)

// Compose reads standard output to its end and takes every line for a message, whatever is wrong with the machine.
func TestComposeIsToldInMessagesAlone(t *testing.T) {
	for name, test := range map[string]struct {
		environment string
		config      string // of the Docker CLI
		args        []string
		says        string
		code        int
	}{
		"no engine":          {"DOCKER_HOST=tcp://127.0.0.1:1", "", []string{"up", "otel"}, "127.0.0.1:1", exitFailed},
		"no context":         {"DOCKER_CONTEXT=gone", "", []string{"down", "otel"}, `"gone"`, exitFailed},
		"no configuration":   {"DOCKER_HOST=tcp://127.0.0.1:1", "{broken", []string{"stop", "otel"}, "127.0.0.1:1", exitFailed},
		"an unknown flag":    {"", "", []string{"up", "--bogus=1", "otel"}, "unknown flag: --bogus", exitUsage},
		"no service":         {"", "", []string{"down"}, "give the service's name", exitUsage},
		"a name that no SDK": {"DOCKER_HOST=tcp://127.0.0.1:1", "", []string{"up", "telemetry"}, "call the service otel", exitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProgram(t)
			p.environment = []string{test.environment}
			if strings.HasPrefix(test.environment, "DOCKER_CONTEXT") {
				p.environment = append(p.environment, "DOCKER_HOST=")
			}
			if test.config != "" {
				assert.NilError(t, os.MkdirAll(filepath.Join(p.home, ".docker"), 0o700))
				assert.NilError(t, os.WriteFile(filepath.Join(p.home, ".docker", "config.json"), []byte(test.config), 0o600))
			}
			stdout, _, code := p.run(t, append([]string{"compose", "--project-name=shop"}, test.args...)...)
			assert.Equal(t, code, test.code, stdout)
			assert.Equal(t, strings.Count(stdout, "\n"), 1, stdout)
			var message provider.Message
			assert.NilError(t, json.Unmarshal([]byte(stdout), &message), stdout)
			assert.Equal(t, message.Type, provider.TypeError)
			assert.Assert(t, strings.Contains(message.Message, test.says), message.Message)
		})
	}
}

// Compose asks before each of its commands.
func TestComposeMetadataTouchesNothing(t *testing.T) {
	p := newProgram(t)
	stdout, stderr, code := p.run(t, "compose", "metadata")
	assert.Equal(t, code, 0, stderr)
	assert.Equal(t, stderr, "")
	var metadata provider.Metadata
	assert.NilError(t, json.Unmarshal([]byte(stdout), &metadata))
	for _, parameter := range metadata.Up.Parameters {
		assert.Assert(t, parameter.Description != "" && !parameter.Required, "%+v", parameter)
	}
	assert.Assert(t, metadata.Stop != nil, "Compose stops only who says that it stops")
	assert.Equal(t, p.connections.Load(), int64(0), "the engine was asked")
	left, err := os.ReadDir(p.home)
	assert.NilError(t, err)
	assert.Equal(t, len(left), 0, "something was written to the home folder: %v", left)
}

type closed bool

func (c *closed) Close() error { *c = true; return nil }

// Only a Compose that may lose what it has not read is waited for.
func TestHangUp(t *testing.T) {
	announced := ""
	a := &app{deps: deps{getenv: func(string) string { return announced }}}
	hangUp := func() (bool, time.Duration) {
		var stdout closed
		began := time.Now()
		a.hangUp(&stdout)
		return bool(stdout), time.Since(began)
	}
	was, _ := hangUp()
	assert.Assert(t, !was, "no run of Compose's")
	a.protocol = provider.NewWriter(nil)
	was, took := hangUp()
	assert.Assert(t, was && took >= lastWords)
	announced = "error,info"
	was, _ = hangUp()
	assert.Assert(t, !was)
}
