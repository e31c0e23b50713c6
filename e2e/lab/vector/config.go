package main

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// minDiskBuffer is two data files of 128 MiB and one record header, in bytes.
const minDiskBuffer = 268435488

// unlimited stands for "no limit" of events or bytes.
const unlimited = int64(1) << 62

type config struct {
	dataDir        string
	apiEnabled     bool
	apiAddress     string
	healthchecks   bool
	requireHealthy bool
	components     []*node // sources, transforms and sinks, by file and then in order of id
	tests          []*unitTest
	warnings       []string
}

// node is one configured component. Its conf is a *dockerConf, *journaldConf, *scrapeConf, *nginxConf,
// *internalConf, *vectorSourceConf, *program, *routeConf, *portConf, *limitConf (transforms) or *sinkConf.
type node struct {
	id, kind, typ, file string
	inputs              []string // as written; resolved after all files are read
	from                []*node
	conf                any
}

func (n *node) String() string { return fmt.Sprintf("%s %q", n.kind, n.id) }

type dockerConf struct {
	host             string
	include, exclude []string
	labels, images   []string
	backoff          time.Duration
	merge            bool
	partialMarker    string
}

type scrapeConf struct {
	endpoints                []*url.URL
	interval, timeout        time.Duration
	instanceTag, endpointTag string
	honorLabels              bool
	auth                     *basicAuth
}

type nginxConf struct {
	endpoints []string
	interval  time.Duration
	namespace string
	auth      *basicAuth
}

type internalConf struct {
	interval        time.Duration
	namespace       string
	hostKey, pidKey string
}

type vectorSourceConf struct{ address string }

type basicAuth struct{ user, password string }

type sinkConf struct {
	typ         string
	endpoint    *url.URL // http, prometheus_remote_write
	method      string   // http
	targets     []string // vector: host:port
	compression string
	auth        *basicAuth
	headers     map[string]string
	namespace   string // prometheus_remote_write: default_namespace
	aggregate   bool
	expire      time.Duration
	keepalive   time.Duration // vector; zero: off
	keepTimeout time.Duration
	listen      string        // prometheus_exporter
	flush       time.Duration // prometheus_exporter
	batch       batchConf
	request     requestConf
	retry       retryTable
	buffer      bufferConf
	ack         bool
	health      healthConf
}

type batchConf struct {
	events, bytes int64
	timeout       time.Duration
}

type requestConf struct {
	timeout     time.Duration
	initial     time.Duration
	longest     time.Duration
	attempts    int64
	jitter      bool
	concurrency int
}

type bufferConf struct {
	disk      bool
	maxSize   int64
	maxEvents int
	drop      bool
}

type healthConf struct {
	enabled bool
	uri     *url.URL
}

// configError lists everything wrong with a configuration; Vector exits with 78 for it.
type configError struct{ errs []error }

func (e *configError) Error() string {
	lines := make([]string, len(e.errs))
	for i, err := range e.errs {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// configPaths lists the files of dirs and the files matching patterns, in order.
func configPaths(dirs, patterns []string) ([]string, error) {
	var paths []string
	for _, p := range patterns {
		found, err := filepath.Glob(p)
		if err != nil {
			return nil, fmt.Errorf("config path %q: %w", p, err)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("config file not found in path %q", p)
		}
		paths = append(paths, found...)
	}
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("could not read config dir %q: %w", dir, err)
		}
		for _, e := range entries {
			switch {
			case e.IsDir():
				// Vector reads these as one component per file; the bundle has none.
				if slices.Contains([]string{"sources", "transforms", "sinks", "tests", "enrichment_tables"}, e.Name()) {
					return nil, fmt.Errorf("config dir %q: subfolder %q is not supported by the stand-in", dir, e.Name())
				}
			case slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(e.Name())):
				paths = append(paths, filepath.Join(dir, e.Name()))
			case slices.Contains([]string{".toml", ".json"}, filepath.Ext(e.Name())):
				return nil, fmt.Errorf("config dir %q: %q: only YAML is supported by the stand-in", dir, e.Name())
			}
		}
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("no configuration files found; the image has no default configuration")
	}
	return paths, nil
}

