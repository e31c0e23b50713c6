package main

import (
	"net"
	"net/url"
	"strings"
	"time"
)

func readSource(n *node, o *options) {
	switch n.typ {
	case "docker_logs":
		n.conf = readDocker(o)
	case "journald":
		n.conf = readJournald(o)
	case "prometheus_scrape":
		n.conf = readScrape(o)
	case "nginx_metrics":
		n.conf = readNginx(o)
	case "internal_metrics":
		n.conf = readInternal(o)
	case "vector":
		n.conf = readVectorSource(o)
	case "prometheus_remote_write":
		n.conf = readRemoteWriteSource(o)
	default:
		unknownType(n, o)
	}
}

func readDocker(o *options) *dockerConf {
	c := &dockerConf{
		host:          o.str("docker_host", ""),
		include:       o.strings("include_containers"),
		exclude:       o.strings("exclude_containers"),
		labels:        o.strings("include_labels"),
		images:        o.strings("include_images"),
		backoff:       o.seconds("retry_backoff_secs", 2*time.Second, false),
		merge:         o.boolean("auto_partial_merge", true),
		partialMarker: o.str("partial_event_marker_field", "_partial"),
	}
	o.lacks("host_key", "multiline", "tls", "log_namespace")
	if _, _, err := dockerEndpoint(c.host); err != nil {
		o.fail("\"docker_host\": %v", err)
	}
	return c
}

func readScrape(o *options) *scrapeConf {
	c := &scrapeConf{
		interval:    o.seconds("scrape_interval_secs", 15*time.Second, false),
		timeout:     o.seconds("scrape_timeout_secs", 5*time.Second, true),
		instanceTag: o.str("instance_tag", ""),
		endpointTag: o.str("endpoint_tag", ""),
		honorLabels: o.boolean("honor_labels", false),
		auth:        readAuth(o),
	}
	if !o.has("endpoints") {
		o.fail("missing field %q", "endpoints")
	}
	for _, e := range o.strings("endpoints") {
		if u := o.httpURL("endpoints", e); u != nil {
			c.endpoints = append(c.endpoints, u)
		}
	}
	if c.interval == 0 {
		o.fail("\"scrape_interval_secs\": must not be zero")
	}
	o.lacks("hosts", "query", "tls", "request", "headers")
	return c
}

func readNginx(o *options) *nginxConf {
	c := &nginxConf{
		interval:  o.seconds("scrape_interval_secs", 15*time.Second, false),
		namespace: o.str("namespace", "nginx"),
		auth:      readAuth(o),
	}
	if !o.has("endpoints") {
		o.fail("missing field %q", "endpoints")
	}
	for _, e := range o.strings("endpoints") {
		if u := o.httpURL("endpoints", e); u != nil {
			c.endpoints = append(c.endpoints, e)
		}
	}
	if c.interval == 0 {
		o.fail("\"scrape_interval_secs\": must not be zero")
	}
	o.lacks("tls")
	return c
}

func readInternal(o *options) *internalConf {
	c := &internalConf{interval: o.seconds("scrape_interval_secs", time.Second, true), namespace: o.str("namespace", "vector")}
	tags := o.sub("tags")
	c.hostKey, c.pidKey = tags.str("host_key", "host"), tags.str("pid_key", "")
	tags.end()
	if c.interval == 0 {
		o.fail("\"scrape_interval_secs\": zero is not supported by the stand-in")
	}
	return c
}

func readVectorSource(o *options) *vectorSourceConf {
	c := &vectorSourceConf{address: o.needStr("address")}
	if net.ParseIP(hostOf(c.address)) == nil {
		o.fail("\"address\": invalid socket address syntax: %q", c.address)
	}
	// Vector accepts the source's own switch and gives it no effect.
	o.enabled("acknowledgements", false)
	if v := o.str("version", "2"); v != "2" {
		o.fail("\"version\": unknown variant %q", v)
	}
	o.lacks("tls", "keepalive", "log_namespace")
	return c
}

