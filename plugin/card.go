package plugin

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/morikuni/aec"

	"github.com/docker-telemetry/docker-telemetry/internal/render"
	"github.com/docker-telemetry/docker-telemetry/pipeline"
	"github.com/docker-telemetry/docker-telemetry/stack"
)

// printStatus prints the card for people: what it is and how it is, where to look, what it runs and what is proven, what to
// type next.
func printStatus(a *app, card statusJSON, proof []string) {
	paint := painter(a.deps.stdoutTerminal() && render.ColourWanted())
	out := a.deps.stdout
	fmt.Fprintf(out, "\n  %s  %s\n\n", paint(aec.Bold, render.Escape(card.Stack)), health(paint, card))
	row(out, "Home", paint(aec.CyanF, card.URLs["home"]))
	for _, ui := range card.uis {
		row(out, render.Escape(ui.Name), paint(aec.CyanF, render.Escape(card.URLs[ui.Service])))
	}
	for _, name := range slices.Sorted(maps.Keys(card.ports)) {
		row(out, render.Escape(name), strings.Join(card.ports[name], ", "))
	}
	row(out, "Log-ins", "docker telemetry"+nameFlag(card.Stack)+" credentials show")
	fmt.Fprintln(out)
	row(out, "Components", components(paint, card))
	if len(card.Profiles) > 0 {
		row(out, "Profiles", render.Escape(strings.Join(card.Profiles, ", ")))
	}
	if len(card.Projects) > 0 {
		row(out, "Used by", render.Escape(strings.Join(card.Projects, ", ")))
	}
	for i, line := range wrap(proof, 60) {
		name := ""
		if i == 0 {
			name = "Proof"
		}
		row(out, name, render.Escape(line))
	}
	if card.Certificate != nil {
		row(out, "Certificate", certificate(paint, *card.Certificate))
	}
	if drifted := drifted(card); len(drifted) > 0 {
		row(out, "Images", paint(aec.YellowF, "not the pulled one: "+render.Escape(strings.Join(drifted, ", "))))
		row(out, "", "docker telemetry"+nameFlag(card.Stack)+" pull, then up")
	}
	row(out, "Retention", fmt.Sprintf("metrics %s, logs %s", card.Retention["metrics"], card.Retention["logs"])+render.Escape(card.Forecast.words(a.deps.now())))
	row(out, "Engine", fmt.Sprintf("%s at %s (API %s)",
		render.Escape(card.Engine.Version), render.Escape(card.Engine.Address), render.Escape(card.Engine.API)))
	fmt.Fprintln(out)
	flag := nameFlag(card.Stack)
	for _, next := range [][2]string{
		{"open", "the start page in a browser"},
		{"logs -f", "what the components log"},
		{fmt.Sprintf("scale %s=%d", stack.Aggregator, aggregators(card)+1), "one more aggregator"},
		{"down", "stop and remove; the data stays"},
	} {
		fmt.Fprintf(out, "  %s %s\n", pad("docker telemetry"+flag+" "+next[0], 38+len(flag)), next[1])
	}
	fmt.Fprintln(out)
}

// proofs words what was seen to arrive.
func proofs(results []pipeline.RouteResult) []string {
	words := make([]string, 0, len(results))
	for _, result := range results {
		words = append(words, fmt.Sprintf("%s (%s)", result.About, tookWords(result.Took)))
	}
	return words
}

// wrap joins words with commas into lines of about the width.
func wrap(words []string, width int) []string {
	var lines []string
	for _, word := range words {
		last := len(lines) - 1
		if last < 0 || len(lines[last])+len(word) > width {
			lines = append(lines, word)
			continue
		}
		lines[last] += ", " + word
	}
	return lines
}

func drifted(card statusJSON) []string {
	var names []string
	for _, component := range card.Components {
		if component.Drift {
			names = append(names, component.Name)
		}
	}
	return names
}

func aggregators(card statusJSON) int {
	for _, component := range card.Components {
		if component.Name == stack.Aggregator {
			return component.Ready
		}
	}
	return 0
}

func row(out io.Writer, name, value string) { fmt.Fprintf(out, "  %s%s\n", pad(name, 17), value) }

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(1, width-len(text)))
}

func nameFlag(name string) string {
	if name == "telemetry" {
		return ""
	}
	return " --name " + name
}

type paintFunc func(colour aec.ANSI, text string) string

func painter(on bool) paintFunc {
	return func(colour aec.ANSI, text string) string {
		if !on {
			return text
		}
		return colour.Apply(text)
	}
}

// health is said in words as well as in colour.
func health(paint paintFunc, card statusJSON) string {
	if card.Healthy {
		return paint(aec.GreenF, "● healthy")
	}
	if card.Phase == "starting" {
		return paint(aec.YellowF, "▲ an up was interrupted")
	}
	return paint(aec.RedF, "▲ not healthy")
}

func components(paint paintFunc, card statusJSON) string {
	words := make([]string, 0, len(card.Components))
	for _, component := range card.Components {
		word := render.Escape(component.Name)
		if want := max(1, component.Want); want > 1 || component.Ready != want {
			word += fmt.Sprintf(" %d/%d", component.Ready, want)
		}
		if !component.Healthy {
			word = paint(aec.RedF, word+" ▲")
		}
		words = append(words, word)
	}
	// Five a line: nine names do not fit 80 columns.
	lines := make([]string, 0, len(words)/5+1)
	for line := range slices.Chunk(words, 5) {
		lines = append(lines, strings.Join(line, "  "))
	}
	return strings.Join(lines, "\n"+strings.Repeat(" ", 19))
}

func certificate(paint paintFunc, cert certificateJSON) string {
	text := fmt.Sprintf("%d days left, until %s", cert.DaysLeft, cert.NotAfter.Format(time.DateOnly))
	if cert.DaysLeft < 30 {
		return paint(aec.YellowF, text)
	}
	return text
}
