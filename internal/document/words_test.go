package document

import (
	"testing"

	"gotest.tools/v3/assert"
)

func TestNumber(t *testing.T) {
	for value, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -999: "-999"} {
		assert.Equal(t, Number(value), want)
	}
	assert.Equal(t, Counted(1, "metric"), "1 metric")
	assert.Equal(t, Counted(1200, "metric"), "1,200 metrics")
	assert.Equal(t, Percent(0.1234), "12.3 %")
}

func TestSize(t *testing.T) {
	for value, want := range map[float64]string{0: "0 B", 999.4: "999 B", 1500: "1.5 kB", 2.5e6: "2.5 MB", 3e9: "3.0 GB", 4e12: "4.0 TB", 5e15: "5000.0 TB"} {
		assert.Equal(t, Size(value), want)
	}
}

func TestBar(t *testing.T) {
	for part, want := range map[float64]string{0: "  0.0 %", 0.001: "  0.1 %", 0.5: " 50.0 % █████", 0.56: " 56.0 % █████▋", 1: "100.0 % ██████████"} {
		assert.Equal(t, Bar(part), want)
	}
}

func TestShort(t *testing.T) {
	assert.Equal(t, Short("abc", 3), "abc")
	assert.Equal(t, Short("äöüß", 3), "äöü…")
	assert.Equal(t, Short("a\xffb", 1), "a…")
}

func TestNotTold(t *testing.T) {
	assert.DeepEqual(t, NotTold([]string{"a", "b"}).Rows, [][]string{{"a"}, {"b"}})
	assert.Equal(t, len(Present(NotTold(nil))), 0)
}

func TestPresent(t *testing.T) {
	kept := Present(Section{Title: "empty"}, Section{Title: "said", Note: "so"}, Section{Title: "full", Table: Table{Rows: [][]string{{"a"}}}})
	assert.Equal(t, len(kept), 2)
	assert.Equal(t, kept[0].Title, "said")
}
