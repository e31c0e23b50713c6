//go:build e2e

package e2e

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/stack/bundle"
)

// Nothing of a running stack may be reachable but the gateway on loopback, and its containers must be as confined as
// docs/security.md says.
func TestExposure(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.up("--no-verify")
	t.Run("CIS Docker Benchmark, section 5", func(t *testing.T) { passesCIS(t, e) })
	t.Run("one port listens, on loopback", func(t *testing.T) { listensOnLoopback(t, e) })
	t.Run("the host reaches no container past the gateway", func(t *testing.T) { hostReachesNothing(t, e) })
	t.Run("a container on another network reaches nothing", func(t *testing.T) { siblingReachesNothing(t, e) })
	t.Run("the socket proxy passes its list and nothing else", func(t *testing.T) { walksEngineAPI(t, e) })
	t.Run("only the agent is on the socket proxy's network", func(t *testing.T) { agentAlone(t, e) })
}

// confinement is what the rules look at, of a loaded service or of a running container.
type confinement struct {
	privileged, readOnly, noNewPrivileges, healthcheck    bool
	memory, pids, cpus                                    float64
	capAdd, capDrop, securityOpt                          []string
	pid, ipc, uts, userns, network, cgroupParent, restart string
	devices, ulimits                                      int
	mounts                                                map[string]mountOf // by source
	published                                             []string           // address:port/target
	image                                                 string
	networks                                              []string
}

type mountOf struct {
	readOnly    bool
	propagation string
}

// rule is one of section 5 of the CIS Docker Benchmark, as 1.7 numbers them; broken says how a container breaks it, "" when it does not.
type rule struct {
	id, title string
	broken    func(confinement) string
	// exceptions are the components that break it, with the reason; docs/security.md says the same.
	exceptions map[string]string
}

func broken(is bool, how string) string {
	if is {
		return how
	}
	return ""
}

// never is for rules that no file or container can break; the reason stands beside them.
func never(confinement) string { return "" }

