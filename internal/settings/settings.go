// Package settings works out what a stack is to be: what the state remembers, what the caller asks for now, and the
// certificates and credentials, made on the first use.
package settings

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/netip"
	"net/url"
	"time"

	"github.com/docker-telemetry/docker-telemetry/certs"
	"github.com/docker-telemetry/docker-telemetry/internal/credentials"
	"github.com/docker-telemetry/docker-telemetry/internal/keeping"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/internal/version"
	"github.com/docker-telemetry/docker-telemetry/profiles"
	"github.com/docker-telemetry/docker-telemetry/report/retention"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

// Defaults of a new stack: loopback only, and the port the documentation names.
const (
	DefaultBind = "127.0.0.1"
	DefaultPort = 8082
)

// DefaultRetention is what the bundle starts both stores with.
const DefaultRetention = "14d"

// Request is what a caller asks for; a zero field keeps what the state remembers, or takes the default.
type Request struct {
	Bind         string
	Port         int
	DockerSocket string
	Scale        map[string]int
	Profiles     []string          // nil keeps, "none" switches all off
	Overlays     []string          // paths of compose files; nil keeps, "none" leaves all out
	Options      map[string]string // of profiles, by name
	Retention    keeping.Policy    // merged with what is remembered; keeping.Default takes a target out
	Disk         *state.Disk       // a budget; nil keeps what is remembered, one of no bytes removes it
}

// Source is where settings come from: the state folders and the engine they are for.
type Source struct {
	Root   state.Root
	Stack  *state.Stack
	Engine stack.Engine
	// Feature asks the engine's host for what a profile needs; nil where nothing will be run.
	Feature func(name string) (bool, error)
	Now     func() time.Time
	Rand    io.Reader
	// Passwords are those that a rotation is bringing in, for as long as it has not replaced the secrets.
	Passwords credentials.Set
	// Restoring is set by who finishes a restore that was interrupted; everybody else is refused until then.
	Restoring bool
}

// Result is a stack as it is to be.
type Result struct {
	File        state.File
	Settings    stack.Settings
	Credentials credentials.Set // empty when none were made yet
	CA          []byte          // PEM of the CA certificate, nil when none was made yet
	Certificate certs.Pair      // of the gateway, empty when none was made yet
	Known       bool            // the state knew this stack before
	Selection   profiles.Selection
	Notes       []string // what was left out, and why, for a person
}

// Remember returns the settings from the state and the request and makes nothing. Where secrets do not exist yet,
// a placeholder stands for each, so the result is good for showing and pulling but not for running.
func (s Source) Remember(request Request) (Result, error) {
	result, err := s.merge(request)
	if err != nil {
		return Result{}, err
	}
	result.Settings.Secrets = placeholders(result.Selection.Logins())
	extra, err := credentials.ReadExtra(s.Stack, result.Selection.Logins())
	if err != nil {
		return Result{}, err
	}
	set, err := credentials.Read(s.Stack)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Result{}, err
	}
	if err == nil {
		maps.Copy(set, extra)
		maps.Copy(set, s.Passwords)
		result.Credentials = set
		maps.Copy(result.Settings.Secrets, secretFiles(set))
	}
	// What is wrong with the certificates is told by Prepare, which mends it where it can.
	kept, err := s.Certificates(result.File.Bind).Load()
	if err == nil {
		result.CA = kept.CA
	}
	if err == nil && kept.Leaf.Cert != nil && kept.Leaf.Key != nil {
		result.setCertificate(kept.Leaf)
	}
	return result, nil
}

// Prepare returns the settings and makes what is missing: the CA of this user, the gateway's certificate, random
// credentials. The caller holds the stack's lock.
func (s Source) Prepare(ctx context.Context, request Request) (Result, error) {
	result, err := s.merge(request)
	if err != nil {
		return Result{}, err
	}
	if err := s.RefuseUnfinished(); err != nil {
		return Result{}, err
	}
	result.Credentials, _, err = credentials.Ensure(s.Stack, s.Rand)
	if err != nil {
		return Result{}, err
	}
	extra, err := credentials.EnsureExtra(s.Stack, result.Selection.Logins(), s.Rand)
	if err != nil {
		return Result{}, err
	}
	maps.Copy(result.Credentials, extra)
	maps.Copy(result.Credentials, s.Passwords)
	result.Settings.Secrets = secretFiles(result.Credentials)
	err = s.Root.WithCALock(ctx, func() error {
		made, err := s.Certificates(result.File.Bind).Ensure()
		if err != nil {
			return err
		}
		result.CA = made.CA
		result.setCertificate(made.Leaf)
		return nil
	})
	return result, err
}

// RefuseUnfinished keeps everything but the rotation itself from bringing consumers back to a password that the store
// may have given up already.
func (s Source) RefuseUnfinished() error {
	if err := s.RefuseRestore(); err != nil {
		return err
	}
	if s.Passwords != nil {
		return nil
	}
	pending, err := credentials.Pending(s.Stack)
	if err != nil || pending == nil {
		return err
	}
	return &stack.Error{
		Text:   fmt.Sprintf("a rotation of the credentials of stack %q was interrupted", s.Stack.Name),
		Advice: "docker telemetry up finishes it",
	}
}

// RefuseRestore keeps everything but the restore itself from starting a stack whose data is not whole.
func (s Source) RefuseRestore() error {
	if s.Restoring {
		return nil
	}
	restore, err := s.Stack.PendingRestore()
	if err != nil || restore == nil {
		return err
	}
	return &stack.Error{
		Text:   fmt.Sprintf("a restore of stack %q was interrupted", s.Stack.Name),
		Advice: "docker telemetry up finishes or undoes it",
	}
}

