package stack

import (
	"net/netip"
	"testing"

	"github.com/moby/moby/api/types/container"
	"gotest.tools/v3/assert"
)

func TestPublishedPortsHaveTheNamesOfTheirLabel(t *testing.T) {
	address := netip.MustParseAddr("127.0.0.1")
	for label, want := range map[string][]string{
		"4317 OTLP gRPC, 4318 OTLP HTTP": {"OTLP gRPC", "OTLP HTTP"},
		"4318 OTLP HTTP":                 {"", "OTLP HTTP"},
		"":                               {"", ""},
		"none, 4317":                     {"", ""},
	} {
		found := containerOf(container.Summary{
			Labels: map[string]string{PortsLabel: label},
			Ports: []container.PortSummary{
				{IP: address, PublicPort: 14317, PrivatePort: 4317, Type: "tcp"},
				{IP: address, PublicPort: 14318, PrivatePort: 4318, Type: "tcp"},
				{PrivatePort: 8888, Type: "tcp"},
			},
		})
		assert.DeepEqual(t, found.Published, []Published{
			{IP: "127.0.0.1", Port: 14317, TargetPort: 4317, Name: want[0]},
			{IP: "127.0.0.1", Port: 14318, TargetPort: 4318, Name: want[1]},
		})
	}
}