// loadFiles reads the files, puts secrets in unless resolve is false, and returns a checked
// configuration or a *configError.
func loadFiles(paths []string, resolve bool) (*config, error) {
	texts := map[string]string{}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			return nil, fmt.Errorf("config file %q: %w", p, err)
		}
		texts[p] = string(b)
	}
	return load(paths, texts, resolve)
}

func load(paths []string, texts map[string]string, resolve bool) (*config, error) {
	var errs []error
	secrets, err := collectSecrets(paths, texts, resolve)
	if err != nil {
		return nil, &configError{[]error{err}}
	}
	cfg := &config{dataDir: "/var/lib/vector", apiAddress: "127.0.0.1:8686", healthchecks: true}
	m := &merger{cfg: cfg, seen: map[string]string{}, errs: &errs}
	for _, p := range paths {
		doc, err := parseYAML(p, substitute(texts[p], secrets))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		m.file(p, doc)
	}
	if len(errs) == 0 {
		errs = resolveGraph(cfg)
	}
	if len(errs) == 0 {
		errs = checkTests(cfg)
	}
	if len(errs) > 0 {
		return nil, &configError{errs}
	}
	return cfg, nil
}

func parseYAML(file, text string) (map[string]any, error) {
	var doc map[string]any
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return doc, nil
}

var secretPattern = regexp.MustCompile(`SECRET\[([[:word:]-]+)\.([[:word:].\-/]+)\]`)

// collectSecrets reads the backends of every file and each value the texts name. Placeholders are
// put in as text, before the YAML is read, as Vector does.
func collectSecrets(paths []string, texts map[string]string, resolve bool) (map[string]string, error) {
	var errs []error
	backends := map[string]func(string) (string, error){}
	for _, p := range paths {
		doc, err := parseYAML(p, texts[p])
		if err != nil {
			return nil, err
		}
		secret := newOptions(p+": secret", doc["secret"], &errs)
		for name := range secret.values {
			if backends[name] != nil {
				return nil, fmt.Errorf("%s: duplicate secret id found: %s", p, name)
			}
			backends[name] = secretBackend(secret.sub(name))
		}
	}
	if len(errs) > 0 {
		return nil, &configError{errs}
	}
	values := map[string]string{}
	for _, p := range paths {
		for _, m := range secretPattern.FindAllStringSubmatch(texts[p], -1) {
			if !resolve {
				continue
			}
			read := backends[m[1]]
			if read == nil {
				return nil, fmt.Errorf("%s: backend %q is required for secret retrieval but was not found in config", p, m[1])
			}
			v, err := read(m[2])
			if err != nil {
				return nil, fmt.Errorf("%s: error while retrieving secret from backend %q: %w", p, m[1], err)
			}
			values[m[0]] = v
		}
	}
	return values, nil
}

func secretBackend(o *options) func(key string) (string, error) {
	if typ := o.needStr("type"); typ != "directory" && typ != "" {
		o.fail("secret backend type %q is unknown to the stand-in", typ)
	}
	dir, trim := o.needStr("path"), o.boolean("remove_trailing_whitespace", false)
	o.end()
	return func(key string) (string, error) {
		b, err := os.ReadFile(filepath.Join(dir, key))
		if err != nil {
			return "", err
		}
		s := string(b)
		if trim {
			s = strings.TrimRight(s, " \t\r\n\v\f")
		}
		if s == "" {
			return "", fmt.Errorf("secret in file %q was empty", key)
		}
		return s, nil
	}
}

func substitute(text string, secrets map[string]string) string {
	return secretPattern.ReplaceAllStringFunc(text, func(p string) string {
		if v, ok := secrets[p]; ok {
			return v
		}
		return p
	})
}

