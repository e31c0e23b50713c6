package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/profiles"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

// Exit codes, the whole table.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitFindings    = 3 // findings, unhealthy, or a threshold crossed
	exitUnchecked   = 4 // could not check
	exitInterrupted = 130
)

// usageError is a request that cannot be understood; nothing was tried.
type usageError struct {
	err    error
	advice string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }
func (e *usageError) Hint() string  { return e.advice }

// codeError ends with a code of its own. silent means that all is said already.
type codeError struct {
	code   int
	err    error
	silent bool
}

func (e *codeError) Error() string { return e.err.Error() }
func (e *codeError) Unwrap() error { return e.err }

// exitCode is the one place where an error becomes an exit code.
func exitCode(interrupted bool, err error) int {
	var coded *codeError
	var usage *usageError
	var refusal *stack.Error
	var profile *profiles.Error
	switch {
	case err == nil:
		return exitDone
	case interrupted && errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &usage), errors.As(err, &refusal) && refusal.Usage, errors.As(err, &profile) && profile.Usage:
		return exitUsage
	default:
		return exitFailed
	}
}

// finish prints an error the way every command does and returns the exit code. name is the stack the command was about.
func finish(stderr io.Writer, name string, interrupted bool, err error) int {
	code := exitCode(interrupted, err)
	var coded *codeError
	switch {
	case code == exitDone, errors.As(err, &coded) && coded.silent:
	case code == exitInterrupted:
		var left *interruptedError
		if errors.As(err, &left) {
			fmt.Fprintf(stderr, "interrupted: %s\n", left.left)
			printHint(stderr, name, left.advice)
		} else {
			fmt.Fprintln(stderr, "interrupted")
		}
	default:
		printError(stderr, name, err)
	}
	return code
}

func printError(stderr io.Writer, name string, err error) {
	fmt.Fprintf(stderr, "error: %s\n", render.Escape(strings.TrimSpace(strings.ReplaceAll(err.Error(), "\n", "; "))))
	var failed *stack.FailedError
	if errors.As(err, &failed) && failed.Tail != "" {
		fmt.Fprintf(stderr, "its last log lines:\n%s", render.Indent(failed.Tail, "  | "))
	}
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) && hinted.Hint() != "" {
		printHint(stderr, name, hinted.Hint())
	}
}

func printHint(stderr io.Writer, name, hint string) {
	fmt.Fprintf(stderr, "hint: %s\n", forStack(name, hint))
}

// forStack adds --name to each of our commands in a hint, so that it works as it is typed. The packages that word
// the hints know nothing of the command line's flags.
func forStack(name, hint string) string {
	const command = "docker telemetry "
	parts := strings.Split(hint, command)
	for i, part := range parts[1:] {
		if !strings.HasPrefix(part, "--name ") {
			parts[i+1] = strings.TrimPrefix(nameFlag(name)+" ", " ") + part
		}
	}
	return strings.Join(parts, command)
}

// interruptedError says what Ctrl-C left running and the command that finishes or undoes it.
type interruptedError struct {
	left   string
	advice string
	err    error
}

func (e *interruptedError) Error() string { return e.err.Error() }
func (e *interruptedError) Unwrap() error { return e.err }
