package sheet_test

import (
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/report/sheet"
	"github.com/docker-telemetry/docker-telemetry/report/sheet/sheettest"
)

func TestPartsLoadNothing(t *testing.T) {
	parts := sheet.New("/* a report's */")
	sheettest.NamesNoAddress(t, parts.Style, parts.Script)
	assert.Assert(t, strings.HasSuffix(parts.Script, "/* a report's */"))
	// "url(#" is how SVG names a gradient of the same page.
	for _, found := range sheettest.Loads().FindAllStringIndex(parts.Library, -1) {
		assert.Assert(t, strings.HasPrefix(parts.Library[found[0]:], "url(#"), parts.Library[found[0]:found[1]+40])
	}
	sheettest.Embeddable(t, parts.Library)
	for _, script := range []string{parts.Library, parts.Script} {
		assert.Assert(t, !strings.Contains(strings.ToLower(script), "</script"))
	}
}

func TestMoment(t *testing.T) {
	assert.Equal(t, sheet.Moment(time.Date(2026, 3, 14, 9, 26, 0, 0, time.FixedZone("", 3600))), "2026-03-14 08:26 UTC")
	assert.Equal(t, sheet.Sentence(strings.Repeat("a", 601)), strings.Repeat("a", 600)+"…")
}
