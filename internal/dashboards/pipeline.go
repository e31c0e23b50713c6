package dashboards

const (
	// What shows a component's own counters on its loopback (counters.yaml) is no part of the way, and what sorts out marked
	// events (probe.yaml) drops all others.
	onTheWay   = `,component_id!~"counters|counters_page|marked_docker"`
	agent      = `job="vector-agent"` + onTheWay
	aggregator = `job="vector-aggregator"` + onTheWay
	bothJobs   = `job=~"vector-agent|vector-aggregator"` + onTheWay

	// The aggregators' way in from the agents. Their own metrics are a source of theirs, too, and
	// would count twice with it.
	fromAgents = aggregator + `,component_kind="source",component_type="vector"`
)

func pipeline() Dashboard {
	return newDashboard("telemetry-pipeline", "Pipeline",
		"What moves between the agent, the balancer, the aggregators and the stores, and where it stops.",
		pipelineSummary(),
		pipelineHops(),
		pipelineLosses(),
		pipelineBuffer(),
		pipelineAggregators(),
		pipelineNginx(),
	)
}

func pipelineSummary() section {
	return section{height: 4, panels: []panelSpec{
		stat("Events into the agent", "eps", sumRate("vector_component_received_events_total", agent+`,component_kind="source"`),
			describe("Log lines and metric samples that the agent's sources took in.")),
		stat("Events into the stores", "eps", sumRate("vector_component_sent_events_total", aggregator+`,component_kind="sink"`),
			describe("Events that OpenObserve and VictoriaMetrics took from the aggregators.")),
		stat("Errors, 5 min", "short", orZero(`sum(increase(vector_component_errors_total{`+bothJobs+`}[5m]))`),
			anyIsBad(), describe("Errors that agent and aggregators counted. Most are followed by a retry; lost events are counted beside this.")),
		stat("Events lost, 5 min", "short", orZero(`sum(increase(vector_component_discarded_events_total{`+bothJobs+`,intentional="false"}[5m]))`),
			anyIsBad(), describe("Events that were dropped although nobody asked for it.")),
		stat("Agent buffer fill", "percentunit", `max(`+bufferFill+`)`,
			warnAt(0.5, 0.8), upToOne(), describe("The fullest disk buffer of the agent. It fills while no aggregator takes events.")),
		stat("Aggregators", "short", `count(count by (replica) (count_over_time(vector_component_received_events_total{`+aggregator+`}[1m])))`,
			atLeast(1), describe("Replicas whose metrics arrived within the last minute.")),
	}}
}

func pipelineHops() section {
	return section{title: "Hops", height: 9, panels: []panelSpec{
		graph(12, "Events per hop", "eps", []query{
			q(sumRate("vector_component_received_events_total", agent+`,component_kind="source"`), "1 agent sources"),
			q(sumRate("vector_component_sent_events_total", agent+`,component_kind="sink"`), "2 agent sinks"),
			q(sumRate("vector_component_received_events_total", fromAgents), "3 aggregator sources"),
			q(sumRate("vector_component_sent_events_total", aggregator+`,component_kind="sink"`), "4 stores"),
		}, describe("Four hops of the same stream. The stores' line lies higher than the aggregators' by the metrics that the aggregators write about themselves; the agent's sources lie higher by what its filters exclude.")),
		graph(12, "Bytes per hop", "Bps", []query{
			q(sumRate("vector_component_received_bytes_total", agent+`,component_kind="source"`), "1 agent sources"),
			q(sumRate("vector_component_sent_bytes_total", agent+`,component_kind="sink"`), "2 agent sinks"),
			q(sumRate("vector_component_received_bytes_total", fromAgents), "3 aggregator sources"),
			q(sumRate("vector_component_sent_bytes_total", aggregator+`,component_kind="sink"`), "4 stores"),
		}, describe("Bytes as each component counts them: on the wire, so after compression where there is one.")),
		graph(12, "Logs, events per hop", "eps", []query{
			q(sumRate("vector_component_sent_events_total", agent+`,component_id="agg_logs"`), "agent -> balancer"),
			q(sumRate("vector_component_received_events_total", aggregator+`,component_id="from_agents_logs"`), "balancer -> aggregators"),
			q(sumRate("vector_component_sent_events_total", toStore), "aggregators -> OpenObserve"),
		}),
		graph(12, "Metrics, events per hop", "eps", []query{
			q(sumRate("vector_component_sent_events_total", agent+`,component_id="agg_metrics"`), "agent -> balancer"),
			q(sumRate("vector_component_received_events_total", aggregator+`,component_id="from_agents_metrics"`), "balancer -> aggregators"),
			q(sumRate("vector_component_sent_events_total", aggregator+`,component_id="victoriametrics"`), "aggregators -> VictoriaMetrics"),
		}, describe("VictoriaMetrics gets the aggregators' own metrics on top.")),
		bars(24, "Events by source", "eps", []query{
			q(`sort_desc(sum by (job, component_id) (rate(vector_component_received_events_total{`+bothJobs+`,component_kind="source"}[`+win+`])))`, "{{job}} {{component_id}}"),
		}),
	}}
}

