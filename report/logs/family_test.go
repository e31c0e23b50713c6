package logs

import (
	"fmt"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

func TestFamilyOf(t *testing.T) {
	for name, want := range map[string]string{
		"message": "", "http_status_code": "", "k8s_pod_name": "", "log4j_level": "", "utf8": "", "deadbeef": "", "": "", "__": "", "facade_added": "",
		"users_17_name":     "users_*_name",
		"17":                "*",
		"a_1_2_3":           "a_*",
		"sessions_46b5bc25": "sessions_*",
		"o_6f1d9d1e_2b6c_4f0e_9a53_0d4e6f7a8b9c_state": "o_*_state",
		"a_1_b_2": "a_*_b_*",
	} {
		family, is := familyOf(name)
		assert.Equal(t, is, want != "", name)
		if is {
			assert.Equal(t, family, want)
		}
	}
}

func TestFamiliesOfFewAreNone(t *testing.T) {
	var names []string
	for i := range leastFamily - 1 {
		names = append(names, fmt.Sprintf("line_%d", i))
	}
	found, is := families(names)
	assert.DeepEqual(t, found, []Family{})
	assert.Assert(t, !is("line_1"))
	found, is = families(append(names, "line_99"))
	assert.DeepEqual(t, found, []Family{{"line_*", leastFamily}})
	assert.Assert(t, is("line_1") && !is("row_1") && !is("line"))
}

func FuzzFamilyOf(f *testing.F) {
	f.Add("users_17_name")
	f.Add("_\x00_\u202e_0")
	f.Fuzz(func(t *testing.T, name string) {
		family, is := familyOf(name)
		assert.Equal(t, is, strings.Count(family, "*") > strings.Count(name, "*"))
		assert.Assert(t, is || family == name)
	})
}
