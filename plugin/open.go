package plugin

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/pkg/browser"
	"github.com/spf13/cobra"

	"github.com/docker-telemetry/docker-telemetry/stack"
)

func newOpenCommand(a *app) *cobra.Command {
	printOnly := false
	cmd := &cobra.Command{
		Use:   "open [UI]",
		Short: "Open the start page or a UI in the browser",
		Long: `Open a page in the browser: home, grafana, openobserve, victoriametrics, or one that a profile brought. Without a
word it is home, which lists them with their health.`,
		Args:              argsBetween(0, 1, ""),
		ValidArgsFunction: completeWords("home", stack.Grafana, stack.OpenObserve, stack.VictoriaMetrics),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runOpen(cmd.Context(), a, append(args, "home")[0], printOnly)
		},
	}
	cmd.Flags().BoolVar(&printOnly, "print", false, "Print the URL instead")
	return cmd
}

func runOpen(ctx context.Context, a *app, ui string, printOnly bool) error {
	s, err := a.open(ctx, "")
	if err != nil {
		return err
	}
	card, err := s.card(ctx)
	if err != nil {
		return err
	}
	url, known := card.URLs[ui]
	switch {
	case !known:
		return &usageError{err: fmt.Errorf("there is no UI %q", ui), advice: "UIs: " + strings.Join(slices.Sorted(maps.Keys(card.URLs)), ", ")}
	case len(card.MadeBy) == 0:
		return stack.NotRunning(a.name)
	case printOnly:
		fmt.Fprintln(a.deps.stdout, url)
		return nil
	}
	if err := a.deps.browse(url); err != nil {
		return &stack.Error{Text: "no browser could be started", Advice: "open it yourself: " + url, Err: err}
	}
	fmt.Fprintln(a.deps.stdout, url)
	return nil
}

func openBrowser(url string) error {
	// The library prints what the browser says to our standard output, which is for the answer.
	browser.Stdout, browser.Stderr = io.Discard, io.Discard
	return browser.OpenURL(url)
}
