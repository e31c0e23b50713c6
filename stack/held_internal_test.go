package stack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

func TestLogBound(t *testing.T) {
	for _, tc := range []struct {
		driver, size, files string
		most                int64
		kept                bool
	}{
		{"json-file", "10m", "3", 30_000_000, true},
		{"json-file", "10m", "", 10_000_000, true},
		{"json-file", "", "3", 0, true}, // without a size there is only one, and it grows
		{"json-file", "much", "3", 0, true},
		{"json-file", "8e", "3", 0, true}, // more than there are bytes
		{"json-file", "", "", 0, true},
		{"local", "", "", 100 << 20, true},
		{"local", "1m", "", 5_000_000, true},
		{"local", "", "2", 40 << 20, true},
		{"syslog", "10m", "3", 0, false},
		{"none", "", "", 0, false},
		{"", "", "", 0, false},
	} {
		options := map[string]string{}
		if tc.size != "" {
			options["max-size"] = tc.size
		}
		if tc.files != "" {
			options["max-file"] = tc.files
		}
		most, kept := logBound(tc.driver, options)
		assert.Equal(t, most, tc.most, "%+v", tc)
		assert.Equal(t, kept, tc.kept, "%+v", tc)
	}
}

func TestLogBytes(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "abc-json.log")
	for name, bytes := range map[string]int{"abc-json.log": 100, "abc-json.log.1": 50, "abc-json.log.2.gz": 7, "config.v2.json": 1000} {
		assert.NilError(t, os.WriteFile(filepath.Join(folder, name), []byte(strings.Repeat("x", bytes)), 0o600))
	}
	bytes, seen := logBytes(path)
	assert.Equal(t, bytes, int64(157))
	assert.Assert(t, seen)
	for _, unseen := range []string{"", "abc-json.log", filepath.Join(folder, "other-json.log"), filepath.Join(folder, "no", "abc-json.log")} {
		bytes, seen = logBytes(unseen)
		assert.Equal(t, bytes, int64(0), unseen)
		assert.Assert(t, !seen, unseen)
	}
}
