package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/docker-telemetry/docker-telemetry/pipeline"
	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/storage/openobserve"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// Names of the routes of every stack.
const (
	routeLogs    = "logs"
	routeMetrics = "metrics"
	routeHost    = "host"
)

const (
	lookEvery = 100 * time.Millisecond
	// Only containers that appear after the agent has subscribed to the engine's events are sure to be read from their
	// first line, so one line that is lost proves nothing: it is written again.
	writeAgainAfter = 5 * time.Second
	// askLogAfter is when a line that is on its way is mostly there; to ask the engine for a log is not free.
	askLogAfter = 500 * time.Millisecond
	// takenIn bounds a batch without events, which is acknowledged at once.
	takenIn = 2 * time.Second
	// unavailable is the status of gRPC that the balancer itself answers with.
	unavailable = "14"
	// freshFor is the age of a sample that is scraped each 15 s, and was a moment ago.
	freshFor = 25 * time.Second
)

// routes are all that the running profiles promise.
func (v *scene) routes() []pipeline.Route {
	return append([]pipeline.Route{v.logsRoute(), v.metricsRoute(), v.hostRoute()}, v.profileRoutes()...)
}

// written is a marked line that a container printed.
type written struct {
	id   string
	at   time.Time
	took time.Duration
}

// record is a marked event as OpenObserve has it; times are the engine's clock.
type record struct {
	printed, atAgent, atAggregator time.Time
}

func recordOf(hit map[string]any) record {
	micro := func(name string) time.Time {
		value, _ := hit[name].(float64)
		return time.UnixMicro(int64(value))
	}
	return record{micro("_timestamp"), micro("probe_agent_at"), micro("probe_aggregator_at")}
}

// sent are the marked events of one route: that of its beginning, and one for each aggregator.
type sent[T any] struct {
	whole    pipeline.Mark
	found    map[pipeline.Mark]*pipeline.Outcome[T]
	replicas []replica
}

// replica is an aggregator and its own marked event.
type replica struct {
	container stack.Container
	mark      pipeline.Mark
	acked     *pipeline.Outcome[time.Duration]
}

func (r replica) label() string {
	return fmt.Sprintf("%s-%d", r.container.Component, r.container.Number)
}

func newSent[T any](v *scene) sent[T] {
	s := sent[T]{whole: pipeline.NewMark(), found: map[pipeline.Mark]*pipeline.Outcome[T]{}}
	s.found[s.whole] = pipeline.NewOutcome[T]()
	for _, c := range v.of(stack.Aggregator) {
		one := replica{container: c, mark: pipeline.NewMark(), acked: pipeline.NewOutcome[time.Duration]()}
		s.found[one.mark] = pipeline.NewOutcome[T]()
		s.replicas = append(s.replicas, one)
	}
	return s
}

// open are the marks that were not found yet.
func (s sent[T]) open() []pipeline.Mark {
	var open []pipeline.Mark
	for mark, outcome := range s.found {
		if _, settled := outcome.Settled(); !settled {
			open = append(open, mark)
		}
	}
	slices.Sort(open)
	return open
}

// logsRoute: a container's line, by agent, balancer and each aggregator, to OpenObserve and back by the gateway.
func (v *scene) logsRoute() pipeline.Route {
	marks := newSent[record](v)
	line := pipeline.NewOutcome[written]()
	lane := stack.Lanes()[0]
	batch := func(mark pipeline.Mark) []byte { return pipeline.LogBatch(mark, v.session.engine.Name, time.Now()) }
	hops := []pipeline.RouteHop{
		{Name: "container", Component: "container", Watch: func(ctx context.Context) (pipeline.Sighting, error) { return v.writeLine(ctx, marks.whole, line) }},
		v.watch(stack.DockerProxy, v.asked(stack.DockerProxy, "2375", "/_ping")),
		v.watch(stack.Agent, func(ctx context.Context, agent stack.Container) (pipeline.Sighting, error) {
			return v.followLine(ctx, agent, marks, line)
		}),
		v.balancerHop(lane),
	}
	hops = append(hops, aggregatorHops(v, marks, lane, batch)...)
	searched := pipeline.NewOutcome[time.Duration]()
	hops = append(hops,
		v.watch(stack.OpenObserve, func(ctx context.Context, _ stack.Container) (pipeline.Sighting, error) {
			return v.stored(ctx, marks.replicas, searched, stack.OpenObserve)
		}),
		v.watch(stack.Gateway, func(ctx context.Context, _ stack.Container) (pipeline.Sighting, error) {
			return v.searchLogs(ctx, marks, searched)
		}),
	)
	return pipeline.Route{Name: routeLogs, About: "a marked log line in OpenObserve", Hops: hops}
}