func rules() []rule {
	copies := "an engine refuses to copy configs and secrets into a read-only root file system"
	return []rule{
		{"5.1", "swarm mode is not needed", never, nil}, // plain containers; the engine's own setting
		{"5.2", "AppArmor profile", func(c confinement) string {
			return broken(slices.Contains(c.securityOpt, "apparmor=unconfined") || slices.Contains(c.securityOpt, "apparmor:unconfined"), "unconfined")
		}, nil},
		{"5.3", "SELinux options", func(c confinement) string {
			return broken(slices.Contains(c.securityOpt, "label=disable") || slices.Contains(c.securityOpt, "label:disable"), "disabled")
		}, map[string]string{
			"node-exporter": "the engine turns labels off for a container in the host's process namespace",
		}},
		{"5.4", "capabilities are dropped", func(c confinement) string {
			return broken(!slices.Equal(c.capDrop, []string{"ALL"}) || len(c.capAdd) > 0, fmt.Sprintf("drops %v, adds %v", c.capDrop, c.capAdd))
		}, nil},
		{"5.5", "not privileged", func(c confinement) string { return broken(c.privileged, "privileged") }, nil},
		{"5.6", "no sensitive host folder is mounted", sensitiveMounts, map[string]string{
			"node-exporter": "measures the host: reads /proc, /sys and /, and cannot write them",
		}},
		{"5.7", "no sshd", never, nil}, // the processes are looked at below
		{"5.8", "no privileged port is mapped", func(c confinement) string {
			for _, published := range c.published {
				_, target, _ := strings.Cut(published, "/")
				if port, err := strconv.Atoi(target); err != nil || port < 1024 {
					return published
				}
			}
			return ""
		}, nil},
		{"5.9", "only needed ports are open", func(c confinement) string { return broken(len(c.published) > 0, strings.Join(c.published, " ")) }, map[string]string{
			"gateway": "the one published port",
		}},
		{"5.10", "host's network namespace is not shared", func(c confinement) string { return broken(c.network == "host", "host") }, nil},
		{"5.11", "memory is limited", func(c confinement) string { return broken(c.memory <= 0, "no limit") }, nil},
		{"5.12", "CPU is limited", func(c confinement) string { return broken(c.cpus <= 0, "no limit") }, nil},
		{"5.13", "root file system is read-only", func(c confinement) string { return broken(!c.readOnly, "writable") }, map[string]string{
			"agent": copies, "balancer": copies, "aggregator": copies, "openobserve": copies, "victoriametrics": copies, "grafana": copies, "gateway": copies, "docker-proxy": copies,
		}},
		{"5.14", "published on a specific address", func(c confinement) string {
			for _, published := range c.published {
				address, err := netip.ParseAddrPort(strings.Split(published, "/")[0])
				if err != nil || address.Addr().IsUnspecified() {
					return published
				}
			}
			return ""
		}, nil},
		{"5.15", "restart policy on-failure with 5 tries", func(c confinement) string { return broken(c.restart != "on-failure:5", c.restart) }, everywhere("a pipeline that gave up loses data; " +
			"`up` and `status` report what keeps restarting")},
		{"5.16", "host's process namespace is not shared", func(c confinement) string { return broken(c.pid == "host", "host") }, map[string]string{
			"node-exporter": "counts the host's processes",
		}},
		{"5.17", "host's IPC namespace is not shared", func(c confinement) string { return broken(c.ipc == "host", "host") }, nil},
		{"5.18", "no host device", func(c confinement) string { return broken(c.devices > 0, strconv.Itoa(c.devices)) }, nil},
		{"5.19", "default ulimits are kept unless needed", func(c confinement) string { return broken(c.ulimits > 0, strconv.Itoa(c.ulimits)) }, nil},
		{"5.20", "mount propagation is not shared", func(c confinement) string {
			for source, mount := range c.mounts {
				if strings.Contains(mount.propagation, "shared") {
					return source + " " + mount.propagation
				}
			}
			return ""
		}, nil},
		{"5.21", "host's UTS namespace is not shared", func(c confinement) string { return broken(c.uts == "host", "host") }, nil},
		{"5.22", "default seccomp profile", func(c confinement) string {
			return broken(slices.ContainsFunc(c.securityOpt, func(option string) bool { return strings.HasPrefix(option, "seccomp") }), strings.Join(c.securityOpt, " "))
		}, nil},
		{"5.23", "no docker exec with --privileged", never, nil}, // a habit of people, nothing of the stack
		{"5.24", "no docker exec with --user=root", never, nil},  // likewise
		{"5.25", "cgroup of its own", func(c confinement) string { return broken(c.cgroupParent != "", c.cgroupParent) }, nil},
		{"5.26", "no additional privileges", func(c confinement) string { return broken(!c.noNewPrivileges, "no-new-privileges is missing") }, nil},
		{"5.27", "health is checked", func(c confinement) string { return broken(!c.healthcheck, "no healthcheck") }, nil},
		{"5.28", "image is pinned", func(c confinement) string {
			name := c.image[strings.LastIndex(c.image, "/")+1:]
			return broken(!strings.Contains(name, ":") || strings.HasSuffix(name, ":latest"), c.image)
		}, nil},
		{"5.29", "PIDs are limited", func(c confinement) string { return broken(c.pids <= 0, "no limit") }, nil},
		{"5.30", "default bridge is not used", func(c confinement) string {
			return broken(len(c.networks) == 0 || slices.Contains(c.networks, "bridge") || slices.Contains(c.networks, "default"), strings.Join(c.networks, " "))
		}, nil},
		{"5.31", "host's user namespace is not shared", func(c confinement) string { return broken(c.userns == "host", "host") }, nil},
		{"5.32", "Docker socket is not mounted", func(c confinement) string {
			for source := range c.mounts {
				if strings.HasSuffix(source, "docker.sock") {
					return source
				}
			}
			return ""
		}, map[string]string{
			"docker-proxy": "the one container that may: lets GET on a short list pass, on a network with the agent alone",
		}},
	}
}

// everywhere is one exception for all components.
func everywhere(reason string) map[string]string {
	exceptions := map[string]string{}
	for _, component := range []string{
		"agent", "balancer", "aggregator", "openobserve", "victoriametrics", "grafana", "gateway", "docker-proxy", "node-exporter",
	} {
		exceptions[component] = reason
	}
	return exceptions
}

// sensitiveMounts is about the folders that the benchmark names. The Docker socket has a rule of its own.
func sensitiveMounts(c confinement) string {
	for source, mount := range c.mounts {
		for _, folder := range []string{"/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr"} {
			if source == "/" || source == folder || strings.HasPrefix(source, folder+"/") {
				return fmt.Sprintf("%s (read-only: %t)", source, mount.readOnly)
			}
		}
	}
	return ""
}

