// Command openobserve is the lab's stand-in for OpenObserve v0.92.2: it speaks the part of the wire protocol that
// the telemetry stack uses and refuses what the real server refuses. It is a test double, never a log store.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/joho/godotenv"
)

const (
	realVersion = "v0.92.2"
	banner      = "openobserve " + realVersion + "+lab-standin (the docker-telemetry lab stand-in, not OpenObserve)"
	// The grace that Docker gives is 10 s by default; leave room for the last fsync.
	shutdownGrace = 8 * time.Second
)

type command struct {
	configFile string
	verb       string
	component  string
}

func main() {
	if err := run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "openobserve (lab stand-in):", err)
		os.Exit(1)
	}
}

func run(args, environ []string, stdout, stderr io.Writer) error {
	cmd, err := parseArgs(args)
	if err != nil {
		return err
	}
	if cmd.verb == "version" {
		fmt.Fprintln(stdout, banner)
		return nil
	}
	env, err := mergeEnv(environ, cmd.configFile)
	if err != nil {
		return err
	}
	cfg, err := loadConfig(env)
	if err != nil {
		return err
	}
	if cmd.verb == "reset" {
		return resetRoot(cfg, stdout)
	}
	fmt.Fprintln(stderr, banner)
	fmt.Fprintln(stderr, "set:", strings.Join(cfg.set, " "))
	return serve(cfg, stderr)
}

// parseArgs follows the clap definition: -c before a subcommand is the configuration file, after `reset` it is the
// component.
func parseArgs(args []string) (command, error) {
	var cmd command
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--version" || arg == "-V":
			cmd.verb = "version"
		case arg == "reset" && cmd.verb == "":
			cmd.verb = "reset"
		case arg == "-c" || (arg == "--config" && cmd.verb == "") || (arg == "--component" && cmd.verb == "reset"):
			i++
			if i == len(args) {
				return cmd, fmt.Errorf("%q needs a value", arg)
			}
			if cmd.verb == "reset" {
				cmd.component = args[i]
			} else {
				cmd.configFile = args[i]
			}
		default:
			return cmd, fmt.Errorf("unexpected argument %q", arg)
		}
	}
	if cmd.verb == "reset" && cmd.component != "root" {
		return cmd, fmt.Errorf("reset component %q: the lab stand-in only resets \"root\"", cmd.component)
	}
	return cmd, nil
}

// mergeEnv lays a dotenv file over the environment. The file wins, which is what lets the stack keep the password out
// of `docker inspect`.
func mergeEnv(environ []string, file string) (map[string]string, error) {
	env := make(map[string]string, len(environ))
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok {
			env[k] = v
		}
	}
	if file == "" {
		return env, nil
	}
	over, err := godotenv.Read(file)
	if err != nil {
		return nil, fmt.Errorf("set config from file path %s failed with %w, stopping boot up", file, err)
	}
	for k, v := range over {
		env[k] = v
	}
	return env, nil
}

func serve(cfg config, stderr io.Writer) error {
	srv, err := newServer(cfg, time.Now)
	if err != nil {
		return err
	}
	defer srv.store.close()
	if srv.store.torn > 0 {
		fmt.Fprintf(stderr, "dropped %d torn record(s) left by an unclean stop\n", srv.store.torn)
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	go srv.refreshStats(ctx)
	go srv.keepRetention(ctx)
	go srv.watchDisk(ctx)

	listener, err := net.Listen("tcp", net.JoinHostPort(cfg.addr, cfg.port))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	httpServer := &http.Server{Handler: srv.handler(), ReadHeaderTimeout: 30 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- httpServer.Serve(listener) }()
	fmt.Fprintf(stderr, "starting HTTP server at: http://%s%s\n", listener.Addr(), cfg.baseURI)

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	if err := httpServer.Shutdown(grace); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("shutdown: %w", err)
	}
	fmt.Fprintln(stderr, "server stopped")
	return nil
}
