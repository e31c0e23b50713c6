package stack

import (
	"context"
	"fmt"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// Image is what a pinned tag stood for when it was pulled. A registry may move a tag, and so may anybody on the engine.
type Image struct {
	ID     string `json:"id"`               // of its configuration on the engine, as sha256:...
	Digest string `json:"digest,omitempty"` // of the registry, as NAME@sha256:...; none where it was built on the engine
}

// LockImages returns what the tags of a project stand for, by tag. What is locked stays as it is; tags that the project
// no longer has are left out. No tag that is locked is asked for, so a run with nothing new costs nothing.
func (m *Manager) LockImages(ctx context.Context, project *types.Project, locked map[string]Image) (map[string]Image, error) {
	images := map[string]Image{}
	for _, service := range project.Services {
		if image, known := locked[service.Image]; known {
			images[service.Image] = image
			continue
		}
		if _, asked := images[service.Image]; asked {
			continue
		}
		found, err := m.Docker.ImageInspect(ctx, service.Image)
		if err != nil {
			return nil, fmt.Errorf("look for image %q: %w", service.Image, err)
		}
		images[service.Image] = imageOf(found)
	}
	return images, nil
}

// Drifted names the components that run another image than the one that was locked, by name.
func Drifted(project *types.Project, containers []Container, locked map[string]Image) []string {
	var drifted []string
	for _, c := range containers {
		service, known := project.Services[c.Component]
		image, is := locked[service.Image]
		if known && is && c.ImageID != image.ID {
			drifted = append(drifted, c.Component)
		}
	}
	slices.SortFunc(drifted, inOrder)
	return slices.Compact(drifted)
}

// PresentImages returns what the tags of a project stand for now, by tag; one that the engine has not is left out.
func (m *Manager) PresentImages(ctx context.Context, project *types.Project) (map[string]Image, error) {
	there := map[string]Image{}
	for _, service := range project.Services {
		if _, asked := there[service.Image]; asked {
			continue
		}
		found, err := m.Docker.ImageInspect(ctx, service.Image)
		if cerrdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look for image %q: %w", service.Image, err)
		}
		there[service.Image] = imageOf(found)
	}
	return there, nil
}

func imageOf(found client.ImageInspectResult) Image {
	image := Image{ID: found.ID}
	if len(found.RepoDigests) > 0 {
		image.Digest = found.RepoDigests[0]
	}
	return image
}
