package stack_test

import (
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/stack/stacktest"
)

func TestAdoptPassword(t *testing.T) {
	for _, tc := range []struct {
		component string
		command   string
		changes   []string
	}{
		{stack.VictoriaMetrics, "", nil},
		{
			stack.Grafana, `sh -c exec grafana cli "--homepath=$GF_PATHS_HOME" admin reset-admin-password --password-from-stdin </run/secrets/grafana_admin_password`,
			nil,
		},
		{
			stack.OpenObserve, "/openobserve -c /run/secrets/openobserve_env reset -c root",
			[]string{"stop container telemetry-openobserve-1", "start container telemetry-openobserve-1"},
		},
	} {
		t.Run(tc.component, func(t *testing.T) {
			_, err := stacktest.New().Manager().AdoptPassword(t.Context(), "telemetry", stack.Grafana, time.Second)
			assert.Error(t, err, "grafana does not run, so its password cannot be changed")

			engine := running(t)
			var ran, at string
			engine.Exec = func(component string, command []string) string {
				at, ran = component, strings.Join(command, " ")
				return "done as told\n"
			}
			said, err := engine.Manager().AdoptPassword(t.Context(), "telemetry", tc.component, time.Second)
			assert.NilError(t, err)
			assert.Equal(t, ran, tc.command)
			assert.DeepEqual(t, engine.Changes(), tc.changes)
			if tc.command != "" {
				assert.Equal(t, said, "done as told")
				assert.Equal(t, at, tc.component)
			}
		})
	}
}
