package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// output is where a source or a transform sends to: the programs and buffers behind it.
type output struct {
	c     *component
	id    string // that of the node, also of an output of a route
	name  string
	kill  context.Context // ends when nothing may be delivered any more
	to    []receiver
	acked bool
}

type receiver func(ctx context.Context, events []event) error

// acks says whether a sink behind this output wants its sources to wait.
func (o *output) acks() bool { return o.acked }

// send passes the events and their acknowledgements to every consumer, and blocks while one of them
// is full: that is how back pressure reaches the source.
func (o *output) send(ctx context.Context, events []event) error {
	if len(events) == 0 {
		return nil
	}
	o.c.sent(events, o.name)
	o.c.reg.taps.show(o.id, events)
	if len(o.to) == 0 {
		settleAll(events, delivered)
		return nil
	}
	copies := make([][]event, len(o.to))
	copies[0] = events
	for i := range o.to[1:] {
		copies[i+1] = make([]event, len(events))
		for j, e := range events {
			e.ack.hold(1)
			copies[i+1][j] = e.clone()
		}
	}
	var errs []error
	for i, to := range o.to {
		errs = append(errs, to(ctx, copies[i]))
	}
	return errors.Join(errs...)
}

// transform runs one program.
type transform struct {
	c   *component
	p   *program
	out *output
}

func (t *transform) receive(ctx context.Context, events []event) error {
	t.c.received(events)
	kept := make([]event, 0, len(events))
	for _, e := range events {
		out, keep, err := t.p.run(e)
		if err != nil {
			t.c.failed("Mapping failed with event.", err, "conversion_failed", "processing")
		}
		if !keep {
			e.ack.settle(delivered)
			reason := "false"
			if t.p.filter {
				reason = "true"
			}
			t.c.discarded(1, reason)
			continue
		}
		kept = append(kept, out)
	}
	return t.out.send(ctx, kept)
}

// source runs until ctx ends; an error ends the whole process.
type source interface {
	run(ctx context.Context) error
}

// topology is a running graph.
type topology struct {
	log     *logger
	reg     *registry
	kill    context.Context
	cut     context.CancelFunc
	sources map[string]source
	sinks   []*sink
	outputs map[*node]*output
	parts   map[*node]*component
	fatal   chan error

	receivers map[string]receiver // of transforms and sinks, by id
	live      *liveSources
	reloads   chan func() error // run between the start of the sources and their end
}

func newTopology(log *logger) *topology {
	t := &topology{
		log: log, reg: newRegistry(), sources: map[string]source{},
		outputs: map[*node]*output{}, parts: map[*node]*component{}, fatal: make(chan error, 1),
		receivers: map[string]receiver{}, reloads: make(chan func() error),
	}
	t.kill, t.cut = context.WithCancel(context.Background())
	return t
}

// build makes the components of cfg. Its errors are configuration errors.
func build(cfg *config, log *logger) (*topology, error) {
	t := newTopology(log)
	t.processMetrics()
	for _, n := range cfg.components {
		t.part(n)
	}
	for _, n := range cfg.components {
		if err := t.add(cfg, n); err != nil {
			t.release()
			return nil, fmt.Errorf("%s %q: %w", n.kind, n.id, err)
		}
	}
	return t, nil
}

// part makes what counts for a node, and its output.
func (t *topology) part(n *node) {
	name, c := "_default", &component{id: n.id, kind: n.kind, typ: n.typ, reg: t.reg, log: t.log}
	if port, is := n.conf.(*portConf); is {
		name, c = port.name, t.parts[n.from[0]]
	}
	t.parts[n] = c
	if n.kind != "sink" {
		t.outputs[n] = &output{c: c, id: n.id, name: name, kill: t.kill}
	}
}

// transformer is how a transform takes events, nil where the node is none.
func (t *topology) transformer(cfg *config, n *node) receiver {
	c, out := t.parts[n], t.outputs[n]
	switch conf := n.conf.(type) {
	case *program:
		return (&transform{c: c, p: conf, out: out}).receive
	case *limitConf:
		return (&limited{l: newLimiter(c, conf), out: out}).receive
	case *routeConf:
		r := &router{c: c, conf: conf, ports: map[string]*output{}}
		for _, other := range cfg.components {
			if port, is := other.conf.(*portConf); is && other.from[0] == n {
				r.ports[port.name] = t.outputs[other]
			}
		}
		return r.receive
	}
	return nil
}

func (t *topology) processMetrics() {
	start := time.Now()
	t.reg.gaugeFunc("uptime_seconds", func() float64 { return time.Since(start).Truncate(time.Second).Seconds() })
	t.reg.gaugeFunc("build_info", func() float64 { return 1 },
		"debug", "false", "version", vectorVersion, "arch", runtime.GOARCH, "revision", "lab-stand-in")
	t.reg.get(false, "started_total", nil).add(1)
}

func (t *topology) add(cfg *config, n *node) error {
	c, out := t.parts[n], t.outputs[n]
	into := t.transformer(cfg, n)
	switch conf := n.conf.(type) {
	case *portConf:
		return nil
	case *program:
		for _, s := range conf.skipped {
			t.log.write(levelWarn, "transforms::"+n.typ, "vrl statement passed over", []any{"component_id", n.id, "statement", s})
		}
	case *routeConf, *limitConf:
	case *sinkConf:
		s, err := t.newSink(cfg, n, conf)
		if err != nil {
			return err
		}
		t.sinks = append(t.sinks, s)
		into = s.buf.put
	default:
		src, err := newSource(cfg, c, conf, out)
		t.sources[n.id] = src
		return err
	}
	t.receivers[n.id] = into
	for _, from := range n.from {
		t.outputs[from].to = append(t.outputs[from].to, into)
	}
	if conf, ok := n.conf.(*sinkConf); ok && conf.ack {
		t.markAcked(n)
	}
	return nil
}

