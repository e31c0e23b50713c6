package plugin

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/docker-telemetry/docker-telemetry/certs"
	"github.com/docker-telemetry/docker-telemetry/doctor"
	"github.com/docker-telemetry/docker-telemetry/internal/credentials"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/internal/version"
	"github.com/docker-telemetry/docker-telemetry/profiles"
	"github.com/docker-telemetry/docker-telemetry/report/retention"
	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/storage/gateway"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// patient is one run of the doctor: what it knows of the stack before it looks at its parts.
type patient struct {
	*session
	before  bool // before up
	result  settings.Result
	project *types.Project // nil where the settings come to none
	known   bool           // this machine has a state of the stack
	inside  []stack.Inspection
}

// examine looks at everything and judges it. It changes nothing. An error is one of the context only: what cannot be looked at
// is an outcome.
func (s *session) examine(ctx context.Context, before bool) ([]doctor.Outcome, error) {
	_, facts, err := s.look(ctx, before)
	if err != nil {
		return nil, err
	}
	return doctor.Examine(facts), nil
}

func (s *session) look(ctx context.Context, before bool) (*patient, doctor.Facts, error) {
	facts := doctor.Facts{Before: before}
	p := &patient{session: s, before: before}
	// Before anything is read: reading closes what others could read.
	exposed, exposedErr := s.source.Root.Exposed(s.state)
	s.state.OnNotice = nil // it is one of the outcomes
	if s.manager == nil {
		if err := s.reach(ctx); err != nil && ctx.Err() != nil {
			return nil, facts, ctx.Err()
		} else if err != nil {
			facts.Engine = doctor.Know(doctor.Engine{Problem: err.Error(), Advice: hintOf(err)})
			s.manager = nil
		}
	}
	facts.Settings = p.load(ctx)
	looks := p.onThisMachine()
	if s.manager != nil {
		inside, err := s.manager.Inspections(ctx, s.state.Name)
		if ctx.Err() != nil {
			return nil, facts, ctx.Err()
		}
		p.inside = inside
		if err != nil {
			facts.Components = doctor.Unknown[[]doctor.Component](err.Error())
		}
		// First: a configuration is tried in a container of the same kind.
		if err := p.lookAt(ctx, &facts, []look{p.leftovers()}); err != nil {
			return nil, facts, err
		}
		looks = append(looks, p.onTheEngine()...)
		if len(inside) > 0 && !before {
			looks = append(looks, p.inTheStack()...)
		} else if !before {
			facts.Components = p.absent()
		}
	}
	if err := s.lookAt(ctx, &facts, looks); err != nil {
		return nil, facts, err
	}
	facts.Modes = s.modes(exposed, exposedErr)
	return p, facts, nil
}

// load works out what the stack is to be. What keeps it from being known is a finding.
func (p *patient) load(ctx context.Context) doctor.Fact[doctor.Said] {
	said := doctor.Said{Name: p.app.name}
	_, err := p.state.Load()
	p.known = !errors.Is(err, fs.ErrNotExist)
	if p.result, err = p.source.Remember(settings.Request{}); err == nil && p.manager != nil {
		p.project, err = stack.Load(ctx, p.manager.Bundle, p.result.Settings)
	}
	switch {
	case err != nil:
		said.Problem, said.Advice = err.Error(), hintOf(err)
		p.project = nil
	case !p.known:
		said.Detail = "this machine has none of the stack; the defaults count"
	default:
		said.Detail = fmt.Sprintf("%d components with profiles %s", len(p.services()), orNone(p.result.File.Profiles))
	}
	return doctor.Know(said)
}

func (p *patient) services() types.Services {
	if p.project == nil {
		return nil
	}
	return p.project.Services
}

func orNone(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}

// absent is a stack that this machine knows and the engine has not.
func (p *patient) absent() doctor.Fact[[]doctor.Component] {
	return doctor.Unknown[[]doctor.Component](stack.NotRunning(p.state.Name).Error() + "; before up: docker telemetry doctor --pre")
}

// onThisMachine are the looks that need no engine.
func (p *patient) onThisMachine() []look {
	if !p.known {
		return nil // nothing is made yet
	}
	return []look{
		lookFor("credentials", func(f *doctor.Facts) *doctor.Fact[doctor.Secrets] { return &f.Secrets }, p.secrets),
		lookFor("certificates", func(f *doctor.Facts) *doctor.Fact[[]doctor.Said] { return &f.Files }, p.certificates),
		lookFor("expiry", func(f *doctor.Facts) *doctor.Fact[doctor.Expiry] { return &f.Expiry }, p.expiry),
	}
}

