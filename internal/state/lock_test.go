package state

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

const roleVariable = "STATE_TEST_ROLE"

// TestMain turns the test binary into another process of docker telemetry when the variable asks for it.
func TestMain(m *testing.M) {
	roles := map[string]func(Root, string) error{
		"hold": holdLock, "count": countUnderLock, "ca": countUnderCALock, "write": writeForEver,
	}
	role, ok := roles[os.Getenv(roleVariable)]
	if !ok {
		os.Exit(m.Run())
	}
	if err := role(Root{State: os.Args[1]}, os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func process(t *testing.T, role string, root Root, arg string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], root.State, arg)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	return cmd
}

func holdLock(root Root, verb string) error {
	stack, err := root.Stack("default", "telemetry")
	if err != nil {
		return err
	}
	unlock, err := stack.Lock(context.Background(), verb)
	if err != nil {
		return err
	}
	fmt.Println("locked")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return unlock()
}

const rounds = 15

// countUnderLock adds to a counter without any protection of its own, and sometimes removes the whole stack, lock
// included, as down does.
func countUnderLock(root Root, counter string) error {
	stack, err := root.Stack("default", "telemetry")
	if err != nil {
		return err
	}
	for i := range rounds {
		unlock, err := stack.folder().lockWait(context.Background(), stack.Name, "up", time.Millisecond, nil)
		if err != nil {
			return err
		}
		if err := addOne(counter); err != nil {
			return err
		}
		if err := stack.Save(File{}); err != nil {
			return err
		}
		if _, err := stack.Load(); err != nil {
			return fmt.Errorf("removed under our lock: %w", err)
		}
		if i%3 == 0 {
			if err := stack.Remove(); err != nil {
				return err
			}
		}
		if err := unlock(); err != nil {
			return err
		}
	}
	return nil
}

func countUnderCALock(root Root, counter string) error {
	for range rounds {
		if err := root.WithCALock(context.Background(), func() error { return addOne(counter) }); err != nil {
			return err
		}
	}
	return nil
}

func addOne(counter string) error {
	inside, err := os.OpenFile(counter+".inside", os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("two at once: %w", err)
	}
	text, err := os.ReadFile(counter)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(string(text))
	if err != nil {
		return err
	}
	if err := os.WriteFile(counter, []byte(strconv.Itoa(n+1)), 0o600); err != nil {
		return err
	}
	return errors.Join(inside.Close(), os.Remove(inside.Name()))
}

func TestSixProcessesAtOnce(t *testing.T) {
	for _, role := range []string{"count", "ca"} {
		t.Run(role, func(t *testing.T) {
			root := newRoot(t)
			counter := filepath.Join(t.TempDir(), "counter")
			assert.NilError(t, os.WriteFile(counter, []byte("0"), 0o600))
			const processes = 6
			var running []*exec.Cmd
			for range processes {
				cmd := process(t, role, root, counter)
				assert.NilError(t, cmd.Start())
				running = append(running, cmd)
			}
			for _, cmd := range running {
				assert.NilError(t, cmd.Wait())
			}
			text, err := os.ReadFile(counter)
			assert.NilError(t, err)
			assert.Equal(t, string(text), strconv.Itoa(processes*rounds))
		})
	}
}

