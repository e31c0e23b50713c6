package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	cliplugin "github.com/docker/cli/cli-plugins/plugin"
	"github.com/docker/cli/cli/command"
	"github.com/docker/go-units"
	"github.com/rogpeppe/go-internal/testscript"
	"gotest.tools/v3/golden"

	"github.com/docker-telemetry/docker-telemetry/internal/credentials"
	"github.com/docker-telemetry/docker-telemetry/internal/provider"
	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/stack/bundle"
	"github.com/docker-telemetry/docker-telemetry/stack/stacktest"
)

// TestScripts runs the whole command line: what it prints on each stream, how it ends, what it did to the engine.
// A script has an engine of its own, in memory. After a wanted change: go test ./plugin -run TestScripts -update
//
//	telemetry ARGS...   docker telemetry ARGS; begin the line with ! where it must fail
//	code N              the exit code of the last one was N
//	engine ...          what the engine is like from now on, see (*bench).engineCommand
//	changes             print what was changed on the engine since the last `changes`
//	state               print what is on the engine
//	files VOLUME        print the files of a volume
//	cut FROM TO N       write a file without its last N bytes
//	terminal [TEXT]     stdin and stdout are a terminal from now on, at which TEXT is typed
//	clock real          the real time from now on; without it, it stands still
//	clock later D       it stands still D later
//	passwords shown     the last command printed every password
//	unpack FILE         a support bundle, into the folder support-bundle; no secret of the stack may be in it, in any form
//	passwords unsaid    no command but `credentials show` has printed one
func TestScripts(t *testing.T) {
	// The Docker CLI around the command must find nothing of this machine's.
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	t.Setenv("DOCKER_HOST", "")
	t.Setenv("DOCKER_CONTEXT", "")
	arguments := os.Args
	t.Cleanup(func() { os.Args = arguments })
	testscript.RunT(sequential{t}, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: golden.FlagUpdate(),
		Setup: func(env *testscript.Env) error {
			bench := newBench(env)
			env.Values[benchKey{}] = bench
			env.Defer(func() { _ = bench.engine.Close() })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"telemetry": onBench((*bench).telemetry),
			"code":      onBench((*bench).wantCode),
			"engine":    onBench((*bench).engineCommand),
			"changes":   onBench((*bench).printChanges),
			"state":     onBench((*bench).printState),
			"files":     onBench((*bench).printFiles),
			"cut":       onBench((*bench).cut),
			"terminal":  onBench((*bench).useTerminal),
			"clock":     onBench((*bench).setClock),
			"passwords": onBench((*bench).wantPasswords),
			"unpack":    onBench((*bench).unpack),
		},
	})
}

// sequential runs one script after the other: docker/cli reads os.Args, and a signal reaches the whole process.
type sequential struct{ *testing.T }

func (sequential) Parallel()     {}
func (sequential) Verbose() bool { return testing.Verbose() }

func (s sequential) Run(name string, script func(testscript.T)) {
	s.T.Run(name, func(t *testing.T) { script(sequential{t}) })
}

// bench is what one script works at.
type bench struct {
	engine   *stacktest.Engine
	stdin    string
	terminal bool
	now      func() time.Time
	code     int
	said     strings.Builder // all output but that of `credentials show`
	answers  atomic.Value    // what the store behind the gateway answers with, see storeAnswers
	keeping  stacktest.Keeping
	disks    map[string]string // what a look at the disk of a component's volume says
}

type benchKey struct{}

func newBench(env *testscript.Env) *bench {
	env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, "state"))
	env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "config"))
	engine := stacktest.New()
	b := &bench{engine: engine, now: func() time.Time { return engine.Created.Add(3 * time.Minute) }, disks: map[string]string{}}
	engine.Exec = func(component string, command []string) string {
		if command[0] == "sh" && strings.Contains(command[2], "df -kP") {
			return b.disks[component]
		}
		return ""
	}
	return b
}

func onBench(run func(*bench, *testscript.TestScript, bool, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		run(ts.Value(benchKey{}).(*bench), ts, neg, args)
	}
}

