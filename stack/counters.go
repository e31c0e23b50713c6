package stack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// countersScript gets the page of counters.yaml with what the images have: the aggregator's has wget, the agent's bash alone.
const countersScript = `if command -v wget >/dev/null; then exec wget -q -O - http://127.0.0.1:9598/metrics; fi
exec bash -c 'exec 3<>/dev/tcp/127.0.0.1/9598 && printf "GET /metrics HTTP/1.0\r\n\r\n" >&3 && sed "1,/^\r*$/d" <&3'`

// mostCounted bounds the page: a Vector of this bundle shows some hundred series.
const mostCounted = 4 << 20

// Counters returns what a container of agent or aggregator counts of itself, in Prometheus' text format.
func (m *Manager) Counters(ctx context.Context, c Container) (string, error) {
	var page strings.Builder
	err := m.stream(ctx, c.ID, []string{"sh", "-c", countersScript}, func(out io.Reader) error {
		_, err := io.Copy(&page, io.LimitReader(out, mostCounted))
		return err
	})
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(page.String(), "#") {
		return "", fmt.Errorf("%s shows no counters", c.Name)
	}
	return page.String(), nil
}

// Tap calls line for each event that comes out of parts of a container's Vector, as JSON, until the context ends. It is
// `vector tap` inside of the container: what is outside may be of another version, and their protocol changed with 0.55.
func (m *Manager) Tap(ctx context.Context, c Container, parts []string, line func(string)) error {
	if c.Component != Agent && c.Component != Aggregator || len(parts) == 0 {
		return fmt.Errorf("%s cannot be tapped: only agent and aggregator can, once they count events", c.Component)
	}
	command := append([]string{"vector", "tap", "--quiet", "--format", "json", "--no-reconnect"}, parts...)
	return m.stream(ctx, c.ID, command, func(out io.Reader) error { return eachLine(out, line) })
}

// Follow calls line for each line that a container logs, so many last ones first, until it ends or the context does.
func (m *Manager) Follow(ctx context.Context, c Container, last int, line func(string)) error {
	logs, err := m.Docker.ContainerLogs(ctx, c.ID, client.ContainerLogsOptions{
		ShowStdout: true, ShowStderr: true, Follow: true, Tail: strconv.Itoa(last),
	})
	if err != nil {
		return err
	}
	defer logs.Close()
	defer context.AfterFunc(ctx, func() { logs.Close() })()
	reader, writer := io.Pipe()
	defer reader.Close()
	go func() {
		_, err := stdcopy.StdCopy(writer, writer, logs)
		writer.CloseWithError(err)
	}()
	return eachLine(reader, line)
}

// stream runs a command in a container and reads what it prints, until it ends or the context does. Where it prints to stderr
// alone, that is the error.
func (m *Manager) stream(ctx context.Context, id string, command []string, read func(io.Reader) error) error {
	attached, err := m.attach(ctx, id, client.ExecCreateOptions{Cmd: command, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return err
	}
	defer attached.Close()
	// A hijacked connection does not know the context: closing it is what ends the copy.
	defer context.AfterFunc(ctx, attached.Close)()
	reader, writer := io.Pipe()
	defer reader.Close()
	var said strings.Builder
	go func() {
		_, err := stdcopy.StdCopy(writer, &said, attached.Reader)
		if err == nil && said.Len() > 0 {
			err = errors.New(lastLine(strings.TrimSpace(said.String())))
		}
		writer.CloseWithError(err)
	}()
	err = read(reader)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// longestLine is more than any line that a person reads on a screen.
const longestLine = 1 << 20

func eachLine(from io.Reader, line func(string)) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		line(lines.Text())
	}
	return lines.Err()
}
