package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/compose/v5/pkg/api"
	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// OldestAPI is the oldest Engine API that the end-to-end tests run on: Docker Engine 20.10.
const OldestAPI = "1.41"

// Engine says what was found behind the current context.
type Engine struct {
	Address    string // how the client reaches it, for example "unix:///var/run/docker.sock"
	API        string // version spoken with it
	Version    string
	ID         string
	Name       string // what the engine calls its host
	OS         string
	Kernel     string
	Memory     int64 // bytes
	CPUs       int
	Root       string // its data folder, on its own host
	SocketPath string // of the engine's socket on its own host
}

// Local reports whether the engine's ports are this machine's: its loopback is ours.
func (e Engine) Local() bool {
	if strings.HasPrefix(e.Address, "unix://") || strings.HasPrefix(e.Address, "npipe://") {
		return true
	}
	host, _, err := net.SplitHostPort(strings.TrimPrefix(strings.TrimPrefix(e.Address, "tcp://"), "http://"))
	if err != nil {
		return false
	}
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// Native reports whether the engine runs on a Linux of its own: not in the virtual machine of Docker Desktop or WSL2,
// where "the host" is a machine that the user never sees. Desktop says so in its name of the operating system, WSL2 in
// the name of its kernel ("5.15.167.4-microsoft-standard-WSL2").
func (e Engine) Native() bool {
	return !strings.Contains(e.OS, "Docker Desktop") && !strings.Contains(strings.ToLower(e.Kernel), "microsoft")
}

// Inspect asks the engine who it is. The error says that it cannot be reached, or is too old, and what to do.
func (m *Manager) Inspect(ctx context.Context) (Engine, error) {
	// Ping first: the Docker CLI's own lazy ping swallows its failure and later exits the process.
	// Bounded: an address that swallows packets would hold every command until TCP gives up, after minutes.
	pinging, cancel := context.WithTimeoutCause(ctx, pingTimeout, errNoAnswer)
	defer cancel()
	ping, err := m.Docker.Ping(pinging, client.PingOptions{NegotiateAPIVersion: true})
	if err != nil {
		if errors.Is(context.Cause(pinging), errNoAnswer) {
			err = errNoAnswer
		}
		return Engine{}, m.unreachable(ctx, err)
	}
	info, err := m.Docker.Info(ctx, client.InfoOptions{})
	if err != nil {
		return Engine{}, m.unreachable(ctx, err)
	}
	engine := Engine{
		Address: m.Docker.DaemonHost(),
		API:     m.Docker.ClientVersion(),
		Version: info.Info.ServerVersion,
		ID:      info.Info.ID,
		Name:    info.Info.Name,
		OS:      info.Info.OperatingSystem,
		Kernel:  info.Info.KernelVersion,
		Memory:  info.Info.MemTotal,
		CPUs:    info.Info.NCPU,
		Root:    info.Info.DockerRootDir,
	}
	engine.SocketPath = socketPath(engine)
	if ping.OSType != "" && ping.OSType != "linux" {
		return engine, &Error{
			Text:   fmt.Sprintf("the engine at %s runs %s containers, the stack needs linux ones", engine.Address, ping.OSType),
			Advice: "choose another engine: docker context ls",
		}
	}
	if !atLeast(engine.API, OldestAPI) {
		return engine, &Error{
			Text: fmt.Sprintf("the engine at %s is %s and speaks API %s, the stack needs %s (Engine 20.10) or newer",
				engine.Address, engine.Version, engine.API, OldestAPI),
			Advice: "update the engine, or choose another: docker context ls",
		}
	}
	return engine, nil
}

const pingTimeout = 20 * time.Second // ssh:// takes a few

var errNoAnswer = errors.New("no answer within " + pingTimeout.String())

func (m *Manager) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &Error{
		Text:   fmt.Sprintf("cannot reach the Docker engine at %s: %s", m.Docker.DaemonHost(), lastCause(err)),
		Advice: "start it, or choose another: docker context ls",
		Err:    err,
	}
}