// telemetry does what Main does, with this bench's dependencies.
func (b *bench) telemetry(ts *testscript.TestScript, neg bool, args []string) {
	var stdout, stderr bytes.Buffer
	os.Args = append([]string{"docker", pluginName}, args...)
	cli, err := command.NewDockerCli(
		command.WithInputStream(io.NopCloser(strings.NewReader(b.stdin))),
		command.WithOutputStream(&stdout), command.WithErrorStream(&stderr))
	ts.Check(err)
	app := &app{deps: b.deps(ts, &stdout, &stderr)}
	app.listen(os.Args)
	root := newRootCommand(app)
	err = flagsBefore(root, cliplugin.RunPlugin(cli, root, Metadata()))
	b.code = app.end(&stderr, err)

	fmt.Fprint(ts.Stdout(), stdout.String())
	fmt.Fprint(ts.Stderr(), stderr.String())
	if !strings.HasPrefix(strings.Join(args, " "), "credentials show") {
		b.said.WriteString(stdout.String() + stderr.String())
	}
	b.holdContract(ts, args, stdout.String())
	holdProtocol(ts, app, stdout.String())
	if failed := b.code != exitDone; failed != neg {
		ts.Fatalf("it ended with code %d", b.code)
	}
}

// holdProtocol requires that a run for Compose printed messages and nothing else, and an error at the end only.
func holdProtocol(ts *testscript.TestScript, a *app, answer string) {
	if a.protocol == nil {
		return
	}
	for line := range strings.Lines(answer) {
		var message provider.Message
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.DisallowUnknownFields()
		ts.Check(decoder.Decode(&message))
		switch message.Type {
		case provider.TypeInfo, provider.TypeSetEnv, provider.TypeRawSetEnv:
		case provider.TypeError:
			if !strings.HasSuffix(answer, line) {
				ts.Fatalf("Compose kills who says an error, and this goes on:\n%s", answer)
			}
		default:
			ts.Fatalf("no message that Compose knows: %s", line)
		}
		if message.Message == "" || decoder.More() {
			ts.Fatalf("no message: %s", line)
		}
	}
}

// holdContract compares every JSON answer of every script with docs/reference/json.md.
func (b *bench) holdContract(ts *testscript.TestScript, args []string, answer string) {
	words := strings.Join(args, " ")
	if answer == "" || !strings.Contains(words, "--format json") {
		return
	}
	documented, err := readContract()
	ts.Check(err)
	name := args[0]
	if _, parent := documented[name]; !parent {
		name += " " + args[1]
	}
	if found := documented.breaks(name, answer); len(found) > 0 {
		ts.Fatalf("%s", strings.Join(found, "\n"))
	}
}

func (b *bench) deps(ts *testscript.TestScript, stdout, stderr io.Writer) deps {
	terminal, no := func() bool { return b.terminal }, func() bool { return false }
	return deps{
		stdin: strings.NewReader(b.stdin), stdout: stdout, stderr: stderr,
		stdinTerminal: terminal, stdoutTerminal: terminal, stderrTerminal: no,
		getenv:  ts.Getenv,
		context: func() string { return "default" },
		root:    func() (state.Root, error) { return state.DefaultRoot(ts.Getenv) },
		manager: func(progress *render.Progress) (*stack.Manager, error) {
			manager := b.engine.Manager()
			if progress != nil {
				manager.Progress = progress.On
			}
			return manager, nil
		},
		now:    func() time.Time { return b.now() },
		random: rand.NewChaCha8([32]byte{1}),
		browse: func(string) error { return os.ErrNotExist },
	}
}

func (b *bench) wantCode(ts *testscript.TestScript, _ bool, args []string) {
	if strconv.Itoa(b.code) != args[0] {
		ts.Fatalf("the exit code was %d, not %s", b.code, args[0])
	}
}

