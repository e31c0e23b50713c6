//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// otelEnv is a scenario with the OTLP ports moved to free ones.
type otelEnv struct {
	*env
	grpc, http int
}

func newOtelEnv(t *testing.T) *otelEnv {
	t.Helper()
	return &otelEnv{env: newEnv(t), grpc: freePort(t), http: freePort(t)}
}

func (e *otelEnv) upOtel(args ...string) {
	e.t.Helper()
	e.up(append([]string{"--profile", "with-otel", "--otlp-grpc-port", strconv.Itoa(e.grpc), "--otlp-http-port", strconv.Itoa(e.http)}, args...)...)
}

// secured is how an application sends with --otlp tls.
func (e *otelEnv) secured(protocol string) otlpTarget {
	e.t.Helper()
	target := e.plain(protocol)
	target.tls = &tls.Config{RootCAs: e.trustingPool()}
	target.headers = map[string]string{"authorization": "Bearer " + e.credentials()["otlp"][1]}
	return target
}

func (e *otelEnv) plain(protocol string) otlpTarget {
	port := e.http
	if protocol == "grpc" {
		port = e.grpc
	}
	return otlpTarget{protocol: protocol, address: localPort(port)}
}

// What an application sends must end in the right store, whatever it speaks, and nobody else may send.
func TestOTLP(t *testing.T) {
	t.Parallel()
	e := newOtelEnv(t)
	e.upOtel()
	for _, protocol := range []string{"grpc", "http"} {
		t.Run(protocol+" with TLS and token", func(t *testing.T) { otlpArrives(t, e, e.secured(protocol)) })
		t.Run(protocol+" without either", func(t *testing.T) { otlpRefused(t, e, protocol) })
	}
	t.Run("the variables of credentials env are enough", func(t *testing.T) { otlpByVariables(t, e) })
	t.Run("containers have CPU and memory under their names", func(t *testing.T) { containersAreMeasured(t, e) })
	t.Run("the host's figures are the host's", func(t *testing.T) {
		// A bridge of Docker is no device that a container has.
		eventually(t, time.Minute, func() error {
			return e.hasSeries(`system_network_io_bytes_total{job="host",device=~"br-.*|docker0"}`)
		})
		assert.Assert(t, e.hasSeries(`system_network_io_bytes_total{job="host",device=~"veth.*"}`) != nil, "one series for each container")
	})
	t.Run("no panel is empty", func(t *testing.T) {
		dashboardsHaveData(t, e.env, "../profiles/otel/config/grafana/dashboards/*.json", 2)
	})
	t.Run("the card names its ports", func(t *testing.T) {
		card := e.ok(e.telemetry("status")).stdout
		for name, port := range map[string]int{"OTLP gRPC": e.grpc, "OTLP HTTP": e.http} {
			assert.Assert(t, regexp.MustCompile(fmt.Sprintf(`(?m)^  %s +127\.0\.0\.1:%d$`, name, port)).MatchString(card), card)
		}
	})
	t.Run("the gateway knows the collector's health", func(t *testing.T) { collectorIsShown(t, e) })
	t.Run("a renewed certificate is served", func(t *testing.T) { collectorServesRenewed(t, e) })
	t.Run("plain", func(t *testing.T) {
		e.upOtel("--otlp", "plain")
		for _, protocol := range []string{"grpc", "http"} {
			otlpArrives(t, e, e.plain(protocol))
		}
	})
	t.Run("metrics through the aggregators", func(t *testing.T) {
		e.upOtel("--otlp-metrics", "aggregators")
		otlpArrives(t, e, e.plain("grpc"))
		containersAreMeasured(t, e)
	})
	t.Run("switched off", func(t *testing.T) { otelSwitchesOff(t, e) })
}

func otlpArrives(t *testing.T, e *otelEnv, target otlpTarget) {
	t.Helper()
	sender := newSender(t, target)
	for _, signal := range signals() {
		id := rand.Text()
		// A recreated collector may not listen yet.
		eventually(t, time.Minute, func() error { return sender.send(t.Context(), signal, id) })
		eventually(t, time.Minute, func() error { return e.otlpFound(signal, id) })
	}
}

