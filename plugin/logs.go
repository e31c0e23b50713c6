package plugin

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"sync"

	"github.com/docker/compose/v5/pkg/api"
	"github.com/morikuni/aec"
	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/internal/render"
)

type logsOptions struct {
	follow, timestamps bool
	tail, since, until string
}

func newLogsCommand(a *app) *cobra.Command {
	var opts logsOptions
	cmd := &cobra.Command{
		Use:               "logs [OPTIONS] [COMPONENT...]",
		Short:             "Show what the components themselves log",
		ValidArgsFunction: completeComponents,
		RunE:              func(cmd *cobra.Command, args []string) error { return runLogs(cmd.Context(), a, args, opts) },
	}
	flags := cmd.Flags()
	flags.BoolVarP(&opts.follow, "follow", "f", false, "Go on with new lines")
	flags.BoolVarP(&opts.timestamps, "timestamps", "t", false, "Put the time before each line")
	flags.StringVarP(&opts.tail, "tail", "n", "all", "Number of lines from the end of each log")
	flags.StringVar(&opts.since, "since", "", "Only after this time, or this long ago (10m)")
	flags.StringVar(&opts.until, "until", "", "Only before this time, or this long ago")
	return cmd
}

func runLogs(ctx context.Context, a *app, args []string, opts logsOptions) error {
	s, err := a.open(ctx, "")
	if err != nil {
		return err
	}
	components, err := s.components(ctx, args)
	if err != nil {
		return err
	}
	consumer := &logPrinter{stdout: a.deps.stdout, colour: a.deps.stdoutTerminal() && render.ColourWanted()}
	err = s.manager.Logs(ctx, a.name, consumer, api.LogOptions{
		Services: components, Follow: opts.follow, Timestamps: opts.timestamps,
		Tail: opts.tail, Since: opts.since, Until: opts.until,
	})
	if opts.follow && a.interrupted() {
		return nil // Ctrl-C is how following ends
	}
	return err
}

// logPrinter prints each line behind the name of its container; the SDK calls it from a goroutine per container.
type logPrinter struct {
	mu     sync.Mutex
	stdout io.Writer
	colour bool
	width  int
}

func (p *logPrinter) Log(container, message string) { p.print(container, message) }
func (p *logPrinter) Err(container, message string) { p.print(container, message) }
func (p *logPrinter) Status(string, string)         {}

func (p *logPrinter) print(container, message string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.width = max(p.width, len(container))
	prefix := fmt.Sprintf("%-*s |", p.width, render.Escape(container))
	if p.colour {
		prefix = colourOf(container).Apply(prefix)
	}
	fmt.Fprint(p.stdout, render.Indent(message, prefix+" "))
}

// colourOf gives a container the same colour in every run.
func colourOf(container string) aec.ANSI {
	colours := []aec.ANSI{aec.CyanF, aec.YellowF, aec.GreenF, aec.MagentaF, aec.BlueF}
	hash := fnv.New32a()
	hash.Write([]byte(container))
	return colours[hash.Sum32()%uint32(len(colours))]
}
