package stacktest

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"

	"github.com/docker-telemetry/docker-telemetry/stack"
)

// DaemonHost is the engine's address.
func (e *Engine) DaemonHost() string { return e.Address }

// ClientVersion is the version of the API that both sides speak.
func (e *Engine) ClientVersion() string { return e.API }

// Ping answers when the engine does.
func (e *Engine) Ping(ctx context.Context, _ client.PingOptions) (client.PingResult, error) {
	if err := e.enter(ctx); err != nil {
		return client.PingResult{}, err
	}
	defer e.mu.Unlock()
	return client.PingResult{APIVersion: e.API, OSType: e.OSType}, nil
}

// Info says who the engine is.
func (e *Engine) Info(ctx context.Context, _ client.InfoOptions) (client.SystemInfoResult, error) {
	if err := e.enter(ctx); err != nil {
		return client.SystemInfoResult{}, err
	}
	defer e.mu.Unlock()
	return client.SystemInfoResult{Info: system.Info{
		ID: "engine-id", Name: e.Name, ServerVersion: e.Version, OperatingSystem: e.OS, MemTotal: e.Memory, NCPU: 2,
		DockerRootDir: "/var/lib/docker", LoggingDriver: e.LogDriver, CgroupVersion: "2", SystemTime: time.Now().Add(e.ClockOff).Format(time.RFC3339Nano),
		MemoryLimit: !e.NoLimits, CPUCfsQuota: !e.NoLimits, PidsLimit: !e.NoLimits,
	}}, nil
}

// ContainerList lists containers; of the filters it knows labels.
func (e *Engine) ContainerList(ctx context.Context, options client.ContainerListOptions) (client.ContainerListResult, error) {
	if err := e.enter(ctx); err != nil {
		return client.ContainerListResult{}, err
	}
	defer e.mu.Unlock()
	var found client.ContainerListResult
	for _, c := range e.containers {
		alive := c.running() || c.state == container.StateRestarting
		match, err := matches(options.Filters, c.labels)
		if err != nil {
			return found, err
		}
		if match && (options.All || alive) {
			found.Items = append(found.Items, e.summary(c))
		}
	}
	return found, nil
}

func (e *Engine) summary(c *entry) container.Summary {
	summary := container.Summary{
		ID: c.id, Names: []string{"/" + c.name}, Image: c.image, ImageID: c.imageID, Created: e.Created.Unix(), Labels: maps.Clone(c.labels),
		State: c.state, Status: e.status(c), NetworkSettings: &container.NetworkSettingsSummary{Networks: map[string]*network.EndpointSettings{}},
	}
	for _, name := range c.volumes {
		summary.Mounts = append(summary.Mounts, container.MountPoint{Type: "volume", Name: name})
	}
	if !c.running() {
		return summary
	}
	summary.Ports = c.ports
	for _, on := range c.networks {
		summary.NetworkSettings.Networks[on.name] = &network.EndpointSettings{IPAddress: c.address, NetworkID: on.id}
	}
	return summary
}

// matches reports whether labels satisfy a label filter as the engine reads it: all of the values, not one of them.
func matches(filters client.Filters, labels map[string]string) (bool, error) {
	for term, values := range filters {
		if term != "label" {
			return false, fmt.Errorf("the fake engine knows no filter %q", term)
		}
		for want := range values {
			key, value, valued := strings.Cut(want, "=")
			have, there := labels[key]
			if !there || valued && have != value {
				return false, nil
			}
		}
	}
	return true, nil
}

// ContainerLogs returns the last lines of what a container printed.
func (e *Engine) ContainerLogs(ctx context.Context, id string, options client.ContainerLogsOptions) (client.ContainerLogsResult, error) {
	if err := e.enter(ctx); err != nil {
		return nil, err
	}
	defer e.mu.Unlock()
	c, err := e.find(id)
	if err != nil {
		return nil, err
	}
	lines := slices.Collect(strings.Lines(c.prints + e.Says[c.component()] + e.watched(c)))
	if tail, err := strconv.Atoi(options.Tail); err == nil && tail < len(lines) {
		lines = lines[len(lines)-tail:]
	}
	return io.NopCloser(bytes.NewReader(multiplexed(strings.Join(lines, "")))), nil
}

