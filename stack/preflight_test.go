package stack_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/stack/stacktest"
)

func TestInspectRefuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		engine func(*stacktest.Engine)
		want   string
	}{
		{"an engine that is not there", func(e *stacktest.Engine) {
			e.Fails = fmt.Errorf("failed to connect: %w", fmt.Errorf("dial: %w", syscall.ENOENT))
		}, "cannot reach the Docker engine at tcp://engine.test:2376: no such file or directory"},
		{
			"an old engine", func(e *stacktest.Engine) { e.API, e.Version = "1.40", "19.03.15" },
			"the engine at tcp://engine.test:2376 is 19.03.15 and speaks API 1.40, the stack needs 1.41 (Engine 20.10) or newer",
		},
		{
			"Windows containers", func(e *stacktest.Engine) { e.OSType = "windows" },
			"the engine at tcp://engine.test:2376 runs windows containers, the stack needs linux ones",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			engine := stacktest.New()
			tc.engine(engine)
			_, err := engine.Manager().Inspect(t.Context())
			assert.Error(t, err, tc.want)
			var refusal *stack.Error
			assert.Assert(t, errors.As(err, &refusal) && refusal.Hint() != "")
		})
	}
}

func TestInspectEndsWithTheContext(t *testing.T) {
	engine := stacktest.New()
	engine.Hangs = true
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := engine.Manager().Inspect(ctx)
	assert.Equal(t, err, context.DeadlineExceeded, "an interruption is not an engine that cannot be reached")
}

// Every port that the project publishes is looked at, and the hint names the flag that moves it.
func TestCheckHostLooksAtEveryPort(t *testing.T) {
	settings := testSettings()
	settings.Options = map[string]string{"otlp": "tls", "otlp-grpc-port": "4317"}
	for _, tc := range []struct {
		name string
		port types.ServicePortConfig
		want string
		hint string
	}{
		{
			"of an option",
			types.ServicePortConfig{HostIP: "127.0.0.1", Published: "4317", Target: 4317, Protocol: "tcp"},
			"port 4317 on 127.0.0.1 is taken by container web (nginx:1)", "choose another: docker telemetry up --otlp-grpc-port 4318",
		},
		{
			"of an overlay",
			types.ServicePortConfig{Published: "9000", Target: 80, Protocol: "tcp"},
			"port 9000 on 0.0.0.0 is taken by container web (nginx:1)", "publish another one in your overlay",
		},
		{"another protocol", types.ServicePortConfig{Published: "9000", Target: 80, Protocol: "udp"}, "", ""},
		{"no number", types.ServicePortConfig{Target: 80, Protocol: "tcp"}, "", ""},
		{"a range", types.ServicePortConfig{Published: "8999-9001", Target: 80, Protocol: "tcp"}, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			project := load(t, settings)
			grafana := project.Services["grafana"]
			grafana.Ports = []types.ServicePortConfig{tc.port}
			project.Services["grafana"] = grafana
			engine := stacktest.New()
			engine.AddContainer("web", "nginx:1", nil, 4317)
			engine.AddContainer("web", "nginx:1", nil, 9000)
			manager := engine.Manager()
			inspected, err := manager.Inspect(t.Context())
			assert.NilError(t, err)
			_, err = manager.CheckHost(t.Context(), inspected, project, settings)
			if tc.want == "" {
				assert.NilError(t, err)
				return
			}
			assert.Error(t, err, tc.want)
			var refusal *stack.Error
			assert.Assert(t, errors.As(err, &refusal))
			assert.Equal(t, refusal.Hint(), tc.hint)
		})
	}
}

func TestCheckHostNamesWhoHasThePort(t *testing.T) {
	for _, tc := range []struct {
		name   string
		port   uint16
		labels map[string]string
		want   string
	}{
		{"a container", 8082, nil, "port 8082 on 127.0.0.1 is taken by container web (nginx:1)"},
		{"another stack", 8082, map[string]string{stack.StackLabel: "second"}, "port 8082 on 127.0.0.1 is taken by container web (nginx:1)"},
		{"this stack", 8082, map[string]string{stack.StackLabel: "telemetry"}, ""},
		{"another port", 8083, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			engine := stacktest.New()
			engine.AddContainer("web", "nginx:1", tc.labels, tc.port)
			_, err := check(t, engine, testSettings())
			if tc.want == "" {
				assert.NilError(t, err)
				return
			}
			assert.Error(t, err, tc.want)
			var refusal *stack.Error
			assert.Assert(t, errors.As(err, &refusal))
			assert.Assert(t, strings.HasPrefix(refusal.Hint(), "choose another: docker telemetry up --port "), refusal.Hint())
		})
	}
}

func check(t *testing.T, fake *stacktest.Engine, settings stack.Settings) ([]string, error) {
	t.Helper()
	engine, err := fake.Manager().Inspect(t.Context())
	assert.NilError(t, err)
	return fake.Manager().CheckHost(t.Context(), engine, load(t, settings), settings)
}

// A program of this machine has the port; whose it is shows only where this user may look.
func TestCheckHostLooksAtThisMachineWhereTheEngineIsLocal(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing to end
	assert.NilError(t, err)
	defer listener.Close()
	settings := testSettings()
	settings.Port = listener.Addr().(*net.TCPAddr).Port

	engine := stacktest.New()
	_, err = check(t, engine, settings)
	assert.NilError(t, err, "the port of another machine")
	engine.Address = "tcp://127.0.0.1:2375"
	_, err = check(t, engine, settings)
	assert.ErrorContains(t, err, fmt.Sprintf("port %d on 127.0.0.1 is taken by ", settings.Port))

	assert.NilError(t, listener.Close())
	_, err = check(t, engine, settings)
	assert.NilError(t, err)
}