// writeLine has a container of ours print the marked line.
func (v *scene) writeLine(ctx context.Context, mark pipeline.Mark, line *pipeline.Outcome[written]) (pipeline.Sighting, error) {
	began := time.Now()
	id, err := v.session.manager.WriteProbe(ctx, v.project, mark.String(), v.until)
	v.later(func(ctx context.Context) error { return v.session.manager.RemoveProbe(ctx, id) })
	if err != nil {
		return pipeline.Sighting{}, notRun(ctx, err)
	}
	took := time.Since(began)
	line.Settle(written{id: id, at: time.Now(), took: took})
	return pipeline.Sighting{Latency: took}, nil
}

// notRun is why a container of ours does not run, for good, unless the look ended meanwhile.
func notRun(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return pipeline.ErrNothingCame
	}
	return &pipeline.DownError{Err: err}
}

// followLine waits until the line was found behind the agent; until then it looks whether the agent reads it, and has
// another one written where it may have been lost.
func (v *scene) followLine(ctx context.Context, agent stack.Container, marks sent[record], line *pipeline.Outcome[written]) (pipeline.Sighting, error) {
	first, err := line.Wait(ctx)
	if err != nil {
		return pipeline.Sighting{}, pipeline.ErrNothingCame
	}
	held, last := false, first
	err = pipeline.Until(ctx, lookEvery, func(ctx context.Context) error {
		if _, found := marks.found[marks.whole].Settled(); found {
			return nil
		}
		if time.Since(last.at) > askLogAfter && !held {
			reads, err := v.session.manager.Reads(ctx, agent, last.id, last.at)
			held = reads
			if err != nil {
				return err
			}
		}
		if time.Since(last.at) > writeAgainAfter {
			again := pipeline.NewOutcome[written]()
			if _, err := v.writeLine(ctx, marks.whole, again); err != nil {
				return err
			}
			last, _ = again.Settled()
		}
		return errors.New("it does not read the container's log")
	})
	found, arrived := marks.found[marks.whole].Settled()
	switch {
	case arrived:
		return pipeline.Sighting{Latency: atLeastZero(found.atAgent.Sub(found.printed))}, nil
	case held:
		return pipeline.Sighting{Held: true}, nil
	default:
		return pipeline.Sighting{}, err
	}
}

func atLeastZero(latency time.Duration) time.Duration { return max(0, latency) }

// asked is a hop that the agent itself can ask for a page.
func (v *scene) asked(host, port, path string) func(context.Context, stack.Container) (pipeline.Sighting, error) {
	return func(ctx context.Context, _ stack.Container) (pipeline.Sighting, error) {
		agent, err := v.one(stack.Agent)
		if err != nil {
			return pipeline.Sighting{}, nil //nolint:nilerr // the agent's own hop tells of it
		}
		var took time.Duration
		err = pipeline.Until(ctx, lookEvery, func(ctx context.Context) (err error) {
			took, err = v.session.manager.AskFromAgent(ctx, agent, host, port, path)
			return err
		})
		return pipeline.Sighting{Latency: took}, err
	}
}

// balancerHop: a batch without events goes through it, and the agent reaches it.
func (v *scene) balancerHop(lane stack.Lane) pipeline.RouteHop {
	reached := v.asked(stack.Balancer, "8081", "/healthz")
	return v.watch(stack.Balancer, func(ctx context.Context, balancer stack.Container) (pipeline.Sighting, error) {
		if _, err := reached(ctx, balancer); err != nil {
			return pipeline.Sighting{}, err
		}
		took, err := v.taken(ctx, balancer, nil, lane)
		return pipeline.Sighting{Latency: took}, err
	})
}

// taken is how long the answer to a batch without events took.
func (v *scene) taken(ctx context.Context, balancer stack.Container, to *stack.Container, lane stack.Lane) (time.Duration, error) {
	var took time.Duration
	err := pipeline.Until(ctx, lookEvery, func(ctx context.Context) error {
		trying, cancel := context.WithTimeout(ctx, takenIn)
		defer cancel()
		var err error
		took, err = v.session.manager.Push(trying, balancer, to, lane, nil)
		var refused *stack.PushError
		if to == nil && errors.As(err, &refused) && refused.Status != "" && refused.Status != unavailable {
			return nil // that an aggregator said: it has a hop of its own
		}
		return err
	})
	return took, err
}

