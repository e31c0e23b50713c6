package stack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// MarkedLine is the line of a log probe; its level is one that the profile quiet-logs lets pass.
const MarkedLine = "level=warn a marked line of docker telemetry"

// WriteProbe runs a container of ours that prints MarkedLine, labelled with the mark that the agent puts into the record,
// and returns its ID. Its image is the balancer's: it is on the engine already, and it has `echo`. It gets no network, no
// capability and no place to write.
// It stays until RemoveProbe: an engine removes the log with the container, at times before the agent has read it. After
// needed it is taken for one that a killed process has left.
func (m *Manager) WriteProbe(ctx context.Context, project *types.Project, mark string, needed time.Time) (id string, err error) {
	return m.runProbe(ctx, probeOf(project, mark, until(needed), "echo", MarkedLine))
}

// countScript prints MarkedLine with a number, each second, until its input ends.
const countScript = `n=0; while :; do n=$((n+1)); echo "$1 $n"; sleep 1; done & read -r _; exit 0`

// Counting is a container that CountProbe runs.
type Counting struct {
	ID string

	manager *Manager
	input   client.HijackedResponse
}

// CountProbe runs a container of ours that prints MarkedLine and a number, 1, 2, 3 and so on, each second until End. Nobody
// knows beforehand for how long somebody watches, so it is bound to this process: when that is killed, the connection to the
// container's input ends, and with it the container. The engine is not told to remove it then: that would race with End.
func (m *Manager) CountProbe(ctx context.Context, project *types.Project, mark string) (*Counting, error) {
	options := probeOf(project, mark, attended, "sh", "-c", countScript, "count", MarkedLine)
	options.Config.OpenStdin, options.Config.StdinOnce, options.Config.AttachStdin = true, true, true
	created, err := m.Docker.ContainerCreate(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("create the probe: %w", err)
	}
	counting := &Counting{ID: created.ID, manager: m}
	// Before it starts: an input that nobody is connected to has not ended, and it would count for ever.
	attach, err := m.Docker.ContainerAttach(ctx, created.ID, client.ContainerAttachOptions{Stream: true, Stdin: true})
	if err == nil {
		counting.input = attach.HijackedResponse
		_, err = m.Docker.ContainerStart(ctx, created.ID, client.ContainerStartOptions{})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the probe: %w", err), counting.End(context.WithoutCancel(ctx)))
	}
	return counting, nil
}

// End removes the container.
func (c *Counting) End(ctx context.Context) error {
	if c.input.Conn != nil {
		c.input.Close()
	}
	return c.manager.RemoveProbe(ctx, c.ID)
}

// targetScript serves one page on port 9100. nginx is what the image is for; it needs a place for its files and is told one.
const targetScript = `printf '%s' "$1" >/tmp/nginx.conf && exec nginx -e /dev/stderr -c /tmp/nginx.conf`

const targetConfig = `daemon off;
pid /tmp/nginx.pid;
error_log /dev/stderr warn;
worker_processes 1;
events {}
http {
  client_body_temp_path /tmp/client;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  access_log off;
  server {
    listen 9100;
    location = /metrics { default_type text/plain; return 200 '%s\n'; }
  }
}
`

// TargetPort is where a target of ours serves its sample.
const TargetPort = "9100"

// ServeProbe runs a container of ours on the stack's network that serves one sample, and returns its ID and the name
// that the agent knows it by. sample is a line of the Prometheus format without a quote or a dollar sign in it; needed is
// as with WriteProbe.
func (m *Manager) ServeProbe(ctx context.Context, project *types.Project, mark, sample string, needed time.Time) (id, host string, err error) {
	if strings.ContainsAny(sample, "'$\\") {
		return "", "", fmt.Errorf("a sample cannot be served: %q", sample)
	}
	// By this name the agent leaves its log alone (config/agent/logs.yaml): it goes while it runs.
	host = project.Name + "-target-" + mark
	options := probeOf(project, mark, until(needed), "sh", "-c", targetScript, "serve", fmt.Sprintf(targetConfig, sample))
	options.Name = host
	options.HostConfig.NetworkMode = container.NetworkMode(project.Networks["pipeline"].Name)
	options.HostConfig.Tmpfs = map[string]string{"/tmp": "size=1m"}
	id, err = m.runProbe(ctx, options)
	return id, host, err
}

// probeOf is a container of the balancer's image without network, capabilities and a place to write.
func probeOf(project *types.Project, mark, needed string, command ...string) client.ContainerCreateOptions {
	return client.ContainerCreateOptions{
		Config: &container.Config{
			Image: project.Services[Balancer].Image, Entrypoint: command, User: "65534:65534",
			Labels: map[string]string{StackLabel: project.Name, ProbeLabel: mark, UntilLabel: needed},
		},
		HostConfig: &container.HostConfig{
			NetworkMode: "none", ReadonlyRootfs: true, CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges:true"},
		},
	}
}

func (m *Manager) runProbe(ctx context.Context, options client.ContainerCreateOptions) (string, error) {
	created, err := m.Docker.ContainerCreate(ctx, options)
	if err != nil {
		return "", fmt.Errorf("create the probe: %w", err)
	}
	if _, err := m.Docker.ContainerStart(ctx, created.ID, client.ContainerStartOptions{}); err != nil {
		return created.ID, fmt.Errorf("start the probe: %w", err)
	}
	return created.ID, nil
}

// RemoveProbe removes a container that is no part of the stack, such as WriteProbe made; "" is none, and one that is gone is no error.
func (m *Manager) RemoveProbe(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	if err := gone(m.Docker.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true})); err != nil {
		return fmt.Errorf("remove the probe %.12s: %w", id, err)
	}
	return nil
}
