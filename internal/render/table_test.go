package render

import (
	"bytes"
	"testing"

	"gotest.tools/v3/assert"
)

// terminal is a stream of some width, as those of the Docker CLI are.
type terminal struct {
	bytes.Buffer
	width uint
}

func (t *terminal) GetTtySize() (height, width uint) { return 24, t.width }

func TestProse(t *testing.T) {
	header := []string{"name", "adds"}
	rows := [][]string{{"one", "as many words as do not fit a line of it"}, {"two", "few"}}
	const whole = "NAME   ADDS\none    as many words as do not fit a line of it\ntwo    few\n"
	for _, tc := range []struct {
		name  string
		width uint
		want  string
	}{
		{"no terminal", 0, whole},
		{"wide", 80, whole},
		{"exactly", 47, whole},
		{"one less", 46, "NAME   ADDS\none    as many words as do not fit a line of\n       it\ntwo    few\n"},
		{"the least", 31, "NAME   ADDS\none    as many words as do not\n       fit a line of it\ntwo    few\n"},
		{"too narrow for text", 30, whole},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out := &terminal{width: tc.width}
			Prose(out, header, rows)
			assert.Equal(t, out.String(), tc.want)
		})
	}
	var plain bytes.Buffer
	Prose(&plain, header, rows)
	assert.Equal(t, plain.String(), whole)
}