// aggregatorHops send each replica a marked batch of its own: the balancer would send the line to one of them.
func aggregatorHops[T any](v *scene, marks sent[T], lane stack.Lane, batch func(pipeline.Mark) []byte) []pipeline.RouteHop {
	var hops []pipeline.RouteHop
	for _, one := range marks.replicas {
		hops = append(hops, pipeline.RouteHop{Name: one.label(), Component: stack.Aggregator, Watch: func(ctx context.Context) (pipeline.Sighting, error) {
			if err := v.down(one.container); err != nil {
				return pipeline.Sighting{}, err
			}
			balancer, err := v.one(stack.Balancer)
			if err != nil {
				return pipeline.Sighting{}, pipeline.ErrNothingCame
			}
			took, err := v.taken(ctx, balancer, &one.container, lane)
			if err != nil {
				return pipeline.Sighting{}, err
			}
			go v.pushMarked(ctx, balancer, one, lane, batch(one.mark))
			_, err = marks.found[one.mark].Wait(ctx)
			return pipeline.Sighting{Latency: took, Held: err != nil}, nil
		}})
	}
	if missing := v.promised(stack.Aggregator) - len(marks.replicas); missing > 0 {
		hops = append(hops, pipeline.RouteHop{Name: stack.Aggregator, Component: stack.Aggregator, Watch: func(context.Context) (pipeline.Sighting, error) {
			return pipeline.Sighting{}, &pipeline.DownError{Err: fmt.Errorf("%d of %d aggregators have no container", missing, v.promised(stack.Aggregator))}
		}})
	}
	return hops
}

// pushMarked ends when the aggregator acknowledges, which it does when the store has the event.
func (v *scene) pushMarked(ctx context.Context, balancer stack.Container, one replica, lane stack.Lane, batch []byte) {
	took, err := v.session.manager.Push(ctx, balancer, &one.container, lane, batch)
	if err != nil {
		one.acked.Note(err)
		return
	}
	one.acked.Settle(took)
}

// stored is the hop of a store: each aggregator that took its marked event has an acknowledgement of it, and who asks the
// store is let in. Its latency is that of the slowest.
func (v *scene) stored(ctx context.Context, replicas []replica, asked *pipeline.Outcome[time.Duration], store string) (pipeline.Sighting, error) {
	var slowest time.Duration
	for _, one := range replicas {
		took, err := one.acked.Wait(ctx)
		if err != nil {
			return pipeline.Sighting{}, fmt.Errorf("%s took the marked event, and %s did not acknowledge it", one.label(), store)
		}
		slowest = max(slowest, took)
	}
	if _, err := asked.Wait(ctx); refusedLogin(err) {
		return pipeline.Sighting{}, err
	}
	return pipeline.Sighting{Latency: slowest}, nil
}

// missing reports whether OpenObserve has no such stream yet.
func missing(err error) bool {
	var status *openobserve.StatusError
	return errors.As(err, &status) && status.Status/100 == 4 && !refusedLogin(err)
}

// refusedLogin reports whether a store answered that it does not know who asks.
func refusedLogin(err error) bool {
	var logs *openobserve.StatusError
	var metrics *victoriametrics.StatusError
	return errors.As(err, &logs) && (logs.Status == 401 || logs.Status == 403) ||
		errors.As(err, &metrics) && (metrics.Status == 401 || metrics.Status == 403)
}

// searchLogs is the way back: one query by the gateway for all marks until each was found. It is passed when the query was
// answered; what was found settles the hops before.
func (v *scene) searchLogs(ctx context.Context, marks sent[record], answered *pipeline.Outcome[time.Duration]) (pipeline.Sighting, error) {
	return v.poll(ctx, answered, func(ctx context.Context) (done bool, err error) {
		open := marks.open()
		if len(open) == 0 {
			return true, nil
		}
		var terms []string
		for _, mark := range open {
			terms = append(terms, fmt.Sprintf("%s = '%s'", pipeline.ProbeAttribute, mark))
		}
		from, to := lately()
		hits, err := v.logs.Search(ctx, `SELECT * FROM "telemetry_probe" WHERE `+strings.Join(terms, " OR "), from, to, 100)
		if missing(err) {
			return false, nil
		}
		for _, hit := range hits {
			for _, mark := range open {
				if fmt.Sprint(hit[pipeline.ProbeAttribute]) == mark.String() {
					marks.found[mark].Settle(recordOf(hit))
				}
			}
		}
		return len(marks.open()) == 0, err
	})
}

