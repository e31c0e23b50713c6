package doctor

import (
	"fmt"
	"strings"
	"time"

	"github.com/docker-telemetry/docker-telemetry/internal/document"
)

const (
	// Below these the stores stop: VictoriaMetrics turns read-only, OpenObserve fails to write.
	diskNeeded, inodesNeeded = 512 << 20, 10_000
	// Two weeks of a busy laptop's logs and metrics.
	diskComfortable = 5 << 30
	// Samples of a clock that is off by more are late or early for a scrape interval and more; OpenObserve refuses what is
	// hours off, and a certificate may not be valid yet.
	clockOff, clockWrong = 5 * time.Second, 5 * time.Minute
	// Vector and the collector take a handful of instances. The kernel's default is 128 and is used up by editors and
	// Kubernetes on a laptop, so less is too few.
	inotifyInstances, inotifyWatches = 128, 8192
)

func size(bytes int64) string { return document.Size(float64(bytes)) }

func memory(f Facts) []Outcome {
	return over(f.Memory, func(m Memory) []Outcome {
		if m.Has > 0 && m.Limits > m.Has {
			return []Outcome{{
				State: Warning, Detail: fmt.Sprintf("the engine has %s of memory, the stack may use %s when all its limits are reached", size(m.Has), size(m.Limits)),
				Advice: "a smaller stack: docker telemetry up --profile minimal",
			}}
		}
		return ok("%s, of which the stack may use %s", size(m.Has), size(m.Limits))
	})
}

func disks(f Facts) []Outcome {
	return over(f.Disks, func(all []Disk) []Outcome {
		var found []Outcome
		var words []string
		for _, d := range all {
			words = append(words, fmt.Sprintf("%s of %s free on %s", size(d.Free), size(d.Size), d.Name))
			state := OK
			switch {
			case d.Free < diskNeeded:
				state = Failed
			case d.Free < diskComfortable:
				state = Warning
			}
			if state != OK {
				found = append(found, Outcome{
					State: state, Object: d.Name, Detail: fmt.Sprintf("%s of %s are free, and the stores keep data for weeks", size(d.Free), size(d.Size)),
					Advice: "free some: docker system df; what the stack takes: docker telemetry report retention",
				})
			}
		}
		return orOK(found, "%s", strings.Join(words, ", "))
	})
}

func inodes(f Facts) []Outcome {
	return over(f.Disks, func(all []Disk) []Outcome {
		var found []Outcome
		counted := 0
		for _, d := range all {
			if d.InodesTotal <= 0 {
				continue
			}
			counted++
			if d.InodesFree < inodesNeeded {
				found = append(found, Outcome{
					State: Failed, Object: d.Name, Detail: fmt.Sprintf("%d of %d inodes are free: no file can be made, whatever room there is", d.InodesFree, d.InodesTotal),
					Advice: "remove what has many small files: docker system df",
				})
			}
		}
		if counted == 0 && len(all) > 0 {
			return ok("the file systems do not count them")
		}
		return orOK(found, "enough are free")
	})
}

func clocks(f Facts) []Outcome {
	return over(f.Clocks, func(all []Clock) []Outcome {
		var found []Outcome
		var words []string
		for _, c := range all {
			off := c.Ahead.Abs() - c.Within
			direction := "ahead of"
			if c.Ahead < 0 {
				direction = "behind"
			}
			words = append(words, c.Name)
			if off < clockOff {
				continue
			}
			state := Warning
			if off >= clockWrong {
				state = Failed
			}
			found = append(found, Outcome{
				State: state, Object: c.Name, Detail: fmt.Sprintf("its clock is %s %s this machine's", c.Ahead.Abs().Round(time.Second), direction),
				Advice: "let both be set by the network (NTP); after a sleep, restart the virtual machine of the engine",
			})
		}
		return orOK(found, "as this machine's: %s", strings.Join(words, ", "))
	})
}

func inotify(f Facts) []Outcome {
	return over(f.Inotify, func(i Inotify) []Outcome {
		var found []Outcome
		for _, limit := range []struct {
			name        string
			has, wanted int
		}{{"max_user_instances", i.Instances, inotifyInstances}, {"max_user_watches", i.Watches, inotifyWatches}} {
			if limit.has > 0 && limit.has < limit.wanted {
				found = append(found, Outcome{
					State: Warning, Object: "fs.inotify." + limit.name, Detail: fmt.Sprintf("%d are allowed a user: what watches files fails with \"too many open files\"", limit.has),
					Advice: fmt.Sprintf("on the engine's host: sysctl -w fs.inotify.%s=%d", limit.name, limit.wanted*8),
				})
			}
		}
		return orOK(found, "%d instances and %d watches a user", i.Instances, i.Watches)
	})
}

func ports(f Facts) []Outcome {
	return over(f.Ports, func(p Ports) []Outcome {
		var found []Outcome
		for _, taken := range p.Taken {
			found = append(found, Outcome{State: Failed, Object: taken.Name, Detail: taken.Problem, Advice: taken.Advice})
		}
		return orOK(found, "%s", strings.Join(p.Published, ", "))
	})
}
