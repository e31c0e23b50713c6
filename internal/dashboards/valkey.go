package dashboards

const (
	valkeyJob    = `job="valkey"`
	valkeyFolder = "profiles/valkey/config/grafana/dashboards"
)

// valkey takes the maximum everywhere: with the profile otel the collector brings some of these figures once more.
func valkey() Dashboard {
	d := newDashboard("telemetry-valkey", "Valkey",
		"The server's INFO, through the exporter.",
		section{height: 4, panels: []panelSpec{
			stat("Answers", "short", `max(redis_up{`+valkeyJob+`})`, atLeast(1), describe("1: the exporter reaches it and may log in.")),
			stat("Commands", "ops", maxRate("redis_commands_processed_total"), describe("Those of the exporter count.")),
			stat("Keys", "short", `sum(max by (db) (redis_db_keys{`+valkeyJob+`}))`),
			stat("Clients", "short", `max(redis_connected_clients{`+valkeyJob+`})`),
			stat("Memory of its limit", "percentunit", `max(redis_memory_used_bytes{`+valkeyJob+`}) / max(redis_memory_max_bytes{`+valkeyJob+`})`, upToOne(),
				describe("From the limit on it evicts the keys that were not used for longest.")),
			stat("Up", "dtdurations", `max(redis_uptime_in_seconds{`+valkeyJob+`})`),
		}},
		section{title: "Commands", height: 8, panels: []panelSpec{
			graph(8, "By command", "ops", []query{
				q(`max by (cmd) (rate(redis_commands_total{`+valkeyJob+`}[`+win+`]))`, "{{cmd}}"),
			}),
			graph(8, "Hits and misses", "ops", []query{
				q(maxRate("redis_keyspace_hits_total"), "hits"),
				q(maxRate("redis_keyspace_misses_total"), "misses"),
			}, describe("Reads of keys that were there, and of keys that were not.")),
			graph(8, "Time in commands", "percentunit", []query{
				q(`max by (cmd) (rate(redis_commands_duration_seconds_total{`+valkeyJob+`}[`+win+`]))`, "{{cmd}}"),
			}, describe("Share of the one thread that runs them.")),
		}},
		section{title: "Keys and memory", height: 8, panels: []panelSpec{
			graph(8, "Keys by database", "short", []query{
				q(`max by (db) (redis_db_keys{`+valkeyJob+`})`, "{{db}}"),
			}),
			graph(8, "Keys that went", "ops", []query{
				q(maxRate("redis_expired_keys_total"), "expired"),
				q(maxRate("redis_evicted_keys_total"), "evicted"),
			}, describe("Evicted: for want of memory.")),
			graph(8, "Memory", "bytes", []query{
				q(`max(redis_memory_used_bytes{`+valkeyJob+`})`, "used"),
				q(`max(redis_memory_used_rss_bytes{`+valkeyJob+`})`, "resident"),
				q(`max(redis_memory_max_bytes{`+valkeyJob+`})`, "limit"),
			}),
		}},
		section{title: "Clients and disk", height: 8, panels: []panelSpec{
			graph(8, "Clients", "short", []query{
				q(`max(redis_connected_clients{`+valkeyJob+`})`, "connected"),
				q(`max(redis_blocked_clients{`+valkeyJob+`})`, "blocked"),
			}),
			graph(8, "Network", "Bps", []query{
				q(maxRate("redis_net_input_bytes_total"), "in"),
				q(maxRate("redis_net_output_bytes_total"), "out"),
			}),
			graph(8, "Not yet saved", "short", []query{
				q(`max(redis_rdb_changes_since_last_save{`+valkeyJob+`})`, "changes"),
			}, describe("What a crash now would lose: it saves 300 s after the first of 10 changes.")),
		}},
	)
	d.folder = valkeyFolder
	return d
}

func maxRate(metric string) string {
	return `max(rate(` + metric + `{` + valkeyJob + `}[` + win + `]))`
}
