package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/docker-telemetry/docker-telemetry/internal/render"
)

// keepSeen remembers for the card what another command saw. It is a file of its own, and not a part of state.json: who looks holds
// no lock, and would write over what an up beside it remembers. What is not remembered was seen all the same, so that is a warning.
func (s *session) keepSeen(file, what string, seen any) {
	raw, err := json.Marshal(seen)
	if err == nil {
		err = s.state.WriteFile(file, raw, 0o600)
	}
	if err != nil {
		fmt.Fprintf(s.app.deps.stderr, "warning: the %s is not remembered: %s\n", what, render.Escape(err.Error()))
	}
}

// recalled is nil where this machine has none, or none that it can read: the next look writes it anew.
func recalled[T any](s *session, file string) (*T, error) {
	raw, err := s.state.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // nobody looked yet, which is no error
	}
	if err != nil {
		return nil, err
	}
	seen := new(T)
	if json.Unmarshal(raw, seen) != nil {
		return nil, nil //nolint:nilnil,nilerr // as above
	}
	return seen, nil
}
