package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// diskWatch is what the server knows of its disk, looked at each minute as in src/jobs/src/job/stats.rs.
type diskWatch struct {
	mu          sync.Mutex
	total, used uint64
}

// watchDisk looks at once and then each minute, until the context ends.
func (s *server) watchDisk(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		if err := s.lookAtDisk(); err != nil {
			fmt.Fprintln(s.log, "disk usage:", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *server) lookAtDisk() error {
	var found syscall.Statfs_t
	if err := syscall.Statfs(s.cfg.dataDir, &found); err != nil {
		return err
	}
	size := uint64(found.Bsize)
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	s.disk.total, s.disk.used = found.Blocks*size, (found.Blocks-found.Bavail)*size
	s.metrics.diskTotal.WithLabelValues().Set(float64(s.disk.total))
	s.metrics.diskUsage.WithLabelValues().Set(float64(s.disk.used))
	return nil
}

// diskFull is check_disk_circuit_breaker of src/ingester/src/writer.rs: below 100 the threshold is the per cent of the disk that may be
// used, else the megabytes that must be free. A disk that nobody has looked at yet has none free.
func (s *server) diskFull() bool {
	if !s.cfg.diskBreaker {
		return false
	}
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	threshold := uint64(s.cfg.diskThreshold)
	if threshold < 100 {
		return s.disk.used > s.disk.total/100*threshold
	}
	return s.disk.total-s.disk.used < threshold<<20
}

// guarded refuses what is sent while the disk is too full. Senders try 503 again.
func (s *server) guarded(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.diskFull() {
			writeError(w, http.StatusServiceUnavailable, "DiskCircuitBreakerError")
			return
		}
		next(w, r)
	}
}
