// Package stacktest is an engine in memory, with Compose on top, for tests of what runs a stack. It keeps state as an
// engine does: what one call made is there for the next. It records each call that changes anything, and it fails in
// the ways that engines fail.
package stacktest

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/stack/bundle"
)

// Fault is a way in which a component fails.
type Fault string

// A component without a fault is healthy once it runs, or HealthyAfter later.
const (
	Unhealthy    Fault = "unhealthy"     // runs, and its healthcheck fails
	NeverHealthy Fault = "never-healthy" // runs, and its healthcheck gives no answer
	Restarting   Fault = "restarting"    // ends, and is started again for ever
	Exits        Fault = "exits"         // ends
)

// Engine satisfies stack.Composer and stack.Docker. A test sets its fields before a call or between two.
type Engine struct {
	Address string // how the client reaches it: the answer of DaemonHost
	API     string
	Version string
	Name    string
	OS      string
	OSType  string
	Memory  int64
	Created time.Time // what every container says of its creation

	Fails        error             // every call fails with it
	Hangs        bool              // no call returns before its context ends
	PullFails    error             // no registry answers
	UpFailsOnce  error             // the next Up ends with it, its networks and volumes made
	Missing      map[string]bool   // images that the engine does not have
	Moved        map[string]int    // how often a tag was moved to another image
	Faults       map[string]Fault  // by component
	Folders      map[string]bool   // on the engine's host, by path
	Says         map[string]string // the log of a component's containers
	HealthyAfter time.Duration     // from a container's start
	BalancerLag  time.Duration     // until the balancer sees that an aggregator came or went

	// Before hears of each change before it is made. It may end the context; it must not call the engine.
	Before func(ctx context.Context, change string)
	// Deaf are containers of aggregators that take no batch, by name; Favourite gets four batches of five.
	Deaf      map[string]bool
	Favourite string
	// Answers are what bash in the agent's container reads of a target, by HOST:PORT/PATH; nothing without one. Components
	// and probes that run answer by themselves.
	Answers map[string]string
	// Complains is what a component's program says of its configuration, by component, or by image where it is tried in a
	// container of its own; nothing where it is as it should be.
	Complains map[string]string
	Starved   map[string]bool // containers of which the kernel killed a process for want of memory, by name
	Restarted map[string]int  // how often a container was started again, by name
	DiskFree  int64           // bytes, of the disk of every volume
	SlowUsage bool            // what its volumes take is not told before the context ends
	LogDriver string          // of containers that choose none
	NoLimits  bool            // it can limit nothing
	ClockOff  time.Duration   // how far its clock is ahead
	// Exec answers a command in a component's container; nil knows the balancer's lanes only.
	Exec func(component string, command []string) (output string)
	// Gateway is served over TLS, with the certificate among the gateway's secrets, where its container publishes.
	Gateway http.Handler

	// RefusesReload makes the gateway take no new certificate.
	RefusesReload bool

	turns       sync.Map // of each lane: *atomic.Int64 by port
	mu          sync.Mutex
	containers  []*entry
	networks    []*netEntry
	volumes     map[string]map[string]string     // labels by name
	files       map[string]map[string]volumeFile // by volume and path
	snapshots   []string                         // of VictoriaMetrics
	snapshotted int
	changes     []string
	created     int                 // containers so far; makes IDs and addresses
	networked   int                 // networks so far
	execs       map[string][]string // component and command by ID
	secrets     types.Secrets       // of the project that runs
	services    types.Services      // of the same
	listener    io.Closer
	certificate *tls.Certificate // that the gateway has loaded
	balanced    []string         // aggregators that the balancer knew before they last changed
	staleUntil  time.Time        // it knows no others until then
	batches     [][]byte         // that aggregators took
}

// entry is a container.
type entry struct {
	id, name, image string
	imageID         string // of what the tag stood for
	labels          map[string]string
	networks        []*netEntry
	aliases         map[string][]string // by the ID of a network
	volumes         []string
	mounted         []mount.Mount // of volumes, where it is no component's
	ports           []container.PortSummary
	address         netip.Addr
	files           map[string]string // what was copied into it, by path
	prints          string            // what its command prints at once, before it ends: a probe
	input           net.Conn          // it ends with this instead
	logs            container.LogConfig
	state           container.ContainerState
	startedAt       time.Time
}

// netEntry is a network. Names need not be unique, as on a real engine.
type netEntry struct {
	id, name string
	labels   map[string]string
	made     int
}

func (c *entry) component() string { return c.labels[stack.ComponentLabel] }

func (c *entry) running() bool { return c.state == container.StateRunning }

