package dashboards

const node = `job="node-exporter"`

// Pseudo and image file systems: they are never what fills up, and each container adds some.
const realFS = node + `,fstype!~"tmpfs|ramfs|overlay|squashfs|iso9660|autofs|devtmpfs|fuse.lxcfs|nsfs"`

// Docker makes one veth and one bridge a network; their traffic is counted on the real ones, too.
const realNIC = node + `,device!~"lo|veth.*|br-.*|docker.*"`

// max by device, not sum: a device that is mounted in several places is reported once a mount.
const fsUsed = `1 - max by (instance, device) (node_filesystem_avail_bytes{` + realFS + `}) / max by (instance, device) (node_filesystem_size_bytes{` + realFS + `})`

const (
	cpuBusy = `1 - avg by (instance) (rate(node_cpu_seconds_total{` + node + `,mode="idle"}[` + win + `]))`
	memUsed = `1 - node_memory_MemAvailable_bytes{` + node + `} / node_memory_MemTotal_bytes{` + node + `}`
)

func host() Dashboard {
	return newDashboard("telemetry-host", "Host",
		"The Docker host as node_exporter sees it. On Docker Desktop that is the virtual machine, not your desktop.",
		section{height: 4, panels: []panelSpec{
			stat("CPU busy", "percentunit", "max("+cpuBusy+")", warnAt(0.7, 0.9), upToOne()),
			stat("Memory used", "percentunit", "max("+memUsed+")", warnAt(0.8, 0.9), upToOne(),
				describe("1 - MemAvailable / MemTotal: page cache that can be given back does not count.")),
			stat("Fullest file system", "percentunit", "max("+fsUsed+")", warnAt(0.8, 0.9), upToOne()),
			stat("Load per core, 5 min", "short",
				`max(sum by (instance) (node_load5{`+node+`}) / count by (instance) (node_cpu_seconds_total{`+node+`,mode="idle"}))`, warnAt(1, 2)),
			stat("Processor cores", "short", `count(node_cpu_seconds_total{`+node+`,mode="idle"})`),
			stat("Up", "dtdurations", `max(node_time_seconds{`+node+`} - node_boot_time_seconds{`+node+`})`),
		}},
		section{title: "CPU and memory", height: 8, panels: []panelSpec{
			graph(8, "CPU by mode", "percentunit", []query{
				q(`sum by (mode) (rate(node_cpu_seconds_total{`+node+`,mode!="idle"}[`+win+`])) / on() group_left() count(node_cpu_seconds_total{`+node+`,mode="idle"})`, "{{mode}}"),
			}, stacked(), upToOne(), describe("Share of all cores together.")),
			graph(8, "Load", "short", []query{
				q(`node_load1{`+node+`}`, "1 min"),
				q(`node_load5{`+node+`}`, "5 min"),
				q(`node_load15{`+node+`}`, "15 min"),
				q(`count by (instance) (node_cpu_seconds_total{`+node+`,mode="idle"})`, "cores"),
			}),
			graph(8, "Memory", "bytes", []query{
				q(`node_memory_MemTotal_bytes{`+node+`} - node_memory_MemAvailable_bytes{`+node+`}`, "used"),
				q(`node_memory_MemAvailable_bytes{`+node+`}`, "available"),
			}, stacked()),
		}},
		section{title: "Disks", height: 8, panels: []panelSpec{
			bars(12, "File systems, used", "percentunit", []query{q("sort_desc("+fsUsed+")", "{{device}}")}, warnAt(0.8, 0.9), upToOne()),
			graph(12, "File systems, available", "bytes", []query{
				q(`max by (instance, device) (node_filesystem_avail_bytes{`+realFS+`})`, "{{device}}"),
			}),
			graph(8, "Read and written", "Bps", []query{
				q(`sum by (device) (rate(node_disk_read_bytes_total{`+node+`}[`+win+`]))`, "{{device}} read"),
				q(`sum by (device) (rate(node_disk_written_bytes_total{`+node+`}[`+win+`]))`, "{{device}} written"),
			}),
			graph(8, "Operations", "iops", []query{
				q(`sum by (device) (rate(node_disk_reads_completed_total{`+node+`}[`+win+`]))`, "{{device}} reads"),
				q(`sum by (device) (rate(node_disk_writes_completed_total{`+node+`}[`+win+`]))`, "{{device}} writes"),
			}),
			graph(8, "Busy", "percentunit", []query{
				q(`max by (device) (rate(node_disk_io_time_seconds_total{`+node+`}[`+win+`]))`, "{{device}}"),
			}, upToOne(), describe("Share of the time with at least one operation in flight.")),
		}},
		section{title: "Network", height: 8, panels: []panelSpec{
			graph(12, "Traffic", "Bps", []query{
				q(`sum by (device) (rate(node_network_receive_bytes_total{`+realNIC+`}[`+win+`]))`, "{{device}} in"),
				q(`sum by (device) (rate(node_network_transmit_bytes_total{`+realNIC+`}[`+win+`]))`, "{{device}} out"),
			}, describe("Without loopback and Docker's own bridges.")),
			graph(12, "Errors and drops", "cps", []query{
				q(`sum by (device) (rate(node_network_receive_errs_total{`+realNIC+`}[`+win+`]) + rate(node_network_transmit_errs_total{`+realNIC+`}[`+win+`]))`, "{{device}} errors"),
				q(`sum by (device) (rate(node_network_receive_drop_total{`+realNIC+`}[`+win+`]) + rate(node_network_transmit_drop_total{`+realNIC+`}[`+win+`]))`, "{{device}} drops"),
			}),
		}},
	)
}