func (p *patient) leftovers() look {
	return lookFor("leftovers", func(f *doctor.Facts) *doctor.Fact[[]string] { return &f.Leftovers }, func(ctx context.Context) ([]string, error) {
		return p.manager.Leftovers(ctx, p.state.Name)
	})
}

// onTheEngine are the looks that need no stack.
func (p *patient) onTheEngine() []look {
	looks := []look{
		{name: "engine", find: p.engineFacts},
		lookFor("name", func(f *doctor.Facts) *doctor.Fact[[]string] { return &f.Foreign }, func(ctx context.Context) ([]string, error) {
			return p.manager.Foreign(ctx, p.state.Name)
		}),
	}
	if p.before || len(p.inside) == 0 {
		looks = append(looks, look{name: "disk", find: p.localMeasures})
	}
	if p.project != nil || len(p.inside) > 0 {
		looks = append(looks, lookFor("configuration", func(f *doctor.Facts) *doctor.Fact[[]doctor.Config] { return &f.Configs }, p.configs))
	}
	if p.project == nil {
		return looks
	}
	return append(looks,
		lookFor("ports", func(f *doctor.Facts) *doctor.Fact[doctor.Ports] { return &f.Ports }, p.ports),
		lookFor("images", func(f *doctor.Facts) *doctor.Fact[[]doctor.Image] { return &f.Images }, p.images),
		lookFor("profiles", func(f *doctor.Facts) *doctor.Fact[[]doctor.Need] { return &f.Needs }, p.needs),
		lookFor("socket", func(f *doctor.Facts) *doctor.Fact[doctor.Socket] { return &f.Socket }, p.socket),
	)
}

// inTheStack are the looks that need one that is there.
func (p *patient) inTheStack() []look {
	looks := []look{
		lookFor("components", func(f *doctor.Facts) *doctor.Fact[[]doctor.Component] { return &f.Components }, p.components),
		lookFor("versions", func(f *doctor.Facts) *doctor.Fact[doctor.Versions] { return &f.Versions }, p.versions),
		{name: "containers", find: p.measures},
		lookFor("targets", func(f *doctor.Facts) *doctor.Fact[[]doctor.Target] { return &f.Targets }, p.targets),
	}
	if !p.known || p.project == nil {
		return looks // started from another machine, which has the passwords
	}
	looks = append(looks,
		lookFor("changes", func(f *doctor.Facts) *doctor.Fact[[]string] { return &f.Changed }, p.changed),
		lookFor("served certificate", func(f *doctor.Facts) *doctor.Fact[doctor.Said] { return &f.Served }, p.served),
		lookFor("log-ins", func(f *doctor.Facts) *doctor.Fact[[]doctor.Login] { return &f.Logins }, p.logins),
		lookFor("stores", func(f *doctor.Facts) *doctor.Fact[[]doctor.Store] { return &f.Stores }, p.stores),
		lookFor("flow", func(f *doctor.Facts) *doctor.Fact[doctor.Flow] { return &f.Flow }, p.flow),
		lookFor("metrics store", func(f *doctor.Facts) *doctor.Fact[doctor.MetricsStore] { return &f.Metrics }, p.metricsStore),
		lookFor("retention", func(f *doctor.Facts) *doctor.Fact[[]doctor.Finding] { return &f.Retention }, p.retention),
	)
	return looks
}

// engineFacts are what one answer of the engine gives.
func (p *patient) engineFacts(ctx context.Context) func(*doctor.Facts) {
	host, err := p.manager.Host(ctx, time.Now)
	if err != nil {
		why := causeOf(ctx, err)
		return func(f *doctor.Facts) { f.Engine = doctor.Unknown[doctor.Engine](why) }
	}
	engine := doctor.Engine{
		Address: p.engine.Address, Version: p.engine.Version, API: p.engine.API, Remote: !p.engine.Local(), Rootless: host.Rootless,
		Desktop: host.Desktop, WSL: host.WSL, CgroupVersion: host.CgroupVersion, LogDriver: host.LogDriver, NoLimits: host.NoLimits,
	}
	clock := doctor.Clock{Name: "the engine's host", Ahead: host.Ahead, Within: host.Within}
	return func(f *doctor.Facts) {
		f.Engine = doctor.Know(engine)
		f.Clocks = doctor.Know([]doctor.Clock{clock})
		if p.project != nil {
			f.Memory = doctor.Know(doctor.Memory{Has: p.engine.Memory, Limits: stack.Memory(p.project)})
		}
	}
}