func pipelineLosses() section {
	return section{title: "Errors, discards and answers", height: 8, panels: []panelSpec{
		graph(12, "Errors by component", "eps", []query{
			q(orNone(`sum by (job, component_id, error_type) (rate(vector_component_errors_total{`+bothJobs+`}[`+win+`]))`, "component_id"), "{{job}} {{component_id}} {{error_type}}"),
		}),
		graph(12, "Discarded events", "eps", []query{
			q(orNone(`sum by (job, component_id, intentional) (rate(vector_component_discarded_events_total{`+bothJobs+`}[`+win+`]))`, "component_id"), "{{job}} {{component_id}} intentional={{intentional}}"),
		}, describe("intentional=true is a filter at work, for instance the label telemetry.logs=exclude. intentional=false is data loss.")),
		graph(12, "Stores: HTTP answers by status", "reqps", []query{
			q(`sum by (component_id, status) (rate(vector_http_client_responses_total{`+aggregator+`}[`+win+`]))`, "{{component_id}} {{status}}"),
		}, describe("What the stores answered the aggregators. Vector has no counter of retries: each answer here that is not 2xx is tried again, except a refusal for good (400, 404, ...), which shows as a loss.")),
		graph(12, "Aggregators: gRPC answers by status", "reqps", []query{
			q(`sum by (component_id, grpc_status) (rate(vector_grpc_server_messages_sent_total{`+aggregator+`}[`+win+`]))`, "{{component_id}} {{grpc_status}}"),
		}, describe("What the aggregators answered the agents. The agent sends a batch again for every status but Ok and the few that are final.")),
	}}
}

// Only byte-bounded buffers report a maximum in bytes, so the division leaves exactly the disk ones.
const bufferFill = `sum by (buffer_id) (vector_buffer_size_bytes{` + agent + `}) / sum by (buffer_id) (vector_buffer_max_size_bytes{` + agent + `})`

func pipelineBuffer() section {
	return section{title: "Agent buffer", height: 8, panels: []panelSpec{
		graph(8, "Disk buffer fill", "percentunit", []query{q(bufferFill, "{{buffer_id}}")}, upToOne()),
		graph(8, "Events waiting", "short", []query{
			q(`sum by (buffer_id) (vector_buffer_size_events{`+agent+`})`, "{{buffer_id}}"),
		}),
		graph(8, "Time to drain", "s", []query{
			q(`sum by (buffer_id) (vector_buffer_size_events{`+agent+`}) / clamp_min(sum by (buffer_id) (label_replace(rate(vector_component_sent_events_total{`+agent+`,component_kind="sink"}[`+win+`]), "buffer_id", "$1", "component_id", "(.+)")), 0.1)`, "{{buffer_id}}"),
		}, describe("Events waiting over events leaving per second, with a floor of 0.1 per second so that a stalled sink reads as very long. An estimate: Vector reports no age of what waits.")),
	}}
}

func pipelineAggregators() section {
	replicaRate := `sum by (replica) (rate(vector_component_received_events_total{` + fromAgents + `}[` + win + `]))`
	return section{title: "Aggregators", height: 8, panels: []panelSpec{
		graph(8, "Events by replica", "eps", []query{q(replicaRate, "{{replica}}")}, stacked()),
		graph(8, "Share by replica", "percentunit", []query{
			// The floor turns 0/0 of an idle pipeline into a share of 0.
			q(replicaRate+` / on() group_left() clamp_min(sum(rate(vector_component_received_events_total{`+fromAgents+`}[`+win+`])), 1e-9)`, "{{replica}}"),
		}, stacked(), upToOne(), describe("The balancer hands out requests, not events, to the replica with the fewest open ones; shares drift with batch sizes.")),
		table(8, "Replicas", []column{
			{"Received", "eps", `sum by (replica) (rate(vector_component_received_events_total{` + fromAgents + `}[2m]))`},
			{"Sent", "eps", `sum by (replica) (rate(vector_component_sent_events_total{` + aggregator + `,component_kind="sink"}[2m]))`},
			{"Up", "dtdurations", `max by (replica) (vector_uptime_seconds{` + aggregator + `})`},
		}),
	}}
}

func pipelineNginx() section {
	return section{title: "nginx: balancer, gateway, Docker socket proxy", height: 8, panels: []panelSpec{
		graph(6, "Requests", "reqps", []query{
			q(`sum by (instance) (rate(nginx_http_requests_total{job="nginx"}[`+win+`]))`, "{{instance}}"),
		}),
		graph(6, "Connections", "short", []query{
			q(`sum by (instance) (nginx_connections_active{job="nginx"})`, "{{instance}}"),
		}),
		graph(6, "Balancer connections by state", "short", []query{
			q(`sum(nginx_connections_reading{job="nginx",instance="balancer"})`, "reading"),
			q(`sum(nginx_connections_writing{job="nginx",instance="balancer"})`, "writing"),
			q(`sum(nginx_connections_waiting{job="nginx",instance="balancer"})`, "waiting"),
		}, stacked()),
		graph(6, "Refused connections", "cps", []query{
			q(`sum by (instance) (rate(nginx_connections_accepted_total{job="nginx"}[`+win+`])) - sum by (instance) (rate(nginx_connections_handled_total{job="nginx"}[`+win+`]))`, "{{instance}}"),
		}, describe("Accepted but not handled: nginx ran into its limit of connections.")),
	}}
}

func sumRate(metric, labels string) string {
	return `sum(rate(` + metric + `{` + labels + `}[` + win + `]))`
}
