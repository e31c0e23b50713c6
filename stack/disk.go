package stack

import (
	"context"
	"fmt"

	"github.com/docker/go-units"
	"github.com/shirou/gopsutil/v4/disk"
)

const (
	// Below this the stores stop within minutes: VictoriaMetrics turns read-only, OpenObserve fails to write.
	diskNeeded = 512 << 20
	// Two weeks of a busy laptop's logs and metrics.
	diskComfortable = 5 << 30
)

// RoomFor refuses what would fill the engine's disk: a stack that runs on it would stop before the copy is done. As with
// checkDisk, a disk that cannot be seen from here passes.
func (m *Manager) RoomFor(ctx context.Context, engine Engine, wanted int64) error {
	if engine.Address != "unix://"+engine.SocketPath {
		return nil
	}
	usage, err := disk.UsageWithContext(ctx, engine.Root)
	if err != nil || int64(usage.Free) >= wanted+diskNeeded {
		return nil //nolint:nilerr // the folder may be closed to this user
	}
	return &Error{
		Text: fmt.Sprintf("the disk of the engine (%s) has %s left, and the data needs %s beside what is there",
			engine.Root, units.BytesSize(float64(usage.Free)), units.BytesSize(float64(wanted))),
		Advice: "free some: docker telemetry prune",
	}
}

// checkDisk refuses a disk on which nothing would run and warns of one that will be full before the data expires.
// The disk of a remote engine, or of one in a virtual machine, cannot be seen from here and passes.
func checkDisk(ctx context.Context, engine Engine) (warnings []string, err error) {
	if engine.Address != "unix://"+engine.SocketPath {
		return nil, nil
	}
	usage, err := disk.UsageWithContext(ctx, engine.Root)
	if err != nil {
		return nil, nil //nolint:nilerr // the folder may be closed to this user
	}
	left := fmt.Sprintf("the disk of the engine (%s) has %s left", engine.Root, units.BytesSize(float64(usage.Free)))
	switch {
	case usage.Free < diskNeeded:
		return nil, &Error{
			Text:   fmt.Sprintf("%s, the stores need %s to start", left, units.BytesSize(diskNeeded)),
			Advice: "free some: docker system df",
		}
	case usage.Free < diskComfortable:
		return []string{left + "; the stores keep data for two weeks"}, nil
	default:
		return nil, nil
	}
}