func (b *bench) engineCommand(ts *testscript.TestScript, _ bool, args []string) {
	arg := func(i int) string { return append(args, "", "", "", "")[i] }
	switch arg(0) {
	case "absent":
		b.engine.Fails = fmt.Errorf("failed to connect to the docker API: %w", syscall.ECONNREFUSED)
	case "present":
		b.engine.Fails = nil
	case "api":
		b.engine.API = arg(1)
	case "missing": // COMPONENT: no image, and no registry to pull it from
		pins, err := stack.Images(bundle.FS())
		ts.Check(err)
		b.engine.Missing[pins[strings.ToUpper(arg(1))+"_IMAGE"]] = true
		b.engine.PullFails = errors.New("dial tcp: lookup registry-1.docker.io: no such host")
	case "fault": // COMPONENT FAULT [LOG-FILE]
		b.engine.Faults[arg(1)] = stacktest.Fault(arg(2))
		if arg(3) != "" {
			b.engine.Says[arg(1)] = ts.ReadFile(arg(3))
		}
	case "moved": // COMPONENT: its tag stands for another image from now on
		pins, err := stack.Images(bundle.FS())
		ts.Check(err)
		b.engine.Moved[pins[strings.ToUpper(arg(1))+"_IMAGE"]]++
	case "says": // COMPONENT FILE: its log
		b.engine.Says[arg(1)] = ts.ReadFile(arg(2))
	case "complains": // COMPONENT WHAT: its program refuses its configuration
		b.engine.Complains = map[string]string{arg(1): arg(2)}
	case "starved": // CONTAINER: the kernel killed a process of it
		b.engine.Starved = map[string]bool{arg(1): true}
	case "restarted": // CONTAINER: it ended by itself
		b.engine.Restarted = map[string]int{arg(1): 3}
	case "disk": // BYTES: that are free
		size, err := units.RAMInBytes(arg(1))
		ts.Check(err)
		b.engine.DiskFree = size
	case "clock": // DURATION: how far it is ahead
		off, err := time.ParseDuration(arg(1))
		ts.Check(err)
		b.engine.ClockOff = off
	case "unlimited": // it can limit nothing
		b.engine.NoLimits = true
	case "logs": // DRIVER
		b.engine.LogDriver = arg(1)
	case "memory": // BYTES
		size, err := units.RAMInBytes(arg(1))
		ts.Check(err)
		b.engine.Memory = size
	case "deaf": // CONTAINER: an aggregator that takes no batch
		b.engine.Deaf = map[string]bool{arg(1): true}
	case "favours": // CONTAINER: the balancer sends it nearly everything
		b.engine.Favourite = arg(1)
	case "lag": // DURATION: until the balancer sees a change
		lag, err := time.ParseDuration(arg(1))
		ts.Check(err)
		b.engine.BalancerLag = lag
	case "folder": // PATH: on the engine's host
		b.engine.Folders[arg(1)] = true
	case "heal": // COMPONENT
		b.engine.Heal(arg(1))
	case "container": // NAME IMAGE PORT [LABEL=VALUE...]: not ours
		port, err := strconv.ParseUint(arg(3), 10, 16)
		ts.Check(err)
		labels := map[string]string{}
		for _, label := range args[4:] {
			key, value, _ := strings.Cut(label, "=")
			labels[key] = value
		}
		b.engine.AddContainer(arg(1), arg(2), labels, uint16(port))
	case "place": // CONTAINER NETWORK
		b.engine.Place(arg(1), arg(2))
	case "unnetwork": // NAME: its owner removes it
		ts.Check(b.engine.TakeNetwork(arg(1)))
	case "answers": // HOST:PORT/PATH FILE: what the agent reads there
		b.engine.Answers = map[string]string{arg(1): strings.ReplaceAll(ts.ReadFile(arg(2)), "\n", "\r\n")}
	case "file": // VOLUME PATH CONTENT: what a program wrote
		b.engine.WriteVolume(arg(1), arg(2), arg(3))
	case "network", "volume": // NAME [LABEL=VALUE...]: made by hand, or left
		labels := map[string]string{}
		for _, label := range args[2:] {
			key, value, _ := strings.Cut(label, "=")
			labels[key] = value
		}
		if arg(0) == "network" {
			b.engine.AddNetwork(arg(1), labels)
		} else {
			b.engine.AddVolume(arg(1), labels)
		}
	case "snapshot": // that VictoriaMetrics holds
		b.engine.LeaveSnapshot()
	case "gone": // CONTAINER
		b.engine.RemoveContainer(arg(1))
	case "interrupt": // CHANGE: Ctrl-C is pressed just before it
		b.engine.Before = b.interruptAt(ts, arg(1))
	case "gateway": // on this machine, with a store behind it, at a free port $PORT
		b.engine.Address, b.engine.Gateway = "tcp://127.0.0.1:2375", b.store()
		ts.Setenv("PORT", strconv.Itoa(freePort(ts)))
	case "stream": // KIND/NAME AGE MEGABYTES: OpenObserve has it
		kind, name, _ := strings.Cut(arg(1), "/")
		age, err := time.ParseDuration(arg(2))
		ts.Check(err)
		megabytes, err := strconv.ParseFloat(arg(3), 64)
		ts.Check(err)
		b.keeping.Streams = append(b.keeping.Streams, &stacktest.Kept{Kind: kind, Name: name, Age: age, Megabytes: megabytes})
	case "volume-disk": // COMPONENT DEVICE TOTAL FREE USED: its volume, in kilobytes
		b.disks[arg(1)] = fmt.Sprintf("%s\nFilesystem 1024-blocks Used Available Capacity Mounted on\nx %s 0 %s 0%% /x\n%s\t/x\n", arg(2), arg(3), arg(4), append(args, "")[5])
	case "anew": // the streams lose their settings, as in a store that was begun anew
		for _, one := range b.keeping.Streams {
			one.Days = 0
		}
	case "store": // answers, refuses, or loses what it is sent
		b.answers.Store(arg(1))
	default:
		ts.Fatalf("engine: unknown %q", arg(0))
	}
}