func passesCIS(t *testing.T, e *env) {
	loaded, running := loadedServices(t, e), runningContainers(t, e)
	assert.DeepEqual(t, slices.Sorted(maps.Keys(loaded)), slices.Sorted(maps.Keys(running)))
	document, err := os.ReadFile("../docs/security.md")
	assert.NilError(t, err)
	for _, rule := range rules() {
		for _, component := range slices.Sorted(maps.Keys(loaded)) {
			reason, excepted := rule.exceptions[component]
			asLoaded, asRunning := rule.broken(loaded[component]), rule.broken(running[component])
			keeps := asLoaded == "" && asRunning == ""
			if keeps && excepted {
				t.Errorf("%s %s: %s keeps it, so it needs no exception (%s)", rule.id, rule.title, component, reason)
			}
			if !keeps && !excepted {
				t.Errorf("%s %s: %s breaks it; loaded project: %q, running container: %q", rule.id, rule.title, component, asLoaded, asRunning)
			}
		}
		if len(rule.exceptions) > 0 {
			assert.Assert(t, strings.Contains(string(document), "| "+rule.id+" "), "docs/security.md does not list the exceptions from %s", rule.id)
		}
	}
	for name, id := range e.ids(e.name) {
		processes := e.docker("top", id)
		assert.Assert(t, !strings.Contains(processes, "sshd"), "5.7: %s runs\n%s", name, processes)
	}
}

// loadedServices loads the bundle as `up` does.
func loadedServices(t *testing.T, e *env) map[string]confinement {
	t.Helper()
	compose, err := fs.ReadFile(bundle.FS(), "compose.yaml")
	assert.NilError(t, err)
	secrets := map[string]string{}
	for _, found := range regexp.MustCompile(`(?m)^  ([a-z_]+): \{environment: `).FindAllStringSubmatch(string(compose), -1) {
		secrets[found[1]] = "placeholder"
	}
	project, err := stack.Load(t.Context(), bundle.FS(), stack.Settings{
		Name: e.name, Bind: "127.0.0.1", Port: e.port, DockerSocket: "/var/run/docker.sock", Host: "host", Secrets: secrets, EngineAPI: "1.41",
	})
	assert.NilError(t, err)
	services := map[string]confinement{}
	for name, service := range project.Services {
		c := confinement{
			privileged: service.Privileged, readOnly: service.ReadOnly, healthcheck: service.HealthCheck != nil && !service.HealthCheck.Disable,
			noNewPrivileges: slices.Contains(service.SecurityOpt, "no-new-privileges:true"),
			capAdd:          service.CapAdd, capDrop: service.CapDrop, securityOpt: service.SecurityOpt,
			pid: service.Pid, ipc: service.Ipc, uts: service.Uts, userns: service.UserNSMode, network: service.NetworkMode, cgroupParent: service.CgroupParent,
			restart: service.Restart, devices: len(service.Devices), ulimits: len(service.Ulimits), image: service.Image,
			mounts: map[string]mountOf{}, networks: slices.Collect(maps.Keys(service.Networks)),
		}
		if service.Deploy != nil && service.Deploy.Resources.Limits != nil {
			limits := service.Deploy.Resources.Limits
			c.memory, c.cpus, c.pids = float64(limits.MemoryBytes), float64(limits.NanoCPUs), float64(limits.Pids)
		}
		for _, volume := range service.Volumes {
			if volume.Type != "bind" {
				continue
			}
			mount := mountOf{readOnly: volume.ReadOnly}
			if volume.Bind != nil {
				mount.propagation = volume.Bind.Propagation
			}
			c.mounts[volume.Source] = mount
		}
		for _, port := range service.Ports {
			c.published = append(c.published, fmt.Sprintf("%s/%d", net.JoinHostPort(port.HostIP, port.Published), port.Target))
		}
		services[name] = c
	}
	return services
}

// inspected is the part of `docker inspect` that the rules look at.
type inspected struct {
	Name       string
	HostConfig struct {
		Privileged, ReadonlyRootfs                                       bool
		CapAdd, CapDrop, SecurityOpt                                     []string
		PidMode, IpcMode, UTSMode, UsernsMode, NetworkMode, CgroupParent string
		Memory, NanoCpus, PidsLimit                                      float64
		Devices, Ulimits                                                 []any
		RestartPolicy                                                    struct {
			Name              string
			MaximumRetryCount int
		}
		PortBindings map[string][]struct{ HostIP, HostPort string }
	}
	Mounts []struct {
		Type, Source, Propagation string
		RW                        bool
	}
	Config struct {
		Image       string
		Labels      map[string]string
		Healthcheck *struct{ Test []string }
	}
	NetworkSettings struct {
		Networks map[string]struct{ IPAddress string }
	}
}

