package stack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/client"
)

// Evidence is what the engine, and a container itself, say of it: more than the list of containers has.
type Evidence struct {
	Container
	OOMKilled bool
	Restarts  int
	Absent    []string // networks that the project puts it on and that it is not on
	Log       []string // its last lines
	Full      []string // folders of its own volumes whose disk has nothing left
	Altered   []string // files of its configuration that are not the project's
}

const (
	// The last lines of a log that are evidence, and of how long.
	evidenceLines = 60
	evidenceOf    = 5 * time.Minute
	// nothingLeft is a disk that a component cannot write to. VictoriaMetrics takes no more before that, see GuardOf.
	nothingLeft = 11 << 20
)

// Gather collects the evidence on a component's containers. What cannot be had is left out: half of a stack is down when
// this is asked.
func (m *Manager) Gather(ctx context.Context, project *types.Project, containers []Container) []Evidence {
	var all []Evidence
	for _, c := range containers {
		found := Evidence{Container: c}
		inspected, err := m.Docker.ContainerInspect(ctx, c.ID, client.ContainerInspectOptions{})
		if err == nil && inspected.Container.State != nil {
			found.OOMKilled, found.Restarts = inspected.Container.State.OOMKilled, inspected.Container.RestartCount
		}
		if c.State == "running" {
			found.Absent = Absent(project, c)
			found.Full = m.full(ctx, project, c)
			found.Altered = m.altered(ctx, project, c)
		}
		found.Log, _ = m.LogSince(ctx, c.ID, time.Now().Add(-evidenceOf), evidenceLines)
		all = append(all, found)
	}
	return all
}

// Absent lists the networks that the project puts a running container on and that it is not on.
func Absent(project *types.Project, c Container) []string {
	var absent []string
	for key := range project.Services[c.Component].Networks {
		if name := project.Networks[key].Name; !slices.Contains(c.Networks, name) {
			absent = append(absent, name)
		}
	}
	slices.Sort(absent)
	return absent
}

// full asks df in the container, which every image here has but those of the collector and of exporters.
func (m *Manager) full(ctx context.Context, project *types.Project, c Container) []string {
	var full []string
	for _, mount := range project.Services[c.Component].Volumes {
		if mount.Type != types.VolumeTypeVolume {
			continue
		}
		answer, err := m.exec(ctx, c.ID, "df", "-Pk", path.Clean(mount.Target))
		if free, known := freeOf(answer); err == nil && known && free < least(project, c.Component) {
			full = append(full, fmt.Sprintf("%s has %d MB left", mount.Target, free>>20))
		}
	}
	return full
}

// altered asks for the sums of the files that the project brings. One that cannot be read counts as altered, but where the
// image has no sha256sum nothing is known.
func (m *Manager) altered(ctx context.Context, project *types.Project, c Container) []string {
	command, wanted := []string{"sha256sum"}, map[string]string{}
	for _, mount := range project.Services[c.Component].Configs {
		sum := sha256.Sum256([]byte(project.Configs[mount.Source].Content))
		command, wanted[mount.Target] = append(command, mount.Target), hex.EncodeToString(sum[:])
	}
	if len(wanted) == 0 {
		return nil
	}
	answer, err := m.exec(ctx, c.ID, command...)
	if err != nil {
		return nil
	}
	return differing(answer, wanted)
}

// differing compares what sha256sum says with what is wanted, both by file.
func differing(answer string, wanted map[string]string) []string {
	sums := map[string]string{}
	for line := range strings.Lines(answer) {
		if sum, file, found := strings.Cut(strings.TrimSpace(line), "  "); found && len(sum) == sha256.Size*2 {
			sums[file] = sum
		}
	}
	var altered []string
	for _, file := range slices.Sorted(maps.Keys(wanted)) {
		if len(sums) > 0 && sums[file] != wanted[file] {
			altered = append(altered, file)
		}
	}
	return altered
}

// least is what a component needs to be free.
func least(project *types.Project, component string) int64 {
	if component == VictoriaMetrics {
		return max(nothingLeft, GuardOf(project).MetricsFree)
	}
	return nothingLeft
}

// freeOf reads the fourth column of what df -Pk says, in bytes.
func freeOf(answer string) (free int64, known bool) {
	lines := strings.Split(strings.TrimSpace(answer), "\n")
	columns := strings.Fields(lines[len(lines)-1])
	if len(columns) < 6 {
		return 0, false
	}
	kilobytes, err := strconv.ParseInt(columns[3], 10, 64)
	return kilobytes << 10, err == nil
}
