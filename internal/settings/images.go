package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

// imagesFile is the lock file of a stack's images, beside its state.json.
const imagesFile = state.ImagesFile

type imagesLock struct {
	SchemaVersion int                    `json:"schemaVersion"`
	Images        map[string]stack.Image `json:"images"` // by the tag that the bundle pins
	Former        []FormerImage          `json:"former,omitempty"`
}

// FormerImage is one that the stack had before its pins or its profiles changed, or before its tag was moved.
type FormerImage struct {
	Tag string `json:"tag"`
	ID  string `json:"id"`
}

// ReadImages returns the images that were locked, by tag; none where nothing was pulled yet. A file that cannot be
// understood counts as none: it holds nothing that the next pull does not find again.
func ReadImages(from *state.Stack) (map[string]stack.Image, error) {
	lock, err := readLock(from)
	return lock.Images, err
}

// ReadFormerImages returns the images that the stack has no more, by tag and ID.
func ReadFormerImages(from *state.Stack) ([]FormerImage, error) {
	lock, err := readLock(from)
	return lock.Former, err
}

func readLock(from *state.Stack) (imagesLock, error) {
	none := imagesLock{SchemaVersion: state.Schema, Images: map[string]stack.Image{}}
	raw, err := from.ReadFile(imagesFile)
	if errors.Is(err, fs.ErrNotExist) {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	var lock imagesLock
	if json.Unmarshal(raw, &lock) != nil || lock.SchemaVersion != state.Schema {
		return none, nil
	}
	return lock, nil
}

// WriteImages replaces the locked images and remembers those that are not among them any more. The caller holds the
// stack's lock.
func WriteImages(to *state.Stack, images map[string]stack.Image) error {
	lock, err := readLock(to)
	if err != nil {
		return err
	}
	for tag, image := range lock.Images {
		if images[tag].ID != image.ID {
			lock.Former = append(lock.Former, FormerImage{Tag: tag, ID: image.ID})
		}
	}
	lock.Images = images
	return writeLock(to, lock)
}

// ForgetImages takes images that were removed from the former ones. The caller holds the stack's lock.
func ForgetImages(to *state.Stack, removed []FormerImage) error {
	lock, err := readLock(to)
	if err != nil {
		return err
	}
	lock.Former = slices.DeleteFunc(lock.Former, func(one FormerImage) bool { return slices.Contains(removed, one) })
	return writeLock(to, lock)
}

func writeLock(to *state.Stack, lock imagesLock) error {
	inUse := map[string]bool{}
	for image := range maps.Values(lock.Images) {
		inUse[image.ID] = true
	}
	lock.Former = slices.DeleteFunc(lock.Former, func(one FormerImage) bool { return inUse[one.ID] })
	slices.SortFunc(lock.Former, func(a, b FormerImage) int { return strings.Compare(a.Tag+" "+a.ID, b.Tag+" "+b.ID) })
	lock.Former = slices.Compact(lock.Former)
	raw, err := json.MarshalIndent(lock, "", "  ")
	if err != nil {
		return fmt.Errorf("write the lock of images: %w", err)
	}
	return to.WriteFile(imagesFile, append(raw, '\n'), 0o600)
}
