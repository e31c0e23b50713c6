package stack

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/docker/compose/v5/pkg/api"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

const (
	pollEvery = 250 * time.Millisecond
	// A component that restarts for this long will not get better by waiting.
	restartPatience = 6 * time.Second
	tailOfFailed    = "20"
)

// FailedError says which container of a stack did not become ready, with its last log lines.
type FailedError struct {
	Container Container
	Cause     string
	Tail      string
}

func (e *FailedError) Error() string {
	return fmt.Sprintf("%s (%s) %s", e.Container.Component, e.Container.Name, e.Cause)
}

// Hint names the command that shows the whole log; the container is left for inspection.
func (e *FailedError) Hint() string {
	if e.Container.State == "created" {
		return "it is left for inspection: docker inspect " + e.Container.Name
	}
	return "it is left for inspection: docker telemetry logs " + e.Container.Component
}

// WaitReady returns when every replica of the stack is ready: want says how many each component has.
// It returns a *FailedError as soon as one cannot become ready, or when the timeout is over.
func (m *Manager) WaitReady(ctx context.Context, name string, want map[string]int, timeout time.Duration) error {
	watch := readiness{manager: m, name: name, want: want, restarting: map[string]time.Time{}, said: map[string]string{}}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errNotReadyInTime)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		ready, err := watch.look(ctx)
		if err != nil || ready {
			return err
		}
		select {
		case <-ctx.Done():
			return watch.late(ctx, timeout)
		case <-tick.C:
		}
	}
}

var errNotReadyInTime = errors.New("not ready in time")

// readiness remembers between two looks since when a container restarts and what was reported of it.
type readiness struct {
	manager    *Manager
	name       string
	want       map[string]int
	restarting map[string]time.Time
	said       map[string]string
	last       []Container
}

func (r *readiness) look(ctx context.Context) (ready bool, err error) {
	containers, err := r.manager.Containers(ctx, r.name)
	if err != nil {
		if ctx.Err() != nil {
			return false, nil // the caller says why
		}
		return false, err
	}
	r.last = containers
	have := map[string]int{}
	for _, c := range containers {
		if r.want[c.Component] == 0 {
			continue
		}
		if cause := r.hopeless(c); cause != "" {
			r.say(c, api.Error, "Error")
			return false, &FailedError{Container: c, Cause: cause, Tail: r.manager.tail(context.WithoutCancel(ctx), c.ID)}
		}
		if c.Ready() {
			have[c.Component]++
			r.say(c, api.Done, api.StatusHealthy)
			continue
		}
		r.say(c, api.Working, api.StatusWaiting)
	}
	for component, replicas := range r.want {
		if have[component] < replicas {
			return false, nil
		}
	}
	return true, nil
}

// hopeless returns why waiting is of no use, or "".
func (r *readiness) hopeless(c Container) string {
	switch container.ContainerState(c.State) {
	case container.StateExited, container.StateDead:
		return "stopped: " + c.Status
	case container.StateRestarting:
		since, seen := r.restarting[c.ID]
		if !seen {
			r.restarting[c.ID] = time.Now()
			return ""
		}
		if time.Since(since) > restartPatience {
			return "keeps restarting: " + c.Status
		}
	case container.StateRunning:
		if c.Health == string(container.Unhealthy) {
			return "is unhealthy"
		}
	}
	return ""
}

func (r *readiness) say(c Container, status api.EventStatus, text string) {
	if r.said[c.ID] == text {
		return
	}
	r.said[c.ID] = text
	r.manager.report(api.Resource{ID: "Container " + c.Name, Status: status, Text: text})
}

// late names the first container that is not ready, in the order of the data: what comes after may just wait for it.
func (r *readiness) late(ctx context.Context, timeout time.Duration) error {
	if !errors.Is(context.Cause(ctx), errNotReadyInTime) {
		return ctx.Err()
	}
	have := map[string]int{}
	for _, c := range r.last {
		have[c.Component]++
		if r.want[c.Component] > 0 && !c.Ready() {
			return &FailedError{
				Container: c,
				Cause:     fmt.Sprintf("is not ready after %s: %s", timeout, c.Status),
				Tail:      r.manager.tail(context.WithoutCancel(ctx), c.ID),
			}
		}
	}
	for component, replicas := range r.want {
		if have[component] < replicas {
			return &Error{
				Text:   fmt.Sprintf("%s has %d of %d containers after %s", component, have[component], replicas, timeout),
				Advice: "see what is there: docker telemetry ps",
			}
		}
	}
	return &Error{Text: fmt.Sprintf("the stack is not ready after %s", timeout), Advice: "see what is there: docker telemetry ps"}
}

// tail returns a container's last log lines; an error to get them is part of the answer, never a failure.
func (m *Manager) tail(ctx context.Context, id string) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	text, err := m.lastLines(ctx, id, tailOfFailed)
	if err != nil && text == "" {
		return "(its log cannot be read: " + err.Error() + ")"
	}
	return strings.TrimRight(text, "\n")
}

// LogTail returns the last lines of what a container printed, on both streams.
func (m *Manager) LogTail(ctx context.Context, id string, lines int) (string, error) {
	return m.lastLines(ctx, id, strconv.Itoa(lines))
}

func (m *Manager) lastLines(ctx context.Context, id, lines string) (string, error) {
	logs, err := m.Docker.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: lines})
	if err != nil {
		return "", err
	}
	defer logs.Close()
	var text strings.Builder
	_, err = stdcopy.StdCopy(&text, &text, logs)
	return text.String(), err
}
