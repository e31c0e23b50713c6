package main

import (
	"bytes"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

func TestRefusesWhatItDoesNotKnow(t *testing.T) {
	for name, tc := range map[string]struct {
		tool string
		args []string
		want string
	}{
		"option":          {"mongoimport", []string{"--collection=c", "--drop"}, `unknown option "drop"`},
		"of the other":    {"mongoimport", []string{"--collection=c", "--query={}"}, `unknown option "query"`},
		"no collection":   {"mongoexport", []string{"--db=d"}, "no collection specified"},
		"no such file":    {"mongoexport", []string{"--collection=c", "--config=/nowhere"}, "error opening file with --config"},
		"positional":      {"mongoexport", []string{"c"}, "error parsing positional arguments"},
		"another program": {"mongodump", nil, "is no tool of the stand-in"},
	} {
		t.Run(name, func(t *testing.T) {
			err := run(t.Context(), tc.tool, tc.args, strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{})
			assert.ErrorContains(t, err, tc.want)
		})
	}
}

func TestSaysThatItIsAStandIn(t *testing.T) {
	var out bytes.Buffer
	assert.NilError(t, run(t.Context(), "mongoimport", []string{"--version"}, nil, &out, nil))
	assert.Equal(t, out.String(), "mongoimport, MongoDB Database Tools lab stand-in\n")
}
