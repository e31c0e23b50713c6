package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/docker/go-units"

	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/pipeline"
)

// proofFile is in the stack's folder, and not a part of state.json: a verify holds no lock, and would write over what an up
// beside it remembers.
const proofFile = "proof.json"

// proofJSON is the last time that all routes were looked at, by an up or a verify of this machine. Part of the contract of
// `status --format json`.
type proofJSON struct {
	At     time.Time `json:"at"`
	Proven bool      `json:"proven"`
	Routes []string  `json:"routes"`
	Broken []string  `json:"broken"`
}

// keepProof remembers what a look at all routes came to. A proof that is not remembered is one all the same.
func (s *session) keepProof(results []pipeline.RouteResult) {
	proof := proofJSON{At: s.source.Now().UTC(), Proven: brokenOf(results) == nil, Routes: []string{}, Broken: []string{}}
	for _, result := range results {
		proof.Routes = append(proof.Routes, result.Name)
		if !result.Proven() {
			proof.Broken = append(proof.Broken, result.Name)
		}
	}
	raw, err := json.Marshal(proof)
	if err == nil {
		err = s.state.WriteFile(proofFile, raw, 0o600)
	}
	if err != nil {
		fmt.Fprintln(s.app.deps.stderr, "warning: the proof is not remembered:", render.Escape(err.Error()))
	}
}

// lastProof is nil where this machine has none, or none that it can read.
func (s *session) lastProof() (*proofJSON, error) {
	raw, err := s.state.ReadFile(proofFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // a stack that was not proven yet, which is no error
	}
	if err != nil {
		return nil, err
	}
	var proof proofJSON
	if json.Unmarshal(raw, &proof) != nil {
		return nil, nil //nolint:nilnil,nilerr // the next proof writes it anew
	}
	return &proof, nil
}

// words are the proof for the card, nothing where there is none.
func (p *proofJSON) words(now time.Time) []string {
	if p == nil {
		return nil
	}
	age := strings.ToLower(units.HumanDuration(now.Sub(p.At))) + " ago"
	if p.Proven {
		return []string{fmt.Sprintf("%d of %d routes carried their marked event, %s", len(p.Routes), len(p.Routes), age)}
	}
	return []string{fmt.Sprintf("broken, %s: %s", age, strings.Join(p.Broken, ", "))}
}