// New returns a healthy engine of another machine, so that no test looks at the ports of its own.
func New() *Engine {
	return &Engine{
		Address: "tcp://engine.test:2376", API: "1.47", Version: "27.5.1", Name: "engine-host", OS: "Debian GNU/Linux 13",
		OSType: "linux", Memory: 16 << 30, DiskFree: 50 << 30, LogDriver: "json-file", Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Missing: map[string]bool{}, Moved: map[string]int{}, Folders: map[string]bool{}, Faults: map[string]Fault{}, Says: map[string]string{},
		volumes: map[string]map[string]string{}, files: map[string]map[string]volumeFile{}, execs: map[string][]string{},
	}
}

// Manager returns a manager of the real bundle on this engine.
func (e *Engine) Manager() *stack.Manager {
	return &stack.Manager{Compose: e, Docker: e, Bundle: bundle.FS()}
}

// Changes lists, in order, what changed anything since the start or the last Forget: "create volume telemetry_agent-buffer".
func (e *Engine) Changes() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.changes)
}

// Forget empties the list of changes.
func (e *Engine) Forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.changes = nil
}

// Containers lists the containers by name and state, sorted: "telemetry-agent-1 running".
func (e *Engine) Containers() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	names := make([]string, 0, len(e.containers))
	for _, c := range e.containers {
		names = append(names, c.name+" "+string(c.state))
	}
	slices.Sort(names)
	return names
}

// Networks lists the networks by name, sorted.
func (e *Engine) Networks() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	names := make([]string, 0, len(e.networks))
	for _, network := range e.networks {
		names = append(names, network.name)
	}
	slices.Sort(names)
	return names
}

// Volumes lists the volumes by name, sorted.
func (e *Engine) Volumes() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Sorted(maps.Keys(e.volumes))
}

// Logged reports whether a log record with a mark is on its way to the store: a probe container with it has printed, or an
// aggregator took one.
func (e *Engine) Logged(mark string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.containers, func(c *entry) bool {
		return c.state == container.StateExited && c.labels[stack.ProbeLabel] == mark
	}) || slices.ContainsFunc(e.batches, func(batch []byte) bool { return bytes.Contains(batch, []byte(mark)) })
}

// Sampled reports whether a sample whose value is a mark is on its way to the store: the agent was told of a target that
// serves it, or an aggregator took one.
func (e *Engine) Sampled(mark string) bool {
	value, err := strconv.ParseFloat(mark, 64)
	if err != nil {
		return false
	}
	raw := binary.LittleEndian.AppendUint64(nil, math.Float64bits(value))
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.containers, func(c *entry) bool {
		return c.component() == stack.Agent && c.files["/etc/vector/probe-"+mark+".yaml"] != ""
	}) || slices.ContainsFunc(e.batches, func(batch []byte) bool { return bytes.Contains(batch, raw) })
}

// CutInputs ends the containers that are attended, as a process does that is killed.
func (e *Engine) CutInputs() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.containers {
		if c.input != nil {
			_ = c.input.Close() // a pipe's end does not fail
			c.state = container.StateExited
		}
	}
}

// Heal takes a component's fault away, while calls are under way as well; it shows at the container's next start.
func (e *Engine) Heal(component string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.Faults, component)
}

// AddContainer runs a container that Compose knows nothing of, or a foreign project's. It publishes port when it is not 0.
func (e *Engine) AddContainer(name, image string, labels map[string]string, port uint16) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.newEntry(name, image, labels)
	if port != 0 {
		c.ports = []container.PortSummary{{IP: netip.IPv4Unspecified(), PublicPort: port, PrivatePort: 80, Type: "tcp"}}
	}
	c.state = container.StateRunning
	e.containers = append(e.containers, c)
}

// AddNetwork makes a network, a second one of the same name as well.
func (e *Engine) AddNetwork(name string, labels map[string]string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.addNetwork(name, labels)
}

// TakeNetwork removes a network that is not ours, which fails while a container is on it.
func (e *Engine) TakeNetwork(name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	gone, err := e.network(name)
	if err != nil {
		return err
	}
	if err := e.isEmpty(gone); err != nil {
		return err
	}
	e.networks = slices.DeleteFunc(e.networks, func(other *netEntry) bool { return other == gone })
	return nil
}

// AddVolume makes a volume that is not ours.
func (e *Engine) AddVolume(name string, labels map[string]string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.volumes[name] = labels
}

func (e *Engine) addNetwork(name string, labels map[string]string) {
	e.networked++
	e.networks = append(e.networks, &netEntry{id: fmt.Sprintf("%064x", e.networked), name: name, labels: labels, made: e.networked})
}

// network finds one by name, and refuses a name that several have, as engines up to 24 do.
func (e *Engine) network(name string) (*netEntry, error) {
	var found []*netEntry
	for _, network := range e.networks {
		if network.name == name {
			found = append(found, network)
		}
	}
	switch len(found) {
	case 0:
		return nil, notFoundError("network " + name + " not found")
	case 1:
		return found[0], nil
	default:
		return nil, fmt.Errorf("network %s is ambiguous (%d matches found on name)", name, len(found))
	}
}

