package retention

import (
	"math"
	"strconv"
	"testing"

	"gotest.tools/v3/assert"
)

// FuzzParseWanted: what is accepted is within what its store takes, has a date, and reads the same again.
func FuzzParseWanted(f *testing.F) {
	for _, text := range []string{
		"metrics=30d", "logs=7d", "traces=1w", "logs/STREAM=3d", "traces/default=4d", "logs/a/b=3d", "logs/a=b=3d", "metrics=36h", "metrics=1M", "logs=100y",
		"metrics=101y", "metrics=1e300d", "metrics=1e308y", "metrics=Infd", "metrics=NaNd", "metrics=-3d", "metrics=0x1p4d", "metrics=1_0d", "metrics=+7d",
		"logs=2.999999999999999999d", "logs=3.5d", "metrics=.5w", "metrics=1d ", " metrics=1d", "metrics=٣d", "metrics/x=3d", "logs/=3d", "/=3d", "=3d", "=", "",
		"metrics", "metrics=", "metrics=d", "logs/\x1b[31m\u202e=3d", "logs/\xff=3d",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		wanted, err := ParseWanted(text)
		if err != nil {
			assert.Equal(t, wanted, Wanted{})
			return
		}
		least := 1.0
		switch wanted.Store {
		case Metrics:
			assert.Equal(t, wanted.Name, "")
		case Logs, Traces:
			least = 3
			assert.Equal(t, wanted.Days, math.Trunc(wanted.Days))
		default:
			t.Fatalf("%q is taken for store %q", text, wanted.Store)
		}
		assert.Assert(t, wanted.Days >= least && wanted.Days <= 36500, "%q: %g days", text, wanted.Days)
		again, err := ParseWanted(wanted.Target() + "=" + strconv.FormatFloat(wanted.Days, 'g', -1, 64) + "d")
		assert.NilError(t, err)
		assert.Equal(t, again, wanted)
	})
}
