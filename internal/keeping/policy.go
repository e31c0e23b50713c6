// Package keeping is how long the stores of a stack are told to keep their data: what is asked for, what of it is in force, and
// what brings it about in OpenObserve. VictoriaMetrics, and OpenObserve's setting for all streams, take theirs when they start.
package keeping

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/docker-telemetry/docker-telemetry/report/retention"
	"github.com/docker-telemetry/docker-telemetry/storage/openobserve"
)

// Policy is what was asked for, by target: "metrics", "logs", "traces", "logs/STREAM" or "traces/STREAM". The value is a time as the
// store takes it, such as "30d". "logs" is for all streams of OpenObserve that have no setting of their own, those of traces among
// them; "traces" is one for each stream of traces.
type Policy map[string]string

// Default in place of a time takes a target out of the policy.
const Default = "default"

// Parse reads assignments such as metrics=30d, logs=7d or logs/docker=default. What a store would refuse is refused here.
func Parse(words []string) (Policy, error) {
	asked := Policy{}
	for _, word := range words {
		target, value, err := parseOne(word)
		if err != nil {
			return nil, err
		}
		if _, twice := asked[target]; twice {
			return nil, fmt.Errorf("%s is given twice", target)
		}
		asked[target] = value
	}
	return asked, nil
}

func parseOne(word string) (target, value string, err error) {
	if target, value, found := strings.Cut(word, "="); found && value == Default {
		_, err := retention.ParseWanted(target + "=30d") // the target alone is of interest
		return target, Default, err
	}
	wanted, err := retention.ParseWanted(word)
	if err != nil {
		return "", "", err
	}
	value, err = inWhole(wanted)
	return wanted.Target(), value, err
}

// inWhole writes a retention as its store takes it: OpenObserve counts days, and VictoriaMetrics hours as well.
func inWhole(wanted retention.Wanted) (string, error) {
	hours := wanted.Days * 24
	whole := int(hours + 0.5)
	if diff := hours - float64(whole); diff > 1e-6 || diff < -1e-6 {
		return "", fmt.Errorf("%s takes whole hours", wanted.Target())
	}
	if whole%24 == 0 {
		return strconv.Itoa(whole/24) + "d", nil
	}
	return strconv.Itoa(whole) + "h", nil
}

// With returns the policy with what is asked for on top, and without what is asked back to the default.
func (p Policy) With(asked Policy) Policy {
	merged := Policy{}
	maps.Copy(merged, p)
	for target, value := range asked {
		if value == Default {
			delete(merged, target)
			continue
		}
		merged[target] = value
	}
	if len(merged) == 0 {
		return nil
	}
	return merged
}

// Targets of a policy, those of whole stores first.
func (p Policy) Targets() []string {
	return slices.SortedFunc(maps.Keys(p), func(a, b string) int {
		return strings.Compare(strings.Replace(order(a), "/", "\x00", 1), strings.Replace(order(b), "/", "\x00", 1))
	})
}

func order(target string) string {
	rank := map[string]string{retention.Metrics: "0", retention.Logs: "1", retention.Traces: "2"}
	if first, known := rank[target]; known {
		return first
	}
	return "3" + target
}

// Days of a target; 0 where the policy says nothing of it.
func (p Policy) Days(target string) float64 {
	return inDays(p[target])
}

// Stream is the setting of its own that the policy asks for a stream of OpenObserve, 0 for none.
func (p Policy) Stream(kind, name string) int {
	if days := p.Days(kind + "/" + name); days > 0 {
		return int(days)
	}
	if kind == retention.Traces {
		return int(p.Days(retention.Traces))
	}
	return 0
}

// OfStreams reports whether a part of the policy is kept in OpenObserve itself.
func (p Policy) OfStreams() bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(p)), IsStream)
}

// IsStream reports whether a target is a setting of streams, as opposed to one that a store starts with.
func IsStream(target string) bool { return target != retention.Metrics && target != retention.Logs }

// Missing are the streams that the policy names and the store does not have yet.
func (p Policy) Missing(held []openobserve.Held) []string {
	var missing []string
	for _, target := range p.Targets() {
		kind, name, named := strings.Cut(target, "/")
		if named && !slices.ContainsFunc(held, func(one openobserve.Held) bool { return one.Kind == kind && one.Name == name }) {
			missing = append(missing, target)
		}
	}
	return missing
}