// inspectAll is `docker inspect` of every container of the stack.
func (e *env) inspectAll() []inspected {
	e.t.Helper()
	ids := slices.Collect(maps.Values(e.ids(e.name)))
	var found []inspected
	assert.NilError(e.t, json.Unmarshal([]byte(e.docker(append([]string{"inspect"}, ids...)...)), &found))
	return found
}

func runningContainers(t *testing.T, e *env) map[string]confinement {
	t.Helper()
	containers := map[string]confinement{}
	for _, found := range e.inspectAll() {
		host := found.HostConfig
		c := confinement{
			privileged: host.Privileged, readOnly: host.ReadonlyRootfs, healthcheck: found.Config.Healthcheck != nil,
			noNewPrivileges: slices.Contains(host.SecurityOpt, "no-new-privileges:true"),
			capAdd:          host.CapAdd, capDrop: host.CapDrop, securityOpt: host.SecurityOpt,
			pid: host.PidMode, ipc: host.IpcMode, uts: host.UTSMode, userns: host.UsernsMode, network: host.NetworkMode, cgroupParent: host.CgroupParent,
			restart: host.RestartPolicy.Name, devices: len(host.Devices), ulimits: len(host.Ulimits), image: found.Config.Image,
			memory: host.Memory, cpus: host.NanoCpus, pids: host.PidsLimit,
			mounts: map[string]mountOf{}, networks: slices.Collect(maps.Keys(found.NetworkSettings.Networks)),
		}
		if host.RestartPolicy.MaximumRetryCount > 0 {
			c.restart += ":" + strconv.Itoa(host.RestartPolicy.MaximumRetryCount)
		}
		for _, mount := range found.Mounts {
			if mount.Type == "bind" {
				c.mounts[mount.Source] = mountOf{readOnly: !mount.RW, propagation: mount.Propagation}
			}
		}
		for target, bindings := range host.PortBindings {
			for _, binding := range bindings {
				c.published = append(c.published, net.JoinHostPort(binding.HostIP, binding.HostPort)+"/"+strings.TrimSuffix(target, "/tcp"))
			}
		}
		// Replicas are alike; the last one stands for all, and each is the same service of the loaded project.
		containers[found.Config.Labels[stack.ComponentLabel]] = c
	}
	return containers
}

// listensOnLoopback reads the kernel's list of listening sockets: of this machine, so the engine must be on it.
func listensOnLoopback(t *testing.T, e *env) {
	var listening []string
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		raw, err := os.ReadFile(file)
		assert.NilError(t, err)
		for line := range strings.Lines(string(raw)) {
			fields := strings.Fields(line)
			const stateListen = "0A"
			if len(fields) < 4 || fields[3] != stateListen {
				continue
			}
			address, port, _ := strings.Cut(fields[1], ":")
			if number, err := strconv.ParseUint(port, 16, 16); err == nil && int(number) == e.port {
				listening = append(listening, address)
			}
		}
	}
	loopback := hex.EncodeToString([]byte{1, 0, 0, 127}) // little-endian, as the kernel prints it
	assert.DeepEqual(t, listening, []string{strings.ToUpper(loopback)})
	var published []string
	for _, found := range e.inspectAll() {
		for target, bindings := range found.HostConfig.PortBindings {
			published = append(published, fmt.Sprint(found.Name, " ", target, " ", bindings))
		}
	}
	assert.DeepEqual(t, published, []string{fmt.Sprintf("/%s-gateway-1 8082/tcp [{127.0.0.1 %d}]", e.name, e.port)})
}

// internalPorts are where the components listen inside; each is tried at each address.
func internalPorts() []int {
	return []int{80, 443, 2375, 3000, 4317, 4318, 5080, 5081, 6000, 6001, 8080, 8081, 8082, 8428, 8686, 9090, 9100, 13133}
}