// Certificates is where the stack's certificates are kept. Change it under the lock of Root.WithCALock.
func (s Source) Certificates(bind string) certs.Store {
	authority := s.Root.CAFiles()
	authority.Notify(s.Stack.OnNotice)
	return certs.Store{Authority: authority, Stack: s.Stack, Hosts: certificateHosts(bind, s.Engine), Now: s.Now}
}

func (r *Result) setCertificate(leaf certs.Pair) {
	r.Certificate = leaf
	r.Settings.Secrets["gateway_cert"], r.Settings.Secrets["gateway_key"] = string(leaf.Chain()), string(leaf.Key)
}

func (s Source) merge(request Request) (Result, error) {
	file, err := s.Stack.Load()
	known := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Result{}, err
	}
	apply(&file, request)
	if _, err := netip.ParseAddr(file.Bind); err != nil {
		return Result{}, &stack.Error{
			Text: fmt.Sprintf("%q is not an IP address to publish on", file.Bind), Advice: "the default is --bind 127.0.0.1", Usage: true,
		}
	}
	if file.Port < 1 || file.Port > 65535 {
		return Result{}, &stack.Error{
			Text: fmt.Sprintf("%d is not a port", file.Port), Advice: "choose one from 1 to 65535, the default is 8082", Usage: true,
		}
	}
	file.Version, file.Host, file.EngineID = version.Version, s.Engine.Name, s.Engine.ID
	result := Result{
		File:  file,
		Known: known,
		Settings: stack.Settings{
			Name: s.Stack.Name, Bind: file.Bind, Port: file.Port, Host: s.Engine.Name,
			DockerSocket: orElse(file.DockerSocket, s.Engine.SocketPath), EngineAPI: s.Engine.API, Volumes: file.Volumes,
			Keep: keepOf(file), Guard: guardOf(file.Disk),
		},
	}
	if err := s.layer(&result, request); err != nil {
		return Result{}, err
	}
	return result, nil
}

func apply(file *state.File, request Request) {
	file.Bind = orElse(request.Bind, orElse(file.Bind, DefaultBind))
	if request.Port != 0 {
		file.Port = request.Port
	}
	if file.Port == 0 {
		file.Port = DefaultPort
	}
	file.DockerSocket = orElse(request.DockerSocket, file.DockerSocket)
	file.Options = with(file.Options, request.Options)
	file.Scale = with(file.Scale, request.Scale)
	if request.Disk != nil {
		file.Disk = request.Disk
	}
	if file.Disk != nil && file.Disk.Bytes == 0 {
		file.Disk = nil
	}
	if len(request.Retention) > 0 {
		file.Retention = keeping.Policy(file.Retention).With(request.Retention)
	}
}

// keepOf is what the stores start with: what was asked for, or else what the budget leaves. The rest of a policy is kept in
// OpenObserve.
func keepOf(file state.File) stack.Keep {
	policy := keeping.Policy(file.Retention)
	keep := stack.Keep{Metrics: policy[retention.Metrics], LogsDays: int(policy.Days(retention.Logs))}
	if file.Disk == nil {
		return keep
	}
	if keep.Metrics == "" && file.Disk.MetricsDays > 0 {
		keep.Metrics = fmt.Sprintf("%dd", file.Disk.MetricsDays)
	}
	if keep.LogsDays == 0 {
		keep.LogsDays = file.Disk.LogsDays
	}
	return keep
}

func guardOf(disk *state.Disk) stack.Guard {
	if disk == nil {
		return stack.Guard{}
	}
	return stack.Guard{MetricsFree: disk.MetricsFree, LogsPercent: disk.LogsPercent, CacheMegabytes: disk.CacheMegabytes}
}

// with returns the entries of both, the later ones on top; nil when there are none.
func with[V any](kept, added map[string]V) map[string]V {
	if len(added) == 0 {
		return kept
	}
	merged := map[string]V{}
	maps.Copy(merged, kept)
	maps.Copy(merged, added)
	return merged
}

func orElse(first, second string) string {
	if first != "" {
		return first
	}
	return second
}

// certificateHosts are the names people reach the gateway by: loopback, the address of the host that it is bound to, and
// the name by which another machine's engine is reached.
func certificateHosts(bind string, engine stack.Engine) []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	address, err := netip.ParseAddr(bind)
	if err == nil && !address.IsLoopback() && !address.IsUnspecified() {
		hosts = append(hosts, bind)
	}
	if remote, err := url.Parse(engine.Address); err == nil && !engine.Local() && certs.ValidHost(remote.Hostname()) {
		hosts = append(hosts, remote.Hostname())
	}
	return hosts
}

// secretFiles gives the credentials the names that compose files use.
func secretFiles(set credentials.Set) map[string]string {
	files := map[string]string{"openobserve_env": string(set.OpenObserveEnv())}
	maps.Copy(files, set)
	return files
}

func placeholders(logins map[string]string) map[string]string {
	const placeholder = "made by docker telemetry up"
	files := map[string]string{"gateway_cert": placeholder, "gateway_key": placeholder, "openobserve_env": placeholder}
	for _, name := range credentials.Names() {
		files[name+"_user"], files[name+"_password"] = placeholder, placeholder
	}
	files[credentials.GrafanaPassword], files[credentials.VictoriaMetricsSnapshotKey] = placeholder, placeholder
	for name := range logins {
		files[name+"_user"], files[name+"_password"] = placeholder, placeholder
	}
	return files
}