func (p *patient) socket(context.Context) (doctor.Socket, error) {
	path := p.result.Settings.DockerSocket
	there, seen := p.engine.SocketThere(path)
	if !seen {
		return doctor.Socket{}, errNotAsked // docker-proxy is healthy where it works
	}
	return doctor.Socket{Path: path, There: there}, nil
}

func (p *patient) ports(ctx context.Context) (doctor.Ports, error) {
	published, taken, err := p.manager.PublishedPorts(ctx, p.engine, p.project, p.result.Settings)
	found := doctor.Ports{Published: published}
	for _, refusal := range taken {
		found.Taken = append(found.Taken, doctor.Said{Problem: refusal.Text, Advice: refusal.Advice})
	}
	return found, err
}

func (p *patient) images(ctx context.Context) ([]doctor.Image, error) {
	locked, err := settings.ReadImages(p.state)
	if err != nil {
		return nil, err
	}
	there, err := p.manager.PresentImages(ctx, p.project)
	if err != nil {
		return nil, err
	}
	containers := make([]stack.Container, 0, len(p.inside))
	for _, c := range p.inside {
		containers = append(containers, c.Container)
	}
	drifted := stack.Drifted(p.project, containers, locked)
	byName := map[string]*doctor.Image{}
	var names []string
	for _, component := range p.project.ServiceNames() {
		name := p.project.Services[component].Image
		image, known := byName[name]
		if !known {
			now, present := there[name]
			image = &doctor.Image{Name: name, Present: present, ID: now.ID, Locked: locked[name].ID}
			byName[name] = image
			names = append(names, name)
		}
		image.Components = append(image.Components, component)
		image.Drifted = image.Drifted || slices.Contains(drifted, component)
	}
	slices.Sort(names)
	images := make([]doctor.Image, 0, len(names))
	for _, name := range names {
		images = append(images, *byName[name])
	}
	return images, nil
}

func (p *patient) needs(ctx context.Context) ([]doctor.Need, error) {
	wanted := p.result.Selection.Needs()
	var found []doctor.Need
	ask := p.feature(ctx)
	for feature, by := range wanted {
		there, err := ask(feature)
		if err != nil {
			return nil, err
		}
		for _, profile := range by {
			found = append(found, doctor.Need{Profile: profile, What: profiles.Features()[feature], There: there})
		}
	}
	slices.SortFunc(found, func(a, b doctor.Need) int { return strings.Compare(a.Profile+a.What, b.Profile+b.What) })
	return found, nil
}

func (p *patient) secrets(context.Context) (doctor.Secrets, error) {
	var found doctor.Secrets
	_, err := credentials.Read(p.state)
	if err == nil {
		_, err = credentials.ReadExtra(p.state, p.result.Selection.Logins())
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		found.Problem, found.Advice = "one is missing: "+err.Error(), "restore it from a backup; without one: docker telemetry down --volumes starts over"
	case err != nil:
		found.Problem, found.Advice = err.Error(), hintOf(err)
	}
	pending, err := credentials.Pending(p.state)
	if err != nil && found.Problem == "" {
		found.Problem, found.Advice = err.Error(), hintOf(err)
	}
	found.Rotating = pending != nil
	return found, nil
}

func (p *patient) certificates(context.Context) ([]doctor.Said, error) {
	findings, _ := p.source.Certificates(p.result.File.Bind).Check()
	said := make([]doctor.Said, 0, len(findings))
	for _, finding := range findings {
		one := doctor.Said{Name: finding.Check, Detail: finding.Detail}
		if finding.Err != nil {
			one.Problem, one.Advice = strings.ReplaceAll(finding.Err.Error(), "\n", "; "), hintOf(finding.Err)
		}
		said = append(said, one)
	}
	return said, nil
}

func (p *patient) expiry(context.Context) (doctor.Expiry, error) {
	store := p.source.Certificates(p.result.File.Bind)
	kept, err := store.Load()
	if err != nil || kept.Leaf.Cert == nil {
		return doctor.Expiry{}, errNotAsked // the certificates' own check says so
	}
	info, err := certs.Inspect(kept.Leaf)
	if err != nil {
		return doctor.Expiry{}, errNotAsked
	}
	now := p.app.deps.now()
	return doctor.Expiry{Until: info.NotAfter, DaysLeft: info.DaysLeft(now), Due: certs.NeedsRenewal(info, now), Own: kept.Options.Imported}, nil
}