// answersAs names the component that answers HTTP at an address, "" for none. Something else may stand behind an
// address that leads out of this machine, so an open port alone says nothing.
func answersAs(out string) string {
	for component, sign := range map[string]string{
		"docker-proxy": "on the allow-list of docker-proxy", "an nginx": "Server: nginx", "VictoriaMetrics": "X-Server-Hostname", "Grafana": "grafana",
		"OpenObserve": "openobserve", "node-exporter": "node_exporter", "Vector": "vector", "gRPC": "\x00\x00\x00\x04\x00\x00",
	} {
		if strings.Contains(out, sign) {
			return component
		}
	}
	return ""
}

func probeRequest() string {
	return "GET /absent HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
}

func hostReachesNothing(t *testing.T, e *env) {
	var tried []string
	try := func(address string, allowed ...string) {
		tried = append(tried, address)
		if component := answersAs(askHTTP(address)); component != "" && !slices.Contains(allowed, component) {
			t.Errorf("%s answers at %s", component, address)
		}
	}
	for _, found := range e.inspectAll() {
		for network, endpoint := range found.NetworkSettings.Networks {
			for _, port := range internalPorts() {
				// The engine publishes through this network, so the host has an address on it. The gateway asks for TLS on 8082
				// and shows its counters on 8081.
				if network == e.name+"_edge" && (port == 8081 || port == 8082) {
					try(net.JoinHostPort(endpoint.IPAddress, strconv.Itoa(port)), "an nginx")
					continue
				}
				try(net.JoinHostPort(endpoint.IPAddress, strconv.Itoa(port)))
			}
		}
	}
	for _, address := range otherAddresses(t) {
		try(net.JoinHostPort(address.String(), strconv.Itoa(e.port)))
	}
	assert.Assert(t, answersAs(askHTTP(e.address())) == "an nginx", "the probe finds nothing at all")
	t.Logf("tried from the host: %s", strings.Join(tried, " "))
}

func askHTTP(address string) string {
	const patience = time.Second
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return ""
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, probeRequest()); err != nil {
		return ""
	}
	out, _ := io.ReadAll(bufio.NewReader(conn))
	return string(out)
}

// otherAddresses are this machine's own ones, loopback apart.
func otherAddresses(t *testing.T) []netip.Addr {
	t.Helper()
	interfaces, err := net.InterfaceAddrs()
	assert.NilError(t, err)
	var addresses []netip.Addr
	for _, found := range interfaces {
		prefix, err := netip.ParsePrefix(found.String())
		assert.NilError(t, err)
		if !prefix.Addr().IsLoopback() && !prefix.Addr().IsLinkLocalUnicast() {
			addresses = append(addresses, prefix.Addr())
		}
	}
	assert.Assert(t, len(addresses) > 0, "this machine has no other address to try")
	return addresses
}

func siblingReachesNothing(t *testing.T, e *env) {
	network := e.name + "-sibling"
	e.docker("network", "create", network)
	t.Cleanup(func() { e.docker("network", "rm", network) })
	var targets []string
	for _, found := range e.inspectAll() {
		for _, endpoint := range found.NetworkSettings.Networks {
			for _, port := range internalPorts() {
				targets = append(targets, fmt.Sprint(endpoint.IPAddress, " ", port))
			}
		}
	}
	for _, name := range []string{"docker-proxy", "victoriametrics", "gateway", e.name + "-victoriametrics-1", "host.docker.internal"} {
		targets = append(targets, fmt.Sprint(name, " ", 2375), fmt.Sprint(name, " ", 8428), fmt.Sprint(name, " ", e.port))
	}
	for _, address := range otherAddresses(t) {
		if address.Is4() {
			targets = append(targets, fmt.Sprint(address, " ", e.port))
		}
	}
	// A server of our own shows that the container can reach what is meant to be reachable.
	listener := e.docker("run", "-d", "--rm", "--network", network, "--network-alias", "control", busybox,
		"sh", "-c", "mkdir -p /tmp/w && echo 'Server: nginx' >/tmp/w/absent && exec httpd -f -p 8428 -h /tmp/w")
	t.Cleanup(func() { e.docker("rm", "-f", listener) })
	targets = append(targets, "control 8428")
	// 40 at a time: what drops packets answers after its timeout only.
	script := `n=0; while read -r host port; do
		( out=$(printf "$REQUEST" | timeout 3 nc -w 2 "$host" "$port" 2>/dev/null | tr -d '\000' | head -c 2000 | tr '\r\n' '  '); echo "$host $port|$out" ) &
		n=$((n + 1)); [ $((n % 40)) -ne 0 ] || wait
	done; wait`
	request := strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(probeRequest())
	cmd := e.command(t.Context(), "docker", "run", "--rm", "-i", "--network", network, "-e", "REQUEST="+request, busybox, "sh", "-c", script)
	cmd.Stdin = strings.NewReader(strings.Join(targets, "\n") + "\n")
	out, err := cmd.Output()
	assert.NilError(t, err)
	var reached []string
	lines := 0
	for line := range strings.Lines(string(out)) {
		lines++
		target, answer, _ := strings.Cut(line, "|")
		if component := answersAs(answer); component != "" {
			reached = append(reached, target+" "+component)
		}
	}
	assert.Equal(t, lines, len(targets))
	assert.DeepEqual(t, reached, []string{"control 8428 an nginx"})
	t.Logf("tried from a container on another network: %s", strings.Join(targets, ", "))
}

