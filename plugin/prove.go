package plugin

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/docker-telemetry/docker-telemetry/certs"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/pipeline"
	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/storage/gateway"
	"github.com/docker-telemetry/docker-telemetry/storage/openobserve"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// brokenError is a route that does not carry its marked event.
type brokenError struct {
	broken []pipeline.RouteResult // with a cause each
	of     int
}

func (e *brokenError) Error() string {
	first := e.broken[0]
	text := fmt.Sprintf("route %s stops at %s: %s", first.Name, first.Cause.Hop, first.Cause.Text)
	if len(e.broken) > 1 {
		text = fmt.Sprintf("%d of %d routes are broken; %s", len(e.broken), e.of, text)
	}
	return text
}

// Hint is the command that mends the first.
func (e *brokenError) Hint() string { return e.broken[0].Cause.Mend }

// brokenOf is an error where a route is broken.
func brokenOf(results []pipeline.RouteResult) error {
	var broken []pipeline.RouteResult
	for _, result := range results {
		if !result.Proven() {
			broken = append(broken, result)
		}
	}
	if len(broken) == 0 {
		return nil
	}
	return &brokenError{broken: broken, of: len(results)}
}

// prove ends an up, and a rotation: the routes of these names, all without one, must carry a marked event. It returns
// nothing without an error where the gateway cannot be reached from here.
func (s *session) prove(ctx context.Context, result settings.Result, project *types.Project, timeout time.Duration, names ...string) ([]pipeline.RouteResult, error) {
	if s.outOfReach(result) {
		fmt.Fprintf(s.app.deps.stderr, "note: the gateway is on the loopback of %s, so the proof was left out\n"+
			"hint: %s reaches it\n", s.engine.Name, s.tunnel(result))
		return nil, nil
	}
	results, err := s.verify(ctx, result, project, names, timeout)
	if err != nil {
		return nil, err
	}
	return results, brokenOf(results)
}

// outOfReach says that the gateway is on the loopback of another machine.
func (s *session) outOfReach(result settings.Result) bool {
	return !s.engine.Local() && result.File.Bind == settings.DefaultBind
}

func (s *session) tunnel(result settings.Result) string {
	return fmt.Sprintf("ssh -L %d:localhost:%d %s", result.File.Port, result.File.Port, s.engine.Name)
}

// verify looks at the routes of these names, all without one. It shows each as it ends.
func (s *session) verify(ctx context.Context, result settings.Result, project *types.Project, names []string, timeout time.Duration) ([]pipeline.RouteResult, error) {
	scene, err := s.newScene(ctx, result, project, time.Now().Add(timeout))
	if err != nil {
		return nil, err
	}
	// Also after Ctrl-C: what a probe left is ours to clean up.
	defer scene.clean(context.WithoutCancel(ctx))
	routes, err := chosen(scene.routes(), names)
	if err != nil {
		return nil, err
	}
	for _, route := range routes {
		s.progress.Waiting(proofID(route.About))
	}
	results, err := pipeline.Verify(ctx, routes, timeout, scene.explain, func(result pipeline.RouteResult) {
		if result.Proven() {
			s.progress.Found(proofID(result.About))
			return
		}
		s.progress.Failed(proofID(result.About))
	})
	if err == nil && len(names) == 0 {
		s.keepProof(results)
	}
	return results, err
}

func proofID(about string) string { return "Proof: " + about }

func chosen(routes []pipeline.Route, names []string) ([]pipeline.Route, error) {
	if len(names) == 0 {
		return routes, nil
	}
	known := make([]string, 0, len(routes))
	var picked []pipeline.Route
	for _, route := range routes {
		known = append(known, route.Name)
		if slices.Contains(names, route.Name) {
			picked = append(picked, route)
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, &usageError{err: fmt.Errorf("this stack has no route %s", quoted(name)), advice: "its routes: " + strings.Join(known, ", ")}
		}
	}
	return picked, nil
}

// gatewayClient reaches the gateway by the name that its certificate is for.
func gatewayClient(result settings.Result, timeout time.Duration) (*http.Client, error) {
	name := ""
	if info, err := certs.Inspect(result.Certificate); err == nil && !slices.Contains(info.Hosts, "localhost") && len(info.Hosts) > 0 {
		name = strings.Replace(info.Hosts[0], "*", "any", 1)
	}
	return gateway.Client(result.CA, name, timeout)
}

func openObserve(result settings.Result) (*openobserve.Client, error) {
	client, err := gatewayClient(result, 10*time.Second)
	if err != nil {
		return nil, err
	}
	return &openobserve.Client{
		BaseURL:  gateway.URL(result.File.Bind, result.File.Port) + "/openobserve",
		Org:      "default",
		User:     result.Credentials["openobserve_user"],
		Password: result.Credentials["openobserve_password"],
		HTTP:     client,
	}, nil
}

// victoriaMetrics reaches the metric store through the gateway.
func victoriaMetrics(result settings.Result, client *http.Client) *victoriametrics.Client {
	return prometheusAt(result, client, "/victoriametrics", stack.VictoriaMetrics)
}

// dataSource reaches the same store as Grafana does.
func dataSource(result settings.Result, client *http.Client) *victoriametrics.Client {
	return prometheusAt(result, client, "/grafana/api/datasources/proxy/uid/victoriametrics", stack.Grafana)
}

func prometheusAt(result settings.Result, client *http.Client, path, component string) *victoriametrics.Client {
	login := result.Credentials.Login(component)
	return &victoriametrics.Client{
		BaseURL:   gateway.URL(result.File.Bind, result.File.Port) + path,
		HTTP:      client,
		Authorize: func(request *http.Request) { request.SetBasicAuth(login.User, login.Password) },
	}
}

// lately allows for clocks that disagree.
func lately() (from, to time.Time) {
	now := time.Now()
	return now.Add(-10 * time.Minute), now.Add(10 * time.Minute)
}
