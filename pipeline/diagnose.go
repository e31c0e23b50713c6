package pipeline

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Cause is why a route stops at a hop, and the command that mends it.
type Cause struct {
	Hop  string // where the event was last seen to go
	Text string // in one line, with the evidence
	Mend string // a command, or a step
}

// Container is what the engine, and the container itself, say of one replica of a component.
type Container struct {
	Name      string
	Component string
	Number    int
	State     string // of the engine: running, exited, paused, restarting, created, dead
	Health    string // healthy, unhealthy, starting, "" where it has no healthcheck
	Status    string // the engine's words: "Exited (137) 3 seconds ago"
	OOMKilled bool
	Restarts  int
	Absent    []string // networks that it is to be on and is not on
	Log       []string // its last lines, oldest first
	Full      []string // folders of its own volumes whose disk has nothing left
	Altered   []string // files of its configuration that are not the stack's
}

// Discards counts events that a component's own steps dropped in the last minutes.
type Discards struct {
	Component string // agent or aggregator
	Step      string // the component_id of Vector
	Count     float64
}

// Evidence is what a cause is derived from.
type Evidence struct {
	Stack      string
	Containers []Container
	Discards   []Discards
	// Refused are the log-ins that their store does not take, by component.
	Refused []string
	// Certificate is what is wrong with the gateway's one, "" for nothing.
	Certificate string
}

// Suspects are the components that may be why nothing comes past a hop: the hop itself, what it needs, and where it sends.
func Suspects(hop string) []string {
	switch hop {
	case "target":
		return []string{"agent"}
	case "docker-proxy":
		return []string{"docker-proxy", "agent"}
	case "agent":
		return []string{"agent", "docker-proxy", "balancer"}
	case "balancer":
		return []string{"balancer", "aggregator"}
	default:
		return []string{hop}
	}
}

// Diagnose derives the cause from the evidence. The order is that of certainty: what the engine says of a container first,
// then what a component answered, then its counters, then its log. said is why the hop is silent.
func Diagnose(hop HopResult, evidence Evidence) Cause {
	said := plainly(hop.Err)
	cause := Cause{Hop: hop.Name, Text: hop.Name + ": " + said, Mend: "see what it says: docker telemetry logs " + hop.Component}
	if hop.Component == "container" || hop.Component == "target" {
		cause.Text, cause.Mend = "a container of the proof does not do its part: "+said, "see how the engine is: docker info; docker telemetry ps"
	}
	type rule = func(HopResult, string, Evidence) (Cause, bool)
	for _, certain := range []rule{ofTheEngine, ofTheCertificate, ofTheLogin, ofTheDisk} {
		if found, is := certain(hop, said, evidence); is {
			found.Hop = hop.Name
			return found
		}
	}
	for _, likely := range []rule{ofTheNetwork, ofTheCounters, ofTheLog} {
		if found, is := likely(hop, said, evidence); is {
			found.Hop = hop.Name
			cause = found
			break
		}
	}
	return altered(cause, evidence.of(hop, hop.Component))
}

// altered adds what no restart mends: a file of the configuration was changed inside of the container.
func altered(cause Cause, containers []Container) Cause {
	for _, c := range containers {
		if len(c.Altered) > 0 {
			cause.Text += "; its configuration is not the stack's: " + strings.Join(c.Altered, ", ") + " was changed in the container"
			cause.Mend = "docker rm -f " + c.Name + " && docker telemetry up"
			return cause
		}
	}
	return cause
}

func plainly(err error) string {
	if err == nil {
		return errSentNothingOn.Error()
	}
	return strings.TrimSpace(err.Error())
}

// of are the containers of a component, that of the hop alone where the hop is one of several replicas.
func (e Evidence) of(hop HopResult, component string) []Container {
	return slices.DeleteFunc(slices.Clone(e.Containers), func(c Container) bool {
		return c.Component != component || component == hop.Component && hop.Name != hop.Component && hop.Name != c.Label()
	})
}

// Label is how a replica is called among the hops.
func (c Container) Label() string { return fmt.Sprintf("%s-%d", c.Component, c.Number) }