func readRemoteWriteSource(o *options) *remoteWriteSourceConf {
	c := &remoteWriteSourceConf{address: o.needStr("address"), path: o.str("path", "/")}
	if net.ParseIP(hostOf(c.address)) == nil {
		o.fail("\"address\": invalid socket address syntax: %q", c.address)
	}
	// Vector accepts the source's own switch and gives it no effect.
	o.enabled("acknowledgements", false)
	o.lacks("auth", "tls", "keepalive", "strict_path", "metadata_conflict_strategy", "skip_nan_values")
	return c
}

func readTransform(n *node, o *options) {
	switch n.typ {
	case "remap":
		n.conf = readRemap(o)
	case "filter":
		n.conf = readCondition(o, "condition")
	case "route":
		n.conf = readRoute(o)
	case "tag_cardinality_limit":
		n.conf = readLimit(o)
	default:
		unknownType(n, o)
	}
}

func readRemap(o *options) *program {
	src := o.needStr("source")
	o.lacks("file", "files", "metric_tag_values", "runtime", "timezone", "reroute_dropped", "drop_on_abort")
	p := compile(src)
	p.dropOnError = o.boolean("drop_on_error", false)
	return p
}

func readCondition(o *options, key string) *program {
	v, ok := o.get(key)
	if !ok {
		o.fail("missing field %q", key)
		return nil
	}
	src, short := v.(string)
	if !short {
		c := o.sub(key)
		if typ := c.needStr("type"); typ != "vrl" {
			c.fail("condition type %q is not supported by the stand-in", typ)
		}
		src = c.needStr("source")
		c.lacks("runtime")
		c.end()
	}
	p := compile(src)
	p.filter = true
	return p
}

func readSink(n *node, o *options) {
	c := &sinkConf{typ: n.typ}
	switch n.typ {
	case "vector":
		readVectorSink(c, o)
	case "http":
		readHTTPSink(c, o)
	case "prometheus_remote_write":
		readRemoteWrite(c, o)
	case "prometheus_exporter":
		readExporter(c, o)
	default:
		unknownType(n, o)
		return
	}
	c.buffer = readBuffer(o.sub("buffer"))
	c.ack = o.enabled("acknowledgements", false)
	c.health = readHealth(o)
	n.conf = c
}

func readVectorSink(c *sinkConf, o *options) {
	hasAddress, hasRouting := o.has("address"), o.has("routing")
	endpoints := []string{o.str("address", "")}
	switch {
	case hasAddress && hasRouting:
		o.fail("`address` and `routing` are mutually exclusive")
	case !hasAddress && !hasRouting:
		o.fail("one of `address` or `routing` is required")
	case hasRouting:
		r := o.sub("routing")
		endpoints = r.strings("endpoints")
		if len(endpoints) == 0 {
			r.fail("`endpoints` must not be empty")
		}
		r.oneOf("strategy", "load_balance", []string{"load_balance"}, []string{"failover", "failover_primary"})
		r.lacks("health")
		r.end()
	}
	if len(endpoints) > 1 {
		o.fail("more than one endpoint is not supported by the stand-in")
	}
	for _, e := range endpoints {
		readTarget(c, o, e)
	}
	if v, ok := o.get("compression"); ok {
		if _, old := v.(bool); old {
			o.fail("\"compression\": a boolean was removed in Vector 0.59; write \"none\", \"gzip\" or \"zstd\"")
		}
	}
	c.compression = o.oneOf("compression", "none", []string{"gzip", "zstd"}, nil)
	if o.has("keepalive") {
		k := o.sub("keepalive")
		c.keepalive, c.keepTimeout = k.seconds("interval_secs", time.Minute, false), k.seconds("timeout_secs", 20*time.Second, false)
		if c.keepalive == 0 || c.keepTimeout == 0 {
			k.fail("values must be greater than zero")
		}
		k.end()
	}
	if v := o.str("version", "2"); v != "2" {
		o.fail("\"version\": unknown variant %q", v)
	}
	o.lacks("tls")
	c.batch = readBatch(o.sub("batch"), batchConf{1000, unlimited, time.Second}, nil)
	c.request = readRequest(o.sub("request"), nil)
}