func agentAlone(t *testing.T, e *env) {
	var joined []string
	for name, service := range loadedServices(t, e) {
		if slices.Contains(service.networks, "docker-api") {
			joined = append(joined, name)
		}
	}
	slices.Sort(joined)
	assert.DeepEqual(t, joined, []string{"agent", "docker-proxy"})
	var running []string
	for _, found := range e.inspectAll() {
		if _, on := found.NetworkSettings.Networks[e.name+"_docker-api"]; on {
			running = append(running, found.Config.Labels[stack.ComponentLabel])
		}
	}
	slices.Sort(running)
	assert.DeepEqual(t, running, joined)
	assert.Equal(t, e.docker("network", "inspect", "--format", "{{.Internal}}", e.name+"_docker-api"), "true")
}

// engineAPI is every operation of the Engine API, 1.41 to 1.52; ID and NAME stand for what exists or not.
func engineAPI() []string {
	return []string{
		"GET /_ping", "HEAD /_ping", "GET /version", "GET /info", "POST /auth", "GET /events", "GET /system/df", "POST /session", "POST /grpc",
		"GET /containers/json", "POST /containers/create", "GET /containers/ID/json", "GET /containers/ID/top", "GET /containers/ID/logs", "GET /containers/ID/changes",
		"GET /containers/ID/export", "GET /containers/ID/stats", "POST /containers/ID/resize", "POST /containers/ID/start", "POST /containers/ID/stop", "POST /containers/ID/restart",
		"POST /containers/ID/kill", "POST /containers/ID/update", "POST /containers/ID/rename", "POST /containers/ID/pause", "POST /containers/ID/unpause", "POST /containers/ID/attach",
		"GET /containers/ID/attach/ws", "POST /containers/ID/wait", "DELETE /containers/ID", "HEAD /containers/ID/archive", "GET /containers/ID/archive?path=/", "PUT /containers/ID/archive?path=/",
		"POST /containers/ID/copy", "POST /containers/prune", "POST /containers/ID/exec", "POST /exec/ID/start", "POST /exec/ID/resize", "GET /exec/ID/json",
		"GET /containers/ID/checkpoints", "POST /containers/ID/checkpoints", "DELETE /containers/ID/checkpoints/NAME",
		"GET /images/json", "POST /build", "POST /build/prune", "POST /build/cancel", "POST /images/create", "GET /images/NAME/json", "GET /images/NAME/history", "POST /images/NAME/push",
		"POST /images/NAME/tag", "DELETE /images/NAME", "GET /images/search?term=x", "POST /images/prune", "POST /commit", "GET /images/NAME/get", "GET /images/get", "POST /images/load",
		"GET /images/NAME/attestations", "GET /distribution/NAME/json",
		"GET /networks", "GET /networks/ID", "DELETE /networks/ID", "POST /networks/create", "POST /networks/ID/connect", "POST /networks/ID/disconnect", "POST /networks/prune",
		"GET /volumes", "POST /volumes/create", "GET /volumes/NAME", "PUT /volumes/NAME", "DELETE /volumes/NAME", "POST /volumes/prune",
		"GET /swarm", "POST /swarm/init", "POST /swarm/join", "POST /swarm/leave", "POST /swarm/update", "GET /swarm/unlockkey", "POST /swarm/unlock",
		"GET /nodes", "GET /nodes/ID", "DELETE /nodes/ID", "POST /nodes/ID/update", "GET /services", "POST /services/create", "GET /services/ID", "DELETE /services/ID", "POST /services/ID/update",
		"GET /services/ID/logs", "GET /tasks", "GET /tasks/ID", "GET /tasks/ID/logs", "GET /secrets", "POST /secrets/create", "GET /secrets/ID", "DELETE /secrets/ID", "POST /secrets/ID/update",
		"GET /configs", "POST /configs/create", "GET /configs/ID", "DELETE /configs/ID", "POST /configs/ID/update",
		"GET /plugins", "GET /plugins/privileges?remote=x", "POST /plugins/pull", "GET /plugins/NAME/json", "DELETE /plugins/NAME", "POST /plugins/NAME/enable", "POST /plugins/NAME/disable",
		"POST /plugins/NAME/upgrade", "POST /plugins/create", "POST /plugins/NAME/push", "POST /plugins/NAME/set",
		"GET /debug/vars", "GET /debug/pprof/", "GET /debug/pprof/heap", "GET /debug/pprof/profile", "GET /metrics",
	}
}

