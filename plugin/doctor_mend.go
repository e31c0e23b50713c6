package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/docker-telemetry/docker-telemetry/doctor"
	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

// remedy is one thing that --fix does.
type remedy struct {
	what string // for a person: "start grafana"
	do   func(ctx context.Context) error
}

// remedies are what the outcomes ask for, each once, in the order in which they are safe: what is closed and removed first, then
// what is started.
func (s *session) remedies(outcomes []doctor.Outcome) []remedy {
	var all []remedy
	seen := map[string]bool{}
	for _, kind := range []doctor.Mend{doctor.CloseFiles, doctor.RemoveProbes, doctor.RenewCertificate, doctor.StartComponent, doctor.RestartComponent} {
		for _, o := range outcomes {
			if o.Mend != kind {
				continue
			}
			one := s.remedy(o)
			if !seen[one.what] {
				seen[one.what] = true
				all = append(all, one)
			}
		}
	}
	return all
}

func (s *session) remedy(o doctor.Outcome) remedy {
	switch o.Mend {
	case doctor.CloseFiles:
		return remedy{"take the permissions of others from " + o.Object, func(context.Context) error { return s.source.Root.Conceal(o.Object) }}
	case doctor.RemoveProbes:
		return remedy{"remove the containers that proofs left behind", func(ctx context.Context) error {
			return s.manager.RemoveLeftovers(ctx, s.state.Name)
		}}
	case doctor.RenewCertificate:
		return remedy{"renew the certificate and bring it into the gateway, without ending a connection", func(ctx context.Context) error {
			_, err := s.renewCertificate(ctx, change{})
			return err
		}}
	case doctor.StartComponent:
		return remedy{"start " + o.Object + " again", func(ctx context.Context) error {
			return s.manager.Start(ctx, s.state.Name, []string{o.Object}, startTimeout)
		}}
	default:
		return remedy{"restart " + o.Object, func(ctx context.Context) error {
			return s.manager.Restart(ctx, s.state.Name, []string{o.Object}, startTimeout)
		}}
	}
}

// mend says what can be mended, asks, and does it; it returns what was done. What fails is said, and the others are done: they do
// not stand on each other.
func (s *session) mend(ctx context.Context, outcomes []doctor.Outcome, yes bool) ([]string, error) {
	remedies := s.remedies(outcomes)
	stderr := s.app.deps.stderr
	s.close()
	if len(remedies) == 0 {
		fmt.Fprintln(stderr, "nothing of what was found can be mended by --fix")
		return nil, nil
	}
	for _, one := range remedies {
		fmt.Fprintln(stderr, "will", render.Escape(one.what))
	}
	// Elsewhere than at a terminal --fix is consent enough.
	if !yes && s.app.deps.stdinTerminal() {
		agreed, err := s.app.ask(ctx, "Do this?")
		if err == nil && !agreed {
			err = &stack.Error{Text: "nothing was changed", Advice: "what was found: docker telemetry doctor"}
		}
		if err != nil {
			return nil, err
		}
	}
	unlock, err := s.lock(ctx, "doctor --fix")
	if err != nil {
		return nil, err
	}
	defer unlock()
	var done []string
	for _, one := range remedies {
		err := one.do(ctx)
		switch {
		case ctx.Err() != nil:
			return done, errors.Join(ctx.Err(), err)
		case err != nil:
			fmt.Fprintf(stderr, "warning: could not %s: %s\n", render.Escape(one.what), render.Escape(err.Error()))
		default:
			fmt.Fprintln(stderr, "done:", render.Escape(one.what))
			done = append(done, one.what)
		}
	}
	s.close()
	return slices.Clip(done), nil
}
