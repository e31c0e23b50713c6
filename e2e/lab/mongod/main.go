// Command mongod is the lab's stand-in for MongoDB's server: FerretDB, which keeps the data and knows the users, with a
// proxy in front that counts what passes and puts the counts into the answer to serverStatus, where FerretDB has none.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	banner = "MongoDB lab stand-in (FerretDB behind a counting proxy, not MongoDB)"
	// Docker gives 10 s by default.
	grace = 8 * time.Second
)

// options is what of mongod's command line the stand-in knows.
type options struct {
	auth   bool
	bind   string
	port   string
	dbPath string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mongod (lab stand-in):", err)
		os.Exit(2)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if slices.Contains(args, "--version") {
		fmt.Fprintln(out, banner)
		return nil
	}
	opts, err := parse(args)
	if err != nil {
		return err
	}
	log := &journal{out: out, now: time.Now}
	log.info("CONTROL", banner)
	server, err := startServer(opts, os.Environ(), log)
	if err != nil {
		return err
	}
	defer server.stop()
	listener, err := net.Listen("tcp", net.JoinHostPort(opts.bind, opts.port))
	if err != nil {
		return err
	}
	front := &proxy{
		began: time.Now(), resident: server.resident,
		dial: func() (net.Conn, error) { return net.Dial("unix", server.socket) },
	}
	context.AfterFunc(ctx, func() { listener.Close() })
	log.info("NETWORK", "Waiting for connections")
	return errors.Join(front.serve(listener), server.failed())
}

// parse takes the options that the profile uses, and refuses all others as mongod does.
func parse(args []string) (options, error) {
	opts := options{bind: "127.0.0.1", port: "27017", dbPath: "/data/db"}
	for len(args) > 0 {
		name, value, joined := strings.Cut(args[0], "=")
		args = args[1:]
		take := func(into *string) error {
			if !joined && len(args) == 0 {
				return fmt.Errorf("Error parsing command line: the required argument for option '%s' is missing", name)
			}
			if !joined {
				value, args = args[0], args[1:]
			}
			*into = value
			return nil
		}
		var err error
		switch name {
		case "--auth":
			opts.auth = true
		case "--quiet":
		case "--bind_ip_all":
			opts.bind = "0.0.0.0"
		case "--bind_ip":
			err = take(&opts.bind)
		case "--port":
			err = take(&opts.port)
		case "--dbpath":
			err = take(&opts.dbPath)
		case "--wiredTigerCacheSizeGB":
			err = take(new(string))
		default:
			err = fmt.Errorf("Error parsing command line: unrecognised option '%s'", name)
		}
		if err != nil {
			return options{}, err
		}
	}
	return opts, nil
}

// server is the FerretDB process.
type server struct {
	cmd    *exec.Cmd
	socket string
	ended  chan error
}

// startServer starts FerretDB and waits until it listens. The first user is made where there is no data yet.
func startServer(opts options, environ []string, log *journal) (*server, error) {
	dir, err := os.MkdirTemp("", "mongod")
	if err != nil {
		return nil, err
	}
	s := &server{socket: filepath.Join(dir, "ferretdb.sock"), ended: make(chan error, 1)}
	s.cmd = exec.Command("ferretdb", "--handler=sqlite", "--sqlite-url=file:"+opts.dbPath+"/", "--state-dir="+dir,
		"--listen-addr=", "--listen-unix="+s.socket, "--debug-addr=-", "--telemetry=disable", "--log-level=ERROR", "--log-format=json")
	s.cmd.Stdout, s.cmd.Stderr = log.out, log.out
	if opts.auth {
		s.cmd.Args = append(s.cmd.Args, "--test-enable-new-auth")
		// Not in the arguments, which every process may read.
		s.cmd.Env = append(firstUser(opts.dbPath, environ), "PATH="+os.Getenv("PATH"))
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { s.ended <- s.cmd.Wait() }()
	for deadline := time.Now().Add(30 * time.Second); ; {
		conn, err := net.Dial("unix", s.socket)
		if err == nil {
			return s, conn.Close()
		}
		select {
		case err := <-s.ended:
			return nil, fmt.Errorf("FerretDB ended: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.stop()
			return nil, errors.New("FerretDB does not listen after 30 s")
		}
	}
}

// firstUser is what docker-entrypoint.sh leaves in the environment.
func firstUser(dbPath string, environ []string) []string {
	if found, _ := filepath.Glob(filepath.Join(dbPath, "*.sqlite")); len(found) > 0 {
		return nil
	}
	setup := []string{"FERRETDB_SETUP_DATABASE=admin"}
	for from, to := range map[string]string{"MONGO_INITDB_ROOT_USERNAME": "FERRETDB_SETUP_USERNAME", "MONGO_INITDB_ROOT_PASSWORD": "FERRETDB_SETUP_PASSWORD"} {
		for _, variable := range environ {
			if value, ok := strings.CutPrefix(variable, from+"="); ok {
				setup = append(setup, to+"="+value)
			}
		}
	}
	return setup
}

func (s *server) stop() {
	if s.cmd.Process.Signal(syscall.SIGTERM) != nil {
		return
	}
	timer := time.AfterFunc(grace, func() { _ = s.cmd.Process.Kill() })
	defer timer.Stop()
	<-s.ended
}

// failed is the end of FerretDB, where it came before ours.
func (s *server) failed() error {
	select {
	case err := <-s.ended:
		s.ended <- err
		return fmt.Errorf("FerretDB ended: %w", err)
	default:
		return nil
	}
}

// resident is the memory of FerretDB in MiB.
func (s *server) resident() int32 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(raw), &size, &resident); err != nil {
		return 0
	}
	return int32(resident * int64(os.Getpagesize()) >> 20)
}
