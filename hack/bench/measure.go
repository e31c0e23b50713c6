//go:build unix

package main

import (
	"context"
	"time"

	"github.com/docker-telemetry/docker-telemetry/hack/process"
)

// fewestPairs is what a median needs to leave one outlier out.
const fewestPairs = 3

// measurement compares two commands. prepare makes the state that both are measured in, once; reset restores one side's
// before each of its runs. Neither is timed.
type measurement struct {
	name   string
	budget float64 // 0 for none
	pairs  int
	within time.Duration // after it no further pair begins

	ours, theirs command
	// alone is ours without the Docker CLI around it: the warm-up, and the run whose memory counts.
	alone   command
	prepare func(*world, context.Context) error
	reset   func(*world, context.Context) error
}

// command is a program of a world with its arguments.
type command func(w *world) invocation

func measurements() []measurement {
	return []measurement{
		{
			name: "metadata", budget: 1.2, pairs: 40, within: 20 * time.Second,
			ours:   func(w *world) invocation { return w.plugin("docker-cli-plugin-metadata") },
			theirs: func(w *world) invocation { return w.composePlugin("docker-cli-plugin-metadata") },
			alone:  func(w *world) invocation { return w.plugin("docker-cli-plugin-metadata") },
		},
		{
			name: "version", budget: 1.0, pairs: 30, within: 30 * time.Second,
			ours:   func(w *world) invocation { return w.telemetry("version") },
			theirs: func(w *world) invocation { return w.docker("compose", "version") },
			alone:  func(w *world) invocation { return w.plugin("version") },
		},
		{
			// Without the proof: Compose does nothing like it.
			name: "noop", budget: 1.2, pairs: 9, within: 30 * time.Second,
			ours:    func(w *world) invocation { return w.telemetry(w.up("--no-verify")...) },
			theirs:  (*world).ejectedUp,
			alone:   func(w *world) invocation { return w.plugin(w.up("--no-verify")...) },
			prepare: (*world).bothUp,
		},
		{
			// As people type it. There is nothing to hold it against, so it is only shown.
			name: "noop-with-proof", pairs: 5, within: 30 * time.Second,
			ours:    func(w *world) invocation { return w.telemetry(w.up()...) },
			theirs:  (*world).ejectedUp,
			alone:   func(w *world) invocation { return w.plugin(w.up()...) },
			prepare: (*world).bothUp,
		},
		{
			name: "cold", budget: 1.1, pairs: 5, within: 100 * time.Second,
			ours:    func(w *world) invocation { return w.telemetry(w.up("--no-verify")...) },
			theirs:  (*world).ejectedUp,
			alone:   func(w *world) invocation { return w.plugin(w.up("--no-verify")...) },
			prepare: (*world).eject,
			reset:   (*world).down,
		},
	}
}

func names() []string {
	var names []string
	for _, m := range measurements() {
		names = append(names, m.name)
	}
	return names
}

// measure lets both commands take turns, each first as often as second, so that what else the machine does falls on
// both alike.
func (w *world) measure(ctx context.Context, m measurement) (result, error) {
	if m.prepare != nil {
		if err := m.prepare(w, ctx); err != nil {
			return result{}, err
		}
	}
	once := func(c command) (process.Usage, error) {
		if m.reset != nil {
			if err := m.reset(w, ctx); err != nil {
				return process.Usage{}, err
			}
		}
		return w.run(ctx, c(w))
	}
	alone, err := once(m.alone)
	if err != nil {
		return result{}, err
	}
	if _, err := once(m.theirs); err != nil {
		return result{}, err
	}

	sides := []struct {
		command command
		took    []time.Duration
	}{{command: m.ours}, {command: m.theirs}}
	began := time.Now()
	for pair := range m.pairs {
		if pair >= fewestPairs && time.Since(began) > m.within {
			break
		}
		for turn := range sides {
			side := &sides[(pair+turn)%2]
			used, err := once(side.command)
			if err != nil {
				return result{}, err
			}
			side.took = append(side.took, used.Took)
		}
	}
	ours, theirs := milliseconds(sides[0].took), milliseconds(sides[1].took)
	ratio := ours / theirs
	return result{
		Name: m.name, Budget: m.budget, Ratio: ratio, Pass: m.budget == 0 || ratio <= m.budget, Ours: ours, Theirs: theirs, Pairs: len(sides[0].took),
		PeakMiB: alone.PeakMiB,
	}, nil
}

// milliseconds is the median.
func milliseconds(took []time.Duration) float64 {
	return float64(process.Median(took)) / float64(time.Millisecond)
}
