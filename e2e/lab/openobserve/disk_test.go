package main

import (
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/assert/cmp"
)

func TestDiskCircuitBreaker(t *testing.T) {
	const mega = 1 << 20
	for _, tc := range []struct {
		name, enabled, threshold string
		total, used              uint64
		want                     int
	}{
		{"off", "false", "90", 1000 * mega, 999 * mega, 200},
		{"below the per cent", "true", "90", 1000 * mega, 899 * mega, 200},
		{"above the per cent", "true", "90", 1000 * mega, 901 * mega, 503},
		{"enough free", "true", "500", 1000 * mega, 499 * mega, 200},
		{"too little free", "true", "500", 1000 * mega, 501 * mega, 503},
		{"not looked at yet, by per cent", "true", "90", 0, 0, 200},
		{"not looked at yet, by megabytes", "true", "500", 0, 0, 503},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFixture(t, t.TempDir(), map[string]string{
				"ZO_DISK_CIRCUIT_BREAKER_ENABLED": tc.enabled, "ZO_DISK_CIRCUIT_BREAKER_THRESHOLD": tc.threshold,
			})
			f.disk.total, f.disk.used = tc.total, tc.used
			code, out := f.do(t, "POST", "/openobserve/api/default/app/_json", contentJSON, []byte(`[{"x":1}]`))
			assert.Equal(t, code, tc.want, "%s", out)
			if tc.want == 503 {
				assert.Assert(t, cmp.Contains(string(out), "DiskCircuitBreakerError"))
			}
		})
	}
	f := newFixture(t, t.TempDir(), nil)
	assert.NilError(t, f.lookAtDisk())
	assert.Assert(t, f.disk.total > 0 && f.disk.used <= f.disk.total)
	_, page := f.do(t, "GET", "/openobserve/metrics", "", nil)
	assert.Assert(t, cmp.Regexp(`zo_node_disk_total\{[^}]*\} [1-9]`, string(page)))
}