func ofTheEngine(hop HopResult, _ string, evidence Evidence) (Cause, bool) {
	for _, component := range Suspects(hop.Component) {
		containers := evidence.of(hop, component)
		if len(containers) == 0 && component == hop.Component && component != "container" {
			return Cause{Text: component + " has no container", Mend: "docker telemetry up"}, true
		}
		for _, c := range containers {
			if cause, is := c.ails(component == hop.Component); is {
				return cause, true
			}
		}
	}
	return Cause{}, false
}

// ails is what the engine says is wrong with a container. That it is unhealthy counts for the hop itself only: its neighbours
// are so when it is.
func (c Container) ails(itself bool) (Cause, bool) {
	switch c.State {
	case "paused":
		return Cause{Text: c.Name + " is paused", Mend: "docker unpause " + c.Name}, true
	case "exited", "dead", "created":
		if c.OOMKilled {
			return Cause{
				Text: c.Name + " was killed: it needed more memory than its limit",
				Mend: "raise services." + c.Component + ".deploy.resources.limits.memory in an overlay: docker telemetry up -f overlay.yaml",
			}, true
		}
		return Cause{Text: fmt.Sprintf("%s does not run: %s", c.Name, cmp.Or(c.Status, c.State)), Mend: "docker telemetry start " + c.Component}, true
	case "restarting":
		return Cause{Text: fmt.Sprintf("%s ends again and again: %s%s", c.Name, c.Status, c.lastWords()), Mend: "docker telemetry logs " + c.Component}, true
	}
	if len(c.Absent) > 0 {
		return Cause{
			Text: fmt.Sprintf("%s is not on the network %s", c.Name, c.Absent[0]),
			Mend: fmt.Sprintf("docker network connect --alias %s %s %s", c.Component, c.Absent[0], c.Name),
		}, true
	}
	if itself && c.Health == "unhealthy" && len(c.Full) == 0 {
		return Cause{Text: fmt.Sprintf("%s is unhealthy%s", c.Name, c.lastWords()), Mend: "docker telemetry restart " + c.Component}, true
	}
	return Cause{}, false
}

func (c Container) lastWords() string {
	if len(c.Log) == 0 {
		return ""
	}
	return ", its last line is: " + c.Log[len(c.Log)-1]
}

func ofTheCertificate(hop HopResult, said string, evidence Evidence) (Cause, bool) {
	if hop.Component != "gateway" && hop.Component != "collector" {
		return Cause{}, false
	}
	if evidence.Certificate != "" && strings.Contains(said, "certificate") {
		return Cause{Text: hop.Name + " serves a certificate that is refused: " + evidence.Certificate, Mend: "docker telemetry certs renew"}, true
	}
	return Cause{}, false
}

// ofTheLogin explains a store behind the hop that refuses the stack's own log-in.
func ofTheLogin(hop HopResult, _ string, evidence Evidence) (Cause, bool) {
	if !slices.Contains(evidence.Refused, hop.Component) {
		return Cause{}, false
	}
	return Cause{
		Text: hop.Component + " answers 401 to the stack's own log-in: its password was changed after its first start",
		Mend: "docker telemetry credentials rotate " + hop.Component,
	}, true
}

const makeRoom = "make room where the engine keeps its volumes (docker system df); what the data takes: docker telemetry report retention"

func ofTheDisk(hop HopResult, _ string, evidence Evidence) (Cause, bool) {
	for _, component := range Suspects(hop.Component) {
		for _, c := range evidence.of(hop, component) {
			if len(c.Full) > 0 {
				return Cause{
					Text: fmt.Sprintf("the disk of %s is full (%s)", c.Name, strings.Join(c.Full, ", ")),
					Mend: makeRoom,
				}, true
			}
		}
	}
	return Cause{}, false
}

