package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/certs"
	"github.com/docker-telemetry/docker-telemetry/internal/provider"
	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/internal/settings"
	"github.com/docker-telemetry/docker-telemetry/internal/state"
	"github.com/docker-telemetry/docker-telemetry/pipeline"
	"github.com/docker-telemetry/docker-telemetry/stack"
	"github.com/docker-telemetry/docker-telemetry/storage/gateway"
)

func newStatusCommand(a *app) *cobra.Command {
	format := "table"
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the card: URLs, health, replicas, certificate, retention",
		Long: `Show the card of the pipeline. It ends with exit code 3 when a component is missing or ill, and 4 when the
engine cannot be asked.`,
		Args: argsBetween(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return runStatus(cmd.Context(), a, format) },
	}
	addFormat(cmd, &format, "table", "json", "env")
	return cmd
}

// statusJSON is the contract of `status --format json`: documented in docs/reference/json.md, only added to.
type statusJSON struct {
	SchemaVersion int               `json:"schemaVersion"`
	Stack         string            `json:"stack"`
	Context       string            `json:"context"`
	Engine        engineJSON        `json:"engine"`
	Healthy       bool              `json:"healthy"`
	Phase         string            `json:"phase"`
	Profiles      []string          `json:"profiles"`
	Projects      []string          `json:"projects"` // Compose projects that have the stack for their provider
	URLs          map[string]string `json:"urls"`
	Components    []componentJSON   `json:"components"`
	Certificate   *certificateJSON  `json:"certificate"`
	Retention     map[string]string `json:"retention"`
	Forecast      *forecastJSON     `json:"forecast"`
	Proof         *proofJSON        `json:"proof"`
	MadeBy        []string          `json:"madeBy"`

	uis   []stack.UI          // the pages in the order of the card
	ports map[string][]string // by name, without the gateway's: what else it takes on the engine's host
}

type engineJSON struct {
	Address string `json:"address"`
	Version string `json:"version"`
	API     string `json:"api"`
	Host    string `json:"host"`
}

type componentJSON struct {
	Name    string `json:"name"`
	Want    int    `json:"want"`
	Ready   int    `json:"ready"`
	Healthy bool   `json:"healthy"`
	Image   string `json:"image"`
	Drift   bool   `json:"drift"`
}

type certificateJSON struct {
	NotAfter time.Time `json:"notAfter"`
	DaysLeft int       `json:"daysLeft"`
	Hosts    []string  `json:"hosts"`
}

func runStatus(ctx context.Context, a *app, format string) error {
	s, err := a.open(ctx, "")
	if err != nil {
		var usage *usageError
		if errors.As(err, &usage) || ctx.Err() != nil {
			return err
		}
		return &codeError{code: exitUnchecked, err: err}
	}
	card, err := s.card(ctx)
	if err != nil {
		return err
	}
	switch {
	case format == "json":
		if err := render.JSON(a.deps.stdout, card); err != nil {
			return err
		}
	case format == "env":
		printStatusEnv(a.deps.stdout, card)
	case len(card.MadeBy) > 0:
		printStatus(a, card, card.Proof.words(a.deps.now()))
	}
	if card.Healthy {
		return a.judgeCertificate(card.Certificate, format)
	}
	return &codeError{code: exitFindings, err: unhealthy(card), silent: format == "json"}
}

func unhealthy(card statusJSON) error {
	if len(card.MadeBy) == 0 {
		return stack.NotRunning(card.Stack)
	}
	for _, component := range card.Components {
		if !component.Healthy {
			return &stack.Error{
				Text: fmt.Sprintf("stack %q is not healthy: %s has %d of %d replicas ready",
					card.Stack, component.Name, component.Ready, max(1, component.Want)),
				Advice: "docker telemetry logs " + component.Name + "; docker telemetry up brings it back",
			}
		}
	}
	return &stack.Error{Text: fmt.Sprintf("stack %q is not healthy", card.Stack), Advice: "docker telemetry ps"}
}

