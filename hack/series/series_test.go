package series

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// Two stores are the same, each series has its own user, and a sample at each time.
func TestWrite(t *testing.T) {
	shape := Shape{Metrics: 2, Each: 200}
	assert.Equal(t, shape.Series(), 400)
	now := time.UnixMilli(1_790_000_000_000)
	times := []time.Time{now.Add(-time.Hour), now}
	var out, again bytes.Buffer
	shape.write(&out, 1, times)
	shape.write(&again, 1, times)
	assert.Equal(t, out.String(), again.String())

	users := map[string]bool{}
	for line := range strings.Lines(out.String()) {
		var found struct {
			Metric     map[string]string
			Values     []float64
			Timestamps []int64
		}
		assert.NilError(t, json.Unmarshal([]byte(line), &found))
		assert.Equal(t, found.Metric["__name__"], MetricName(1))
		delete(found.Metric, "__name__")
		assert.DeepEqual(t, slices.Sorted(maps.Keys(found.Metric)), LabelNames())
		assert.DeepEqual(t, found.Values, []float64{1, 1})
		assert.DeepEqual(t, found.Timestamps, []int64{times[0].UnixMilli(), times[1].UnixMilli()})
		users[found.Metric[UserLabel]] = true
	}
	assert.Equal(t, len(users), shape.Each)
}