func (p *patient) components(context.Context) ([]doctor.Component, error) {
	containers := make([]stack.Container, 0, len(p.inside))
	byName := map[string]stack.Inspection{}
	for _, c := range p.inside {
		containers = append(containers, c.Container)
		byName[c.Name] = c
	}
	want := map[string]int{}
	if p.project != nil && p.known {
		want = stack.Replicas(p.project)
	}
	var all []doctor.Component
	for _, summary := range stack.Summarize(containers, want) {
		component := doctor.Component{Name: summary.Name, Want: max(1, summary.Want), Ready: summary.Ready}
		for _, c := range summary.Containers {
			in := byName[c.Name]
			component.Replicas = append(component.Replicas, doctor.Replica{
				Name: c.Name, State: c.State, Health: c.Health, Status: c.Status, Ready: c.Ready(), Restarts: in.Restarts, ExitCode: in.ExitCode,
				OOMKilled: in.OOMKilled, Problem: in.Problem, Said: in.Said, StartedAt: in.StartedAt,
			})
		}
		all = append(all, component)
	}
	return all, nil
}

// configs asks the program of each component: in its container where that runs, else in one for that only.
func (p *patient) configs(ctx context.Context) ([]doctor.Config, error) {
	var standing []stack.Inspection
	var still []string
	for _, c := range p.inside {
		if p.running(c.Component) && !p.before {
			standing = append(standing, c)
		}
	}
	for name, service := range p.services() {
		if (p.before || !p.running(name)) && (p.result.Certificate.Cert != nil || !stack.NeedsCertificate(service)) {
			still = append(still, name)
		}
	}
	slices.Sort(still)
	found := append(p.manager.ValidateConfigs(ctx, standing), p.manager.TryConfigs(ctx, p.project, still)...)
	slices.SortFunc(found, func(a, b stack.Validation) int { return strings.Compare(a.Component, b.Component) })
	var all []doctor.Config
	for _, v := range found {
		one := doctor.Config{Component: v.Component, Program: v.Program, Valid: v.Valid, Said: hideIn(v.Said, p.result.Credentials)}
		if v.Err != nil {
			one.Err = causeOf(ctx, v.Err)
		}
		all = append(all, one)
	}
	return all, nil
}

func (p *patient) versions(context.Context) (doctor.Versions, error) {
	found := doctor.Versions{This: version.Version}
	for _, c := range p.inside {
		if !slices.Contains(found.MadeBy, c.Version) {
			found.MadeBy = append(found.MadeBy, c.Version)
		}
	}
	return found, nil
}

// measures are what one look into each container gives.
func (p *patient) measures(ctx context.Context) func(*doctor.Facts) {
	all := p.manager.Measure(ctx, p.inside)
	var pressure []doctor.Pressure
	for _, m := range all {
		pressure = append(pressure, doctor.Pressure{Container: m.Container, Component: m.Component, OOMKills: m.OOMKills})
	}
	put := hostOf(all)
	return func(f *doctor.Facts) {
		f.Disks = doctor.Unknown[[]doctor.Disk]("no container could tell")
		f.Inotify = doctor.Unknown[doctor.Inotify]("no container could tell")
		f.Pressure = doctor.Know(pressure)
		put(f)
	}
}

// localMeasures are those of this machine, where the engine is on it.
func (p *patient) localMeasures(ctx context.Context) func(*doctor.Facts) {
	m, known := stack.LocalMeasures(ctx, p.engine)
	if !known {
		return func(*doctor.Facts) {}
	}
	m.Component = "the engine"
	return hostOf([]stack.Measures{m})
}

// hostOf puts in what was told of the engine's host; what was not stays as it is.
func hostOf(all []stack.Measures) func(*doctor.Facts) {
	var disks []doctor.Disk
	var inotify *stack.Inotify
	for _, m := range all {
		for _, disk := range m.Disks {
			disks = addDisk(disks, m.Component, disk)
		}
		if m.Inotify != nil {
			inotify = m.Inotify
		}
	}
	return func(f *doctor.Facts) {
		if len(disks) > 0 {
			f.Disks = doctor.Know(disks)
		}
		if inotify != nil {
			f.Inotify = doctor.Know(doctor.Inotify{Instances: inotify.Instances, Watches: inotify.Watches})
		}
	}
}