// allowedAPI is what passes, with the parameters that make a stream end.
func allowedAPI() map[string]string {
	return map[string]string{
		"GET /_ping": "", "HEAD /_ping": "", "GET /version": "", "GET /containers/json": "?all=1", "GET /containers/ID/json": "",
		"GET /events": "?since=1&until=2", "GET /containers/ID/logs": "?stdout=1&tail=1", "GET /containers/ID/stats": "?stream=false&one-shot=true",
	}
}

func walksEngineAPI(t *testing.T, e *env) {
	id := e.ids(e.name)[e.name+"-gateway-1"]
	fill := func(operation string) rawRequest {
		method, path, _ := strings.Cut(operation, " ")
		return rawRequest{method, strings.NewReplacer("ID", id, "NAME", "busybox").Replace(path), nil}
	}
	var refused, allowed []rawRequest
	for _, operation := range engineAPI() {
		query, passes := allowedAPI()[operation]
		request := fill(operation)
		for _, version := range []string{"", "/v1.24", "/v1.41", "/v1.52", "/v1.99"} {
			versioned := rawRequest{request.method, version + request.target, nil}
			if passes {
				versioned.target += query
				allowed = append(allowed, versioned)
				continue
			}
			refused = append(refused, versioned)
		}
		if passes {
			for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions, "PROPFIND"} {
				refused = append(refused, rawRequest{method, request.target, nil})
			}
		}
	}
	for _, target := range []string{
		"/", "/v1.41", "/v1.41/", "/v2/version", "/v1.4444/version", "/version/", "/_ping/../info", "/containers/json/../../info", "/containers/ID/json/../archive?path=/", "/containers/ID/logs/../export",
		"/containers/../images/json", "/containers/..%2fimages/json", "/containers/%2e%2e/json",
		"/containers/ID%2farchive", "/containers/ID%2Fexport", "/containers/ID/%61rchive?path=/", "/containers/ID//export",
		"/containers/-/json", "/CONTAINERS/json/x", "/images/json#/containers/json", "/containers/ID/json%00", "/containers/ID/attach?logs=1&stream=1", "/events/x", "//info", "/%69nfo",
	} {
		refused = append(refused, fill("GET "+target))
	}
	answers := e.inside(t, "docker-api", "docker-proxy:2375", refused)
	for i, request := range refused {
		status := answers[i].StatusCode
		assert.Assert(t, slices.Contains([]int{http.StatusForbidden, http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed}, status), "%s %s: %d", request.method, request.target, status)
		assert.Assert(t, answers[i].Header.Get("Api-Version") == "" && answers[i].Header.Get("Ostype") == "", "%s %s reached the engine: %d", request.method, request.target, status)
	}
	answers = e.inside(t, "docker-api", "docker-proxy:2375", allowed)
	for i, request := range allowed {
		assert.Equal(t, answers[i].StatusCode, http.StatusOK, "%s %s: %s", request.method, request.target, answers[i].body)
		assert.Assert(t, answers[i].Header.Get("Api-Version") != "", "%s %s did not reach the engine", request.method, request.target)
	}
	t.Logf("%d requests refused, %d passed", len(refused), len(allowed))
}

// artifact is a file of this scenario's folder for what it saw.
func (e *env) artifact(name string) string {
	e.t.Helper()
	dir := filepath.Join(orElse(os.Getenv("DT_ARTIFACTS"), os.TempDir()), strings.ReplaceAll(e.t.Name(), "/", "-"))
	assert.NilError(e.t, os.MkdirAll(dir, 0o755))
	return filepath.Join(dir, name)
}
