package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

func running(f Facts) []Outcome {
	return over(f.Components, func(all []Component) []Outcome {
		var found []Outcome
		replicas := 0
		for _, c := range all {
			replicas += c.Ready
			found = append(found, c.faults()...)
		}
		return orOK(found, "%d components, %d replicas, all healthy", len(all), replicas)
	})
}

// faults are those of a component's replicas, and that some are missing.
func (c Component) faults() []Outcome {
	var found []Outcome
	for _, r := range c.Replicas {
		if r.Ready {
			continue
		}
		detail, mend := r.Name+" is "+cmp.Or(r.Health, r.State), RestartComponent
		if slices.Contains([]string{"exited", "created", "dead"}, r.State) {
			mend = StartComponent
		}
		if slices.Contains([]string{"exited", "restarting", "dead"}, r.State) {
			detail = fmt.Sprintf("%s is %s (exit code %d)", r.Name, r.State, r.ExitCode)
		}
		if why := cmp.Or(r.Problem, r.Said); why != "" {
			detail += "; it says: " + why
		}
		fault := Outcome{State: Failed, Object: c.Name, Detail: detail, Advice: "docker telemetry logs " + c.Name + "; docker telemetry doctor --fix starts it again", Mend: mend}
		if r.State == "running" && r.Health == "starting" {
			fault.State, fault.Advice, fault.Mend = Warning, "wait, or see what it does: docker telemetry logs "+c.Name, ""
		}
		found = append(found, fault)
	}
	if missing := c.Want - len(c.Replicas); missing > 0 {
		found = append(found, Outcome{
			State: Failed, Object: c.Name, Detail: fmt.Sprintf("%d of %d replicas have no container", missing, c.Want), Advice: "docker telemetry up",
		})
	}
	return found
}

func restarts(f Facts) []Outcome {
	return over(f.Components, func(all []Component) []Outcome {
		var found []Outcome
		for _, c := range all {
			for _, r := range c.Replicas {
				if r.Restarts > 0 {
					found = append(found, Outcome{
						State: Warning, Object: r.Name, Detail: fmt.Sprintf("it ended by itself and was started again %d times, last on %s", r.Restarts, stamp(r.StartedAt)),
						Advice: "docker telemetry logs " + c.Name,
					})
				}
			}
		}
		return orOK(found, "none ended by itself")
	})
}

func outOfMemory(f Facts) []Outcome {
	killed := map[string]Outcome{}
	kill := func(container, component, detail string) {
		killed[container] = Outcome{
			State: Failed, Object: container, Detail: detail + " for want of memory",
			Advice: "give it more in an overlay, services." + component + ".deploy.resources.limits.memory: docker telemetry up -f overlay.yaml",
		}
	}
	if !f.Components.Known {
		return over(f.Components, func([]Component) []Outcome { return nil })
	}
	for _, c := range f.Components.Value {
		for _, r := range c.Replicas {
			if r.OOMKilled {
				kill(r.Name, c.Name, "the kernel killed a process of it")
			}
		}
	}
	for _, p := range f.Pressure.Value {
		if p.OOMKills > 0 {
			kill(p.Container, p.Component, fmt.Sprintf("the kernel killed %d of its processes", p.OOMKills))
		}
	}
	found := make([]Outcome, 0, len(killed))
	for _, outcome := range killed {
		found = append(found, outcome)
	}
	slices.SortFunc(found, func(a, b Outcome) int { return cmp.Compare(a.Object, b.Object) })
	return orOK(found, "no process was killed for want of memory")
}

func flowErrors(f Facts) []Outcome {
	return over(f.Flow, func(flow Flow) []Outcome {
		found := make([]Outcome, 0, len(flow.Errors))
		for _, c := range flow.Errors {
			found = append(found, Outcome{
				State: Warning, Object: c.object(), Detail: fmt.Sprintf("%.0f errors in the last minute (%s)", c.Value, cmp.Or(c.Kind, "of no type")),
				Advice: "docker telemetry logs " + c.component(),
			})
		}
		return orOK(found, "none in the last minute")
	})
}

func retries(f Facts) []Outcome {
	return over(f.Flow, func(flow Flow) []Outcome {
		found := make([]Outcome, 0, len(flow.Retries))
		for _, c := range flow.Retries {
			advice := "docker telemetry logs " + c.component()
			if c.Kind == "401" || c.Kind == "403" {
				advice = "the store refuses the password: docker telemetry credentials rotate"
			}
			found = append(found, Outcome{
				State: Warning, Object: c.object(), Detail: fmt.Sprintf("%.0f requests were answered with %s in the last minute, and are sent again", c.Value, c.Kind),
				Advice: advice,
			})
		}
		return orOK(found, "no answer of a store made a sink send again in the last minute")
	})
}

func discards(f Facts) []Outcome {
	return over(f.Flow, func(flow Flow) []Outcome {
		found := make([]Outcome, 0, len(flow.Discarded))
		for _, c := range flow.Discarded {
			found = append(found, Outcome{
				State: Failed, Object: c.object(), Detail: fmt.Sprintf("%.0f events were lost in the last hour (%s)", c.Value, cmp.Or(c.Kind, "it could not process them")),
				Advice: "docker telemetry logs " + c.component(),
			})
		}
		return orOK(found, "nothing was lost in the last hour")
	})
}

const bufferFilling, bufferFull = 0.5, 0.9

func buffers(f Facts) []Outcome {
	return over(f.Flow, func(flow Flow) []Outcome {
		var found []Outcome
		var words []string
		for _, b := range flow.Buffers {
			if b.Max <= 0 {
				continue
			}
			part := b.Size / b.Max
			words = append(words, fmt.Sprintf("%s %.0f %% of %s", b.Component, part*100, size(int64(b.Max))))
			if part < bufferFilling {
				continue
			}
			state, how := Warning, "it empties"
			if b.Before >= 0 && b.Size >= b.Before {
				how = "it does not empty"
			}
			if part >= bufferFull {
				state = Failed
			}
			found = append(found, Outcome{
				State: state, Object: b.Component, Detail: fmt.Sprintf("the buffer is %.0f %% full, and %s: what it holds was not stored yet", part*100, how),
				Advice: "see which hop stands still: docker telemetry status; docker telemetry logs aggregator",
			})
		}
		return orOK(found, "%s", cmp.Or(strings.Join(words, ", "), "none is used"))
	})
}

func silent(f Facts) []Outcome {
	return over(f.Flow, func(flow Flow) []Outcome {
		var found []Outcome
		for _, job := range flow.Silent {
			found = append(found, Outcome{State: Failed, Object: job, Detail: "it gave metrics before, and none in the last two minutes", Advice: "docker telemetry ps; docker telemetry logs agent"})
		}
		for _, job := range flow.Missing {
			found = append(found, Outcome{State: Failed, Object: job, Detail: "it gives no metrics, though it has run for minutes", Advice: "docker telemetry ps; docker telemetry logs agent"})
		}
		return orOK(found, "every component gives them")
	})
}

// component is where to look for the log.
func (c Count) component() string { return strings.TrimPrefix(c.Job, "vector-") }

func (c Count) object() string {
	name := c.component()
	if c.Replica != "" {
		name += " " + c.Replica
	}
	if c.Component != "" {
		name += ": " + c.Component
	}
	return name
}
