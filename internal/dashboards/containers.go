package dashboards

const (
	dockerStats = `job="docker"`

	cpuOfContainers = `sum by (container_name) (rate(container_cpu_usage_nanoseconds_total{` + dockerStats + `}[` + win + `])) / 1e9`
	memOfContainers = `max by (container_name) (container_memory_usage_total_bytes{` + dockerStats + `})`
)

func containers() Dashboard {
	d := newDashboard("telemetry-containers", "Containers",
		"Every container of the engine, as the collector's docker_stats receiver reads it through docker-proxy.",
		section{height: 4, panels: []panelSpec{
			stat("Containers", "short", `count(`+memOfContainers+`)`, describe("Running containers whose figures arrived.")),
			stat("CPU, all containers", "short", `sum(`+cpuOfContainers+`)`, describe("In cores.")),
			stat("Memory, all containers", "bytes", `sum(`+memOfContainers+`)`),
			stat("Fullest memory limit", "percent", `max(container_memory_percent_ratio{`+dockerStats+`})`, warnAt(80, 95),
				describe("A container that reaches its limit is killed. One without a limit is measured against the engine's memory.")),
			stat("Received", "Bps", sumRate("container_network_io_usage_rx_bytes_total", dockerStats)),
			stat("Sent", "Bps", sumRate("container_network_io_usage_tx_bytes_total", dockerStats)),
		}},
		section{title: "CPU", height: 9, panels: []panelSpec{
			graph(16, "CPU by container", "short", []query{q(cpuOfContainers, "{{container_name}}")}, describe("In cores: 1 is one core at work all the time.")),
			bars(8, "CPU now", "short", []query{q("sort_desc("+cpuOfContainers+")", "{{container_name}}")}),
		}},
		section{title: "Memory", height: 9, panels: []panelSpec{
			graph(16, "Memory by container", "bytes", []query{q(memOfContainers, "{{container_name}}")},
				describe("Without the page cache that the kernel can give back, as docker stats shows it.")),
			bars(8, "Share of the limit", "percent", []query{q(`sort_desc(max by (container_name) (container_memory_percent_ratio{`+dockerStats+`}))`, "{{container_name}}")}, warnAt(80, 95)),
		}},
		section{title: "Network", height: 8, panels: []panelSpec{
			graph(8, "Received by container", "Bps", []query{q(byContainer("container_network_io_usage_rx_bytes_total"), "{{container_name}}")}),
			graph(8, "Sent by container", "Bps", []query{q(byContainer("container_network_io_usage_tx_bytes_total"), "{{container_name}}")}),
			graph(8, "Dropped packets", "pps", []query{
				q(byContainer("container_network_io_usage_rx_dropped_total"), "{{container_name}} received"),
				q(byContainer("container_network_io_usage_tx_dropped_total"), "{{container_name}} sent"),
			}),
		}},
		section{title: "Block I/O", height: 8, panels: []panelSpec{
			graph(12, "Read by container", "Bps", []query{q(blockIO("read"), "{{container_name}}")}, describe(blockIOMissing)),
			graph(12, "Written by container", "Bps", []query{q(blockIO("write"), "{{container_name}}")}, describe(blockIOMissing)),
		}},
	)
	d.folder = otelFolder
	return d
}

const (
	otelFolder     = "profiles/otel/config/grafana/dashboards"
	blockIOMissing = "Zero where the kernel counts none for a container: the engine's answer is empty then."
)

func byContainer(metric string) string {
	return `sum by (container_name) (rate(` + metric + `{` + dockerStats + `}[` + win + `]))`
}

// blockIO matches any case: cgroup v1 says "Read" and v2 "read".
func blockIO(operation string) string {
	return orNone(`sum by (container_name) (rate(container_blockio_io_service_bytes_recursive_total{`+dockerStats+`,operation=~"(?i)`+operation+`"}[`+win+`]))`, "container_name")
}
