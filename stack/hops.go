package stack

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// PushError is a batch that was not taken.
type PushError struct {
	To     string // the balancer, or the aggregator's container
	Status string // of gRPC, "" where no answer came
	Said   string
}

func (e *PushError) Error() string {
	if e.Status == "" {
		return fmt.Sprintf("%s does not answer: %s", e.To, e.Said)
	}
	return strings.TrimSpace(fmt.Sprintf("%s answers gRPC status %s %s", e.To, e.Status, e.Said))
}

// Push sends a PushEventsRequest into a lane, from the balancer's place: through the balancer where to is nil, else straight
// to that aggregator. It returns when the batch was acknowledged, which an aggregator does when the stores have what it
// holds, and for a batch without events at once; the time is that of the answer alone, on a connection that stands. An
// error is a *PushError.
func (m *Manager) Push(ctx context.Context, balancer Container, to *Container, lane Lane, batch []byte) (time.Duration, error) {
	host, name := loopback, balancer.Name
	if to != nil {
		host, name = to.Address, to.Name
	}
	speaker := m.dialLane(balancer.ID, host, lane)
	defer speaker.close()
	answer, err := speaker.push(ctx, framedPush(nil), closed(), func() {}) // makes the connection
	began := time.Now()
	if err == nil && answer.status == "0" {
		answer, err = speaker.push(ctx, framedPush(batch), closed(), func() {})
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return 0, &PushError{To: name, Said: "no answer in time"}
	case err != nil:
		return 0, &PushError{To: name, Said: innermost(err).Error()}
	case answer.status != "0":
		return 0, &PushError{To: name, Status: orDefault(answer.status, "none"), Said: answer.message}
	}
	return time.Since(began), nil
}

func innermost(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// timedScript gets the first line of a page with bash alone, and says how many microseconds that took.
const timedScript = `b=$EPOCHREALTIME
exec 3<>"/dev/tcp/$1/$2" || exit
printf 'GET %s HTTP/1.0\r\nHost: %s\r\nAccept: text/plain\r\n\r\n' "$3" "$1" >&3
IFS= read -r line <&3
e=$EPOCHREALTIME
printf '%s\n%s\n' "$line" "$((${e/[.,]/} - ${b/[.,]/}))"`

// AskFromAgent gets a page as the agent does: by its networks and names. It returns how long the answer took, and nil where
// that is a 200.
func (m *Manager) AskFromAgent(ctx context.Context, agent Container, host, port, path string) (time.Duration, error) {
	answer, err := m.exec(ctx, agent.ID, "timeout", strconv.Itoa(int(probeTargetIn.Seconds())), "bash", "-c", timedScript, "ask", host, port, path)
	if err != nil {
		return 0, err
	}
	status := statusLine().FindStringSubmatch(answer)
	switch {
	case status == nil:
		return 0, errors.New(silenceOf(host, port, answer))
	case status[1] != "200":
		return 0, fmt.Errorf("%s:%s answers %s at %s", host, port, status[1], path)
	}
	micro, err := strconv.ParseInt(lastLine(strings.TrimSpace(answer)), 10, 64)
	if err != nil {
		return 0, nil //nolint:nilerr // it answered, and how fast is not known
	}
	return time.Duration(micro) * time.Microsecond, nil
}

// silenceOf words why a page was not answered, as for a target.
func silenceOf(host, port, said string) string {
	switch {
	case strings.Contains(said, "Connection refused"):
		return fmt.Sprintf("nothing listens on port %s of %s", port, host)
	case strings.Contains(said, "No route to host"), strings.Contains(said, "Network is unreachable"):
		return "the agent has no route to " + host
	case strings.Contains(said, "Name or service not known"), strings.Contains(said, "Temporary failure in name resolution"):
		return "the agent does not know the name " + host
	case strings.TrimSpace(said) == "":
		return fmt.Sprintf("%s does not answer on port %s within %s", host, port, probeTargetIn)
	default:
		return fmt.Sprintf("what answers on port %s of %s is no HTTP", port, host)
	}
}

// probeFile is the agent's configuration for one marked target, beside the file of the targets.
func probeFile(mark string) string { return "/etc/vector/probe-" + mark + ".yaml" }

// Scrape has the agent scrape a marked target each second, until StopScrape. Files that a killed process left are removed
// on the way.
func (m *Manager) Scrape(ctx context.Context, agent Container, mark, url string) error {
	text := fmt.Sprintf(`# A marked target of docker telemetry verify.
sources:
  probe_%[1]s:
    type: prometheus_scrape
    endpoints: [%[2]q]
    scrape_interval_secs: 1
    scrape_timeout_secs: 1
transforms:
  metrics_probe_%[1]s:
    type: remap
    inputs: [probe_%[1]s]
    source: .tags.place = "target"
`, mark, url)
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	header := tar.Header{Name: strings.TrimPrefix(probeFile(mark), "/"), Mode: 0o444, ModTime: time.Now()}
	if err := errors.Join(addFile(writer, header, []byte(text)), writer.Close()); err != nil {
		return err
	}
	if _, err := m.Docker.CopyToContainer(ctx, agent.ID, client.CopyToContainerOptions{DestinationPath: "/", Content: &archive}); err != nil {
		return fmt.Errorf("copy the marked target into the agent: %w", err)
	}
	return m.reloadAgent(ctx, agent.ID, "find /etc/vector -name 'probe-*.yaml' -mmin +5 -exec rm -f {} +")
}

// StopScrape ends what Scrape began.
func (m *Manager) StopScrape(ctx context.Context, agent Container, mark string) error {
	return m.reloadAgent(ctx, agent.ID, "rm -f "+probeFile(mark))
}

// LogSince returns what a container printed on both streams since a time, at most so many lines.
func (m *Manager) LogSince(ctx context.Context, id string, since time.Time, lines int) ([]string, error) {
	logs, err := m.Docker.ContainerLogs(ctx, id, client.ContainerLogsOptions{
		ShowStdout: true, ShowStderr: true, Since: strconv.FormatInt(since.Unix(), 10), Tail: strconv.Itoa(lines),
	})
	if err != nil {
		return nil, err
	}
	defer logs.Close()
	defer context.AfterFunc(ctx, func() { logs.Close() })()
	var text strings.Builder
	if _, err := stdcopy.StdCopy(&text, &text, logs); err != nil {
		return nil, err
	}
	trimmed := strings.TrimRight(text.String(), "\n")
	if trimmed == "" {
		return nil, nil
	}
	return strings.Split(trimmed, "\n"), nil
}

// Reads reports whether the agent has begun to read a container's log, by what Vector says of each: "Started watching for
// container logs. container_id=..." (src/internal_events/docker_logs.rs).
func (m *Manager) Reads(ctx context.Context, agent Container, id string, since time.Time) (bool, error) {
	lines, err := m.LogSince(ctx, agent.ID, since.Add(-time.Second), 2000)
	if err != nil {
		return false, err
	}
	for _, line := range lines {
		if strings.Contains(line, id) && strings.Contains(line, "Started watching for container logs") {
			return true, nil
		}
	}
	return false, nil
}
