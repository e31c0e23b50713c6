package keeping_test

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/internal/keeping"
)

// FuzzParse: what is accepted is remembered as the store takes it, within its limits, and reads the same again.
func FuzzParse(f *testing.F) {
	for _, words := range []string{
		"metrics=30d logs=7d logs/STREAM=3d", "metrics=36h", "metrics=1.5d", "metrics=1.0000000001d", "metrics=1.01d", "logs/docker=72h traces/default=4d",
		"logs=default metrics=default", "logs/x=default", "metrics/x=default", "nobody=default", "=default", "default", "logs=defaultd", "logs=4d logs=5d",
		"metrics=100y", "logs=36500d", "logs=36501d", "metrics=1e300d", "metrics=1e308y", "metrics=NaNd", "logs=-3d", "traces/a=b=3d", "logs/\x1b=3d", "", " ",
	} {
		f.Add(words)
	}
	f.Fuzz(func(t *testing.T, words string) {
		policy, err := keeping.Parse(strings.Split(words, " "))
		if err != nil {
			assert.Assert(t, policy == nil)
			return
		}
		var again []string
		for target, value := range policy {
			again = append(again, target+"="+value)
			if value == keeping.Default {
				continue
			}
			least := 1.0
			if target != "metrics" {
				least = 3
				assert.Assert(t, strings.HasSuffix(value, "d"), "OpenObserve counts days, and %s is to have %s", target, value)
			}
			days := policy.Days(target)
			assert.Assert(t, days >= least && days <= 36500, "%s=%s", target, value)
		}
		once, err := keeping.Parse(again)
		assert.NilError(t, err)
		assert.DeepEqual(t, once, policy)
	})
}
