package stack_test

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/stack/stacktest"
)

func TestConfigWithoutItsImageIsNotTried(t *testing.T) {
	engine, project := stacktest.New(), load(t, testSettings())
	image := project.Services[stack.Gateway].Image
	engine.Missing[image] = true
	tried := engine.Manager().TryConfigs(t.Context(), project, []string{stack.Gateway})
	assert.Equal(t, len(tried), 1)
	assert.Error(t, tried[0].Err, `image "`+image+`" is not on the engine; docker telemetry pull fetches it`)
}