// watched is what an agent says of each container that it begins to read.
func (e *Engine) watched(agent *entry) string {
	var said strings.Builder
	for _, c := range e.containers {
		if agent.component() == stack.Agent && c.component() == "" {
			fmt.Fprintf(&said, "INFO vector::internal_events::docker_logs: Started watching for container logs. container_id=%s\n", c.id)
		}
	}
	return said.String()
}

// multiplexed frames a text as the engine frames standard output, see stdcopy.
func multiplexed(text string) []byte {
	header := make([]byte, 8)
	header[0] = 1
	binary.BigEndian.PutUint32(header[4:], uint32(len(text)))
	return append(header, text...)
}

// ContainerCreate makes a container that prints its entrypoint's arguments and ends, which is what a probe does. A bind
// mount of a folder that the host has not is refused, before the image is looked for.
func (e *Engine) ContainerCreate(ctx context.Context, options client.ContainerCreateOptions) (client.ContainerCreateResult, error) {
	if err := e.enter(ctx); err != nil {
		return client.ContainerCreateResult{}, err
	}
	defer e.mu.Unlock()
	if options.HostConfig != nil {
		for _, mount := range options.HostConfig.Mounts {
			if mount.Type == "bind" && !e.Folders[mount.Source] {
				return client.ContainerCreateResult{}, fmt.Errorf("invalid mount config for type %q: bind source path does not exist: %s", mount.Type, mount.Source)
			}
		}
	}
	name := cmp.Or(options.Name, fmt.Sprintf("unnamed-%d", e.created+1))
	if err := e.change(ctx, "create container", name); err != nil {
		return client.ContainerCreateResult{}, err
	}
	c := e.newEntry(name, options.Config.Image, options.Config.Labels)
	if options.HostConfig != nil {
		e.mountVolumes(c, options.HostConfig.Mounts)
	}
	if entrypoint := options.Config.Entrypoint; len(entrypoint) > 0 {
		c.prints = strings.Join(entrypoint[1:], " ") + "\n"
		if said := e.Complains[c.image]; said != "" {
			c.prints = said + "\n"
		}
	}
	e.containers = append(e.containers, c)
	return client.ContainerCreateResult{ID: c.id}, nil
}

// ContainerAttach connects to a container's input, which CutInputs ends.
func (e *Engine) ContainerAttach(ctx context.Context, id string, _ client.ContainerAttachOptions) (client.ContainerAttachResult, error) {
	if err := e.enter(ctx); err != nil {
		return client.ContainerAttachResult{}, err
	}
	defer e.mu.Unlock()
	c, err := e.find(id)
	if err != nil {
		return client.ContainerAttachResult{}, err
	}
	ours, theirs := net.Pipe()
	c.input = theirs
	return client.ContainerAttachResult{HijackedResponse: client.NewHijackedResponse(ours, "")}, nil
}

// ContainerStart starts a container.
func (e *Engine) ContainerStart(ctx context.Context, id string, _ client.ContainerStartOptions) (client.ContainerStartResult, error) {
	if err := e.enter(ctx); err != nil {
		return client.ContainerStartResult{}, err
	}
	defer e.mu.Unlock()
	c, err := e.find(id)
	if err != nil {
		return client.ContainerStartResult{}, err
	}
	return client.ContainerStartResult{}, e.run(ctx, c)
}

// ContainerRemove removes a container, by force as well.
func (e *Engine) ContainerRemove(ctx context.Context, id string, _ client.ContainerRemoveOptions) (client.ContainerRemoveResult, error) {
	if err := e.enter(ctx); err != nil {
		return client.ContainerRemoveResult{}, err
	}
	defer e.mu.Unlock()
	c, err := e.find(id)
	if err != nil {
		return client.ContainerRemoveResult{}, err
	}
	return client.ContainerRemoveResult{}, e.remove(ctx, c)
}

// CopyToContainer keeps the files of an archive, by their path in the container.
func (e *Engine) CopyToContainer(ctx context.Context, id string, options client.CopyToContainerOptions) (client.CopyToContainerResult, error) {
	var done client.CopyToContainerResult
	if err := e.enter(ctx); err != nil {
		return done, err
	}
	defer e.mu.Unlock()
	c, err := e.find(id)
	if err != nil {
		return done, err
	}
	if err := e.change(ctx, "copy to container", c.name); err != nil {
		return done, err
	}
	if len(c.mounted) > 0 {
		return done, e.fillVolume(c, options.Content)
	}
	archive := tar.NewReader(options.Content)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return done, nil
		}
		if err != nil {
			return done, err
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			return done, err
		}
		c.files[path.Join(options.DestinationPath, header.Name)] = string(content)
	}
}