// merger joins the files into one configuration.
type merger struct {
	cfg  *config
	seen map[string]string // id or global option -> file
	errs *[]error
}

func (m *merger) file(file string, doc map[string]any) {
	o := newOptions(file, doc, m.errs)
	if o.has("data_dir") {
		dir := o.str("data_dir", "")
		if other, dup := m.seen["data_dir"]; dup && dir != m.cfg.dataDir {
			o.fail("conflicting values for 'data_dir' found (also in %s)", other)
		}
		m.seen["data_dir"], m.cfg.dataDir = file, dir
	}
	m.api(o.sub("api"), file)
	if o.has("healthchecks") {
		h := o.sub("healthchecks")
		m.cfg.healthchecks = h.boolean("enabled", true)
		m.cfg.requireHealthy = h.boolean("require_healthy", false)
		h.end()
	}
	o.get("secret") // read before, by collectSecrets
	m.tests(o)
	o.lacks("enrichment_tables", "schema", "log_schema", "timezone", "proxy", "acknowledgements",
		"expire_metrics", "expire_metrics_secs", "expire_metrics_per_metric_set", "wildcard_matching", "telemetry",
		"metrics_storage_refresh_period", "buffer_utilization_ewma_half_life_seconds", "provider", "graph",
		"latency_ewma_alpha", "utilization_ewma_alpha", "pipelines", "windows", "process_runtime")
	m.section(o, file, "source", "sources", readSource)
	m.section(o, file, "transform", "transforms", readTransform)
	m.section(o, file, "sink", "sinks", readSink)
	o.end()
}

func (m *merger) api(o *options, file string) {
	if o.boolean("enabled", false) {
		m.cfg.apiEnabled = true
	}
	if o.has("address") {
		addr := o.str("address", "")
		if _, _, err := net.SplitHostPort(addr); err != nil || net.ParseIP(hostOf(addr)) == nil {
			o.fail("\"address\": invalid socket address syntax: %q", addr)
		}
		if other, dup := m.seen["api"]; dup && addr != m.cfg.apiAddress {
			o.fail("conflicting `api` address (also in %s)", other)
		}
		m.seen["api"], m.cfg.apiAddress = file, addr
	}
	for _, gone := range []string{"graphql", "playground"} {
		if o.has(gone) {
			o.fail("unknown field %q (removed in Vector 0.55)", gone)
		}
	}
	o.end()
}

func hostOf(addr string) string {
	host, _, _ := net.SplitHostPort(addr)
	return host
}

var componentID = regexp.MustCompile(`^[^.\s]+$`)

func (m *merger) section(o *options, file, kind, key string, read func(n *node, o *options)) {
	sec := o.sub(key)
	for _, id := range sortedKeys(sec.values) {
		c := sec.sub(id)
		n := &node{id: id, kind: kind, file: file, typ: c.needStr("type")}
		if other, dup := m.seen["component "+kind+" "+id]; dup {
			c.fail("duplicate %s id found: %s (also in %s)", kind, id, other)
			continue
		}
		m.seen["component "+kind+" "+id] = file
		if !componentID.MatchString(id) {
			c.fail("component id %q must not hold a dot or a space", id)
		}
		if kind != "source" {
			n.inputs = c.strings("inputs")
			if len(n.inputs) == 0 {
				c.fail("%s %q has no inputs", kind, id)
			}
			for i, in := range n.inputs {
				if slices.Contains(n.inputs[:i], in) {
					c.fail("%s %q has input %q duplicated", kind, id, in)
				}
			}
		}
		c.lacks("graph", "proxy")
		before := len(*m.errs)
		read(n, c)
		// The wrong type makes every other key look unknown.
		if n.conf != nil || len(*m.errs) == before {
			c.end()
		}
		m.cfg.components = append(m.cfg.components, n)
		m.cfg.components = append(m.cfg.components, n.ports()...)
	}
}

