package dashboards

const collectorJob = `job="otel-collector"`

// A counter of a signal begins with its first item; docker_stats sends metrics all the time.
func signals(metric, by string) []query {
	return []query{
		q(perSignal(metric+"_metric_points", by), "{{"+by+"}} metric points"),
		q(orNone(perSignal(metric+"_log_records", by), by), "{{"+by+"}} log records"),
		q(orNone(perSignal(metric+"_spans", by), by), "{{"+by+"}} spans"),
	}
}

// failures are counters that begin with the first failure.
func failures(metric, by string) []query {
	return []query{
		q(orNone(perSignal(metric+"_metric_points", by), by), "{{"+by+"}} metric points"),
		q(orNone(perSignal(metric+"_log_records", by), by), "{{"+by+"}} log records"),
		q(orNone(perSignal(metric+"_spans", by), by), "{{"+by+"}} spans"),
	}
}

func perSignal(metric, by string) string {
	return `sum by (` + by + `) (rate(` + metric + `{` + collectorJob + `}[` + win + `]))`
}

// lost sums what was refused to senders or given up, over all signals.
func lost(metrics string) string {
	return orZero(`sum(increase({__name__=~"` + metrics + `",` + collectorJob + `}[5m]))`)
}

func collector() Dashboard {
	d := newDashboard("telemetry-collector", "Collector",
		"The OpenTelemetry collector: what it accepts and refuses, what it sends and fails to send, what waits in its queues.",
		section{height: 4, panels: []panelSpec{
			stat("Accepted", "short", `sum(rate({__name__=~"otelcol_receiver_accepted_.*",`+collectorJob+`}[`+win+`]))`,
				describe("Metric points, log records and spans a second, from OTLP and from the collector's own receivers.")),
			stat("Sent", "short", `sum(rate({__name__=~"otelcol_exporter_sent_.*",`+collectorJob+`}[`+win+`]))`),
			stat("Refused, 5 min", "short", lost("otelcol_receiver_(?:refused|failed)_.*"), anyIsBad(),
				describe("Not taken: memory_limiter or a full queue said no. A sender that follows the protocol sends them again.")),
			stat("Given up, 5 min", "short", lost("otelcol_exporter_send_failed_.*"), anyIsBad(),
				describe("A store answered that it will never take them, 400 for example. An outage or a changed password is no reason: retries have no end.")),
			stat("Fullest queue", "percentunit", `max(otelcol_exporter_queue_size{`+collectorJob+`} / otelcol_exporter_queue_capacity{`+collectorJob+`})`, warnAt(0.5, 0.8), upToOne()),
			stat("Up", "dtdurations", `max(otelcol_process_uptime{`+collectorJob+`})`),
		}},
		section{title: "In", height: 8, panels: []panelSpec{
			graph(12, "Accepted by receiver", "short", signals("otelcol_receiver_accepted", "receiver"), describe("Items a second.")),
			graph(12, "Refused by receiver", "short", failures("otelcol_receiver_refused", "receiver"), describe("Items a second. The sender was told.")),
		}},
		section{title: "Out", height: 8, panels: []panelSpec{
			graph(12, "Sent by exporter", "short", signals("otelcol_exporter_sent", "exporter"), describe("Items a second that a store acknowledged.")),
			graph(12, "Failed by exporter", "short", append(failures("otelcol_exporter_send_failed", "exporter"), failures("otelcol_exporter_enqueue_failed", "exporter")...),
				describe("Given up after an answer that allows no retry, or not taken into a full queue.")),
		}},
		section{title: "Queues and memory", height: 8, panels: []panelSpec{
			graph(8, "Queue", "bytes", []query{
				q(`max by (exporter, data_type) (otelcol_exporter_queue_size{`+collectorJob+`})`, "{{exporter}} {{data_type}}"),
			}, describe("Waiting on disk, in the volume collector-queue. It grows while a store is away and survives a restart.")),
			graph(8, "Memory", "bytes", []query{
				q(`max(otelcol_process_memory_rss{`+collectorJob+`})`, "resident"),
				q(`max(otelcol_process_runtime_heap_alloc_bytes{`+collectorJob+`})`, "heap"),
			}),
			graph(8, "CPU", "short", []query{q(`max(rate(otelcol_process_cpu_seconds{`+collectorJob+`}[`+win+`]))`, "cores")}),
		}},
	)
	d.folder = otelFolder
	return d
}
