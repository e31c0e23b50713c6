package stack

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"golang.org/x/sync/errgroup"
)

// Validation is what a component's own program says of its configuration.
type Validation struct {
	Component string
	Program   string // "nginx -t"
	Valid     bool
	Said      string // what it complains of
	Err       error  // why it could not be asked
}

// validatedAtOnce bounds the programs that run beside the stack.
const validatedAtOnce = 2

// ValidateConfigs has the program of each component read the configuration that lies in its container, in that container:
// nginx, Vector, VictoriaMetrics and the collector can do so. It changes nothing. Replicas have the same files, so the first
// that runs is asked.
func (m *Manager) ValidateConfigs(ctx context.Context, inspections []Inspection) []Validation {
	var group errgroup.Group
	group.SetLimit(validatedAtOnce)
	chosen := firstOfEach(inspections)
	all := make([]Validation, len(chosen))
	for i, c := range chosen {
		command := c.validating()
		all[i] = Validation{Component: c.Component, Program: spoken(command)}
		if c.State != string(container.StateRunning) {
			all[i].Err = fmt.Errorf("%s is %s", c.Name, c.State)
			continue
		}
		group.Go(func() error {
			output, code, err := m.run(ctx, c.ID, command...)
			all[i].Err, all[i].Valid = err, err == nil && code == 0
			if err == nil && code != 0 {
				all[i].Said = complaintIn(output)
			}
			return nil
		})
	}
	_ = group.Wait()
	return all
}

// firstOfEach is a replica of each component whose program can check its files: one that runs, where there is one.
func firstOfEach(inspections []Inspection) []Inspection {
	var chosen []Inspection
	for _, c := range inspections {
		if c.validating() == nil {
			continue
		}
		at := slices.IndexFunc(chosen, func(other Inspection) bool { return other.Component == c.Component })
		switch {
		case at < 0:
			chosen = append(chosen, c)
		case chosen[at].State != string(container.StateRunning):
			chosen[at] = c
		}
	}
	return chosen
}

// validating is the command that has a component's program check its files, nil for one that cannot.
func (i Inspection) validating() []string {
	if program, _ := i.program("nginx"); program != "" {
		return []string{program, "-t", "-q"}
	}
	if program, arguments := i.program("vector"); program != "" {
		// Without the environment: the disk buffer is locked by the one that runs, and the stores need not be there.
		return append([]string{program, "validate", "--no-environment"}, arguments...)
	}
	if program, arguments := i.program("victoria-metrics"); program != "" {
		return append(append([]string{program}, arguments...), "-dryRun")
	}
	if program, arguments := i.program("otelcol"); program != "" {
		return append([]string{program, "validate"}, arguments...)
	}
	return nil
}

// spoken names a command by its program and the words that say what it does.
func spoken(command []string) string {
	words := []string{command[0][strings.LastIndexByte(command[0], '/')+1:]}
	for _, word := range command[1:] {
		if word == "-t" || word == "validate" || word == "-dryRun" {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// complaintIn is the line of a validator's output that says what is wrong, without its time and process. Before it is what was
// read, and after it what follows from it.
func complaintIn(output string) string {
	stamp := regexp.MustCompile(`^(?:nginx: )?(?:[\d/-]+[ T][\d:.,]+Z?\s+)?(\[?\w+\]?) (?:\d+#\d+: )?`)
	var first, last string
	for line := range strings.Lines(output) {
		line = strings.Trim(strings.TrimSpace(line), "-")
		low := strings.ToLower(line)
		switch {
		case line == "":
			continue
		case strings.HasPrefix(line, "Failed to load"): // Vector, before the reason
		case strings.Contains(low, "\tinfo\t"), strings.Contains(low, "\twarn\t"), strings.Contains(line, " INFO"): // VictoriaMetrics
		case strings.Contains(low, "[emerg]"):
			return stamp.ReplaceAllString(line, "$1 ")
		case first == "" && saysNo(low):
			first = line[strings.LastIndexByte(line, '\t')+1:] // VictoriaMetrics: time, level and source are before it
		}
		last = line
	}
	return cmp.Or(first, last)
}

func saysNo(line string) bool {
	return slices.ContainsFunc([]string{"error", "fatal", "cannot", "unknown", "invalid", "failed"}, func(word string) bool {
		return strings.Contains(line, word)
	})
}
