package main

import (
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// config holds the GF_ settings that change what the stand-in does; other names are accepted, as Grafana accepts them.
type config struct {
	env                   map[string]string
	addr, port            string
	rootURL               string // with a slash at the end
	subURL                string // path of rootURL without it, or empty
	fromSubPath           bool
	adminUser, adminPass  string
	dataDir, provisionDir string
	metricsOn             bool
	logLevel              slog.Level
}

// loadConfig reads the environment. GF_X__FILE gives the value of GF_X, and setting both is an error: the rule of the
// image's run.sh.
func loadConfig(environ []string) (config, error) {
	env, err := resolveFiles(environ)
	if err != nil {
		return config{}, err
	}
	if err := expandSettings(env); err != nil {
		return config{}, err
	}
	get := func(name, fallback string) string {
		if v, ok := env[name]; ok && v != "" {
			return v
		}
		return fallback
	}
	cfg := config{
		env:          env,
		addr:         get("GF_SERVER_HTTP_ADDR", ""),
		port:         get("GF_SERVER_HTTP_PORT", "3000"),
		adminUser:    get("GF_SECURITY_ADMIN_USER", "admin"),
		adminPass:    get("GF_SECURITY_ADMIN_PASSWORD", "admin"),
		dataDir:      get("GF_PATHS_DATA", "/var/lib/grafana"),
		provisionDir: get("GF_PATHS_PROVISIONING", "/etc/grafana/provisioning"),
	}
	cfg.rootURL = strings.TrimRight(get("GF_SERVER_ROOT_URL", "http://localhost:"+cfg.port+"/"), "/") + "/"
	u, err := url.Parse(cfg.rootURL)
	if err != nil || u.Host == "" {
		return cfg, fmt.Errorf("GF_SERVER_ROOT_URL %q is not a URL", cfg.rootURL)
	}
	cfg.subURL = strings.TrimRight(u.Path, "/")
	if cfg.fromSubPath, err = strconv.ParseBool(get("GF_SERVER_SERVE_FROM_SUB_PATH", "false")); err != nil {
		return cfg, fmt.Errorf("GF_SERVER_SERVE_FROM_SUB_PATH: %w", err)
	}
	if cfg.metricsOn, err = strconv.ParseBool(get("GF_METRICS_ENABLED", "true")); err != nil {
		return cfg, fmt.Errorf("GF_METRICS_ENABLED: %w", err)
	}
	// An unknown level is not an error in Grafana either.
	_ = cfg.logLevel.UnmarshalText([]byte(get("GF_LOG_LEVEL", "info")))
	return cfg, nil
}

func resolveFiles(environ []string) (map[string]string, error) {
	env := map[string]string{}
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok {
			env[k] = v
		}
	}
	for k, file := range env {
		name, ok := strings.CutSuffix(k, "__FILE")
		if !ok || !strings.HasPrefix(k, "GF_") {
			continue
		}
		if _, both := env[name]; both {
			return nil, fmt.Errorf("both %s and %s are set (but are exclusive)", name, k)
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		delete(env, k)
		env[name] = strings.TrimRight(string(raw), "\n") // as $(<file) in the shell
	}
	return env, nil
}

// expandSettings fills in ${X}, $__env{X} and $__file{path} in the settings, after the environment has overridden them
// (pkg/setting/setting.go, expanders.go). It is the way to a secret that is not in the environment of the process.
func expandSettings(env map[string]string) error {
	ex := newExpander(env)
	for name, value := range env {
		if !strings.HasPrefix(name, "GF_") {
			continue
		}
		expanded, err := ex.expandSetting(value)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		env[name] = expanded
	}
	return nil
}
