package stack

// Labels of ours on every container, network and volume. Nothing without StackLabel is ever removed.
const (
	StackLabel     = "io.github.docker-telemetry.stack"
	ComponentLabel = "io.github.docker-telemetry.component"
	// ConfigDigestLabel makes a changed configuration recreate its container: Compose leaves the content of inline
	// configs out of its hash (docker/compose issue 11900).
	ConfigDigestLabel = "io.github.docker-telemetry.config-digest"
	VersionLabel      = "io.github.docker-telemetry.version"
	// CertificateLabel marks a component beside the gateway that serves the gateway's certificate. Its value is "reloads":
	// it reads its files again by itself, so a renewed pair is copied into it and nothing is restarted.
	CertificateLabel = "io.github.docker-telemetry.certificate"
	// UILabel is on a component with a page at the gateway: its rank, path and name, for example "10 /grafana/ Grafana".
	UILabel = "io.github.docker-telemetry.ui"
	// PortsLabel names the ports inside a component that it publishes, for people, for example "4317 OTLP gRPC, 4318 OTLP HTTP".
	PortsLabel = "io.github.docker-telemetry.ports"
	// ProbeLabel marks the containers that prove a route or hold a volume while it is copied; none is part of the stack.
	ProbeLabel = "io.github.docker-telemetry.probe"
	// UntilLabel is on a container with ProbeLabel: the time, in RFC 3339, after which nobody needs it, or "attended".
	UntilLabel = "io.github.docker-telemetry.until"
	// RestoreLabel is on a volume that a restore has made; its value is the restore's id.
	RestoreLabel = "io.github.docker-telemetry.restore"
)
