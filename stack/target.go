package stack

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/compose/v5/pkg/api"
	"github.com/moby/moby/api/types/container"
)

// Labels by which a container asks to be scraped. They are the user's, so they have no prefix of ours.
const (
	ScrapeLabel     = "telemetry.scrape" // "true"
	ScrapePortLabel = "telemetry.port"
	ScrapePathLabel = "telemetry.path" // /metrics without one
	ScrapeJobLabel  = "telemetry.job"  // the Compose service, else the container's name, without one
)

// Target is a container that asks to be scraped.
type Target struct {
	Container string
	Job       string
	Network   string // over which the agent reaches it, "" where there is none
	Host      string // what the agent calls it: its name, or its address on the network "bridge", which has no names
	Port      int
	Path      string
	State     TargetState
	Problem   string // why it is not scraped, "" where it is
	Samples   int    // that it answered with when it was asked, 0 where it was not

	networkID string
}

// TargetState is what a target is at.
type TargetState string

// The states of a target.
const (
	Scraped     TargetState = "scraped"
	NotYet      TargetState = "not yet"     // the agent does not know of it
	Unreachable TargetState = "unreachable" // the agent knows of it and gets no metrics
	Refused     TargetState = "refused"     // it cannot be scraped as its labels are
)

// URL is where the agent asks.
func (t Target) URL() string {
	if t.Host == "" {
		return ""
	}
	return fmt.Sprintf("http://%s:%d%s", t.Host, t.Port, t.Path)
}

// id changes with all that the agent is told, so that a reload sees another component and not a changed one.
func (t Target) id() string {
	sum := sha256.Sum256([]byte(t.URL() + "\n" + t.Job))
	return "target_" + hex.EncodeToString(sum[:6])
}

// targetOf reads the labels and networks of a container. joined says whether the agent is on a network.
func targetOf(item container.Summary, joined func(network string) bool) Target {
	target := Target{
		Container: containerName(item), State: NotYet,
		Path: orDefault(item.Labels[ScrapePathLabel], "/metrics"),
	}
	target.Job = orDefault(item.Labels[ScrapeJobLabel], orDefault(item.Labels[api.ServiceLabel], target.Container))
	port, err := strconv.Atoi(item.Labels[ScrapePortLabel])
	target.Port = port
	switch {
	case item.Labels[ScrapePortLabel] == "":
		target.Problem = "it has no label " + ScrapePortLabel
	case err != nil || port < 1 || port > 65535:
		target.Problem = fmt.Sprintf("label %s: %q is no port", ScrapePortLabel, item.Labels[ScrapePortLabel])
	case !pathShape().MatchString(target.Path):
		target.Problem = fmt.Sprintf("label %s: %q is no path as /metrics", ScrapePathLabel, target.Path)
	case !jobShape().MatchString(target.Job):
		target.Problem = fmt.Sprintf("label %s: %q is no name; letters, digits and _.:/@- make one", ScrapeJobLabel, target.Job)
	default:
		target.reach(item, joined)
	}
	if target.Problem != "" {
		target.State = Refused
	}
	return target
}

// reach chooses the network: one that the agent is on already, else the first by name; "bridge" last, for it has no
// names and an address there changes with every start.
func (t *Target) reach(item container.Summary, joined func(network string) bool) {
	mode := item.HostConfig.NetworkMode
	switch {
	case mode == "host":
		t.Problem = "it is on the network of the host, where the agent cannot reach it"
		return
	case mode == "none":
		t.Problem = "it has no network"
		return
	case strings.HasPrefix(mode, "container:"):
		t.Problem = "it is on the network of another container: give that one the labels"
		return
	case item.NetworkSettings == nil:
		t.Problem = "the engine names no network of it"
		return
	}
	networks := slices.SortedFunc(maps.Keys(item.NetworkSettings.Networks), func(a, b string) int {
		return strings.Compare(rankOf(a, joined)+a, rankOf(b, joined)+b)
	})
	for _, name := range networks {
		endpoint := item.NetworkSettings.Networks[name]
		if endpoint == nil || !endpoint.IPAddress.IsValid() {
			continue
		}
		t.Network, t.networkID, t.Host = name, endpoint.NetworkID, t.Container
		if name == bridge {
			t.Host = endpoint.IPAddress.String()
		}
		return
	}
	t.Problem = "it has no address of IPv4 on any network"
}