func (e *Engine) newEntry(name, image string, labels map[string]string) *entry {
	e.created++
	return &entry{
		id: fmt.Sprintf("%064x", e.created), name: name, image: image, imageID: e.imageID(image), labels: labels, state: container.StateCreated,
		files: map[string]string{}, aliases: map[string][]string{},
		address: netip.AddrFrom4([4]byte{10, 0, 0, byte(e.created)}),
	}
}

// enter takes the lock and answers as a call to this engine does; the caller unlocks where there is no error.
func (e *Engine) enter(ctx context.Context) error {
	if e.Hangs {
		<-ctx.Done()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if e.Fails != nil {
		return e.Fails
	}
	e.mu.Lock()
	return nil
}

// change records a change that is about to be made, unless the context has ended.
func (e *Engine) change(ctx context.Context, verb, name string) error {
	change := verb + " " + name
	if e.Before != nil {
		e.Before(ctx, change)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	e.changes = append(e.changes, change)
	return nil
}

func (e *Engine) find(id string) (*entry, error) {
	for _, c := range e.containers {
		if c.id == id {
			return c, nil
		}
	}
	return nil, notFoundError("No such container: " + id)
}

// notFoundError is what containerd's errdefs takes for a 404 of the engine.
type notFoundError string

func (e notFoundError) Error() string { return string(e) }
func (notFoundError) NotFound()       {}

func (e *Engine) run(ctx context.Context, c *entry) error {
	if other := e.publisher(c); other != nil {
		return fmt.Errorf("Error response from daemon: driver failed programming external connectivity on endpoint %s: "+
			"Bind for %s:%d failed: port is already allocated", c.name, c.ports[0].IP, c.ports[0].PublicPort)
	}
	if err := e.change(ctx, "start container", c.name); err != nil {
		return err
	}
	e.aggregatorsChange(c)
	c.startedAt = time.Now()
	switch {
	case c.prints != "" && c.input == nil, e.Faults[c.component()] == Exits:
		c.state = container.StateExited
	case e.Faults[c.component()] == Restarting:
		c.state = container.StateRestarting
	default:
		c.state = container.StateRunning
	}
	if c.component() == stack.Gateway {
		return e.serveGateway(ctx, c)
	}
	return nil
}

func (e *Engine) publisher(c *entry) *entry {
	for _, other := range e.containers {
		for _, taken := range other.ports {
			if other != c && other.running() && len(c.ports) > 0 && c.ports[0].PublicPort == taken.PublicPort {
				return other
			}
		}
	}
	return nil
}

func (e *Engine) stop(ctx context.Context, c *entry) error {
	if err := e.change(ctx, "stop container", c.name); err != nil {
		return err
	}
	e.aggregatorsChange(c)
	c.state = container.StateExited
	if c.component() == stack.Gateway {
		return e.closeGateway()
	}
	return nil
}

func (e *Engine) remove(ctx context.Context, c *entry) error {
	if c.running() {
		if err := e.stop(ctx, c); err != nil {
			return err
		}
	}
	if err := e.change(ctx, "remove container", c.name); err != nil {
		return err
	}
	e.containers = slices.DeleteFunc(e.containers, func(other *entry) bool { return other == c })
	return nil
}

// health is empty for a container that does not run or has no healthcheck.
func (e *Engine) health(c *entry) container.HealthStatus {
	fault := e.Faults[c.component()]
	switch {
	case !c.running(), c.component() == "":
		return ""
	case fault == Unhealthy:
		return container.Unhealthy
	case fault == NeverHealthy, time.Since(c.startedAt) < e.HealthyAfter:
		return container.Starting
	default:
		return container.Healthy
	}
}

// status is in the engine's words; the time in it stands still, for golden files.
func (e *Engine) status(c *entry) string {
	switch c.state {
	case container.StateRunning:
		switch e.health(c) {
		case container.Starting:
			return "Up 2 minutes (health: starting)"
		case "":
			return "Up 2 minutes"
		default:
			return fmt.Sprintf("Up 2 minutes (%s)", e.health(c))
		}
	case container.StateRestarting:
		return "Restarting (1) 3 seconds ago"
	case container.StateExited:
		return "Exited (1) 3 seconds ago"
	default:
		return "Created"
	}
}

// aggregatorsChange starts the balancer's lag when c is an aggregator; call it before c changes.
func (e *Engine) aggregatorsChange(c *entry) {
	if c.component() == stack.Aggregator {
		e.balanced, e.staleUntil = e.picked(), time.Now().Add(e.BalancerLag)
	}
}

// picked is whom the balancer sends to.
func (e *Engine) picked() []string {
	if time.Now().Before(e.staleUntil) {
		return e.balanced
	}
	var live []string
	for _, c := range e.containers {
		if c.running() && c.component() == stack.Aggregator {
			live = append(live, c.address.String())
		}
	}
	return live
}