func otlpRefused(t *testing.T, e *otelEnv, protocol string) {
	right := e.secured(protocol)
	assert.NilError(t, newSender(t, right).send(t.Context(), "logs", rand.Text()))

	without := right
	without.headers = nil
	wrong := right
	wrong.headers = map[string]string{"authorization": "Bearer " + strings.Repeat("x", 44)}
	user := right
	user.headers = map[string]string{"authorization": "Basic " + right.headers["authorization"][len("Bearer "):]}
	for name, target := range map[string]otlpTarget{"no token": without, "wrong token": wrong, "another scheme": user, "no TLS": e.plain(protocol)} {
		sender := newSender(t, target)
		for _, signal := range signals() {
			id := rand.Text()
			assert.Assert(t, sender.send(t.Context(), signal, id) != nil, "%s by %s with %s was accepted", signal, protocol, name)
			assert.Assert(t, e.otlpFound(signal, id) != nil, "%s by %s with %s arrived", signal, protocol, name)
		}
	}
}

// otlpByVariables gives the SDK nothing but the environment: that of a process of its own, since this one has other scenarios
// in it.
func otlpByVariables(t *testing.T, e *otelEnv) {
	variables := map[string]string{}
	for line := range strings.Lines(e.ok(e.telemetry("credentials", "env")).stdout) {
		name, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if strings.HasPrefix(name, "OTEL_") {
			variables[name] = strings.Trim(value, "'")
		}
	}
	assert.DeepEqual(t, slices.Sorted(maps.Keys(variables)), []string{
		"OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_PROTOCOL",
	})
	assert.Equal(t, variables["OTEL_EXPORTER_OTLP_PROTOCOL"], "http/protobuf")
	id := rand.Text()
	sender := exec.CommandContext(t.Context(), os.Args[0])
	sender.Env = append(os.Environ(), sendByVariables+"="+id)
	for name, value := range variables {
		sender.Env = append(sender.Env, name+"="+value)
	}
	out, err := sender.CombinedOutput()
	assert.NilError(t, err, "%s", out)
	for _, signal := range signals() {
		eventually(t, time.Minute, func() error { return e.otlpFound(signal, id) })
	}
}

func containersAreMeasured(t *testing.T, e *otelEnv) {
	name := "e2e-measured-" + strings.ToLower(rand.Text())
	id := e.docker("run", "-d", "--name", name, busybox, "sleep", "600")
	t.Cleanup(func() { e.docker("rm", "-f", id) })
	for _, container := range []string{name, e.name + "-collector-1", e.name + "-openobserve-1"} {
		for _, metric := range []string{"container_cpu_usage_nanoseconds_total", "container_memory_usage_total_bytes", "container_memory_percent_ratio"} {
			eventually(t, time.Minute, func() error {
				return e.hasSeries(fmt.Sprintf(`%s{job="docker",container_name=%q} >= 0`, metric, container))
			})
		}
	}
	found, err := e.metrics(fmt.Sprintf(`container_memory_usage_total_bytes{container_name=%q}`, e.name+"-collector-1"))
	assert.NilError(t, err)
	assert.Equal(t, found[0]["service"], "collector")
	assert.Equal(t, found[0]["project"], e.name)
	assert.Equal(t, found[0]["container_id"], "")
}

func collectorIsShown(t *testing.T, e *otelEnv) {
	page, err := e.call("", "GET", "/", "")
	assert.NilError(t, err)
	_, after, found := strings.Cut(page, "Collector</h2>")
	assert.Assert(t, found, page)
	line, _, _ := strings.Cut(after, "</li>")
	assert.Assert(t, strings.Contains(line, "healthy"), line)
}