// ofTheNetwork words what a connection met.
func ofTheNetwork(hop HopResult, said string, evidence Evidence) (Cause, bool) {
	switch {
	case strings.Contains(said, "its data source"):
		return Cause{
			Text: fmt.Sprintf("%s answers, and %s", hop.Name, said),
			Mend: "compare its data source with the stack's: docker telemetry config; then docker telemetry restart grafana",
		}, true
	case hop.Component == "gateway" && strings.Contains(said, "connection refused"):
		return Cause{Text: "nothing listens on the gateway's published port", Mend: "docker telemetry restart gateway"}, true
	case hop.Component == "balancer" && strings.Contains(said, "no aggregator available"):
		return Cause{
			Text: "the balancer answers that no aggregator is available, though " + running(evidence, "aggregator") + " run: it does not find them under the name aggregator",
			Mend: "docker telemetry restart balancer; its configuration is in: docker telemetry config",
		}, true
	case strings.Contains(said, "nothing listens"), strings.Contains(said, "Connection refused"), strings.Contains(said, "connection refused"):
		return Cause{Text: fmt.Sprintf("%s runs, and nothing listens there: %s", hop.Name, said), Mend: "docker telemetry restart " + hop.Component}, true
	}
	return Cause{}, false
}

func running(evidence Evidence, component string) string {
	count := 0
	for _, c := range evidence.Containers {
		if c.Component == component && c.State == "running" {
			count++
		}
	}
	return strconv.Itoa(count)
}

// ofTheCounters explains what was taken and not sent on: a step of the component drops it. The steps that sort marked events
// from others drop by design.
func ofTheCounters(hop HopResult, said string, evidence Evidence) (Cause, bool) {
	if said != errSentNothingOn.Error() {
		return Cause{}, false
	}
	most := Discards{}
	for _, discards := range evidence.Discards {
		sorts := slices.Contains([]string{"marked_docker", "stored_docker", "docker_kept"}, discards.Step)
		if discards.Component == hop.Component && !sorts && discards.Count > most.Count {
			most = discards
		}
	}
	if most.Step == "" {
		if hop.Component != "agent" && hop.Component != "aggregator" {
			return Cause{}, false
		}
		return Cause{
			Text: hop.Name + " took the marked event and sent nothing on: a program or a filter of its configuration drops it",
			Mend: "compare its configuration with the stack's: docker telemetry config; then docker telemetry up",
		}, true
	}
	return Cause{
		Text: fmt.Sprintf("%s drops what it takes: its step %s discarded %.0f events in the last minutes", hop.Name, most.Step, most.Count),
		Mend: fmt.Sprintf("look at %s in: docker telemetry config; a profile or an overlay brings it (docker telemetry up --profile none leaves profiles out)", most.Step),
	}, true
}

// complaint is a line of a log and what it means.
type complaint struct {
	shape *regexp.Regexp
	means func(hop HopResult, line string) Cause
}

// complaints were read in the sources of Vector 0.59 (src/sinks/util/retries.rs, src/internal_events), nginx 1.29
// (ngx_connection.c, ngx_http_upstream.c) and VictoriaMetrics 1.x (lib/storage).
func complaints() []complaint {
	says := func(shape string, text, mend string) complaint {
		return complaint{regexp.MustCompile(shape), func(hop HopResult, line string) Cause {
			put := strings.NewReplacer("HOP", hop.Name, "COMPONENT", hop.Component, "LINE", line)
			return Cause{Text: put.Replace(text), Mend: put.Replace(mend)}
		}}
	}
	return []complaint{
		says(`(?i)no space left on device|read-only mode|not enough free disk`, "the disk of HOP is full: LINE", makeRoom),
		says(`Listing currently running containers failed`, "HOP gave up reading the engine: it could not list the containers when it started (LINE)", "docker telemetry restart agent"),
		says(`(?i)host not found in upstream|could not be resolved`, "HOP does not find the name of what it sends to: LINE", "docker telemetry up"),
		says(`(?i)out of memory`, "HOP has too little memory: LINE", "docker telemetry logs COMPONENT"),
		says(`(?i)\b(401|403)\b.*(unauthorized|forbidden)`, "HOP is refused by what it sends to: LINE", "docker telemetry credentials rotate"),
	}
}

func ofTheLog(hop HopResult, _ string, evidence Evidence) (Cause, bool) {
	for _, c := range evidence.of(hop, hop.Component) {
		for _, line := range slices.Backward(c.Log) {
			for _, complaint := range complaints() {
				if complaint.shape.MatchString(line) {
					return complaint.means(hop, shorten(line)), true
				}
			}
		}
	}
	return Cause{}, false
}

// shorten keeps a log line to what fits a sentence.
func shorten(line string) string {
	const most = 160
	if runes := []rune(line); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return line
}
