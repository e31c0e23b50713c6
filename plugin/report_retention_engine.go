package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/docker-telemetry/docker-telemetry/internal/prune"
	"github.com/docker-telemetry/docker-telemetry/report/retention"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

// sizesWithin is how long a report waits for the sizes of volumes: an engine looks at every file of every volume for them.
const sizesWithin = 5 * time.Second

// lookAtEngine adds what only the engine of a stack can tell: logs of containers, images, and what is left.
func (r *reportStore) lookAtEngine(ctx context.Context, collected *retention.Collected) error {
	const what = "container logs, images and old volumes: "
	if r.session == nil {
		collected.Notes = append(collected.Notes, what+"the engine of a stack tells them, and --url names none")
		return nil
	}
	held, notes, err := r.session.heldByEngine(ctx, sizesWithin)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		collected.Notes = append(collected.Notes, what+err.Error())
		return nil
	}
	collected.Engine, collected.Notes = &held, append(collected.Notes, notes...)
	return nil
}

// heldByEngine waits so long for the sizes of volumes that are left, and asks for none where none is.
func (s *session) heldByEngine(ctx context.Context, within time.Duration) (held retention.EngineHeld, notes []string, err error) {
	logs, err := s.manager.LogFiles(ctx, s.state.Name, s.engine.Local())
	if err != nil {
		return held, nil, err
	}
	for _, log := range logs {
		held.Logs = append(held.Logs, logHeld(log))
	}
	left, err := s.leftOf(ctx, s.state.Name)
	if err != nil {
		return held, nil, err
	}
	if held.Images, notes, err = s.imagesHeld(ctx, left); err != nil {
		return held, nil, err
	}
	var unsized []string
	held.Volumes, unsized = s.volumesHeld(ctx, left, within)
	return held, append(notes, unsized...), nil
}

func logHeld(log stack.LogFile) retention.LogHeld {
	held := retention.LogHeld{Container: log.Container, Driver: log.Driver, Kept: log.Kept, Most: float64(log.Most)}
	if log.Seen {
		bytes := float64(log.Bytes)
		held.Bytes = &bytes
	}
	return held
}

// imagesHeld are the images of the containers, and those that are left.
func (s *session) imagesHeld(ctx context.Context, left []prune.Item) (held []retention.ImageHeld, notes []string, err error) {
	containers, err := s.manager.Containers(ctx, s.state.Name)
	if err != nil {
		return nil, nil, err
	}
	names := map[string]string{}
	var ids []string
	for _, c := range containers {
		names[c.ImageID], ids = c.Image, append(ids, c.ImageID)
	}
	former := map[string]bool{}
	for _, item := range left {
		if item.Kind == prune.Image {
			names[item.ID], ids, former[item.ID] = item.Name, append(ids, item.ID), true
		}
	}
	sizes, err := s.manager.ImageSizes(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		size, known := sizes[id]
		if !known {
			notes = append(notes, "image "+names[id]+": the engine has it no more under the ID that a container has it by, so its size is not known")
			continue
		}
		held = append(held, retention.ImageHeld{Name: names[id], Bytes: float64(size), Former: former[id]})
	}
	return held, notes, nil
}

// volumesHeld are the volumes that are left, with sizes as far as the engine tells them in time.
func (s *session) volumesHeld(ctx context.Context, left []prune.Item, within time.Duration) (held []retention.VolumeHeld, notes []string) {
	left = slices.DeleteFunc(slices.Clone(left), func(item prune.Item) bool { return item.Kind != prune.Volume })
	if len(left) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	sizes, err := s.manager.VolumeSizes(ctx)
	switch {
	case err == nil:
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		notes = append(notes, fmt.Sprintf("sizes of old volumes: the engine did not tell them within %g s", within.Seconds()))
	default:
		notes = append(notes, "sizes of old volumes: "+err.Error())
	}
	for _, item := range left {
		volume := retention.VolumeHeld{Name: item.Name, Why: item.Why, Data: item.Data}
		if size, known := sizes[item.Name]; known {
			bytes := float64(size)
			volume.Bytes = &bytes
		} else if err == nil {
			notes = append(notes, "size of volume "+item.Name+": its driver does not tell it")
		}
		held = append(held, volume)
	}
	return held, notes
}
