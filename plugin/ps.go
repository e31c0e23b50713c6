package plugin

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

func newPsCommand(a *app) *cobra.Command {
	format, all := "table", false
	cmd := &cobra.Command{
		Use:   "ps [COMPONENT...]",
		Short: "List the containers of the pipeline",
		Long: `List the containers of the pipeline, stopped ones included. They are found by label, so stacks that another
machine started on this engine are listed as well (--all).`,
		ValidArgsFunction: completeComponents,
		RunE:              func(cmd *cobra.Command, args []string) error { return runPs(cmd.Context(), a, args, format, all) },
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "Of every stack on this engine")
	addFormat(cmd, &format, "table", "json")
	return cmd
}

// psRow is a container in the JSON of `ps`: documented in docs/reference/json.md, only added to.
type psRow struct {
	Stack     string          `json:"stack"`
	Component string          `json:"component"`
	Replica   int             `json:"replica"`
	Name      string          `json:"name"`
	ID        string          `json:"id"`
	State     string          `json:"state"`
	Health    string          `json:"health"`
	Image     string          `json:"image"`
	Created   time.Time       `json:"created"`
	Published []publishedJSON `json:"published"`
}

type publishedJSON struct {
	IP         string `json:"ip"`
	Port       int    `json:"port"`
	TargetPort int    `json:"targetPort"`
}

func runPs(ctx context.Context, a *app, args []string, format string, all bool) error {
	s, err := a.open(ctx, "")
	if err != nil {
		return err
	}
	components, err := s.components(ctx, args)
	if err != nil {
		return err
	}
	name := a.name
	if all {
		name = ""
	}
	containers, err := s.manager.Containers(ctx, name)
	if err != nil {
		return err
	}
	containers = only(containers, components)
	if format == "json" {
		return render.JSON(a.deps.stdout, map[string]any{"schemaVersion": 1, "containers": psRows(containers)})
	}
	if len(containers) == 0 {
		fmt.Fprintf(a.deps.stderr, "there is no stack %q on this engine\n", a.name)
		printHint(a.deps.stderr, a.name, "start it: docker telemetry up")
		return nil
	}
	psTable(a, containers, all)
	return nil
}

func only(containers []stack.Container, components []string) []stack.Container {
	if len(components) == 0 {
		return containers
	}
	var kept []stack.Container
	for _, c := range containers {
		for _, component := range components {
			if c.Component == component {
				kept = append(kept, c)
			}
		}
	}
	return kept
}

func psRows(containers []stack.Container) []psRow {
	rows := make([]psRow, 0, len(containers))
	for _, c := range containers {
		row := psRow{
			Stack: c.Stack, Component: c.Component, Replica: c.Number, Name: c.Name, ID: c.ID, State: c.State,
			Health: c.Health, Image: c.Image, Created: c.Created.UTC(), Published: []publishedJSON{},
		}
		for _, p := range c.Published {
			row.Published = append(row.Published, publishedJSON{IP: p.IP, Port: p.Port, TargetPort: p.TargetPort})
		}
		rows = append(rows, row)
	}
	return rows
}

func psTable(a *app, containers []stack.Container, all bool) {
	header := []string{"component", "container", "status", "image", "created", "ports"}
	if all {
		header = append([]string{"stack"}, header...)
	}
	rows := make([][]string, 0, len(containers))
	for _, c := range containers {
		row := []string{
			c.Component, c.Name, c.Status, c.Image,
			units.HumanDuration(a.deps.now().Sub(c.Created)) + " ago", ports(c.Published),
		}
		if all {
			row = append([]string{c.Stack}, row...)
		}
		rows = append(rows, row)
	}
	render.Table(a.deps.stdout, header, rows)
}

func ports(published []stack.Published) string {
	words := make([]string, 0, len(published))
	for _, p := range published {
		words = append(words, fmt.Sprintf("%s:%d->%d", p.IP, p.Port, p.TargetPort))
	}
	return strings.Join(words, ", ")
}
