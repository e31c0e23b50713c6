package stack

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// Place is a volume that a component writes to, and the file system that it is on, as the component's container sees them.
type Place struct {
	Component string
	Path      string
	Device    string // the same for all on one file system
	Total     int64  // bytes of the file system
	Free      int64  // of it, for who is not root
	Used      int64  // by what is in the volume
}

// Places looks at the volumes of the stores and of the agent in their containers. The images of all three have a shell. A component
// that does not run has none.
func (m *Manager) Places(ctx context.Context, project *types.Project) ([]Place, error) {
	containers, err := m.Containers(ctx, project.Name)
	if err != nil {
		return nil, err
	}
	var places []Place
	for _, c := range containers {
		path := volumePath(project.Services[c.Component])
		if c.Component != Agent && c.Component != OpenObserve && c.Component != VictoriaMetrics || path == "" || c.State != "running" {
			continue
		}
		// What is written meanwhile may be gone before du looks at it, which makes it fail and changes little.
		said, err := m.exec(ctx, c.ID, "sh", "-c", `stat -c %d "$1" && df -kP "$1" && du -sk "$1" 2>/dev/null || true`, "sh", path)
		if err != nil {
			return nil, err
		}
		place, err := parsePlace(said)
		if err != nil {
			return nil, fmt.Errorf("look at the disk of %s: %w", c.Component, err)
		}
		place.Component, place.Path = c.Component, path
		places = append(places, place)
	}
	return places, nil
}

// volumePath is where a component has its named volume.
func volumePath(service types.ServiceConfig) string {
	for _, mount := range service.Volumes {
		if mount.Type == types.VolumeTypeVolume {
			return mount.Target
		}
	}
	return ""
}

// parsePlace reads the device's number, what df says in the format of POSIX, and what du does: kilobytes of 1024 bytes.
// https://pubs.opengroup.org/onlinepubs/9799919799/utilities/df.html
func parsePlace(said string) (Place, error) {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	if len(lines) < 4 {
		return Place{}, fmt.Errorf("it says %q", said)
	}
	space, used := strings.Fields(lines[len(lines)-2]), strings.Fields(lines[len(lines)-1])
	if len(space) < 4 || len(used) < 1 {
		return Place{}, fmt.Errorf("it says %q", said)
	}
	place := Place{Device: strings.TrimSpace(lines[0])}
	for _, one := range []struct {
		into *int64
		text string
	}{{&place.Total, space[1]}, {&place.Free, space[3]}, {&place.Used, used[0]}} {
		kilobytes, err := strconv.ParseInt(one.text, 10, 64)
		if err != nil || kilobytes < 0 || kilobytes > 1<<50 {
			return Place{}, fmt.Errorf("it says %q", said)
		}
		*one.into = kilobytes << 10
	}
	return place, nil
}

// Buffers are the most bytes that the buffers of a project take on the disk: x-disk of its services.
func Buffers(project *types.Project) int64 {
	bytes := int64(0)
	for _, service := range project.Services {
		switch most := service.Extensions["x-disk"].(type) {
		case int:
			bytes += int64(max(0, most))
		case int64:
			bytes += max(0, most)
		}
	}
	return bytes
}

// GuardOf reads from a project from when on its stores take no more; zero where it does not say.
func GuardOf(project *types.Project) Guard {
	var guard Guard
	for _, argument := range project.Services[VictoriaMetrics].Command {
		if value, found := strings.CutPrefix(argument, "--storage.minFreeDiskSpaceBytes="); found {
			guard.MetricsFree, _ = strconv.ParseInt(value, 10, 64)
		}
	}
	environment := project.Services[OpenObserve].Environment
	if on := environment["ZO_DISK_CIRCUIT_BREAKER_ENABLED"]; on == nil || *on != "true" {
		return guard
	}
	if percent := environment["ZO_DISK_CIRCUIT_BREAKER_THRESHOLD"]; percent != nil {
		guard.LogsPercent, _ = strconv.Atoi(*percent)
	}
	return guard
}
