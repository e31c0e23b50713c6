package state

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

const (
	stackPoll = 250 * time.Millisecond
	caPoll    = 25 * time.Millisecond // the authority is held for milliseconds

	// Windows locks the first byte against readers too, so the text begins behind it.
	holderOffset = 1
	noteSize     = 1024
)

// Lock takes the stack for one change, or returns a *LockedError at once. verb is the whole command, such as
// "docker telemetry up". The system frees the lock when the process dies, however it dies; unlocking twice does no harm.
func (s *Stack) Lock(ctx context.Context, verb string) (unlock func() error, err error) {
	return s.folder().lock(ctx, s.Name, verb)
}

// LockWait waits until the stack is free or ctx ends. onWait, if set, is called for each holder it waits for.
func (s *Stack) LockWait(ctx context.Context, verb string, onWait func(LockedError)) (unlock func() error, err error) {
	return s.folder().lockWait(ctx, s.Name, verb, stackPoll, onWait)
}

// WithCALock runs change while no other process changes the authority, and waits for its turn until ctx ends.
func (r Root) WithCALock(ctx context.Context, change func() error) error {
	unlock, err := r.CAFiles().lockWait(ctx, "", "docker telemetry certs", caPoll, nil)
	if err != nil {
		return err
	}
	return errors.Join(change(), unlock())
}

func (f folder) lockWait(ctx context.Context, stack, verb string, poll time.Duration, onWait func(LockedError)) (func() error, error) {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	told := map[lockNote]bool{}
	for {
		unlock, err := f.lock(ctx, stack, verb)
		var held *LockedError
		if !errors.As(err, &held) {
			return unlock, err
		}
		who := lockNote{PID: held.PID, Host: held.Host, Since: held.Since}
		if onWait != nil && !told[who] {
			told[who] = true
			onWait(*held)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: stopped waiting: %w", held, ctx.Err())
		case <-ticker.C:
		}
	}
}

// errGone means that Remove took the lock file away between two steps, which is a reason to try again.
var errGone = errors.New("is removed again and again by another process")

func (f folder) lock(ctx context.Context, stack, verb string) (func() error, error) {
	const tries = 100
	var err error
	for range tries {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var unlock func() error
		unlock, err = f.tryLock(ctx, stack, verb)
		if !errors.Is(err, errGone) && !errors.Is(err, errSwapped) && !errors.Is(err, fs.ErrNotExist) {
			return unlock, err
		}
	}
	if errors.Is(err, errGone) {
		return nil, fail("lock", f.abs(lockFile), errGone)
	}
	return nil, err
}

func (f folder) tryLock(ctx context.Context, stack, verb string) (func() error, error) {
	dir, err := f.open(true)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	note, err := openLockFile(dir)
	if err != nil {
		return nil, fail("lock", f.abs(lockFile), err)
	}

	// Without O_CREATE: flock opens by path and would create a file behind a link that was put there meanwhile.
	lock := flock.New(f.abs(lockFile), flock.SetFlag(os.O_RDWR), flock.SetPermissions(filePerm))
	locked, err := lock.TryLock()
	if err != nil {
		note.Close()
		return nil, fail("lock", f.abs(lockFile), err)
	}
	if !locked {
		defer note.Close()
		return nil, holder(ctx, note, stack)
	}
	if err := claim(dir, lock, note, verb); err != nil {
		return nil, errors.Join(err, note.Close(), lock.Unlock())
	}
	return sync.OnceValue(func() error { return release(note, lock) }), nil
}

func openLockFile(dir *os.Root) (*os.File, error) {
	if err := replaceable(dir, lockFile); err != nil {
		return nil, err
	}
	created, err := dir.OpenFile(lockFile, os.O_RDWR|os.O_CREATE|os.O_EXCL, filePerm)
	if err == nil {
		return created, nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return openRegular(dir, lockFile, os.O_RDWR)
}

// claim proves that the locked file is the one that others will find, then signs it. A process that waited on a file
// which Remove has unlinked holds a lock that nobody else sees.
func claim(dir *os.Root, lock *flock.Flock, note *os.File, verb string) error {
	locked, err := lock.Stat()
	if err != nil {
		return err
	}
	found, err := dir.Lstat(lockFile)
	if err != nil {
		return err
	}
	noted, err := note.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(locked, found) || !os.SameFile(locked, noted) {
		return errGone
	}
	host, _ := os.Hostname()
	text, err := json.Marshal(lockNote{PID: os.Getpid(), Host: host, Verb: verb, Since: time.Now()})
	if err != nil {
		return err
	}
	if err := sign(note, text); err != nil {
		return fail("write", lock.Path(), err)
	}
	return nil
}

// sign writes one block of fixed length: a shorter note covers a longer one without a truncation, between whose two
// steps a reader would see half.
func sign(note *os.File, text []byte) error {
	block := bytes.Repeat([]byte(" "), noteSize)
	if len(text) > noteSize {
		text = nil
	}
	copy(block, text)
	_, err := note.WriteAt(block, holderOffset)
	return err
}

type lockNote struct {
	PID   int       `json:"pid"`
	Host  string    `json:"host"`
	Verb  string    `json:"verb"`
	Since time.Time `json:"started"`
}

// release empties the note first, so that nobody reads our name while the next holder has not yet signed.
func release(note *os.File, lock *flock.Flock) error {
	return errors.Join(sign(note, nil), note.Close(), lock.Unlock())
}

// holder reads who has the lock. Between taking it and signing it a holder is nameless for a moment.
func holder(ctx context.Context, note *os.File, stack string) error {
	const tries, pause = 10, 5 * time.Millisecond
	for range tries {
		text, err := io.ReadAll(io.NewSectionReader(note, holderOffset, noteSize))
		var who lockNote
		if err == nil && json.Unmarshal(bytes.TrimSpace(text), &who) == nil {
			return &LockedError{Stack: stack, PID: who.PID, Host: who.Host, Verb: who.Verb, Since: who.Since}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
	return &LockedError{Stack: stack}
}