// lastCause is the innermost message: "no such file or directory" rather than a chain of four Go errors.
func lastCause(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

// socketPath guesses the path of the engine's socket on the engine's own host. A client's unix path is right unless
// it leads into a virtual machine: Docker Desktop, Colima, Rancher and Lima forward a socket from the user's home,
// while the engine inside has the usual one.
func socketPath(engine Engine) string {
	const usual = "/var/run/docker.sock"
	path, unix := strings.CutPrefix(engine.Address, "unix://")
	if !unix || strings.Contains(engine.OS, "Docker Desktop") {
		return usual
	}
	for _, forwarded := range []string{"/.docker/", "/.colima/", "/.rd/", "/.lima/", "/.orbstack/"} {
		if strings.Contains(path, forwarded) {
			return usual
		}
	}
	return path
}

// CheckHost refuses what would fail halfway: a foreign project of the same name, a taken port. It returns warnings
// about what will only be tight, as lines for a person.
func (m *Manager) CheckHost(ctx context.Context, engine Engine, project *types.Project, settings Settings) ([]string, error) {
	if err := m.refuseForeign(ctx, project.Name); err != nil {
		return nil, err
	}
	if err := m.checkPorts(ctx, engine, project, settings); err != nil {
		return nil, err
	}
	warnings, err := checkDisk(ctx, engine)
	warnings = append(warnings, memoryWarnings(engine, project)...)
	return append(warnings, bindWarnings(settings)...), err
}

// bindWarnings says what a gateway beyond loopback opens, and to whom.
func bindWarnings(settings Settings) []string {
	address, err := netip.ParseAddr(settings.Bind)
	if err != nil || address.IsLoopback() {
		return nil
	}
	where := settings.Bind
	if address.IsUnspecified() {
		where = "every address of the engine's host"
	}
	return []string{fmt.Sprintf("port %d is open on %s: whoever reaches it sees the start page, and only the log-ins of Grafana, "+
		"OpenObserve and VictoriaMetrics protect the data; back to this machine alone: docker telemetry up --bind 127.0.0.1", settings.Port, where)}
}

// wantedPort is a TCP port that a project publishes on the engine's host.
type wantedPort struct {
	component string
	bind      string
	number    int
	flag      string // of `up`, that moves it; "" where a user's overlay publishes it
}

// wantedPorts lists what a project publishes with a fixed number, the gateway's first.
func wantedPorts(project *types.Project, settings Settings) []wantedPort {
	wanted := []wantedPort{{Gateway, settings.Bind, settings.Port, "--port"}}
	for _, name := range project.ServiceNames() {
		for _, port := range project.Services[name].Ports {
			number, err := strconv.Atoi(port.Published)
			if name == Gateway && number == settings.Port || err != nil || port.Protocol != "tcp" {
				continue // without a number, or with a range, the engine finds a free one
			}
			wanted = append(wanted, wantedPort{name, cmp.Or(port.HostIP, "0.0.0.0"), number, flagOf(settings.Options, port.Published)})
		}
	}
	return wanted
}

// flagOf finds the profile's option that a port comes from.
func flagOf(options map[string]string, value string) string {
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if options[name] == value && strings.HasSuffix(name, "-port") {
			return "--" + name
		}
	}
	return ""
}

func (m *Manager) checkPorts(ctx context.Context, engine Engine, project *types.Project, settings Settings) error {
	for _, wanted := range wantedPorts(project, settings) {
		if err := m.checkPort(ctx, engine, settings.Name, wanted); err != nil {
			return err
		}
	}
	return nil
}

// PublishedPorts lists, for a person, what a project publishes on the engine's host, and refuses each port that another has.
func (m *Manager) PublishedPorts(ctx context.Context, engine Engine, project *types.Project, settings Settings) (ports []string, taken []*Error, err error) {
	for _, wanted := range wantedPorts(project, settings) {
		ports = append(ports, net.JoinHostPort(wanted.bind, strconv.Itoa(wanted.number)))
		var refusal *Error
		switch err := m.checkPort(ctx, engine, settings.Name, wanted); {
		case errors.As(err, &refusal):
			taken = append(taken, refusal)
		case err != nil:
			return nil, nil, err
		}
	}
	return ports, taken, nil
}

// settlesWithin is how long a port of a container of ours may be open before the engine says that the container runs.
const settlesWithin = 10 * time.Second

// checkPort refuses a port that another has. An up that was interrupted leaves its requests to the engine, which opens the
// ports of a container first and says that it runs seconds later where it is busy: until then the port looks like a
// stranger's.
func (m *Manager) checkPort(ctx context.Context, engine Engine, stack string, wanted wantedPort) error {
	began := time.Now()
	for {
		found, err := m.Docker.ContainerList(ctx, client.ContainerListOptions{All: true})
		if err != nil {
			return fmt.Errorf("list the containers: %w", err)
		}
		if holder, held := portHolder(found.Items, wanted); held {
			if holder.Labels[StackLabel] == stack {
				return nil
			}
			return portTaken(ctx, engine, wanted, fmt.Sprintf("container %s (%s)", containerName(holder), holder.Image))
		}
		// Another failure than a port in use is not ours to judge: a low port that this user may not open, or an address of
		// the engine's own network.
		if !engine.Local() || !isAddressInUse(listen(ctx, wanted.bind, wanted.number)) {
			return nil
		}
		if !changing(found.Items, stack, wanted.component) || time.Since(began) >= settlesWithin {
			return portTaken(ctx, engine, wanted, portOwner(ctx, wanted.number))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollEvery):
		}
	}
}