// ExecCreate prepares a command in a running container.
func (e *Engine) ExecCreate(ctx context.Context, id string, options client.ExecCreateOptions) (client.ExecCreateResult, error) {
	if err := e.enter(ctx); err != nil {
		return client.ExecCreateResult{}, err
	}
	defer e.mu.Unlock()
	c, err := e.find(id)
	if err != nil {
		return client.ExecCreateResult{}, err
	}
	if !c.running() {
		return client.ExecCreateResult{}, fmt.Errorf("container %s is not running", c.name)
	}
	exec := fmt.Sprintf("exec-%d", len(e.execs)+1)
	e.execs[exec] = append([]string{c.component()}, options.Cmd...)
	return client.ExecCreateResult{ID: exec}, nil
}

// ExecAttach runs the command. The fake knows connections to the gateway and the balancer, and commands that
// only look; what else there is, Exec knows.
func (e *Engine) ExecAttach(ctx context.Context, execID string, _ client.ExecAttachOptions) (client.ExecAttachResult, error) {
	if err := e.enter(ctx); err != nil {
		return client.ExecAttachResult{}, err
	}
	defer e.mu.Unlock()
	looked, _, looks := e.lookExec(e.execs[execID])
	if answer, is := e.gatewayExec(e.execs[execID]); is && !looks {
		return answer, nil
	}
	if answer, is := e.laneExec(e.execs[execID]); is {
		return answer, nil
	}
	if answer, is := e.snapshotExec(e.execs[execID]); is {
		return answer, nil
	}
	var output strings.Builder
	said, is := e.agentExec(e.execs[execID])
	if looks {
		said, is = looked, true
	}
	output.WriteString(said)
	if !is && e.Exec != nil {
		output.WriteString(e.Exec(e.execs[execID][0], e.execs[execID][1:]))
	}
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		_, _ = theirs.Write(multiplexed(output.String()))
	}()
	return client.ExecAttachResult{HijackedResponse: client.NewHijackedResponse(ours, "")}, nil
}

// ImageInspect tells whether the engine has an image.
func (e *Engine) ImageInspect(ctx context.Context, image string, _ ...client.ImageInspectOption) (client.ImageInspectResult, error) {
	if err := e.enter(ctx); err != nil {
		return client.ImageInspectResult{}, err
	}
	defer e.mu.Unlock()
	if e.Missing[image] {
		return client.ImageInspectResult{}, notFoundError("No such image: " + image)
	}
	var found client.ImageInspectResult
	found.ID = e.imageID(image)
	found.Size = 100e6
	// By its JSON: the type is of a module that nothing else of ours needs.
	raw, err := json.Marshal(map[string]any{"Config": map[string]any{"Entrypoint": entrypointOf(image)}})
	if err != nil {
		return found, err
	}
	return found, json.Unmarshal(raw, &found.InspectResponse)
}

// imageID is what a tag stands for: Moved ones stand for something else.
func (e *Engine) imageID(image string) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(image+strings.Repeat("+", e.Moved[image]))))
}

// ImageRemove removes an image that no container has, by its tag or by its ID.
func (e *Engine) ImageRemove(ctx context.Context, image string, _ client.ImageRemoveOptions) (client.ImageRemoveResult, error) {
	if err := e.enter(ctx); err != nil {
		return client.ImageRemoveResult{}, err
	}
	defer e.mu.Unlock()
	for _, c := range e.containers {
		if c.image == image || c.imageID == image {
			return client.ImageRemoveResult{}, fmt.Errorf("conflict: unable to remove repository reference %q (must force) - container %s is using it", image, c.id)
		}
	}
	if err := e.change(ctx, "remove image", image); err != nil {
		return client.ImageRemoveResult{}, err
	}
	e.Missing[image] = true
	return client.ImageRemoveResult{}, nil
}