func TestLockedByAnotherProcess(t *testing.T) {
	root := newRoot(t)
	stack := mustStack(t, root, "default", "telemetry")
	start := time.Now()
	cmd := process(t, "hold", root, "docker telemetry up")
	stdin, err := cmd.StdinPipe()
	assert.NilError(t, err)
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	assert.NilError(t, err)
	assert.NilError(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	assert.NilError(t, err)
	assert.Equal(t, line, "locked\n")

	_, err = stack.Lock(t.Context(), "down")
	var held *LockedError
	assert.Assert(t, errors.As(err, &held), err)
	assert.Equal(t, held.PID, cmd.Process.Pid)
	assert.Equal(t, held.Verb, "docker telemetry up")
	assert.Assert(t, !held.Since.Before(start) && !held.Since.After(time.Now()), held.Since)
	assert.Error(t, err, fmt.Sprintf(`stack "telemetry" is being changed by "docker telemetry up" (pid %d, since %s)`,
		held.PID, held.Since.Local().Format("15:04:05")))
	assert.Assert(t, hint(err) != "")

	free, err := mustStack(t, root, "default", "other").Lock(t.Context(), "up")
	assert.NilError(t, err, "another stack is free")
	assert.NilError(t, free())

	// Killed: nobody tidies up, the note stays, and yet the lock is free.
	assert.NilError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	unlock, err := stack.Lock(t.Context(), "down")
	assert.NilError(t, err)
	assert.NilError(t, unlock())
}

func TestLockWithinOneProcess(t *testing.T) {
	stack := newStack(t)
	unlock, err := stack.Lock(t.Context(), "docker telemetry up")
	assert.NilError(t, err)
	_, err = stack.Lock(t.Context(), "docker telemetry scale")
	assert.ErrorContains(t, err, `"docker telemetry up"`)
	assert.NilError(t, unlock())
	assert.NilError(t, unlock(), "a second time")
	note, err := os.ReadFile(filepath.Join(stack.Dir, lockFile))
	assert.NilError(t, err)
	assert.Equal(t, strings.Trim(string(note), " \x00"), "", "a free lock names nobody")

	unlock, err = stack.Lock(t.Context(), "docker telemetry scale")
	assert.NilError(t, err)
	_, err = stack.Lock(t.Context(), "docker telemetry up")
	assert.ErrorContains(t, err, `"docker telemetry scale"`)
	assert.NilError(t, unlock())

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = stack.Lock(ended, "up")
	assert.Assert(t, errors.Is(err, context.Canceled), err)
}

func TestLockWait(t *testing.T) {
	stack := newStack(t)
	unlock, err := stack.Lock(t.Context(), "docker telemetry up")
	assert.NilError(t, err)
	var waited []LockedError
	second, err := stack.LockWait(t.Context(), "down", func(held LockedError) {
		waited = append(waited, held)
		assert.NilError(t, unlock())
	})
	assert.NilError(t, err)
	assert.Equal(t, len(waited), 1)
	assert.Equal(t, waited[0].Verb, "docker telemetry up")

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = stack.LockWait(ctx, "up", nil)
	assert.Assert(t, errors.Is(err, context.DeadlineExceeded), err)
	var held *LockedError
	assert.Assert(t, errors.As(err, &held), "says for whom it waited: %v", err)
	assert.Equal(t, held.Verb, "down")
	assert.NilError(t, second())
}

func TestLockedErrorText(t *testing.T) {
	since := time.Date(2026, 1, 2, 10, 2, 3, 0, time.Local)
	for _, tc := range []struct {
		err  LockedError
		want string
	}{
		{
			LockedError{Stack: "telemetry", PID: 123, Verb: "docker telemetry up", Since: since},
			`stack "telemetry" is being changed by "docker telemetry up" (pid 123, since 10:02:03)`,
		},
		{
			LockedError{Stack: "telemetry", PID: 123, Verb: "docker telemetry up", Host: "elsewhere.invalid", Since: since},
			`stack "telemetry" is being changed by "docker telemetry up" (pid 123 on "elsewhere.invalid", since 10:02:03)`,
		},
		{LockedError{Stack: "telemetry"}, `stack "telemetry" is being changed by another process`},
		{LockedError{}, `the certificate authority is being changed by another process`},
	} {
		assert.Equal(t, tc.err.Error(), tc.want)
	}
}

func TestForeignTextInTheLock(t *testing.T) {
	stack := newStack(t)
	assert.NilError(t, os.MkdirAll(stack.Dir, 0o700))
	path := filepath.Join(stack.Dir, lockFile)
	assert.NilError(t, os.WriteFile(path, []byte(strings.Repeat("rubbish ", 1000)), 0o600))
	unlock, err := stack.Lock(t.Context(), "docker telemetry up")
	assert.NilError(t, err)
	_, err = stack.Lock(t.Context(), "down")
	assert.ErrorContains(t, err, `"docker telemetry up"`)

	assert.NilError(t, os.WriteFile(path, []byte("?"), 0o600))
	_, err = stack.Lock(t.Context(), "down")
	assert.Error(t, err, `stack "telemetry" is being changed by another process`)
	assert.NilError(t, unlock())
}

func TestWithCALock(t *testing.T) {
	root := newRoot(t)
	boom := errors.New("boom")
	assert.Assert(t, errors.Is(root.WithCALock(t.Context(), func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		err := root.WithCALock(ctx, func() error { return nil })
		assert.Assert(t, is.ErrorContains(err, "the certificate authority is being changed"))
		return boom
	}), boom))
	assert.NilError(t, root.WithCALock(t.Context(), func() error { return nil }), "freed after a failure")
}

// writeForEver saves states of very different length until it is killed.
func writeForEver(root Root, _ string) error {
	stack, err := root.Stack("default", "telemetry")
	if err != nil {
		return err
	}
	fmt.Println("writing")
	for n := 1; ; n++ {
		file := File{Port: n % 2 * 40000, Profiles: make([]string, n%2*20000)}
		if err := stack.Save(file); err != nil {
			return err
		}
	}
}

func TestKilledWriterLeavesAWholeFile(t *testing.T) {
	root := newRoot(t)
	stack := mustStack(t, root, "default", "telemetry")
	assert.NilError(t, stack.Save(File{}))
	for i := range 8 {
		cmd := process(t, "write", root, "")
		stdout, err := cmd.StdoutPipe()
		assert.NilError(t, err)
		assert.NilError(t, cmd.Start())
		_, err = bufio.NewReader(stdout).ReadString('\n')
		assert.NilError(t, err)
		for range 20 + i { // readers beside the writer never see half a file either
			file, err := stack.Load()
			assert.NilError(t, err)
			assert.Equal(t, len(file.Profiles), file.Port/2, "fields of one write")
		}
		assert.NilError(t, cmd.Process.Kill())
		_ = cmd.Wait()
		_, err = stack.Load()
		assert.NilError(t, err)
	}
}

// Remove unlinks the lock; a process that had opened it before then locks a file that nobody else will find.
func TestClaimRefusesAnUnlinkedLock(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be unlinked")
	}
	path := t.TempDir()
	dir, err := os.OpenRoot(path)
	assert.NilError(t, err)
	defer dir.Close()
	note, err := openLockFile(dir)
	assert.NilError(t, err)
	defer note.Close()
	lock := flock.New(filepath.Join(path, lockFile))
	locked, err := lock.TryLock()
	assert.NilError(t, err)
	assert.Assert(t, locked)
	defer lock.Unlock()
	assert.NilError(t, claim(dir, lock, note, "up"))

	assert.NilError(t, dir.Remove(lockFile))
	assert.Assert(t, errors.Is(claim(dir, lock, note, "up"), fs.ErrNotExist))
	assert.NilError(t, dir.WriteFile(lockFile, nil, 0o600))
	assert.Assert(t, errors.Is(claim(dir, lock, note, "up"), errGone))
}