// portHolder is the container that publishes a port now.
func portHolder(containers []container.Summary, wanted wantedPort) (container.Summary, bool) {
	for _, item := range containers {
		for _, port := range item.Ports {
			if port.Type == "tcp" && int(port.PublicPort) == wanted.number && overlaps(port.IP, wanted.bind) {
				return item, true
			}
		}
	}
	return container.Summary{}, false
}

// changing reports whether a container of a component is about to run, or to go.
func changing(containers []container.Summary, stack, component string) bool {
	states := []container.ContainerState{container.StateCreated, container.StateRestarting, container.StateRemoving}
	return slices.ContainsFunc(containers, func(item container.Summary) bool {
		return item.Labels[StackLabel] == stack && item.Labels[ComponentLabel] == component && slices.Contains(states, item.State)
	})
}

func listen(ctx context.Context, bind string, port int) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(bind, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return listener.Close()
}

func portTaken(ctx context.Context, engine Engine, wanted wantedPort, owner string) error {
	if owner == "" {
		owner = "another program (its owner is not visible to this user)"
	}
	advice := "publish another one in your overlay"
	if wanted.flag != "" {
		advice = fmt.Sprintf("choose another: docker telemetry up %s %d", wanted.flag, freePort(ctx, engine, wanted))
	}
	return &Error{Text: fmt.Sprintf("port %d on %s is taken by %s", wanted.number, wanted.bind, owner), Advice: advice}
}

// freePort returns the first port above the wanted one that this machine can open: a hint that fails is none. Those
// of another machine cannot be tried from here.
func freePort(ctx context.Context, engine Engine, wanted wantedPort) int {
	const tries, highest = 100, 65535
	for port := wanted.number + 1; port <= min(wanted.number+tries, highest); port++ {
		if !engine.Local() || !isAddressInUse(listen(ctx, wanted.bind, port)) {
			return port
		}
	}
	return wanted.number - 1
}

// overlaps reports whether two listening addresses cannot be had at once.
func overlaps(taken netip.Addr, bind string) bool {
	wanted, err := netip.ParseAddr(bind)
	if err != nil || !taken.IsValid() {
		return true
	}
	return taken.IsUnspecified() || wanted.IsUnspecified() || taken == wanted
}

// memoryWarnings compares the sum of the memory limits with what the engine has.
func memoryWarnings(engine Engine, project *types.Project) []string {
	sum := Memory(project)
	if engine.Memory == 0 || sum <= engine.Memory {
		return nil
	}
	return []string{fmt.Sprintf("the engine has %s of memory; the stack may use up to %s when all its limits are reached",
		units.BytesSize(float64(engine.Memory)), units.BytesSize(float64(sum)))}
}

// MissingImages returns, by image, the components whose image the engine does not have.
func (m *Manager) MissingImages(ctx context.Context, project *types.Project) (map[string][]string, error) {
	missing := map[string][]string{}
	present := map[string]bool{}
	for _, name := range project.ServiceNames() {
		image := project.Services[name].Image
		if present[image] {
			continue
		}
		_, err := m.Docker.ImageInspect(ctx, image)
		if err == nil {
			present[image] = true
			continue
		}
		if !cerrdefs.IsNotFound(err) {
			return nil, fmt.Errorf("look for image %q: %w", image, err)
		}
		missing[image] = append(missing[image], name)
	}
	return missing, nil
}

// PullMissing pulls what MissingImages found. Where that fails the error names an image, its components and the cause.
func (m *Manager) PullMissing(ctx context.Context, project *types.Project) error {
	missing, err := m.MissingImages(ctx, project)
	if err != nil || len(missing) == 0 {
		return err
	}
	var services []string
	for _, components := range missing {
		services = append(services, components...)
	}
	narrowed, err := project.WithSelectedServices(services, types.IgnoreDependencies)
	if err != nil {
		return fmt.Errorf("select the components to pull: %w", err)
	}
	return m.Pull(ctx, narrowed)
}

// Pull pulls the images of a project.
func (m *Manager) Pull(ctx context.Context, project *types.Project) error {
	err := m.Compose.Pull(ctx, project, api.PullOptions{})
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	missing, listErr := m.MissingImages(ctx, project)
	if listErr != nil || len(missing) == 0 {
		return fmt.Errorf("pull the images: %w", err)
	}
	images := make([]string, 0, len(missing))
	for image := range missing {
		images = append(images, image)
	}
	slices.Sort(images)
	first := images[0]
	return &Error{
		Text: fmt.Sprintf("image %s (%s) is not on the engine and cannot be pulled: %s",
			first, strings.Join(missing[first], ", "), firstLine(lastCause(err))),
		Advice: "see what the registry says: docker pull " + first,
		Err:    err,
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