func (t *topology) markAcked(n *node) {
	for _, from := range n.from {
		t.outputs[from].acked = true
		t.markAcked(from)
	}
}

func newSource(cfg *config, c *component, conf any, out *output) (source, error) {
	switch conf := conf.(type) {
	case *dockerConf:
		return newDockerSource(c, conf, out)
	case *journaldConf:
		return newJournaldSource(c, conf, out, cfg.dataDir)
	case *scrapeConf:
		return &scrapeSource{c, conf, out, newHTTPClient()}, nil
	case *nginxConf:
		return &nginxSource{c, conf, out, newHTTPClient()}, nil
	case *internalConf:
		return &internalSource{c, conf, out}, nil
	case *vectorSourceConf:
		return &vectorSource{c, conf, out}, nil
	case *remoteWriteSourceConf:
		return &remoteWriteSource{c, conf, out}, nil
	}
	return nil, fmt.Errorf("no source for %T", conf)
}

func (t *topology) newSink(cfg *config, n *node, conf *sinkConf) (*sink, error) {
	s := &sink{c: t.parts[n], conf: conf, takes: n.accepts()}
	var err error
	switch n.typ {
	case "vector":
		s.sender, err = newVectorSender(conf)
	case "http":
		s.sender, err = newLogPoster(s.c, conf)
	case "prometheus_exporter":
		s.sender = newExporter(s.c, conf)
	default:
		s.sender = newRemoteWriter(s.c, conf)
	}
	if err != nil {
		return nil, err
	}
	if !conf.buffer.disk {
		s.buf = newMemoryBuffer(conf.buffer, conf.ack, s.c)
		return s, nil
	}
	if err := checkDataDir(cfg.dataDir); err != nil {
		return nil, err
	}
	s.buf, err = openDiskBuffer(filepath.Join(cfg.dataDir, "buffer", "v2", n.id), conf.buffer, s.c, t.fail)
	return s, err
}

// checkDataDir refuses a data_dir that is missing or read-only; Vector does not create it either.
func checkDataDir(dir string) error {
	st, err := os.Stat(dir)
	if err != nil || !st.IsDir() {
		return fmt.Errorf("data_dir %q does not exist", dir)
	}
	f, err := os.CreateTemp(dir, ".write-check-*")
	if err != nil {
		return fmt.Errorf("data_dir %q is not writable: %w", dir, err)
	}
	_ = f.Close()
	return os.Remove(f.Name())
}

// fail reports an error nothing can go on after; only the first one counts.
func (t *topology) fail(err error) {
	select {
	case t.fatal <- err:
	default:
	}
}

// checkHealth asks every sink once. It logs the results; with required it also returns the first failure.
func (t *topology) checkHealth(ctx context.Context, enabled, required bool) error {
	if !enabled {
		return nil
	}
	var wg sync.WaitGroup
	errs := make([]error, len(t.sinks))
	for i, s := range t.sinks {
		if !s.conf.health.enabled {
			t.log.info("topology::builder", "Healthcheck disabled.", "component_id", s.c.id)
			continue
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			one, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			if err := s.sender.health(one); err != nil {
				t.log.fail("topology::builder", "Healthcheck failed.", "error", err, "component_kind", "sink", "component_type", s.c.typ, "component_id", s.c.id)
				errs[i] = fmt.Errorf("sink %q: %w", s.c.id, err)
				return
			}
			t.log.info("topology::builder", "Healthcheck passed.", "component_id", s.c.id)
		}()
	}
	if !required {
		return nil
	}
	wg.Wait()
	return errors.Join(errs...)
}

// run drives the graph until ctx ends or a component cannot go on, then drains it for up to grace.
// draining is called when the end begins.
func (t *topology) run(ctx context.Context, grace time.Duration, draining func()) error {
	sourcesCtx, stopSources := context.WithCancel(ctx)
	defer stopSources()
	var sinks sync.WaitGroup
	t.live = &liveSources{ctx: sourcesCtx, ends: map[string]context.CancelFunc{}}
	for _, s := range t.sinks {
		sinks.Add(1)
		go func() { defer sinks.Done(); s.run(t.kill) }()
	}
	for id, s := range t.sources {
		t.start(id, s)
	}
	failure := t.wait(ctx)
	if failure != nil {
		grace = 0
	}
	draining()
	stopSources()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		t.live.wait.Wait()
		for _, s := range t.sinks {
			_ = s.buf.close()
		}
		sinks.Wait()
	}()
	select {
	case <-drained:
	case <-time.After(grace):
		if grace > 0 {
			t.log.write(levelError, "topology::running", "Failed to gracefully shut down in time. Killing components.", nil)
		}
	}
	t.cut()
	if failure == nil {
		select {
		case <-drained:
		case <-time.After(2 * time.Second):
		}
	}
	return errors.Join(failure, t.release())
}

// wait returns when the end begins, with what forced it.
func (t *topology) wait(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case failure := <-t.fatal:
			return failure
		case reload := <-t.reloads:
			if err := reload(); err != nil {
				t.log.write(levelError, "app", "Failed to load config files, reload aborted.", []any{"error", err})
				continue
			}
			t.log.info("app", "Vector has reloaded.")
		}
	}
}

// release gives the disk buffers' locks back.
func (t *topology) release() error {
	t.cut()
	var errs []error
	for _, s := range t.sinks {
		if d, ok := s.buf.(*diskBuffer); ok {
			errs = append(errs, d.release())
		}
	}
	return errors.Join(errs...)
}
