// Command vector is a stand-in for Vector in the tests' lab, where no image registry is reachable.
// It is not Vector; README.md says what it does and what it does not.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc/encoding"
)

// vectorVersion is the version whose rules the stand-in follows.
const vectorVersion = "0.59.0"

const versionLine = "vector " + vectorVersion + " (docker-telemetry lab stand-in, not Vector)"

// Exit codes of sysexits, as Vector uses them.
const (
	exitOK       = 0
	exitSoftware = 1
	exitUsage    = 64
	exitConfig   = 78
)

func main() {
	encoding.RegisterCompressor(zstdCompressor{})
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// list collects a flag given several times or with commas, as Vector takes paths.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(v string) error {
	*l = append(*l, strings.Split(v, ",")...)
	return nil
}

type cli struct {
	dirs, files    list
	version        bool
	requireHealthy bool
	noEnvironment  bool
	skipHealth     bool
	denyWarnings   bool
	grace          time.Duration
	validate       bool
	test           bool
}

// parseArgs reads the arguments and the environment variables that stand for them.
func parseArgs(args []string, env func(string) string, stderr io.Writer) (*cli, error) {
	c := &cli{}
	name := "vector"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		if args[0] != "validate" && args[0] != "test" {
			return nil, fmt.Errorf("subcommand %q is not supported by the stand-in", args[0])
		}
		c.validate, c.test = args[0] == "validate", args[0] == "test"
		name, args = "vector "+args[0], args[1:]
	}
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Var(&c.dirs, "config-dir", "read configuration from all files of this directory (VECTOR_CONFIG_DIR)")
	fs.Var(&c.dirs, "C", "short for -config-dir")
	seconds := fs.Int("graceful-shutdown-limit-secs", 60, "seconds to drain at the end (VECTOR_GRACEFUL_SHUTDOWN_LIMIT_SECS)")
	switch {
	case c.test:
		fs.Var(&c.files, "config-yaml", "a YAML file to test")
	case c.validate:
		fs.BoolVar(&c.noEnvironment, "no-environment", false, "check the files only: no secrets, no components, no health checks")
		fs.BoolVar(&c.skipHealth, "skip-healthchecks", false, "no health checks")
		fs.BoolVar(&c.denyWarnings, "deny-warnings", false, "fail on warnings")
		fs.BoolVar(&c.denyWarnings, "d", false, "short for -deny-warnings")
		fs.Var(&c.files, "config-yaml", "a YAML file to check")
	default:
		fs.Var(&c.files, "config", "read configuration from these files (VECTOR_CONFIG)")
		fs.Var(&c.files, "c", "short for -config")
		fs.BoolVar(&c.version, "version", false, "print the version")
		fs.BoolVar(&c.version, "V", false, "short for -version")
		fs.BoolVar(&c.requireHealthy, "require-healthy", env("VECTOR_REQUIRE_HEALTHY") == "true", "fail at start when a health check fails")
	}
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if rest := fs.Args(); len(rest) > 0 {
		if !c.validate && !c.test {
			return nil, fmt.Errorf("unexpected argument %q", rest[0])
		}
		c.files = append(c.files, rest...)
	}
	return c, c.fromEnv(env, *seconds)
}

func (c *cli) fromEnv(env func(string) string, seconds int) error {
	if v := env("VECTOR_CONFIG_DIR"); v != "" && len(c.dirs) == 0 && len(c.files) == 0 {
		_ = c.dirs.Set(v)
	}
	if v := env("VECTOR_CONFIG"); v != "" && len(c.files) == 0 && len(c.dirs) == 0 {
		_ = c.files.Set(v)
	}
	if v := env("VECTOR_GRACEFUL_SHUTDOWN_LIMIT_SECS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			return fmt.Errorf("VECTOR_GRACEFUL_SHUTDOWN_LIMIT_SECS: %q is no number of seconds", v)
		}
		seconds = n
	}
	if seconds < 1 {
		return fmt.Errorf("the graceful shutdown limit must be at least one second")
	}
	c.grace = time.Duration(seconds) * time.Second
	for _, name := range []string{"VECTOR_WATCH_CONFIG", "VECTOR_ENABLE_ENV_VAR_INTERPOLATION", "VECTOR_MAX_DECOMPRESSED_SIZE_BYTES", "VECTOR_NO_GRACEFUL_SHUTDOWN_LIMIT"} {
		if v := env(name); v != "" && v != "false" {
			return fmt.Errorf("%s is not supported by the stand-in", name)
		}
	}
	if v := env("VECTOR_LOG_FORMAT"); v != "" && v != "text" {
		return fmt.Errorf("VECTOR_LOG_FORMAT %q is not supported by the stand-in", v)
	}
	return nil
}