// poll asks a store again and again until all is found. It ends for good when the gateway's certificate is refused.
func (v *scene) poll(ctx context.Context, answered *pipeline.Outcome[time.Duration], ask func(context.Context) (bool, error)) (pipeline.Sighting, error) {
	var took time.Duration
	var last error
	err := pipeline.Until(ctx, lookEvery, func(ctx context.Context) error {
		began := time.Now()
		done, err := ask(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		last = err
		if refusal := badCertificate(err); refusal != nil {
			return &pipeline.DownError{Err: refusal}
		}
		if err != nil {
			answered.Note(err)
			return err
		}
		took = time.Since(began)
		answered.Settle(took)
		if !done {
			return pipeline.ErrNothingCame
		}
		return nil
	})
	var down *pipeline.DownError
	if errors.As(err, &down) {
		return pipeline.Sighting{}, err
	}
	// What the store refuses has come by the gateway.
	if last != nil && !refusedLogin(last) {
		return pipeline.Sighting{}, plain(last)
	}
	return pipeline.Sighting{Latency: took}, nil
}

// hostRoute: the host's own figures, asked for by the agent each 15 s.
func (v *scene) hostRoute() pipeline.Route {
	fresh := pipeline.NewOutcome[bool]()
	hops := []pipeline.RouteHop{v.watch(stack.NodeExporter, v.asked(stack.NodeExporter, "9100", "/metrics"))}
	hops = append(hops,
		v.watch(stack.Agent, func(ctx context.Context, _ stack.Container) (pipeline.Sighting, error) {
			_, err := fresh.Wait(ctx)
			return pipeline.Sighting{Held: err != nil}, nil
		}),
		v.watch(stack.VictoriaMetrics, func(ctx context.Context, _ stack.Container) (pipeline.Sighting, error) {
			return v.poll(ctx, pipeline.NewOutcome[time.Duration](), func(ctx context.Context) (bool, error) {
				samples, err := v.metrics.QueryLatest(ctx, fmt.Sprintf(`time() - timestamp(node_time_seconds{job="node-exporter",%s}) < %.0f`, v.anew(), freshFor.Seconds()))
				if len(samples) > 0 {
					fresh.Settle(true)
				}
				return len(samples) > 0, err
			})
		}),
	)
	return pipeline.Route{Name: routeHost, About: "the host's metrics in VictoriaMetrics", Hops: hops}
}

// anew is a filter that no question had before: VictoriaMetrics keeps "no such series" for up to 10 s.
func (v *scene) anew() string { return fmt.Sprintf(`asked!="%d"`, time.Now().UnixNano()) }

// metricsRoute: a target's sample, scraped by the agent, by balancer and each aggregator to VictoriaMetrics, and seen by
// the gateway and by Grafana's data source.
func (v *scene) metricsRoute() pipeline.Route {
	marks := newSent[bool](v)
	lane := stack.Lanes()[1]
	served := pipeline.NewOutcome[string]()
	hops := []pipeline.RouteHop{
		{Name: "target", Component: "target", Watch: func(ctx context.Context) (pipeline.Sighting, error) { return v.serveTarget(ctx, marks.whole, served) }},
		v.watch(stack.Agent, func(ctx context.Context, agent stack.Container) (pipeline.Sighting, error) {
			return v.scrapeTarget(ctx, agent, marks, served)
		}),
		v.balancerHop(lane),
	}
	places := map[pipeline.Mark]string{marks.whole: "target"}
	for _, one := range marks.replicas {
		places[one.mark] = one.label()
	}
	hops = append(hops, aggregatorHops(v, marks, lane, func(mark pipeline.Mark) []byte { return pipeline.MetricBatch(mark, places[mark], time.Now()) })...)
	queried := pipeline.NewOutcome[time.Duration]()
	hops = append(hops,
		v.watch(stack.VictoriaMetrics, func(ctx context.Context, _ stack.Container) (pipeline.Sighting, error) {
			return v.stored(ctx, marks.replicas, queried, stack.VictoriaMetrics)
		}),
		v.watch(stack.Gateway, func(ctx context.Context, _ stack.Container) (pipeline.Sighting, error) {
			return v.poll(ctx, queried, func(ctx context.Context) (bool, error) { return v.queryMarks(ctx, marks, places) })
		}),
	)
	if _, has := v.project.Services[stack.Grafana]; has {
		hops = append(hops, v.watch(stack.Grafana, func(ctx context.Context, _ stack.Container) (pipeline.Sighting, error) {
			return v.seenByGrafana(ctx, marks, places[marks.whole])
		}))
	}
	return pipeline.Route{Name: routeMetrics, About: "a marked sample in VictoriaMetrics and Grafana", Hops: hops}
}

// serveTarget runs a container of ours that serves the marked sample, and waits until the agent can ask for it.
func (v *scene) serveTarget(ctx context.Context, mark pipeline.Mark, served *pipeline.Outcome[string]) (pipeline.Sighting, error) {
	began := time.Now()
	sample := fmt.Sprintf(`%s{job=%q} %s`, pipeline.ProbeMetricName, pipeline.ProbeService, mark)
	id, host, err := v.session.manager.ServeProbe(ctx, v.project, mark.String(), sample, v.until)
	v.later(func(ctx context.Context) error { return v.session.manager.RemoveProbe(ctx, id) })
	if err != nil {
		return pipeline.Sighting{}, notRun(ctx, err)
	}
	if _, err := v.asked(host, stack.TargetPort, "/metrics")(ctx, stack.Container{}); err != nil {
		return pipeline.Sighting{}, err
	}
	served.Settle("http://" + host + ":" + stack.TargetPort + "/metrics")
	return pipeline.Sighting{Latency: time.Since(began)}, nil
}

func (v *scene) scrapeTarget(ctx context.Context, agent stack.Container, marks sent[bool], served *pipeline.Outcome[string]) (pipeline.Sighting, error) {
	url, err := served.Wait(ctx)
	if err != nil {
		return pipeline.Sighting{}, pipeline.ErrNothingCame
	}
	began := time.Now()
	if err := v.session.manager.Scrape(ctx, agent, marks.whole.String(), url); err != nil {
		return pipeline.Sighting{}, err
	}
	v.later(func(ctx context.Context) error { return v.session.manager.StopScrape(ctx, agent, marks.whole.String()) })
	_, err = marks.found[marks.whole].Wait(ctx)
	return pipeline.Sighting{Latency: time.Since(began), Held: err != nil}, nil
}

// queryMarks asks for all marks in one query; each is the value of a sample of its place within the last minute.
func (v *scene) queryMarks(ctx context.Context, marks sent[bool], places map[pipeline.Mark]string) (bool, error) {
	var terms []string
	open := marks.open()
	for _, mark := range open {
		terms = append(terms, v.markQuery(mark, places[mark]))
	}
	if len(terms) == 0 {
		return true, nil
	}
	samples, err := v.metrics.QueryLatest(ctx, strings.Join(terms, " or "))
	for _, sample := range samples {
		for _, mark := range open {
			if places[mark] == sample.Labels["place"] {
				marks.found[mark].Settle(true)
			}
		}
	}
	return len(marks.open()) == 0, err
}

func (v *scene) markQuery(mark pipeline.Mark, place string) string {
	return fmt.Sprintf(`count_eq_over_time(%s{job=%q,place=%q,%s}[1m], %s) > 0`, pipeline.ProbeMetricName, pipeline.ProbeService, place, v.anew(), mark)
}

// seenByGrafana asks by the data source that the dashboards use.
func (v *scene) seenByGrafana(ctx context.Context, marks sent[bool], place string) (pipeline.Sighting, error) {
	if _, err := marks.found[marks.whole].Wait(ctx); err != nil {
		return pipeline.Sighting{}, pipeline.ErrNothingCame
	}
	var took time.Duration
	err := pipeline.Until(ctx, lookEvery, func(ctx context.Context) error {
		began := time.Now()
		samples, err := v.grafana.QueryLatest(ctx, v.markQuery(marks.whole, place))
		took = time.Since(began)
		switch {
		case err != nil && refusedLogin(err):
			return &pipeline.DownError{Err: fmt.Errorf("its data source VictoriaMetrics: %w", err)}
		case err != nil:
			return fmt.Errorf("its data source VictoriaMetrics: %w", plain(err))
		case len(samples) == 0:
			return errors.New("its data source VictoriaMetrics has no such sample")
		}
		return nil
	})
	return pipeline.Sighting{Latency: took}, err
}
