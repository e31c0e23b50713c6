package stack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/compose/v5/pkg/api"
)

// UpOptions says how far `up` goes.
type UpOptions struct {
	Wait        bool
	WaitTimeout time.Duration
}

// Up makes the engine run the project: creates what is missing, recreates what differs, removes replicas that are
// too many, and waits until all is ready. Running it again changes nothing.
func (m *Manager) Up(ctx context.Context, project *types.Project, options UpOptions) error {
	if err := m.RemoveUnlocked(ctx, project.Name); err != nil {
		return err
	}
	if _, err := m.removeTwins(ctx, project.Name); err != nil {
		return err
	}
	if err := m.bring(ctx, project); err != nil {
		return m.explain(ctx, project, err)
	}
	if !options.Wait {
		return nil
	}
	return m.WaitReady(ctx, project.Name, Replicas(project), options.WaitTimeout)
}

// bring makes the containers and starts them, and tries again when the first time met what a killed up had asked for.
func (m *Manager) bring(ctx context.Context, project *types.Project) error {
	err := m.createAndStart(ctx, project)
	if err == nil || ctx.Err() != nil {
		return err
	}
	again, mendErr := m.overtaken(ctx, project.Name, err)
	if mendErr != nil || !again {
		return errors.Join(err, mendErr)
	}
	return m.createAndStart(ctx, project)
}

// createAndStart is Compose's own Up in its two steps, with the files put in between.
func (m *Manager) createAndStart(ctx context.Context, project *types.Project) error {
	err := m.Compose.Create(ctx, project, api.CreateOptions{
		Recreate:             api.RecreateDiverged,
		RecreateDependencies: api.RecreateDiverged,
		// An orphan here is a service that an older release or another set of profiles had: refuseForeign
		// has made sure that all containers of this project name are ours.
		RemoveOrphans: true,
		Inherit:       true,
		QuietPull:     true,
	})
	if err != nil {
		return err
	}
	if err := m.upload(ctx, project); err != nil {
		return err
	}
	return m.Compose.Start(ctx, project.Name, api.StartOptions{Project: withoutFiles(project)})
}

// Replicas returns how many containers each component of a project has.
func Replicas(project *types.Project) map[string]int {
	want := make(map[string]int, len(project.Services))
	for name, service := range project.Services {
		want[name] = service.GetScale()
	}
	return want
}

// explain turns Compose's error into one that names the component and shows its log: "dependency failed to start"
// alone sends people to look for it.
func (m *Manager) explain(ctx context.Context, project *types.Project, err error) error {
	if ctx.Err() != nil {
		return errors.Join(ctx.Err(), err)
	}
	containers, listErr := m.Containers(ctx, project.Name)
	if listErr != nil {
		return err
	}
	for _, c := range containers {
		if strings.Contains(err.Error(), c.Name) && !c.Ready() {
			return &FailedError{Container: c, Cause: causeOf(c, err), Tail: m.tail(ctx, c.ID)}
		}
	}
	return fmt.Errorf("start the stack: %w", err)
}

// causeOf is the engine's own word where a container never ran: it has no log that could tell.
func causeOf(c Container, err error) string {
	if c.State == "created" {
		return "could not be started: " + strings.TrimPrefix(err.Error(), "Error response from daemon: ")
	}
	return "is not healthy: " + c.Status
}
