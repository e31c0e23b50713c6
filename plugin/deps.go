package plugin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/docker/cli/cli/command"
	"github.com/docker/compose/v5/pkg/compose"

	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/stack/bundle"
	"github.com/docker-telemetry/docker-telemetry/storage/victoriametrics"
)

// deps is everything a command reaches outside of itself. They are functions, so that building the command tree,
// which happens at each `docker --help`, costs nothing.
type deps struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	stdinTerminal  func() bool
	stdoutTerminal func() bool
	stderrTerminal func() bool
	getenv         func(string) string
	context        func() string // name of the Docker context
	root           func() (state.Root, error)
	manager        func(progress *render.Progress) (*stack.Manager, error)
	now            func() time.Time
	random         io.Reader
	browse         func(url string) error
	// settle is how long Compose takes for a project's networks, which it makes while it runs a provider.
	settle time.Duration
	// limits of the answers of a store; the zero value is the defaults.
	limits victoriametrics.Limits
}

func newDeps(cli *command.DockerCli) deps {
	return deps{
		stdin: cli.In(), stdout: cli.Out(), stderr: cli.Err(),
		stdinTerminal:  func() bool { return cli.In().IsTerminal() },
		stdoutTerminal: func() bool { return cli.Out().IsTerminal() },
		stderrTerminal: func() bool { return cli.Err().IsTerminal() },
		getenv:         os.Getenv,
		context:        cli.CurrentContext,
		root:           func() (state.Root, error) { return state.DefaultRoot(os.Getenv) },
		manager: func(progress *render.Progress) (*stack.Manager, error) {
			return newManager(cli, progress)
		},
		now:    time.Now,
		random: rand.Reader,
		browse: openBrowser,
		settle: 10 * time.Second,
	}
}

func newManager(cli *command.DockerCli, progress *render.Progress) (*stack.Manager, error) {
	// Client() ends the process when the endpoint cannot be resolved. DockerEndpoint() resolves the same and only
	// prints the cause, so the refusal can be ours.
	if cli.DockerEndpoint().Host == "" {
		return nil, &stack.Error{
			Text:   fmt.Sprintf("the Docker context %q cannot be used", cli.CurrentContext()),
			Advice: "choose another: docker context ls",
		}
	}
	options := []compose.Option{compose.WithPrompt(compose.AlwaysOkPrompt())}
	if progress != nil {
		options = append(options, compose.WithEventProcessor(progress))
	}
	service, err := compose.NewComposeService(cli, options...)
	if err != nil {
		return nil, fmt.Errorf("start the Compose SDK: %w", err)
	}
	manager := &stack.Manager{Compose: service, Docker: cli.Client(), Bundle: bundle.FS()}
	if progress != nil {
		manager.Progress = progress.On
	}
	return manager, nil
}

// session is one command at work on one stack.
type session struct {
	app      *app
	manager  *stack.Manager
	engine   stack.Engine
	state    *state.Stack
	source   settings.Source
	progress *render.Progress
}

// open reaches the engine and finds the stack's state. title is the operation for the progress display, "" for none.
func (a *app) open(ctx context.Context, title string) (*session, error) {
	s, err := a.local(ctx, title)
	if err != nil {
		return nil, err
	}
	if err := s.reach(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// local is a session that asks nothing of an engine yet.
func (a *app) local(ctx context.Context, title string) (*session, error) {
	s := &session{app: a}
	var err error
	if title != "" {
		mode := a.progress
		if a.protocol != nil && mode == "auto" {
			mode = render.Untimed
		}
		s.progress, err = render.NewProgress(ctx, mode, title, a.deps.stderr, a.deps.stderrTerminal())
		if err != nil {
			return nil, &usageError{err: err}
		}
	}
	root, err := a.deps.root()
	if err != nil {
		return nil, err
	}
	if s.state, err = root.Stack(a.deps.context(), a.name); err != nil {
		return nil, &usageError{err: err, advice: hintOf(err)}
	}
	s.state.OnNotice = func(text string) { fmt.Fprintln(a.deps.stderr, "note:", render.Escape(text)) }
	s.source = settings.Source{Root: root, Stack: s.state, Now: a.deps.now, Rand: a.deps.random}
	return s, nil
}

// reach asks the engine who it is.
func (s *session) reach(ctx context.Context) (err error) {
	if s.manager, err = s.app.deps.manager(s.progress); err != nil {
		return err
	}
	if s.engine, err = s.manager.Inspect(ctx); err != nil {
		return err
	}
	s.source.Engine = s.engine
	return nil
}

// close ends the progress display; what is printed next does not run into it.
func (s *session) close() {
	if s.progress != nil {
		s.progress.Close()
	}
}

// lock takes the stack's lock and says who holds it while it waits.
func (s *session) lock(ctx context.Context, verb string) (unlock func(), err error) {
	release, err := s.state.LockWait(ctx, "docker telemetry "+verb, func(held state.LockedError) {
		fmt.Fprintf(s.app.deps.stderr, "waiting: %s\n", held.Error())
	})
	if err != nil {
		return nil, err
	}
	return sync.OnceFunc(func() {
		if err := release(); err != nil {
			fmt.Fprintln(s.app.deps.stderr, "warning: release the lock:", err)
		}
	}), nil
}

// begin is for a command that changes a stack which was started from here: it opens it, takes its lock and reads what is
// remembered. end gives both back.
func (a *app) begin(ctx context.Context, title, verb string) (s *session, remembered settings.Result, end func(), err error) {
	if s, err = a.open(ctx, title); err != nil {
		return nil, settings.Result{}, nil, err
	}
	unlock, err := s.lock(ctx, verb)
	if err != nil {
		s.close()
		return nil, settings.Result{}, nil, err
	}
	end = func() {
		unlock()
		s.close()
	}
	if remembered, err = s.remembered(); err != nil {
		end()
		return nil, settings.Result{}, nil, err
	}
	return s, remembered, end, nil
}

func hintOf(err error) string {
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return hinted.Hint()
	}
	return ""
}

func quoted(text string) string { return strconv.Quote(text) }
