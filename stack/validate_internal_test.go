package stack

import (
	"testing"

	"gotest.tools/v3/assert"
)

// The outputs are those of nginx 1.28, Vector 0.59 (its stand-in's wording), VictoriaMetrics 1.145 and the collector 0.155.
func TestComplaintIn(t *testing.T) {
	for _, tc := range []struct{ name, output, want string }{
		{
			"nginx", "2026/11/30 15:16:05 [emerg] 91#91: unknown directive \"broken\" in /etc/nginx/conf.d/zz.conf:1\n" +
				"nginx: [emerg] unknown directive \"broken\" in /etc/nginx/conf.d/zz.conf:1\nnginx: configuration file /etc/nginx/nginx.conf test failed\n",
			`[emerg] unknown directive "broken" in /etc/nginx/conf.d/zz.conf:1`,
		},
		{
			"vector", "Failed to load [\"/etc/vector/a.yaml\"]\n--------------\nx /etc/vector/a.yaml.sinks.a: unknown type \"nonsense\"\n",
			`x /etc/vector/a.yaml.sinks.a: unknown type "nonsense"`,
		},
		{
			"victoria metrics", "2026/11/30 15:16:05 INFO: metrics: disable exposing PSI metrics because of failed init: open x: no such file\n" +
				"2026-11-30T15:16:05.123Z\tinfo\tbuild version: v1\n2026-11-30T15:16:05.124Z\tfatal\tapp/main.go:80\terror when checking relabel configs\n",
			"error when checking relabel configs",
		},
		{"collector", "Error: invalid configuration: receivers::otlp: x\n2026/11/30 15:16:05 collector server run finished with error: y\n", "Error: invalid configuration: receivers::otlp: x"},
		{"no word of it", "segmentation fault\n", "segmentation fault"},
		{"nothing", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) { assert.Equal(t, complaintIn(tc.output), tc.want) })
	}
}

func TestValidating(t *testing.T) {
	for _, tc := range []struct {
		name    string
		command []string
		want    []string
		spoken  string
	}{
		{"nginx behind its entrypoint", []string{"/docker-entrypoint.sh", "nginx", "-g", "daemon off;"}, []string{"nginx", "-t", "-q"}, "nginx -t"},
		{"vector", []string{"/usr/bin/vector", "--config-dir", "/etc/vector"}, []string{"/usr/bin/vector", "validate", "--no-environment", "--config-dir", "/etc/vector"}, "vector validate"},
		{"victoria metrics", []string{"/victoria-metrics-prod", "--a=b"}, []string{"/victoria-metrics-prod", "--a=b", "-dryRun"}, "victoria-metrics-prod -dryRun"},
		{"the collector", []string{"/otelcol-contrib", "--config=x"}, []string{"/otelcol-contrib", "validate", "--config=x"}, "otelcol-contrib validate"},
		{"another", []string{"/run.sh"}, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Inspection{Command: tc.command}.validating()
			assert.DeepEqual(t, got, tc.want)
			if got != nil {
				assert.Equal(t, spoken(got), tc.spoken)
			}
		})
	}
}
