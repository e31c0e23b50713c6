// Package series fills a VictoriaMetrics with made series, the same in each run, for the programs that measure reports.
package series

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/mem"

	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics/storetest"
)

// Shape is how large a store is. Each metric has 7 labels, and one of them has as many values as the metric has series.
type Shape struct {
	Metrics, Each int
	Memory, Disk  uint64 // free bytes that the store and the measurements need
}

// Million is what the budgets of the reports are for.
func Million() Shape { return Shape{Metrics: 40, Each: 25_000} }

// Series are those of all metrics.
func (s Shape) Series() int { return s.Metrics * s.Each }

// MetricName is that of a metric by its number, from 0.
func MetricName(number int) string { return fmt.Sprintf("metric_%02d", number) }

// LabelNames are those of each series, sorted.
func LabelNames() []string {
	return []string{"instance", "job", "method", "path", "pod", "status", UserLabel}
}

// UserLabel has another value in each series of a metric.
const UserLabel = "user"

// RoomFor is an error where the machine has too little room. It is asked before anything is written: a machine that begins to
// swap measures its disk.
func (s Shape) RoomFor() error {
	memory, err := mem.VirtualMemory()
	if err != nil {
		return err
	}
	if memory.Available < s.Memory {
		return fmt.Errorf("%d series need %d GiB of free memory, and %d are free", s.Series(), s.Memory>>30, memory.Available>>30)
	}
	folder, err := disk.Usage(os.TempDir())
	if err != nil {
		return err
	}
	if folder.Free < s.Disk {
		return fmt.Errorf("%d series need %d GiB free in %s, and %d are", s.Series(), s.Disk>>30, os.TempDir(), folder.Free>>30)
	}
	return nil
}

// Fill writes the store, a metric at a time, each series with a sample at each of the times.
func (s Shape) Fill(ctx context.Context, store *storetest.Store, times ...time.Time) error {
	for metric := range s.Metrics {
		read, write := io.Pipe()
		go func() {
			out := bufio.NewWriterSize(write, 64<<10)
			s.write(out, metric, times)
			_ = write.CloseWithError(out.Flush())
		}()
		err := store.Import(ctx, "/api/v1/import", read)
		if err = errors.Join(err, read.Close()); err != nil {
			return fmt.Errorf("write %s: %w", MetricName(metric), err)
		}
	}
	return store.Flush(ctx)
}

// write is the same in each run. The values are chosen one by one, so that what is left without a label has to be counted.
func (s Shape) write(out io.Writer, metric int, times []time.Time) {
	random := rand.New(rand.NewPCG(uint64(metric), 1)) //nolint:gosec // the same store in each run
	var values, at []byte
	for _, sample := range times {
		values, at = append(values, ",1"...), strconv.AppendInt(append(at, ','), sample.UnixMilli(), 10)
	}
	for user := range s.Each {
		fmt.Fprintf(out, `{"metric":{"__name__":%q,"instance":"10.0.0.%d:9100","job":"job-%d","method":"M%d","path":"/api/v1/p%d",`+
			`"pod":"pod-%d","status":"%d","user":"user-%d"},"values":[%s],"timestamps":[%s]}`+"\n",
			MetricName(metric), random.IntN(50), random.IntN(10), random.IntN(4), random.IntN(100), random.IntN(500), 200+random.IntN(5),
			user, values[1:], at[1:])
	}
}
