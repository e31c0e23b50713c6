package stack

import (
	"net/netip"
	"testing"

	"github.com/moby/moby/api/types/container"
	"gotest.tools/v3/assert"
)

func TestEngineIsLocal(t *testing.T) {
	for address, want := range map[string]bool{
		"unix:///var/run/docker.sock":          true,
		"npipe:////./pipe/docker_engine":       true,
		"tcp://127.0.0.1:2375":                 true,
		"tcp://localhost:2375":                 true,
		"tcp://[::1]:2375":                     true,
		"tcp://192.168.1.7:2376":               false,
		"tcp://engine.example:2376":            false,
		"ssh://me@engine.example":              false,
		"http://docker.example.com":            false, // what an ssh context calls itself
		"tcp://localhost.attacker.example:123": false,
		"":                                     false,
	} {
		assert.Equal(t, Engine{Address: address}.Local(), want, address)
	}
}

func TestSocketPathOnTheEnginesHost(t *testing.T) {
	const usual = "/var/run/docker.sock"
	for _, tc := range []struct{ address, os, want string }{
		{"unix:///var/run/docker.sock", "Debian GNU/Linux 13", usual},
		{"unix:///run/user/1000/docker.sock", "Debian GNU/Linux 13", "/run/user/1000/docker.sock"},
		{"unix:///home/me/.docker/desktop/docker.sock", "Docker Desktop", usual},
		{"unix:///Users/me/.docker/run/docker.sock", "Docker Desktop", usual},
		{"unix:///Users/me/.colima/default/docker.sock", "Ubuntu 24.04", usual},
		{"unix:///Users/me/.rd/docker.sock", "Alpine Linux", usual},
		{"unix:///Users/me/.lima/default/sock/docker.sock", "Ubuntu 24.04", usual},
		{"unix:///Users/me/.orbstack/run/docker.sock", "OrbStack", usual},
		{"tcp://engine.example:2376", "Debian GNU/Linux 13", usual},
		{"npipe:////./pipe/docker_engine", "Docker Desktop", usual},
		{"", "", usual},
	} {
		assert.Equal(t, socketPath(Engine{Address: tc.address, OS: tc.os}), tc.want, tc.address)
	}
}

func TestOverlaps(t *testing.T) {
	for _, tc := range []struct {
		taken, bind string
		want        bool
	}{
		{"127.0.0.1", "127.0.0.1", true},
		{"0.0.0.0", "127.0.0.1", true},
		{"127.0.0.1", "0.0.0.0", true},
		{"::", "127.0.0.1", true},
		{"192.168.1.7", "127.0.0.1", false},
		{"127.0.0.2", "127.0.0.1", false},
	} {
		assert.Equal(t, overlaps(netip.MustParseAddr(tc.taken), tc.bind), tc.want, "%s %s", tc.taken, tc.bind)
	}
	assert.Assert(t, overlaps(netip.Addr{}, "127.0.0.1"))
}

// Engines before API 1.52 say the health in the words of the status only.
func TestHealthIsReadFromTheStatus(t *testing.T) {
	for status, want := range map[string]string{
		"Up 3 minutes (healthy)":          "healthy",
		"Up 3 minutes (unhealthy)":        "unhealthy",
		"Up 1 second (health: starting)":  "starting",
		"Up 3 minutes":                    "",
		"Up 3 minutes (Paused)":           "",
		"Exited (0) 3 minutes ago":        "",
		"Restarting (1) 2 seconds ago":    "",
		"Up 3 minutes (healthy) and more": "",
	} {
		assert.Equal(t, healthOf(container.Summary{Status: status}), want, status)
	}
	for health, want := range map[container.HealthStatus]string{
		container.Unhealthy: "unhealthy", container.NoHealthcheck: "",
	} {
		got := healthOf(container.Summary{Status: "Up 3 minutes (healthy)", Health: &container.HealthSummary{Status: health}})
		assert.Equal(t, got, want, "the field wins over the words")
	}
}
