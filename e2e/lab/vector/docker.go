package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// minHostname is the shortest host name docker_logs takes for its own container's id.
const minHostname = 6

// dockerEndpoint splits docker_host into what to dial and the base of the URLs.
func dockerEndpoint(host string) (dial func(context.Context, string, string) (net.Conn, error), base string, err error) {
	if host == "" {
		host = os.Getenv("DOCKER_HOST")
	}
	if host == "" {
		host = "/var/run/docker.sock"
	}
	if strings.HasPrefix(host, "/") {
		host = "unix://" + host
	}
	var d net.Dialer
	scheme, rest, found := strings.Cut(host, "://")
	switch {
	case !found:
		return nil, "", fmt.Errorf("invalid docker host %q", host)
	case scheme == "unix":
		return func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", rest) }, "http://docker", nil
	case scheme == "http" || scheme == "tcp":
		return d.DialContext, "http://" + strings.TrimRight(rest, "/"), nil
	}
	return nil, "", fmt.Errorf("scheme %q is not supported by the stand-in", scheme)
}

// dockerSource is docker_logs. It follows Vector's bookkeeping, with its gaps: after a broken log
// stream the container is read again from the start of the source.
type dockerSource struct {
	c        *component
	conf     *dockerConf
	out      *output
	client   *http.Client
	base     string
	hostname string
	started  time.Time

	mu         sync.Mutex
	containers map[string]*containerState
	wg         sync.WaitGroup
}

type containerState struct {
	running    bool
	active     bool // a goroutine follows the logs
	generation int
	info       *containerInfo
}

type containerInfo struct {
	id, name, image string
	created         time.Time
	labels          map[string]any
	tty             bool
	last            time.Time
	lastGeneration  int
	generation      int
	partial         map[string]any
}

func newDockerSource(c *component, conf *dockerConf, out *output) (*dockerSource, error) {
	dial, base, err := dockerEndpoint(conf.host)
	if err != nil {
		return nil, err
	}
	hostname, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	return &dockerSource{
		c: c, conf: conf, out: out, base: base, hostname: hostname, started: time.Now().UTC(),
		client:     &http.Client{Transport: &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 8}},
		containers: map[string]*containerState{},
	}, nil
}

func (d *dockerSource) run(ctx context.Context) error {
	defer d.wg.Wait()
	d.c.log.info(d.c.target(), "Capturing logs from now on.", "now", d.started.Format(time.RFC3339Nano), "component_id", d.c.id)
	d.c.log.info(d.c.target(), "Listening to docker log events.", "component_id", d.c.id)
	if err := d.listRunning(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		// Vector ends the source here and nothing else; the rest of the graph goes on.
		d.c.failed("Listing currently running containers failed.", err, "connection_failed", "receiving")
		return nil
	}
	return d.watch(ctx)
}

func (d *dockerSource) get(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	res, err := d.client.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(res.Body, 1024))
		_ = res.Body.Close()
		return nil, &dockerStatus{res.StatusCode, strings.TrimSpace(string(b))}
	}
	return res, nil
}

type dockerStatus struct {
	code int
	body string
}

func (e *dockerStatus) Error() string {
	return fmt.Sprintf("docker responded with status code %d: %s", e.code, e.body)
}

func (d *dockerSource) getJSON(ctx context.Context, path string, query url.Values, into any) error {
	res, err := d.get(ctx, path, query)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	return json.NewDecoder(res.Body).Decode(into)
}

func filters(m map[string][]string) string {
	b, _ := json.Marshal(m) // a map of strings cannot fail
	return string(b)
}

