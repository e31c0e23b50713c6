//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/mem"

	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics/storetest"
)

// shape is how large a store is. Each metric has 7 labels, and one of them has as many values as the metric has series.
type shape struct {
	metrics, each int
	memory, disk  uint64 // free bytes that the store and the measurements need
}

func millionShape() shape { return shape{metrics: 40, each: 25_000} }

// The store holds the whole list of ten million series while it sorts it.
const largeMemory, largeDisk = 12 << 30, 10 << 30

// largeShape is counted exactly.
func largeShape() shape {
	return shape{metrics: 40, each: 250_000, memory: largeMemory, disk: largeDisk}
}

// oneMetricShape is counted by sketches.
func oneMetricShape() shape {
	return shape{metrics: 1, each: 10_000_000, memory: largeMemory, disk: largeDisk}
}

func (s shape) series() int { return s.metrics * s.each }

func metricName(number int) string { return fmt.Sprintf("metric_%02d", number) }

func labelNames() []string {
	return []string{"instance", "job", "method", "path", "pod", "status", userLabel}
}

const userLabel = "user"

// roomFor is asked before anything is written: a machine that begins to swap measures its disk.
func roomFor(s shape) error {
	memory, err := mem.VirtualMemory()
	if err != nil {
		return err
	}
	if memory.Available < s.memory {
		return fmt.Errorf("%d series need %d GiB of free memory, and %d are free", s.series(), s.memory>>30, memory.Available>>30)
	}
	folder, err := disk.Usage(os.TempDir())
	if err != nil {
		return err
	}
	if folder.Free < s.disk {
		return fmt.Errorf("%d series need %d GiB free in %s, and %d are", s.series(), s.disk>>30, os.TempDir(), folder.Free>>30)
	}
	return nil
}

// fill writes the store, a metric at a time, all with one sample at now.
func (s shape) fill(ctx context.Context, store *storetest.Store, now time.Time) error {
	for metric := range s.metrics {
		read, write := io.Pipe()
		go func() {
			out := bufio.NewWriterSize(write, 64<<10)
			s.write(out, metric, now)
			_ = write.CloseWithError(out.Flush())
		}()
		err := store.Import(ctx, "/api/v1/import", read)
		if err = errors.Join(err, read.Close()); err != nil {
			return fmt.Errorf("write %s: %w", metricName(metric), err)
		}
	}
	return store.Flush(ctx)
}

// write is the same in each run. The values are chosen one by one, so that what is left without a label has to be counted.
func (s shape) write(out io.Writer, metric int, now time.Time) {
	random := rand.New(rand.NewPCG(uint64(metric), 1)) //nolint:gosec // the same store in each run
	for user := range s.each {
		fmt.Fprintf(out, `{"metric":{"__name__":%q,"instance":"10.0.0.%d:9100","job":"job-%d","method":"M%d","path":"/api/v1/p%d",`+
			`"pod":"pod-%d","status":"%d","user":"user-%d"},"values":[1],"timestamps":[%d]}`+"\n",
			metricName(metric), random.IntN(50), random.IntN(10), random.IntN(4), random.IntN(100), random.IntN(500), 200+random.IntN(5),
			user, now.UnixMilli())
	}
}
