package plugin

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// FuzzRetentionSizes: what --max-disk, --disk and a budget accept is a size above 0 that can be added to others, and reads the same
// again. What they refuse is wrong usage.
func FuzzRetentionSizes(f *testing.F) {
	for _, text := range []string{
		"20GB", "5G", "5GiB", "1.5TB", "300m", "1", "0", "-1", "none", "None", "", " ", "5 G", "5  G", "G", "much", "1e3", "1e300", "1e300PB", "9223372036854775807",
		"9223372036854775808", "8EB", "1000000000000000000", "1000000000000000001", "1000PB", "1001PB", "Inf ", "NaN ", "0x1p62", "0x1p70", ".5", "0.4", "٣G", "5\x1b[31mG", "5\xffG",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		budget, err := parseBudget(text)
		asked, reportErr := retentionOptions{horizon: "30d", maxDisk: text, limitSet: true}.check()
		if text == "none" {
			assert.NilError(t, err)
			assert.Equal(t, budget, int64(0))
			assertUsage(t, reportErr)
			return
		}
		assert.Equal(t, err == nil, reportErr == nil, "%q: %v, %v", text, err, reportErr)
		if err != nil {
			assertUsage(t, err)
			assertUsage(t, reportErr)
			return
		}
		assert.Assert(t, budget > 0 && budget <= 1e18, "%q: %d", text, budget)
		assert.Equal(t, asked.maxDisk, float64(budget))
		again, err := parseBudget(strconv.FormatInt(budget, 10))
		assert.NilError(t, err)
		assert.Equal(t, again, budget)
	})
}

// FuzzRetentionHorizon: what is accepted lasts from a day to ten years, and --what-if forecasts for no time without a date.
func FuzzRetentionHorizon(f *testing.F) {
	for _, pair := range [][2]string{
		{"30d", "metrics=30d"},
		{"1h", "logs=7d"},
		{"24h", "logs/STREAM=3d"},
		{"3650d", " traces=1w "},
		{"10y", "metrics=100y"},
		{"3651d", "metrics=101y"},
		{"1e300d", "metrics=1e300d"},
		{"1e308y", "metrics=1e308y"},
		{"NaNd", "metrics=NaNd"},
		{"Infd", "metrics"},
		{"", ""},
		{"30", "grafana=7d"},
		{"-1d", "logs=2d"},
	} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, horizon, whatIf string) {
		asked, err := retentionOptions{horizon: horizon, whatIf: []string{whatIf}}.check()
		if err != nil {
			assertUsage(t, err)
			return
		}
		assert.Assert(t, asked.horizon >= 24*time.Hour && asked.horizon <= 3650*24*time.Hour, "%q: %s", horizon, asked.horizon)
		assert.Equal(t, len(asked.whatIf), 1)
		assert.Assert(t, asked.whatIf[0].Days >= 1 && asked.whatIf[0].Days <= 36500, "%q: %g", whatIf, asked.whatIf[0].Days)
	})
}

func assertUsage(t *testing.T, err error) {
	t.Helper()
	var usage *usageError
	assert.Assert(t, errors.As(err, &usage), "%v", err)
}
