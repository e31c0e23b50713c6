package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

// imagesFile is the lock file of a stack's images, beside its state.json.
const imagesFile = state.ImagesFile

type imagesLock struct {
	SchemaVersion int                    `json:"schemaVersion"`
	Images        map[string]stack.Image `json:"images"` // by the tag that the bundle pins
}

// ReadImages returns the images that were locked, by tag; none where nothing was pulled yet. A file that cannot be
// understood counts as none: it holds nothing that the next pull does not find again.
func ReadImages(from *state.Stack) (map[string]stack.Image, error) {
	raw, err := from.ReadFile(imagesFile)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]stack.Image{}, nil
	}
	if err != nil {
		return nil, err
	}
	var lock imagesLock
	if json.Unmarshal(raw, &lock) != nil || lock.SchemaVersion != state.Schema {
		return map[string]stack.Image{}, nil
	}
	return lock.Images, nil
}

// WriteImages replaces the lock file. The caller holds the stack's lock.
func WriteImages(to *state.Stack, images map[string]stack.Image) error {
	raw, err := json.MarshalIndent(imagesLock{SchemaVersion: state.Schema, Images: images}, "", "  ")
	if err != nil {
		return fmt.Errorf("write the lock of images: %w", err)
	}
	return to.WriteFile(imagesFile, append(raw, '\n'), 0o600)
}
