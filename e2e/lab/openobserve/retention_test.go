package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

func TestRetention(t *testing.T) {
	const day = 24 * time.Hour
	key := streamKey{"default", kindLogs, "app"}
	for _, tc := range []struct {
		name, global string
		own          int64
		moved        bool
		want         int64 // records left of those of 0, 3.4, 3.6, 6 and 7 days ago; it is noon
	}{
		{"global", "3", 0, true, 2},
		{"its own is shorter", "30", 3, true, 2},
		{"its own is longer", "3", 6, true, 4},
		{"nothing is so old", "14", 0, true, 5},
		{"switched off for all", "0", 3, true, 5},
		{"not moved yet", "3", 0, false, 5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFixture(t, t.TempDir(), map[string]string{
				"ZO_COMPACT_DATA_RETENTION_DAYS": tc.global, "ZO_INGEST_ALLOWED_UPTO": "400", "ZO_COMPACT_DELETE_FILES_DELAY_MINUTES": "120",
			})
			now := testNow()
			f.now = func() time.Time { return now }
			var body []string
			for _, age := range []time.Duration{0, 34 * day / 10, 36 * day / 10, 6 * day, 7 * day} {
				body = append(body, fmt.Sprintf(`{"_timestamp":%d,"n":%q}`, at(age), age.String()))
			}
			f.ingest(t, "app", "["+strings.Join(body, ",")+"]")
			st := f.store.get(key)
			if tc.moved {
				st.publish(now.Add(-time.Hour), time.Minute)
				st.publish(now, time.Minute)
			}
			if tc.own > 0 {
				assert.NilError(t, f.store.setRetention(key, tc.own))
			}
			size := func() int64 {
				info, err := os.Stat(st.file.Name())
				assert.NilError(t, err)
				return info.Size()
			}
			whole := size()
			assert.NilError(t, f.expire())
			_, resp := f.sql(t, "logs", `SELECT count(*) AS n FROM app`)
			assert.Equal(t, hits(resp, "n"), strconv.FormatInt(tc.want, 10))
			assert.Equal(t, size(), whole, "the files go later")
			now = now.Add(2 * time.Hour)
			assert.NilError(t, f.expire())
			assert.Equal(t, size() < whole, tc.want < 5)
			_, resp = f.sql(t, "logs", `SELECT count(*) AS n FROM app`)
			assert.Equal(t, hits(resp, "n"), strconv.FormatInt(tc.want, 10))
			// What comes after is found as well.
			f.ingest(t, "app", `[{"x":1}]`)
			_, resp = f.sql(t, "logs", `SELECT count(*) AS n FROM app`)
			assert.Equal(t, hits(resp, "n"), strconv.FormatInt(tc.want+1, 10))
		})
	}
}
