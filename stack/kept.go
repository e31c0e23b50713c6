package stack

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/compose/v5/pkg/api"
)

// KeptVolume is a volume that a snapshot of a stack has in it.
type KeptVolume struct {
	Key        string   // in the compose file
	Name       string   // on the engine
	Components []string // that have it open
	Image      string   // of the first of them
}

// KeptVolumes lists the volumes of a project with data to keep, by key. What says x-snapshot: false is a buffer on the
// way to a store; an external volume is not the stack's.
func KeptVolumes(project *types.Project) []KeptVolume {
	var kept []KeptVolume
	for _, key := range slices.Sorted(maps.Keys(project.Volumes)) {
		volume := project.Volumes[key]
		if wanted, said := volume.Extensions["x-snapshot"].(bool); bool(volume.External) || said && !wanted {
			continue
		}
		one := KeptVolume{Key: key, Name: volume.Name}
		for _, name := range slices.SortedFunc(maps.Keys(project.Services), inOrder) {
			service := project.Services[name]
			if slices.ContainsFunc(service.Volumes, func(m types.ServiceVolumeConfig) bool {
				return m.Type == types.VolumeTypeVolume && m.Source == key
			}) {
				one.Components = append(one.Components, name)
			}
		}
		if len(one.Components) > 0 {
			one.Image = project.Services[one.Components[0]].Image
			kept = append(kept, one)
		}
	}
	return kept
}

// HolderImage is the image of the containers that hold a volume: the balancer's, which the engine has anyway.
func HolderImage(project *types.Project) string { return project.Services[Balancer].Image }

// Pause stops components for as long as their data is copied. It returns what starts them again, which works after ctx
// has ended too: whoever is interrupted must not leave a store stopped.
func (m *Manager) Pause(ctx context.Context, name string, components []string) (resume func() error, err error) {
	after := context.WithoutCancel(ctx)
	resume = func() error {
		if err := m.Compose.Start(after, name, api.StartOptions{AttachTo: components}); err != nil {
			return fmt.Errorf("start %s again: %w", strings.Join(components, ", "), err)
		}
		return nil
	}
	if err := m.Compose.Stop(ctx, name, api.StopOptions{Services: components}); err != nil {
		_ = resume() // the error that came first says more
		return nil, fmt.Errorf("stop %s: %w", strings.Join(components, ", "), err)
	}
	return resume, nil
}

// ReadMetricSnapshot streams the files of one of VictoriaMetrics' snapshots as a data folder that it can start on. A
// snapshot is a folder of symbolic links to folders of hard links, which is why its parts are asked for one by one.
func (h *VolumeHolder) ReadMetricSnapshot(ctx context.Context, snapshot string, visit func(VolumeFile, io.Reader) error) (odd []string, err error) {
	return h.readFollowing(ctx, path.Join("snapshots", snapshot), ".", 0, visit)
}

// linksDeep is how many links may lead to a folder: VictoriaMetrics needs one.
const linksDeep = 3

// readFollowing reads the folder `from` of the volume as if it were `as`, and the folders that links in it lead to.
func (h *VolumeHolder) readFollowing(ctx context.Context, from, as string, depth int, visit func(VolumeFile, io.Reader) error) (odd []string, err error) {
	links, odd, err := h.Read(ctx, from, func(file VolumeFile, content io.Reader) error {
		file.Path = path.Join(as, file.Path)
		return visit(file, content)
	})
	if err != nil {
		return nil, err
	}
	for _, link := range links {
		target := path.Join(path.Dir(path.Join(from, link.Path)), link.Target)
		if path.IsAbs(link.Target) || target == ".." || strings.HasPrefix(target, "../") || depth == linksDeep {
			return nil, fmt.Errorf("read volume %q: the link %s leads out of it", h.volume, path.Join(from, link.Path))
		}
		more, err := h.readFollowing(ctx, target, path.Join(as, link.Path), depth+1, visit)
		if err != nil {
			return nil, err
		}
		odd = append(odd, more...)
	}
	return odd, nil
}
