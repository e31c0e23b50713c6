package stack_test

import (
	"errors"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/stack"
)

func TestComponentIsTheNameOrItsPlural(t *testing.T) {
	for word, want := range map[string]string{
		"aggregator": stack.Aggregator, "aggregators": stack.Aggregator, "agents": stack.Agent, "docker-proxy": stack.DockerProxy,
	} {
		got, err := stack.Component(word)
		assert.NilError(t, err)
		assert.Equal(t, got, want)
	}
	for _, word := range []string{"", "s", "Agent", "vector", "aggregatorss"} {
		_, err := stack.Component(word)
		assert.ErrorContains(t, err, "there is no component")
		assertUsage(t, err)
	}
}

func TestResolveComponentsNamesEachOnce(t *testing.T) {
	names, err := stack.ResolveComponents([]string{"agent", "agents", "gateway"})
	assert.NilError(t, err)
	assert.DeepEqual(t, names, []string{stack.Agent, stack.Gateway})
	names, err = stack.ResolveComponents(nil)
	assert.NilError(t, err)
	assert.Assert(t, names == nil)
}

func TestParseScale(t *testing.T) {
	for _, pairs := range [][]string{{"aggregator=3"}, {"aggregators=3"}, {"aggregator=1", "aggregator=3"}} {
		scale, err := stack.ParseScale(pairs)
		assert.NilError(t, err)
		assert.DeepEqual(t, scale, map[string]int{stack.Aggregator: 3})
	}
	for _, tc := range []struct{ pair, want string }{
		{"aggregator", `"aggregator" is not COMPONENT=N`},
		{"aggregator=", `"" is not a number of replicas`},
		{"aggregator=two", `"two" is not a number of replicas`},
		{"aggregator=0", "aggregator=0: at least one replica is needed for data to arrive"},
		{"aggregator=-1", "aggregator=-1: at least one replica is needed for data to arrive"},
		{"aggregator=65", "aggregator=65 is more than this is made for"},
		{"agregator=2", `there is no component "agregator"`},
		{"agent=2", "agent runs once: two would read every log twice, and its disk buffer takes a lock"},
		{"openobserve=2", "openobserve runs once: its data is in one volume"},
		{"gateway=2", "gateway runs once: it publishes the port"},
	} {
		t.Run(tc.pair, func(t *testing.T) {
			_, err := stack.ParseScale([]string{tc.pair})
			assert.Error(t, err, tc.want)
			assertUsage(t, err)
		})
	}
}

// assertUsage checks that an error is a refusal of the request itself and says what to type instead.
func assertUsage(t *testing.T, err error) {
	t.Helper()
	var refusal *stack.Error
	assert.Assert(t, errors.As(err, &refusal), "%T", err)
	assert.Assert(t, refusal.Usage)
	assert.Assert(t, refusal.Hint() != "")
}
