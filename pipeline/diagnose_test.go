package pipeline_test

import (
	"errors"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-telemetry/docker-telemetry/pipeline"
)

func TestDiagnose(t *testing.T) {
	up := func(component string, change func(*pipeline.Container)) pipeline.Container {
		c := pipeline.Container{Name: "telemetry-" + component + "-1", Component: component, Number: 1, State: "running", Health: "healthy"}
		if change != nil {
			change(&c)
		}
		return c
	}
	for _, tc := range []struct {
		name       string
		hop        string // component, or component-number
		said       string // "" for: took it and sent nothing on
		evidence   pipeline.Evidence
		text, mend string
	}{
		{"no container", "agent", "x", pipeline.Evidence{}, "agent has no container", "docker telemetry up"},
		{
			"paused", "balancer", "x",
			pipeline.Evidence{Containers: []pipeline.Container{up("balancer", func(c *pipeline.Container) { c.State = "paused" })}},
			"telemetry-balancer-1 is paused", "docker unpause telemetry-balancer-1",
		},
		{
			"stopped", "openobserve", "x",
			pipeline.Evidence{Containers: []pipeline.Container{up("openobserve", func(c *pipeline.Container) { c.State, c.Status = "exited", "Exited (137) 3 seconds ago" })}},
			"telemetry-openobserve-1 does not run: Exited (137) 3 seconds ago", "docker telemetry start openobserve",
		},
		{
			"killed for its memory", "openobserve", "x",
			pipeline.Evidence{Containers: []pipeline.Container{up("openobserve", func(c *pipeline.Container) { c.State, c.OOMKilled = "exited", true })}},
			"telemetry-openobserve-1 was killed: it needed more memory than its limit",
			"raise services.openobserve.deploy.resources.limits.memory in an overlay: docker telemetry up -f overlay.yaml",
		},
		{
			"ends again and again", "gateway", "x",
			pipeline.Evidence{Containers: []pipeline.Container{up("gateway", func(c *pipeline.Container) {
				c.State, c.Status, c.Log = "restarting", "Restarting (1) 3 seconds ago", []string{"a", "nginx: [emerg] no certificate"}
			})}},
			"telemetry-gateway-1 ends again and again: Restarting (1) 3 seconds ago, its last line is: nginx: [emerg] no certificate", "docker telemetry logs gateway",
		},
		{
			"off its network", "victoriametrics", "x",
			pipeline.Evidence{Containers: []pipeline.Container{up("victoriametrics", func(c *pipeline.Container) { c.Absent = []string{"telemetry_pipeline"} })}},
			"telemetry-victoriametrics-1 is not on the network telemetry_pipeline",
			"docker network connect --alias victoriametrics telemetry_pipeline telemetry-victoriametrics-1",
		},
		{
			"unhealthy", "grafana", "x",
			pipeline.Evidence{Containers: []pipeline.Container{up("grafana", func(c *pipeline.Container) { c.Health = "unhealthy" })}},
			"telemetry-grafana-1 is unhealthy", "docker telemetry restart grafana",
		},
		{
			"another replica does not count", "aggregator-1", "x",
			pipeline.Evidence{Containers: []pipeline.Container{up("aggregator", nil), up("aggregator", func(c *pipeline.Container) { c.Number, c.State = 2, "paused" })}},
			"aggregator-1: x", "see what it says: docker telemetry logs aggregator",
		},
		{
			"what it needs is down", "agent", "x",
			pipeline.Evidence{Containers: []pipeline.Container{up("agent", nil), up("docker-proxy", func(c *pipeline.Container) { c.State, c.Status = "exited", "Exited (0)" })}},
			"telemetry-docker-proxy-1 does not run: Exited (0)", "docker telemetry start docker-proxy",
		},
		{
			"another certificate", "gateway", "its certificate is refused: x509: unknown authority",
			pipeline.Evidence{Containers: []pipeline.Container{up("gateway", nil)}, Certificate: "x509: unknown authority"},
			"gateway serves a certificate that is refused: x509: unknown authority", "docker telemetry certs renew",
		},
		{
			"another password", "openobserve", "OpenObserve answered 401",
			pipeline.Evidence{Containers: []pipeline.Container{up("openobserve", nil)}, Refused: []string{"openobserve"}},
			"openobserve answers 401 to the stack's own log-in: its password was changed after its first start",
			"docker telemetry credentials rotate openobserve",
		},
		{
			"a full disk", "victoriametrics", "x",
			pipeline.Evidence{Containers: []pipeline.Container{up("victoriametrics", func(c *pipeline.Container) { c.Full = []string{"/storage has 3 MB left"} })}},
			"the disk of telemetry-victoriametrics-1 is full (/storage has 3 MB left)",
			"make room where the engine keeps its volumes (docker system df); what the data takes: docker telemetry report retention",
		},
		{
			"no upstream", "balancer", "telemetry-balancer-1 answers gRPC status 14 no aggregator available",
			pipeline.Evidence{Containers: []pipeline.Container{up("balancer", nil), up("aggregator", nil)}},
			"the balancer answers that no aggregator is available, though 1 run: it does not find them under the name aggregator",
			"docker telemetry restart balancer; its configuration is in: docker telemetry config",
		},
		{
			"a step that drops", "agent", "",
			pipeline.Evidence{Containers: []pipeline.Container{up("agent", nil)}, Discards: []pipeline.Discards{
				{Component: "aggregator", Step: "gate", Count: 99}, {Component: "agent", Step: "docker_kept", Count: 50}, {Component: "agent", Step: "gate", Count: 12},
			}},
			"agent drops what it takes: its step gate discarded 12 events in the last minutes",
			"look at gate in: docker telemetry config; a profile or an overlay brings it (docker telemetry up --profile none leaves profiles out)",
		},
		{
			"another configuration", "aggregator-1", "",
			pipeline.Evidence{Containers: []pipeline.Container{up("aggregator", func(c *pipeline.Container) { c.Altered = []string{"/etc/vector/streams.yaml"} })}},
			"aggregator-1 took the marked event and sent nothing on: a program or a filter of its configuration drops it; " +
				"its configuration is not the stack's: /etc/vector/streams.yaml was changed in the container",
			"docker rm -f telemetry-aggregator-1 && docker telemetry up",
		},
		{
			"a step that is not counted yet", "aggregator-1", "",
			pipeline.Evidence{Containers: []pipeline.Container{up("aggregator", nil)}},
			"aggregator-1 took the marked event and sent nothing on: a program or a filter of its configuration drops it",
			"compare its configuration with the stack's: docker telemetry config; then docker telemetry up",
		},
		{
			"what the log says", "agent", "it does not read the container's log",
			pipeline.Evidence{Containers: []pipeline.Container{up("agent", func(c *pipeline.Container) {
				c.Log = []string{"INFO a", "ERROR Listing currently running containers failed. error=x", "INFO b"}
			})}},
			"agent gave up reading the engine: it could not list the containers when it started (ERROR Listing currently running containers failed. error=x)",
			"docker telemetry restart agent",
		},
		{
			"nothing is known", "agent", "it does not read the container's log",
			pipeline.Evidence{Containers: []pipeline.Container{up("agent", nil)}},
			"agent: it does not read the container's log", "see what it says: docker telemetry logs agent",
		},
		{
			"no container can be run", "container", "create the probe: no such image",
			pipeline.Evidence{},
			"a container of the proof does not do its part: create the probe: no such image", "see how the engine is: docker info; docker telemetry ps",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			hop := pipeline.HopResult{Name: tc.hop, Component: tc.hop, State: pipeline.Silent}
			if tc.hop == "aggregator-1" {
				hop.Component = "aggregator"
			}
			if tc.said != "" {
				hop.Err = errors.New(tc.said)
			}
			assert.Equal(t, pipeline.Diagnose(hop, tc.evidence), pipeline.Cause{Hop: tc.hop, Text: tc.text, Mend: tc.mend})
		})
	}
}
