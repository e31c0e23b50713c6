package plugin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/pipeline"
	"github.com/docker-telemetry/docker-telemetry/profiles"
	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/storage/gateway"
)

const checkEvery = 250 * time.Millisecond

// profileRoutes words the checks of the running profiles as routes. OTLP is published on the loopback of the engine's
// host, so from elsewhere those are left out and it is said.
func (v *scene) profileRoutes() []pipeline.Route {
	var routes []pipeline.Route
	left := false
	for _, profile := range v.result.Selection.Profiles {
		for _, check := range profile.Checks {
			if check.OTLP != "" && !v.session.engine.Local() {
				left = true
				continue
			}
			routes = append(routes, v.checkRoutes(profile, check)...)
		}
	}
	if left {
		fmt.Fprintf(v.session.app.deps.stderr, "note: OTLP is on the loopback of %s, so its proof was left out\n", v.session.engine.Name)
	}
	return numbered(routes)
}

// numbered gives each of several routes of a profile a name of its own.
func numbered(routes []pipeline.Route) []pipeline.Route {
	count := map[string]int{}
	for _, route := range routes {
		count[route.Name]++
	}
	next := map[string]int{}
	for i, route := range routes {
		if count[route.Name] > 1 {
			next[route.Name]++
			routes[i].Name = fmt.Sprintf("%s-%d", route.Name, next[route.Name])
		}
	}
	return routes
}

func (v *scene) checkRoutes(profile profiles.Profile, check profiles.Check) []pipeline.Route {
	route := pipeline.Route{Name: profile.Name, About: check.String()}
	switch {
	case check.OTLP != "":
		return v.otlpRoutes(check)
	case check.Log != nil:
		sql := fmt.Sprintf(`SELECT _timestamp FROM %q WHERE %s`, check.Log.Stream, check.Log.Where)
		route.Hops = append(v.brought(profile), v.storeHop(stack.OpenObserve, func(ctx context.Context) (bool, error) { return v.hasLog(ctx, sql) }))
	default:
		route.Hops = append(v.brought(profile), v.storeHop(stack.VictoriaMetrics, func(ctx context.Context) (bool, error) { return v.hasSeries(ctx, check.Metric) }))
	}
	return []pipeline.Route{route}
}

// brought are the services that came with a profile, by their names: that of the profile, and what begins with it. The
// collector is that of otel.
func (v *scene) brought(profile profiles.Profile) []pipeline.RouteHop {
	var hops []pipeline.RouteHop
	for _, name := range v.project.ServiceNames() {
		if name != profile.Name && !strings.HasPrefix(name, profile.Name+"-") && (profile.Name != "otel" || name != collector) {
			continue
		}
		hops = append(hops, v.watch(name, func(context.Context, stack.Container) (pipeline.Sighting, error) { return pipeline.Sighting{}, nil }))
	}
	return hops
}

// collector is the component of the profile otel.
const collector = "collector"

// storeHop is passed when what a profile promises is in its store.
func (v *scene) storeHop(component string, find func(context.Context) (bool, error)) pipeline.RouteHop {
	return v.watch(component, func(ctx context.Context, _ stack.Container) (pipeline.Sighting, error) {
		began := time.Now()
		err := pipeline.Until(ctx, checkEvery, func(ctx context.Context) error {
			found, err := find(ctx)
			switch {
			case badCertificate(err) != nil:
				return &pipeline.DownError{Err: badCertificate(err)}
			case err != nil:
				return plain(err)
			case !found:
				return errors.New("it has no such data")
			}
			return nil
		})
		return pipeline.Sighting{Latency: time.Since(began)}, err
	})
}

// otlpRoutes send a marked event as an application does, by each protocol, and look for it in its store.
func (v *scene) otlpRoutes(check profiles.Check) []pipeline.Route {
	var routes []pipeline.Route
	for _, protocol := range pipeline.Protocols() {
		mark := pipeline.NewMark()
		sender := otlpSender(v.result, v.http, protocol)
		taken := pipeline.NewOutcome[bool]()
		store, about := stack.OpenObserve, check.String()
		if check.OTLP == pipeline.Metrics {
			store = stack.VictoriaMetrics
		}
		if protocol == pipeline.GRPC {
			about += " by gRPC"
		}
		send := func(ctx context.Context, _ stack.Container) (pipeline.Sighting, error) {
			began := time.Now()
			err := pipeline.Until(ctx, checkEvery, func(ctx context.Context) error {
				err := sender.Send(ctx, check.OTLP, mark)
				if refusal := badCertificate(err); refusal != nil {
					return &pipeline.DownError{Err: refusal}
				}
				return plain(err)
			})
			if err == nil {
				taken.Settle(true)
			}
			return pipeline.Sighting{Latency: time.Since(began)}, err
		}
		find := v.storeHop(store, func(ctx context.Context) (bool, error) { return v.hasMark(ctx, check.OTLP, protocol, mark) })
		look := find.Watch
		find.Watch = func(ctx context.Context) (pipeline.Sighting, error) {
			if _, err := taken.Wait(ctx); err != nil {
				return pipeline.Sighting{}, pipeline.ErrNothingCame
			}
			return look(ctx)
		}
		routes = append(routes, pipeline.Route{
			Name: "otlp-" + check.OTLP + "-" + protocol, About: about,
			// The collector sends by the balancer, which knows the stores' addresses.
			Hops: []pipeline.RouteHop{v.watch(collector, send), v.watch(stack.Balancer, v.asked(stack.Balancer, "8081", "/healthz")), find},
		})
	}
	return routes
}

// otlpSender sends as an application on the engine's host does.
func otlpSender(result settings.Result, client *http.Client, protocol string) pipeline.OTLP {
	options := result.Settings.Options
	sender := pipeline.OTLP{Address: "localhost:" + options["otlp-"+protocol+"-port"], Protocol: protocol, HTTP: client, Now: time.Now}
	if options["otlp"] != "plain" {
		sender.TLS = client.Transport.(gateway.Transport).TLSClientConfig
		sender.Token = result.Credentials.Login(otlpLogin).Password
	}
	return sender
}

// hasMark looks for what pipeline.OTLP sent. The streams of logs and traces are both called otel.
func (v *scene) hasMark(ctx context.Context, signal, protocol string, mark pipeline.Mark) (bool, error) {
	marked := fmt.Sprintf(`SELECT _timestamp FROM "otel" WHERE %s = '%s'`, pipeline.ProbeAttribute, mark)
	switch signal {
	case pipeline.Logs:
		return v.hasLog(ctx, marked)
	case pipeline.Traces:
		from, to := lately()
		hits, err := v.logs.SearchTraces(ctx, marked, from, to, 1)
		return len(hits) > 0, err
	default:
		return v.hasSeries(ctx, v.markQuery(mark, "otlp-"+protocol))
	}
}

func (v *scene) hasLog(ctx context.Context, sql string) (bool, error) {
	from, to := lately()
	hits, err := v.logs.Search(ctx, sql, from, to, 1)
	return len(hits) > 0, err
}

func (v *scene) hasSeries(ctx context.Context, expression string) (bool, error) {
	samples, err := v.metrics.QueryLatest(ctx, expression)
	return len(samples) > 0, err
}

// badCertificate is an error of the other side's certificate, nil for any other.
func badCertificate(err error) error {
	var wrong *tls.CertificateVerificationError
	if errors.As(err, &wrong) {
		return fmt.Errorf("its certificate is refused: %w", wrong.Err)
	}
	return nil
}

// plain takes the request off an error: a person knows what was asked, and wants to know what came of it.
func plain(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}