// run is the whole program; it returns the exit code.
func run(ctx context.Context, args []string, env func(string) string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "tap" {
		return tapCommand(ctx, args[1:], stdout, stderr)
	}
	c, err := parseArgs(args, env, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "error: %v\n", err)
		return exitUsage
	}
	if c.version {
		_, _ = fmt.Fprintln(stdout, versionLine)
		return exitOK
	}
	log := newLogger(stderr, parseLevel(env("VECTOR_LOG")))
	if c.test {
		return runTests(c, log, stdout, stderr)
	}
	if c.validate {
		return validate(ctx, c, log, stdout, stderr)
	}
	return serve(ctx, c, log)
}

func reportConfig(log *logger, err error) int {
	var ce *configError
	if !errors.As(err, &ce) {
		log.write(levelError, "cli", "Configuration error.", []any{"error", err})
		return exitConfig
	}
	for _, e := range ce.errs {
		log.write(levelError, "cli", "Configuration error.", []any{"error", e})
	}
	return exitConfig
}

// onHangup calls fn for each SIGHUP until stop.
func onHangup(fn func()) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-signals:
				fn()
			case <-done:
				return
			}
		}
	}()
	return func() { signal.Stop(signals); close(done) }
}

func serve(ctx context.Context, c *cli, log *logger) int {
	log.info("app", "This is "+versionLine+": its behaviour proves nothing about Vector.")
	paths, err := configPaths(c.dirs, c.files)
	if err != nil {
		return reportConfig(log, err)
	}
	log.info("app", "Loading configs.", "paths", strings.Join(paths, ", "))
	cfg, err := loadFiles(paths, true)
	if err != nil {
		return reportConfig(log, err)
	}
	for _, w := range cfg.warnings {
		log.write(levelWarn, "config::loading", w, nil)
	}
	t, err := build(cfg, log)
	if err != nil {
		return reportConfig(log, err)
	}
	if err := t.checkHealth(ctx, cfg.healthchecks, cfg.requireHealthy || c.requireHealthy); err != nil {
		_ = t.release()
		return reportConfig(log, err)
	}
	api, err := startAPI(cfg, t.reg, log)
	if err != nil {
		_ = t.release()
		log.write(levelError, "app", "An error occurred that Vector couldn't handle.", []any{"error", err})
		return exitSoftware
	}
	again, err := newReloader(c, cfg, paths)
	if err != nil {
		_ = t.release()
		return reportConfig(log, err)
	}
	stop := onHangup(func() { t.reloads <- func() error { return again.reload(t) } })
	defer stop()
	log.info("app", "Vector has started.", "version", vectorVersion, "arch", "lab stand-in")
	err = t.run(ctx, c.grace, func() {
		log.info("app", "Vector has stopped.")
		api.draining.Store(true)
	})
	api.close()
	if err != nil {
		log.write(levelError, "app", "An error occurred that Vector couldn't handle.", []any{"error", err})
		return exitSoftware
	}
	return exitOK
}

// validate checks a configuration as `vector validate` does.
func validate(ctx context.Context, c *cli, log *logger, stdout, stderr io.Writer) int {
	paths, err := configPaths(c.dirs, c.files)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "Failed to load %v\n%v\n", c.files, err)
		return exitConfig
	}
	cfg, err := loadFiles(paths, !c.noEnvironment)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "Failed to load %q\n--------------\n%v\n", paths, err)
		return exitConfig
	}
	_, _ = fmt.Fprintf(stdout, "√ Loaded %q\n", paths)
	for _, w := range cfg.warnings {
		_, _ = fmt.Fprintf(stdout, "~ %s\n", w)
	}
	if c.denyWarnings && len(cfg.warnings) > 0 {
		return exitConfig
	}
	if !c.noEnvironment {
		t, err := build(cfg, log)
		if err == nil {
			err = errors.Join(t.checkHealth(ctx, !c.skipHealth, true), t.release())
		}
		if err != nil {
			_, _ = fmt.Fprintf(stderr, "Component errors\n----------------\nx %v\n", err)
			return exitConfig
		}
		_, _ = fmt.Fprintln(stdout, "√ Component configuration")
	}
	_, _ = fmt.Fprintln(stdout, "Validated ("+versionLine+")")
	return exitOK
}

// api serves GET and HEAD /health, and the stand-in's own way to tap. The gRPC service behind `vector top` and `vector tap` is
// not there.
type api struct {
	draining atomic.Bool
	srv      *http.Server
}

func startAPI(cfg *config, reg *registry, log *logger) (*api, error) {
	a := &api{}
	if !cfg.apiEnabled {
		return a, nil
	}
	lis, err := net.Listen("tcp", cfg.apiAddress)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", a.health)
	mux.Handle("GET /lab/tap", &reg.taps)
	a.srv = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = a.srv.Serve(lis) }()
	log.info("api", "API server running.", "address", lis.Addr().String())
	return a, nil
}

func (a *api) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if a.draining.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"ok":false}`)
		return
	}
	_, _ = io.WriteString(w, `{"ok":true}`)
}

func (a *api) close() {
	if a.srv != nil {
		_ = a.srv.Close()
	}
}