// addDisk lists each disk once: those of all volumes are most often the same.
func addDisk(disks []doctor.Disk, component string, disk stack.Disk) []doctor.Disk {
	if disk.Size == 0 {
		return disks
	}
	for i := range disks {
		if disks[i].Size == disk.Size && disks[i].InodesTotal == disk.InodesTotal {
			if !strings.HasSuffix(disks[i].Name, " "+component) {
				disks[i].Name += ", " + component
			}
			disks[i].Free = min(disks[i].Free, disk.Free)
			return disks
		}
	}
	return append(disks, doctor.Disk{
		Name: "the disk of " + component, Size: disk.Size, Free: disk.Free, InodesTotal: disk.InodesTotal, InodesFree: disk.InodesFree,
	})
}

func (p *patient) targets(ctx context.Context) ([]doctor.Target, error) {
	targets, err := p.manager.Targets(ctx, p.state.Name)
	var refusal *stack.Error
	if errors.As(err, &refusal) {
		return nil, errNotAsked // the agent does not run, which is said already
	}
	if err != nil {
		return nil, err
	}
	found := make([]doctor.Target, 0, len(targets))
	for _, target := range targets {
		found = append(found, doctor.Target{
			Container: target.Container, State: string(target.State), Problem: target.Problem, Scraped: target.State == stack.Scraped,
		})
	}
	return found, nil
}

// changed are the components that an up would make again.
func (p *patient) changed(ctx context.Context) ([]string, error) {
	if len(p.result.Credentials) == 0 || p.result.Certificate.Cert == nil {
		return nil, errors.New("the secrets are not known")
	}
	return p.manager.Changed(ctx, p.project)
}

func (p *patient) served(ctx context.Context) (doctor.Said, error) {
	served, err := p.manager.ServedCertificate(ctx, p.state.Name)
	switch {
	case errors.Is(err, stack.ErrNoGateway):
		return doctor.Said{Problem: err.Error(), Unchecked: true}, nil
	case err != nil:
		return doctor.Said{Problem: "the gateway shows no certificate: " + causeOf(ctx, err), Advice: "docker telemetry restart gateway"}, nil
	}
	return servedAs(p.result.Certificate, served), nil
}

func servedAs(kept certs.Pair, served *x509.Certificate) doctor.Said {
	block, _ := pem.Decode(kept.Cert)
	if block == nil || !bytes.Equal(block.Bytes, served.Raw) {
		return doctor.Said{
			Problem: "the gateway serves another certificate than the state has, serial " + served.SerialNumber.Text(16), Advice: "docker telemetry certs renew",
		}
	}
	return doctor.Said{Detail: "the gateway serves this certificate"}
}

// reaches says why the gateway cannot be asked from here.
func (p *patient) reaches() error {
	if !p.engine.Local() && p.result.File.Bind == settings.DefaultBind {
		return fmt.Errorf("the gateway is on the loopback of %s: ssh -L %d:localhost:%d %s reaches it",
			p.engine.Name, p.result.File.Port, p.result.File.Port, p.engine.Name)
	}
	if p.result.CA == nil || len(p.result.Credentials) == 0 {
		return errors.New("the certificate or the passwords of the stack are not known here")
	}
	return nil
}

func (p *patient) client() (*http.Client, error) {
	if err := p.reaches(); err != nil {
		return nil, err
	}
	return gatewayClient(p.result, lookWithin/2)
}

// running reports whether a component has a container that runs: what stands still is told once, by its state.
func (p *patient) running(component string) bool {
	return slices.ContainsFunc(p.inside, func(c stack.Inspection) bool { return c.Component == component && c.State == "running" })
}

func (p *patient) logins(ctx context.Context) ([]doctor.Login, error) {
	client, err := p.client()
	if err != nil {
		return nil, err
	}
	var all []doctor.Login
	for _, name := range credentials.Names() {
		if !p.running(name) || !p.running(stack.Gateway) {
			continue
		}
		ask := acceptsLogin
		if p.young(name) {
			ask = p.triesLogin
		}
		accepted, err := ask(ctx, client, p.result, name, p.result.Credentials)
		login := doctor.Login{Name: name, Accepted: accepted}
		if err != nil {
			login.Err = causeOf(ctx, err)
		}
		all = append(all, login)
	}
	return all, nil
}