// readTarget takes `http://host:port`, and `host:port` as http, the rule up to Vector 0.60.
func readTarget(c *sinkConf, o *options, endpoint string) {
	if endpoint == "" {
		return
	}
	if !strings.Contains(endpoint, "://") {
		endpoint = "http://" + endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" {
		o.fail("invalid endpoint %q", endpoint)
		return
	}
	if u.Scheme != "http" {
		o.fail("endpoint scheme %q is not supported by the stand-in (no TLS)", u.Scheme)
	}
	if u.Port() == "" {
		o.fail("endpoint %q must include a port", endpoint)
	}
	c.targets = append(c.targets, u.Host)
}

func readHTTPSink(c *sinkConf, o *options) {
	c.endpoint = o.httpURL("uri", o.needStr("uri"))
	c.method = strings.ToUpper(o.oneOf("method", "post", []string{"put", "patch"}, []string{"get", "head", "delete", "options", "trace"}))
	c.compression = o.oneOf("compression", "none", []string{"gzip", "zstd"}, []string{"zlib", "snappy"})
	c.auth = readAuth(o)
	enc := o.sub("encoding")
	if !o.has("encoding") {
		o.fail("missing field %q", "encoding")
	} else if codec := enc.needStr("codec"); codec != "json" && codec != "" {
		enc.fail("codec %q is not supported by the stand-in", codec)
	}
	enc.oneOf("timestamp_format", "rfc3339", nil, []string{"unix", "unix_float", "unix_ms", "unix_ns", "unix_us"})
	enc.lacks("except_fields", "only_fields", "json", "metric_tag_values")
	enc.end()
	o.lacks("framing", "payload_prefix", "payload_suffix", "tls", "dangerously_allow_unconfined_template_resolution")
	c.batch = readBatch(o.sub("batch"), batchConf{unlimited, 10_000_000, time.Second}, nil)
	c.request = readRequest(o.sub("request"), c)
	c.retry = readRetry(o)
}

func readRemoteWrite(c *sinkConf, o *options) {
	c.endpoint = o.httpURL("endpoint", o.needStr("endpoint"))
	c.method = "POST"
	c.namespace = o.str("default_namespace", "")
	c.compression = o.oneOf("compression", "snappy", nil, []string{"none", "gzip", "zlib", "zstd"})
	c.auth = readAuth(o)
	c.expire = o.seconds("expire_metrics_secs", 0, true)
	o.lacks("buckets", "quantiles", "tenant_id", "tls", "aws", "dangerously_allow_unconfined_template_resolution")
	c.batch = readBatch(o.sub("batch"), batchConf{1000, unlimited, time.Second}, &c.aggregate)
	c.request = readRequest(o.sub("request"), c)
	c.retry = readRetry(o)
}

func readExporter(c *sinkConf, o *options) {
	c.listen = o.str("address", "0.0.0.0:9598")
	if net.ParseIP(hostOf(c.listen)) == nil {
		o.fail("\"address\": invalid socket address syntax: %q", c.listen)
	}
	c.flush = o.seconds("flush_period_secs", time.Minute, true)
	o.lacks("auth", "buckets", "default_namespace", "distributions_as_summaries", "quantiles", "suppress_timestamp", "tls")
	// It takes each event as it comes.
	c.batch = batchConf{events: 1000, bytes: unlimited, timeout: 10 * time.Millisecond}
	c.request = requestConf{timeout: time.Minute, initial: time.Second, longest: 30 * time.Second, attempts: unlimited, concurrency: 1}
}

func readAuth(o *options) *basicAuth {
	if !o.has("auth") {
		return nil
	}
	a := o.sub("auth")
	switch s := a.needStr("strategy"); s {
	case "basic":
		b := &basicAuth{a.needStr("user"), a.needStr("password")}
		a.end()
		return b
	case "":
	case "bearer", "aws", "custom":
		a.fail("strategy %q is not supported by the stand-in", s)
	default:
		a.fail("unknown variant %q for \"strategy\"", s)
	}
	return nil
}

func readBatch(o *options, def batchConf, aggregate *bool) batchConf {
	if aggregate != nil {
		*aggregate = o.boolean("aggregate", true)
	}
	b := batchConf{
		events:  o.integer("max_events", def.events, 1),
		bytes:   o.integer("max_bytes", def.bytes, 1),
		timeout: o.seconds("timeout_secs", def.timeout, true),
	}
	if b.timeout == 0 {
		o.fail("\"timeout_secs\" must be greater than zero")
	}
	o.end()
	return b
}

