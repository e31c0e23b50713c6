package dashboards

// Set by VictoriaMetrics itself under -selfScrapeInterval (job and instance are set in compose.yaml); read off 1.145.0.
const vm = `job="victoriametrics"`

func victoriaMetrics() Dashboard {
	return newDashboard("telemetry-victoriametrics", "VictoriaMetrics",
		"What the metrics cost: series, churn, disk and memory of the metrics store, from its own metrics.",
		section{height: 4, panels: []panelSpec{
			stat("Samples written", "cps", `sum(rate(vm_rows_added_to_storage_total{`+vm+`}[`+win+`]))`),
			stat("Active series", "short", activeSeries, describe("Series with a sample in this or the last hour.")),
			stat("New series, 1 h", "short", `sum(increase(vm_new_timeseries_created_total{`+vm+`}[1h]))`,
				describe("Churn. A label that never repeats (request id, container id) shows here first.")),
			stat("Slow inserts", "percentunit", slowInserts, warnAt(0.05, 0.2), upToOne(),
				describe("Samples whose series was not in the cache. Above 5 % for long means too little memory for the number of series. Right after a start it is normal.")),
			stat("Data on disk", "bytes", `sum(vm_data_size_bytes{`+vm+`})`),
			stat("Free disk", "bytes", `min(vm_free_disk_space_bytes{`+vm+`})`, badBelow(1e9, 5e9),
				describe("VictoriaMetrics stops taking samples at its limit, see the graph below.")),
		}},
		section{title: "Ingestion", height: 8, panels: []panelSpec{
			graph(8, "Samples by protocol", "cps", []query{
				q(`sum by (type) (rate(vm_rows_inserted_total{`+vm+`}[`+win+`])) > 0 or on() label_replace(vector(0), "type", "none", "", "")`, "{{type}}"),
				q(`sum(rate(vm_rows_added_to_storage_total{`+vm+`}[`+win+`]))`, "all, with its own"),
			}, describe("Its own metrics do not pass a protocol, so they are only part of the second query.")),
			graph(8, "Rejected samples", "cps", []query{
				q(`sum by (reason) (rate(vm_rows_ignored_total{`+vm+`}[`+win+`]))`, "ignored: {{reason}}"),
				q(`sum(rate(vm_rows_invalid_total{`+vm+`}[`+win+`]))`, "invalid"),
			}),
			graph(8, "Slow inserts", "percentunit", []query{q(slowInserts, "slow inserts")}, upToOne()),
		}},
		section{title: "Series", height: 8, panels: []panelSpec{
			graph(12, "Active series", "short", []query{q(activeSeries, "active series")}),
			graph(12, "Churn", "cps", []query{
				q(`sum(rate(vm_new_timeseries_created_total{`+vm+`}[`+win+`]))`, "new series"),
			}),
		}},
		section{title: "Storage", height: 8, panels: []panelSpec{
			graph(8, "Size by part", "bytes", []query{
				q(`sum by (type) (vm_data_size_bytes{`+vm+`})`, "{{type}}"),
			}, stacked()),
			graph(8, "Rows", "short", []query{
				q(`sum(vm_rows{`+vm+`,type=~"storage/.*"})`, "samples"),
				q(`sum(vm_rows{`+vm+`,type=~"indexdb/.*"})`, "index entries"),
			}),
			graph(8, "Free disk", "bytes", []query{
				q(`min(vm_free_disk_space_bytes{`+vm+`})`, "free"),
				q(`max(vm_free_disk_space_limit_bytes{`+vm+`})`, "stops below"),
			}),
		}},
		section{title: "Process", height: 8, panels: []panelSpec{
			graph(8, "Memory", "bytes", []query{
				q(`max(process_resident_memory_bytes{`+vm+`})`, "resident"),
				q(`max(process_resident_memory_anon_bytes{`+vm+`})`, "of it, cannot be given back"),
				q(`max(vm_available_memory_bytes{`+vm+`})`, "available to it"),
			}),
			graph(8, "CPU", "short", []query{
				q(`sum(rate(process_cpu_seconds_total{`+vm+`}[`+win+`]))`, "cores used"),
				q(`max(process_cpu_cores_available{`+vm+`})`, "cores available"),
			}),
			graph(8, "Requests", "reqps", []query{
				q(`sum by (path) (rate(vm_http_requests_total{`+vm+`}[`+win+`])) > 0 or on() label_replace(vector(0), "path", "none", "", "")`, "{{path}}"),
				q(`sum(rate(vm_http_request_errors_total{`+vm+`}[`+win+`]))`, "errors"),
			}),
		}},
	)
}

const (
	activeSeries = `sum(vm_cache_entries{` + vm + `,type="storage/hour_metric_ids"})`

	slowInserts = `sum(rate(vm_slow_row_inserts_total{` + vm + `}[` + win + `])) / sum(rate(vm_rows_added_to_storage_total{` + vm + `}[` + win + `]))`
)