// stores asks each page through the gateway, without a log-in: who refuses is there.
func (p *patient) stores(ctx context.Context) ([]doctor.Store, error) {
	client, err := p.client()
	if err != nil {
		return nil, err
	}
	if !p.running(stack.Gateway) {
		return nil, errors.New("the gateway does not run")
	}
	uis, err := stack.UIs(p.project)
	if err != nil {
		return nil, err
	}
	// The start page's own question; it needs no log-in.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	var all []doctor.Store
	for _, ui := range uis {
		if ui.Path == "" || !p.running(ui.Service) {
			continue
		}
		page := gateway.URL(p.result.File.Bind, p.result.File.Port) + ui.Path
		store := askStore(ctx, client, ui.Service, page)
		for tries := settleTries; tries > 0 && store.Status == http.StatusBadGateway && p.young(ui.Service) && sleep(ctx, settleEvery); tries-- {
			store = askStore(ctx, client, ui.Service, page)
		}
		all = append(all, store)
	}
	return all, nil
}

func askStore(ctx context.Context, client *http.Client, name, page string) doctor.Store {
	store := doctor.Store{Name: name}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page, http.NoBody)
	if err != nil {
		store.Err = err.Error()
		return store
	}
	response, err := client.Do(request)
	if err != nil {
		store.Err = causeOf(ctx, err)
		return store
	}
	defer response.Body.Close()
	store.Status = response.StatusCode
	return store
}

const (
	// settles is how long a component that was started may be unknown to the gateway, which asks for addresses every 5 s.
	settles     = 7 * time.Second
	settleEvery = 500 * time.Millisecond
	settleTries = int(settles / settleEvery)
)

// young reports whether a component was started so lately that the gateway may not know its address yet.
func (p *patient) young(component string) bool {
	return slices.ContainsFunc(p.inside, func(c stack.Inspection) bool { return c.Component == component && time.Since(c.StartedAt) < 2*settles })
}

// triesLogin is acceptsLogin of a store that the gateway may not know yet.
func (p *patient) triesLogin(ctx context.Context, client *http.Client, result settings.Result, name string, set credentials.Set) (bool, error) {
	return p.tryLogin(ctx, client, result, name, set, settles)
}

// metrics is the client of VictoriaMetrics, or why it cannot be asked.
func (p *patient) metrics() (*victoriametrics.Client, error) {
	client, err := p.client()
	if err != nil {
		return nil, err
	}
	for _, component := range []string{stack.Gateway, stack.VictoriaMetrics} {
		if !p.running(component) {
			return nil, fmt.Errorf("%s does not run", component)
		}
	}
	store := victoriaMetrics(p.result, client)
	store.Identity, store.Limits = p.engine.Local(), p.app.deps.limits
	return store, nil
}

// retention are the findings of the report on it that are not told here already.
func (p *patient) retention(ctx context.Context) ([]doctor.Finding, error) {
	metrics, err := p.metrics()
	if err != nil {
		return nil, err
	}
	logs, err := openObserve(p.result)
	if err != nil {
		return nil, err
	}
	const month = 30 * 24 * time.Hour
	collected, err := retention.Collect(ctx, metrics, logs, retention.Request{Now: p.app.deps.now().UTC(), Horizon: month})
	if err != nil {
		return nil, err
	}
	report, err := retention.Analyse(collected, retention.Options{})
	if err != nil {
		return nil, err
	}
	var found []doctor.Finding
	for _, finding := range report.Findings {
		switch finding.Code {
		case retention.ReadOnly, retention.BufferNearFull, retention.ClockSkew, retention.KeptLonger, retention.NoSetting:
			continue // the first are checks of their own; the last are no fault
		}
		found = append(found, doctor.Finding{Code: finding.Code, Name: finding.Name, Title: finding.Title, Advice: finding.Fix})
	}
	return found, nil
}

// modes are what others could get at, and whether a read has closed it meanwhile.
func (s *session) modes(exposed []state.Exposed, err error) doctor.Fact[[]doctor.Mode] {
	if err != nil {
		return doctor.Unknown[[]doctor.Mode](err.Error())
	}
	still, err := s.source.Root.Exposed(s.state)
	if err != nil {
		return doctor.Unknown[[]doctor.Mode](err.Error())
	}
	found := []doctor.Mode{}
	for _, one := range exposed {
		mode := doctor.Mode{Path: filepath.Clean(one.Path), Mode: uint32(one.Mode), What: "read", Closed: !slices.Contains(still, one)}
		if one.Written {
			mode.What = "written"
		}
		found = append(found, mode)
	}
	return doctor.Know(found)
}
