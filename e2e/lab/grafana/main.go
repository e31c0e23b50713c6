// Command grafana is the lab's stand-in for Grafana 13.1.4: it reads the same provisioning, refuses what Grafana
// refuses, and answers the few API calls that the telemetry stack makes. It draws nothing.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const (
	version = "13.1.4+lab-standin"
	banner  = "Grafana " + version + " (the docker-telemetry lab stand-in, not Grafana)"
)

func main() {
	if err := run(os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "Error: ✗", err)
		os.Exit(1)
	}
}

// run takes `grafana [server]`, `grafana cli ... admin reset-admin-password PASSWORD` and the version flags. Flags of
// the real program that take no effect here (--homepath=, cfg:...) are accepted.
func run(args, environ []string, stdin io.Reader, stdout, stderr io.Writer) error {
	verb, rest := "server", args
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		verb, rest = args[0], args[1:]
	}
	for _, a := range rest {
		if a == "--version" || a == "-v" {
			verb = "version"
		}
	}
	if verb == "version" || len(args) > 0 && (args[0] == "--version" || args[0] == "-v") {
		fmt.Fprintln(stdout, banner)
		return nil
	}
	cfg, err := loadConfig(environ)
	if err != nil {
		return err
	}
	switch verb {
	case "cli":
		return runCLI(cfg, rest, stdin, stdout)
	case "server":
		fmt.Fprintln(stderr, banner)
		return serve(cfg, stderr)
	}
	return fmt.Errorf("unknown command %q", verb)
}

// runCLI understands one command: admin reset-admin-password, with the password as argument or on stdin.
func runCLI(cfg config, args []string, stdin io.Reader, stdout io.Writer) error {
	var words []string
	fromStdin := false
	for _, a := range args {
		switch {
		case a == "--password-from-stdin":
			fromStdin = true
		case !strings.HasPrefix(a, "-"):
			words = append(words, a)
		}
	}
	if len(words) < 2 || words[0] != "admin" || words[1] != "reset-admin-password" {
		return errors.New("the lab stand-in only has `cli admin reset-admin-password`")
	}
	password := ""
	switch {
	case fromStdin:
		raw, err := io.ReadAll(stdin)
		if err != nil {
			return fmt.Errorf("read password: %w", err)
		}
		if len(raw) == 0 {
			return errors.New("can't read password from stdin")
		}
		password, _, _ = strings.Cut(string(raw), "\n")
		password = strings.TrimSuffix(password, "\r")
	case len(words) == 3:
		password = words[2]
	default:
		return errors.New("missing password")
	}
	if err := resetPassword(cfg, password); err != nil {
		return err
	}
	fmt.Fprintln(stdout, "Admin password changed successfully ✔")
	return nil
}

func serve(cfg config, stderr io.Writer) error {
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: cfg.logLevel}))
	if err := ensureAdmin(cfg); err != nil {
		return err
	}
	state, err := provision(cfg, log)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(cfg.addr, cfg.port))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	srv := &http.Server{Handler: newServer(cfg, state).handler(), ReadHeaderTimeout: 30 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(listener) }()
	log.Info("HTTP Server Listen", "address", listener.Addr().String(), "subUrl", cfg.subURL)

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("shutdown: %w", err)
	}
	return nil
}
