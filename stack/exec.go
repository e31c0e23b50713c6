package stack

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// exec runs a short command in a container and returns what it printed on both streams. It takes no secrets: an
// argument list is visible on the engine.
func (m *Manager) exec(ctx context.Context, id string, command ...string) (string, error) {
	_, output, err := m.outputOf(ctx, id, command)
	return output, err
}

// run is exec with the exit code, which the engine tells on another call.
func (m *Manager) run(ctx context.Context, id string, command ...string) (output string, code int, err error) {
	execID, output, err := m.outputOf(ctx, id, command)
	if err != nil {
		return "", 0, err
	}
	// The streams may end a moment before the engine knows of it.
	for {
		ended, err := m.Docker.ExecInspect(ctx, execID, client.ExecInspectOptions{})
		if err != nil {
			return "", 0, fmt.Errorf("see how %q ended: %w", command[0], err)
		}
		if !ended.Running {
			return output, ended.ExitCode, nil
		}
		select {
		case <-ctx.Done():
			return "", 0, ctx.Err()
		case <-time.After(endedEvery):
		}
	}
}

func (m *Manager) outputOf(ctx context.Context, id string, command []string) (execID, output string, err error) {
	created, err := m.Docker.ExecCreate(ctx, id, client.ExecCreateOptions{
		Cmd: command, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return "", "", fmt.Errorf("run %q in a container: %w", command[0], err)
	}
	attached, err := m.Docker.ExecAttach(ctx, created.ID, client.ExecAttachOptions{})
	if err != nil {
		return "", "", fmt.Errorf("run %q in a container: %w", command[0], err)
	}
	defer attached.Close()
	// A hijacked connection does not know the context: closing it is what ends the copy.
	defer context.AfterFunc(ctx, attached.Close)()
	var out strings.Builder
	if _, err := stdcopy.StdCopy(&out, &out, attached.Reader); err != nil {
		if ctx.Err() != nil {
			return "", "", ctx.Err()
		}
		return "", "", fmt.Errorf("read the output of %q: %w", command[0], err)
	}
	return created.ID, out.String(), nil
}
