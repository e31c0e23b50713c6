package cardinality_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/docker-telemetry/docker-telemetry/report/cardinality"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// BenchmarkMillionSeries decodes and counts 40 metrics of 25,000 series with 7 labels, as the store sends them.
func BenchmarkMillionSeries(b *testing.B) {
	metric := func(m int) []byte {
		var out bytes.Buffer
		for i := range 25_000 {
			fmt.Fprintf(&out, `{"__name__":"metric_%02d","instance":"10.0.0.%d:9100","job":"job-%d","method":"M%d","path":"/api/v1/p%d","pod":"pod-%d","status":"%d","user":"user-%d"},`,
				m, i%50, i%10, i%4, i%100, i%500, 200+i%5, i)
		}
		return out.Bytes()
	}
	var chunks [][]byte
	size := 0
	for m := range 40 {
		chunks = append(chunks, metric(m))
		size += len(chunks[m])
	}
	b.SetBytes(int64(size))
	for b.Loop() {
		readers := []io.Reader{bytes.NewReader([]byte(`{"status":"success","data":[`))}
		for _, chunk := range chunks[:39] {
			readers = append(readers, bytes.NewReader(chunk))
		}
		readers = append(readers, bytes.NewReader(chunks[39][:len(chunks[39])-1]), bytes.NewReader([]byte(`]}`)))
		counter := cardinality.Counter{Closely: func(string) bool { return true }, Samples: 200}
		if _, err := victoriametrics.DecodeSeries(io.MultiReader(readers...), victoriametrics.Limits{}, counter.Add); err != nil {
			b.Fatal(err)
		}
		if found, _ := counter.Finish(); len(found) != 40 || found[0].Series != 25_000 {
			b.Fatal(len(found))
		}
	}
}
