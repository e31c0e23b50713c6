//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/docker-telemetry/docker-telemetry/hack/process"
)

// childCommand runs a program and tells what it took. The system counts no peak of memory that is below that of the program
// which started it, and what has written a million series, and serves the gateway, is larger than what it measures.
const childCommand = "run"

// tellFile is where the child tells it: the first file after the streams.
const tellFile = 3

// child is that process. args are the program and its arguments.
func child(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: retbench run PROGRAM ARGUMENTS")
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // what is measured
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	used, err := process.Run(cmd)
	if err != nil {
		return err
	}
	tell := os.NewFile(tellFile, "tell")
	return errors.Join(json.NewEncoder(tell).Encode(used), tell.Close())
}

// runChild runs cmd, whose Path and Args are those of a program, by way of the child. Stderr is in the error.
func runChild(cmd *exec.Cmd) (used process.Usage, err error) {
	own, err := os.Executable()
	if err != nil {
		return used, err
	}
	what := strings.Join(cmd.Args, " ")
	var stderr strings.Builder
	read, write, err := os.Pipe()
	if err != nil {
		return used, err
	}
	defer read.Close()
	cmd.Args = append([]string{own, childCommand}, cmd.Args...)
	cmd.Path, cmd.Stderr, cmd.ExtraFiles = own, &stderr, []*os.File{write}
	err = errors.Join(cmd.Run(), write.Close())
	if err != nil {
		return used, fmt.Errorf("%s: %w\n%s", what, err, &stderr)
	}
	told, err := io.ReadAll(read)
	if err != nil {
		return used, err
	}
	err = json.Unmarshal(told, &used)
	return used, err
}
