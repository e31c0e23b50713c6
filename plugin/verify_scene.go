package plugin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/docker-telemetry/docker-telemetry/internal/credentials"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/pipeline"
	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/storage/gateway"
	"github.com/docker-telemetry/docker-telemetry/storage/openobserve"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// scene is one look at a stack: what runs, how its stores are reached, and what has to be taken away afterwards.
type scene struct {
	session    *session
	result     settings.Result
	project    *types.Project
	containers []stack.Container
	until      time.Time // when the look has ended; what it made is of a killed process from then on
	http       *http.Client
	logs       *openobserve.Client
	metrics    *victoriametrics.Client
	grafana    *victoriametrics.Client

	mutex sync.Mutex
	undo  []func(context.Context) error // takes away what was made for the look
}

// newScene is for a look that ends before until, unless who looks is attended by its own container.
func (s *session) newScene(ctx context.Context, result settings.Result, project *types.Project, until time.Time) (*scene, error) {
	if err := s.manager.RemoveLeftovers(ctx, project.Name); err != nil {
		return nil, err
	}
	containers, err := s.manager.Containers(ctx, project.Name)
	if err != nil {
		return nil, err
	}
	if len(containers) == 0 {
		return nil, stack.NotRunning(project.Name)
	}
	logs, err := openObserve(result)
	if err != nil {
		return nil, err
	}
	return &scene{
		session: s, result: result, project: project, containers: containers, until: until, http: logs.HTTP,
		logs: logs, metrics: victoriaMetrics(result, logs.HTTP), grafana: dataSource(result, logs.HTTP),
	}, nil
}

// later keeps what takes a probe away.
func (v *scene) later(undo func(context.Context) error) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.undo = append(v.undo, undo)
}

func (v *scene) clean(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for _, undo := range slices.Backward(v.undo) {
		if err := undo(ctx); err != nil {
			fmt.Fprintln(v.session.app.deps.stderr, "warning:", err)
		}
	}
}

// of are the containers of a component.
func (v *scene) of(component string) []stack.Container {
	return slices.DeleteFunc(slices.Clone(v.containers), func(c stack.Container) bool { return c.Component != component })
}

// one is the first running container of a component; without one it says why, for good.
func (v *scene) one(component string) (stack.Container, error) {
	found := v.of(component)
	for _, c := range found {
		if c.State == "running" {
			return c, nil
		}
	}
	if len(found) == 0 {
		return stack.Container{}, &pipeline.DownError{Err: fmt.Errorf("%s has no container", component)}
	}
	return found[0], v.down(found[0])
}

// down is an error, for good, where a container is in no state to pass anything.
func (v *scene) down(c stack.Container) error {
	if c.State != "running" {
		return &pipeline.DownError{Err: fmt.Errorf("%s is %s", c.Name, c.State)}
	}
	if absent := stack.Absent(v.project, c); len(absent) > 0 {
		return &pipeline.DownError{Err: fmt.Errorf("%s is not on the network %s", c.Name, absent[0])}
	}
	return nil
}

// promised is how many replicas a component is to have.
func (v *scene) promised(component string) int {
	service := v.project.Services[component]
	return service.GetScale()
}

// watch is a hop of a component that must run for it: what the engine says is known before anything is tried.
func (v *scene) watch(component string, watch func(context.Context, stack.Container) (pipeline.Sighting, error)) pipeline.RouteHop {
	return pipeline.RouteHop{Name: component, Component: component, Watch: func(ctx context.Context) (pipeline.Sighting, error) {
		c, err := v.one(component)
		if err == nil {
			err = v.down(c)
		}
		if err != nil {
			return pipeline.Sighting{}, err
		}
		return watch(ctx, c)
	}}
}

// explain gathers the evidence on a silent hop and derives the cause.
func (v *scene) explain(ctx context.Context, _ pipeline.Route, hop pipeline.HopResult) pipeline.Cause {
	// Now, and not as it was when the look began.
	containers, err := v.session.manager.Containers(ctx, v.project.Name)
	if err != nil {
		containers = v.containers
	}
	suspects := pipeline.Suspects(hop.Component)
	evidence := pipeline.Evidence{Stack: v.project.Name}
	var near []stack.Container
	for _, c := range containers {
		if slices.Contains(suspects, c.Component) {
			near = append(near, c)
		}
	}
	for _, found := range v.session.manager.Gather(ctx, v.project, near) {
		evidence.Containers = append(evidence.Containers, pipeline.Container{
			Name: found.Name, Component: found.Component, Number: found.Number, State: found.State, Health: found.Health, Status: found.Status,
			OOMKilled: found.OOMKilled, Restarts: found.Restarts, Absent: found.Absent, Full: found.Full, Altered: found.Altered,
			Log: v.harmless(found.Log),
		})
	}
	if slices.ContainsFunc(near, func(c stack.Container) bool { return c.State != "running" }) {
		return pipeline.Diagnose(hop, evidence) // that is the cause, and who is paused keeps others waiting
	}
	if slices.Contains(credentials.Names(), hop.Component) {
		accepted, err := acceptsLogin(ctx, v.http, v.result, hop.Component, v.result.Credentials)
		if err == nil && !accepted {
			evidence.Refused = append(evidence.Refused, hop.Component)
		}
	}
	evidence.Certificate = v.certificate(ctx)
	evidence.Discards = v.discards(ctx)
	return pipeline.Diagnose(hop, evidence)
}

// harmless keeps passwords out of lines of a log, and empty lines.
func (v *scene) harmless(lines []string) []string {
	var clean []string
	for _, line := range lines {
		if line = strings.TrimSpace(line); line != "" {
			clean = append(clean, hideIn(line, v.result.Credentials))
		}
	}
	return clean
}

// certificate says what is wrong with the one that the gateway serves.
func (v *scene) certificate(ctx context.Context) string {
	err := v.healthy(ctx)
	var wrong *tls.CertificateVerificationError
	if errors.As(err, &wrong) {
		return wrong.Err.Error()
	}
	return ""
}

// healthy asks the gateway itself.
func (v *scene) healthy(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, gateway.URL(v.result.File.Bind, v.result.File.Port)+"/healthz", http.NoBody)
	if err != nil {
		return err
	}
	response, err := v.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the gateway answered %d", response.StatusCode)
	}
	return nil
}

// discards asks for the counters of agent and aggregators; where they cannot be had there are none.
func (v *scene) discards(ctx context.Context) []pipeline.Discards {
	samples, err := v.metrics.QueryLatest(ctx, `sum by (job, component_id) (increase(vector_component_discarded_events_total[2m])) > 0`)
	if err != nil {
		return nil
	}
	var all []pipeline.Discards
	for _, sample := range samples {
		all = append(all, pipeline.Discards{
			Component: strings.TrimPrefix(sample.Labels["job"], "vector-"), Step: sample.Labels["component_id"], Count: sample.Value,
		})
	}
	return all
}
