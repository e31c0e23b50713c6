package dashboards

const (
	rabbitMQ       = `job="rabbitmq"`
	rabbitMQFolder = "profiles/rabbitmq/config/grafana/dashboards"
)

func rabbitmq() Dashboard {
	d := newDashboard("telemetry-rabbitmq", "RabbitMQ",
		"The broker as its own Prometheus endpoint tells it: messages, queues, clients, and what it has left of memory and disk.",
		section{height: 4, panels: []panelSpec{
			stat("Ready", "short", `sum(rabbitmq_queue_messages_ready{`+rabbitMQ+`})`, describe("Messages that wait for a consumer, in all queues.")),
			stat("Unacknowledged", "short", `sum(rabbitmq_queue_messages_unacked{`+rabbitMQ+`})`, describe("Delivered, and not yet confirmed by their consumer.")),
			stat("Published", "cps", sumRate("rabbitmq_global_messages_received_total", rabbitMQ)),
			stat("Delivered", "cps", sumRate("rabbitmq_global_messages_delivered_total", rabbitMQ)),
			stat("Connections", "short", `sum(rabbitmq_connections{`+rabbitMQ+`})`),
			stat("Memory of its limit", "percentunit", `max(rabbitmq_process_resident_memory_bytes{`+rabbitMQ+`} / rabbitmq_resident_memory_limit_bytes{`+rabbitMQ+`})`,
				warnAt(0.8, 1), describe("From its limit on RabbitMQ holds back everybody who publishes.")),
		}},
		section{title: "Messages", height: 8, panels: []panelSpec{
			graph(12, "In and out", "cps", []query{
				q(sumRate("rabbitmq_global_messages_received_total", rabbitMQ), "published"),
				q(sumRate("rabbitmq_global_messages_routed_total", rabbitMQ), "routed to a queue"),
				q(sumRate("rabbitmq_global_messages_delivered_total", rabbitMQ), "delivered"),
				q(sumRate("rabbitmq_global_messages_acknowledged_total", rabbitMQ), "acknowledged"),
			}),
			graph(12, "What went wrong", "cps", []query{
				q(sumRate("rabbitmq_global_messages_unroutable_dropped_total", rabbitMQ), "no queue, dropped"),
				q(sumRate("rabbitmq_global_messages_unroutable_returned_total", rabbitMQ), "no queue, returned"),
				q(sumRate("rabbitmq_global_messages_redelivered_total", rabbitMQ), "delivered again"),
			}),
		}},
		section{title: "Queues", height: 8, panels: []panelSpec{
			graph(8, "Depth by queue", "short", []query{
				q(byQueue("rabbitmq_detailed_queue_messages"), "{{vhost}} {{queue}}"),
			}, describe("Ready and unacknowledged messages.")),
			graph(8, "Consumers by queue", "short", []query{
				q(byQueue("rabbitmq_detailed_queue_consumers"), "{{vhost}} {{queue}}"),
			}),
			graph(8, "Stored", "bytes", []query{
				q(`sum(rabbitmq_queue_messages_ready_bytes{`+rabbitMQ+`})`, "ready"),
				q(`sum(rabbitmq_queue_messages_unacked_bytes{`+rabbitMQ+`})`, "unacknowledged"),
			}),
		}},
		section{title: "Clients", height: 8, panels: []panelSpec{
			graph(12, "Connections, channels, consumers", "short", []query{
				q(`sum(rabbitmq_connections{`+rabbitMQ+`})`, "connections"),
				q(`sum(rabbitmq_channels{`+rabbitMQ+`})`, "channels"),
				q(`sum(rabbitmq_consumers{`+rabbitMQ+`})`, "consumers"),
			}),
			graph(12, "Opened and closed", "cps", []query{
				q(sumRate("rabbitmq_connections_opened_total", rabbitMQ), "connections opened"),
				q(sumRate("rabbitmq_connections_closed_total", rabbitMQ), "connections closed"),
				q(sumRate("rabbitmq_channels_opened_total", rabbitMQ), "channels opened"),
				q(sumRate("rabbitmq_channels_closed_total", rabbitMQ), "channels closed"),
			}, describe("Clients that connect for each message show here.")),
		}},
		section{title: "Node", height: 8, panels: []panelSpec{
			graph(8, "Memory", "bytes", []query{
				q(`max(rabbitmq_process_resident_memory_bytes{`+rabbitMQ+`})`, "used"),
				q(`max(rabbitmq_resident_memory_limit_bytes{`+rabbitMQ+`})`, "limit"),
			}),
			graph(8, "Free disk", "bytes", []query{
				q(`min(rabbitmq_disk_space_available_bytes{`+rabbitMQ+`})`, "free"),
				q(`max(rabbitmq_disk_space_available_limit_bytes{`+rabbitMQ+`})`, "limit"),
			}, describe("Below its limit RabbitMQ takes no message.")),
			graph(8, "Erlang processes and files", "short", []query{
				q(`sum(rabbitmq_erlang_processes_used{`+rabbitMQ+`})`, "processes"),
				q(`sum(rabbitmq_process_open_fds{`+rabbitMQ+`})`, "open files"),
			}),
		}},
	)
	d.folder = rabbitMQFolder
	return d
}

// byQueue is empty in a broker without queues, which is no fault.
func byQueue(metric string) string {
	return orNone(`max by (vhost, queue) (`+metric+`{`+rabbitMQ+`})`, "queue")
}
