package settings

import (
	"errors"
	"io/fs"
	"path"
	"slices"

	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

// Import puts the files of a stack that was kept elsewhere, or before, into an empty one. Compose files that we wrote are
// written again and not believed, and neither is the socket: whoever chooses it chooses what of the engine's host is
// mounted. What depends on the engine is left out when that is another.
func Import(to *state.Stack, files map[string][]byte, engine, socket string) error {
	for rel, content := range files {
		if path.Dir(rel) == rulesFolder && rel != rulesFile {
			continue
		}
		if err := to.WriteFile(rel, content, 0o600); err != nil {
			return err
		}
	}
	applied, err := ReadRules(to)
	if err != nil {
		return err
	}
	if len(applied) > 0 {
		if err := WriteRules(to, applied); err != nil {
			return err
		}
	}
	file, err := to.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return &stack.Error{Text: "the snapshot has no settings", Advice: "use another one: docker telemetry snapshot ls"}
	}
	if err != nil {
		return err
	}
	file.Volumes, file.DockerSocket = nil, socket
	if file.EngineID != engine {
		file.Features = nil
	}
	return to.Save(file)
}

// Export returns the files that mean the same wherever the stack is.
func Export(from *state.Stack) (map[string][]byte, error) {
	present, err := from.Files()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, rel := range slices.DeleteFunc(present, func(rel string) bool { return !state.Portable(rel) }) {
		if files[rel], err = from.ReadFile(rel); err != nil {
			return nil, err
		}
	}
	return files, nil
}