// card gathers what is known of the stack, from the engine first and from this machine's state where there is one.
func (s *session) card(ctx context.Context) (statusJSON, error) {
	containers, err := s.manager.Containers(ctx, s.state.Name)
	if err != nil {
		return statusJSON{}, err
	}
	remembered, err := s.source.Remember(settings.Request{})
	if err != nil {
		return statusJSON{}, err
	}
	project, err := stack.Load(ctx, s.manager.Bundle, remembered.Settings)
	if err != nil {
		return statusJSON{}, err
	}
	want := map[string]int{}
	if remembered.Known {
		want = stack.Replicas(project)
	}
	uis := stack.Pages(containers)
	if len(containers) == 0 {
		if uis, err = stack.UIs(project); err != nil {
			return statusJSON{}, err
		}
	}
	card := statusJSON{
		SchemaVersion: 1,
		Stack:         s.state.Name,
		Context:       s.state.Context,
		Engine:        engineJSON{Address: s.engine.Address, Version: s.engine.Version, API: s.engine.API, Host: s.engine.Name},
		Healthy:       true,
		Phase:         remembered.File.Phase,
		Profiles:      append([]string{}, remembered.File.Profiles...),
		Projects:      append([]string{}, provider.Projects(remembered.File.Uses)...),
		URLs:          urls(address(containers, remembered.File), uis),
		uis:           uis,
		ports:         otherPorts(containers),
		Retention:     stack.Retention(project),
		MadeBy:        versions(containers),
	}
	locked, err := settings.ReadImages(s.state)
	if err != nil {
		return statusJSON{}, err
	}
	drifted := stack.Drifted(project, containers, locked)
	for _, component := range stack.Summarize(containers, want) {
		card.Components = append(card.Components, componentJSON{
			Name: component.Name, Want: component.Want, Ready: component.Ready, Healthy: component.Healthy(), Image: component.Image,
			Drift: slices.Contains(drifted, component.Name),
		})
		card.Healthy = card.Healthy && component.Healthy()
	}
	if card.Proof, err = recalled[proofJSON](s, proofFile); err != nil {
		return statusJSON{}, err
	}
	if card.Forecast, err = recalled[forecastJSON](s, forecastFile); err != nil {
		return statusJSON{}, err
	}
	card.Certificate, err = s.certificate()
	return card, err
}

// address of the gateway: what it publishes, so that it is right for a stack that another machine started too; where it
// does not run, what is remembered.
func address(containers []stack.Container, file state.File) string {
	bind, port := file.Bind, file.Port
	for _, c := range containers {
		if c.Component == stack.Gateway && len(c.Published) > 0 {
			bind, port = c.Published[0].IP, c.Published[0].Port
		}
	}
	return gateway.URL(bind, port)
}

func urls(base string, uis []stack.UI) map[string]string {
	urls := map[string]string{"home": base + "/"}
	for _, ui := range uis {
		if ui.Path != "" {
			urls[ui.Service] = base + ui.Path
		}
	}
	return urls
}

// otherPorts lists what components beside the gateway are published on, by the name of the port or of its component.
func otherPorts(containers []stack.Container) map[string][]string {
	found := map[string][]string{}
	for _, c := range containers {
		if c.Component == stack.Gateway {
			continue
		}
		for _, port := range c.Published {
			name := cmp.Or(port.Name, c.Component)
			found[name] = append(found[name], net.JoinHostPort(port.IP, strconv.Itoa(port.Port)))
		}
	}
	for _, addresses := range found {
		slices.Sort(addresses)
	}
	return found
}

func versions(containers []stack.Container) []string {
	seen := []string{}
	for _, c := range containers {
		if !slices.Contains(seen, c.Version) {
			seen = append(seen, c.Version)
		}
	}
	return seen
}

func (s *session) certificate() (*certificateJSON, error) {
	leaf, err := s.state.ReadFile(certs.LeafCert)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // a stack of another machine has none here, which is no error
	}
	if err != nil {
		return nil, err
	}
	info, err := certs.Inspect(certs.Pair{Cert: leaf})
	if err != nil {
		return nil, err
	}
	return &certificateJSON{NotAfter: info.NotAfter.UTC(), DaysLeft: info.DaysLeft(s.app.deps.now()), Hosts: info.Hosts}, nil
}

// printCard ends `up`.
func (s *session) printCard(ctx context.Context, proof []pipeline.RouteResult) error {
	card, err := s.card(ctx)
	if err != nil {
		return err
	}
	printStatus(s.app, card, proofs(proof))
	return nil
}
