package stack

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

func TestFreeOf(t *testing.T) {
	for _, tc := range []struct {
		answer string
		free   int64
		known  bool
	}{
		{"Filesystem 1024-blocks Used Available Capacity Mounted on\ntmpfs 196608 20 196588 1% /storage\n", 196588 << 10, true},
		{"Filesystem           1024-blocks    Used Available Capacity Mounted on\n/dev/sda1 100 100 0 100% /data", 0, true},
		{"df: /data: can't find mount point", 0, false},
		{"", 0, false},
	} {
		free, known := freeOf(tc.answer)
		assert.Equal(t, free, tc.free, tc.answer)
		assert.Equal(t, known, tc.known, tc.answer)
	}
}

func TestDiffering(t *testing.T) {
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
	wanted := map[string]string{"/a": a, "/b": b}
	for answer, want := range map[string][]string{
		a + "  /a\n" + b + "  /b\n":                           nil,
		a + "  /a\n" + a + "  /b\n":                           {"/b"},
		a + "  /a\nsha256sum: /b: No such file\n":             {"/b"},
		"exec: sha256sum: executable file not found in $PATH": nil,
		"": nil,
	} {
		assert.DeepEqual(t, differing(answer, wanted), want)
	}
}
