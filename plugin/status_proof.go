package plugin

import (
	"fmt"
	"strings"
	"time"

	"github.com/docker/go-units"

	"github.com/docker-telemetry/docker-telemetry/pipeline"
)

const proofFile = "proof.json"

// proofJSON is the last time that all routes were looked at, by an up or a verify of this machine. Part of the contract of
// `status --format json`.
type proofJSON struct {
	At     time.Time `json:"at"`
	Proven bool      `json:"proven"`
	Routes []string  `json:"routes"`
	Broken []string  `json:"broken"`
}

// keepProof remembers what a look at all routes came to.
func (s *session) keepProof(results []pipeline.RouteResult) {
	proof := proofJSON{At: s.source.Now().UTC(), Proven: brokenOf(results) == nil, Routes: []string{}, Broken: []string{}}
	for _, result := range results {
		proof.Routes = append(proof.Routes, result.Name)
		if !result.Proven() {
			proof.Broken = append(proof.Broken, result.Name)
		}
	}
	s.keepSeen(proofFile, "proof", proof)
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