// bridge is the engine's default network.
const bridge = "bridge"

func rankOf(network string, joined func(network string) bool) string {
	switch {
	case joined(network) && network != bridge:
		return "0"
	case network != bridge:
		return "1"
	default:
		return "2"
	}
}

func orDefault(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

// targetsFile is the agent's configuration for the targets, "" for none. One that the agent gets no metrics from is in
// it too: it may come back.
func targetsFile(targets []Target) string {
	var sources, transforms strings.Builder
	for _, target := range targets {
		if target.State == Refused {
			continue
		}
		fmt.Fprintf(&sources, `  %s:
    type: prometheus_scrape
    endpoints: [%q]
    scrape_interval_secs: 15
    scrape_timeout_secs: 10
    instance_tag: instance
`, target.id(), target.URL())
		fmt.Fprintf(&transforms, `  metrics_%s:
    type: remap
    inputs: [%s]
    source: .tags.job = %q
`, target.id(), target.id(), target.Job)
	}
	if sources.Len() == 0 {
		return ""
	}
	return "# Containers that ask to be scraped by their labels. Written by docker telemetry targets sync.\n" +
		"sources:\n" + sources.String() + "transforms:\n" + transforms.String()
}

func statusLine() *regexp.Regexp { return regexp.MustCompile(`^HTTP/[0-9.]+ ([0-9]{3})`) }

// judge reads what a target answered, or what bash said instead.
func (t *Target) judge(answer string) {
	t.State = Unreachable
	status := statusLine().FindStringSubmatch(answer)
	if status == nil {
		t.Problem = t.silence(answer)
		return
	}
	_, body, _ := strings.Cut(answer, "\r\n\r\n")
	samples := len(sampleLine().FindAllStringIndex(body, -1))
	switch {
	case status[1] != "200":
		t.Problem = fmt.Sprintf("it answers %s at %s; the label %s says where its metrics are", status[1], t.Path, ScrapePathLabel)
	case samples == 0:
		t.Problem = fmt.Sprintf("what it answers at %s are no metrics of Prometheus", t.Path)
	default:
		t.State, t.Problem, t.Samples = Scraped, "", samples
	}
}

// silence says why a target did not answer, by the words of bash and the C library.
func (t *Target) silence(said string) string {
	switch {
	case strings.Contains(said, "Connection refused"):
		return fmt.Sprintf("nothing listens on port %d of it", t.Port)
	case strings.Contains(said, "No route to host"), strings.Contains(said, "Network is unreachable"):
		return "there is no route to it on network " + t.Network
	case strings.Contains(said, "Name or service not known"), strings.Contains(said, "Temporary failure in name resolution"):
		return fmt.Sprintf("the name %s is not known on network %s", t.Host, t.Network)
	case strings.TrimSpace(said) == "":
		return fmt.Sprintf("it does not answer on port %d within %s", t.Port, probeTargetIn)
	default:
		return fmt.Sprintf("what answers on port %d is no HTTP", t.Port)
	}
}

// pathShape and jobShape are what a label may hold. Its value becomes a part of the agent's configuration: what could mean
// anything else there is refused, not quoted.
func pathShape() *regexp.Regexp { return regexp.MustCompile(`^/[A-Za-z0-9._~/%?=&:-]{0,200}$`) }

func jobShape() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_.:/@-]{1,100}$`) }

func sampleLine() *regexp.Regexp {
	return regexp.MustCompile(`(?m)^[a-zA-Z_:][a-zA-Z0-9_:]*(?:\{.*\})?[ \t]+(?:[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?|[-+]?Inf|NaN)`)
}