// What an interrupted up asked for the engine goes on doing: it opens the port before it says that the container runs. That
// is no program of another. A stack whose gateway is not there, or was stopped, has no such excuse.
func TestCheckHostWaitsForItsOwnGateway(t *testing.T) {
	for _, tc := range []struct {
		name   string
		state  container.ContainerState
		runs   bool // says so at last
		taken  bool
		waited time.Duration
	}{
		{"that is being started", container.StateCreated, true, false, time.Second},
		{"that restarts", container.StateRestarting, true, false, time.Second},
		{"that never starts", container.StateCreated, false, true, 10 * time.Second},
		{"that was stopped", container.StateExited, false, true, 0},
		{"that is not there", "", false, true, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing to end
				assert.NilError(t, err)
				defer listener.Close()
				settings := testSettings()
				settings.Port = listener.Addr().(*net.TCPAddr).Port
				fake := stacktest.New()
				fake.Address = "tcp://127.0.0.1:2375"
				began := time.Now()
				manager := &stack.Manager{Docker: slowGateway{Engine: fake, state: tc.state, port: uint16(settings.Port), runs: func() bool {
					return tc.runs && time.Since(began) >= time.Second
				}}}
				engine, err := manager.Inspect(t.Context())
				assert.NilError(t, err)
				_, err = manager.CheckHost(t.Context(), engine, load(t, settings), settings)
				assert.Equal(t, err != nil, tc.taken, "%v", err)
				waited := time.Since(began)
				assert.Assert(t, waited >= tc.waited && waited <= tc.waited+time.Second, "%s", waited)
			})
		})
	}
}

// slowGateway has a gateway in a state until it runs.
type slowGateway struct {
	*stacktest.Engine
	state container.ContainerState
	port  uint16
	runs  func() bool
}

func (e slowGateway) ContainerList(context.Context, client.ContainerListOptions) (client.ContainerListResult, error) {
	if e.state == "" {
		return client.ContainerListResult{}, nil
	}
	gateway := container.Summary{
		Names: []string{"/telemetry-gateway-1"}, State: e.state,
		Labels: map[string]string{stack.StackLabel: "telemetry", stack.ComponentLabel: stack.Gateway},
	}
	if e.runs() {
		gateway.State = container.StateRunning
		gateway.Ports = []container.PortSummary{{IP: netip.MustParseAddr("127.0.0.1"), PublicPort: e.port, PrivatePort: 8443, Type: "tcp"}}
	}
	return client.ContainerListResult{Items: []container.Summary{gateway}}, nil
}

func TestCheckHostWarnsOfLittleMemory(t *testing.T) {
	engine := stacktest.New()
	warnings, err := check(t, engine, testSettings())
	assert.NilError(t, err)
	assert.Equal(t, len(warnings), 0)

	engine.Memory = 2 << 30
	warnings, err = check(t, engine, testSettings())
	assert.NilError(t, err)
	assert.DeepEqual(t, warnings, []string{
		"the engine has 2GiB of memory; the stack may use up to 3GiB when all its limits are reached",
	})
}

func TestPullMissingPullsOnlyWhatIsMissing(t *testing.T) {
	engine := stacktest.New()
	project := load(t, testSettings())
	grafana := project.Services[stack.Grafana].Image
	engine.Missing[grafana] = true
	assert.NilError(t, engine.Manager().PullMissing(t.Context(), project))
	assert.DeepEqual(t, engine.Changes(), []string{"pull image " + grafana})
	engine.Forget()
	assert.NilError(t, engine.Manager().PullMissing(t.Context(), project))
	assert.DeepEqual(t, engine.Changes(), []string(nil))
}

func TestPullNamesTheImageAndItsComponents(t *testing.T) {
	engine := stacktest.New()
	project := load(t, testSettings())
	nginx := project.Services[stack.Gateway].Image
	engine.Missing[nginx] = true
	engine.PullFails = fmt.Errorf("pull: %w", errors.New("dial tcp: lookup registry-1.docker.io: no such host\nand more"))
	err := engine.Manager().PullMissing(t.Context(), project)
	assert.Error(t, err, "image "+nginx+" (balancer, docker-proxy, gateway) is not on the engine and cannot be pulled: "+
		"dial tcp: lookup registry-1.docker.io: no such host")
}

// An address that swallows packets must end in a refusal, not in minutes of silence.
func TestInspectGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager := &stack.Manager{Docker: silentEngine{stacktest.New()}}
		_, err := manager.Inspect(t.Context())
		assert.ErrorContains(t, err, "cannot reach the Docker engine at ")
		assert.ErrorContains(t, err, ": no answer within 20s")
	})
}

type silentEngine struct{ *stacktest.Engine }

func (silentEngine) Ping(ctx context.Context, _ client.PingOptions) (client.PingResult, error) {
	<-ctx.Done()
	return client.PingResult{}, ctx.Err()
}

func TestCheckHostSaysWhatABindOpens(t *testing.T) {
	for bind, want := range map[string]string{
		"127.0.0.1": "", "::1": "",
		"0.0.0.0": "port 8082 is open on every address of the engine's host: ", "192.0.2.7": "port 8082 is open on 192.0.2.7: ",
	} {
		settings := testSettings()
		settings.Bind = bind
		manager := stacktest.New().Manager()
		engine, err := manager.Inspect(t.Context())
		assert.NilError(t, err)
		warnings, err := manager.CheckHost(t.Context(), engine, load(t, settings), settings)
		assert.NilError(t, err)
		if want == "" {
			assert.Equal(t, len(warnings), 0, warnings)
			continue
		}
		assert.Equal(t, len(warnings), 1, bind)
		assert.Assert(t, strings.HasPrefix(warnings[0], want), warnings[0])
	}
}
