package stack

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/client"
)

// Host says what an engine can do for a stack, and on what it runs.
type Host struct {
	Rootless      bool
	Desktop       bool   // the engine is in the virtual machine of Docker Desktop
	WSL           bool   // the engine is in WSL2
	CgroupVersion string // "1" or "2"; "" where the engine does not say
	LogDriver     string // of containers that choose none
	// Limits that the engine cannot enforce: memory, CPU, processes.
	NoLimits []string
	// Ahead is how far the engine's clock is before this machine's; it may be off by Within, half of the way there and back.
	Ahead, Within time.Duration
}

// Host asks the engine about its host. now is this machine's clock.
func (m *Manager) Host(ctx context.Context, now func() time.Time) (Host, error) {
	asked := now()
	answer, err := m.Docker.Info(ctx, client.InfoOptions{})
	if err != nil {
		return Host{}, m.unreachable(ctx, err)
	}
	answered := now()
	info := answer.Info
	engine := Engine{OS: info.OperatingSystem, Kernel: info.KernelVersion}
	host := Host{
		// "name=rootless", see moby's daemon/info.go.
		Rootless: slices.ContainsFunc(info.SecurityOptions, func(option string) bool {
			return option == "rootless" || strings.HasPrefix(option, "name=rootless")
		}),
		Desktop:       strings.Contains(info.OperatingSystem, "Docker Desktop"),
		CgroupVersion: info.CgroupVersion, LogDriver: info.LoggingDriver,
		Within: answered.Sub(asked) / 2,
	}
	host.WSL = !host.Desktop && !engine.Native()
	for name, enforced := range map[string]bool{"memory": info.MemoryLimit, "CPU": info.CPUCfsQuota, "processes": info.PidsLimit} {
		if !enforced {
			host.NoLimits = append(host.NoLimits, name)
		}
	}
	slices.Sort(host.NoLimits)
	if at, err := time.Parse(time.RFC3339Nano, info.SystemTime); err == nil {
		host.Ahead = at.Sub(asked.Add(host.Within))
	}
	return host, nil
}

// SocketThere reports whether there is a socket where docker-proxy mounts it from, and false as well where that cannot be
// seen from here: only a unix:// address leads to this machine's files.
func (e Engine) SocketThere(path string) (there, seen bool) {
	if e.Address != "unix://"+e.SocketPath {
		return false, false
	}
	info, err := os.Stat(path)
	return err == nil && info.Mode()&os.ModeSocket != 0, true
}