// readRequest reads the request settings; http is set for sinks that also take headers.
func readRequest(o *options, http *sinkConf) requestConf {
	r := requestConf{
		timeout:  o.seconds("timeout_secs", time.Minute, false),
		initial:  o.seconds("retry_initial_backoff_secs", time.Second, false),
		longest:  o.seconds("retry_max_duration_secs", 30*time.Second, false),
		attempts: o.integer("retry_attempts", unlimited, 0),
	}
	r.jitter = o.oneOf("retry_jitter_mode", "Full", []string{"None"}, nil) == "Full"
	r.concurrency = readConcurrency(o)
	if http != nil && o.has("headers") {
		http.headers = map[string]string{}
		h := o.sub("headers")
		for k := range h.values {
			if http.headers[k] = h.str(k, ""); strings.Contains(http.headers[k], "{{") {
				h.fail("%q: templates are not supported by the stand-in", k)
			}
		}
	}
	if r.timeout == 0 || r.initial == 0 || r.longest == 0 {
		o.fail("durations must be greater than zero")
	}
	o.lacks("adaptive_concurrency", "rate_limit_num", "rate_limit_duration_secs")
	o.end()
	return r
}

// adaptiveConcurrency is what `adaptive` (Vector's default) means here: the stand-in does not probe.
const adaptiveConcurrency = 4

func readConcurrency(o *options) int {
	v, ok := o.get("concurrency")
	if !ok {
		return adaptiveConcurrency
	}
	switch v {
	case "adaptive":
		return adaptiveConcurrency
	case "none":
		return 1
	}
	if _, text := v.(string); text {
		o.fail("\"concurrency\": expected \"adaptive\", \"none\" or an integer, got %q", v)
		return 1
	}
	return int(o.integer("concurrency", 1, 1))
}

func readRetry(o *options) retryTable {
	if !o.has("retry_strategy") {
		return retryTable{mode: "default"}
	}
	r := o.sub("retry_strategy")
	t := retryTable{mode: r.needStr("type")}
	switch t.mode {
	case "none", "default", "all":
	case "custom":
		t.codes = readCodes(r)
	default:
		r.fail("unknown variant %q for \"type\", expected one of none, default, all, custom", t.mode)
	}
	r.end()
	return t
}

func readCodes(o *options) []int {
	v, ok := o.get("status_codes")
	list, isList := v.([]any)
	if !ok || !isList {
		o.fail("\"status_codes\": expected a sequence of status codes")
		return nil
	}
	var codes []int
	for _, e := range list {
		n, ok := e.(int)
		if !ok || n < 100 || n > 999 {
			o.fail("\"status_codes\": invalid status code %v", e)
			continue
		}
		codes = append(codes, n)
	}
	return codes
}

func readHealth(o *options) healthConf {
	h := healthConf{enabled: true}
	if v, _ := o.get("healthcheck"); v == false || v == true {
		h.enabled = v == true
		return h
	}
	s := o.sub("healthcheck")
	h.enabled = s.boolean("enabled", true)
	if raw := s.str("uri", ""); raw != "" {
		h.uri = s.httpURL("uri", raw)
	}
	s.lacks("timeout")
	s.end()
	return h
}

func readBuffer(o *options) bufferConf {
	b := bufferConf{maxEvents: 500}
	b.drop = o.oneOf("when_full", "block", []string{"drop_newest"}, []string{"overflow"}) == "drop_newest"
	switch typ := o.str("type", "memory"); typ {
	case "memory":
		hasEvents, hasSize := o.has("max_events"), o.has("max_size")
		if hasEvents && hasSize {
			o.fail("memory buffers take `max_events` or `max_size`, not both")
		} else if hasSize {
			o.fail("`max_size` of a memory buffer is not supported by the stand-in")
		}
		b.maxEvents = int(o.integer("max_events", 500, 1))
	case "disk":
		b.disk = true
		if o.has("max_events") {
			o.fail("`max_events` is not allowed on a disk buffer")
		}
		if !o.has("max_size") {
			o.fail("missing field %q", "max_size")
		}
		b.maxSize = o.integer("max_size", minDiskBuffer, minDiskBuffer)
	default:
		o.fail("unknown buffer type %q", typ)
	}
	o.end()
	return b
}
