package stack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/go-units"
	"github.com/moby/moby/client"
)

// LogFile is what an engine keeps of what a container prints.
type LogFile struct {
	Container string
	Driver    string
	// Kept: in files of the engine. Another driver passes it on, or keeps none.
	Kept bool
	// Most are the bytes that its options let it have, 0 for no end.
	Most int64
	// Bytes are those of its files, where Seen.
	Bytes int64
	Seen  bool
}

// LogFiles tells of the log of each container of a stack. The API has no figure for what a log takes: its options bound it, and who may
// read the engine's folder sees its files. here: the engine is this machine's.
func (m *Manager) LogFiles(ctx context.Context, name string, here bool) ([]LogFile, error) {
	containers, err := m.Inspections(ctx, name)
	if err != nil {
		return nil, err
	}
	logs := make([]LogFile, 0, len(containers))
	for _, c := range containers {
		log := LogFile{Container: c.Name, Driver: c.LogDriver}
		log.Most, log.Kept = logBound(c.LogDriver, c.LogOptions)
		if here && log.Kept {
			log.Bytes, log.Seen = logBytes(c.LogPath)
		}
		logs = append(logs, log)
	}
	return logs, nil
}

// logBound is the most that a driver keeps in files, 0 for no end; kept is false for a driver that keeps none. A file is changed for
// the next once it is as large as asked, so each may be a line longer. Sizes are in units of thousands, see
// daemon/logger/jsonfilelog/jsonfilelog.go and daemon/logger/local/config.go of moby.
func logBound(driver string, options map[string]string) (most int64, kept bool) {
	size, files := int64(0), int64(1)
	switch driver {
	case "json-file":
	case "local":
		size, files = 20<<20, 5
	default:
		return 0, false
	}
	if asked, err := units.FromHumanSize(options["max-size"]); err == nil && asked > 0 {
		size = asked
	}
	if asked, err := strconv.ParseInt(options["max-file"], 10, 32); err == nil && asked > 0 {
		files = asked
	}
	if size > (1<<62)/files {
		return 0, true
	}
	return size * files, true
}

// logBytes measures a log with the older files beside it: PATH.1, PATH.2.gz. seen is false where they cannot be read, which is so for
// most users, and in Docker Desktop's virtual machine.
func logBytes(path string) (bytes int64, seen bool) {
	if !filepath.IsAbs(path) {
		return 0, false
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return 0, false
	}
	for _, entry := range entries {
		if entry.Name() != filepath.Base(path) && !strings.HasPrefix(entry.Name(), filepath.Base(path)+".") {
			continue
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() { // else it was rotated away meanwhile
			bytes, seen = bytes+info.Size(), true
		}
	}
	return bytes, seen
}

// ImageSizes are the bytes of images by their ID, as the engine reports them: with all layers, also those that others share. One that
// the engine does not have is left out.
func (m *Manager) ImageSizes(ctx context.Context, ids []string) (map[string]int64, error) {
	sizes := map[string]int64{}
	for _, id := range ids {
		if _, known := sizes[id]; known {
			continue
		}
		found, err := m.Docker.ImageInspect(ctx, id)
		if cerrdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look for image %q: %w", id, err)
		}
		sizes[id] = found.Size
	}
	return sizes, nil
}

// VolumeSizes are the bytes of all volumes of an engine that can tell, by name. The engine looks at each file of each volume for it,
// and at its images as well before API 1.42, so give it a deadline.
func (m *Manager) VolumeSizes(ctx context.Context) (map[string]int64, error) {
	used, err := m.Docker.DiskUsage(ctx, client.DiskUsageOptions{Volumes: true, Verbose: true})
	if err != nil {
		return nil, fmt.Errorf("ask for the size of volumes: %w", err)
	}
	sizes := map[string]int64{}
	for _, volume := range used.Volumes.Items {
		if volume.UsageData != nil && volume.UsageData.Size >= 0 {
			sizes[volume.Name] = volume.UsageData.Size
		}
	}
	return sizes, nil
}