func (b *bench) interruptAt(ts *testscript.TestScript, at string) func(context.Context, string) {
	return func(ctx context.Context, change string) {
		if change != at {
			return
		}
		b.engine.Before = nil
		self, err := os.FindProcess(os.Getpid())
		ts.Check(err)
		ts.Check(self.Signal(os.Interrupt))
		<-ctx.Done()
	}
}

// store is OpenObserve behind the gateway, as `engine store` says it is.
func (b *bench) store() http.Handler {
	good := b.keeping.Serve(b.engine, func() time.Time { return b.now() }, b.engine.StoresOf())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said := b.answers.Load()
		switch {
		case !strings.HasPrefix(r.URL.Path, "/openobserve/"):
			good.ServeHTTP(w, r)
		case said == "refuses":
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"message": "disk full"}`)
		case said == "loses":
			fmt.Fprint(w, `{"hits": []}`)
		default:
			good.ServeHTTP(w, r)
		}
	})
}

func freePort(ts *testscript.TestScript) int {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing to end
	ts.Check(err)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func (b *bench) printChanges(ts *testscript.TestScript, _ bool, _ []string) {
	for _, change := range append(b.engine.Changes(), b.keeping.Told()...) {
		fmt.Fprintln(ts.Stdout(), change)
	}
	fmt.Fprint(ts.Stdout(), "")
	b.engine.Forget()
}

func (b *bench) printState(ts *testscript.TestScript, _ bool, _ []string) {
	for _, names := range [][]string{b.engine.Containers(), b.engine.Networks(), b.engine.Volumes()} {
		fmt.Fprint(ts.Stdout(), strings.Join(append(names, ""), "\n"))
	}
}

func (b *bench) printFiles(ts *testscript.TestScript, _ bool, args []string) {
	files := b.engine.VolumeFiles(args[0])
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintln(ts.Stdout(), name, files[name])
	}
	fmt.Fprint(ts.Stdout(), "")
}

func (b *bench) cut(ts *testscript.TestScript, _ bool, args []string) {
	raw := ts.ReadFile(args[0])
	less, err := strconv.Atoi(args[2])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(raw[:len(raw)-less]), 0o600))
}

func (b *bench) useTerminal(_ *testscript.TestScript, _ bool, args []string) {
	b.terminal, b.stdin = true, strings.Join(args, " ")+"\n"
}

func (b *bench) setClock(ts *testscript.TestScript, _ bool, args []string) {
	if args[0] == "real" {
		b.now = time.Now
		return
	}
	later, err := time.ParseDuration(args[1])
	ts.Check(err)
	before := b.now()
	b.now = func() time.Time { return before.Add(later) }
}

func (b *bench) wantPasswords(ts *testscript.TestScript, _ bool, args []string) {
	root, err := state.DefaultRoot(ts.Getenv)
	ts.Check(err)
	stored, err := root.Stack("default", "telemetry")
	ts.Check(err)
	set, err := credentials.Read(stored)
	ts.Check(err)
	said, want := b.said.String(), false
	if args[0] == "shown" {
		said, want = ts.ReadFile("stdout"), true
	}
	for name, value := range set {
		if strings.HasSuffix(name, "_password") && strings.Contains(said, value) != want {
			ts.Fatalf("%s was printed: %t", name, !want)
		}
	}
}
