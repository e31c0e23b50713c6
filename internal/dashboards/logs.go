package dashboards

const (
	openObserve = `job="openobserve"`
	logStreams  = openObserve + `,stream_type="logs"`
	// One sink a stream; that of the journal comes with its profile.
	toStore = aggregator + `,component_id=~"openobserve|openobserve_journal"`
)

const noLevels = `Volume **by level or by service** is not here: neither Vector nor OpenObserve counts it as a metric, and no panel pretends to.
Every log event carries ` + "`level`, `service`, `project` and `host`" + ` as fields: query the stream ` + "`docker`" + ` in OpenObserve.`

func logsVolume() Dashboard {
	return newDashboard("telemetry-logs", "Logs volume",
		"How much is logged, whether OpenObserve takes it, and what it costs there.",
		section{height: 4, panels: []panelSpec{
			stat("Log events", "eps", sumRate("vector_component_sent_events_total", agent+`,component_id="agg_logs"`),
				describe("Log events that the agent handed to an aggregator.")),
			stat("Records stored", "recps", `sum(rate(zo_ingest_records{`+logStreams+`}[`+win+`]))`),
			stat("Sent to OpenObserve", "Bps", sumRate("vector_component_sent_bytes_total", toStore),
				describe("After compression.")),
			stat("Refused or failed, 5 min", "short",
				orZero(`sum(increase(vector_http_client_responses_total{`+toStore+`,status!~"2.."}[5m]))`), anyIsBad(),
				describe("Answers of OpenObserve other than 2xx. All but a final refusal are tried again.")),
			stat("Events lost, 5 min", "short",
				orZero(`sum(increase(vector_component_discarded_events_total{`+toStore+`,intentional="false"}[5m]))`), anyIsBad()),
			stat("Stored, compressed", "bytes", orZero(`sum(zo_storage_compressed_bytes{`+logStreams+`})`), describe(storageNote)),
		}},
		section{title: "Flow", height: 8, panels: []panelSpec{
			graph(12, "Log events", "eps", []query{
				q(sumRate("vector_component_sent_events_total", agent+`,component_id="agg_logs"`), "from the agent"),
				q(sumRate("vector_component_sent_events_total", toStore), "to OpenObserve"),
				q(`sum(rate(zo_ingest_records{`+logStreams+`}[`+win+`]))`, "taken by OpenObserve"),
			}, describe("The last line counts every log record in OpenObserve, also those that did not come through the agent.")),
			graph(12, "Bytes", "Bps", []query{
				q(sumRate("vector_component_sent_bytes_total", toStore), "sent to OpenObserve, compressed"),
				q(`sum(rate(zo_ingest_bytes{`+logStreams+`}[`+win+`]))`, "taken by OpenObserve, as JSON"),
			}),
			bars(12, "Events by log source of the agent", "eps", []query{
				q(`sort_desc(sum by (component_id) (rate(vector_component_received_events_total{`+agent+`,component_kind="source",component_type=~"docker_logs|journald|file|opentelemetry|syslog"}[`+win+`])))`, "{{component_id}}"),
			}),
			text(12, "By level", noLevels),
		}},
		section{title: "Errors and refusals", height: 8, panels: []panelSpec{
			graph(8, "Answers of OpenObserve by status", "reqps", []query{
				q(`sum by (status) (rate(vector_http_client_responses_total{`+toStore+`}[`+win+`]))`, "{{status}}"),
			}),
			graph(8, "Requests without an answer", "reqps", []query{
				q(orNone(`sum by (error_kind) (rate(vector_http_client_errors_total{`+toStore+`}[`+win+`]))`, "error_kind"), "{{error_kind}}"),
			}),
			graph(8, "Records that OpenObserve could not take", "cps", []query{
				q(orNone(`sum by (stream, error_type) (rate(zo_ingest_errors{`+logStreams+`}[`+win+`]))`, "stream"), "{{stream}} {{error_type}}"),
			}, describe("OpenObserve answers 200 for a batch with bad records in it, so Vector does not see these.")),
		}},
		section{title: "Storage", height: 8, panels: []panelSpec{
			graph(8, "Stored", "bytes", []query{
				q(orZero(`sum(zo_storage_original_bytes{`+logStreams+`})`), "as JSON"),
				q(orZero(`sum(zo_storage_compressed_bytes{`+logStreams+`})`), "compressed"),
			}, describe(storageNote)),
			graph(8, "Records and files", "short", []query{
				q(orZero(`sum(zo_storage_records{`+logStreams+`})`), "records"),
				q(orZero(`sum(zo_storage_files{`+logStreams+`})`), "files"),
			}, describe(storageNote)),
			graph(8, "Not yet stored", "bytes", []query{
				q(`sum(zo_ingest_memtable_bytes{`+openObserve+`})`, "in memory"),
				q(orZero(`sum(zo_ingest_wal_used_bytes{`+logStreams+`})`), "in the write-ahead log"),
			}),
		}},
	)
}

const storageNote = "0 until OpenObserve has moved the first file into its storage, minutes after the first record; then updated every minute."