// NetworkList lists networks by label.
func (e *Engine) NetworkList(ctx context.Context, options client.NetworkListOptions) (client.NetworkListResult, error) {
	if err := e.enter(ctx); err != nil {
		return client.NetworkListResult{}, err
	}
	defer e.mu.Unlock()
	var found client.NetworkListResult
	for _, item := range e.networks {
		match, err := matches(options.Filters, item.labels)
		if err != nil {
			return found, err
		}
		if match {
			found.Items = append(found.Items, network.Summary{Network: network.Network{
				ID: item.id, Name: item.name, Labels: item.labels, Created: e.Created.Add(time.Duration(item.made) * time.Second),
			}})
		}
	}
	return found, nil
}

// NetworkRemove removes a network, by its ID, that no container is on.
func (e *Engine) NetworkRemove(ctx context.Context, id string, _ client.NetworkRemoveOptions) (client.NetworkRemoveResult, error) {
	if err := e.enter(ctx); err != nil {
		return client.NetworkRemoveResult{}, err
	}
	defer e.mu.Unlock()
	for _, item := range e.networks {
		if item.id == id {
			return client.NetworkRemoveResult{}, e.removeNetwork(ctx, item)
		}
	}
	return client.NetworkRemoveResult{}, notFoundError("network " + id + " not found")
}

func (e *Engine) isEmpty(gone *netEntry) error {
	for _, c := range e.containers {
		if slices.Contains(c.networks, gone) {
			return fmt.Errorf("error while removing network: network %s has active endpoints (name:%q)", gone.name, c.name)
		}
	}
	return nil
}

func (e *Engine) removeNetwork(ctx context.Context, gone *netEntry) error {
	if err := e.isEmpty(gone); err != nil {
		return err
	}
	if err := e.change(ctx, "remove network", gone.name); err != nil {
		return err
	}
	e.networks = slices.DeleteFunc(e.networks, func(other *netEntry) bool { return other == gone })
	return nil
}

// VolumeList lists volumes by label.
func (e *Engine) VolumeList(ctx context.Context, options client.VolumeListOptions) (client.VolumeListResult, error) {
	if err := e.enter(ctx); err != nil {
		return client.VolumeListResult{}, err
	}
	defer e.mu.Unlock()
	var found client.VolumeListResult
	for _, name := range slices.Sorted(maps.Keys(e.volumes)) {
		match, err := matches(options.Filters, e.volumes[name])
		if err != nil {
			return found, err
		}
		if match {
			found.Items = append(found.Items, volume.Volume{Name: name, Labels: e.volumes[name]})
		}
	}
	return found, nil
}

// DiskUsage tells what volumes take: the content of their files.
func (e *Engine) DiskUsage(ctx context.Context, options client.DiskUsageOptions) (client.DiskUsageResult, error) {
	if e.SlowUsage {
		<-ctx.Done()
	}
	if err := e.enter(ctx); err != nil {
		return client.DiskUsageResult{}, err
	}
	defer e.mu.Unlock()
	var found client.DiskUsageResult
	if !options.Volumes || !options.Verbose { // since API 1.52 only the sums, without the second
		return found, nil
	}
	for _, name := range slices.Sorted(maps.Keys(e.volumes)) {
		used := &volume.UsageData{RefCount: -1}
		for _, file := range e.files[name] {
			used.Size += int64(len(file.content))
		}
		found.Volumes.Items = append(found.Volumes.Items, volume.Volume{Name: name, Labels: e.volumes[name], UsageData: used})
	}
	return found, nil
}

// VolumeRemove removes a volume that no container has.
func (e *Engine) VolumeRemove(ctx context.Context, id string, _ client.VolumeRemoveOptions) (client.VolumeRemoveResult, error) {
	if err := e.enter(ctx); err != nil {
		return client.VolumeRemoveResult{}, err
	}
	defer e.mu.Unlock()
	for _, c := range e.containers {
		if slices.Contains(c.volumes, id) {
			return client.VolumeRemoveResult{}, fmt.Errorf("remove %s: volume is in use - [%s]", id, c.id)
		}
	}
	if _, there := e.volumes[id]; !there {
		return client.VolumeRemoveResult{}, notFoundError("No such volume: " + id)
	}
	if err := e.change(ctx, "remove volume", id); err != nil {
		return client.VolumeRemoveResult{}, err
	}
	delete(e.volumes, id)
	delete(e.files, id)
	return client.VolumeRemoveResult{}, nil
}
