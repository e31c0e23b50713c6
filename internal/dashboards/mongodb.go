package dashboards

const (
	mongoDB       = `job="mongodb"`
	mongoDBFolder = "profiles/mongodb/config/grafana/dashboards"
)

func mongodb() Dashboard {
	d := newDashboard("telemetry-mongodb", "MongoDB",
		"The server's serverStatus and dbStats, as the collector's mongodb receiver reads them.",
		section{height: 4, panels: []panelSpec{
			stat("Connections", "short", `max(mongodb_connection_count{`+mongoDB+`,type="current"})`),
			stat("Operations", "ops", `sum(rate(mongodb_operation_count_total{`+mongoDB+`}[`+win+`]))`, describe("Those of the collector count.")),
			stat("Memory", "bytes", `max(mongodb_memory_usage_bytes{`+mongoDB+`,type="resident"})`),
			stat("Databases", "short", `max(mongodb_database_count{`+mongoDB+`})`),
			stat("Documents", "short", `sum(mongodb_object_count{`+mongoDB+`})`),
			stat("Data", "bytes", `sum(mongodb_data_size_bytes{`+mongoDB+`})`, describe("Before compression.")),
		}},
		section{title: "Work", height: 8, panels: []panelSpec{
			graph(12, "By operation", "ops", []query{
				q(`sum by (operation) (rate(mongodb_operation_count_total{`+mongoDB+`}[`+win+`]))`, "{{operation}}"),
			}, describe("Writes by document, commands are all else: handshakes, pings, statistics.")),
			graph(12, "Network", "Bps", []query{
				q(`max(rate(mongodb_network_io_receive_bytes{`+mongoDB+`}[`+win+`]))`, "in"),
				q(`max(rate(mongodb_network_io_transmit_bytes{`+mongoDB+`}[`+win+`]))`, "out"),
			}),
		}},
		section{title: "Server", height: 8, panels: []panelSpec{
			graph(8, "Clients", "short", []query{
				q(`max by (type) (mongodb_connection_count{`+mongoDB+`,type!="available"})`, "{{type}}"),
			}),
			graph(8, "Requests", "reqps", []query{
				q(`max(rate(mongodb_network_request_count{`+mongoDB+`}[`+win+`]))`, "requests"),
			}),
			graph(8, "Memory of the server", "bytes", []query{
				q(`max by (type) (mongodb_memory_usage_bytes{`+mongoDB+`})`, "{{type}}"),
			}),
		}},
		section{title: "Databases", height: 8, panels: []panelSpec{
			graph(8, "Documents by database", "short", []query{
				q(`max by (database) (mongodb_object_count{`+mongoDB+`})`, "{{database}}"),
			}),
			graph(8, "Data by database", "bytes", []query{
				q(`max by (database) (mongodb_data_size_bytes{`+mongoDB+`})`, "{{database}} data"),
				q(`max by (database) (mongodb_storage_size_bytes{`+mongoDB+`})`, "{{database}} on disk"),
			}),
			graph(8, "Indexes by database", "bytes", []query{
				q(`max by (database) (mongodb_index_size_bytes{`+mongoDB+`})`, "{{database}}"),
			}),
		}},
	)
	d.folder = mongoDBFolder
	return d
}