func sortedKeys[T any](m map[string]T) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func unknownType(n *node, o *options) {
	if n.typ != "" {
		o.fail("%s type %q is unknown to the stand-in (it is not Vector and has only what the bundle uses)", n.kind, n.typ)
	}
}

// resolveGraph links inputs to components and refuses what cannot be a graph.
func resolveGraph(cfg *config) []error {
	var errs []error
	used, counts, names := map[*node]bool{}, map[string]int{}, map[string]*node{}
	for _, n := range cfg.components {
		for _, from := range n.from { // of an output
			used[from] = true
		}
		counts[n.kind]++
		if other := names[n.id]; other != nil {
			errs = append(errs, fmt.Errorf("more than one component with name %q (%s and %s)", n.id, other.kind, n.kind))
		}
		names[n.id] = n
	}
	for _, kind := range []string{"source", "sink"} {
		if counts[kind] == 0 {
			errs = append(errs, fmt.Errorf("no %ss defined in the config", kind))
		}
	}
	for _, n := range cfg.components {
		for _, in := range n.inputs {
			found := matching(cfg, n, in)
			if len(found) == 0 {
				errs = append(errs, fmt.Errorf("%s: input %q for %s doesn't match any components", n.file, in, n))
			}
			for _, f := range found {
				used[f] = true
				if !slices.Contains(n.from, f) {
					n.from = append(n.from, f)
				}
			}
		}
	}
	for _, n := range cfg.components {
		if err := checkCycle(n, nil); err != nil {
			return append(errs, err)
		}
		if n.kind != "sink" && !used[n] {
			cfg.warnings = append(cfg.warnings, fmt.Sprintf("%s has no consumers", n))
		}
	}
	for _, n := range cfg.components {
		for _, f := range n.from {
			if out, in := f.emits(), n.accepts(); out&in == 0 {
				errs = append(errs, fmt.Errorf("%s: data type mismatch between %s (%s) and %s (%s)", n.file, f.id, out, n.id, in))
			}
		}
	}
	return errs
}

// matching returns the sources and transforms an input names; `*` and the other glob signs work as
// in Vector, and a component is no match for its own wildcard.
func matching(cfg *config, to *node, input string) []*node {
	var found []*node
	for _, n := range cfg.components {
		if _, split := n.conf.(*routeConf); split || n.kind == "sink" || n == to {
			continue // a route has named outputs alone
		}
		if ok, err := path.Match(input, n.id); n.id == input || (err == nil && ok) {
			found = append(found, n)
		}
	}
	return found
}

func checkCycle(n *node, trail []*node) error {
	if slices.Contains(trail, n) {
		return fmt.Errorf("%s: cyclic dependency detected at %s", n.file, n)
	}
	for _, f := range n.from {
		if err := checkCycle(f, append(trail, n)); err != nil {
			return err
		}
	}
	return nil
}

type dataType int

const (
	logData dataType = 1 << iota
	metricData
)

func (d dataType) String() string {
	switch d {
	case logData:
		return "Log"
	case metricData:
		return "Metric"
	}
	return "Log, Metric"
}

func (n *node) emits() dataType {
	switch n.typ {
	case "docker_logs", "journald":
		return logData
	case "prometheus_scrape", "nginx_metrics", "internal_metrics":
		return metricData
	}
	if n.kind == "source" && n.typ == "prometheus_remote_write" {
		return metricData
	}
	if n.kind == "transform" {
		var d dataType
		for _, f := range n.from {
			d |= f.emits()
		}
		return d
	}
	return logData | metricData
}

func (n *node) accepts() dataType {
	switch n.typ {
	case "prometheus_remote_write", "prometheus_exporter":
		return metricData
	case "tag_cardinality_limit":
		return metricData
	case "http":
		return logData // Vector's JSON codec takes metrics too; the stand-in's does not
	}
	return logData | metricData
}
