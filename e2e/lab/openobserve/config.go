package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// config holds the settings that change what the stand-in answers. Every other ZO_ name is accepted and only recorded,
// because the real server ignores names that it does not know.
type config struct {
	rootEmail, rootPassword string
	baseURI, addr, port     string
	dataDir                 string
	allowedUptoHours        int64
	allowedFutureHours      int64
	retentionDays           int64
	colsLimit               int64
	payloadLimit            int64 // bytes
	flattenLevel            int64 // 0: unlimited
	queryLimit              int64
	statsInterval           time.Duration
	fileRetention           time.Duration
	retentionInterval       time.Duration
	deleteDelay             time.Duration
	diskBreaker             bool
	diskThreshold           int64 // below 100 per cent used, else MB free
	orgHeader, streamHeader string
	prometheus, ui          bool
	telemetry               bool
	cluster, instance, role string
	set                     []string // ZO_ names found, sorted
}

var errRetention = errors.New("Data retention is not allowed to be less than 3 days.") //nolint:staticcheck // the real server's words

// loadConfig reads the ZO_ variables. It errors on a value that is not of the variable's type and on the combinations
// that stop the real server.
func loadConfig(env map[string]string) (config, error) {
	r := envReader{env: env}
	cfg := config{
		rootEmail:          r.str("ZO_ROOT_USER_EMAIL", ""),
		rootPassword:       r.str("ZO_ROOT_USER_PASSWORD", ""),
		baseURI:            strings.TrimRight(r.str("ZO_BASE_URI", ""), "/"),
		addr:               r.str("ZO_HTTP_ADDR", ""),
		port:               r.str("ZO_HTTP_PORT", "5080"),
		dataDir:            r.str("ZO_DATA_DIR", "./data/openobserve/"),
		allowedUptoHours:   r.num("ZO_INGEST_ALLOWED_UPTO", 5),
		allowedFutureHours: r.num("ZO_INGEST_ALLOWED_IN_FUTURE", 24),
		retentionDays:      r.num("ZO_COMPACT_DATA_RETENTION_DAYS", 3650),
		colsLimit:          r.num("ZO_COLS_PER_RECORD_LIMIT", 1000),
		payloadLimit:       r.num("ZO_PAYLOAD_LIMIT", 209715200),
		flattenLevel:       r.num("ZO_INGEST_FLATTEN_LEVEL", 3),
		queryLimit:         r.num("ZO_QUERY_DEFAULT_LIMIT", 1000),
		statsInterval:      time.Duration(max(1, r.num("ZO_CALCULATE_STATS_INTERVAL", 600))) * time.Second,
		fileRetention:      time.Duration(max(1, r.num("ZO_MAX_FILE_RETENTION_TIME", 600))) * time.Second,
		retentionInterval:  time.Duration(max(1, r.num("ZO_COMPACT_DATA_RETENTION_INTERVAL", 3600))) * time.Second,
		deleteDelay:        time.Duration(max(0, r.num("ZO_COMPACT_DELETE_FILES_DELAY_MINUTES", 120))) * time.Minute,
		diskBreaker:        r.flag("ZO_DISK_CIRCUIT_BREAKER_ENABLED", false),
		diskThreshold:      max(0, r.num("ZO_DISK_CIRCUIT_BREAKER_THRESHOLD", 90)),
		orgHeader:          r.str("ZO_GRPC_ORG_HEADER_KEY", "organization"),
		streamHeader:       r.str("ZO_GRPC_STREAM_HEADER_KEY", "stream-name"),
		prometheus:         r.flag("ZO_PROMETHEUS_ENABLED", true),
		ui:                 r.flag("ZO_UI_ENABLED", true),
		telemetry:          r.flag("ZO_TELEMETRY", true),
		cluster:            r.str("ZO_CLUSTER_NAME", "zo1"),
		instance:           r.str("ZO_INSTANCE_NAME", hostname()),
		role:               r.str("ZO_NODE_ROLE", "all"),
	}
	if r.err != nil {
		return cfg, r.err
	}
	if _, err := strconv.ParseUint(cfg.port, 10, 16); err != nil {
		return cfg, fmt.Errorf("ZO_HTTP_PORT %q is not a port", cfg.port)
	}
	if cfg.retentionDays > 0 && cfg.retentionDays < 3 {
		return cfg, errRetention
	}
	if cfg.baseURI != "" && !strings.HasPrefix(cfg.baseURI, "/") {
		return cfg, fmt.Errorf("ZO_BASE_URI %q must start with a slash", cfg.baseURI)
	}
	for k := range env {
		if strings.HasPrefix(k, "ZO_") {
			cfg.set = append(cfg.set, k)
		}
	}
	slices.Sort(cfg.set)
	return cfg, nil
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

// envReader keeps the first error, so that loadConfig reads like the list of variables that it is.
type envReader struct {
	env map[string]string
	err error
}

func (r *envReader) str(name, fallback string) string {
	if v, ok := r.env[name]; ok {
		return v
	}
	return fallback
}

func (r *envReader) num(name string, fallback int64) int64 {
	v, ok := r.env[name]
	if !ok {
		return fallback
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("config error: %s=%q is not an integer", name, v)
	}
	return n
}

func (r *envReader) flag(name string, fallback bool) bool {
	v, ok := r.env[name]
	if !ok {
		return fallback
	}
	b, err := strconv.ParseBool(strings.ToLower(v))
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("config error: %s=%q is not a boolean", name, v)
	}
	return b
}