func (d *dockerSource) listRunning(ctx context.Context) error {
	f := map[string][]string{}
	if len(d.conf.labels) > 0 {
		f["label"] = d.conf.labels
	}
	if len(d.conf.images) > 0 {
		f["ancestor"] = d.conf.images
	}
	var list []struct {
		ID    string `json:"Id"`
		Names []string
	}
	if err := d.getJSON(ctx, "/containers/json", url.Values{"all": {"false"}, "filters": {filters(f)}}, &list); err != nil {
		return err
	}
	for _, c := range list {
		names := make([]string, len(c.Names))
		for i, n := range c.Names {
			names[i] = strings.TrimPrefix(n, "/")
		}
		switch {
		case d.isSelf(c.ID):
			d.c.log.info(d.c.target(), "Excluded self container.", "id", c.ID)
		case !d.included(c.ID, names):
			d.c.log.info(d.c.target(), "Excluded container.", "id", c.ID)
		default:
			d.follow(ctx, c.ID, 0)
		}
	}
	return nil
}

func (d *dockerSource) isSelf(id string) bool {
	return len(d.hostname) >= minHostname && strings.HasPrefix(id, d.hostname)
}

// included applies the prefix lists to the id and every name.
func (d *dockerSource) included(id string, names []string) bool {
	match := func(prefixes []string) bool {
		for _, p := range prefixes {
			for _, n := range append([]string{id}, names...) {
				if strings.HasPrefix(n, p) {
					return true
				}
			}
		}
		return false
	}
	return (d.conf.include == nil || match(d.conf.include)) && !match(d.conf.exclude)
}

type dockerEvent struct {
	Action string
	Actor  struct {
		ID         string
		Attributes map[string]string
	}
}

