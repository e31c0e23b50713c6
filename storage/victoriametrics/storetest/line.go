package storetest

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// WriteLine writes a series with one sample as /api/v1/import takes it. Bytes that are no UTF-8 stay as they are, which
// encoding/json would not leave.
func WriteLine(out io.Writer, labels map[string]string, at time.Time) {
	WriteSamples(out, labels, []byte("1"), strconv.AppendInt(nil, at.UnixMilli(), 10))
}

// WriteSamples is WriteLine with as many samples as there are values and times, in milliseconds, each list with commas.
func WriteSamples(out io.Writer, labels map[string]string, values, times []byte) {
	members := make([]string, 0, len(labels))
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		members = append(members, jsonString(name)+":"+jsonString(labels[name]))
	}
	fmt.Fprintf(out, `{"metric":{%s},"values":[%s],"timestamps":[%s]}`+"\n", strings.Join(members, ","), values, times)
}

func jsonString(text string) string {
	var out strings.Builder
	out.WriteByte('"')
	for _, c := range []byte(text) {
		switch {
		case c == '"' || c == '\\':
			out.Write([]byte{'\\', c})
		case c < ' ':
			fmt.Fprintf(&out, `\u%04x`, c)
		default:
			out.WriteByte(c)
		}
	}
	out.WriteByte('"')
	return out.String()
}
