package plugin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/pipeline"
	"github.com/docker-telemetry/docker-telemetry/profiles"
	"github.com/docker-telemetry/docker-telemetry/storage/gateway"
	"github.com/docker-telemetry/docker-telemetry/storage/openobserve"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// proveProfiles sees that each profile does what it says, by the checks of its profile.yaml, and returns their names.
func (s *session) proveProfiles(ctx context.Context, result settings.Result, timeout time.Duration) ([]string, error) {
	checks, err := s.checks(result)
	if err != nil || len(checks) == 0 {
		return nil, err
	}
	var names []string
	for _, check := range checks {
		names = append(names, check.Name)
		s.progress.Waiting(proofID(check.Name))
	}
	err = pipeline.ProveChecks(ctx, checks, timeout, func(check pipeline.Check, _ time.Duration) {
		s.progress.Found(proofID(check.Name))
	})
	var unproven *pipeline.UnprovenError
	if errors.As(err, &unproven) {
		for _, failure := range unproven.Failed {
			s.progress.Failed(proofID(failure.Name))
		}
	}
	return names, err
}

func proofID(check string) string { return "Proof: " + check }

// checks words the promises of the profiles as what is sent and looked for. OTLP is published on the loopback of the
// engine's host, so from elsewhere those are left out and it is said.
func (s *session) checks(result settings.Result) ([]pipeline.Check, error) {
	wanted := result.Selection.Checks()
	if !s.engine.Local() {
		before := len(wanted)
		wanted = slices.DeleteFunc(wanted, func(check profiles.Check) bool { return check.OTLP != "" })
		if len(wanted) < before {
			fmt.Fprintf(s.app.deps.stderr, "note: OTLP is on the loopback of %s, so its proof was left out\n", s.engine.Name)
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	logs, err := openObserve(result)
	if err != nil {
		return nil, err
	}
	stores := checkStores{logs: logs, metrics: victoriaMetrics(result, logs.HTTP)}
	sender := otlpSender(result, logs.HTTP)
	checks := make([]pipeline.Check, 0, len(wanted))
	for _, check := range wanted {
		made := pipeline.Check{Name: check.String()}
		switch {
		case check.OTLP != "":
			mark := pipeline.NewMark()
			made.Send = func(ctx context.Context) error { return sender.Send(ctx, check.OTLP, mark) }
			made.Find = func(ctx context.Context) (bool, error) { return stores.hasMark(ctx, check.OTLP, mark) }
		case check.Log != nil:
			made.Find = func(ctx context.Context) (bool, error) {
				return stores.hasLog(ctx, fmt.Sprintf(`SELECT _timestamp FROM %q WHERE %s`, check.Log.Stream, check.Log.Where))
			}
		default:
			made.Find = func(ctx context.Context) (bool, error) { return stores.hasSeries(ctx, check.Metric) }
		}
		checks = append(checks, made)
	}
	return checks, nil
}

// victoriaMetrics reaches the metric store through the gateway.
func victoriaMetrics(result settings.Result, client *http.Client) *victoriametrics.Client {
	login := result.Credentials.Login("victoriametrics")
	return &victoriametrics.Client{
		BaseURL:   gateway.URL(result.File.Bind, result.File.Port) + "/victoriametrics",
		HTTP:      client,
		Authorize: func(request *http.Request) { request.SetBasicAuth(login.User, login.Password) },
	}
}

// otlpSender sends as an application on the engine's host does.
func otlpSender(result settings.Result, client *http.Client) pipeline.OTLP {
	options := result.Settings.Options
	sender := pipeline.OTLP{Endpoint: "http://localhost:" + options["otlp-http-port"], HTTP: client, Now: time.Now}
	if options["otlp"] != "plain" {
		sender.Endpoint = "https://localhost:" + options["otlp-http-port"]
		sender.Token = result.Credentials.Login(otlpLogin).Password
	}
	return sender
}

// checkStores is where the proof of a profile looks.
type checkStores struct {
	logs    *openobserve.Client
	metrics *victoriametrics.Client
}

// hasMark looks for what pipeline.OTLP sent. The streams of logs and traces are both called otel.
func (c checkStores) hasMark(ctx context.Context, signal string, mark pipeline.Mark) (bool, error) {
	marked := fmt.Sprintf(`SELECT _timestamp FROM "otel" WHERE %s = '%s'`, pipeline.ProbeAttribute, mark)
	switch signal {
	case pipeline.Logs:
		return c.hasLog(ctx, marked)
	case pipeline.Traces:
		from, to := lately()
		hits, err := c.logs.SearchTraces(ctx, marked, from, to, 1)
		return len(hits) > 0, err
	default:
		// VictoriaMetrics keeps "no such series" for up to 10 s; a filter that no question had before asks anew.
		return c.hasSeries(ctx, fmt.Sprintf(`telemetry_probe{job=%q,asked!="%d"} == %s`, pipeline.ProbeService, time.Now().UnixNano(), mark))
	}
}

func (c checkStores) hasLog(ctx context.Context, sql string) (bool, error) {
	from, to := lately()
	hits, err := c.logs.Search(ctx, sql, from, to, 1)
	return len(hits) > 0, err
}

func (c checkStores) hasSeries(ctx context.Context, expression string) (bool, error) {
	samples, err := c.metrics.QueryLatest(ctx, expression)
	return len(samples) > 0, err
}

// lately allows for clocks that disagree.
func lately() (from, to time.Time) {
	now := time.Now()
	return now.Add(-10 * time.Minute), now.Add(10 * time.Minute)
}