// watch reads the engine's events since the start of the source, again after each break.
func (d *dockerSource) watch(ctx context.Context) error {
	wait := 500 * time.Millisecond
	for {
		err := d.readEvents(ctx, func() { wait = 500 * time.Millisecond })
		if ctx.Err() != nil {
			return nil
		}
		d.c.failed("Error in communication with Docker daemon.", err, "connection_failed", "receiving")
		d.c.log.warn(d.c.target(), "Docker events stream failed", "action", "retrying with backoff", "delay_ms", wait.Milliseconds())
		if !sleep(ctx, wait) {
			return nil
		}
		wait = min(2*wait, time.Minute)
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func (d *dockerSource) readEvents(ctx context.Context, alive func()) error {
	f := map[string][]string{"event": {"start", "unpause", "die", "pause"}, "type": {"container"}}
	if len(d.conf.labels) > 0 {
		f["label"] = d.conf.labels
	}
	if len(d.conf.images) > 0 {
		f["image"] = d.conf.images
	}
	// Since the start: a container that began and ended between the listing and this request shows too.
	res, err := d.get(ctx, "/events", url.Values{"since": {strconv.FormatInt(d.started.Unix(), 10)}, "filters": {filters(f)}})
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	dec := json.NewDecoder(res.Body)
	for {
		var e dockerEvent
		if err := dec.Decode(&e); err != nil {
			return err
		}
		alive()
		d.onEvent(ctx, e)
	}
}

func (d *dockerSource) onEvent(ctx context.Context, e dockerEvent) {
	id := e.Actor.ID
	d.mu.Lock()
	state := d.containers[id]
	switch e.Action {
	case "die", "pause":
		if state != nil {
			state.running = false
		}
		d.mu.Unlock()
		return
	case "start", "unpause":
	default:
		d.mu.Unlock()
		return
	}
	if state == nil {
		d.mu.Unlock()
		if d.included(id, []string{e.Actor.Attributes["name"]}) && !d.isSelf(id) {
			d.follow(ctx, id, 0)
		}
		return
	}
	state.running = true
	state.generation++
	if !state.active && state.info != nil {
		d.resume(ctx, state)
	}
	d.mu.Unlock()
}

// follow starts reading a container, after wait.
func (d *dockerSource) follow(ctx context.Context, id string, wait time.Duration) {
	state := &containerState{running: true, active: true}
	d.mu.Lock()
	d.containers[id] = state
	d.mu.Unlock()
	d.wg.Add(1)
	go func() {
		defer d.wg.Done()
		if wait > 0 && !sleep(ctx, wait) {
			return
		}
		info, err := d.inspect(ctx, id)
		if err != nil {
			if ctx.Err() == nil {
				d.c.failed("Failed to fetch container metadata.", err, "request_failed", "receiving", "container_id", id)
			}
			d.ended(ctx, id, state, nil, err)
			return
		}
		d.ended(ctx, id, state, info, d.stream(ctx, info))
	}()
}

// resume reads a known container again. Callers hold mu.
func (d *dockerSource) resume(ctx context.Context, state *containerState) {
	state.active = true
	info := state.info
	info.generation = state.generation
	d.wg.Add(1)
	go func() {
		defer d.wg.Done()
		d.ended(ctx, info.id, state, info, d.stream(ctx, info))
	}()
}

// ended decides what follows the end of a log stream: a container that still runs is read again,
// from its last line after a regular end, from the start of the source after an error.
func (d *dockerSource) ended(ctx context.Context, id string, state *containerState, info *containerInfo, err error) {
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		// The stream of a stopped container ends before its event comes; no busy loop in between.
		if !sleep(ctx, 100*time.Millisecond) {
			return
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		state.active, state.info = false, info
		if state.running || info.generation < state.generation {
			d.resume(ctx, state)
		}
		return
	}
	d.mu.Lock()
	delete(d.containers, id)
	again := state.running
	d.mu.Unlock()
	var st *dockerStatus
	if again && !(errors.As(err, &st) && st.code == http.StatusNotImplemented) {
		d.follow(ctx, id, d.conf.backoff)
	}
}

func (d *dockerSource) inspect(ctx context.Context, id string) (*containerInfo, error) {
	var c struct {
		Name    string
		Created time.Time
		Config  struct {
			Image  string
			Labels map[string]string
			Tty    bool
		}
	}
	if err := d.getJSON(ctx, "/containers/"+id+"/json", nil, &c); err != nil {
		return nil, err
	}
	info := &containerInfo{id: id, name: strings.TrimPrefix(c.Name, "/"), image: c.Config.Image, created: c.Created.UTC(), tty: c.Config.Tty}
	if len(c.Config.Labels) > 0 {
		info.labels = map[string]any{}
		for k, v := range c.Config.Labels {
			info.labels[k] = v
		}
	}
	return info, nil
}

// broken reports a failed log request, unless it failed because the source ends.
func (d *dockerSource) broken(ctx context.Context, info *containerInfo, err error) error {
	if ctx.Err() == nil {
		d.c.failed("Error in communication with Docker daemon.", err, "connection_failed", "receiving", "container_id", info.id)
	}
	return err
}

// stream follows one container's log to its end.
func (d *dockerSource) stream(ctx context.Context, info *containerInfo) error {
	info.partial = nil
	since := d.started
	if !info.last.IsZero() {
		since = info.last
	}
	res, err := d.get(ctx, "/containers/"+info.id+"/logs", url.Values{
		"follow": {"true"}, "stdout": {"true"}, "stderr": {"true"}, "timestamps": {"true"},
		"since": {strconv.FormatInt(since.Unix()-1, 10)},
	})
	if err != nil {
		return d.broken(ctx, info, err)
	}
	defer func() { _ = res.Body.Close() }()
	d.c.log.info(d.c.target(), "Started watching for container logs.", "container_id", info.id)
	defer d.c.log.info(d.c.target(), "Stopped watching for container logs.", "container_id", info.id)
	next := readFrame
	if info.tty {
		next = readLine
	}
	r := bufio.NewReaderSize(res.Body, 64<<10)
	for {
		stream, data, err := next(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return d.broken(ctx, info, err)
		}
		d.c.count("component_received_bytes_total", len(data), "protocol", "http")
		log := info.line(stream, data, d.started, d.conf)
		if log == nil {
			continue
		}
		log["host"] = d.hostname
		events := []event{{log: log}}
		d.c.received(events)
		// Not ctx: a line that was read is still delivered while the source stops.
		if err := d.out.send(d.out.kill, events); err != nil {
			return err
		}
	}
}
