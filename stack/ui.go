package stack

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// UI is what a component shows to people through the gateway, from its extension x-ui.
type UI struct {
	Service string // its health is asked at /up/SERVICE
	Name    string
	Path    string // "" for a component without a page of its own
	About   string // one line
	Rank    int    // lower first
}

// UIs returns the UIs of a project, in the order of their rank, then of the name.
func UIs(project *types.Project) ([]UI, error) {
	var uis []UI
	for name, service := range project.Services {
		ui, said, err := uiOf(name, service)
		if err != nil {
			return nil, fmt.Errorf("services.%s.x-ui: %w", name, err)
		}
		if said {
			uis = append(uis, ui)
		}
	}
	slices.SortFunc(uis, byRank)
	return uis, nil
}

// Pages returns the UIs with a page of their own of the containers of one stack, in order. It knows them by their label,
// so it does for a stack that another machine started, with profiles that this one does not know.
func Pages(containers []Container) []UI {
	var pages []UI
	for _, c := range containers {
		if c.UI.Path != "" && !slices.Contains(pages, c.UI) {
			pages = append(pages, c.UI)
		}
	}
	slices.SortFunc(pages, byRank)
	return pages
}

func byRank(a, b UI) int {
	return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(a.Service, b.Service))
}

func uiOf(name string, service types.ServiceConfig) (ui UI, said bool, err error) {
	raw, said := service.Extensions["x-ui"].(map[string]any)
	if !said {
		return UI{}, false, nil
	}
	ui.Service = name
	ui.Name, _ = raw["name"].(string)
	ui.Path, _ = raw["path"].(string)
	ui.About, _ = raw["about"].(string)
	ui.Rank, _ = raw["rank"].(int)
	if ui.Name == "" || ui.Path != "" && (!strings.HasPrefix(ui.Path, "/") || strings.ContainsAny(ui.Path, " \t\n")) {
		return UI{}, true, errNoUI
	}
	return ui, true, nil
}

var errNoUI = errors.New("set name, and a path that begins with / and has no space")

// label is what UILabel holds: rank, path and name.
func (ui UI) label() string { return fmt.Sprintf("%d %s %s", ui.Rank, ui.Path, ui.Name) }

// parseUI reads UILabel; what is not one gives a UI without a path.
func parseUI(component, label string) UI {
	words := strings.SplitN(label, " ", 3)
	if len(words) < 3 {
		return UI{}
	}
	rank, err := strconv.Atoi(words[0])
	if err != nil || !strings.HasPrefix(words[1], "/") {
		return UI{}
	}
	return UI{Service: component, Name: words[2], Path: words[1], Rank: rank}
}