// collectorServesRenewed: Compose gives a container its secrets once, so a renewal has to reach the running collector.
func collectorServesRenewed(t *testing.T, e *otelEnv) {
	before := e.serial(e.http)
	assert.Equal(t, e.serial(e.grpc), before)
	ids := e.ids(e.name)
	e.ok(e.telemetry("certs", "renew", "--force"))
	for _, port := range []int{e.http, e.grpc} {
		eventually(t, time.Minute, func() error {
			if after := e.serial(port); after == before || after != e.serial(e.port) {
				return fmt.Errorf("port %d serves %s, before %s, the gateway %s", port, after, before, e.serial(e.port))
			}
			return nil
		})
	}
	assert.DeepEqual(t, e.ids(e.name), ids)
	otlpArrives(t, e, e.secured("grpc"))
}

// serial is the number of the certificate that a port serves, checked against the authority.
func (e *env) serial(port int) string {
	e.t.Helper()
	conn, err := tls.Dial("tcp", localPort(port), &tls.Config{RootCAs: e.trustingPool(), NextProtos: []string{"h2"}})
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func otelSwitchesOff(t *testing.T, e *otelEnv) {
	said := e.ok(e.telemetry("up", "--profile", "none"))
	for name := range e.ids(e.name) {
		assert.Assert(t, !strings.Contains(name, "-collector-"), name)
	}
	volume := e.name + "_collector-queue"
	assert.Equal(t, e.docker("volume", "ls", "-q", "--filter", "name=^"+volume+"$"), volume)
	assert.Assert(t, strings.Contains(said.stderr, volume), "which volume stays must be said:\n%s", said)
	for _, port := range []int{e.grpc, e.http} {
		conn, err := net.DialTimeout("tcp", localPort(port), time.Second)
		if err == nil {
			conn.Close()
		}
		assert.Assert(t, err != nil, "port %d is still open", port)
	}
	assert.Assert(t, !strings.Contains(e.ok(e.telemetry("credentials", "env")).stdout, "OTEL_"))
}

// An OTLP port that another program has is named before anything starts.
func TestOTLPPortTaken(t *testing.T) {
	t.Parallel()
	e := newOtelEnv(t)
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", e.grpc))
	assert.NilError(t, err)
	defer listener.Close()
	refused := e.fails(e.telemetry("up", "--port", strconv.Itoa(e.port), "--profile", "otel",
		"--otlp-grpc-port", strconv.Itoa(e.grpc), "--otlp-http-port", strconv.Itoa(e.http)), 1)
	assert.Assert(t, strings.Contains(refused.stderr, fmt.Sprintf("port %d on 127.0.0.1 is taken by process %d", e.grpc, os.Getpid())), refused)
	assert.Assert(t, strings.Contains(refused.stderr, "--otlp-grpc-port"), refused)
	assert.Equal(t, len(e.ids(e.name)), 0)
}

// What the collector acknowledged must arrive, although it is killed and its stores are away meanwhile.
func TestOTLPLosesNothing(t *testing.T) {
	t.Parallel()
	e := newOtelEnv(t)
	e.upOtel("--otlp", "plain")
	collector := e.name + "-collector-1"

	e.ok(e.telemetry("stop", "openobserve", "victoriametrics"))
	load := startLoad(t, e.plain("grpc"))
	for kill := range 2 {
		load.waitFor(t, (kill+1)*150)
		e.docker("kill", "--signal", "KILL", collector)
		e.docker("start", collector)
	}
	load.waitFor(t, 450)
	load.stop()
	e.ok(e.telemetry("start"))
	allArrive(t, e, load)
}

// While a store's password changes it refuses what has the other one, and that must not end in the bin.
func TestOTLPSurvivesNewPasswords(t *testing.T) {
	t.Parallel()
	e := newOtelEnv(t)
	e.upOtel("--otlp", "plain")
	load := startLoad(t, e.plain("http"))
	load.waitFor(t, 50)
	e.ok(e.telemetry("credentials", "rotate", "openobserve", "victoriametrics"))
	e.client = nil // it has the log-ins of before
	load.stop()
	allArrive(t, e, load)
}

// allArrive requires that every acknowledged item of a load gets into its store.
func allArrive(t *testing.T, e *otelEnv, load *otlpLoad) {
	t.Helper()
	for signal, acked := range load.stop() {
		t.Logf("%s: %d acknowledged, %d refused", signal, len(acked), load.refused[signal].Load())
		eventually(t, 2*time.Minute, func() error {
			found, err := e.otlpIDs(signal, "probe_id LIKE '"+load.run+"-%'", fmt.Sprintf("probe_id=~%q", load.run+"-.*"))
			if err != nil {
				return err
			}
			missing := slices.DeleteFunc(slices.Clone(acked), func(a ack) bool { return found[a.id] })
			if len(missing) > 0 {
				return fmt.Errorf("%s: %d of %d acknowledged items are missing, for example %s; pauses: %v; the collector says: %s",
					signal, len(missing), len(acked), missing[0], pauses(acked), e.collectorDrops())
			}
			return nil
		})
	}
}

// collectorDrops is what the collector's log says of data that it gave up, since its container was made.
func (e *otelEnv) collectorDrops() string {
	logs := e.run("docker", "logs", "--timestamps", e.name+"-collector-1")
	var said []string
	for line := range strings.Lines(logs.stdout + logs.stderr) {
		if regexp.MustCompile(`(?i)drop|partial|not retryable|left for dispatch|failed (retrieving|unmarshalling)`).MatchString(line) {
			said = append(said, strings.TrimSpace(line))
		}
	}
	return strings.Join(said, "\n")
}

// otlpLoad sends items of every signal, one after the other, and keeps the ids of those that were acknowledged.
type otlpLoad struct {
	run     string
	cancel  context.CancelFunc
	done    sync.WaitGroup
	mu      sync.Mutex
	acked   map[string][]ack
	refused map[string]*atomic.Int64
}

// ack is an acknowledged item, and when it was.
type ack struct {
	id string
	at time.Time
}

func (a ack) String() string { return a.id + " at " + a.at.UTC().Format(time.RFC3339Nano) }

// pauses are the times in which nothing was acknowledged.
func pauses(acked []ack) []string {
	var out []string
	for i := 1; i < len(acked); i++ {
		if acked[i].at.Sub(acked[i-1].at) > time.Second {
			out = append(out, fmt.Sprintf("from %s to %s", acked[i-1], acked[i]))
		}
	}
	return out
}

func startLoad(t *testing.T, target otlpTarget) *otlpLoad {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &otlpLoad{run: strings.ToLower(rand.Text()), cancel: cancel, acked: map[string][]ack{}, refused: map[string]*atomic.Int64{}}
	t.Cleanup(func() { l.stop() })
	sender := newSender(t, target)
	for _, signal := range signals() {
		l.refused[signal] = &atomic.Int64{}
		l.done.Go(func() { l.send(ctx, sender, signal) })
	}
	return l
}

func (l *otlpLoad) send(ctx context.Context, sender otlpSender, signal string) {
	for i := 0; ctx.Err() == nil; i++ {
		id := fmt.Sprintf("%s-%d", l.run, i)
		if err := sender.send(ctx, signal, id); err != nil {
			l.refused[signal].Add(1)
			<-time.After(20 * time.Millisecond) // the collector is away
			continue
		}
		l.mu.Lock()
		l.acked[signal] = append(l.acked[signal], ack{id: id, at: time.Now()})
		l.mu.Unlock()
	}
}

// waitFor waits until so many items of each signal were acknowledged.
func (l *otlpLoad) waitFor(t *testing.T, count int) {
	t.Helper()
	eventually(t, time.Minute, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		for signal := range l.refused {
			if len(l.acked[signal]) < count {
				return fmt.Errorf("%s: %d of %d acknowledged", signal, len(l.acked[signal]), count)
			}
		}
		return nil
	})
}

func (l *otlpLoad) stop() map[string][]ack {
	l.cancel()
	l.done.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.acked)
}
