package stack

import (
	"context"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/shirou/gopsutil/v4/disk"
	"golang.org/x/sync/errgroup"
)

// Measures are figures that only a look into a container gives.
type Measures struct {
	Container string
	Component string
	// OOMKills are the processes that the kernel killed for want of memory since the container's start.
	OOMKills int
	Disks    []Disk
	Inotify  *Inotify // nil where it was not told
	Err      error    // why nothing could be measured
}

// Disk is a file system on which a volume lies.
type Disk struct {
	Mount       string // in the container
	Device      string
	Size, Free  int64 // bytes
	InodesFree  int64 // -1 where the file system does not count them
	InodesTotal int64
}

// Inotify are the kernel's limits for a user, on the engine's host.
type Inotify struct{ Instances, Watches int }

// measureScript prints a line a figure. busybox and the GNU programs give the same with -P; $@ are the mounts. The kernel gives
// a setting to the first read of a file only, and read of a shell takes a byte at a time, so cat reads them.
const measureScript = `for f in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
if [ -r $f ]; then while read -r k v; do if [ "$k" = oom_kill ]; then echo "oom $v"; fi; done <$f; fi; done
echo inotify $(cat /proc/sys/fs/inotify/max_user_instances /proc/sys/fs/inotify/max_user_watches)
for d in "$@"; do echo "mount $d"; df -Pk "$d" 2>/dev/null; echo inodes; df -Pi "$d" 2>/dev/null; done; exit 0`

// measuredAtOnce bounds the shells that run beside the stack.
const measuredAtOnce = 3

// Measure looks into each container that runs. One without a shell, such as the collector's, says so in its Err.
func (m *Manager) Measure(ctx context.Context, inspections []Inspection) []Measures {
	all := make([]Measures, len(inspections))
	var group errgroup.Group
	group.SetLimit(measuredAtOnce)
	for i, c := range inspections {
		all[i].Container, all[i].Component = c.Name, c.Component
		if c.State != string(container.StateRunning) {
			all[i].Err = &Error{Text: c.Name + " is " + c.State}
			continue
		}
		group.Go(func() error {
			output, code, err := m.run(ctx, c.ID, append([]string{"sh", "-c", measureScript, "sh"}, c.Volumes...)...)
			switch {
			case err != nil:
				all[i].Err = err
			case code != 0:
				all[i].Err = &Error{Text: c.Name + " has no shell that could be asked"}
			default:
				all[i].read(output)
			}
			return nil
		})
	}
	_ = group.Wait()
	return all
}

// LocalMeasures are those of the engine's host before a container could tell: only where the engine's files are this machine's.
// The disk is that of its data folder. It reports false where nothing is known.
func LocalMeasures(ctx context.Context, engine Engine) (Measures, bool) {
	var m Measures
	if engine.Address != "unix://"+engine.SocketPath || !engine.Native() {
		return m, false
	}
	if usage, err := disk.UsageWithContext(ctx, engine.Root); err == nil {
		m.Disks = []Disk{{
			Mount: engine.Root, Size: int64(usage.Total), Free: int64(usage.Free), InodesTotal: int64(usage.InodesTotal), InodesFree: int64(usage.InodesFree), //nolint:gosec // no disk is that large
		}}
	}
	instances, err1 := os.ReadFile("/proc/sys/fs/inotify/max_user_instances")
	watches, err2 := os.ReadFile("/proc/sys/fs/inotify/max_user_watches")
	if err1 == nil && err2 == nil {
		m.read("inotify " + strings.TrimSpace(string(instances)) + " " + strings.TrimSpace(string(watches)))
	}
	return m, len(m.Disks) > 0 || m.Inotify != nil
}

// read takes the lines of measureScript; what is none of them is passed over.
func (m *Measures) read(output string) {
	var at *Disk
	inodes := false
	for line := range strings.Lines(output) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case words[0] == "oom" && len(words) == 2:
			m.OOMKills += int(number(words[1]))
		case words[0] == "inotify" && len(words) == 3:
			m.Inotify = &Inotify{Instances: int(number(words[1])), Watches: int(number(words[2]))}
		case words[0] == "mount" && len(words) == 2:
			m.Disks = append(m.Disks, Disk{Mount: words[1], InodesFree: -1})
			at, inodes = &m.Disks[len(m.Disks)-1], false
		case words[0] == "inodes" && len(words) == 1:
			inodes = true
		case at != nil && len(words) >= 6 && number(words[1]) > 0:
			at.take(words, inodes)
		}
	}
}

// take reads a line of df: device, blocks or inodes, used, available, used in per cent, mount.
func (d *Disk) take(words []string, inodes bool) {
	if inodes {
		d.InodesTotal, d.InodesFree = number(words[1]), number(words[3])
		return
	}
	const kilobyte = 1 << 10
	d.Device, d.Size, d.Free = words[0], number(words[1])*kilobyte, number(words[3])*kilobyte
}

// number is 0 for what is none, and for what no disk can have.
func number(text string) int64 {
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil || value < 0 || value > math.MaxInt64>>10 {
		return 0
	}
	return value
}
